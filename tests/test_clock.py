"""Durations do not follow the wall clock."""

import time
from typing import Any

import pytest
from twisted.internet.interfaces import IReactorTime
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from smsgw.clock import MonotonicClock, Seldom, follow_monotonic_time


def test_seconds_are_monotonic_whatever_the_reactor_says() -> None:
    reactor = Clock()
    reactor.advance(1e9)
    before = time.monotonic()
    assert before <= MonotonicClock(reactor).seconds() <= time.monotonic()


def test_calls_are_the_reactors() -> None:
    reactor, called = Clock(), []
    clock = MonotonicClock(reactor)
    verifyObject(IReactorTime, clock)
    call = clock.callLater(5, lambda *args, **kwargs: called.append((args, kwargs)), 1, key=2)
    assert clock.getDelayedCalls() == [call]
    reactor.advance(4.9)
    assert called == []
    reactor.advance(0.1)
    assert called == [((1,), {"key": 2})]
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_reactor_that_follows_it_ignores_the_wall_clock(
    monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    reactor: Any = SelectReactor()
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    follow_monotonic_time(reactor)
    wall = time.time()
    monkeypatch.setattr(time, "time", lambda: wall + jump)
    called: list[float] = []
    reactor.callLater(5, lambda: called.append(now[0]))
    for _ in range(10):
        reactor.runUntilCurrent()
        now[0] += 1
    assert called == [1005.0]


def test_what_happens_often_is_seldom_said() -> None:
    clock = Clock()
    seldom = Seldom(clock, pause=10.0)
    said = []
    for _ in range(25):
        said.append(seldom.due())
        clock.advance(1)
    assert [each for each in said if each is not None] == [0, 9, 9]
    clock.advance(60)
    assert seldom.due() == 4
