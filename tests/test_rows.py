"""Many rows in few statements are what one row at a time would be."""

from __future__ import annotations

import sqlite3

import pytest

from smsgw.rows import SIZES, execute_rows, query_rows

COUNTS = [0, 1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 84, 85, 1000]


@pytest.fixture
def db() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, a TEXT, b BLOB)")
    return connection


@pytest.mark.parametrize("count", COUNTS)
def test_rows_are_inserted_changed_and_deleted(db: sqlite3.Connection, count: int) -> None:
    rows = [(n, f"text {n}", bytes([n % 256])) for n in range(count)]
    assert execute_rows(db, "INSERT INTO t VALUES {rows}", rows) == count
    assert db.execute("SELECT * FROM t ORDER BY n").fetchall() == rows
    odd = [(f"new {n}", n) for n in range(1, count + 10, 2)]
    changed = execute_rows(
        db, "UPDATE t SET a = new.column1 FROM (VALUES {rows}) AS new WHERE n = new.column2", odd
    )
    assert changed == count // 2
    after = [(n, f"new {n}" if n % 2 else f"text {n}", b) for n, _, b in rows]
    assert db.execute("SELECT * FROM t ORDER BY n").fetchall() == after
    deleted = execute_rows(db, "DELETE FROM t WHERE n IN (VALUES {rows})", [(n,) for _, n in odd])
    assert deleted == count // 2
    assert db.execute("SELECT n FROM t ORDER BY n").fetchall() == [(n,) for n in range(0, count, 2)]


def test_a_row_that_cannot_be_written_is_an_error(db: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        execute_rows(db, "INSERT INTO t VALUES {rows}", [(1, "a", b""), (1, "b", b"")])


def test_the_widest_row_keeps_to_the_parameters_of_every_sqlite() -> None:
    assert max(SIZES) * 15 <= 999
    assert min(SIZES) == 1


@pytest.mark.parametrize("count", COUNTS)
def test_rows_are_looked_up_in_their_order(db: sqlite3.Connection, count: int) -> None:
    execute_rows(db, "INSERT INTO t VALUES {rows}", [(n, f"text {n}", b"") for n in range(0, 1000, 2)])
    asked = [(n, f"text {n % 500}") for n in range(count)]
    query = "SELECT column1, t.n FROM (VALUES {rows}) JOIN t ON t.a = column2"
    answers = list(query_rows(db, query, asked))
    assert [row for answer in answers for row in answer] == [(n, n % 500) for n in range(count) if n % 2 == 0]
    assert all(len(answer) <= max(SIZES) for answer in answers)
