# Every target sets up what it needs: make demo, make test, make lint, make figures, make bench,
# make peers.
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
DATA ?=
LABELS ?=

.PHONY: setup demo smoke-demo test lint figures bench peers dem-peers line-peers lock lock-peers clean
.DELETE_ON_ERROR:

setup: $(READY)

$(READY): requirements.txt pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "Python 3.11 to 3.13 is needed, this is %d.%d; try make PYTHON=python3.12" % v)'
	@echo "Setting up $(VENV): 530 MB of Python packages are downloaded once, 2.5 GB on disk."
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

# The main job on the embedded Sun. On real images: make demo DATA=FOLDER LABELS=FLARES.csv
# On a flare list or folder of GOES files alone: make demo DATA=PATH
SCRIPTS := network_models/xray_flux_forecast
MAIN = $(if $(DATA),$(if $(LABELS),$(IMAGES_OF_DATA),$(SCRIPTS)/history_only.py --data "$(DATA)"),$(SCRIPTS)/fdl1/aia_only.py)
IMAGES_OF_DATA = $(SCRIPTS)/fdl1/aia_only.py --data "$(DATA)" --flares "$(LABELS)"
demo: $(READY)
	$(RUN) $(MAIN)

smoke-demo: $(READY)
	$(RUN) $(MAIN) --smoke

test: $(READY)
	$(RUN) software_tests/tests.py

lint: $(READY)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

# FLARES: the GOES event list; X_RAY_FILES: real GOES days. Their figures are left out without them.
FLARES ?= $(wildcard ../shared/data/flare/catalogues/goes_flares_1996_2018.csv)
X_RAY_FILES ?= $(wildcard ../shared/data/flare/goes/go1520110607.fits ../shared/data/goes/*.nc)
PARTS ?=
figures: $(READY)
	$(RUN) benchmarks/figures.py $(if $(PARTS),--only $(PARTS)) $(if $(FLARES),--flares $(FLARES)) $(if $(X_RAY_FILES),--x-ray-files $(X_RAY_FILES))

bench: $(READY)
	$(RUN) benchmarks/exact_probability.py
	$(RUN) benchmarks/streaming.py
	$(RUN) benchmarks/feeding.py
	$(RUN) benchmarks/mixed_precision.py
	$(RUN) benchmarks/dem.py

# Other packages, each in an environment of its own: benchmarks/attribution.py and benchmarks/dem.py
# then compare themselves with them. 1.5 GB is downloaded, 3 GB on disk. utu needs Python 3.12 or 3.13
# (UTU_PYTHON); without one it is left out.
PEER_PIP = -m pip install --quiet --disable-pip-version-check
PEER_LISTS := benchmarks/peer_environments
UTU_PYTHON ?=
peers:
	$(PYTHON) -m venv .peers/captum
	.peers/captum/bin/python $(PEER_PIP) -r $(PEER_LISTS)/captum.txt
	$(PYTHON) -m venv .peers/xplique
	.peers/xplique/bin/python $(PEER_PIP) -r $(PEER_LISTS)/xplique.txt
	.peers/xplique/bin/python $(PEER_PIP) --no-deps xplique==2.0.2
	$(MAKE) dem-peers
	$(MAKE) line-peers

dem-peers:
	$(PYTHON) -m venv .peers/demregpy
	.peers/demregpy/bin/python $(PEER_PIP) -r $(PEER_LISTS)/demregpy.txt
	$(PYTHON) -m venv .peers/emtoolkit
	.peers/emtoolkit/bin/python $(PEER_PIP) --no-deps -r $(PEER_LISTS)/emtoolkit.txt
	@for python in $(UTU_PYTHON) $(PYTHON) python3.12 python3.13; do \
	  if $$python -c 'import sys; sys.exit(not (3, 12) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
	    $$python -m venv .peers/utu && exec .peers/utu/bin/python $(PEER_PIP) -r $(PEER_LISTS)/utu.txt; \
	    exit 1; \
	  fi; \
	done; \
	echo "utu is left out: it needs Python 3.12 or 3.13 and none was found; make dem-peers UTU_PYTHON=/path/to/python3.12"

# eispac, whose MPFIT benchmarks/gaussian_fit.py compares itself with
line-peers:
	$(PYTHON) -m venv .peers/eispac
	.peers/eispac/bin/python $(PEER_PIP) -r $(PEER_LISTS)/eispac.txt

lock:
	uv pip compile pyproject.toml --extra cpu --extra jax --extra test --universal \
	  --python-version 3.11 --generate-hashes --custom-compile-command "make lock" -o requirements.txt

# EMToolKit asks for Jupyter and more; its solver needs NumPy and SciPy alone.
PEER_LOCK = uv pip compile - --universal --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock-peers"
lock-peers:
	echo demregpy==0.6.2 | $(PEER_LOCK) --python-version 3.11 -o $(PEER_LISTS)/demregpy.txt
	printf 'emtoolkit==0.1.11\nnumpy==2.4.6\nscipy==1.17.1\n' | $(PEER_LOCK) --no-deps --python-version 3.11 -o $(PEER_LISTS)/emtoolkit.txt
	echo utu==0.5.0 | $(PEER_LOCK) --python-version 3.12 -o $(PEER_LISTS)/utu.txt
	echo eispac==0.99.4 | $(PEER_LOCK) --python-version 3.11 -o $(PEER_LISTS)/eispac.txt

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache
