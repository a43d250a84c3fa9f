"""Chance that can be repeated.

One stream of random numbers per kind of decision, each started from the seed and the kind's name:
the n-th decision of a kind is the same in every run, whatever else is switched on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import TypeVar

Thing = TypeVar("Thing")


class Dice:
    """Seeded decisions. A share of 0 or 1 draws nothing."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._streams: dict[str, Random] = {}

    def chance(self, kind: str, share: float) -> bool:
        """True for that share of the calls."""
        if share <= 0:
            return False
        return share >= 1 or self.stream(kind).random() < share

    def delay(self, kind: str, least: float, jitter: float) -> float:
        """From `least` to `least + jitter`, uniformly."""
        return least + self.stream(kind).random() * jitter if jitter else least

    def choose(self, kind: str, things: Sequence[Thing]) -> Thing:
        """One of several, each as likely."""
        return things[self.stream(kind).randrange(len(things))] if len(things) > 1 else things[0]

    def share_of(self, kind: str, shares: Mapping[str, float]) -> str | None:
        """The key that a draw falls on, each with its share; None for what is left of 1."""
        if not shares:
            return None
        drawn = self.stream(kind).random()
        for key, share in shares.items():
            drawn -= share
            if drawn < 0:
                return key
        return None

    def weighted(self, kind: str, weights: Mapping[Thing, float]) -> Thing:
        """A key, in proportion to its weight. The mapping must not be empty."""
        if len(weights) == 1:
            return next(iter(weights))
        return self.stream(kind).choices(list(weights), list(weights.values()))[0]

    def stream(self, kind: str) -> Random:
        """The random numbers of one kind of decision."""
        stream = self._streams.get(kind)
        if stream is None:
            # Repeatable is the point here; nothing secret hangs on it.
            stream = self._streams[kind] = Random(f"{self._seed}/{kind}")  # noqa: S311
        return stream
