"""The broker's side of an AMQP connection, by hand: what the client said, and saying things to it.

`Peer` holds one connection over a `StringTransport`. With `serving` it answers every call by
itself as a broker would; without, a test says each word. `PeerEndpoint` makes a peer per connect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection

from smsgw.broker.amqp import content, wire
from smsgw.broker.amqp.client import FRAME_MAX, Client


class Said(NamedTuple):
    """A method of the client's, or a frame of content (`header`, `body`) with its payload."""

    channel: int
    name: str
    args: Any


DEFAULTS = {
    "shortstr": "",
    "longstr": "",
    "table": {},
    "octet": 0,
    "short": 0,
    "long": 0,
    "longlong": 0,
    "bit": False,
}


def method(name: str) -> Any:
    klass, _, rest = name.partition(".")
    return wire.SPEC.classes.byname[klass].methods.byname[rest]


class Peer:
    """`client` is the one under test; `clock` is its clock."""

    def __init__(self, client: Any, clock: Clock, *, serving: bool = True) -> None:
        self.client = client
        self.clock = clock
        self.serving = serving
        self.history: list[Said] = []
        self.silenced: set[str] = set()
        self.refusals: dict[str, tuple[int, str]] = {}
        self.transport = StringTransportWithDisconnection()
        self.transport.protocol = client
        self._framer = wire.Framer(FRAME_MAX)
        self._header_seen = False
        client.makeConnection(self.transport)

    def listen(self) -> list[Said]:
        """What the client said since the last call, its turn of the reactor ended."""
        start = len(self.history)
        while True:
            self.clock.advance(0)
            octets = self.transport.value()
            if not octets:
                return self.history[start:]
            self.transport.clear()
            self._heard(octets)

    def heard(self, name: str) -> list[Said]:
        """All that the client ever said under this name."""
        self.listen()
        return [said for said in self.history if said.name == name]

    def say(self, channel: int, name: str, *args: Any) -> None:
        self.frame(wire.FRAME_METHOD, channel, wire.encode_method(method(name), args))

    def frame(self, kind: int, channel: int, payload: bytes) -> None:
        self.client.dataReceived(wire.frame(kind, channel, payload))

    def deliver(
        self,
        channel: int,
        tag: int,
        body: bytes = b"",
        *,
        consumer: str = "1",
        redelivered: bool = False,
        key: str = "key",
        properties: dict[str, Any] | None = None,
        step: int = 100_000,
    ) -> None:
        self.say(channel, "basic.deliver", consumer, tag, redelivered, "exchange", key)
        self.content(channel, body, properties, step)

    def content(
        self, channel: int, body: bytes, properties: dict[str, Any] | None = None, step: int = 100_000
    ) -> None:
        flags = content.encode_properties(properties or {})
        self.frame(wire.FRAME_HEADER, channel, b"\x00\x3c\x00\x00" + len(body).to_bytes(8, "big") + flags)
        for at in range(0, len(body), step):
            self.frame(wire.FRAME_BODY, channel, body[at : at + step])

    def drop(self) -> None:
        self.transport.loseConnection()

    def _heard(self, octets: bytes) -> None:
        if not self._header_seen:
            assert octets.startswith(wire.PROTOCOL_HEADER)
            self._header_seen = True
            octets = octets[len(wire.PROTOCOL_HEADER) :]
            if self.serving:
                self.start()
        for kind, channel, payload in self._framer.feed(octets):
            self._frame_heard(kind, channel, payload)

    def _frame_heard(self, kind: int, channel: int, payload: bytes) -> None:
        if kind != wire.FRAME_METHOD:
            names = {wire.FRAME_HEADER: "header", wire.FRAME_BODY: "body", wire.FRAME_HEARTBEAT: "heartbeat"}
            self.history.append(Said(channel, names[kind], payload))
            return
        spoken, args = wire.decode_method(payload)
        name = f"{spoken.klass.name}.{spoken.name}"
        values = {field.name: value for field, value in zip(spoken.fields, args, strict=True)}
        self.history.append(Said(channel, name, values))
        if self.serving and name not in self.silenced:
            self._answer(channel, name, spoken, values)

    def start(self, mechanisms: str = "PLAIN AMQPLAIN") -> None:
        self.say(0, "connection.start", 0, 9, {}, mechanisms, "en_US")

    def _answer(self, channel: int, name: str, spoken: Any, values: dict[str, Any]) -> None:
        if name in self.refusals:
            code, text = self.refusals.pop(name)
            level = 0 if name.startswith("connection") else channel
            self.say(level, "channel.close" if level else "connection.close", code, text, 0, 0)
        elif name == "connection.start-ok":
            self.say(0, "connection.tune", 2047, 131072, 60)
        elif name == "queue.declare":
            self.say(channel, "queue.declare-ok", values["queue"] or "amq.gen-1", 7, 0)
        elif name in ("basic.consume", "basic.cancel"):
            self.say(channel, f"{name}-ok", values["consumer-tag"] or "ctag")
        elif spoken.responses and not values.get("nowait"):
            answer = spoken.responses[0]
            self.say(
                channel, f"{spoken.klass.name}.{answer.name}", *[DEFAULTS[f.type] for f in answer.fields]
            )


class Heard:
    """A listener that keeps all it hears."""

    def __init__(self) -> None:
        self.deliveries: list[tuple[Any, ...]] = []
        self.returns: list[tuple[Any, ...]] = []
        self.confirms: list[tuple[int, bool, bool]] = []
        self.cancels: list[str] = []
        self.closes: list[tuple[int, str]] = []

    def delivered(self, *args: Any) -> None:
        self.deliveries.append(args)

    def returned(self, *args: Any) -> None:
        self.returns.append(args)

    def confirmed(self, tag: int, multiple: bool, stored: bool) -> None:
        self.confirms.append((tag, multiple, stored))

    def cancelled(self, consumer: str) -> None:
        self.cancels.append(consumer)

    def closed(self, code: int, reason: str) -> None:
        self.closes.append((code, reason))


class Connected:
    """A client that is logged in, with its peer, its clock, and what it told of its end."""

    def __init__(self, *, heartbeat: float = 0, frame_max: int | None = None) -> None:
        self.clock = Clock()
        self.lost: list[str] = []
        self.blocked: list[str | None] = []
        self.client = Client(
            self.clock,
            vhost="/å",
            properties={"product": "test"},
            heartbeat=heartbeat,
            lost=self.lost.append,
            blocked=self.blocked.append,
        )
        self.peer = Peer(self.client, self.clock)
        login = self.client.login("user", "pässword", 10)
        self.peer.listen()
        assert login.called
        if frame_max is not None:
            self.client.tune(0, frame_max)


class PeerEndpoint:
    """An endpoint: `peers` are the connections it made, the newest last; `refuse` makes it fail."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.peers: list[Peer] = []
        self.refuse = False
        self.never = False
        self.prepare: Callable[[Peer], None] = lambda peer: None
        self.attempts: list[float] = []

    @property
    def peer(self) -> Peer:
        return self.peers[-1]

    def connect(self, factory: Any) -> Deferred[Any]:
        self.attempts.append(self.clock.seconds())
        if self.never:
            return Deferred()
        if self.refuse:
            return fail(Refused())
        client = factory.buildProtocol(None)
        peer = Peer(client, self.clock)
        self.peers.append(peer)
        self.prepare(peer)
        return succeed(client)
