"""What is asked for in one turn of the reactor becomes one transaction.

Publishes and acknowledgements are gathered until the turn ends and go to the database together; while
it writes them, the next ones gather, whatever the number of turns. A failed transaction fails its
publishes, so that producers know, and keeps its acknowledgements for another try.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from math import inf

from attrs import field, frozen
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from smsgw.broker.base import BrokerError, Unavailable
from smsgw.broker.spool.coalesce import Coalesced
from smsgw.broker.spool.reader import QueueReader
from smsgw.broker.spool.rows import Routed, stretches
from smsgw.broker.spool.store import Store
from smsgw.errors import SmsgwError, StorageError
from smsgw.sqlite import Database

log = Logger()

GROUP = 1000
"""Publishes in one transaction, give or take a burst, so that the first of a flood does not wait for the
last."""

PENDING_OCTETS = 256 * 1024 * 1024
"""What may wait for its commit; a publish over it fails instead of eating memory."""

OVERHEAD = 512
"""Octets that a publish costs beside its body, roughly."""

WRITING = "writing"
"""The problem that publishes and acknowledgements share."""


@frozen
class _Pending:
    """Publishes that were made together; the errors are of those that can't be stored."""

    all: Sequence[Routed | SmsgwError]
    good: Sequence[Routed]
    octets: int
    done: Deferred[list[Exception | None]] = field(factory=Deferred)

    def verdicts(self, of_good: Iterator[Exception | None]) -> list[Exception | None]:
        """Those of all, given the next ones of the good."""
        if len(self.good) == len(self.all):
            return list(islice(of_good, len(self.good)))
        return [next(of_good) if isinstance(each, Routed) else each for each in self.all]


Settled = Sequence[tuple[QueueReader, Sequence[int]]]


class Writer:
    """Everything that consumers and producers of this process write.

    `readers` are all there are, for what was acknowledged; `watched` says whether topic publishes have to be
    kept for watchers (called on the worker thread); `stored` hears which publishes are durable now; `report`
    takes a problem, or None.
    """

    def __init__(
        self,
        database: Database,
        store: Store,
        wall: Callable[[], float],
        *,
        readers: Callable[[], Iterable[QueueReader]],
        watched: Callable[[], bool],
        stored: Callable[[Sequence[Routed]], None],
        report: Callable[[str, str | None], None],
    ) -> None:
        self._database = database
        self._store = store
        self._wall = wall
        self._readers = readers
        self._watched = watched
        self._stored = stored
        self._report = report
        self._failing = False
        self._pending: deque[_Pending] = deque()
        self._pending_octets = 0
        self.write = Coalesced(self._write)
        """To be called at the end of a turn in which something gathered."""

    def add(self, publishes: Sequence[Routed | SmsgwError]) -> Deferred[list[Exception | None]]:
        """Written with the next `write`; fires once they are durable. What is an error already stays one."""
        good = [each for each in publishes if isinstance(each, Routed)]
        if not good:
            return succeed([each for each in publishes if isinstance(each, SmsgwError)])
        if self._pending_octets > PENDING_OCTETS:
            return succeed(
                [Unavailable("the spool can't write as fast as it is published to")] * len(publishes)
            )
        octets = sum([len(each.body) for each in good]) + OVERHEAD * len(good)
        pending = _Pending(publishes, good, octets)
        self._pending.append(pending)
        self._pending_octets += octets
        return pending.done

    def finish(self) -> None:
        """Write all that has gathered, without waiting for what is being written."""
        Deferred.fromCoroutine(self._write(everything=True))

    async def _write(self, *, everything: bool = False) -> None:
        """Write what has gathered, in one transaction, and tell everybody when it is done."""
        publishes = list(self._next(inf if everything else GROUP))
        settled = [(reader, rows) for reader in self._readers() if (rows := reader.take_settled())]
        deleted: Deferred[None] = succeed(None)
        if self._failing and settled:  # deletions have a chance where publishes have none
            deleted = Deferred.fromCoroutine(self._commit((), settled))
            settled = []
        if publishes or settled:
            await self._commit(publishes, settled)
        await deleted
        if self._pending:
            self.write()

    def _next(self, most: float) -> Iterator[_Pending]:
        number = 0
        while self._pending and number < most:
            pending = self._pending.popleft()
            number += len(pending.good)
            yield pending

    async def _commit(self, publishes: Sequence[_Pending], settled: Settled) -> None:
        ones = [one for pending in publishes for one in pending.good]
        rows = {reader.queue: rows for reader, rows in settled}
        operation = partial(self._apply, ones=ones, rows=rows, now=self._wall())
        try:
            verdicts = await self._database.run(operation)
        except Exception as error:  # noqa: BLE001  whatever it was, nobody may wait for ever
            self._not_written(publishes, settled, error)
            return
        self._failing = False
        self._report(WRITING, None)
        for reader, written in settled:
            reader.wrote(written)
        if publishes:
            self._stored([one for one, verdict in zip(ones, verdicts, strict=True) if verdict is None])
        each = iter(verdicts)
        for pending in publishes:
            self._confirm(pending, each)

    def _apply(
        self,
        connection: sqlite3.Connection,
        ones: Sequence[Routed],
        rows: Mapping[str, Sequence[int]],
        now: float,
    ) -> list[BrokerError | None]:
        """On the worker thread."""
        self._store.acknowledge(connection, rows)
        watched = any(route.topic for route, _ in stretches(ones)) and self._watched()
        return self._store.publish(connection, ones, now, watched)

    def _not_written(self, publishes: Sequence[_Pending], settled: Settled, error: Exception) -> None:
        if not isinstance(error, StorageError):
            log.failure("the spool could not write")
        self._failing = True
        self._report(WRITING, str(error))
        for reader, rows in settled:
            reader.not_written(rows)
        for pending in publishes:
            self._confirm(pending, iter(partial(_unavailable, error), None))

    def _confirm(self, pending: _Pending, verdicts: Iterator[Exception | None]) -> None:
        self._pending_octets -= pending.octets
        pending.done.callback(pending.verdicts(verdicts))


def _unavailable(error: Exception) -> Unavailable:
    unavailable = Unavailable(str(error))
    unavailable.__cause__ = error
    return unavailable
