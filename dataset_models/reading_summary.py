"""Counts what became of the files, or images, that a reader was given: read, left out, mended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["ReadingSummary"]

_SHOWN = 50


@dataclass(frozen=True)
class ReadingSummary:
    """What was read of what was given.

    Attributes
    ----------
    n_given : int
        Files; of a file with several images, its images.
    left_out : tuple of str
        One sentence for each that is not used, with its name and the reason.
    mended : tuple of str
        What was assumed, ignored or made missing in those that are used.
    """

    n_given: int
    left_out: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()

    @property
    def n_read(self) -> int:
        """Those that are used."""
        return self.n_given - len(self.left_out)

    def lines(self, *, what: str = "files") -> list[str]:
        """Return the summary as lines of text: first the counts, then a line for each remark."""
        n_mended = len({line.split(":")[0] for line in self.mended})
        counts = f"{self.n_read} of {self.n_given} {what} read"
        counts += f", {len(self.left_out)} left out"
        counts += f", {n_mended} of those read mended" if n_mended else ""
        return [
            counts,
            *_cut("left out", self.left_out),
            *_cut("mended", self.mended),
        ]

    def to_dict(self) -> dict:
        """Return the summary as JSON types."""
        return {
            "given": self.n_given,
            "left_out": list(self.left_out),
            "mended": list(self.mended),
        }

    @classmethod
    def from_dict(cls, said: dict) -> ReadingSummary:
        """Return a summary from ``to_dict``."""
        return cls(said["given"], tuple(said["left_out"]), tuple(said["mended"]))

    def with_more(self, left_out: Iterable[str], mended: Iterable[str]) -> ReadingSummary:
        """Return the summary with what was found when the data were read."""
        return ReadingSummary(self.n_given, (*self.left_out, *left_out), (*self.mended, *mended))


def _cut(word: str, sentences: tuple[str, ...]) -> list[str]:
    shown = [f"  {word}: {sentence}" for sentence in sentences[:_SHOWN]]
    more = len(sentences) - _SHOWN
    return [*shown, f"  and {more} more {word}"] if more > 0 else shown
