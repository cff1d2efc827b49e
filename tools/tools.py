"""What scripts share, by the one name that the first version of this suite had for it."""

from tools.atomic_files import write_arrays, write_bytes, write_json, write_text
from tools.channels import AIA_CHANNELS, channel_name, channel_unit
from tools.command_line import config_from, config_parser, make_parser, run_script
from tools.long_work.journal import Journal
from tools.long_work.processes import spawned_pool, usable_processes
from tools.long_work.progress import Progress
from tools.options import Options, Trainable, option, part_of
from tools.random_streams import random_stream
from tools.run_folder import RunFolder
from tools.search_range import among, between

__all__ = [
    "AIA_CHANNELS",
    "Journal",
    "Options",
    "Progress",
    "RunFolder",
    "Trainable",
    "among",
    "between",
    "channel_name",
    "channel_unit",
    "config_from",
    "config_parser",
    "make_parser",
    "option",
    "part_of",
    "random_stream",
    "run_script",
    "spawned_pool",
    "usable_processes",
    "write_arrays",
    "write_bytes",
    "write_json",
    "write_text",
]
