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

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from OpenSSL.SSL import Error as SSLError
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from txamqp.client import ChannelClosed, Closed, ConnectionClosed, TwistedDelegate
from txamqp.message import Message
from txamqp.protocol import AMQChannel, AMQClient
from txamqp.spec import pythonize

from smsgw.broker.amqp import content, wire
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


class Listener(Protocol):
    """Who uses a channel, and hears what the broker says on it unasked."""

    def delivered(
        self, consumer: str, tag: int, redelivered: bool, key: str, header: bytes, body: bytes
    ) -> None:
        """A message came; `header` is its content header, `content.decode_properties` reads it."""

    def returned(self, reason: str, exchange: str, key: str, header: bytes, body: bytes) -> None:
        """A mandatory publish reached no queue; its confirm comes later."""

    def confirmed(self, tag: int, multiple: bool, stored: bool) -> None:
        """The broker has, or will not have, the publish `tag` (or all up to it)."""

    def cancelled(self, consumer: str) -> None:
        """The broker ended a consumer: its queue was deleted, or moved."""

    def closed(self, code: int, reason: str) -> None:
        """The channel is gone, by an error or with its connection (code 0). Called once, not for `close`."""


class Quiet:
    """A listener that wants to hear nothing, to be derived from."""

    def delivered(
        self, consumer: str, tag: int, redelivered: bool, key: str, header: bytes, body: bytes
    ) -> None:
        pass

    def returned(self, reason: str, exchange: str, key: str, header: bytes, body: bytes) -> None:
        pass

    def confirmed(self, tag: int, multiple: bool, stored: bool) -> None:
        pass

    def cancelled(self, consumer: str) -> None:
        pass

    def closed(self, code: int, reason: str) -> None:
        pass


class _Content:
    """A message whose frames are still coming."""

    __slots__ = ("arrived", "header", "method", "missing", "pieces")

    def __init__(self, method: bytes) -> None:
        self.method = method
        self.header: bytes | None = None
        self.missing = 0
        self.pieces: list[bytes] = []


