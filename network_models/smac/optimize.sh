#!/usr/bin/env bash
# Search the architecture of a training script; without arguments that of the virtual Sun forecast.
#   network_models/smac/optimize.sh [SCRIPT] [options] [-- options of the script]
# The environment that `make setup` makes is used where it is there, else the python on the PATH.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=$root/.venv/bin/python
[ -x "$python" ] || python=$(command -v python3)
exec "$python" "$root/network_models/smac/optimize.py" "$@"
