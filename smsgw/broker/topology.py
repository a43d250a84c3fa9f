"""Which exchanges, queues and bindings there are (contract, section 2): pure data.

`topology()` is the one place that knows the names; both brokers realise what it says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec

from smsgw.message import PRIORITIES

ExchangeKind: TypeAlias = Literal["direct", "fanout", "topic"]
QueueType: TypeAlias = Literal["classic", "quorum"]

RETRY_STEPS = (10.0, 60.0, 300.0, 1800.0)
"""Seconds; the delay queues that are declared where no channel configures others."""

FEED_LENGTH = 1_000_000
"""Messages that the default queues `events` and `inbound` keep for a reader that has not come yet."""


class Exchange(msgspec.Struct, frozen=True):
    name: str
    kind: ExchangeKind


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """A durable queue. `ttl` is in seconds; with it, messages move on to `dead_letter_exchange`."""

    name: str
    type: QueueType = "classic"
    max_priority: int | None = None
    dead_letter_exchange: str | None = None
    ttl: float | None = None
    max_length: int | None = None
    overflow: Literal["reject-publish", "drop-head"] | None = None

    @property
    def arguments(self) -> dict[str, str | int]:
        """The `x-` arguments of queue.declare; quorum queues take no `x-max-priority`."""
        priorities = None if self.type == "quorum" else self.max_priority
        found = {
            "x-queue-type": None if self.type == "classic" else self.type,
            "x-max-priority": priorities,
            "x-dead-letter-exchange": self.dead_letter_exchange,
            "x-message-ttl": None if self.ttl is None else round(self.ttl * 1000),
            "x-max-length": self.max_length,
            "x-overflow": self.overflow,
        }
        return {name: value for name, value in found.items() if value is not None}


class Binding(msgspec.Struct, frozen=True):
    exchange: str
    queue: str
    key: str = ""


class Names(msgspec.Struct, frozen=True):
    """Every name that follows from the prefix."""

    prefix: str = "smsgw"

    @property
    def submit(self) -> str:
        return f"{self.prefix}.submit"

    @property
    def route(self) -> str:
        return f"{self.prefix}.route"

    @property
    def events(self) -> str:
        return f"{self.prefix}.events"

    @property
    def inbound(self) -> str:
        return f"{self.prefix}.inbound"

    @property
    def dead(self) -> str:
        return f"{self.prefix}.dead"

    def queue(self, name: str) -> str:
        """The full name of a configured queue."""
        return f"{self.prefix}.submit.{name}"

    def key(self, queue: str) -> str:
        """The routing key that leads to a queue: its configured name."""
        return queue.removeprefix(f"{self.prefix}.submit.")

    def retry(self, delay: float) -> str:
        """The delay step of so many seconds, `smsgw.retry.10`."""
        return f"{self.prefix}.retry.{delay:g}"


class Topology(msgspec.Struct, frozen=True):
    exchanges: tuple[Exchange, ...]
    queues: tuple[Queue, ...]
    bindings: tuple[Binding, ...]

    def with_more(self, more: Topology) -> Topology:
        """Both together; where they differ about a name, as `more` has it."""
        return Topology(
            tuple({each.name: each for each in (*self.exchanges, *more.exchanges)}.values()),
            tuple({each.name: each for each in (*self.queues, *more.queues)}.values()),
            tuple(dict.fromkeys((*self.bindings, *more.bindings))),
        )


ROUTE_KEY = "route"


def topology(
    queues: Iterable[str],
    *,
    names: Names = Names(),  # noqa: B008  frozen
    queue_type: QueueType = "classic",
    max_length: dict[str, int] | None = None,
    retry_steps: Iterable[float] = RETRY_STEPS,
    feeds: bool = True,
) -> Topology:
    """All that is declared, for the configured queues by their short names.

    `max_length` maps a queue's short name to the most messages it may hold; a publish over it is
    refused. `feeds` False leaves out the default queues of events and inbound messages.
    """
    limits = max_length or {}
    delays = tuple(dict.fromkeys(retry_steps))
    exchanges = [
        Exchange(names.submit, "direct"),
        Exchange(names.events, "topic"),
        Exchange(names.inbound, "topic"),
        Exchange(names.dead, "fanout"),
        *(Exchange(names.retry(delay), "fanout") for delay in delays),
    ]
    waiting = [
        Queue(
            name=full,
            type=queue_type,
            max_priority=PRIORITIES - 1,
            dead_letter_exchange=names.dead,
            max_length=limits.get(short),
            overflow="reject-publish" if short in limits else None,
        )
        for short, full in [(name, names.queue(name)) for name in dict.fromkeys(queues)]
        + [(ROUTE_KEY, names.route)]
    ]
    delayed = [
        Queue(name=names.retry(delay), type=queue_type, dead_letter_exchange=names.submit, ttl=delay)
        for delay in delays
    ]
    read = [
        Queue(name=name, type=queue_type, max_length=FEED_LENGTH, overflow="drop-head")
        for name in ((names.events, names.inbound) if feeds else ())
    ]
    dead = Queue(name=names.dead, type=queue_type)
    return Topology(
        exchanges=tuple(exchanges),
        queues=(*waiting, *delayed, *read, dead),
        bindings=(
            *(Binding(names.submit, queue.name, names.key(queue.name)) for queue in waiting[:-1]),
            Binding(names.submit, names.route, ROUTE_KEY),
            *(Binding(queue.name, queue.name) for queue in delayed),
            *(Binding(queue.name, queue.name, "#") for queue in read),
            Binding(names.dead, names.dead),
        ),
    )
