"""Many rows in few statements of SQLite.

`executemany` steps through a statement row by row, and at each step gives up the interpreter's lock and
waits for it again: beside a busy reactor that costs more than SQLite's own work. A statement that has the
values of many rows does that work in one step, on another core.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

SIZES = (64, 32, 16, 8, 4, 2, 1)
"""Rows of one statement: so any number of rows takes few statements, and of few sizes, so that the prepared
ones are found again. 64 rows of up to 15 values are within the 999 parameters that every SQLite allows."""

TEXTS = 256
"""Statements of which the text is remembered: one for each size of each statement in the program."""


def execute_rows(db: sqlite3.Connection, statement: str, rows: Sequence[Sequence[Any]]) -> int:
    """Execute a statement for all rows, whose values go where it has `{rows}`, as `(?, ?), (?, ?)`.

    That is `INSERT INTO t VALUES {rows}`, `DELETE FROM t WHERE n IN (VALUES {rows})`, or
    `UPDATE t SET a = new.column1 FROM (VALUES {rows}) AS new WHERE n = new.column2`. All rows have as many
    values. Returns how many rows of the table were changed.
    """
    return sum(cursor.rowcount for cursor in _executed(db, statement, rows))


def query_rows(
    db: sqlite3.Connection, query: str, rows: Sequence[Sequence[Any]]
) -> Iterator[list[tuple[Any, ...]]]:
    """What a query finds for all rows, `SELECT t.* FROM (VALUES {rows}) AS asked JOIN t ON ...`.

    There is an answer for each statement, in the order of the rows.
    """
    for cursor in _executed(db, query, rows):
        yield cursor.fetchall()


def _executed(
    db: sqlite3.Connection, statement: str, rows: Sequence[Sequence[Any]]
) -> Iterator[sqlite3.Cursor]:
    at = 0
    for size in SIZES:
        while len(rows) - at >= size:
            some = rows[at : at + size]
            yield db.execute(_text(statement, size, len(some[0])), list(chain.from_iterable(some)))
            at += size


@lru_cache(TEXTS)
def _text(statement: str, size: int, width: int) -> str:
    row = f"({', '.join('?' * width)})"
    return statement.replace("{rows}", ", ".join([row] * size))
