"""The modem protocol: one timer, one write per turn, and an end that is bounded."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from smsgw.gsm.addresses import Address
from smsgw.gsm.connection import Connection
from smsgw.gsm.events import Ended, Event, MessageReceived, Sent, StateChanged, SubmitAnswered
from smsgw.gsm.protocol import LINGER, ModemFactory, ModemProtocol
from smsgw.gsm.settings import Pins, Settings
from smsgw.gsm.shapes import Submit, UserData
from smsgw.metrics import Metrics
from tests.gsm.modem import Modem
from tests.gsm.test_connection import CMT

SUBMIT = Submit(destination=Address("46700000001"), data=UserData(10, bytes.fromhex("E8329BFD4697D9EC37")))


class Transport(StringTransport):
    """Counts writes; closes only when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes) -> None:
        super().write(data)
        self.writes.append(data)

    def abortConnection(self) -> None:
        self.aborted = True


class Told:
    """The application."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.over: list[str] = []
        self.protocol: ModemProtocol
        self.do: Any = lambda event: None

    def connected(self, protocol: ModemProtocol) -> None:
        self.protocol = protocol

    def heard(self, event: Event) -> None:
        self.events.append(event)
        self.do(event)

    def lost(self, reason: str) -> None:
        self.over.append(reason)


class Stand:
    def __init__(self) -> None:
        self.clock = Clock()
        self.modem = Modem()
        self.told = Told()
        self.transport = Transport()
        self.errors = Metrics().errors.labels("gsm")
        factory = ModemFactory(Settings(), Pins(), self.told, self.clock, self.errors)
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)

    def flow(self) -> None:
        while self.transport.value() and not self.transport.disconnecting:
            data = self.transport.value()
            self.transport.clear()
            heard = self.modem.feed(data)
            if heard:
                self.protocol.dataReceived(heard)

    @property
    def connection(self) -> Connection:
        return self.protocol.connection


@pytest.fixture
def stand() -> Stand:
    return Stand()


@pytest.fixture
def ready(stand: Stand) -> Stand:
    stand.flow()
    assert stand.connection.can_send
    return stand


def test_the_gate_begins_with_the_port(stand: Stand) -> None:
    assert stand.transport.writes == [b"AT\r"]
    stand.flow()
    assert stand.connection.state == "ready"


def test_one_timer_whatever_happens(ready: Stand) -> None:
    ready.protocol.send(SUBMIT, 1)
    assert len(ready.clock.getDelayedCalls()) == 1
    ready.flow()
    assert len(ready.clock.getDelayedCalls()) == 1
    for _ in range(200):
        ready.clock.advance(1)
        ready.flow()
        assert len(ready.clock.getDelayedCalls()) == 1
    assert "AT+CSQ" in ready.modem.commands[-20:]


def test_a_message_and_its_answer(ready: Stand) -> None:
    ready.protocol.send(SUBMIT, "context")
    ready.flow()
    assert SubmitAnswered("context", Sent(1)) in ready.told.events


def test_what_one_turn_causes_is_one_write(ready: Stand) -> None:
    ready.transport.writes.clear()
    ready.told.do = lambda event: (
        ready.protocol.settle(event.handle, safe=True) if isinstance(event, MessageReceived) else None
    )
    ready.protocol.dataReceived(CMT)
    assert ready.transport.writes == [b"AT+CNMA=0\r"]


def test_silence_is_noticed_by_the_timer(stand: Stand) -> None:
    stand.modem.mute = lambda command: True
    stand.clock.advance(3.0)
    assert stand.transport.writes == [b"AT\r", b"AT\r"]


def test_a_connection_that_ends_closes_its_port_and_aborts_one_that_does_not_drain(stand: Stand) -> None:
    stand.protocol.close("enough")
    assert stand.transport.disconnecting
    assert not stand.transport.aborted
    assert [event for event in stand.told.events if isinstance(event, Ended)] == [Ended("enough", True)]
    stand.clock.advance(LINGER)
    assert stand.transport.aborted


def test_close_fires_when_the_port_is_closed(ready: Stand) -> None:
    fired: list[object] = []
    ready.protocol.send(SUBMIT, 1)
    ready.protocol.close("enough").addCallback(fired.append)
    assert fired == []
    from twisted.internet.error import ConnectionDone
    from twisted.python.failure import Failure

    ready.protocol.connectionLost(Failure(ConnectionDone()))
    assert fired == [None]
    assert ready.told.over == ["enough"]
    assert ready.clock.getDelayedCalls() == []
    ready.protocol.close("again").addCallback(fired.append)
    assert fired == [None, None]


def test_the_application_may_close_while_it_is_told(ready: Stand) -> None:
    ready.told.do = lambda event: (
        ready.protocol.close("while told") if isinstance(event, MessageReceived) else None
    )
    ready.protocol.send(SUBMIT, 1)
    ready.protocol.dataReceived(CMT)
    kinds = [type(event) for event in ready.told.events]
    assert kinds[-1] is Ended
    assert kinds.count(Ended) == 1
    assert SubmitAnswered in kinds
    assert ready.transport.disconnecting


def test_what_the_application_raises_is_counted_and_takes_nothing_along(stand: Stand) -> None:
    def fail(event: Event) -> None:
        if isinstance(event, StateChanged):
            raise RuntimeError("an application's fault")

    stand.told.do = fail
    stand.flow()
    assert stand.connection.state == "ready"
    assert stand.errors._value.get() == 3


def test_a_timer_that_comes_too_early_is_set_again(ready: Stand) -> None:
    (call,) = ready.clock.getDelayedCalls()
    before = len(ready.modem.commands)
    call.reset(0.0)
    ready.clock.advance(0.0)
    ready.flow()
    assert len(ready.modem.commands) == before
    assert len(ready.clock.getDelayedCalls()) == 1
