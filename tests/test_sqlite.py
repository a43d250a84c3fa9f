"""The group-commit database: by plain calls, and once with its real thread."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, maybeDeferred

from smsgw.errors import StorageError
from smsgw.sqlite import WAITING, Database, WorkerThread

SCHEMA = ("CREATE TABLE thing (name TEXT UNIQUE); CREATE INDEX named ON thing (name);",)


class Thread:
    """A worker thread in slow motion: each call waits until the test lets it run."""

    def __init__(self) -> None:
        self.calls: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def __call__(self, function: Callable[[], Any], /) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.calls.append((function, done))
        return done

    def run(self) -> None:
        """Run what waits, and what that leads to."""
        while self.calls:
            function, done = self.calls.pop(0)
            try:
                done.callback(function())
            except Exception as error:  # noqa: BLE001  as a thread pool does
                done.errback(error)


def synchronous(function: Callable[[], Any], /) -> Deferred[Any]:
    return maybeDeferred(function)


def add(name: str) -> Callable[[sqlite3.Connection], None]:
    def operation(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO thing VALUES (?)", (name,))

    return operation


def names(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM thing ORDER BY rowid")]


def result(deferred: Deferred[Any]) -> Any:
    """What a Deferred fired with, by now; a failure is raised."""
    outcome: list[Any] = []
    deferred.addCallbacks(outcome.append, lambda failure: outcome.append(failure.value))
    assert outcome, "it did not fire"
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "x.db", SCHEMA, run_in_thread=synchronous)
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def thread() -> Thread:
    return Thread()


@pytest.fixture
def slow(tmp_path: Path, thread: Thread) -> Iterator[Database]:
    opened = Database(tmp_path / "slow.db", SCHEMA, run_in_thread=thread)
    opened.open()
    yield opened
    opened.close()
    thread.run()


def statements(database: Database) -> list[str]:
    """A list to which every statement is added as SQLite runs it."""
    seen: list[str] = []
    assert database._connection is not None
    database._connection.set_trace_callback(seen.append)
    return seen


def test_an_operation_has_its_result(database: Database) -> None:
    result(database.run(add("one")))
    assert result(database.run(names, write=False)) == ["one"]


def test_what_comes_while_a_group_runs_is_the_next_group(slow: Database, thread: Thread) -> None:
    seen = statements(slow)
    fired: list[int] = []
    for n in range(5):
        slow.run(add(str(n))).addCallback(lambda _, n=n: fired.append(n))
    assert slow.waiting == 4
    assert len(thread.calls) == 1
    thread.run()
    assert fired == [0, 1, 2, 3, 4]
    verbs = [statement.split()[0] for statement in seen]
    assert verbs == ["BEGIN", "INSERT", "COMMIT", "BEGIN"] + ["INSERT"] * 4 + ["COMMIT"]
    assert slow.waiting == 0


def test_a_deferred_fires_after_the_commit(slow: Database, thread: Thread, tmp_path: Path) -> None:
    committed: list[list[str]] = []

    def look(_: object) -> None:
        with sqlite3.connect(tmp_path / "slow.db") as other:
            committed.append(names(other))

    slow.run(add("one")).addCallback(look)
    slow.run(add("two")).addCallback(look)
    slow.run(add("three"))
    thread.run()
    assert committed == [["one"], ["one", "two", "three"]]


def test_only_the_culprit_of_a_group_fails(slow: Database, thread: Thread) -> None:
    first = slow.run(add("first"))
    group = [slow.run(add(name)) for name in ("a", "first", "b")]
    group.append(slow.run(lambda connection: 1 // 0))
    group.append(slow.run(names))
    thread.run()
    result(first)
    result(group[0])
    with pytest.raises(StorageError, match=r"slow\.db: UNIQUE constraint failed: thing\.name"):
        result(group[1])
    result(group[2])
    with pytest.raises(ZeroDivisionError):
        result(group[3])
    assert result(group[4]) == ["first", "a", "b"]


def test_an_operation_that_fails_leaves_nothing_behind(database: Database) -> None:
    def half(connection: sqlite3.Connection) -> None:
        add("half")(connection)
        raise LookupError

    with pytest.raises(LookupError):
        result(database.run(half))
    assert result(database.run(names)) == []


def test_a_callback_may_ask_for_more(slow: Database, thread: Thread) -> None:
    """However many times: no depth of the stack builds up."""
    total = 2000

    def again(_: object) -> None:
        nonlocal total
        total -= 1
        if total:
            slow.run(lambda connection: None).addCallback(again)

    slow.run(add("one")).addCallback(again)
    thread.run()
    assert total == 0


def test_a_cancelled_wish_hurts_nobody_else(slow: Database, thread: Thread) -> None:
    slow.run(add("one"))
    cancelled = slow.run(add("two"))
    cancelled.addErrback(lambda _: None)
    cancelled.cancel()
    last = slow.run(names)
    thread.run()
    assert result(last) == ["one", "two"]


def test_reading_does_not_wait_for_a_foreign_writer(database: Database, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        assert result(database.run(names, write=False)) == []
        other.execute("ROLLBACK")
    other.close()


def test_a_lock_that_is_never_released_fails_the_whole_group_at_once(
    slow: Database, thread: Thread, tmp_path: Path
) -> None:
    assert slow._connection is not None
    slow._connection.execute("PRAGMA busy_timeout = 1")
    with sqlite3.connect(tmp_path / "slow.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        seen = statements(slow)
        group = [slow.run(add(str(n))) for n in range(50)]
        thread.run()
        for one in group:
            with pytest.raises(StorageError, match="database is locked"):
                result(one)
        assert len(seen) <= 2
        other.execute("ROLLBACK")
    other.close()
    healed = slow.run(add("after"))
    thread.run()
    result(healed)


def test_a_full_disk_fails_what_does_not_fit_and_nothing_else(database: Database) -> None:
    result(database.run(lambda c: c.execute("PRAGMA max_page_count = 12").fetchall()))
    with pytest.raises(StorageError, match="full"):
        result(database.run(add("x" * 1_000_000)))
    result(database.run(add("small")))
    assert result(database.run(names)) == ["small"]


def test_a_broken_thread_leaves_nobody_waiting(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.db", SCHEMA, run_in_thread=lambda function: fail(RuntimeError("ended")))
    database.open()
    for _ in range(2):
        with pytest.raises(RuntimeError):
            result(database.run(names))


def test_what_waits_is_bounded(slow: Database, thread: Thread) -> None:
    def nothing(connection: sqlite3.Connection) -> None:
        pass

    for _ in range(WAITING + 1):  # one of them is with the thread
        slow.run(nothing)
    with pytest.raises(StorageError, match="wait already"):
        result(slow.run(nothing))
    thread.run()
    last = slow.run(nothing)
    thread.run()
    result(last)


def test_close_comes_after_all_that_is_queued(slow: Database, thread: Thread) -> None:
    wishes = [slow.run(add(str(n))) for n in range(3)]
    closed = slow.close()
    assert not closed.called
    with pytest.raises(StorageError, match="not open"):
        result(slow.run(names))
    thread.run()
    for wish in wishes:
        result(wish)
    assert result(closed) is None
    assert result(slow.close()) is None


def test_nothing_runs_before_open(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="not open"):
        result(Database(tmp_path / "x.db", SCHEMA, run_in_thread=synchronous).run(names))


# The file


@pytest.mark.parametrize(("free", "said"), [(0, "; its disk is full"), (1, "")])
def test_a_disk_that_is_full_at_the_start_is_called_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, said: str
) -> None:
    """SQLite's own word is an I/O error."""
    (tmp_path / "x.db").mkdir()
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, free))  # type: ignore[attr-defined]
    with pytest.raises(StorageError) as raised:
        Database(tmp_path / "x.db", SCHEMA, run_in_thread=synchronous).open()
    assert str(raised.value).endswith(f"unable to open database file{said}")


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        database = Database(tmp_path / "x.db", SCHEMA, run_in_thread=synchronous)
        database.open()
        result(database.run(add("one")))
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"x.db": 0o600, "x.db-wal": 0o600, "x.db-shm": 0o600}


