"""Publishing, and knowing that it is stored: one channel in confirm mode.

The broker numbers the publishes of a channel from 1 and answers with those numbers. A mandatory
publish that reaches no queue comes back before its confirm, without its number: it is told by its
exchange, key, message id and body, the oldest first, because returns keep the order of publishes.

What is published together has one Deferred, which waits for the last confirm of the group.

When the channel or the connection ends, everything unconfirmed fails at once: it may or may not
have been stored, and whoever published it must do so again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from twisted.internet.defer import Deferred

from smsgw.broker.amqp import content
from smsgw.broker.amqp.channel import Channel, Quiet
from smsgw.broker.amqp.client import Client
from smsgw.broker.amqp.fields import EncodeError
from smsgw.broker.base import Publish, QueueFull, Unavailable, Unroutable

UNCONFIRMED = 50_000
"""Publishes that may wait for their confirm; a broker that is blocked must not fill our memory."""

_Identity: TypeAlias = tuple[str, str, str | None, bytes]
"""Exchange, key, message id, body: what a return is recognised by."""


class _Group:
    """Publishes that were made together: how many are open, and the errors so far."""

    __slots__ = ("done", "errors", "open")

    def __init__(self, size: int) -> None:
        self.open = size
        self.errors: list[Exception | None] = [None] * size
        self.done: Deferred[list[Exception | None]] = Deferred()
        if not size:
            self.done.callback([])

    def settled(self, index: int, error: Exception | None) -> None:
        self.errors[index] = error
        self.open -= 1
        if not self.open:
            self.done.callback(self.errors)


class Publisher(Quiet):
    """`publish` in every state; it works between `attach` and `detach`."""

    def __init__(self, channel_failed: Callable[[int, str], None], limit: int = UNCONFIRMED) -> None:
        """`channel_failed` hears code and text when the broker closes the channel alone."""
        self._channel_failed = channel_failed
        self._limit = limit
        self._why = "not connected yet"
        self._client: Client | None = None
        self._channel: Channel | None = None
        self._last = 0
        self._pending: dict[int, tuple[_Group, int]] = {}
        self._mandatory: dict[int, _Identity] = {}
        self._returned: dict[int, str] = {}
        self._idle: list[Deferred[None]] = []

    @property
    def unconfirmed(self) -> int:
        return len(self._pending)

    def attach(self, client: Client) -> None:
        self._client = client
        self._last = 0
        self._channel = client.open_channel(self)
        # A failure here is the channel's, which `closed` hears of.
        self._channel.confirm_select().addErrback(lambda _: None)

    def detach(self, why: str) -> None:
        """From now on every publish fails with this reason, those pending first."""
        self._why = why
        self._client = self._channel = None
        self._fail_pending(why)

    def publish(self, publishes: Sequence[Publish]) -> Deferred[list[Exception | None]]:
        """See `smsgw.broker.base.Broker.publish_all`."""
        group = _Group(len(publishes))
        for index, publish in enumerate(publishes):
            try:
                self._send(publish, group, index)
            except (Unavailable, EncodeError) as error:
                group.settled(index, error)
        return group.done

    def _send(self, publish: Publish, group: _Group, index: int) -> None:
        client, channel = self._client, self._channel
        if client is None or channel is None:
            raise Unavailable(self._why)
        if len(self._pending) >= self._limit:
            raise Unavailable(f"{self._limit} publishes wait for their confirm already")
        octets = content.encode_publish(channel.id, publish, frame_max=client.frame_max)
        self._last += 1
        self._pending[self._last] = group, index
        if publish.mandatory:
            identity = publish.exchange, publish.key, publish.properties.message_id, publish.body
            self._mandatory[self._last] = identity
        client.send(octets)

    def idle(self) -> Deferred[None]:
        """Fires when no publish waits for its confirm."""
        waiting: Deferred[None] = Deferred()
        self._idle.append(waiting)
        self._tell_idle()
        return waiting

    def returned(self, reason: str, exchange: str, key: str, header: bytes, body: bytes) -> None:
        identity = (exchange, key, content.decode_properties(header).get("message_id"), body)
        for number, expected in self._mandatory.items():
            if expected == identity:
                self._returned[number] = reason
                del self._mandatory[number]
                return

    def confirmed(self, tag: int, multiple: bool, stored: bool) -> None:
        numbers = self._up_to(tag) if multiple else [tag]
        found = [(number, self._pending.pop(number, None)) for number in numbers]
        for number, waiting in found:
            if waiting is not None:
                group, index = waiting
                group.settled(index, self._verdict(number, stored))
        self._tell_idle()

    def _verdict(self, number: int, stored: bool) -> Exception | None:
        returned = None
        if self._mandatory or self._returned:
            self._mandatory.pop(number, None)
            returned = self._returned.pop(number, None)
        if not stored:
            return QueueFull("the broker refused the publish: the queue is full, or failed")
        return Unroutable(returned) if returned is not None else None

    def closed(self, code: int, reason: str) -> None:
        client, self._channel = self._client, None
        self._why = reason
        if code and client is not None:
            self.attach_again(client, reason)
            self._channel_failed(code, reason)
        else:
            self._fail_pending(reason)

    def attach_again(self, client: Client, reason: str) -> None:
        """A new channel first, so that those who publish again at once find it."""
        pending, self._pending = self._pending, {}
        self._mandatory.clear()
        self._returned.clear()
        self.attach(client)
        _fail(pending, reason)

    def _fail_pending(self, reason: str) -> None:
        pending, self._pending = self._pending, {}
        self._mandatory.clear()
        self._returned.clear()
        _fail(pending, reason)
        self._tell_idle()

    def _up_to(self, tag: int) -> list[int]:
        """The pending numbers up to `tag`, in order; 0 means all of them."""
        found = []
        for number in self._pending:
            if tag and number > tag:
                break
            found.append(number)
        return found

    def _tell_idle(self) -> None:
        if not self._pending:
            waiting, self._idle = self._idle, []
            for each in waiting:
                each.callback(None)


def _fail(pending: dict[int, tuple[_Group, int]], reason: str) -> None:
    for group, index in pending.values():
        group.settled(index, Unavailable(reason))
