"""How fast a peer lets us send: pure arithmetic, with time as an argument.

`Bucket` hands out tokens at a rate. When the peer says "throttled", it learns the peer's rate by additive
increase and multiplicative decrease (AIMD), as TCP does with a network that drops its segments:

*Decrease.* What the peer took since it last complained is a rate that it bears: the lower bound. The rate
at which it complained is one that it does not bear: the upper bound. All wait for a moment, and go on a
little below the lower bound, or at 0.7 of the upper one if that is more.

*Increase.* From there the rate grows by the same step each second: a share of the gap between the bounds,
or a hundredth of the lower one if that is more. So the steps are large while little is known, and small
once the bounds have met. While there is no upper bound, the rate doubles instead ("slow start").

*Forget.* After a minute without a complaint the rate is again what is configured, or unlimited.

A pause is short, since the lower rate is what cures; it doubles only while the peer takes nothing at all.
"""

from __future__ import annotations

from collections import deque

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 30.0
CALM = 60.0
"""Seconds without a complaint after which what was learned is forgotten."""
BELOW = 0.95
"""Where to go on, as a share of the lower bound."""
FALL = 0.7
"""The most that a complaint takes away at once, as a share of the upper bound that is left."""
STEP = 0.01
"""The least growth in a second, as a share of the lower bound: a complaint every ten seconds or so."""
CLOSING = 8.0
"""Seconds in which the gap between the bounds is crossed."""
SLOW_START = 2.0
"""Growth in a second of slow start, as a share of the rate."""
START = 10.0
"""Parts a second at which a slow start begins, at least."""
SLOWEST = 0.1
"""Parts a second that are always tried."""
TINY = 1e-9
"""Of a second or a token: less is a rounding error, and no reason to wait for."""


class Meter:
    """How many parts the peer took lately: a count, and where it stood at each quarter of a second."""

    SLOT = 0.25
    WINDOW = 10.0

    def __init__(self, now: float) -> None:
        self._marks: deque[tuple[float, int]] = deque(maxlen=round(self.WINDOW / self.SLOT))
        self._count = 0
        self.clear(now)

    def count(self, now: float) -> None:
        """The peer took one."""
        if now >= self._next:
            self._mark(now)
        self._count += 1

    def clear(self, now: float) -> None:
        """Count from here."""
        self._marks.clear()
        self._mark(now)

    def per_second(self, now: float, window: float = WINDOW, least: float = 0.001) -> float:
        """The rate of the last `window` seconds, or since `clear` where that was later.

        What came in less than `least` seconds counts as if it had taken so long.
        """
        at, count = next((mark for mark in self._marks if mark[0] >= now - window), self._marks[-1])
        return (self._count - count) / max(now - at, least)

    def _mark(self, now: float) -> None:
        self._marks.append((now, self._count))
        self._next = now + self.SLOT


class Bucket:
    """A token bucket of `rate` tokens a second (0: no limit), and never more than the configured ceiling.

    It holds a tenth of a second's worth: a small burst lets a slow timer catch up and never lets a second
    see more than `rate` by 10 %. A learned rate has less room, a fiftieth: the peer may be strict.
    """

    def __init__(self, ceiling: float, now: float) -> None:
        self.ceiling = ceiling
        self.rate = ceiling
        self.slowed = False
        self._tokens = self.size
        self._at = now
        self._step: float | None = None
        self._resume = now
        self._pause = 0.0
        self._throttled_at = now
        self._taken = Meter(now)
        self._lag = 0.0

    @property
    def size(self) -> float:
        """The most tokens that it holds."""
        return max(1.0, self.rate / (50 if self.slowed else 10))

    def wait(self, now: float) -> float:
        """Seconds until there is a token; 0 where there is one."""
        if now < self._resume - TINY:
            return self._resume - now
        if not self.rate:
            return 0.0
        self.fill(now)
        return (1.0 - self._tokens) / self.rate if self.rate and self._tokens < 1.0 - TINY else 0.0

    def take(self) -> None:
        """Take the token that `wait` just said is there."""
        if self.rate:
            self._tokens -= 1.0

    def took(self, now: float, sent: float) -> None:
        """The peer took a part that left at `sent`, whatever it thinks of it."""
        self._taken.count(now)
        self._lag = now - sent

    def throttled(self, now: float, sent: float, jitter: float) -> bool:
        """The peer asked to slow down at a part that left at `sent`; `jitter` is from 0 to 1.

        What left before the latest pause ended belongs to the burst that caused it: False, and no change.
        """
        if sent < self._resume:
            return False
        self.fill(now)
        # the first burst is taken in no time, which says nothing of the rate
        lower = self._taken.per_second(now) if self.slowed else self._taken.per_second(now, 1.0, 1.0)
        self._learn(lower, self.rate)
        self.slowed = True
        self._throttled_at = now
        self._taken.clear(now)
        self._resume = self._at = now + self._pause * (0.8 + 0.4 * jitter)
        self._tokens = 0.0
        return True

    def paused(self, now: float) -> float:
        """Seconds that the pause still lasts."""
        return max(0.0, self._resume - now)

    def fill(self, now: float) -> None:
        """Bring rate and tokens up to this moment."""
        passed, self._at = now - self._at, max(now, self._at)
        if passed <= 0.0:
            return
        tokens = self._tokens + passed * self.rate
        self._tokens = min(self.size, tokens)
        if self.slowed:
            if now - self._throttled_at >= CALM:
                self._forget()
            elif tokens - self._tokens < 1.0:  # a rate that nobody used has proved nothing
                self._grow(passed)

    def _learn(self, lower: float, upper: float) -> None:
        """A new rate and pause from what the peer bears and what it does not; `upper` 0: not known."""
        closed = not lower and self._pause > FIRST_PAUSE  # nothing taken twice: what we knew is void
        self._pause = FIRST_PAUSE if lower or not self._pause else min(LONGEST_PAUSE, self._pause * 2)
        if not upper:
            self._step, rate = None, max(START, BELOW * lower)
        else:
            self._step = None if closed else max(STEP * lower, (upper - lower) / CLOSING)
            rate = max(SLOWEST, BELOW * lower, (FALL if lower else 0.5) * upper)
        self.rate = min(rate, upper or rate)

    def _grow(self, passed: float) -> None:
        step = self._step
        if step is None:  # no faster than the peer's answers can stop it
            step = self.rate * min(SLOW_START, 1 / max(self._lag, 0.001))
        self.rate += step * passed
        if self.ceiling:
            self.rate = min(self.rate, self.ceiling)

    def _forget(self) -> None:
        self.slowed = False
        self.rate = self.ceiling
        self._pause = 0.0
