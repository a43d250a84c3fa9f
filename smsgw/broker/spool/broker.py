"""The spool as a broker: its states, and who is told what when."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence, Set
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec
from twisted.internet.defer import Deferred, fail, gatherResults, succeed
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from smsgw.broker.base import (
    BrokerError,
    BrokerState,
    Deliver,
    Properties,
    Publish,
    TopologyError,
    Unavailable,
    the_only,
)
from smsgw.broker.spool import published, store
from smsgw.broker.spool.bell import Bell
from smsgw.broker.spool.coalesce import Coalesced
from smsgw.broker.spool.expiry import Expiry
from smsgw.broker.spool.lock import FileLock
from smsgw.broker.spool.reader import QueueReader, SpoolConsumer
from smsgw.broker.spool.routing import Router
from smsgw.broker.spool.rows import Routed, decode, encode, stretches
from smsgw.broker.spool.watch import Hear, Watchers
from smsgw.broker.spool.writer import WRITING, Writer
from smsgw.broker.topology import Topology
from smsgw.errors import Misuse, SmsgwError, StorageError
from smsgw.sqlite import Database, RunInThread, WorkerThread

log = Logger()

RETRY = 1.0
"""Seconds between attempts to write what could not be written; also between two looks after the file."""

STOP_LIMIT = 10.0
"""Seconds that `stop` waits for what is being written."""


class Spool:
    """A broker in one SQLite file. See `smsgw.broker.base.Broker`.

    `wall` tells seconds since the epoch, because moments of expiry are in the file; by default it is
    `reactor.seconds`, which does so in Twisted's reactors as they come. `run_in_thread` is for tests; by
    default there is one worker thread. What was stopped can't be started again: make another.
    """

    def __init__(
        self,
        path: str | Path,
        topology: Topology,
        reactor: IReactorTime,
        *,
        run_in_thread: RunInThread | None = None,
        synchronous: Literal["FULL", "NORMAL"] = "FULL",
        wall: Callable[[], float] | None = None,
    ) -> None:
        self.reactor = reactor
        self.wall = wall or reactor.seconds
        self._path = Path(path)
        self._worker: WorkerThread | None = None
        if run_in_thread is None:
            run_in_thread = self._worker = WorkerThread(IReactorFromThreads(reactor), "spool")
        self._topology = topology
        self._router = Router(topology)
        self._expiring = _expiring(topology)
        self.store = store.Store(self._router)
        self.database = Database(path, store.SCHEMA, synchronous=synchronous, run_in_thread=run_in_thread)
        self._look_for_changes = Coalesced(self._look)
        self._bell = Bell(self._beside("bell"), reactor, self._look_for_changes)
        self._watchers = Watchers(FileLock(self._beside("watch")), self.database)
        self._expiry = Expiry(
            reactor,
            self.database,
            self.store,
            wall=self.wall,
            in_flight=self._in_flight,
            consumed_elsewhere=lambda queue: self._lock_of(queue).is_taken(),
            moved=self._notice,
        )
        self._writer = Writer(
            self.database,
            self.store,
            self.wall,
            readers=lambda: tuple(self._readers.values()),
            watched=self._watchers.anywhere,
            stored=self._stored,
            report=self.report,
        )
        self._name: Literal["down", "up", "stopped"] = "down"
        self._since = self.wall()
        self._problems: dict[str, str] = {}
        self._wrong: TopologyError | None = None
        self._waiting: list[Deferred[None]] = []
        self._readers: dict[str, QueueReader] = {}
        self._closing: set[Deferred[None]] = set()
        self._turn: IDelayedCall | None = None
        self._upkeep: IDelayedCall | None = None
        self._stopped: Deferred[None] | None = None
        self._version = 0

    # What a broker does

    @property
    def state(self) -> BrokerState:
        blocked = self._name == "up" and WRITING in self._problems
        problem = next(reversed(self._problems.values()), None)
        return BrokerState("blocked" if blocked else self._name, self._since, problem)

    def start(self) -> None:
        """Open the file and declare the queues.

        Raises:
            StorageError: the file can't be made or used; one line with its path and the reason.
        """
        self.database.open()
        try:
            self._bell.open()
        except OSError as error:
            raise StorageError(f"{self._path}: {error.strerror}") from error
        Deferred.fromCoroutine(self._declare())

    def stop(self) -> Deferred[None]:
        if self._stopped is None:
            self._change("stopped")
            self._stopped = Deferred.fromCoroutine(self._stop())
        return _follow(self._stopped)

    def ready(self) -> Deferred[None]:
        if self._wrong is not None:
            return fail(self._wrong)
        if self._name == "stopped":
            return fail(Unavailable("the spool is stopped"))
        if self._name == "up":
            return succeed(None)
        waiter: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiter)
        return waiter

    def declare(self, more: Topology) -> Deferred[None]:
        return Deferred.fromCoroutine(self._declare_more(more))

    def publish(
        self,
        exchange: str,
        key: str,
        body: bytes,
        properties: Properties = Properties(),  # noqa: B008  frozen
        *,
        mandatory: bool = False,
    ) -> Deferred[None]:
        """Fails with Misuse where a property is nothing that a broker can keep."""
        return self.publish_all([Publish(exchange, key, body, properties, mandatory)]).addCallback(the_only)

    def publish_all(self, publishes: Sequence[Publish]) -> Deferred[list[Exception | None]]:
        if self._name != "up":
            return succeed([Unavailable(f"the spool is {self._name}")] * len(publishes))
        self.soon()
        return self._writer.add([self._routed(each) for each in publishes])

    def consume(self, queue: str, width: int, deliver: Deliver) -> SpoolConsumer:
        reader = self._readers.get(queue)
        if reader is None:
            reader = self._readers[queue] = QueueReader(queue, self._lock_of(queue), self)
            if self._name == "up":
                reader.open()
        return reader.consume(width, deliver)

    def depth(self, queue: str) -> Deferred[int]:
        """What another process has in flight is counted: only that process knows."""
        return Deferred.fromCoroutine(self._depth(queue))

    def watch(self, exchange: str, pattern: str, deliver: Hear) -> Deferred[None]:
        return Deferred.fromCoroutine(self._watch(exchange, pattern, deliver))

    # What the readers ask for

    def soon(self) -> None:
        if self._turn is None and self._name == "up":
            self._turn = self.reactor.callLater(0, self._take_turn)

    def sweep(self) -> None:
        self._expiry.sweep()

    def left(self, reader: QueueReader) -> None:
        if self._readers.get(reader.queue) is reader:
            del self._readers[reader.queue]
        closing = Deferred.fromCoroutine(reader.close())
        self._closing.add(closing)
        closing.addBoth(lambda _: self._closing.discard(closing))

    def report(self, about: str, problem: str | None) -> None:
        if problem is None:
            if self._problems.pop(about, None) is not None:
                log.info("the spool is well again: {about}", about=about)
        elif self._problems.get(about) != problem:
            self._problems[about] = problem
            log.error("the spool has a problem: {problem}", problem=problem)

    # Starting and stopping

    def _beside(self, suffix: str) -> Path:
        return self._path.with_name(f"{self._path.name}.{suffix}")

    def _lock_of(self, queue: str) -> FileLock:
        digest = hashlib.sha256(queue.encode()).hexdigest()[:16]  # a queue's name may be no file's name
        return FileLock(self._beside(f"{digest}.lock"))

    def _change(self, name: Literal["down", "up", "stopped"]) -> None:
        self._name = name
        self._since = self.wall()

    async def _declare(self) -> None:
        """Once; or, while the file can't be written, again and again until `stop`."""
        while self._name == "down":
            try:
                await self.database.run(self._prepare)
            except TopologyError as error:  # waiting does not help
                self.report(WRITING, str(error))
                self._wrong = error
                self._tell_waiting(error)
                return
            except StorageError as error:
                self.report(WRITING, str(error))
                await deferLater(self.reactor, RETRY)
            else:
                self._declared()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """On the worker thread."""
        store.declare(connection, self._topology)
        if not self._watchers.anywhere():  # nobody needs the copies that were made for former watchers
            published.forget_published(connection)

    def _declared(self) -> None:
        if self._name == "stopped":
            return
        self._change("up")
        self.report(WRITING, None)
        for reader in self._readers.values():
            reader.open()
        self._expiry.sweep()
        self._keep_up()
        self._tell_waiting(None)

    async def _declare_more(self, more: Topology) -> None:
        if self._name != "up":
            raise Unavailable(f"the spool is {self._name}")
        try:
            await self.database.run(partial(store.declare, topology=more))
        except StorageError as error:
            raise Unavailable(str(error)) from error
        self._topology = self._topology.with_more(more)
        self._expiring = _expiring(self._topology)
        self._router = self.store.router = Router(self._topology)
        if self._name == "up":
            self._expiry.sweep()  # a queue of that name may be there from former days

    def _tell_waiting(self, error: BrokerError | None) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if error is None:
                waiter.callback(None)
            else:
                waiter.errback(error)

    async def _stop(self) -> None:
        self._tell_waiting(Unavailable("the spool was stopped"))
        for timer in (self._turn, self._upkeep):
            if timer is not None:
                timer.cancel()
        self._bell.close()
        self._expiry.close()
        try:
            await Deferred.fromCoroutine(self._settle_and_close()).addTimeout(STOP_LIMIT, self.reactor)
        except TimedOut:
            log.error("the spool did not finish writing within {limit} s", limit=STOP_LIMIT)
        if self._worker is not None:
            self._worker.stop()

    async def _settle_and_close(self) -> None:
        self._writer.finish()
        for reader in tuple(self._readers.values()):
            self.left(reader)
        await gatherResults(list(self._closing))
        self._watchers.close()
        await self.database.close()

    # Publishing and looking

    def _take_turn(self) -> None:
        self._turn = None
        self._writer.write()
        for reader in tuple(self._readers.values()):
            reader.advance()

    def _stored(self, ones: Sequence[Routed]) -> None:
        """Tell everybody, here and in other processes."""
        if self._name == "stopped":
            return
        routes = [route for route, _ in stretches(ones)]
        queues = {queue for route in routes for queue in route.queues}
        self._notice(queues)
        if any(route.topic for route in routes):
            self._watchers.look()
        if queues & self._expiring or any(route.expiration is not None for route in routes):
            self._expiry.look()

    def _notice(self, queues: Set[str]) -> None:
        self._bell.ring()
        for queue in queues:
            reader = self._readers.get(queue)
            if reader is not None:
                reader.notice()

    def _routed(self, publish: Publish) -> Routed | SmsgwError:
        properties = publish.properties
        try:
            route = self._router.way(
                publish.exchange, publish.key, properties.priority, properties.expiration, publish.mandatory
            )
            return Routed(route, _storable(properties), publish.body)
        except SmsgwError as error:
            return error

    async def _look(self) -> None:
        """Has another process written?"""
        if self._name != "up":
            return
        try:
            version = await self.database.run(store.data_version, write=False)
        except StorageError as error:
            self.report(WRITING, str(error))
            return
        if version != self._version:
            self._version = version
            for reader in self._readers.values():
                reader.notice()
            self._watchers.look()
            self._expiry.look()

    def _keep_up(self) -> None:
        self._upkeep = self.reactor.callLater(RETRY, self._keep_up)
        if WRITING in self._problems:
            self.database.run(store.probe).addCallbacks(lambda _: self.report(WRITING, None), lambda _: None)
            self.soon()  # for the acknowledgements that could not be written
        elif self._readers:
            self.database.run(store.free_pages, write=False).addCallbacks(self._shrink, lambda _: None)

    def _shrink(self, free: int) -> None:
        if free > store.FREE_PAGES and self._name == "up":
            self.database.run(store.shrink).addErrback(lambda _: None)

    def _in_flight(self) -> dict[str, frozenset[int]]:
        return {queue: reader.in_flight for queue, reader in self._readers.items()}

    async def _depth(self, queue: str) -> int:
        reader = self._readers.get(queue)
        out = len(reader.in_flight) if reader is not None else 0
        try:
            return await self.database.run(partial(self.store.depth, name=queue), write=False) - out
        except StorageError as error:
            raise Unavailable(str(error)) from error

    async def _watch(self, exchange: str, pattern: str, hear: Hear) -> None:
        if not self._router.is_topic(exchange):
            raise BrokerError(f"there is no topic exchange {exchange!r}")
        await self.ready()
        while not self._watchers.share():
            await deferLater(self.reactor, 0.01)
        try:
            await self._watchers.add(exchange, pattern, hear)
        except StorageError as error:
            raise Unavailable(str(error)) from error


def _follow(source: Deferred[None]) -> Deferred[None]:
    """A Deferred of the caller's own, so that what he does to it is nobody else's business."""
    followed: Deferred[None] = Deferred()

    def tell(result: None) -> None:
        followed.callback(result)

    source.addBoth(tell)
    return followed


def _expiring(topology: Topology) -> frozenset[str]:
    return frozenset(queue.name for queue in topology.queues if queue.ttl is not None)


def _storable(properties: Properties) -> bytes:
    try:
        octets = encode(properties)
        decode(octets)  # what could not be read back would stick in its queue for ever
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise Misuse(f"this can't be published: {error}") from error
    return octets
