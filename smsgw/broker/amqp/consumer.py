"""Consuming: a standing wish for a queue's messages, and the channel that fulfils it meanwhile.

`AmqpConsumer` stands for as long as its owner wants; a `Subscription` is one AMQP channel's life
and the unsettled deliveries of that life. When the channel ends, by whatever cause, the broker
takes back what was unsettled, the deliveries become stale, and the consumer makes a new one.

**The width** is the sum of the prefetch counts of the subscription's AMQP consumers, here called
slots: usually one. `basic.qos` binds only consumers that come after it; its `global` form would
change a standing one, but quorum queues refuse it and RabbitMQ is giving it up. So growing adds a
slot of the difference, which takes effect at once. Shrinking cancels the slots, what they handed
out stays out, and new slots follow as that is settled, half of what is missing at a time: the
number out never exceeds the width, and the channel does not run dry either.

**Settling** is told at the end of the reactor's turn, and one ack with `multiple` says it for every
delivery older than the oldest unsettled one. Put-backs are told first, so that such an ack can't
swallow one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.logger import Logger

from smsgw.broker.amqp import content
from smsgw.broker.amqp.channel import Channel, Quiet
from smsgw.broker.amqp.client import Client
from smsgw.broker.amqp.standing import Standing
from smsgw.broker.base import Deliver, Delivery, Properties
from smsgw.errors import Misuse

MAX_WIDTH = 65_535
"""A prefetch count has 16 bits."""

MAX_SLOTS = 32
"""Above this, resizing starts over with a single slot."""

log = Logger()


class AmqpDelivery:
    """A message that was handed out. Its properties are decoded when they are first asked for."""

    __slots__ = ("_header", "_properties", "_subscription", "_tag", "body", "redelivered")

    def __init__(
        self, subscription: Subscription, tag: int, redelivered: bool, header: bytes, body: bytes
    ) -> None:
        self._subscription = subscription
        self._tag = tag
        self._header = header
        self._properties: Properties | None = None
        self.redelivered = redelivered
        self.body = body

    @property
    def queue(self) -> str:
        return self._subscription.queue

    @property
    def properties(self) -> Properties:
        """Raises `DecodeError` where the producer's properties are malformed."""
        if self._properties is None:
            self._properties = read_properties(self._header)
        return self._properties

    @property
    def stale(self) -> bool:
        return not self._subscription.alive

    def ack(self) -> None:
        self._subscription.settle(self._tag, done=True)

    def nack(self) -> None:
        self._subscription.settle(self._tag, done=False)


def read_properties(header: bytes) -> Properties:
    """The properties that smsgw uses, from a content header."""
    found = content.decode_properties(header).get
    return Properties(
        content_type=found("content_type"),
        headers=dict(found("headers", ())),
        priority=found("priority"),
        correlation_id=found("correlation_id"),
        reply_to=found("reply_to"),
        expiration=found("expiration"),
        message_id=found("message_id"),
        timestamp=found("timestamp"),
    )


