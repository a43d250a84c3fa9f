"""Everything that is due later, under one timer.

A heap of what is due, and one delayed call for its head: ten thousand answers a second cost heap
operations, not timers. What is due at one moment runs in the order in which it was entered.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

log = Logger()


class Agenda:
    """`add` what shall be called; it is dropped with `clear`. Bounded by those who add."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._entries: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = 0
        self._timer: IDelayedCall | None = None
        self._timer_due = 0.0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, delay: float, action: Callable[..., None], *arguments: Any) -> None:
        """Call `action` in so many seconds."""
        due = self._clock.seconds() + delay
        self._order += 1
        heappush(self._entries, (due, self._order, action, arguments))
        self._arm()

    def clear(self) -> None:
        """Forget everything; nothing is called any more."""
        self._entries.clear()
        self._arm()

    def _arm(self) -> None:
        due = self._entries[0][0] if self._entries else None
        if self._timer is not None:
            if due == self._timer_due:
                return
            if due is not None and due > self._timer_due:
                return  # rings early and is set again then: cheaper than moving it each time
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._timer_due = due
            self._timer = self._clock.callLater(max(0.0, due - self._clock.seconds()), self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        last = self._order
        entries = self._entries
        # What an action enters for now waits for the next turn, so that no reactor turn is endless.
        while entries and entries[0][0] <= now and entries[0][1] <= last:
            _, _, action, arguments = heappop(entries)
            try:
                action(*arguments)
            except Exception:  # noqa: BLE001  an outermost edge: the other entries go on
                log.failure("an entry of the agenda failed")
        self._arm()
