"""How fast a channel sends: a token per part, for all sessions of the channel together.

`smsgw.channel.rate.Bucket` is the arithmetic; `Pace` hands its tokens to those who wait, first come
first served, with one timer however many wait.

A peer that says "throttled" speaks about the link, not about the message. So the whole channel pauses,
goes on at a rate that it learns, and the messages keep their places.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable, Hashable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from smsgw.channel.rate import Bucket


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
        self._throttled = False

    def __repr__(self) -> str:
        """`rate 100.0`, `rate 187.3 learned, paused for 0.1 s`."""
        learned = " learned" if self.slowed else ""
        paused = f", paused for {self.paused:.1f} s" if self.paused else ""
        rate = f"{self.rate:.1f}" if self.rate else "unlimited"
        return f"rate {rate}{learned}{paused}"

    @property
    def rate(self) -> float:
        """Parts per second, configured or learned; 0 where there is no limit."""
        self._bucket.fill(self._clock.seconds())
        return self._bucket.rate

    @property
    def slowed(self) -> bool:
        """Whether the rate is one that was learned from a peer that throttles."""
        self._bucket.fill(self._clock.seconds())
        return self._bucket.slowed

    @property
    def now(self) -> float:
        """The time of a part that leaves now, for `took` or `throttled` when its answer is there."""
        return self._clock.seconds()

    @property
    def waiting(self) -> int:
        """How many parts wait for their token; bounded by the widths of the sessions that ask."""
        return len(self._waiting)

    @property
    def paused(self) -> float:
        """Seconds until a throttled channel goes on; 0 where it does not pause."""
        return self._bucket.paused(self._clock.seconds())

    def take(self) -> bool:
        """Take a token. False where there is none, or others wait for it: then `wait` for it."""
        if self._waiting or self._bucket.wait(self._clock.seconds()):
            return False
        self._bucket.take()
        return True

    def owe(self) -> None:
        """Take a token whether it is there or not; who comes next waits so much longer."""
        self._bucket.fill(self._clock.seconds())
        self._bucket.take()

    def wait(self, owner: Hashable) -> Deferred[bool]:
        """Take a token that is not there yet: fires with True when it is, with False if `release` came first.

        To be called when `take` gave none, so that a token that is there costs no Deferred.
        """
        waiting: Deferred[bool] = Deferred(self._forget)
        self._waiting[waiting] = owner
        self._arm()
        return waiting

    def release(self, owner: Hashable) -> None:
        """Those of `owner` wait no longer: its link is gone, or it is to stop."""
        for waiting in [each for each, its in self._waiting.items() if its == owner]:
            del self._waiting[waiting]
            waiting.callback(False)

    def took(self, sent: float) -> bool:
        """The peer took a part that left at `sent`, whatever it thinks of it.

        True where it throttled before, and is over it.
        """
        self._bucket.took(self._clock.seconds(), sent)
        over = self._throttled and not self._bucket.slowed
        if over:
            self._throttled = False
        return over

    def throttled(self, sent: float) -> bool:
        """The peer asked to slow down at a part that left at `sent`. True where it did not before."""
        began = self._bucket.throttled(self._clock.seconds(), sent, self._jitter()) and not self._throttled
        if began:
            self._throttled = True
        return began

    def _forget(self, waiting: Deferred[bool]) -> None:
        self._waiting.pop(waiting, None)

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = self._clock.callLater(self._bucket.wait(self._clock.seconds()), self._serve)

    def _serve(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        while self._waiting and not self._bucket.wait(now):
            self._bucket.take()
            waiting, _ = self._waiting.popitem(last=False)
            waiting.callback(True)
        if self._waiting:
            self._arm()
