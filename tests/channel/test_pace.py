"""The token bucket's arithmetic, and the turns of those who wait."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from smsgw.channel.pace import FIRST_PAUSE, FORGET, LONGEST_PAUSE, Bucket, Pace

rates = st.one_of(st.floats(0.01, 5000), st.sampled_from([0.15, 1, 100]))
steps = st.lists(st.floats(0, 5), max_size=60)


# -- the bucket


@given(rates, steps)
def test_never_more_than_the_rate_and_one_bucket(rate: float, waits: list[float]) -> None:
    """Over every stretch of time, not only from the start."""
    bucket, now, taken = Bucket(rate, 0.0), 0.0, [0.0]
    taken.clear()
    for wait in waits:
        now += wait
        while not bucket.wait(now) and len(taken) < 2000:
            bucket.take(now)
            taken.append(now)
    for first, start in list(enumerate(taken))[::50]:
        for last in range(first, len(taken)):
            assert last - first + 1 <= rate * (taken[last] - start) + bucket.size + 1e-6


@given(rates, st.lists(st.floats(0, 3), max_size=30))
def test_who_waits_as_told_gets_a_token(rate: float, waits: list[float]) -> None:
    bucket, now = Bucket(rate, 0.0), 0.0
    for extra in waits:
        now += bucket.wait(now)
        assert bucket.wait(now) == pytest.approx(0, abs=1e-6)
        bucket.take(now)
        now += extra


@given(rates)
def test_the_long_run_gets_its_full_rate(rate: float) -> None:
    bucket, now, count = Bucket(rate, 0.0), 0.0, 50
    for _ in range(count):
        now += bucket.wait(now)
        bucket.take(now)
    assert now == pytest.approx(max(0.0, count - bucket.size) / rate, rel=1e-6, abs=1e-6)


def test_a_slow_rate_lets_one_go_at_a_time() -> None:
    bucket = Bucket(0.15, 0.0)
    assert bucket.wait(1000.0) == 0
    bucket.take(1000.0)
    assert bucket.wait(1000.0) == pytest.approx(1 / 0.15)


def test_no_rate_is_no_limit() -> None:
    bucket = Bucket(0, 0.0)
    for _ in range(10_000):
        assert bucket.wait(0.0) == 0
        bucket.take(0.0)


# -- throttling


def test_each_throttled_burst_doubles_the_pause_up_to_a_limit() -> None:
    bucket, now, pauses = Bucket(0, 0.0), 0.0, []
    for _ in range(9):
        pauses.append(bucket.throttled(now, 0.5))
        now += pauses[-1]
    assert pauses == pytest.approx([FIRST_PAUSE * 2**n for n in range(6)] + [LONGEST_PAUSE] * 3)


@pytest.mark.parametrize(("jitter", "factor"), [(0.0, 0.8), (1.0, 1.2)])
def test_pauses_have_jitter(jitter: float, factor: float) -> None:
    assert Bucket(0, 0.0).throttled(0.0, jitter) == pytest.approx(FIRST_PAUSE * factor)


def test_answers_to_the_same_burst_change_nothing() -> None:
    bucket = Bucket(0, 0.0)
    bucket.throttled(0.0, 0.5)
    assert bucket.throttled(0.2, 1.0) == pytest.approx(FIRST_PAUSE - 0.2)
    assert bucket.paused(0.2) == pytest.approx(FIRST_PAUSE - 0.2)


def test_a_good_while_is_forgiven() -> None:
    bucket = Bucket(0, 0.0)
    first = bucket.throttled(0.0, 0.5)
    assert bucket.throttled(first, 0.5) == pytest.approx(2 * FIRST_PAUSE)
    assert bucket.throttled(first + FORGET + 2 * FIRST_PAUSE, 0.5) == pytest.approx(FIRST_PAUSE)


def test_nobody_goes_during_a_pause() -> None:
    bucket = Bucket(1000, 0.0)
    pause = bucket.throttled(0.0, 0.5)
    assert bucket.wait(0.0) == pause
    assert bucket.wait(pause - 0.01) == pytest.approx(0.01)
    assert bucket.wait(pause) == 0
    assert bucket.paused(pause) == 0


# -- taking turns


class Line:
    """A pace on a clock, and who was let go in what order."""

    def __init__(self, rate: float) -> None:
        self.clock = Clock()
        self.pace = Pace(rate, self.clock, jitter=lambda: 0.5)
        self.went: list[tuple[str, bool]] = []

    def ask(self, name: str, owner: str = "s1") -> Deferred[bool]:
        token = self.pace.token(owner)
        token.addCallbacks(lambda granted: self.went.append((name, granted)), lambda _: None)
        return token

    def run(self) -> None:
        """Until nobody waits for the time any more."""
        while calls := self.clock.getDelayedCalls():
            self.clock.advance(max(0.0, calls[0].getTime() - self.clock.seconds()))

    @property
    def names(self) -> str:
        return "".join(name for name, granted in self.went if granted)


def test_first_come_first_served() -> None:
    line = Line(1)
    for name in "abcd":
        line.ask(name)
    assert line.names == "a"
    line.clock.advance(1)
    line.ask("e")
    assert line.names == "ab"
    line.clock.pump([1, 1, 1])
    assert line.names == "abcde"


def test_who_comes_late_does_not_overtake() -> None:
    line = Line(10)
    line.ask("a")
    line.ask("b")
    line.clock.rightNow += 0.1  # there is a token again, and the timer has not fired yet
    line.ask("c")
    assert line.names == "a"
    line.clock.advance(0)
    assert line.names == "ab"


@given(st.floats(0.5, 500), st.integers(1, 60), st.lists(st.floats(0, 2), max_size=20))
def test_one_timer_however_many_wait(rate: float, waiting: int, ticks: list[float]) -> None:
    line = Line(rate)
    for _ in range(waiting):
        line.ask("x")
    for tick in ticks:
        assert len(line.clock.getDelayedCalls()) <= 1
        assert bool(line.pace.waiting) <= bool(line.clock.getDelayedCalls())
        line.clock.advance(tick)
    line.run()
    assert line.pace.waiting == 0
    assert len(line.went) == waiting


@given(st.floats(0.5, 500), st.integers(1, 100))
def test_a_lines_speed_is_the_rate(rate: float, count: int) -> None:
    line, times = Line(rate), []
    for _ in range(count):
        line.pace.token("s").addCallback(lambda _: times.append(line.clock.seconds()))
    line.run()
    assert len(times) == count
    burst = max(1.0, rate / 10)
    assert all(number <= rate * at + burst + 1e-6 for number, at in enumerate(times, 1))
    assert times[-1] <= max(0.0, count - burst + 1) / rate + 1e-6
    assert all(one <= other for one, other in pairwise(times))


def test_release_lets_one_owners_parts_go_without_a_token() -> None:
    line = Line(1)
    for name, owner in [("a", "s1"), ("b", "s1"), ("c", "s2"), ("d", "s1")]:
        line.ask(name, owner)
    line.pace.release("s1")
    assert line.went == [("a", True), ("b", False), ("d", False)]
    assert line.pace.waiting == 1
    line.clock.advance(1)
    assert line.went[-1] == ("c", True)


def test_release_of_who_does_not_wait() -> None:
    line = Line(1)
    line.pace.release("nobody")
    line.ask("a")
    assert line.names == "a"


def test_a_cancelled_part_gives_its_turn_to_the_next() -> None:
    line = Line(1)
    line.ask("a")
    line.ask("b").cancel()
    line.ask("c")
    assert line.pace.waiting == 1
    line.clock.advance(1)
    assert line.names == "ac"


def test_a_part_that_asks_again_at_once_queues_behind_the_others() -> None:
    line = Line(1)
    line.ask("a")
    token = line.pace.token("s1")
    token.addCallback(lambda _: line.ask("again"))
    line.ask("b")
    line.clock.pump([1, 1, 1])
    assert [name for name, _ in line.went] == ["a", "b", "again"]


def test_throttling_stops_the_line_and_keeps_its_order() -> None:
    line = Line(10)
    for name in "abc":
        line.ask(name)
    assert line.pace.throttled() == FIRST_PAUSE
    line.clock.advance(FIRST_PAUSE - 0.01)
    line.ask("d")
    assert (line.names, line.pace.waiting) == ("a", 3)
    assert line.pace.paused == pytest.approx(0.01)
    line.clock.pump([0.01, 0.1, 0.1, 0.1])
    assert line.names == "abcd"
    assert line.pace.paused == 0


def test_a_timer_that_fires_early_waits_on() -> None:
    line = Line(1)
    line.ask("a")
    line.ask("b")
    line.clock.getDelayedCalls()[0].reset(0.5)
    line.clock.advance(0.5)
    assert line.names == "a"
    line.clock.advance(0.5)
    assert line.names == "ab"
