"""A link's life: every state, every way on, and a stop in each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, globalLogPublisher

from smsgw.channel.link import STEADY, Backoff, Ended, Link, Progress

BACKOFF = Backoff(first=1.0, dial=5.0, refused=60.0)


class Try:
    """One call of `serve`, told by the test how to go on."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.cancelled = False
        self.over: Deferred[Ended] = Deferred(self._cancel)

    def _cancel(self, _: object) -> None:
        self.cancelled = True


class Rig:
    """A link whose tries the test plays."""

    def __init__(self, jitter: float = 1.0) -> None:
        self.clock = Clock()
        self.tries: list[Try] = []
        self.errors = Counter("errors", "unexpected", registry=CollectorRegistry())
        self.link = Link(
            "acme#1",
            self.serve,
            self.clock,
            backoff=BACKOFF,
            now=lambda: 1000.0 + self.clock.seconds(),
            errors=self.errors,
            jitter=lambda: jitter,
        )

    async def serve(self, progress: Progress, /) -> Ended:
        self.tries.append(Try(progress))
        return await self.tries[-1].over

    @property
    def now(self) -> Try:
        return self.tries[-1]

    def fail(self, *, refused: bool = False) -> float:
        """End the try, and return the pause that follows."""
        self.now.over.callback(Ended("no", refused=refused))
        assert self.link.state.retry_in is not None
        return self.link.state.retry_in

    def fail_and_wait(self, *, refused: bool = False) -> float:
        pause = self.fail(refused=refused)
        self.clock.advance(pause)
        return pause


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.link.start()
    return made


