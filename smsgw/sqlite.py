"""One SQLite file, written in groups, off the reactor thread.

An fsync costs as much as hundreds of inserts. So operations are queued, and all that came while one
group was being written form the next group: one transaction, one fsync, whatever the load. An idle
database writes an operation at once; a busy one shares the cost among more. Nothing is delayed on
purpose, and no timer is needed.

Each operation is a function of the connection and runs on one worker thread. Its Deferred fires on
the reactor thread after the COMMIT, so what it says is durable. If an operation raises, its group is
rolled back and each of its members runs again in a transaction of its own, so that only the culprit
fails; hence an operation must have no effect but on the database.

How a function gets to the worker thread is a parameter: `WorkerThread` in production, a plain call
in tests.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

from attrs import field, frozen
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from smsgw.errors import StorageError

T = TypeVar("T")

GROUP = 1000
"""Operations in one transaction at most, so that the first of a flood does not wait for the last."""

WAITING = 100_000
"""Operations that may wait; one more fails at once instead of eating memory."""

BUSY_TIMEOUT = 5.0
"""Seconds that one process waits for another's write lock, which is held for one group."""

WAL_LIMIT = 64 * 1024 * 1024
"""Octets to which the write-ahead log is cut back after a checkpoint."""

_OF_THE_FILE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_READONLY,
    }
)
"""Primary result codes that no operation of a group is to blame for: trying each alone is no use."""


class RunInThread(Protocol):
    """Run a function away from the reactor, one at a time and in order; the Deferred has its result."""

    def __call__(self, function: Callable[[], T], /) -> Deferred[T]: ...


class WorkerThread:
    """The production `RunInThread`: one thread, started at the first call."""

    def __init__(self, reactor: IReactorFromThreads, name: str) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(minthreads=0, maxthreads=1, name=name)

    def __call__(self, function: Callable[[], T], /) -> Deferred[T]:
        if not self._pool.started:
            self._pool.start()
        return deferToThreadPool(self._reactor, self._pool, function)

    def stop(self) -> None:
        """Wait for the running function, then end the thread: the interpreter can't exit before."""
        if self._pool.started:
            self._pool.stop()


@frozen
class _Job(Generic[T]):
    operation: Callable[[sqlite3.Connection], T]
    write: bool
    done: Deferred[T] = field(factory=Deferred)


@frozen
class _Raised:
    """An operation's exception on its way back from the worker thread."""

    error: Exception


