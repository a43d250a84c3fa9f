"""How fast a channel sends: a token per part, for all sessions of the channel together.

`Bucket` is the pure arithmetic, with time as an argument; `Pace` hands its tokens to those who wait,
first come first served, with one timer however many wait.

A peer that says "throttled" speaks about the link, not about the message. So the whole channel
pauses, twice as long at each repetition, and the messages keep their places.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable, Hashable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
FORGET = 10.0
"""Seconds without a throttled answer after which the next pause is a short one again."""


class Bucket:
    """A token bucket of `rate` tokens a second (0: no limit) that holds a tenth of a second's worth.

    The small burst lets a slow timer catch up and never lets a second see more than `rate` by 10 %.
    """

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self.size = max(1.0, rate / 10)
        self._tokens = self.size
        self._at = now
        self._paused_until = now
        self._pause = 0.0
        self._throttled_at = now

    def wait(self, now: float) -> float:
        """Seconds until there is a token; 0 where there is one."""
        self._fill(now)
        paused = max(0.0, self._paused_until - now)
        short = (1.0 - self._tokens) / self.rate if self.rate and self._tokens < 1.0 - 1e-9 else 0.0
        return max(paused, short)

    def take(self, now: float) -> None:
        """Take the token that `wait` said is there."""
        self._fill(now)
        if self.rate:
            self._tokens -= 1.0

    def throttled(self, now: float, jitter: float) -> float:
        """The peer asked to slow down. Answers during a pause belong to the burst that caused it.

        Returns the length of the pause in seconds; `jitter` is from 0 to 1.
        """
        if now >= self._paused_until:
            again = now - self._throttled_at < FORGET + self._pause
            self._pause = min(LONGEST_PAUSE, self._pause * 2) if again and self._pause else FIRST_PAUSE
            self._throttled_at = now
            self._paused_until = now + self._pause * (0.8 + 0.4 * jitter)
        return self._paused_until - now

    def paused(self, now: float) -> float:
        """Seconds that the pause still lasts."""
        return max(0.0, self._paused_until - now)

    def _fill(self, now: float) -> None:
        self._tokens = min(self.size, self._tokens + (now - self._at) * self.rate)
        self._at = now


class Pace:
    """Gives each part its token in turn."""

    def __init__(
        self, rate: float, clock: IReactorTime, *, jitter: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._bucket = Bucket(rate, clock.seconds())
        self._waiting: OrderedDict[Deferred[bool], Hashable] = OrderedDict()
        self._timer: IDelayedCall | None = None

    @property
    def rate(self) -> float:
        return self._bucket.rate

    @property
    def waiting(self) -> int:
        """How many parts wait for their token; bounded by the widths of the sessions that ask."""
        return len(self._waiting)

    @property
    def paused(self) -> float:
        """Seconds until a throttled channel goes on; 0 where it is not throttled."""
        return self._bucket.paused(self._clock.seconds())

    def token(self, owner: Hashable) -> Deferred[bool]:
        """Fires with True when a part may leave, with False when `release` came first."""
        now = self._clock.seconds()
        if not self._waiting and not self._bucket.wait(now):
            self._bucket.take(now)
            return succeed(True)
        waiting: Deferred[bool] = Deferred(self._forget)
        self._waiting[waiting] = owner
        self._arm()
        return waiting

    def release(self, owner: Hashable) -> None:
        """Those of `owner` wait no longer: its link is gone, or it is to stop."""
        for waiting in [each for each, its in self._waiting.items() if its == owner]:
            del self._waiting[waiting]
            waiting.callback(False)

    def throttled(self) -> float:
        """The peer asked to slow down: pause the channel. Returns the seconds."""
        return self._bucket.throttled(self._clock.seconds(), self._jitter())

    def _forget(self, waiting: Deferred[bool]) -> None:
        self._waiting.pop(waiting, None)

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = self._clock.callLater(self._bucket.wait(self._clock.seconds()), self._serve)

    def _serve(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        while self._waiting and not self._bucket.wait(now):
            self._bucket.take(now)
            waiting, _ = self._waiting.popitem(last=False)
            waiting.callback(True)
        if self._waiting:
            self._arm()
