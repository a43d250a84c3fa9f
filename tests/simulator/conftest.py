"""A client of a simulated message centre, without a network: PDUs in, PDUs out, time by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.python.failure import Failure

from smsgw.simulator.behaviour import Behaviour
from smsgw.simulator.smsc import MessageCentre
from smsgw.smpp.framing import Framer
from smsgw.smpp.pdu import BindTransceiver, DeliverSm, Pdu, SubmitSm, decode, encode, response_to

WALL = 1_800_000_000.0


class Client:
    """One connection. `segments` are what the message centre wrote, one for each write."""

    def __init__(self, centre: MessageCentre) -> None:
        self.segments: list[bytes] = []
        self._framer = Framer()
        self._number = 0
        self._read = 0
        self.transport = StringTransportWithDisconnection()
        self.wire = centre.factory().buildProtocol(None)
        self.transport.protocol = self.wire
        write = self.transport.write
        self.transport.write = lambda data: (self.segments.append(data), write(data))  # type: ignore[method-assign]
        self.wire.makeConnection(self.transport)

    @property
    def connected(self) -> bool:
        return bool(self.transport.connected)

    def send(self, *pdus: Pdu) -> None:
        """In one segment, with sequence numbers where they have none; nowhere once the link is gone."""
        if self.connected:
            self.wire.dataReceived(b"".join(self.frame(pdu) for pdu in pdus))

    def frame(self, pdu: Pdu) -> bytes:
        if pdu.sequence_number:
            return encode(pdu)
        self._number += 1
        return encode(pdu, self._number)

    def octets(self) -> bytes:
        """What was written since the last reading."""
        found = self.transport.value()
        self.transport.clear()
        return bytes(found)

    def read(self) -> list[Pdu]:
        """The PDUs that were written since the last reading."""
        return [decode(frame) for frame in self._framer.feed(self.octets())]

    def ask(self, pdu: Pdu) -> Pdu:
        """Send one and read the one that answers it."""
        self.send(pdu)
        (answer,) = self.read()
        return answer

    def bind(self, pdu: Pdu | None = None) -> Client:
        response = self.ask(pdu or BindTransceiver(system_id="acme", password="secret"))
        assert response.command_status == 0
        return self

    def submit(self, text: str = "hello", to: str = "46701", **fields: Any) -> Pdu:
        """Submit without asking for a receipt; the answer."""
        return self.ask(
            SubmitSm(destination_addr=to, source_addr="ACME", short_message=text.encode(), **fields)
        )

    def take(self, status: int = 0) -> list[DeliverSm]:
        """Read deliveries and answer each with a status."""
        found = [pdu for pdu in self.read() if isinstance(pdu, DeliverSm)]
        for pdu in found:
            self.send(response_to(pdu, command_status=status))
        return found

    def lose(self) -> None:
        """The network is gone."""
        if not self.connected:
            return
        self.transport.connected = False
        self.wire.connectionLost(Failure(ConnectionDone()))


class World:
    """A message centre under a clock, and its clients."""

    def __init__(self, behaviour: Behaviour, log: Path | None, accounts: dict[str, str]) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.centre = MessageCentre(
            behaviour, self.clock, accounts, log, wall=lambda: WALL + self.clock.seconds()
        )

    def dial(self) -> Client:
        return Client(self.centre)

    def bound(self, pdu: Pdu | None = None) -> Client:
        return self.dial().bind(pdu)

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)


@pytest.fixture
def world() -> Callable[..., World]:
    """`world(throttle=1.0)` is a message centre that behaves so; `log` and `accounts` as it has them."""

    def make(*, log: Path | None = None, accounts: dict[str, str] | None = None, **fields: Any) -> World:
        # our own enquire_links would be in the way of what a test counts
        behaviour = Behaviour(**({"enquire_link": 0.0, "first_id": 100} | fields))
        return World(behaviour, log, accounts or {})

    return make
