"""A broker, sessions and a gateway's parts in memory, with one story of what happened in what order."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, execute, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from smsgw.broker.base import BrokerState, Deliver, Properties, Publish, the_only
from smsgw.broker.topology import Names, Topology
from smsgw.channel.base import Tell
from smsgw.errors import StorageError
from smsgw.folding import Record, Report
from smsgw.gateway.durable import Durable
from smsgw.gateway.events import Events
from smsgw.ledger.base import Acceptance, Claim, Expiry, Kept, Overdue, Owed, OwedInbound, Receipt
from smsgw.ledger.sqlite import SCHEMA, SqliteLedger
from smsgw.message import Submission
from smsgw.metrics import Metrics, Tally
from smsgw.outcome import Outcome
from smsgw.sms import join
from smsgw.sms.inbound import Arrival
from smsgw.sqlite import Database

T = TypeVar("T")

NOW = 1_700_000_000.0


def result(deferred: Deferred[T]) -> T:
    """What an already fired Deferred holds; raises what it failed with."""
    found: list[Any] = []
    deferred.addBoth(found.append)
    assert found, "the Deferred has not fired"
    if hasattr(found[0], "raiseException"):
        found[0].raiseException()
    return found[0]  # type: ignore[no-any-return]


def count(counter: Any, *labels: str) -> float:
    if isinstance(counter, Tally):
        return counter.numbers.get(labels, 0)
    return (counter.labels(*labels) if labels else counter)._value.get()  # type: ignore[no-any-return]


class Published:
    def __init__(self, exchange: str, key: str, body: bytes, properties: Properties) -> None:
        self.exchange = exchange
        self.key = key
        self.body = body
        self.properties = properties

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)  # type: ignore[no-any-return]


class FakeDelivery:
    """One message out. Settled twice is a failed test."""

    def __init__(
        self, story: list[str], body: bytes, properties: Properties, *, queue: str, redelivered: bool = False
    ) -> None:
        self.queue = queue
        self.body = body
        self.properties = properties
        self.redelivered = redelivered
        self.stale = False
        self.settled: str | None = None
        self.settle: Callable[[], None] = lambda: None
        self._story = story

    def ack(self) -> None:
        self._settle("ack")

    def nack(self) -> None:
        self._settle("nack")

    def _settle(self, how: str) -> None:
        if self.stale:
            return
        assert self.settled is None, f"{how} after {self.settled}"
        self.settled = how
        self._story.append(how)
        self.settle()


class FakeConsumer:
    def __init__(self, broker: FakeBroker, queue: str, width: int, deliver: Deliver) -> None:
        self.queue = queue
        self.width = width
        self.out: list[FakeDelivery] = []
        self.cancelled: Deferred[None] | None = None
        self.released = False
        self.holds_cancel = False
        self._broker = broker
        self._deliver = deliver

    @property
    def unsettled(self) -> int:
        return len(self.out)

    def resize(self, width: int) -> None:
        self.width = width

    def deliver(self, delivery: FakeDelivery) -> FakeDelivery:
        """Hand out a message, as the broker would: never more than the width, never after a cancel."""
        assert self.cancelled is None, "delivered after cancel"
        assert len(self.out) < self.width, "over the width"
        self.out.append(delivery)
        delivery.settle = lambda: self.out.remove(delivery)
        self._deliver(delivery)
        return delivery

    def cancel(self) -> Deferred[None]:
        self._broker.story.append(f"cancel {self.queue}")
        self.cancelled = self.cancelled or Deferred()
        if not self.holds_cancel:
            return succeed(None)
        return self.cancelled

    def release(self) -> None:
        self._broker.story.append(f"release {self.queue}")
        self.released = True
        for delivery in self.out:
            delivery.stale = True


class FakeBroker:
    """Confirms at once, unless it is told to hold (`held`) or to fail (`broken`)."""

    def __init__(self, story: list[str]) -> None:
        self.story = story
        self.state = BrokerState("up", NOW)
        self.published: list[Published] = []
        self.consumers: list[FakeConsumer] = []
        self.depths: dict[str, int | Exception] = {}
        self.held = False
        self.declared: list[Topology] = []
        self.refusal: Exception | None = None
        self.broken: Callable[[str, str], Exception | None] = lambda exchange, key: None
        self._waiting: list[
            tuple[Sequence[Publish], list[Exception | None], Deferred[list[Exception | None]]]
        ] = []

    def start(self) -> None:
        self.story.append("broker start")

    def stop(self) -> Deferred[None]:
        self.story.append("broker stop")
        return succeed(None)

    def ready(self) -> Deferred[None]:
        return succeed(None)

    def declare(self, more: Topology) -> Deferred[None]:
        self.story.append("declare")
        self.declared.append(more)
        return fail(self.refusal) if self.refusal else succeed(None)

    def publish(
        self,
        exchange: str,
        key: str,
        body: bytes,
        properties: Properties = Properties(),  # noqa: B008
        *,
        mandatory: bool = False,
    ) -> Deferred[None]:
        return self.publish_all([Publish(exchange, key, body, properties, mandatory)]).addCallback(the_only)

    def publish_all(self, publishes: Sequence[Publish]) -> Deferred[list[Exception | None]]:
        for each in publishes:
            self.story.append(f"publish {each.exchange} {each.key}".rstrip())
        confirmed: Deferred[list[Exception | None]] = Deferred()
        errors = [self.broken(each.exchange, each.key) for each in publishes]
        self._waiting.append((publishes, errors, confirmed))
        if not self.held or all(errors):
            self.confirm()
        return confirmed

    def confirm(self) -> None:
        """Everything that is held is stored."""
        waiting, self._waiting = self._waiting, []
        for publishes, errors, confirmed in waiting:
            for each, error in zip(publishes, errors, strict=True):
                if error is None:
                    self.published.append(Published(each.exchange, each.key, each.body, each.properties))
                    self.story.append(f"confirmed {each.exchange} {each.key}".rstrip())
            confirmed.callback(errors)

    def consume(self, queue: str, width: int, deliver: Deliver) -> FakeConsumer:
        self.story.append(f"consume {queue} {width}")
        self.consumers.append(FakeConsumer(self, queue, width, deliver))
        return self.consumers[-1]

    def depth(self, queue: str) -> Deferred[int]:
        found = self.depths.get(queue, 0)
        return fail(found) if isinstance(found, Exception) else succeed(found)

    def watch(self, exchange: str, pattern: str, deliver: Callable[[str, bytes], None]) -> Deferred[None]:
        return succeed(None)

    def events(self, exchange: str = "smsgw.events") -> list[dict[str, Any]]:
        return [each.json for each in self.published if each.exchange == exchange]


class TroubledLedger:
    """The real ledger on a real file, that tells the story and fails where the test says so."""

    def __init__(self, path: Path, story: list[str]) -> None:
        database = Database(path, SCHEMA, synchronous="NORMAL", run_in_thread=execute)
        self.story = story
        self.broken: set[str] = set()
        self.culprits: set[str] = set()
        self.groups: list[int] = []
        self.held: list[tuple[Callable[[], Deferred[Any]], Deferred[Any]]] | None = None
        self._real = SqliteLedger(database)

    def start(self) -> None:
        self.story.append("ledger start")
        self._real.start()

    def stop(self) -> Deferred[None]:
        self.story.append("ledger stop")
        return self._real.stop()

    def remember(self, accepted: Sequence[Acceptance]) -> Deferred[Sequence[Sequence[Owed]]]:
        self.groups.append(len(accepted))
        if any(each.record.id in self.culprits for each in accepted):
            return self._do("remember", lambda: fail(ZeroDivisionError("ours")))
        return self._do("remember", lambda: self._real.remember(accepted))

    def recall(self, message_id: str) -> Deferred[Record | None]:
        return self._do("recall", lambda: self._real.recall(message_id))

    def claim(self, came: Sequence[Receipt]) -> Deferred[Sequence[Claim]]:
        return self._do("claim", lambda: self._real.claim(came))

    def owed(self, limit: int) -> Deferred[Sequence[Owed]]:
        return self._do("owed", lambda: self._real.owed(limit), quiet=True)

    def clear(self, numbers: Sequence[int]) -> Deferred[None]:
        return self._do("clear", lambda: self._real.clear(numbers))

    def expire(self, now: float, *, keep: float, park: float, limit: int) -> Deferred[Expiry]:
        return self._do(
            "expire", lambda: self._real.expire(now, keep=keep, park=park, limit=limit), quiet=True
        )

    def keep(self, key: join.Key, fragment: join.Fragment, arrival: Arrival, *, limit: int) -> Deferred[Kept]:
        return self._do("keep", lambda: self._real.keep(key, fragment, arrival, limit=limit))

    def owed_inbound(self, before: float, limit: int) -> Deferred[Sequence[OwedInbound]]:
        return self._do("owed inbound", lambda: self._real.owed_inbound(before, limit), quiet=True)

    def clear_inbound(self, numbers: Sequence[int]) -> Deferred[None]:
        return self._do("clear inbound", lambda: self._real.clear_inbound(numbers))

    def expire_inbound(self, before: float, now: float, limit: int) -> Deferred[Overdue]:
        return self._do("expire inbound", lambda: self._real.expire_inbound(before, now, limit), quiet=True)

    def proceed(self) -> None:
        """Do all that is held, and hold no more."""
        held, self.held = self.held or [], None
        for work, done in held:
            work().chainDeferred(done)

    def _do(self, what: str, work: Callable[[], Deferred[T]], *, quiet: bool = False) -> Deferred[T]:
        if not quiet:
            self.story.append(what)
        if what in self.broken:
            return fail(StorageError("ledger.db: disk full"))
        if self.held is not None:
            done: Deferred[T] = Deferred()
            self.held.append((work, done))
            return done
        return work()


class FakeChannel:
    def __init__(
        self, name: str = "acme", *, retry: Sequence[float] = (10.0, 60.0), receipts: bool = True
    ) -> None:
        self.name = name
        self.queue = "nordic"
        self.account = name
        self.retry = retry
        self.receipts = receipts
        self.receipted_part: int | None = None
        self.sessions: list[object] = []
        self.sessions_up = 1

    def receipted(self, parts: int) -> Sequence[int]:
        if not self.receipts:
            return ()
        return (self.receipted_part,) if self.receipted_part else range(1, parts + 1)

    def index_key(self, smsc_id: str) -> str:
        return smsc_id.lower()

    def start(self) -> None: ...

    def stop(self) -> Deferred[None]:
        return succeed(None)


class FakeSession:
    """Says of each message what the test says: an outcome at once, or when its Deferred fires."""

    def __init__(self, channel: FakeChannel, story: list[str], width: int = 10) -> None:
        self.channel = channel
        self.name = f"{channel.name}#1"
        self.width = width
        self.sent: list[Submission] = []
        self.answer: Callable[[Submission], Outcome | Deferred[Outcome]] = lambda submission: Deferred()
        self.yields: list[Deferred[Outcome]] = []
        self.end_turn: Callable[[], None] = lambda: None
        """Called after each answer: what the gateway does at the end of the reactor's turn."""
        self._story = story

    def deliver(self, submission: Submission, tell: Tell) -> None:
        self._story.append("send")
        self.sent.append(submission)
        answer = self.answer(submission)
        if isinstance(answer, Deferred):
            answer.addBoth(self._say, tell)
        else:
            self._say(answer, tell)

    def _say(self, outcome: Outcome | Failure, tell: Tell) -> None:
        tell(outcome)
        self.end_turn()

    def yield_waiting(self) -> None:
        self._story.append(f"yield {self.name}")


class Parts:
    """What every part of the gateway is given."""

    def __init__(self, path: Path) -> None:
        self.story: list[str] = []
        self.clock = Clock()
        self.broker = FakeBroker(self.story)
        self.ledger = TroubledLedger(path / "ledger.db", self.story)
        self.metrics = Metrics()
        self.names = Names()
        self.events = Events(self.broker, self.names, self.metrics, self.now)
        self.durable = Durable(
            self.broker, self.events, names=self.names, metrics=self.metrics, clock=self.clock, now=self.now
        )

    def now(self) -> float:
        return NOW + self.clock.seconds()

    def told(self) -> list[str]:
        """The story since last asked."""
        told = list(self.story)
        self.story.clear()
        return told


def claimed(
    ledger: TroubledLedger,
    account: str,
    channel: str,
    candidates: Sequence[tuple[str, str]],
    recipient: str,
    word: Report,
    at: float,
) -> Deferred[Claim]:
    """One receipt alone."""
    came = ledger.claim([Receipt(account, channel, candidates, recipient, word, at)])
    return came.addCallback(lambda claims: claims[0])


def message(**fields: Any) -> bytes:
    return json.dumps({"to": "+46700000001", "text": "hi", **fields}).encode()
