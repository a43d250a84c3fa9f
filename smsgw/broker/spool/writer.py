"""What is asked for in one turn of the reactor becomes one transaction.

Publishes and acknowledgements are gathered until the turn ends and go to the database together; while
it writes them, the next ones gather. A failed transaction fails its publishes, so that producers know,
and keeps its acknowledgements for another try.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from attrs import field, frozen
from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger

from smsgw.broker.base import BrokerError, Unavailable
from smsgw.broker.spool.reader import QueueReader
from smsgw.broker.spool.rows import Publish
from smsgw.broker.spool.store import Store
from smsgw.errors import StorageError
from smsgw.sqlite import Database

log = Logger()

PENDING_OCTETS = 256 * 1024 * 1024
"""What may wait for its commit; a publish over it fails instead of eating memory."""

OVERHEAD = 512
"""Octets that a publish costs beside its body, roughly."""

WRITING = "writing"
"""The problem that publishes and acknowledgements share."""


@frozen
class _Pending:
    one: Publish
    done: Deferred[None] = field(factory=Deferred)


Settled = Sequence[tuple[QueueReader, Sequence[int]]]


class Writer:
    """Everything that consumers and producers of this process write.

    `watched` says whether topic publishes have to be kept for watchers (called on the worker thread);
    `stored` hears which publishes are durable now; `report` takes a problem, or None.
    """

    def __init__(
        self,
        database: Database,
        store: Store,
        wall: Callable[[], float],
        *,
        watched: Callable[[], bool],
        stored: Callable[[Sequence[Publish]], None],
        report: Callable[[str, str | None], None],
    ) -> None:
        self._database = database
        self._store = store
        self._wall = wall
        self._watched = watched
        self._stored = stored
        self._report = report
        self._failing = False
        self._pending: list[_Pending] = []
        self._pending_octets = 0

    def add(self, one: Publish) -> Deferred[None]:
        """Written with the next `write`; fires once it is durable."""
        if self._pending_octets > PENDING_OCTETS:
            return fail(Unavailable("the spool can't write as fast as it is published to"))
        pending = _Pending(one)
        self._pending.append(pending)
        self._pending_octets += len(one.body) + OVERHEAD
        return pending.done

    def write(self, readers: Iterable[QueueReader]) -> None:
        """Write what has gathered, in one transaction, and tell everybody when it is done."""
        publishes, self._pending = self._pending, []
        settled = [(reader, rows) for reader in readers if (rows := reader.take_settled())]
        if self._failing and settled:  # deletions have a chance where publishes have none
            Deferred.fromCoroutine(self._commit((), settled))
            settled = []
        if publishes or settled:
            Deferred.fromCoroutine(self._commit(publishes, settled))

    async def _commit(self, publishes: Sequence[_Pending], settled: Settled) -> None:
        ones = [pending.one for pending in publishes]
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
        for pending, verdict in zip(publishes, verdicts, strict=True):
            self._confirm(pending, verdict)

    def _apply(
        self,
        connection: sqlite3.Connection,
        ones: Sequence[Publish],
        rows: Mapping[str, Sequence[int]],
        now: float,
    ) -> list[BrokerError | None]:
        """On the worker thread."""
        self._store.acknowledge(connection, rows)
        watched = any(one.topic for one in ones) and self._watched()
        return self._store.publish(connection, ones, now, watched)

    def _not_written(self, publishes: Sequence[_Pending], settled: Settled, error: Exception) -> None:
        if not isinstance(error, StorageError):
            log.failure("the spool could not write")
        self._failing = True
        self._report(WRITING, str(error))
        for reader, rows in settled:
            reader.not_written(rows)
        for pending in publishes:
            unavailable = Unavailable(str(error))
            unavailable.__cause__ = error
            self._confirm(pending, unavailable)

    def _confirm(self, pending: _Pending, verdict: BrokerError | None) -> None:
        self._pending_octets -= len(pending.one.body) + OVERHEAD
        if verdict is None:
            pending.done.callback(None)
        else:
            pending.done.errback(verdict)
