"""The loop breaker: two programs that answer each other's messages end a SIM's budget in a night.

Of each number it is known when the last messages from it came. While there were more than a person sends in
a minute, a message to it is not sent; it waits, and is tried again. What comes from it is published all the
same. Pure.
"""

from __future__ import annotations

from collections import OrderedDict, deque

WITHIN = 60.0
NUMBERS = 1000
"""Numbers that are watched; the one that has been silent for longest goes first."""

TAIL = 8
"""Digits by which a number is known, whether it came in national or in international form."""


class Loops:
    """`limit` messages from one number in a minute are a loop; 0: nothing is."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._came: OrderedDict[str, deque[float]] = OrderedDict()

    def came(self, number: str, now: float) -> None:
        """A message from this number; a name, which nobody can answer, is not watched."""
        digits = number.lstrip("+")
        if not self.limit or not digits.isdigit():
            return
        times = self._came.setdefault(digits[-TAIL:], deque(maxlen=self.limit))
        times.append(now)
        self._came.move_to_end(digits[-TAIL:])
        if len(self._came) > NUMBERS:
            self._came.popitem(last=False)

    def looping(self, number: str, now: float) -> bool:
        """Whether a message to this number would be one more turn of a loop."""
        times = self._came.get(number.lstrip("+")[-TAIL:])
        return times is not None and len(times) == self.limit and now - times[0] < WITHIN
