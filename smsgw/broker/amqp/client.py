"""One AMQP connection: txAMQP, with the parts replaced that have to be right and fast.

From txAMQP come the specification model, the channels with a method per AMQP method
(`channel.queue_declare(...)`), the delegate that is told what the broker sends, and the
authentication. Ours are the octets (`wire`, `content`), remote calls that always end, content from
its frames to one `bytes`, publisher confirms, the client's capabilities, heartbeats and the close.
None of txAMQP's queues, timers and inline callbacks runs.

What one turn of the reactor wants to say leaves in one write: `send` collects, `flush` runs once at
the turn's end. Those who can say more with less if they wait for the end of the turn (acks) join in
with `before_flush`.

The broker's words on a channel reach that channel's `listener`; the end of the connection is told
once, to `lost`, after every channel's `closed`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from txamqp.client import TwistedDelegate
from txamqp.protocol import AMQClient
from txamqp.spec import pythonize

from smsgw.broker.amqp import wire
from smsgw.broker.amqp.channel import Channel, Listener, closed_error, reason_text
from smsgw.broker.amqp.wire import FRAME_BODY, FRAME_HEADER, FRAME_METHOD
from smsgw.errors import Misuse, PeerError

FRAME_MAX = 131_072
CHANNEL_MAX = 2047
SILENT_BEATS = 4
"""Half heartbeat intervals without an octet from the broker, after which it is dead."""

CAPABILITIES = {
    "authentication_failure_close": True,
    "basic.nack": True,
    "connection.blocked": True,
    "consumer_cancel_notify": True,
    "exchange_exchange_bindings": True,
    "per_consumer_qos": True,
    "publisher_confirms": True,
}

log = Logger()


class Delegate(TwistedDelegate):  # type: ignore[misc]
    """What the broker may call on us. txAMQP looks the methods up by name."""

    client: Client

    def dispatch(self, channel: Any, message: Any) -> None:
        name = f"{message.method.klass.name}_{pythonize(message.method.name)}"
        if not hasattr(self, name):
            raise wire.FrameError(f"a method that only clients send: {name}")
        super().dispatch(channel, message)

    def connection_start(self, channel: Any, message: Any) -> None:
        if "PLAIN" not in message.mechanisms.split():
            raise wire.FrameError(f"the broker offers no PLAIN authentication, only {message.mechanisms}")
        channel.connection_start_ok(
            client_properties={**self.client.properties, "capabilities": CAPABILITIES},
            mechanism=self.client.mechanism,
            response=self.client.response,
            locale=self.client.locale,
        )

    def connection_tune(self, channel: Any, message: Any) -> None:
        self.client.tune(message.channel_max, message.frame_max)
        channel.connection_tune_ok(self.client.channel_max, self.client.frame_max, self.client.heartbeat)
        self.client.started.fire()

    def connection_blocked(self, channel: Any, message: Any) -> None:
        self.client.blocked(message.reason)

    def connection_unblocked(self, channel: Any, message: Any) -> None:
        self.client.blocked(None)

    def basic_cancel(self, channel: Channel, message: Any) -> None:
        channel.listener.cancelled(message.consumer_tag)

    def close(self, reason: Any) -> None:
        self.client.finish()


class Client(AMQClient):  # type: ignore[misc]
    """The Twisted protocol. Made connected; `login` next; `lost` is told the end, once.

    `blocked` is called with the broker's reason while it takes no publishes, and None when it does.
    """

    channelClass = Channel  # noqa: N815  txAMQP's name
    closed: bool

    def __init__(
        self,
        clock: IReactorTime,
        *,
        vhost: str,
        properties: dict[str, Any],
        heartbeat: float,
        lost: Callable[[str], None],
        blocked: Callable[[str | None], None],
    ) -> None:
        super().__init__(Delegate(), vhost, wire.SPEC, heartbeat=0, clock=clock)
        self.properties = properties
        self.heartbeat = round(heartbeat)
        self.blocked = blocked
        self.frame_max = FRAME_MAX
        self.channel_max = CHANNEL_MAX
        self._lost: Callable[[str], None] | None = lost
        self._framer = wire.Framer(FRAME_MAX)
        self._out: list[bytes] = []
        self._before_flush: list[Callable[[], None]] = []
        self._flush_due = False
        self._beat: IDelayedCall | None = None
        self._silent = 0
        self._quiet = True
        self._error: str | None = None

    # The transport

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
        self.transport.write(wire.PROTOCOL_HEADER)

    def dataReceived(self, data: bytes) -> None:
        self._silent = 0
        try:
            for kind, number, payload in self._framer.feed(data):
                channel = self.channels.get(number)
                if channel is None:
                    continue  # of a channel that has been closed meanwhile, or a heartbeat
                if kind == FRAME_METHOD:
                    channel.method_received(payload)
                elif kind == FRAME_HEADER:
                    channel.header_received(payload)
                elif kind == FRAME_BODY:
                    channel.body_received(payload)
        except PeerError as error:
            self.abort(str(error))

    def connectionLost(self, reason: Failure) -> None:
        if self._beat is not None and self._beat.active():
            self._beat.cancel()
        self._end(self._error or reason_text(reason.value))
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(self._error or reason_text(reason.value))

    def send(self, octets: bytes) -> None:
        """Write at the end of this turn of the reactor."""
        self._out.append(octets)
        if not self._flush_due:
            self._flush_soon()

    def before_flush(self, speak: Callable[[], None]) -> None:
        """Have `speak` called once, right before the next write; it may `send`."""
        self._before_flush.append(speak)
        if not self._flush_due:
            self._flush_soon()

    def flush(self) -> None:
        """Write now what was collected."""
        speakers, self._before_flush = self._before_flush, []
        for speak in speakers:
            speak()
        out, self._out = self._out, []
        self._flush_due = False
        if out and not self.closed:
            self._quiet = False
            self.transport.write(b"".join(out))

    def _flush_soon(self) -> None:
        self._flush_due = True
        self.clock.callLater(0, self.flush)

    # Channels

    def channel(self, id: int) -> Deferred[Channel]:  # noqa: A002  txAMQP's name
        """txAMQP's own way to a channel; ours is `open_channel`."""
        return succeed(self._channel(id))

    def _channel(self, number: int) -> Channel:
        found = self.channels.get(number)
        if found is None:
            found = self.channels[number] = self.channelFactory(number, self.outgoing, self)
        return found  # type: ignore[no-any-return]

    def open_channel(self, listener: Listener) -> Channel:
        """A new channel under the lowest free number. It can be used at once: calls keep their order.

        Raises:
            Misuse: every channel is taken, or the connection is over.
        """
        free = next(
            (number for number in range(1, self.channel_max + 1) if number not in self.channels), None
        )
        if free is None or self.closed:
            raise Misuse("no channel to open: all are taken, or the connection is over")
        channel = self._channel(free)
        channel.listener = listener
        # Its failure is the channel's, which the listener hears of.
        channel.channel_open().addErrback(lambda _: None)
        return channel

    def forget(self, channel: Channel) -> None:
        """The channel is closed on both sides: its number is free."""
        if self.channels.get(channel.id) is channel:
            del self.channels[channel.id]

    # The handshake and the end

    def login(self, username: str, password: str, within: float) -> Deferred[None]:
        """Authenticate and open the vhost. Fails with txAMQP's Closed; `within` is in seconds."""
        timer = self.clock.callLater(within, self.abort, f"no AMQP handshake within {within:g} s")
        done: Deferred[Any] = self.authenticate(username, password, "PLAIN")

        def finished(result: Any) -> Any:
            if timer.active():
                timer.cancel()
            return result

        return done.addBoth(finished).addCallback(lambda _: None)

    def start(self, response: str, mechanism: str = "PLAIN", locale: str = "en_US") -> Deferred[Any]:
        self.response = response
        self.mechanism = mechanism
        self.locale = locale
        self._channel(0)
        return self.started.wait().addCallback(  # type: ignore[no-any-return]
            lambda _: self._channel(0).connection_open(self.vhost)
        )

    def tune(self, channel_max: int, frame_max: int) -> None:
        """Settle the limits: the smaller of both sides' wishes, where 0 is no limit (1.4.2.6)."""
        self.channel_max = min(channel_max or CHANNEL_MAX, CHANNEL_MAX)
        self.frame_max = max(min(frame_max or FRAME_MAX, FRAME_MAX), wire.FRAME_MIN_SIZE)
        self._framer.frame_max = self.frame_max
        if self.heartbeat:
            self._beat = self.clock.callLater(self.heartbeat / 2, self._beat_due)

    def _beat_due(self) -> None:
        """Each half interval: is the broker alive, and have we said anything?"""
        self._silent += 1
        if self._silent > SILENT_BEATS:
            self.abort(f"the broker was silent for {self.heartbeat * 2} s")
            return
        if self._quiet:
            self.transport.write(wire.HEARTBEAT)
        self._quiet = True
        self._beat = self.clock.callLater(self.heartbeat / 2, self._beat_due)

    def leave(self, within: float) -> None:
        """Close in order; `within` seconds later without it. `lost` is called in either case."""
        if self.closed:
            return
        self._error = "closed by us"
        self.flush()
        timer = self.clock.callLater(within, self.abort, "closed by us")
        closing = self._channel(0).connection_close(reply_code=200, reply_text="bye")

        def finished(_: object) -> None:
            if timer.active():
                timer.cancel()
            self.finish()

        closing.addBoth(finished)
        self.flush()

    def finish(self) -> None:
        """Write what is left and close the transport."""
        if not self.closed:
            self.flush()
            self.transport.loseConnection()

    def abort(self, reason: str) -> None:
        """Drop the connection for this reason, without a word to the broker."""
        self._error = self._error or reason
        self._end(self._error)
        self.transport.abortConnection()

    def do_close(self, reason: Any) -> None:
        """The broker closes the connection; txAMQP has answered it."""
        self._error = self._error or reason_text(reason)
        self.flush()
        self._end(reason)
        self.transport.loseConnection()

    def close(self, reason: Any = None, within: float = 0) -> None:
        self.abort(reason_text(reason))

    def _end(self, reason: Any) -> None:
        self.closed = True
        self._out.clear()
        for channel in list(self.channels.values()):
            channel.do_close(reason)
        self.started.fail_if_not_fired(closed_error(reason))
