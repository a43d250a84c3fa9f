"""One message's whole way in one process without I/O: what a broker hands out in, acknowledgements out.

The real broker connection, gateway, ledger and SMPP session over transports in memory and a clock moved by
hand. A round carries `WIDTH` messages: deliveries, submit_sm, their responses, the ledger's commit, events,
their confirms, acknowledgements. What the peers say is made beforehand, so that only our work is timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from amqp_peer import PeerEndpoint
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport

from smsgw.broker.amqp import AmqpBroker, content, wire
from smsgw.broker.topology import Names, topology
from smsgw.channel.smpp import SmppChannel
from smsgw.channel_settings import SmppSettings
from smsgw.gateway.service import Gateway
from smsgw.ledger.sqlite import SCHEMA, SqliteLedger
from smsgw.smpp.pdu import BindTransceiverResp, SubmitSmResp, encode
from smsgw.sqlite import Database
from smsgw.strict import Secret

WIDTH = 50
TEXT = "A message of ordinary length, as shops send them to say that a parcel has come."
BODY = '{"to":"+4670%07d","from":"ACME","text":"%s","receipt":"none"}'


class Smsc:
    """The SMPP endpoint: a session over memory."""

    def __init__(self) -> None:
        self.transport = StringTransport()
        self.protocol: Any = None

    def connect(self, factory: Any) -> Deferred[Any]:
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        return succeed(self.protocol)


class MessagePath:
    """A gateway that is up: `AmqpBroker`, `SqliteLedger` and one bound SMPP session."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.smsc = Smsc()
        self.endpoint = PeerEndpoint(self.clock)
        names = Names("smsgw")
        broker = AmqpBroker(
            "amqp://guest:guest@127.0.0.1/",
            topology(["acme"], names=names),
            self.clock,
            endpoint=self.endpoint,  # type: ignore[arg-type]
        )
        database = Database(
            folder / "ledger.db", SCHEMA, synchronous="NORMAL", run_in_thread=self._at_the_end_of_the_turn
        )
        self.gateway = Gateway(
            broker,
            SqliteLedger(database),
            names=names,
            rules=(),
            keep=1e6,
            park=60,
            assembly_timeout=600,
            max_parts=1000,
            stop_timeout=5,
            clock=self.clock,
            now=time.time,
        )
        settings = SmppSettings(
            endpoint="tcp:smsc.example:2775", system_id="esme", password=Secret("secret"), width=WIDTH
        )
        self.gateway.channels["acme"] = SmppChannel(
            "acme",
            settings,
            self.smsc,  # type: ignore[arg-type]
            upstream=self.gateway,
            metrics=self.gateway.metrics,
            clock=self.clock,
            now=time.time,
        )
        self.gateway.startService()
        self._come_up()

    def prepare(self, rounds: int) -> list[Callable[[], None]]:
        """So many rounds, each to be called once, in order."""
        return [self._round(number) for number in range(rounds)]

    def _come_up(self) -> None:
        self.peer = self.endpoint.peer
        self.peer.listen()
        self.smsc.protocol.dataReceived(encode(BindTransceiverResp(sequence_number=1)))
        (consume,) = [s for s in self.peer.heard("basic.consume") if s.args["queue"] == "smsgw.submit.acme"]
        (confirm,) = self.peer.heard("confirm.select")
        self._consumer = consume.channel, consume.args["consumer-tag"]
        self._publisher = confirm.channel
        self.smsc.transport.clear()

    def _round(self, number: int) -> Callable[[], None]:
        first = number * WIDTH
        deliveries = b"".join(self._delivery(first + each) for each in range(WIDTH))
        answers = b"".join(
            encode(SubmitSmResp(message_id=f"{first + each:010}"), first + each + 2) for each in range(WIDTH)
        )
        confirm = self._method(self._publisher, "basic.ack", first + WIDTH, True)
        client, smsc, clock, out = self.peer.client, self.smsc, self.clock, self.peer.transport

        def carry() -> None:
            accepted = self.gateway.outgoing.accepted
            client.dataReceived(deliveries)
            clock.advance(0)
            smsc.protocol.dataReceived(answers)
            clock.advance(0)  # the ledger commits
            clock.advance(0)  # the events are written
            client.dataReceived(confirm)
            clock.advance(0)  # the acknowledgements are written
            smsc.transport.clear()
            out.clear()
            assert accepted["acme"] == first + WIDTH
            assert not self.gateway.in_flight

        return carry

    def _delivery(self, number: int) -> bytes:
        channel, consumer = self._consumer
        body = (BODY % (number, TEXT)).encode()
        properties = content.encode_properties(
            {"content_type": "application/json", "delivery_mode": 2, "message_id": f"m{number}"}
        )
        size = len(body).to_bytes(8, "big")
        return (
            self._method(channel, "basic.deliver", consumer, number + 1, False, "smsgw.submit", "acme")
            + wire.frame(wire.FRAME_HEADER, channel, b"\x00\x3c\x00\x00" + size + properties)
            + wire.frame(wire.FRAME_BODY, channel, body)
        )

    @staticmethod
    def _method(channel: int, name: str, *arguments: Any) -> bytes:
        klass, _, rest = name.partition(".")
        method = wire.SPEC.classes.byname[klass].methods.byname[rest]
        return wire.frame(wire.FRAME_METHOD, channel, wire.encode_method(method, arguments))

    def _at_the_end_of_the_turn(self, function: Callable[[], Any], /) -> Deferred[Any]:
        """As a thread does: what comes meanwhile is committed together."""
        return deferLater(self.clock, 0, function)
