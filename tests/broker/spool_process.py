"""A process that publishes to a spool, or consumes from it; for tests that need real ones.

    spool_process.py PATH publish NAME NUMBER      publishes NAME/0 ... and says `stored N`
    spool_process.py PATH consume WIDTH HOLD       a line per delivery, settled after HOLD seconds

Lines of a consumer: `got BODY REDELIVERED SECONDS` where SECONDS is how long ago the body says it was
published (or -), and `state ERROR` whenever the spool's error changes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Coroutine
from typing import Any

from twisted.internet import reactor, task
from twisted.internet.defer import Deferred, gatherResults

from smsgw.broker.base import Delivery
from smsgw.broker.spool import Spool
from smsgw.broker.topology import Names, topology

NAMES = Names()
BATCH = 50


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def publish(spool: Spool, name: str, number: int) -> None:
    for start in range(0, number, BATCH):
        bodies = [f"{name}/{n}".encode() for n in range(start, min(start + BATCH, number))]
        await gatherResults([spool.publish(NAMES.submit, "a", body) for body in bodies])
    say(f"stored {number}")
    await spool.stop()
    reactor.stop()  # type: ignore[attr-defined]


async def consume(spool: Spool, width: int, hold: float) -> None:
    def carry(delivery: Delivery) -> None:
        body = delivery.body.decode()
        age = f"{time.time() - float(body[1:]):.6f}" if body.startswith("@") else "-"
        say(f"got {body} {int(delivery.redelivered)} {age}")
        if hold:
            reactor.callLater(hold, delivery.ack)  # type: ignore[attr-defined]
        else:
            delivery.ack()

    spool.consume(NAMES.queue("a"), width, carry)
    shown = None
    while True:
        if spool.state.error != shown:
            shown = spool.state.error
            say(f"state {shown}")
        await task.deferLater(reactor, 0.02)  # type: ignore[arg-type]


async def run(path: str, what: str, *arguments: str) -> None:
    spool = Spool(path, topology(["a"]), reactor)  # type: ignore[arg-type]
    spool.start()
    await spool.ready()
    say("up")
    story: Coroutine[Any, Any, None]
    if what == "publish":
        story = publish(spool, arguments[0], int(arguments[1]))
    else:
        story = consume(spool, int(arguments[0]), float(arguments[1]))
    await story


if __name__ == "__main__":
    Deferred.fromCoroutine(run(*sys.argv[1:])).addErrback(lambda failure: failure.printTraceback())
    reactor.run()  # type: ignore[attr-defined]
