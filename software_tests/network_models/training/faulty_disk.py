"""A disk on which the process dies in a chosen operation; as a script, by kill -9.

``python -m software_tests.network_models.training.faulty_disk RUN N`` trains, and kills itself in
disk operation N of its checkpoints and files.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from pathlib import Path

import tools.atomic_files


class SimulatedKill(BaseException):
    """Stands for kill -9: nothing after it reaches the disk."""


class FaultyDisk:
    """The os module, but the process dies in operation ``n``; a write dies half way."""

    def __init__(self, n: int, *, really: bool = False):
        self.n, self.really = n, really
        self.count, self.dead = 0, False

    def __getattr__(self, name):
        return getattr(os, name)

    def _die_here(self) -> bool:
        if self.dead:
            raise SimulatedKill
        self.count += 1
        self.dead = self.count == self.n
        return self.dead

    def _die(self):
        if self.really:
            os.kill(os.getpid(), signal.SIGKILL)
        raise SimulatedKill

    def write(self, descriptor, data):
        """Write all, or half and die."""
        if self._die_here():
            os.write(descriptor, data[: len(data) // 2])
            self._die()
        return os.write(descriptor, data)

    def fsync(self, descriptor):
        """Fsync or die."""
        if self._die_here():
            self._die()
        return os.fsync(descriptor)

    def replace(self, source, target):
        """Replace or die."""
        if self._die_here():
            self._die()
        return os.replace(source, target)


if __name__ == "__main__":
    from software_tests.network_models.training.small_training import OPTIONS, small_train

    tools.atomic_files.os = FaultyDisk(int(sys.argv[2]), really=True)
    small_train(Path(sys.argv[1]), options=dataclasses.replace(OPTIONS, epochs=2))
