"""Which queues a publish goes to: AMQP's exchanges over a `Topology`, pure.

A spool has no exchanges of its own. Every process routes what it publishes by the topology of its
configuration, and only the queues are in the file.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from typing import TypeGuard

from smsgw.broker.base import BrokerError
from smsgw.broker.spool.rows import Route
from smsgw.broker.topology import Topology
from smsgw.errors import Misuse

ROUTES = 1024
"""Routes that are remembered: events have a few, inbound messages one for each number."""


def topic_matches(pattern: str, key: str) -> bool:
    """AMQP 0-9-1, 3.1.3.3: words between dots; `*` is one word, `#` none or more."""
    words = key.split(".") if key else []
    reached = {0}  # how many words the pattern so far can have used up
    for part in pattern.split(".") if pattern else []:
        if part == "#":
            reached = set(range(min(reached), len(words) + 1))
        else:
            reached = {n + 1 for n in reached if n < len(words) and part in ("*", words[n])}
        if not reached:
            return False
    return len(words) in reached


class Router:
    """The bindings of a topology, arranged for looking up."""

    def __init__(self, topology: Topology) -> None:
        self._kinds = {exchange.name: exchange.kind for exchange in topology.exchanges}
        self._bound: dict[str, dict[str, tuple[str, ...]]] = {exchange: {} for exchange in self._kinds}
        for binding in topology.bindings:
            key = "" if self._kinds[binding.exchange] == "fanout" else binding.key
            bound = self._bound[binding.exchange]
            bound[key] = _once(*bound.get(key, ()), binding.queue)
        self.way = lru_cache(ROUTES)(self._way)

    def knows(self, exchange: str | None) -> TypeGuard[str]:
        return exchange == "" or exchange in self._kinds

    def is_topic(self, exchange: str) -> bool:
        return self._kinds.get(exchange) == "topic"

    def route(self, exchange: str, key: str) -> tuple[str, ...]:
        """The names of the queues, each once. The exchange `""` leads to the queue named `key`.

        Raises:
            BrokerError: there is no such exchange.
        """
        if not exchange:
            return (key,)
        kind = self._kinds.get(exchange)
        if kind is None:
            raise BrokerError(f"there is no exchange {exchange!r}")
        bound = self._bound[exchange]
        if kind == "topic":
            return self._match(exchange, key)
        return bound.get("" if kind == "fanout" else key, ())

    def _way(
        self, exchange: str, key: str, priority: int | None, expiration: str | None, mandatory: bool
    ) -> Route:
        """All that can be said of a publish before its body.

        Raises:
            BrokerError: there is no such exchange.
            Misuse: the key or the expiration is none.
        """
        return Route(
            exchange=exchange,
            key=_storable(key),
            queues=self.route(exchange, key),
            topic=self.is_topic(exchange),
            priority=priority or 0,
            expiration=_seconds(expiration),
            mandatory=mandatory,
        )

    def _match(self, exchange: str, key: str) -> tuple[str, ...]:
        bound = self._bound[exchange]
        matching = (queues for pattern, queues in bound.items() if topic_matches(pattern, key))
        return _once(*chain.from_iterable(matching))


def _once(*queues: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(queues))


def _storable(key: str) -> str:
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise Misuse(f"this can't be published: {error}") from error
    return key


def _seconds(expiration: str | None) -> float | None:
    if expiration is None:
        return None
    if not (expiration.isascii() and expiration.isdigit()):
        raise Misuse(f"expiration: expected milliseconds in decimal digits, found {expiration!r}")
    return int(expiration) / 1000