class Channel(AMQChannel):  # type: ignore[misc]  # txAMQP has no annotations
    """An AMQP channel. Calls wait for their answers in the order in which they were made."""

    def __init__(self, id: int, outgoing: Any, client: Client) -> None:  # noqa: A002  txAMQP's name
        super().__init__(id, outgoing, client)
        self.closed = False
        self.listener: Listener = Quiet()
        self._client = client
        self._calls: deque[tuple[Any, Deferred[Any]]] = deque()
        self._content: _Content | None = None
        self._leaving = False

    def invoke(self, method: Any, args: tuple[Any, ...], content: object = None) -> Deferred[Any]:
        """Send a method. The Deferred fires with txAMQP's Message, or None where no answer is due.

        It fails with txAMQP's ChannelClosed or ConnectionClosed. Cancelling it forgets the answer.
        """
        if self.closed:
            return fail(_closed_error(self.reason))
        try:
            payload = wire.encode_method(method, args)
        except wire.EncodeError as error:
            return fail(error)
        self._client.send(wire.frame(wire.FRAME_METHOD, self.id, payload))
        if not method.responses or _wants_no_answer(method, args):
            return succeed(None)
        answer: Deferred[Any] = Deferred()
        self._calls.append((method, answer))
        return answer

    def leave(self) -> Deferred[None]:
        """Close the channel from our side: nothing more is heard of it. Never fails."""
        if self.closed or self._leaving:
            return succeed(None)
        self._leaving = True
        self.listener = Quiet()
        closing = self.channel_close(reply_code=200, reply_text="bye")
        return closing.addBoth(lambda _: self.do_close("closed by us"))  # type: ignore[no-any-return]

    def method_received(self, payload: bytes) -> None:
        kind = payload[:4]
        if kind in (content.DELIVER, content.RETURN):
            self._content = _Content(payload)
        elif kind == content.ACK:
            self.listener.confirmed(*content.decode_confirm(payload), True)
        elif kind == content.NACK:
            self.listener.confirmed(*content.decode_confirm(payload), False)
        else:
            method, args = wire.decode_method(payload)
            message = Message(method, args)
            if method.response:
                self._answered(message)
            else:
                self._client.delegate.dispatch(self, message)

    def header_received(self, payload: bytes) -> None:
        expected = self._content
        if expected is None or expected.header is not None:
            raise wire.FrameError("a content header that belongs to no method")
        expected.header = payload
        expected.missing = content.decode_size(payload)
        if not expected.missing:
            self._content_received(expected, b"")

    def body_received(self, payload: bytes) -> None:
        expected = self._content
        if expected is None or expected.header is None:
            raise wire.FrameError("a content body that belongs to no header")
        expected.missing -= len(payload)
        if expected.missing == 0 and not expected.pieces:
            self._content_received(expected, payload)
            return
        expected.pieces.append(payload)
        if expected.missing < 0:
            raise wire.FrameError("more content than its header announced")
        if expected.missing == 0:
            self._content_received(expected, b"".join(expected.pieces))

    def _content_received(self, whole: _Content, body: bytes) -> None:
        self._content = None
        header = whole.header or b""
        if whole.method.startswith(content.DELIVER):
            consumer, tag, redelivered, key = content.decode_deliver(whole.method)
            self.listener.delivered(consumer, tag, redelivered, key, header, body)
            return
        _, (code, text, exchange, key) = wire.decode_method(whole.method)
        self.listener.returned(f"{code} {text}", exchange, key, header, body)

    def _answered(self, message: Any) -> None:
        """RabbitMQ keeps the order of like calls only: consume-ok comes from the queue, qos-ok does not."""
        for index, (method, answer) in enumerate(self._calls):
            if message.method in method.responses:
                del self._calls[index]
                answer.callback(message)
                return
        raise wire.FrameError(
            f"an answer nobody asked for: {message.method.klass.name}.{message.method.name}"
        )

    def do_close(self, reason: Any) -> None:
        """The channel is over: txAMQP's Message of a close, or any reason. Every caller hears of it."""
        if self.closed or (self._leaving and _reply_code(reason, "channel")):
            return  # where both sides close at once, the answer to ours still comes
        self.closed = True
        self.reason = reason
        self._client.forget(self)
        calls, self._calls = self._calls, deque()
        for _, answer in calls:
            answer.errback(_closed_error(reason))
        self.listener.closed(_reply_code(reason, "channel"), reason_text(reason))

    def close(self, reason: Any) -> None:
        self.do_close(reason)


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
                self._frame_received(kind, number, payload)
        except PeerError as error:
            self.abort(str(error))

    def connectionLost(self, reason: Failure) -> None:
        if self._beat is not None and self._beat.active():
            self._beat.cancel()
        self._end(self._error or reason_text(reason.value))
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(self._error or reason_text(reason.value))

    def _frame_received(self, kind: int, number: int, payload: bytes) -> None:
        channel = self.channels.get(number)
        if channel is None:
            return  # of a channel that has been closed meanwhile, or a heartbeat
        if kind == wire.FRAME_METHOD:
            channel.method_received(payload)
        elif kind == wire.FRAME_HEADER:
            channel.header_received(payload)
        elif kind == wire.FRAME_BODY:
            channel.body_received(payload)

    def send(self, octets: bytes) -> None:
        """Write at the end of this turn of the reactor."""
        self._out.append(octets)
        self._flush_soon()

    def before_flush(self, speak: Callable[[], None]) -> None:
        """Have `speak` called once, right before the next write; it may `send`."""
        self._before_flush.append(speak)
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
        if not self._flush_due:
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
        self.finish()
        self._end(reason)

    def close(self, reason: Any = None, within: float = 0) -> None:
        self.abort(reason_text(reason))

    def _end(self, reason: Any) -> None:
        self.closed = True
        self._out.clear()
        for channel in list(self.channels.values()):
            channel.do_close(reason)
        self.started.fail_if_not_fired(_closed_error(reason))


def _wants_no_answer(method: Any, args: tuple[Any, ...]) -> bool:
    return any(field.name == "nowait" and value for field, value in zip(method.fields, args, strict=True))


def _reply_code(reason: Any, klass: str) -> int:
    """The broker's code for closing a channel; 0 where the channel went with its connection."""
    if isinstance(reason, Message) and reason.method.klass.name == klass:
        return int(reason.reply_code)
    return 0


def _closed_error(reason: Any) -> Closed:
    kind = reason.method.klass.name if isinstance(reason, Message) else None
    kinds: dict[str | None, type[Closed]] = {"channel": ChannelClosed, "connection": ConnectionClosed}
    return kinds.get(kind, Closed)(reason)


def reason_text(reason: Any) -> str:
    """One line for an operator, from the broker's close, an exception, or a text."""
    if isinstance(reason, Closed):
        return reason_text(reason.args[0]) if reason.args else "closed"
    if isinstance(reason, Message):
        return f"{reason.reply_code} {reason.reply_text}"
    if isinstance(reason, SSLError) and reason.args and isinstance(reason.args[0], list):
        return f"TLS: {'; '.join(str(entry[-1]) for entry in reason.args[0])}"
    if isinstance(reason, BaseException):
        return " ".join(str(reason).split()) or type(reason).__name__
    return str(reason)
