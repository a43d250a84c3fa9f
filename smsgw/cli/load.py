"""Offered load: messages that are published at a pace, each timed until its final event.

Two paces. *Open*: so many a second, whatever comes of them, as producers do who don't know of each other.
*Closed*: a fixed number of messages is out at any time, and each that ends makes room for the next, which
finds out how many a second are possible without piling any up.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from smsgw.broker.base import Broker, Properties
from smsgw.errors import SmsgwError

TURN = 0.002
"""Seconds between publishes of an open load at most; what is due by then leaves together."""

EXPIRATION = "60000"
"""Milliseconds after which a broker drops what a load that was broken off has left behind."""


class Ended(msgspec.Struct, frozen=True):
    """As much of an event as tells whose end it is."""

    id: str
    event: str
    final: bool


class Percentiles(msgspec.Struct, frozen=True):
    """In milliseconds."""

    p50: float
    p90: float
    p99: float
    max: float


_ended = msgspec.json.Decoder(Ended)


class Load:
    """`count` messages to one queue. `done` fires with the last final event; a failed publish fails it."""

    def __init__(
        self,
        broker: Broker,
        exchange: str,
        queue: str,
        bodies: Callable[[int], bytes],
        *,
        count: int,
        run: str,
        clock: IReactorTime,
    ) -> None:
        """`bodies` makes a message's body from its number; `run` tells the ids from another load's."""
        self.done: Deferred[None] = Deferred()
        self.published = array("d")
        self.took = array("d", bytes(8 * count))
        self.ends: Counter[str] = Counter()
        self.last = 0.0
        self._broker = broker
        self._to = exchange, queue
        self._bodies = bodies
        self._count = count
        self._run = run
        self._clock = clock
        self._out = 0
        self._began = 0.0
        self._pace: LoopingCall | None = None

    @property
    def ended(self) -> int:
        return sum(self.ends.values())

    @property
    def seconds(self) -> float:
        """From the first publish to the last end."""
        return self.last - self.published[0] if self.ended else 0.0

    def start_open(self, rate: float) -> None:
        """Publish `rate` messages a second from now on, a little group each turn."""
        self._began = self._clock.seconds()
        self._pace = LoopingCall(self._publish_due, rate)
        self._pace.clock = self._clock
        self._pace.start(max(TURN, 1 / rate)).addErrback(self._failed)

    def start_closed(self, out: int) -> None:
        """Have `out` messages under way until all are published."""
        self._out = out
        self._fill()

    def stop(self) -> None:
        """Publish no more."""
        self._out = 0
        if self._pace is not None and self._pace.running:
            self._pace.stop()

    def heard(self, _: str, octets: bytes) -> None:
        """An event, as `Broker.watch` tells it."""
        event = _ended.decode(octets)
        run, _, number = event.id.rpartition("-")
        if run != self._run or not event.final:
            return
        self.last = self._clock.seconds()
        at = int(number)
        if self.took[at]:
            return  # told again
        self.took[at] = self.last - self.published[at]
        self.ends[event.event] += 1
        self._fill()
        if self.ended == self._count and not self.done.called:
            self.done.callback(None)

    def _publish_due(self, rate: float) -> None:
        due = min(self._count, int((self._clock.seconds() - self._began) * rate) + 1)
        while len(self.published) < due:
            self._publish()
        if len(self.published) == self._count:
            self.stop()

    def _fill(self) -> None:
        while len(self.published) < self._count and len(self.published) - self.ended < self._out:
            self._publish()

    def _publish(self) -> None:
        number = len(self.published)
        properties = Properties(message_id=f"{self._run}-{number}", expiration=EXPIRATION)
        self.published.append(self._clock.seconds())
        stored = self._broker.publish(*self._to, self._bodies(number), properties, mandatory=True)
        stored.addErrback(self._failed)

    def fail(self, why: str) -> None:
        """It is over, and not as hoped."""
        self.stop()
        if not self.done.called:
            self.done.errback(SmsgwError(why))

    def _failed(self, failure: Failure) -> None:
        self.fail(f"a publish failed: {failure.value}")


def percentiles(seconds: Sequence[float]) -> Percentiles:
    """Nearest rank, of times in seconds; there must be one at least."""
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 3)

    return Percentiles(at(0.5), at(0.9), at(0.99), at(1.0))
