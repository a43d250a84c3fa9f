"""A back end as a process of its own: publishes what it is told to, and takes every event.

    python client.py CONFIG FOLDER LINKED [KEY]

A line `FIRST COUNT` on the standard input asks for that many messages, numbered from `FIRST`. Of ten in
a row the first `LINKED` ask for a receipt. Message number 7 has the id `m-7` and the text `message 7/0`.

`FOLDER/publishes` gets a line for each publish: `confirmed 7`, or `doubted 7` for one that failed and so
may or may not be stored. That is published again until it is confirmed, under the same id, but with the
texts `message 7/1` and so on: so the SMSC can tell what the producer repeats from what smsgw repeats.
`FOLDER/events` gets every event, before it is acknowledged.
"""

from __future__ import annotations

import json
import os
import sys
from itertools import count
from pathlib import Path
from typing import IO, Any

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.stdio import StandardIO
from twisted.internet.task import deferLater, react
from twisted.protocols.basic import LineOnlyReceiver

from smsgw.broker.base import Broker, BrokerError, Delivery, Properties
from smsgw.gateway.assembly import broker_of, names_of
from smsgw.loading import load

AT_ONCE = 200
"""Publishes that wait for their confirm, and events not yet acknowledged."""

AGAIN = 0.5
"""Seconds before what was not confirmed is published again."""


class Orders(LineOnlyReceiver):
    """What the standard input asks for."""

    delimiter = b"\n"

    def __init__(self, backend: BackEnd) -> None:
        self._backend = backend

    def lineReceived(self, line: bytes) -> None:
        first, count = map(int, line.split())
        for number in range(first, first + count):
            self._backend.order(number)


class BackEnd:
    """Publishes with a routing key, at most `AT_ONCE` at a time, and writes down what it hears."""

    def __init__(
        self, reactor: Any, broker: Broker, submit: str, key: str, folder: Path, linked: int
    ) -> None:
        self._reactor = reactor
        self._broker = broker
        self._submit = submit
        self._key = key
        self._linked = linked
        self._free = DeferredSemaphore(AT_ONCE)
        self._publishes: IO[str] = (folder / "publishes").open("a", buffering=1)
        self._events: IO[bytes] = (folder / "events").open("ab")

    def order(self, number: int) -> None:
        self._free.run(lambda: Deferred.fromCoroutine(self._publish(number)))

    async def _publish(self, number: int) -> None:
        properties = Properties(message_id=f"m-{number}")
        for copy in count():
            body = self._message(number, copy)
            try:
                await self._broker.publish(self._submit, self._key, body, properties, mandatory=True)
            except BrokerError:
                self._publishes.write(f"doubted {number}\n")
                await deferLater(self._reactor, AGAIN)
            else:
                self._publishes.write(f"confirmed {number}\n")
                return

    def _message(self, number: int, copy: int) -> bytes:
        message = {
            "to": f"+4670{number:07}",
            "text": f"message {number}/{copy}",
            "receipt": "final" if number % 10 < self._linked else "none",
        }
        return json.dumps(message).encode()

    def heard(self, delivery: Delivery) -> None:
        self._events.write(delivery.body + b"\n")
        self._events.flush()
        delivery.ack()


async def main(reactor: Any) -> None:
    configuration = load(sys.argv[1], os.environ)
    names = names_of(configuration)
    broker = broker_of(configuration, reactor)
    key = sys.argv[4] if len(sys.argv) > 4 else "acme"
    backend = BackEnd(reactor, broker, names.submit, key, Path(sys.argv[2]), int(sys.argv[3]))
    broker.start()
    await broker.ready()
    broker.consume(names.events, AT_ONCE, backend.heard)
    StandardIO(Orders(backend))  # type: ignore[no-untyped-call]
    await Deferred()


react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
