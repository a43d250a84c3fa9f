"""Which queues a publish goes to: AMQP's exchanges over a `Topology`, pure.

A spool has no exchanges of its own. Every process routes what it publishes by the topology of its
configuration, and only the queues are in the file.
"""

from __future__ import annotations

from smsgw.broker.base import BrokerError
from smsgw.broker.topology import ExchangeKind, Topology


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
        self.queues = tuple(queue.name for queue in topology.queues)
        self._kinds: dict[str, ExchangeKind] = {
            exchange.name: exchange.kind for exchange in topology.exchanges
        }
        self._bindings: dict[str, list[tuple[str, str]]] = {exchange: [] for exchange in self._kinds}
        for binding in topology.bindings:
            self._bindings[binding.exchange].append((binding.key, binding.queue))

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
        found = (queue for pattern, queue in self._bindings[exchange] if _leads(kind, pattern, key))
        return tuple(dict.fromkeys(found))


def _leads(kind: ExchangeKind, pattern: str, key: str) -> bool:
    if kind == "fanout":
        return True
    return pattern == key or (kind == "topic" and topic_matches(pattern, key))