class Database:
    """A SQLite file with group commit.

    `schema` is the migrations, oldest first, each a script of statements; `PRAGMA user_version` counts
    how many of them the file has had. `synchronous` FULL survives a power cut, NORMAL a dying process.
    """

    def __init__(
        self,
        path: str | Path,
        schema: Sequence[str],
        *,
        synchronous: Literal["FULL", "NORMAL"] = "FULL",
        run_in_thread: RunInThread,
    ) -> None:
        self.path = Path(path)
        self._schema = schema
        self._synchronous = synchronous
        self._run_in_thread = run_in_thread
        self._connection: sqlite3.Connection | None = None
        self._waiting: deque[_Job[Any]] = deque()
        self._draining = False

    @property
    def waiting(self) -> int:
        """Operations that no transaction has taken yet."""
        return len(self._waiting)

    def open(self) -> None:
        """Make the file (readable by its owner only) or open it, and bring its tables up to date.

        Blocks; for the start of a process.

        Raises:
            StorageError: one line with the path and what is wrong with it.
        """
        try:
            _create_private(self.path)
            self._connection = self._connect()
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            room = "" if _has_room(self.path) else "; its disk is full"
            raise StorageError(f"{self.path}: {reason}{room}") from error

    def run(self, operation: Callable[[sqlite3.Connection], T], *, write: bool = True) -> Deferred[T]:
        """Run an operation in a transaction shared with others; its result, once that is committed.

        `operation` may run twice, and must neither commit nor roll back. `write=False` promises that it
        only reads: a group of reads does not wait for another process's write lock.

        Fails with StorageError where SQLite does, or when too much waits; with what `operation` raised
        otherwise.
        """
        if self._connection is None:
            return fail(StorageError(f"{self.path}: not open"))
        if len(self._waiting) >= WAITING:
            return fail(StorageError(f"{self.path}: {WAITING} operations wait already"))
        return self._enqueue(self._connection, _Job(operation, write))

    def close(self) -> Deferred[None]:
        """Close the file after all that is queued. Never fails; a second call is harmless."""
        connection, self._connection = self._connection, None
        if connection is None:
            return succeed(None)
        return Deferred.fromCoroutine(self._close(connection))

    async def _close(self, connection: sqlite3.Connection) -> None:
        with suppress(StorageError):
            await self._enqueue(connection, _Job(lambda _: None, write=False))  # it comes after all others
        await self._run_in_thread(connection.close)

    def _enqueue(self, connection: sqlite3.Connection, job: _Job[T]) -> Deferred[T]:
        self._waiting.append(job)
        if not self._draining:
            self._draining = True
            Deferred.fromCoroutine(self._drain(connection))
        return job.done

    async def _drain(self, connection: sqlite3.Connection) -> None:
        """Write group after group until nothing waits: a loop, so that no depth of callbacks builds up."""
        while self._waiting:
            group = [self._waiting.popleft() for _ in range(min(GROUP, len(self._waiting)))]
            try:
                results = await self._run_in_thread(partial(self._commit, connection, group))
            except Exception as error:  # noqa: BLE001  whatever became of the thread, nobody waits for ever
                results = [_Raised(error)] * len(group)
            for job, result in zip(group, results, strict=True):
                if isinstance(result, _Raised):
                    job.done.errback(result.error)
                else:
                    job.done.callback(result)
        self._draining = False

    def _commit(self, connection: sqlite3.Connection, group: Sequence[_Job[Any]]) -> list[Any]:
        """The results of a group, in order, `_Raised` where one failed. Runs on the worker thread."""
        try:
            with _transaction(connection, write=any(job.write for job in group)):
                return [job.operation(connection) for job in group]
        except Exception as error:  # noqa: BLE001  each goes to the Deferred of whoever asked
            if len(group) == 1 or _blames_the_file(error):
                return [_Raised(self._reported(error))] * len(group)
            return [self._commit(connection, [job])[0] for job in group]

    def _reported(self, error: Exception) -> Exception:
        if not isinstance(error, sqlite3.Error):
            return error
        reported = StorageError(f"{self.path}: {error}")
        reported.__cause__ = error
        return reported

    def _connect(self) -> sqlite3.Connection:
        # Opened on the reactor's thread, used on the worker's; never on both at once.
        connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
        )
        try:
            _configure(connection, self._synchronous)
            self._migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        with _transaction(connection, write=True):  # of several processes that start at once, one does it
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > len(self._schema):
                raise StorageError(
                    f"{self.path}: made by a newer version (format {version}, {len(self._schema)} known)"
                )
            for script in self._schema[version:]:
                for statement in _statements(script):
                    connection.execute(statement)
            if version < len(self._schema):
                connection.execute(f"PRAGMA user_version = {len(self._schema)}")


@contextmanager
def _transaction(connection: sqlite3.Connection, *, write: bool) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite has rolled back by itself after some errors
            connection.execute("ROLLBACK")
        raise


def _create_private(path: Path) -> None:
    """SQLite would create the file by the umask; its -wal and -shm files take the main file's mode."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _has_room(path: Path) -> bool:
    """SQLite calls a full disk an I/O error where it maps memory; an operator needs the other word."""
    with suppress(OSError):
        return shutil.disk_usage(path.parent).free > 0
    return True


def _configure(connection: sqlite3.Connection, synchronous: str) -> None:
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # takes effect only before the first table
    _switch_to_wal(connection)
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT}")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Readers and one writer at once. The busy timeout does not cover this switch, hence the loop."""
    give_up = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            break
    if mode != "wal":
        raise sqlite3.OperationalError("this file system can't share memory between processes (no WAL mode)")


def _primary_code(error: sqlite3.Error) -> int:
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def _is_busy(error: sqlite3.Error) -> bool:
    return _primary_code(error) == sqlite3.SQLITE_BUSY


def _blames_the_file(error: Exception) -> bool:
    return isinstance(error, sqlite3.Error) and _primary_code(error) in _OF_THE_FILE


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: `executescript` would commit what is under way."""
    statement = ""
    for piece in script.split(";")[:-1]:
        statement += piece + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
