"""What one submit_sm and its response cost, in microseconds of CPU, floor by floor.

    python benchmarks/smpp_session.py [WINDOW] [PAIRS]

`codec`: encode and decode of both PDUs, on both sides. `connections`: two sessions without I/O talking to
each other. `protocols`: the same with Twisted on memory transports, one side's share. `TCP`: two protocols
over the loopback in one process, with every request written at once; and again with the writes of one
reactor turn gathered by a timer of our own, which is what `smsgw.smpp.protocol` decided against.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from smsgw.clock import MonotonicClock
from smsgw.smpp.connection import Connection, Timers
from smsgw.smpp.events import Answer, RequestReceived
from smsgw.smpp.pdu import (
    BindTransceiver,
    BindTransceiverResp,
    Pdu,
    SubmitSm,
    SubmitSmResp,
    decode,
    encode,
    response_to,
)
from smsgw.smpp.protocol import SmppFactory, SmppProtocol

reactor: Any = installed

SUBMIT = SubmitSm(
    source_addr_ton=5,
    source_addr="ACME",
    dest_addr_ton=1,
    dest_addr_npi=1,
    destination_addr="46700000001",
    registered_delivery=1,
    short_message=b"A message of ordinary length, as shops send them to say that a parcel has come.",
)


def response(pdu: Pdu) -> Pdu:
    if type(pdu) is SubmitSm:
        return SubmitSmResp(message_id="0123456789", sequence_number=pdu.sequence_number)
    return response_to(pdu)


def codec(pairs: int) -> float:
    began = time.process_time()
    for number in range(pairs):
        submit = decode(encode(SUBMIT, number))
        decode(encode(response(submit)))
    return time.process_time() - began


def connections(window: int, pairs: int) -> float:
    esme, smsc = (Connection(role, Timers(), window) for role in ("esme", "smsc"))
    esme.connected(0.0)
    smsc.connected(0.0)
    esme.send_request(BindTransceiver(), 0.0, "bind")
    smsc.receive(esme.data_to_send(), 0.0)
    smsc.send_response(BindTransceiverResp(sequence_number=1), 0.0)
    esme.receive(smsc.data_to_send(), 0.0)
    began = time.process_time()
    for _ in range(pairs // window):
        for _ in range(window):
            esme.send_request(SUBMIT, 1.0, "context")
        for event in smsc.receive(esme.data_to_send(), 1.0):
            if type(event) is RequestReceived:
                smsc.send_response(response(event.pdu), 1.0)
        esme.receive(smsc.data_to_send(), 1.0)
    return time.process_time() - began


class Side:
    """Answers at once; as an ESME it keeps the window full until all is answered."""

    def __init__(self, pairs: int = 0, window: int = 0) -> None:
        self.protocol: SmppProtocol
        self.left, self.unanswered, self.window = pairs, pairs, window
        self.done: Deferred[None] = Deferred()

    def connected(self, protocol: SmppProtocol) -> None:
        self.protocol = protocol

    def received(self, pdu: Pdu) -> None:
        self.protocol.respond(response(pdu))

    def fill(self, _bound: object = None) -> None:
        while self.left and self.protocol.in_flight < self.window:
            self.left -= 1
            self.protocol.request(SUBMIT, self.answered)

    def answered(self, _answer: Answer) -> None:
        self.unanswered -= 1
        if self.unanswered:
            self.fill()
        else:
            self.done.callback(None)

    def answered_late(self, *_: object) -> None: ...
    def unbinding(self) -> None: ...
    def malformed(self, *_: object) -> None: ...
    def lost(self, reason: str) -> None: ...


class Later(Side):
    """Asks for more outside of the read, one reactor turn later, as a broker's deliveries would."""

    def answered(self, answer: Answer) -> None:
        self.unanswered -= 1
        if not self.unanswered:
            self.done.callback(None)
        elif self.protocol.in_flight == 0:
            reactor.callLater(0, self.fill)


class Gathering(SmppProtocol):
    """What was decided against: one flush per reactor turn, by a timer."""

    waiting = False

    def request(self, pdu: Pdu, answered: Any) -> None:
        busy, self._busy = self._busy, True
        super().request(pdu, answered)
        self._busy = busy
        if not busy and not self.waiting:
            self.waiting = True
            self._clock.callLater(0, self.leave)

    def leave(self) -> None:
        self.waiting = False
        self._flush()


def protocols(window: int, pairs: int) -> float:
    """The ESME's share alone: the responses are made beforehand."""
    clock = Clock()
    side = Side(pairs, window)
    protocol = SmppFactory("esme", Timers(), window, lambda _: side, clock).buildProtocol(None)
    wire = StringTransport()
    protocol.makeConnection(wire)
    protocol.bind(BindTransceiver()).addCallback(side.fill)
    protocol.dataReceived(encode(BindTransceiverResp(sequence_number=1)))
    answers = [encode(SubmitSmResp(message_id="0123456789"), number + 2) for number in range(pairs)]
    turns = [b"".join(answers[at : at + window]) for at in range(0, pairs, window)]
    began = time.process_time()
    for turn in turns:
        wire.clear()
        protocol.dataReceived(turn)
    return time.process_time() - began


async def over_tcp(side: Side, shape: type[SmppProtocol]) -> tuple[float, float]:
    clock = MonotonicClock(reactor)
    server = SmppFactory("smsc", Timers(), side.window, lambda _: Side(), clock)
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(server)
    client = SmppFactory("esme", Timers(), side.window, lambda _: side, clock)
    built = client.buildProtocol

    def build(addr: Any) -> SmppProtocol:
        protocol = built(addr)
        protocol.__class__ = shape
        return protocol

    client.buildProtocol = build  # type: ignore[method-assign]
    protocol = await TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port).connect(client)
    await protocol.bind(BindTransceiver())
    began, wall = time.process_time(), time.monotonic()
    side.fill()
    await side.done
    spent = time.process_time() - began, time.monotonic() - wall
    await protocol.unbind()
    await port.stopListening()
    return spent


async def main(window: int, pairs: int) -> None:
    def say(name: str, seconds: float, note: str = "") -> None:
        print(f"{name:34} {seconds / pairs * 1e6:7.2f} us a pair {note}")

    pairs -= pairs % window
    say("codec, both sides", codec(pairs))
    say("connections, both sides", connections(window, pairs))
    say("protocol, one side", protocols(window, pairs))
    for name, side, shape in (
        ("TCP, both sides", Side, SmppProtocol),
        ("TCP, asked outside of reads", Later, SmppProtocol),
        ("the same, gathered by a timer", Later, Gathering),
    ):
        spent, wall = await over_tcp(side(pairs, window), shape)
        say(name, spent, f"({pairs / wall:,.0f} pairs/s)")


if __name__ == "__main__":
    arguments = [int(word) for word in sys.argv[1:]] or [50]
    running = Deferred.fromCoroutine(main(arguments[0], arguments[1] if len(arguments) > 1 else 20_000))
    running.addErrback(lambda failure: failure.printTraceback())
    running.addBoth(lambda _: reactor.stop())
    reactor.run()
