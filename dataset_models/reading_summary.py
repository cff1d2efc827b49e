"""Counts what became of the files, or images, that a reader was given: read, left out, mended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["ReadingSummary", "lost_cards_note"]

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
        What was assumed, ignored or made missing in one of those that are used: its name, a colon,
        and a sentence.
    notes : tuple of str
        What concerns several, or all.
    """

    n_given: int
    left_out: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def n_read(self) -> int:
        """Those that are used."""
        return self.n_given - len(self.left_out)

    def lines(self, *, what: str = "files") -> list[str]:
        """Return the summary as lines of text: first the counts, then a line for each remark."""
        n_mended = len({line.split(": ")[0] for line in self.mended})
        counts = f"{self.n_read} of {self.n_given} {what} read"
        counts += f", {len(self.left_out)} left out"
        counts += f", {n_mended} of those read mended" if n_mended else ""
        return [
            counts,
            *_cut("left out", self.left_out),
            *_cut("mended", self.mended),
            *_cut("note", self.notes),
        ]

    def to_dict(self) -> dict:
        """Return the summary as JSON types."""
        return {
            "given": self.n_given,
            "left_out": list(self.left_out),
            "mended": list(self.mended),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, said: dict) -> ReadingSummary:
        """Return a summary from ``to_dict``."""
        notes = tuple(said.get("notes", ()))
        return cls(said["given"], tuple(said["left_out"]), tuple(said["mended"]), notes)

    def with_more(self, left_out: Iterable[str], mended: Iterable[str]) -> ReadingSummary:
        """Return the summary with what was found when the data were read."""
        left, all_mended = (*self.left_out, *left_out), (*mended, *self.mended)
        return ReadingSummary(self.n_given, left, all_mended, self.notes)


def lost_cards_note(lost: Counter[str]) -> list[str]:
    """Return a sentence on cards without a usable value that no reader needs, if there are any."""
    if not lost:
        return []
    names, n = ", ".join(sorted(lost)), max(lost.values())
    return [f"cards without a usable value are left out, in up to {n} files: {names}"]


def _cut(word: str, sentences: tuple[str, ...]) -> list[str]:
    shown = [f"  {word}: {sentence}" for sentence in sentences[:_SHOWN]]
    more = len(sentences) - _SHOWN
    return [*shown, f"  and {more} more {word}"] if more > 0 else shown
