"""The turns of those who wait for a token."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from smsgw.channel.pace import Pace
from smsgw.channel.rate import CALM, FIRST_PAUSE, START

# -- taking turns


class Line:
    """A pace on a clock, and who was let go in what order."""

    def __init__(self, rate: float) -> None:
        self.clock = Clock()
        self.pace = Pace(rate, self.clock, jitter=lambda: 0.5)
        self.went: list[tuple[str, bool]] = []

    def ask(self, name: str, owner: str = "s1") -> Deferred[bool]:
        token = self.take(owner)
        token.addCallbacks(lambda granted: self.went.append((name, granted)), lambda _: None)
        return token

    def take(self, owner: str) -> Deferred[bool]:
        return succeed(True) if self.pace.take() else self.pace.wait(owner)

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


def test_a_token_is_taken_at_once_or_waited_for() -> None:
    line = Line(10)
    assert line.pace.take()
    assert not line.pace.take(), "a tenth of a second's worth is one token"
    line.ask("a")
    line.clock.rightNow += 0.3  # there are tokens again, and the timer has not fired yet
    assert not line.pace.take(), "who waits comes first"
    line.run()
    line.clock.rightNow += 0.1
    assert line.pace.take()


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
        line.take("s").addCallback(lambda _: times.append(line.clock.seconds()))
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
    token = line.take("s1")
    token.addCallback(lambda _: line.ask("again"))
    line.ask("b")
    line.clock.pump([1, 1, 1])
    assert [name for name, _ in line.went] == ["a", "b", "again"]


def test_throttling_stops_the_line_and_keeps_its_order() -> None:
    line = Line(10)
    for name in "abc":
        line.ask(name)
    assert line.pace.throttled(line.pace.now)
    line.clock.advance(FIRST_PAUSE - 0.01)
    line.ask("d")
    assert (line.names, line.pace.waiting) == ("a", 3)
    assert line.pace.paused == pytest.approx(0.01)
    line.run()
    assert line.names == "abcd"
    assert line.pace.paused == 0


def test_a_spell_of_throttling_begins_once_and_ends_once() -> None:
    line = Line(0)
    began, over = [], []
    for _ in range(5):
        line.ask("a")
        line.clock.advance(1)
        began.append(line.pace.throttled(line.pace.now))
        over.append(line.pace.took(line.pace.now))
    assert (began, over) == ([True] + [False] * 4, [False] * 5)
    for _ in range(3):
        line.clock.advance(CALM)
        line.ask("b")
        over.append(line.pace.took(line.pace.now))
    assert over[5:] == [True, False, False]
    assert line.pace.throttled(line.pace.now)


def test_its_repr_says_how_fast_and_why() -> None:
    line = Line(0)
    assert repr(line.pace) == "rate unlimited"
    assert repr(Line(100).pace) == "rate 100.0"
    line.pace.took(0.0)
    line.pace.throttled(0.0)
    assert repr(line.pace) == f"rate {START:.1f} learned, paused for 0.1 s"
    assert (line.pace.slowed, line.pace.rate) == (True, START)
    line.clock.advance(CALM)
    assert repr(line.pace) == "rate unlimited"


def test_who_waits_for_a_learned_rate_goes_when_it_is_forgotten() -> None:
    line = Line(0)
    line.pace.throttled(0.0)
    for _ in range(500):
        line.ask("x")
    line.clock.pump([0.01] * 20)
    assert 0 < line.pace.waiting < 500
    line.clock.advance(CALM)
    assert line.pace.waiting == 0


def test_a_timer_that_fires_early_waits_on() -> None:
    line = Line(1)
    line.ask("a")
    line.ask("b")
    line.clock.getDelayedCalls()[0].reset(0.5)
    line.clock.advance(0.5)
    assert line.names == "a"
    line.clock.advance(0.5)
    assert line.names == "ab"


def test_what_is_owed_is_waited_for_by_who_comes_next() -> None:
    line = Line(1)
    line.ask("a")
    line.pace.owe()
    line.pace.owe()
    line.ask("b")
    line.clock.advance(2.9)
    assert line.names == "a"
    line.clock.advance(0.2)
    assert line.names == "ab"


def test_without_a_limit_nothing_is_owed() -> None:
    pace = Line(0).pace
    pace.owe()
    assert pace.take()
