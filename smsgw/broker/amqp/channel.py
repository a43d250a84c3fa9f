"""One AMQP channel: calls that always end, content put together, and the broker's words told on.

A call is a Deferred that waits for its answer; when the channel closes, every one of them fails.
Frames of content (a method, a header, bodies) become one message with `bytes`. What the broker says
unasked goes to the channel's `listener`.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

from OpenSSL.crypto import Error as CryptoError
from OpenSSL.SSL import Error as SSLError
from twisted.internet.defer import Deferred, fail, succeed
from txamqp.client import ChannelClosed, Closed, ConnectionClosed
from txamqp.message import Message
from txamqp.protocol import AMQChannel

from smsgw.broker.amqp import content, wire
from smsgw.broker.amqp.fields import EncodeError

_WITH_CONTENT = frozenset((content.DELIVER, content.RETURN))


class Connection(Protocol):
    """What a channel needs of its connection."""

    delegate: Any

    def send(self, octets: bytes) -> None: ...

    def forget(self, channel: Channel) -> None: ...


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


class Channel(AMQChannel):  # type: ignore[misc]  # txAMQP has no annotations
    """An AMQP channel. Calls wait for their answers in the order in which they were made."""

    def __init__(self, id: int, outgoing: Any, client: Connection) -> None:  # noqa: A002  txAMQP's name
        super().__init__(id, outgoing, client)
        self.closed = False
        self.listener: Listener = Quiet()
        self._client = client
        self._calls: deque[tuple[Any, Deferred[Any]]] = deque()
        self._method = b""
        self._header = b""
        self._missing = 0
        self._pieces: list[bytes] = []
        self._leaving = False

    def invoke(self, method: Any, args: tuple[Any, ...], content: object = None) -> Deferred[Any]:
        """Send a method. The Deferred fires with txAMQP's Message, or None where no answer is due.

        It fails with txAMQP's ChannelClosed or ConnectionClosed. Cancelling it forgets the answer.
        """
        if self.closed:
            return fail(closed_error(self.reason))
        try:
            payload = wire.encode_method(method, args)
        except EncodeError as error:
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
        if kind in _WITH_CONTENT:
            self._method = payload
            self._header = b""
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
        if self._header or not self._method:
            raise wire.FrameError("a content header that belongs to no method")
        self._header = payload
        self._missing = content.decode_size(payload)
        self._pieces = []
        if not self._missing:
            self._content_received(b"")

    def body_received(self, payload: bytes) -> None:
        if not self._header:
            raise wire.FrameError("a content body that belongs to no header")
        missing = self._missing = self._missing - len(payload)
        if not missing and not self._pieces:
            self._content_received(payload)
            return
        self._pieces.append(payload)
        if missing < 0:
            raise wire.FrameError("more content than its header announced")
        if not missing:
            pieces, self._pieces = self._pieces, []
            self._content_received(b"".join(pieces))

    def _content_received(self, body: bytes) -> None:
        method, header = self._method, self._header
        self._method = self._header = b""
        if method.startswith(content.DELIVER):
            consumer, tag, redelivered, key = content.decode_deliver(method)
            self.listener.delivered(consumer, tag, redelivered, key, header, body)
            return
        _, (code, text, exchange, key) = wire.decode_method(method)
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
            answer.errback(closed_error(reason))
        self.listener.closed(_reply_code(reason, "channel"), reason_text(reason))

    def close(self, reason: Any) -> None:
        self.do_close(reason)


def _wants_no_answer(method: Any, args: tuple[Any, ...]) -> bool:
    return any(field.name == "nowait" and value for field, value in zip(method.fields, args, strict=True))


def _reply_code(reason: Any, klass: str) -> int:
    """The broker's code for closing a channel; 0 where the channel went with its connection."""
    if isinstance(reason, Message) and reason.method.klass.name == klass:
        return int(reason.reply_code)
    return 0


def closed_error(reason: Any) -> Closed:
    kind = reason.method.klass.name if isinstance(reason, Message) else None
    kinds: dict[str | None, type[Closed]] = {"channel": ChannelClosed, "connection": ConnectionClosed}
    return kinds.get(kind, Closed)(reason)


def reason_text(reason: Any) -> str:
    """One line for an operator, from the broker's close, an exception, or a text."""
    if isinstance(reason, Closed):
        return reason_text(reason.args[0]) if reason.args else "closed"
    if isinstance(reason, Message):
        return f"{reason.reply_code} {reason.reply_text}"
    if isinstance(reason, SSLError | CryptoError) and reason.args and isinstance(reason.args[0], list):
        return f"TLS: {'; '.join(str(entry[-1]) for entry in reason.args[0])}"
    if isinstance(reason, BaseException):
        return " ".join(str(reason).split()) or type(reason).__name__
    return str(reason)
