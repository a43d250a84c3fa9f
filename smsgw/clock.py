"""Time that does not jump.

Twisted's reactor measures with the wall clock: when that is set, every timer of the process fires too
early or too late, and a link looks dead that is not. What measures durations therefore takes a clock
whose `seconds()` is monotonic.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer


@implementer(IReactorTime)
class MonotonicClock:
    """A reactor's timers with monotonic time.

    `callLater` is the reactor's own. When the wall clock jumps forward, a call comes early: its callee
    has to look at `seconds()` before it believes it. When it jumps back, calls are late by as much;
    `follow_monotonic_time` cures that where the program owns its reactor.
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor

    def seconds(self) -> float:
        return time.monotonic()

    def callLater(
        self,
        delay: float,
        callable: Callable[..., Any],  # noqa: A002  the interface names it so
        *args: object,
        **kwargs: object,
    ) -> IDelayedCall:
        return self._reactor.callLater(delay, callable, *args, **kwargs)

    def getDelayedCalls(self) -> list[IDelayedCall]:
        return list(self._reactor.getDelayedCalls())


class Seldom:
    """For a log line about what a peer can make happen as often as it likes.

    `due` says whether to write it now: once in `pause` seconds, with how often it was not written before.
    """

    def __init__(self, clock: IReactorTime, pause: float = 10.0) -> None:
        self._clock = clock
        self._pause = pause
        self._next = clock.seconds()
        self._unsaid = 0

    def due(self) -> int | None:
        """How many were left out since the last line; None where this one is left out too."""
        now = self._clock.seconds()
        if now < self._next:
            self._unsaid += 1
            return None
        self._next = now + self._pause
        unsaid, self._unsaid = self._unsaid, 0
        return unsaid


def follow_monotonic_time(reactor: Any) -> None:
    """Make a reactor of Twisted's own measure all its timers with the monotonic clock.

    To be called before any timer is set. `reactor.seconds()` is then no longer seconds since the epoch;
    in Twisted that shows only in the access log of `twisted.web`.
    """
    reactor.seconds = time.monotonic