class Subscription(Quiet):
    """One channel that consumes one queue. `ended` is told code and reason if it ends by itself."""

    def __init__(
        self, client: Client, queue: str, width: int, deliver: Deliver, ended: Callable[[int, str], None]
    ) -> None:
        self.queue = queue
        self.alive = True
        self._client = client
        self._width = width
        self._deliver = deliver
        self._ended = ended
        self._out: dict[int, str] = {}
        self._slots: dict[str, int] = {}
        self._slot_number = 0
        self._lacking = True
        self._acks: list[int] = []
        self._nacks: list[int] = []
        self._channel: Channel = client.open_channel(self)
        self._fill()

    @property
    def unsettled(self) -> int:
        return len(self._out)

    def resize(self, width: int) -> None:
        self._width = width
        if sum(self._slots.values()) > width or len(self._slots) >= MAX_SLOTS:
            self._cancel_slots()
        self._fill()

    def cancel(self) -> Deferred[None]:
        """Fires when the broker knows, or has forgotten us anyway."""
        self._lacking = False
        return self._cancel_slots()

    def leave(self) -> None:
        """Close the channel: the broker puts back what is unsettled."""
        if self.alive:
            self._tell()
            self._end()
            self._channel.leave()

    def settle(self, tag: int, *, done: bool) -> None:
        if self._out.pop(tag, None) is None:
            return
        self._settle_later(self._acks if done else self._nacks, tag)
        if self._lacking:
            self._fill()

    def delivered(
        self, consumer: str, tag: int, redelivered: bool, key: str, header: bytes, body: bytes
    ) -> None:
        if consumer not in self._slots:
            self._settle_later(self._nacks, tag)
            return
        self._out[tag] = consumer
        try:
            self._deliver(AmqpDelivery(self, tag, redelivered, header, body))
        except Exception:  # noqa: BLE001  the application's; the connection must outlive it
            log.failure("a consumer of {queue} failed to take a delivery; it is put back", queue=self.queue)
            self.settle(tag, done=False)

    def cancelled(self, consumer: str) -> None:
        """The queue is gone or has moved, and with it what was handed out."""
        if self.alive and consumer in self._slots:
            self._channel.leave()
            self._end()
            self._ended(0, "the broker cancelled the consumer")

    def closed(self, code: int, reason: str) -> None:
        if self.alive:
            self._end()
            self._ended(code, reason)

    def _end(self) -> None:
        self.alive = False
        self._out.clear()
        self._slots.clear()
        self._lacking = False

    def _fill(self) -> None:
        """Add the slot that is missing for the width, unless too much of it is still out."""
        missing = self._width - sum(self._slots.values())
        self._lacking = missing > 0
        room = missing - sum(1 for slot in self._out.values() if slot not in self._slots)
        if self._lacking and room >= (missing + 1) // 2:
            self._add_slot(room)
            self._lacking = room < missing

    def _add_slot(self, prefetch: int) -> None:
        self._slot_number += 1
        slot = str(self._slot_number)
        self._slots[slot] = prefetch
        # Failures are the channel's, which `closed` hears of.
        self._channel.basic_qos(prefetch_count=prefetch).addErrback(lambda _: None)
        self._channel.basic_consume(queue=self.queue, consumer_tag=slot).addErrback(lambda _: None)

    def _cancel_slots(self) -> Deferred[None]:
        slots, self._slots = self._slots, {}
        answers = [self._channel.basic_cancel(consumer_tag=slot) for slot in slots]
        return DeferredList(answers, consumeErrors=True).addCallback(lambda _: None)

    def _settle_later(self, said: list[int], tag: int) -> None:
        if self.alive:
            if not self._acks and not self._nacks:
                self._client.before_flush(self._tell)
            said.append(tag)

    def _tell(self) -> None:
        """Say what was settled in this turn, in as few frames as are true."""
        nacks, self._nacks = self._nacks, []
        acks, self._acks = sorted(self._acks), []
        if not self.alive:
            return
        number, send = self._channel.id, self._client.send
        for tag in nacks:
            send(content.encode_nack(number, tag))
        oldest = next(iter(self._out), None)
        together = len(acks) if oldest is None else bisect_left(acks, oldest)
        if together:
            send(content.encode_ack(number, acks[together - 1], together > 1))
        for tag in acks[together:]:
            send(content.encode_ack(number, tag, False))


class AmqpConsumer(Standing):
    """What `AmqpBroker.consume` returns."""

    def __init__(self, queue: str, width: int, deliver: Deliver, **standing: Any) -> None:
        super().__init__(f"consumer of {queue}", **standing)
        self.queue = queue
        self._width = checked_width(width)
        self._deliver = deliver
        self._subscription: Subscription | None = None
        self._cancelled: Deferred[None] | None = None
        self._waiting: list[Deferred[None]] = []

    def __repr__(self) -> str:
        return f"<AmqpConsumer {self.queue} width={self.width} unsettled={self.unsettled}>"

    @property
    def width(self) -> int:
        return self._width

    @property
    def unsettled(self) -> int:
        return self._subscription.unsettled if self._subscription is not None else 0

    def resize(self, width: int) -> None:
        self._width = checked_width(width)
        if self._subscription is not None and self._subscription.alive and self._cancelled is None:
            self._subscription.resize(width)

    def cancel(self) -> Deferred[None]:
        if self._cancelled is None:
            self.retire()
            alive = self._subscription is not None and self._subscription.alive
            self._cancelled = self._subscription.cancel() if self._subscription and alive else succeed(None)
            self._cancelled.addCallback(self._tell_cancelled)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        if self._cancelled.called:
            self._tell_cancelled(None)
        return waiting

    def release(self) -> None:
        self.cancel()
        if self._subscription is not None:
            self._subscription.leave()
        self.forget()

    def begin(self, client: Client) -> None:
        self._subscription = Subscription(client, self.queue, self._width, self._take, self.ended)

    def _take(self, delivery: Delivery) -> None:
        self.succeeded()
        self._deliver(delivery)

    def _tell_cancelled(self, _: None) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)


def checked_width(width: int) -> int:
    if not 1 <= width <= MAX_WIDTH:
        raise Misuse(f"a width is from 1 to {MAX_WIDTH}, not {width}")
    return width
