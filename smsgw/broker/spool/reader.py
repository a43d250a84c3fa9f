"""One queue's consumers in this process.

A `QueueReader` holds the queue's lock, reads rows ahead (as many as its consumers are wide), hands
them out in order of priority and age, and keeps in memory what is out. An acknowledged row is deleted
with the next group commit; its slot is free at once, but no more than a width of deletions may be
unwritten, so that a full disk stops the flow instead of filling the memory.

A delivery that is put back waits for the next turn of the reactor: a consumer that refuses everything
costs turns, but does not stop the reactor.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from smsgw.broker.base import Deliver, Properties
from smsgw.broker.spool.lock import FileLock
from smsgw.broker.spool.rows import Row, Taken, decode
from smsgw.broker.spool.store import Store
from smsgw.errors import StorageError
from smsgw.sqlite import Database

log = Logger()

READ_AHEAD_LEAST = 16
READ_AHEAD_MOST = 1000
"""Rows that are read ahead of what is out: as many as the consumers are wide, within these bounds. A
narrow channel needs some too: while the next rows are being read, the urgent ones must not run out."""

RETRY = 0.5
"""Seconds until the next try for a queue that another process has, or a file that can't be read."""

PROBED = 0.02
"""Seconds until the second try: a process that looks whether a lock is taken holds it for a moment."""

RAISED = 0.1
"""Seconds until a delivery whose consumer raised is put back, so that a defect does not spin."""


class Home(Protocol):
    """What a reader needs of the spool it belongs to."""

    @property
    def reactor(self) -> IReactorTime: ...

    @property
    def wall(self) -> Callable[[], float]: ...

    @property
    def database(self) -> Database: ...

    @property
    def store(self) -> Store: ...

    def soon(self) -> None:
        """Write what is to be written and call every reader's `advance` in the next turn."""

    def sweep(self) -> None:
        """Something expired: dead-letter it."""

    def left(self, reader: QueueReader) -> None:
        """Nobody consumes through this reader any more: forget and close it."""

    def report(self, about: str, problem: str | None) -> None:
        """A problem for the operator to see, or that it is over."""


class SpoolDelivery:
    """One message, handed out. See `smsgw.broker.base.Delivery`."""

    __slots__ = ("_consumer", "_properties", "redelivered", "row", "stale")

    def __init__(self, consumer: SpoolConsumer, row: Row, redelivered: bool) -> None:
        self._consumer = consumer
        self._properties: Properties | None = None
        self.row = row
        self.redelivered = redelivered
        self.stale = False

    @property
    def queue(self) -> str:
        return self._consumer.queue

    @property
    def body(self) -> bytes:
        return self.row.body

    @property
    def properties(self) -> Properties:
        if self._properties is None:
            self._properties = decode(self.row.properties)
        return self._properties

    def ack(self) -> None:
        self._consumer.settle(self, put_back=False)

    def nack(self) -> None:
        self._consumer.settle(self, put_back=True)


class SpoolConsumer:
    """One `consume`. See `smsgw.broker.base.Consumer`."""

    def __init__(self, reader: QueueReader, width: int, deliver: Deliver) -> None:
        self._reader = reader
        self._deliver = deliver
        self._out: dict[int, SpoolDelivery] = {}
        self.width = width

    @property
    def queue(self) -> str:
        return self._reader.queue

    @property
    def unsettled(self) -> int:
        return len(self._out)

    @property
    def ids(self) -> Sequence[int]:
        """The rows that are out."""
        return tuple(self._out)

    def resize(self, width: int) -> None:
        self.width = width
        self._reader.home.soon()

    def cancel(self) -> Deferred[None]:
        self._reader.leave(self)
        return succeed(None)

    def release(self) -> None:
        self._reader.leave(self)
        self.take_back()

    def take_back(self) -> None:
        """All that is out becomes stale, and is the queue's again."""
        out, self._out = self._out, {}
        for delivery in out.values():
            delivery.stale = True
            self._reader.settled(delivery.row, put_back=True)

    def hand(self, row: Row, redelivered: bool) -> None:
        delivery = self._out[row.id] = SpoolDelivery(self, row, redelivered)
        try:
            self._deliver(delivery)
        except Exception:  # noqa: BLE001  the consumer's defect must neither stop the others nor lose this
            log.failure("a consumer of {queue} raised; its delivery is put back", queue=self.queue)
            self._reader.home.reactor.callLater(RAISED, delivery.nack)

    def settle(self, delivery: SpoolDelivery, *, put_back: bool) -> None:
        """Once only: neither a settled delivery nor a stale one says anything any more."""
        if self._out.get(delivery.row.id) is delivery:
            del self._out[delivery.row.id]
            self._reader.settled(delivery.row, put_back=put_back)


