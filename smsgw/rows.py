"""Many rows in few statements of SQLite.

`executemany` steps through a statement row by row, and at each step gives up the interpreter's lock and
waits for it again: beside a busy reactor that costs more than SQLite's own work. A statement that has the
values of many rows does that work in one step, on another core.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

SIZES = (64, 16, 4, 1)
"""Rows of one statement. Few sizes, so that the prepared statements are found again; 64 rows of up to 15
values are within the 999 parameters that every SQLite allows."""

TEXTS = 256
"""Statements of which the text is remembered: one for each size of each statement in the program."""


def execute_rows(db: sqlite3.Connection, statement: str, rows: Sequence[Sequence[Any]]) -> int:
    """Execute a statement for all rows, whose values go where it has `{rows}`, as `(?, ?), (?, ?)`.

    That is `INSERT INTO t VALUES {rows}`, `DELETE FROM t WHERE n IN (VALUES {rows})`, or
    `UPDATE t SET a = new.column1 FROM (VALUES {rows}) AS new WHERE n = new.column2`. All rows have as many
    values. Returns how many rows of the table were changed.
    """
    changed = at = 0
    for size in SIZES:
        while len(rows) - at >= size:
            some = rows[at : at + size]
            text = _text(statement, size, len(some[0]))
            changed += db.execute(text, list(chain.from_iterable(some))).rowcount
            at += size
    return changed


@lru_cache(TEXTS)
def _text(statement: str, size: int, width: int) -> str:
    row = f"({', '.join('?' * width)})"
    return statement.replace("{rows}", ", ".join([row] * size))
