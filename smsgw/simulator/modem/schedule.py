"""What is due later, without a clock: a heap of calls, asked by time."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from math import inf
from typing import Any


class Schedule:
    """`add` what shall be called; `run` calls what is due. Bounded by those who add."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, at: float, action: Callable[..., None], *arguments: Any) -> None:
        """What is due at one moment runs in the order in which it was entered."""
        self._order += 1
        heappush(self._entries, (at, self._order, action, arguments))

    def deadline(self) -> float:
        return self._entries[0][0] if self._entries else inf

    def take(self, now: float) -> Callable[[], None] | None:
        """The next call that is due, if any."""
        if not self._entries or self._entries[0][0] > now:
            return None
        _, _, action, arguments = heappop(self._entries)
        return lambda: action(*arguments)

    def clear(self) -> None:
        self._entries.clear()
