"""A producer as a process of its own: publishes numbered messages through smsgw's own broker connections.

    python benchmarks/produce.py CONFIG COUNT [--rate R] [--times FILE] [--receipt final]

Without --rate as fast as the broker confirms. FILE gets the moment of each publish, in ns of
CLOCK_MONOTONIC, as 64 bits each. The last seven digits of message n's recipient are n.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from smsgw.broker.base import Broker, Properties
from smsgw.gateway.assembly import broker_of, names_of
from smsgw.loading import load

TEXT = "A message of ordinary length, as shops send them to say that a parcel has come."
OUT = 2000
"""Publishes that wait for their confirm."""

TURN = 0.002
IDLE_RATE = 100.0
"""Up to it every message is published alone, at a moment that is in step with nobody's timer."""


async def produce(reactor: Any, options: argparse.Namespace) -> None:
    configuration = load(options.config, os.environ)
    broker = broker_of(configuration, reactor)
    broker.start()
    await broker.ready()
    times = array("q")

    def publish() -> Deferred[None]:
        number = len(times)
        body = f'{{"to":"+4670{number:07}","from":"ACME","text":"{TEXT}","receipt":"{options.receipt}"}}'
        times.append(time.monotonic_ns())
        properties = Properties(message_id=f"m-{number}")
        return broker.publish(names_of(configuration).submit, "acme", body.encode(), properties)

    if options.rate:
        await paced(reactor, publish, times, options.count, options.rate)
    else:
        await flood(publish, options.count)
    await stopped(reactor, broker)
    if options.times:
        Path(options.times).write_bytes(times.tobytes())  # noqa: ASYNC240


async def flood(publish: Callable[[], Deferred[None]], count: int) -> None:
    """As fast as the broker confirms, `OUT` unconfirmed at any time."""
    left, out, done = count, 0, Deferred[None]()

    def confirmed(_: object) -> None:
        nonlocal out
        out -= 1
        fill()

    def fill() -> None:
        nonlocal left, out
        while left and out < OUT:
            left -= 1
            out += 1
            publish().addCallbacks(confirmed, done.errback)
        if not left and not out and not done.called:
            done.callback(None)

    fill()
    await done


async def paced(
    reactor: Any, publish: Callable[[], Deferred[None]], times: array[int], count: int, rate: float
) -> None:
    """`rate` a second; a publish that fails ends it."""
    chance = random.Random(1)
    failed: list[object] = []
    began = time.monotonic()
    while len(times) < count and not failed:
        if rate <= IDLE_RATE:
            publish().addErrback(failed.append)
            await deferLater(reactor, (0.5 + chance.random()) / rate)
            continue
        due = min(count, int((time.monotonic() - began) * rate) + 1)
        while len(times) < due:
            publish().addErrback(failed.append)
        await deferLater(reactor, max(TURN, 1 / rate))
    if failed:
        raise SystemExit(f"a publish failed: {failed[0]}")


async def stopped(reactor: Any, broker: Broker) -> None:
    await deferLater(reactor, 0)
    await broker.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("count", type=int)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--times")
    parser.add_argument("--receipt", default="none")
    options = parser.parse_args()
    react(lambda reactor: Deferred.fromCoroutine(produce(reactor, options)))


if __name__ == "__main__":
    main()
