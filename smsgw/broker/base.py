"""What a broker is.

A broker stores what is published and hands a queue's messages to consumers, never more than a
consumer's *width* unsettled at a time. Everything above this module is written against it; both
real brokers pass one contract test suite, `tests/broker/contract.py`.

The rules that keep messages from getting lost:

* a publish's Deferred fires only when the broker has the message durably;
* a delivery stays the broker's until it is settled with `ack` or `nack`; when its connection, its
  consumer or the process dies first, the broker delivers it again with `redelivered` set;
* settling a delivery whose connection is gone is harmless and does nothing: the broker has
  already taken it back (`stale` says so).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import msgspec
from twisted.internet.defer import Deferred

from smsgw.broker.topology import Topology
from smsgw.errors import SmsgwError


class BrokerError(SmsgwError):
    """The broker did not store a publish, or can't do what it was asked."""


class Unavailable(BrokerError):
    """No connection, or it was lost before the confirm: the publish may or may not be stored."""


class QueueFull(BrokerError):
    """The broker refused the publish (`max_length` with reject-publish, or an internal nack)."""


class Unroutable(BrokerError):
    """A mandatory publish reached no queue."""


class TopologyError(BrokerError):
    """A queue or exchange exists with other arguments; the text names it and both sides."""


class Properties(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The AMQP 0-9-1 basic properties that smsgw uses. Every publish is persistent.

    The spool leaves out what is as here by default, so a default that changes, changes what is in its file.

    `expiration` is in milliseconds as a decimal string, `timestamp` in whole seconds since the
    epoch, both as AMQP has them.
    """

    content_type: str | None = "application/json"
    headers: dict[str, Any] = {}
    priority: int | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    expiration: str | None = None
    message_id: str | None = None
    timestamp: int | None = None


class Publish(msgspec.Struct, frozen=True):
    """One message to store; `exchange` `""` publishes to the queue named `key`."""

    exchange: str
    key: str
    body: bytes
    properties: Properties = Properties()
    mandatory: bool = False


class Delivery(Protocol):
    """One message, handed out and not yet settled."""

    @property
    def queue(self) -> str:
        """The full name of the queue it came from."""

    @property
    def body(self) -> bytes: ...

    @property
    def properties(self) -> Properties: ...

    @property
    def redelivered(self) -> bool:
        """It may have been handed out before. False only where it certainly was not."""

    @property
    def stale(self) -> bool:
        """The broker has taken it back: settling it does nothing."""

    def ack(self) -> None:
        """Settled: the broker forgets it."""

    def nack(self) -> None:
        """Put back at once, to be delivered again, here or elsewhere."""


Deliver: TypeAlias = Callable[[Delivery], None]


class Consumer(Protocol):
    """A standing wish for a queue's messages; it outlives reconnections of the broker."""

    @property
    def width(self) -> int:
        """How many deliveries may be unsettled at once: the prefetch count."""

    @property
    def unsettled(self) -> int:
        """How many are."""

    def resize(self, width: int) -> None:
        """Change the width while consuming; what is out stays out."""

    def cancel(self) -> Deferred[None]:
        """No delivery comes after this call; fires when the broker knows.

        What is unsettled stays ours and can still be settled. What the broker had under way is put
        back. Calling it again gives the same result.
        """

    def release(self) -> None:
        """After `cancel`: give back what is still unsettled, and forget this consumer."""


class BrokerState(msgspec.Struct, frozen=True):
    """For operators: `since` is in seconds since the epoch, `error` the last one, in one line."""

    name: Literal["down", "up", "blocked", "stopped"]
    since: float
    error: str | None = None


class Broker(Protocol):
    """RabbitMQ or the spool. Made with its topology, which it declares whenever it connects."""

    @property
    def state(self) -> BrokerState: ...

    def start(self) -> None:
        """Connect, declare, and go on reconnecting until `stop`."""

    def stop(self) -> Deferred[None]:
        """Wait (bounded) for the confirms of what was published, then close."""

    def ready(self) -> Deferred[None]:
        """Fires when the broker is up: at once if it is, else at the next connect.

        Fails with `TopologyError` where waiting will not help, and `Unavailable` on `stop`.
        """

    def declare(self, more: Topology) -> Deferred[None]:
        """Declare this too, now and from then on at every connect; fires when the broker has it.

        What was declared before stays: messages may wait there, or be on their way back to it. Fails
        with `TopologyError` or another `BrokerError`, and with `Unavailable` where there is no
        connection; then it is not declared at later connects either.
        """

    def publish(
        self,
        exchange: str,
        key: str,
        body: bytes,
        properties: Properties = Properties(),  # noqa: B008  frozen
        *,
        mandatory: bool = False,
    ) -> Deferred[None]:
        """Store a message; `exchange` `""` publishes to the queue named `key`.

        The Deferred fires when it is stored. It fails with `Unavailable`, `QueueFull`, or, where
        `mandatory`, `Unroutable`. It never waits for a connection.
        """

    def publish_all(self, publishes: Sequence[Publish]) -> Deferred[list[Exception | None]]:
        """Store several messages: one Deferred for all of them, that never fails.

        It fires when the fate of each is known, with None for what is stored and else with what `publish`
        would have failed with.
        """

    def consume(self, queue: str, width: int, deliver: Deliver) -> Consumer:
        """Hand the queue's messages to `deliver`, at most `width` unsettled, until cancelled.

        Works in every state: while the broker is down the consumer waits for it. `deliver` must
        not raise; a raise is logged and the delivery put back.
        """

    def depth(self, queue: str) -> Deferred[int]:
        """How many messages wait in a queue, those handed out not counted."""

    def watch(self, exchange: str, pattern: str, deliver: Callable[[str, bytes], None]) -> Deferred[None]:
        """Hear, from now on, of publishes to a topic exchange as (key, body), taking them from nobody.

        For a person who looks on: nothing waits for the watcher, and after a reconnect it goes on
        with what comes then. Fires when the watch is in place.
        """


def the_only(errors: Sequence[Exception | None]) -> None:
    """`publish` by `publish_all`: raise what became of the one publish, if it is an error."""
    (error,) = errors
    if error is not None:
        raise error
