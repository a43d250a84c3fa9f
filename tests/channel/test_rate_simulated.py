"""A throttled channel against a model of a message centre, on a clock that jumps from event to event.

Everything of the channel's pace is real; the model replaces what is around it: sessions that always have
another message, a link with a delay, and a message centre with a token bucket.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsgw.channel.pace import Pace
from smsgw.channel.rate import CALM
from smsgw.simulator.verdict import Bucket as Allowance


class Events:
    """Time, as the agenda has it: `task.Clock` sorts its calls at each of them, which is slow for 50,000."""

    def __init__(self) -> None:
        self.now = 0.0
        self._agenda: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._numbers = count()

    def seconds(self) -> float:
        return self.now

    def callLater(self, delay: float, call: Callable[..., Any], *arguments: Any) -> object:
        entry = (self.now + delay, next(self._numbers), call, arguments)
        heappush(self._agenda, entry)
        return entry

    def run(self, until: float) -> None:
        while self._agenda and self._agenda[0][0] <= until:
            self.now, _, call, arguments = heappop(self._agenda)
            call(*arguments)


class Run:
    """`width` messages at a time, for ever, through a message centre that takes `allowed` a second.

    `burst` 0 is one second's worth, as in `smsgw.simulator`; a strict one has 1.
    """

    def __init__(
        self,
        allowed: float,
        *,
        width: int = 100,
        delay: float = 0.0,
        burst: float = 0.0,
        rate: float = 0.0,
        jitter: Callable[[], float] = lambda: 0.5,
    ) -> None:
        self.clock = Events()
        self.pace = Pace(rate, self.clock, jitter=jitter)  # type: ignore[arg-type]
        self.taken: list[float] = []
        self.throttled: list[float] = []
        self.allow(allowed, burst)
        self._delay = delay + 1e-4
        for _ in range(width):
            self._next()

    def allow(self, rate: float, burst: float = 0.0) -> None:
        self._allowance = Allowance(rate, burst)
        self._allowance.take(self.clock.now)

    def _next(self) -> None:
        self.pace.token("session").addCallback(self._send)

    def _send(self, _: bool) -> None:
        # a float's worth of time is no reason to be refused
        took = self._allowance.take(self.clock.now + 1e-9)
        self.clock.callLater(self._delay, self._answered, took, self.pace.now)

    def _answered(self, took: bool, sent: float) -> None:
        (self.taken if took else self.throttled).append(self.clock.now)
        if took:
            self.pace.took(sent)
        else:
            self.pace.throttled(sent)
        self._next()

    def until(self, seconds: float) -> Run:
        self.clock.run(seconds)
        return self

    def per_second(self, start: float, end: float) -> float:
        return sum(start < at <= end for at in self.taken) / (end - start)

    def refused(self, start: float, end: float) -> int:
        return sum(start < at <= end for at in self.throttled)


def possible(allowed: float, width: int, delay: float) -> float:
    """What can be had: a narrow channel is slower than its message centre."""
    return min(allowed, width / (delay + 1e-4))


WIDTHS = [1, 10, 100, 2 * 100]
"""The last is two sessions of a hundred: they share a pace, so that it can't tell them from one."""


every_case = pytest.mark.parametrize(
    ("allowed", "width", "delay"), list(product((20, 200, 2000), WIDTHS, (0.0, 0.1)))
)


@every_case
def test_it_takes_what_a_message_centre_with_a_second_of_burst_allows(
    allowed: float, width: int, delay: float
) -> None:
    run = Run(allowed, width=width, delay=delay).until(30.0)
    best = possible(allowed, width, delay)
    assert run.per_second(0, 5) > 0.95 * best, "there is no silence after the first burst"
    assert run.per_second(5, 30) > 0.95 * best
    assert len(run.throttled) <= width + 20 + 0.1 * delay * 10 * allowed
    assert run.refused(10, 30) <= 10, "once it knows, it asks for little more than there is"


@every_case
def test_a_strict_message_centre_takes_longer_to_learn(allowed: float, width: int, delay: float) -> None:
    """One that has no burst at all refuses each part that comes a moment too early."""
    run = Run(allowed, width=width, delay=delay, burst=1).until(40.0)
    best = possible(allowed, width, delay)
    assert run.per_second(15, 40) > 0.88 * best
    assert run.per_second(1, 3) > 0, "it is never silent for long"
    assert run.refused(15, 40) <= 8 + delay * allowed, (
        "a few times what leaves before the first refusal is back"
    )


def test_five_thousand_at_two_hundred_a_second() -> None:
    """The measure of `tests/integration/test_throttled.py`, without the processes."""
    run = Run(200, width=50, delay=0.01).until(26.0)
    assert run.taken[4999] < 25.0
    assert len(run.throttled) < 50 + 25
    assert run.refused(5, 26) < 10


@settings(max_examples=25, deadline=None)
@given(
    allowed=st.floats(5, 1000),
    width=st.integers(1, 300),
    delay=st.floats(0, 0.5),
    jitter=st.lists(st.floats(0, 1), min_size=1, max_size=5),
)
def test_any_rate_width_and_delay(allowed: float, width: int, delay: float, jitter: list[float]) -> None:
    random = iter(jitter * 10_000)
    run = Run(allowed, width=width, delay=delay, jitter=lambda: next(random)).until(30.0)
    assert run.per_second(10, 30) > 0.85 * possible(allowed, width, delay) - 0.1
    assert run.refused(10, 30) <= 0.05 * len(run.taken) + 5


@pytest.mark.parametrize("burst", [0.0, 1.0])
@pytest.mark.parametrize("rate", [100.0, 200.0, 210.0, 1000.0])
def test_a_configured_rate_is_never_exceeded(rate: float, burst: float) -> None:
    run = Run(200, burst=burst, rate=rate).until(40.0)
    assert run.per_second(15, 40) > 0.88 * min(200.0, rate)
    answers = len(run.taken) + len(run.throttled)
    assert answers <= rate * 40 + rate / 10 + 100


@pytest.mark.parametrize(("before", "after"), [(200, 50), (200, 20), (2000, 200)])
def test_a_limit_that_falls_is_learned_in_seconds(before: float, after: float) -> None:
    run = Run(before, delay=0.05).until(20.0)
    run.allow(after)
    run.until(60.0)
    assert run.per_second(30, 60) == pytest.approx(after, rel=0.1)
    assert run.refused(20, 30) < 0.2 * before + 50
    assert run.refused(30, 60) <= 10


def test_a_limit_that_is_lifted_is_used_after_a_minute_without_complaint() -> None:
    run = Run(200, delay=0.05).until(20.0)
    assert run.pace.slowed
    run.allow(1e9)
    run.until(20.0 + CALM + 5)
    assert not run.pace.slowed
    assert run.per_second(20 + CALM + 1, 20 + CALM + 5) > 0.95 * possible(1e9, 100, 0.05)


def test_one_that_takes_nothing_is_asked_ever_more_seldom_and_found_open_again() -> None:
    run = Run(200, delay=0.05).until(20.0)
    run.allow(1e-6)
    run.until(200.0)
    assert run.refused(60, 200) < 20
    run.allow(200)
    run.until(250.0)
    assert run.per_second(235, 250) > 0.9 * 200
