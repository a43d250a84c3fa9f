"""The timers of a session, and the rule by which one of Twisted's serves them all.

`Alarm.at` is a lower bound: never later than the first timer that runs out, often earlier. What starts
a timer brings it forward, which is one comparison; what stops or restarts a timer leaves it alone. Who
wakes too early finds nothing to do and sets the alarm anew. So an answered request moves no timer.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

import msgspec


class Timers(msgspec.Struct, frozen=True, kw_only=True):
    """The timers of SMPP 3.4, 7.2, in seconds; 0 switches one off.

    `session_init`: from connected to bound. `enquire_link`: silence from the peer before we ask whether
    it lives. `inactivity`: no message either way before we unbind. `response`: wait for an answer.
    `unbind`: wait for the end of an unbind, from either side; here 0 means not to wait at all.
    """

    session_init: float = 10.0
    enquire_link: float = 30.0
    inactivity: float = 0.0
    response: float = 60.0
    unbind: float = 5.0


class Alarm:
    """When to wake: `at`, infinite where no timer runs."""

    __slots__ = ("at",)

    def __init__(self) -> None:
        self.at = inf

    def bring_forward(self, at: float) -> None:
        if at < self.at:  # noqa: PLR1730  min() would cost a call per request
            self.at = at

    def set(self, ends: Iterable[float]) -> None:
        """To the earliest of the timers that run."""
        self.at = min(ends, default=inf)