@pytest.fixture
def logged() -> Iterator[list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


def stop(link: Link) -> list[None]:
    fired: list[None] = []
    link.stop().addCallback(fired.append)
    return fired


# -- the way up and down


def test_a_link_goes_through_its_states(rig: Rig) -> None:
    names = [rig.link.state.name]
    for name in ("binding", "up"):
        rig.now.progress(name)
        names.append(rig.link.state.name)
    rig.now.over.callback(Ended("the peer is gone"))
    names.append(rig.link.state.name)
    rig.clock.advance(1.0)
    names.append(rig.link.state.name)
    assert names == ["dialing", "binding", "up", "waiting", "dialing"]
    assert len(rig.tries) == 2


def test_the_state_says_when_why_and_how_often(rig: Rig) -> None:
    rig.clock.advance(3)
    rig.fail()
    state = rig.link.state
    assert (state.since, state.error, state.tries, state.retry_in) == (1003.0, "no", 1, 1.0)
    assert str(state) == (
        "waiting since 1970-01-01 00:16:43Z, next try 1.0 s later (1 failed), last error: no"
    )
    rig.clock.advance(1.0)
    assert (rig.link.state.name, rig.link.state.error) == ("dialing", "no")
    rig.now.progress("up")
    assert rig.link.state.error is None
    assert repr(rig.link) == "<link acme#1 up>"


def test_starting_twice_dials_once(rig: Rig) -> None:
    rig.link.start()
    assert len(rig.tries) == 1


# -- the back-off


def test_the_pause_doubles_up_to_the_limit_of_a_dial(rig: Rig) -> None:
    assert [rig.fail_and_wait() for _ in range(6)] == [1, 2, 4, 5, 5, 5]


def test_a_refusal_has_a_longer_limit(rig: Rig) -> None:
    assert [rig.fail_and_wait(refused=True) for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_an_occupied_account_has_the_longest_pause_at_once() -> None:
    pauses = [BACKOFF.pause(tries, refused=True, jitter=1.0, occupied=True) for tries in (1, 2, 50)]
    assert pauses == [60, 60, 60]


def test_a_link_that_was_refused_in_the_end_was_not_steady(rig: Rig) -> None:
    pauses = []
    for _ in range(3):
        rig.now.progress("up")
        rig.clock.advance(STEADY)
        pauses.append(rig.fail_and_wait(refused=True))
    assert pauses == [1, 2, 4]


def test_a_dial_that_fails_after_refusals_is_tried_soon(rig: Rig) -> None:
    for _ in range(8):
        rig.fail_and_wait(refused=True)
    assert rig.fail() == 5


@pytest.mark.parametrize(("jitter", "pause"), [(0.0, 4.0), (0.5, 4.5), (1.0, 5.0)])
def test_jitter_takes_up_to_a_fifth(jitter: float, pause: float) -> None:
    assert BACKOFF.pause(9, refused=False, jitter=jitter) == pytest.approx(pause)


def test_thousands_of_tries_do_not_overflow() -> None:
    assert BACKOFF.pause(10**6, refused=True, jitter=1.0) == 60.0


def test_a_steady_link_starts_over(rig: Rig) -> None:
    for _ in range(4):
        rig.fail_and_wait()
    rig.now.progress("up")
    rig.clock.advance(STEADY)
    assert rig.fail() == 1.0
    assert rig.link.state.tries == 1


def test_a_link_that_falls_at_once_does_not_start_over(rig: Rig) -> None:
    for _ in range(3):
        rig.fail_and_wait()
    rig.now.progress("up")
    rig.clock.advance(STEADY - 0.1)
    assert rig.fail() == 5.0


def test_a_long_dial_is_not_a_steady_link(rig: Rig) -> None:
    for _ in range(3):
        rig.fail_and_wait()
    rig.clock.advance(10 * STEADY)
    rig.now.progress("up")
    assert rig.fail() == 5.0


def test_a_steady_link_does_not_vouch_for_the_next(rig: Rig) -> None:
    rig.now.progress("up")
    rig.clock.advance(STEADY)
    assert [rig.fail_and_wait(), rig.fail_and_wait()] == [1.0, 2.0]


# -- the log


def test_one_line_for_each_try(rig: Rig, logged: list[dict[str, Any]]) -> None:
    for _ in range(5):
        rig.fail_and_wait(refused=True)
    lines = [event for event in logged if event["log_namespace"] == "smsgw.channel.link.Link"]
    assert len(lines) == 5
    assert [line["pause"] for line in lines] == [1, 2, 4, 8, 16]
    assert {(line["link"], line["reason"]) for line in lines} == {("acme#1", "no")}


# -- what nobody expected


def test_an_unexpected_exception_does_not_end_the_link(rig: Rig, logged: list[dict[str, Any]]) -> None:
    rig.now.over.errback(ZeroDivisionError("ours"))
    assert rig.link.state.name == "waiting"
    assert rig.errors._value.get() == 1
    assert [event["log_level"] for event in logged][:1] == [LogLevel.critical]
    rig.clock.advance(1.0)
    assert len(rig.tries) == 2


def test_an_exception_over_and_over_backs_off_like_a_refusal(rig: Rig) -> None:
    for _ in range(7):
        rig.now.over.errback(ZeroDivisionError())
        rig.clock.advance(60)
    rig.now.over.errback(ZeroDivisionError())
    assert rig.link.state.retry_in == 60.0


# -- stop, wherever it is


def to_dialing(rig: Rig) -> None: ...


def to_binding(rig: Rig) -> None:
    rig.now.progress("binding")


def to_up(rig: Rig) -> None:
    rig.now.progress("up")


def to_waiting(rig: Rig) -> None:
    rig.fail()


@pytest.mark.parametrize("reach", [to_dialing, to_binding, to_up, to_waiting])
def test_stop_in_every_state(rig: Rig, reach: Callable[[Rig], None], logged: list[dict[str, Any]]) -> None:
    reach(rig)
    logged.clear()
    assert stop(rig.link) == [None]
    assert rig.link.state.name == "stopped"
    rig.clock.advance(1000)
    assert len(rig.tries) == 1
    assert rig.clock.getDelayedCalls() == []
    assert logged == []
    assert rig.errors._value.get() == 0


@pytest.mark.parametrize("reach", [to_dialing, to_binding, to_up])
def test_stop_cancels_the_try(rig: Rig, reach: Callable[[Rig], None]) -> None:
    reach(rig)
    stop(rig.link)
    assert rig.now.cancelled


def test_stop_waits_for_a_try_that_says_goodbye() -> None:
    clock, goodbye = Clock(), Deferred[None]()

    async def serve(progress: Progress, /) -> Ended:
        progress("up")
        try:
            return await Deferred()
        except CancelledError:
            await goodbye
            raise

    link = Link("x", serve, clock, now=clock.seconds, errors=Counter("e", "e", registry=CollectorRegistry()))
    link.start()
    fired = stop(link)
    assert (fired, link.state.name) == ([], "closing")
    goodbye.callback(None)
    assert (fired, link.state.name) == ([None], "stopped")


def test_whoever_stops_it_meanwhile_waits_for_the_same_end() -> None:
    clock, goodbye = Clock(), Deferred[None]()

    async def serve(progress: Progress, /) -> Ended:
        try:
            return await Deferred()
        except CancelledError:
            await goodbye
            raise

    link = Link("x", serve, clock, now=clock.seconds, errors=Counter("e", "e", registry=CollectorRegistry()))
    link.start()
    first, second = stop(link), stop(link)
    assert (first, second) == ([], [])
    goodbye.callback(None)
    assert (first, second, link.state.name) == ([None], [None], "stopped")
    assert stop(link) == [None]


def test_stop_of_what_never_started() -> None:
    assert stop(Rig().link) == [None]


def test_a_stopped_link_can_be_started_again(rig: Rig) -> None:
    rig.fail_and_wait()
    stop(rig.link)
    rig.link.start()
    assert rig.link.state.name == "dialing"
    assert rig.fail() == 1.0


def hostname(reactor: MemoryReactorClock) -> Any:
    return HostnameEndpoint(reactor, b"192.0.2.1", 2775)


def address(reactor: MemoryReactorClock) -> Any:
    return TCP4ClientEndpoint(reactor, "192.0.2.1", 2775)


@pytest.mark.parametrize("endpoint", [hostname, address])
def test_stop_while_an_endpoint_of_twisteds_dials(endpoint: Callable[[MemoryReactorClock], Any]) -> None:
    """Their Deferreds fail with ConnectingCancelledError, which is no CancelledError."""
    reactor = MemoryReactorClock()
    tries = []

    async def serve(progress: Progress, /) -> Ended:
        tries.append(1)
        try:
            await endpoint(reactor).connect(Factory())
        except ConnectError as error:
            return Ended(str(error))
        raise AssertionError("nobody answers")

    errors = Counter("e", "e", registry=CollectorRegistry())
    link = Link("x", serve, reactor, now=reactor.seconds, errors=errors)
    link.start()
    reactor.advance(1)
    assert reactor.tcpClients
    assert stop(link) == [None]
    reactor.pump([30] * 10)
    assert len(tries) == 1
    assert errors._value.get() == 0
