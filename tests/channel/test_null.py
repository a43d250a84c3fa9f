"""The channel that sends nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from smsgw.channel.null import NullChannel
from smsgw.message import Message, Submission
from smsgw.outcome import Accepted, Expired, Outcome, Part, Unsent

MESSAGE = Submission(id="m1", message=Message(to="46700000001", text="hi"), made=0.0)


class Gateway:
    """The upstream; writes down which sessions came and went."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def opened(self, session: Any) -> None:
        self.told.append(("opened", session.name))

    def closed(self, session: Any) -> Deferred[None]:
        self.told.append(("closed", session.name))
        return succeed(None)

    def receipt(self, *_: object) -> None:
        raise AssertionError("there are none")


def channel(clock: Clock, *, rate: float = 0, delay: float = 0) -> tuple[NullChannel, Gateway]:
    gateway = Gateway()
    made = NullChannel(
        "dry",
        queue="bulk",
        width=10,
        rate=rate,
        delay=delay,
        upstream=gateway,
        clock=clock,
        now=clock.seconds,
    )
    return made, gateway


def send(made: NullChannel, deadline: float | None = None) -> list[Outcome]:
    fired: list[Outcome] = []
    submission = msgspec.structs.replace(MESSAGE, deadline=deadline)
    made.session.deliver(submission, fired.append)  # type: ignore[arg-type]
    return fired


@pytest.mark.parametrize(("deadline", "kind"), [(1.5, Expired), (2.5, Accepted)])
def test_a_deadline_counts_here_too(deadline: float, kind: type[Outcome]) -> None:
    clock = Clock()
    made, _ = channel(clock, delay=2.0)
    outcome = send(made, deadline)
    clock.advance(2)
    assert [type(each) for each in outcome] == [kind]


def test_it_takes_everything_at_once() -> None:
    made, _ = channel(Clock())
    assert send(made) == [Accepted((Part("null-1"),))]
    assert send(made) == [Accepted((Part("null-2"),))]


def test_it_takes_after_a_delay() -> None:
    clock = Clock()
    made, _ = channel(clock, delay=2)
    fired = send(made)
    clock.advance(1.9)
    assert fired == []
    clock.advance(0.1)
    assert fired == [Accepted((Part("null-1"),))]


def test_it_keeps_its_rate() -> None:
    clock = Clock()
    made, _ = channel(clock, rate=1)
    first, second = send(made), send(made)
    assert (len(first), len(second)) == (1, 0)
    clock.advance(1)
    assert len(second) == 1


def test_who_waits_is_let_go_unsent() -> None:
    made, _ = channel(Clock(), rate=1)
    send(made)
    waiting = send(made)
    made.session.yield_waiting()
    assert waiting == [Unsent("stopping")]


def test_it_is_up_while_it_is_started() -> None:
    made, gateway = channel(Clock())
    assert (made.sessions_up, repr(made)) == (0, "<null channel dry: stopped, 0 taken>")
    made.start()
    assert (made.sessions_up, repr(made)) == (1, "<null channel dry: up, 0 taken>")
    made.stop()
    assert made.sessions_up == 0
    assert gateway.told == [("opened", "dry#1"), ("closed", "dry#1")]


@pytest.mark.parametrize(
    ("name", "value"),
    [("retry", ()), ("queue", "bulk"), ("account", "dry"), ("name", "dry")],
)
def test_what_it_says_of_itself(name: str, value: object) -> None:
    made, _ = channel(Clock())
    assert getattr(made, name) == value
    assert [session.channel for session in made.sessions] == [made]
    assert made.index_key("null-7") == "null-7"