class QueueReader:
    """The one reader of a queue in this process, for any number of consumers."""

    def __init__(self, queue: str, lock: FileLock, home: Home) -> None:
        self.queue = queue
        self.home = home
        self._lock = lock
        self._taken: Taken | None = None
        self._opened: Deferred[None] = succeed(None)
        self._closed = False
        self._retry: IDelayedCall | None = None
        self._tries = 0
        self._consumers: deque[SpoolConsumer] = deque()
        self._leaving: list[SpoolConsumer] = []
        self._ready: list[Row] = []  # the next one is the last
        self._returned: list[Row] = []
        self._settled: list[int] = []
        self._unwritten = 0
        self._read_up_to: dict[int, int] = {}
        self._noticed = False
        self._more = True
        self._fetching = False

    # What the spool asks for

    @property
    def width(self) -> int:
        return sum(consumer.width for consumer in self._consumers)

    @property
    def in_flight(self) -> frozenset[int]:
        """Rows that are out, or settled and not yet deleted."""
        out = (row for consumer in (*self._consumers, *self._leaving) for row in consumer.ids)
        return frozenset((*out, *self._settled))

    def open(self) -> None:
        """Take the queue, now or as soon as the process that has it lets go."""
        self._retry = None
        self._opened = Deferred.fromCoroutine(self._open())

    def consume(self, width: int, deliver: Deliver) -> SpoolConsumer:
        consumer = SpoolConsumer(self, width, deliver)
        self._consumers.append(consumer)
        self.home.soon()
        return consumer

    def notice(self) -> None:
        """There may be new rows."""
        self._noticed = True
        self.home.soon()

    def advance(self) -> None:
        """Hand out what can be handed out, and read what will be needed next."""
        if self._closed:
            return
        if self._returned:
            returned, self._returned = self._returned, []
            self._queue_up(returned)
        self._hand_out()
        self._read_ahead()
        self._leaving = [consumer for consumer in self._leaving if consumer.unsettled]
        if not self._consumers and not self._leaving and not self._unwritten:
            self.home.left(self)

    def take_settled(self) -> list[int]:
        """The rows to delete; each is to be answered for with `wrote` or `not_written`."""
        settled, self._settled = self._settled, []
        return settled

    def wrote(self, rows: Sequence[int]) -> None:
        self._unwritten -= len(rows)
        self.home.soon()

    def not_written(self, rows: Sequence[int]) -> None:
        self._settled.extend(rows)

    async def close(self) -> None:
        """Give the queue back. What is out becomes stale, and comes again to whoever takes the queue."""
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
        self.home.report(self.queue, None)
        await self._opened
        for consumer in (*self._consumers, *self._leaving):
            consumer.take_back()
        if self._taken is not None:
            await self._give_back()
        self._lock.drop()

    # What consumers ask for

    def leave(self, consumer: SpoolConsumer) -> None:
        """Hand out nothing more to a consumer. Harmless when repeated."""
        if consumer in self._consumers:
            self._consumers.remove(consumer)
            self._leaving.append(consumer)
            self.home.soon()

    def settled(self, row: Row, *, put_back: bool) -> None:
        if put_back:
            self._returned.append(row._replace(redelivered=1))
        else:
            self._settled.append(row.id)
            self._unwritten += 1
        self.home.soon()

    # Taking the queue and giving it back

    async def _open(self) -> None:
        problem = await self._take()
        if self._closed:
            return
        if problem is None:
            self.home.report(self.queue, None)
            self.home.sweep()
            self.notice()
            return
        self._tries += 1
        if self._tries > 1:
            self.home.report(self.queue, problem)
        self._retry = self.home.reactor.callLater(PROBED if self._tries == 1 else RETRY, self.open)

    async def _take(self) -> str | None:
        """None, or why it can't be taken now."""
        try:
            if not self._lock.take():
                return f"queue {self.queue!r} is consumed by {self._lock.owner()}; waiting for it"
            self._taken = await self.home.database.run(partial(self.home.store.take, name=self.queue))
        except (OSError, StorageError) as error:
            self._lock.drop()
            return str(error)
        if self._taken is None:
            self._lock.drop()
            return f"there is no queue {self.queue!r}"
        return None

    async def _give_back(self) -> None:
        again = (row.id for row in self._ready if row.redelivered)
        operation = partial(
            self.home.store.give_back,
            name=self.queue,
            settled=self._settled,
            handed_out=[*again, *(row.id for row in self._returned)],
        )
        try:
            await self.home.database.run(operation)
        except StorageError as error:  # then all is taken for handed out, which is true enough
            log.error("queue {queue} was not given back in order: {error}", queue=self.queue, error=error)

    # Reading and handing out

    def _queue_up(self, rows: Sequence[Row]) -> None:
        self._ready += rows
        self._ready.sort(reverse=True)  # of two sorted stretches: that is a merge

    def _hand_out(self) -> None:
        now, width = self.home.wall(), self.width
        suspect = 0 if self._taken is None else self._taken.suspect
        while self._ready and self._unwritten <= width:
            consumer = self._consumer_with_room()
            if consumer is None:
                return
            row = self._ready.pop()
            if row.expires is not None and row.expires <= now:
                self.home.sweep()
            else:
                consumer.hand(row, bool(row.redelivered) or row.id <= suspect)

    def _consumer_with_room(self) -> SpoolConsumer | None:
        """The next in turn."""
        for _ in range(len(self._consumers)):
            self._consumers.rotate(-1)
            consumer = self._consumers[-1]
            if consumer.unsettled < consumer.width:
                return consumer
        return None

    def _read_ahead(self) -> None:
        ahead = min(max(self.width, READ_AHEAD_LEAST), READ_AHEAD_MOST)
        if self._taken is None or self._fetching or not self.width:
            return
        if not self._noticed and not (self._more and len(self._ready) <= ahead // 2):
            return
        wanted = self._wanted(self._taken.priorities, ahead)
        if wanted:
            self._fetching, self._noticed = True, False
            Deferred.fromCoroutine(self._fetch(self._taken, wanted))

    def _wanted(self, priorities: int, ahead: int) -> list[tuple[int, int, int]]:
        """What to fetch. Urgent rows are read even where enough others wait in memory already."""
        waiting = Counter([-row.rank for row in self._ready])
        wanted = []
        for priority in range(priorities, -1, -1):
            ahead -= waiting[priority]
            if ahead > 0:
                wanted.append((priority, self._read_up_to.get(priority, 0), ahead))
        return wanted

    async def _fetch(self, taken: Taken, wanted: Sequence[tuple[int, int, int]]) -> None:
        operation = partial(self.home.store.fetch, queue=taken.id, wanted=wanted)
        try:
            fetched = await self.home.database.run(operation, write=False)
        except StorageError as error:
            self._fetching = False
            self.home.report(self.queue, str(error))
            self.home.reactor.callLater(RETRY, self.notice)
            return
        self._fetching = False
        self.home.report(self.queue, None)
        self._more = not fetched.exhausted or len(wanted) <= taken.priorities
        self._read_up_to |= {-row.rank: row.id for row in fetched.rows}
        self._queue_up(fetched.rows)
        self.advance()