def test_the_file_is_set_up_for_group_commit(database: Database) -> None:
    pragmas = {
        name: result(database.run(lambda c, name=name: c.execute(f"PRAGMA {name}").fetchone()[0]))
        for name in ("journal_mode", "synchronous", "auto_vacuum", "user_version")
    }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "auto_vacuum": 2, "user_version": 1}


def test_migrations_run_once_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    trigger = """
        CREATE TRIGGER twice AFTER INSERT ON thing WHEN new.name = 'a' BEGIN
            INSERT INTO thing VALUES ('b'); INSERT INTO thing VALUES ('c');
        END;
    """
    for schema in (SCHEMA, (*SCHEMA, trigger), (*SCHEMA, trigger), (*SCHEMA, trigger, "DROP TRIGGER twice;")):
        database = Database(path, schema, run_in_thread=synchronous)
        database.open()
        result(database.run(add(f"{len(schema)}{os.urandom(4).hex()}")))
        if len(schema) == 2:
            result(database.run(lambda c: c.execute("DELETE FROM thing")))
            result(database.run(add("a")))
            assert result(database.run(names)) == ["a", "b", "c"]
        result(database.close())


def test_a_failed_migration_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with pytest.raises(StorageError, match="syntax error"):
        Database(path, (*SCHEMA, "CREATE TABEL oops (x);"), run_in_thread=synchronous).open()
    database = Database(path, SCHEMA, run_in_thread=synchronous)
    database.open()
    assert result(database.run(names)) == []


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    Database(path, (*SCHEMA, "CREATE TABLE more (x);"), run_in_thread=synchronous).open()
    with pytest.raises(StorageError, match="newer version"):
        Database(path, SCHEMA, run_in_thread=synchronous).open()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda base: base / "no" / "folder" / "x.db", "No such file or directory"),
        (lambda base: base, "unable to open database file"),
        (
            lambda base: _file(base / "text", b"no database, but long enough" * 99),
            "not a database",
        ),
        (lambda base: _file(base / "file", b"") / "x.db", "Not a directory"),
        (lambda base: base / ("x" * 300), "File name too long"),
    ],
    ids=["no folder", "a folder", "a text", "a file for a folder", "too long a name"],
)
def test_an_unusable_path_is_one_clear_line(
    tmp_path: Path, make: Callable[[Path], Path], reason: str
) -> None:
    path = make(tmp_path)
    with pytest.raises(StorageError) as raised:
        Database(path, SCHEMA, run_in_thread=synchronous).open()
    text = str(raised.value)
    assert text.startswith(f"{path}: ")
    assert reason in text
    assert "\n" not in text


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_with_its_real_thread(tmp_path: Path, in_reactor: Any, reactor_thread: Any) -> None:
    async def story() -> list[str]:
        thread = WorkerThread(reactor_thread, "test")
        database = Database(tmp_path / "x.db", SCHEMA, run_in_thread=thread)
        database.open()
        wishes = [database.run(add(str(n))) for n in range(300)]
        with pytest.raises(StorageError):
            await database.run(add("7"))
        for wish in wishes:
            await wish
        found = await database.run(names, write=False)
        await database.close()
        thread.stop()
        return found

    assert in_reactor(story) == [str(n) for n in range(300)]
