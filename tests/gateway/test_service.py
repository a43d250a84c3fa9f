"""The order in which a gateway starts and stops."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway.fakes import (
    NOW,
    FakeBroker,
    FakeChannel,
    FakeDelivery,
    FakeSession,
    TroubledLedger,
    message,
    result,
)
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from smsgw.broker.base import Properties
from smsgw.broker.topology import Names
from smsgw.gateway.service import Gateway
from smsgw.message import Submission
from smsgw.outcome import Accepted, Outcome, Part, Unknown, Unsent
from smsgw.sms.join import Fragment

STOP_TIMEOUT = 30.0


class Channel(FakeChannel):
    """A channel that tells the story, with one session; `stop` ends what the session has in flight."""

    def __init__(self, story: list[str], gateway: Gateway) -> None:
        super().__init__()
        self.session = FakeSession(self, story)
        self.session.answer = self._answer
        self.answers: list[Deferred[Outcome]] = []
        self.hangs = False
        self._story = story
        self._gateway = gateway

    def _answer(self, _: Submission) -> Deferred[Outcome]:
        self.answers.append(Deferred())
        return self.answers[-1]

    def start(self) -> None:
        self._story.append("channel start")
        self._gateway.opened(self.session)

    def stop(self) -> Deferred[None]:
        self._story.append("channel stop")
        if self.hangs:
            return Deferred()
        for answer in self.answers:
            if not answer.called:
                answer.callback(Unknown("link lost", link_lost=True))
        return succeed(None)


class Rig:
    def __init__(self, path: Path) -> None:
        self.story: list[str] = []
        self.clock = Clock()
        self.broker = FakeBroker(self.story)
        self.gateway = Gateway(
            self.broker,
            TroubledLedger(path / "ledger.db", self.story),
            names=Names(),
            rules=[],
            keep=3600,
            park=60,
            assembly_timeout=600,
            max_parts=1000,
            stop_timeout=STOP_TIMEOUT,
            clock=self.clock,
            now=lambda: NOW + self.clock.seconds(),
        )
        self.channel = Channel(self.story, self.gateway)
        self.gateway.channels["acme"] = self.channel
        self.stopped: list[None] = []

    def start(self) -> None:
        self.gateway.startService()

    def stop(self) -> None:
        self.gateway.stopService().addCallback(self.stopped.append)

    def take(self, message_id: str = "m1") -> FakeDelivery:
        (consumer,) = [each for each in self.broker.consumers if each.queue == "smsgw.submit.nordic"]
        return consumer.deliver(
            FakeDelivery(self.story, message(), Properties(message_id=message_id), queue=consumer.queue)
        )

    def told(self) -> list[str]:
        told = list(self.story)
        self.story.clear()
        return told


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    made.start()
    yield made
    if made.gateway.running:
        made.stop()
        made.clock.pump([STOP_TIMEOUT] * 3)


def test_it_starts_from_the_stores_to_the_channels(rig: Rig) -> None:
    assert rig.told() == [
        "ledger start",
        "broker start",
        "consume smsgw.route 100",
        "channel start",
        "consume smsgw.submit.nordic 10",
    ]
    assert rig.gateway.started == NOW


def test_it_stops_in_the_order_that_loses_and_doubles_nothing(rig: Rig) -> None:
    rig.take()
    rig.told()
    rig.stop()
    assert rig.told() == ["cancel smsgw.route", "cancel smsgw.submit.nordic", "yield acme#1"]
    rig.channel.answers[0].callback(Accepted((Part("A1"),)))
    rig.clock.advance(0)
    assert rig.told() == [
        "remember",
        "publish smsgw.events accepted.acme",
        "confirmed smsgw.events accepted.acme",
        "clear",
        "ack",
        "release smsgw.submit.nordic",
        "channel stop",
        "broker stop",
        "ledger stop",
    ]
    assert rig.stopped == [None]
    rig.clock.advance(0)
    assert rig.clock.getDelayedCalls() == []


def test_what_waits_is_let_go_before_it_is_waited_for(rig: Rig) -> None:
    delivery = rig.take()
    rig.channel.session.yield_waiting = lambda: rig.channel.answers[0].callback(Unsent("stopping"))  # type: ignore[method-assign]
    rig.stop()
    assert delivery.settled == "nack"
    assert rig.stopped == [None]


def test_stopping_waits_for_messages_no_longer_than_the_timeout(rig: Rig) -> None:
    delivery = rig.take()
    rig.told()
    rig.stop()
    rig.clock.advance(STOP_TIMEOUT - 0.1)
    assert (rig.stopped, "channel stop" in rig.told()) == ([], False)
    rig.clock.advance(0.1)
    assert rig.told() == ["channel stop", "nack", "broker stop", "ledger stop"]
    assert (rig.stopped, delivery.settled) == ([None], "nack")


def test_stopping_waits_for_a_channel_no_longer_than_the_timeout(rig: Rig) -> None:
    rig.channel.hangs = True
    rig.stop()
    rig.told()
    rig.clock.advance(STOP_TIMEOUT)
    assert rig.told() == ["broker stop", "ledger stop"]
    assert rig.stopped == [None]


def test_a_broker_that_does_not_answer_the_cancel_does_not_hold_the_stop(rig: Rig) -> None:
    for consumer in rig.broker.consumers:
        consumer.holds_cancel = True
    rig.stop()
    rig.clock.advance(STOP_TIMEOUT)
    assert rig.stopped == [None]


def test_a_session_that_binds_during_the_stop_is_given_nothing(rig: Rig) -> None:
    rig.take()
    rig.stop()
    rig.told()
    rig.gateway.opened(FakeSession(FakeChannel("late"), rig.story))
    assert rig.told() == []


def test_a_message_from_a_phone_is_published_and_what_is_never_whole_too(rig: Rig) -> None:
    whole = Fragment(payload=b"hi", charset="gsm7")
    part = Fragment(payload=b"half", charset="gsm7", kind="udh", total=2)
    for fragment in (whole, part):
        result(rig.gateway.inbound(rig.channel, "+46700000001", "12345", fragment))
    rig.clock.advance(600)
    rig.clock.advance(5)
    messages = rig.broker.events("smsgw.inbound")
    assert [(message["text"], message["complete"]) for message in messages] == [("hi", True), ("half", False)]


def test_in_flight_counts_what_is_carried(rig: Rig) -> None:
    assert rig.gateway.in_flight == 0
    rig.take()
    rig.take("m2")
    assert rig.gateway.in_flight == 2
    rig.channel.answers[0].callback(Unsent("x"))
    assert rig.gateway.in_flight == 1


def test_the_repr_is_an_operators_view(rig: Rig) -> None:
    assert repr(rig.gateway) == "<smsgw gateway: running, broker up, 1 of 1 channels up>"
    rig.channel.sessions_up = 0
    rig.stop()
    assert repr(rig.gateway) == "<smsgw gateway: stopped, broker up, 0 of 1 channels up>"


def test_it_is_a_service_with_a_name(rig: Rig) -> None:
    assert (rig.gateway.name, rig.gateway.running) == ("smsgw", 1)
