"""Figures: several measurements of one thing, told as their median and how far they lie apart."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Figure(NamedTuple):
    """Measurements of one thing in one run, in the order in which they were made."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def told(self, form: str = ",.0f") -> str:
        """`median (least-most)`."""
        return f"{self.median:{form}} ({min(self.values):{form}}-{max(self.values):{form}})"

    def scaled(self, factor: float) -> Figure:
        return Figure(tuple(value * factor for value in self.values))


def figure(values: Iterable[float]) -> Figure:
    return Figure(tuple(values))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown; the first column is text, the others are figures."""
    rule = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
