"""Copies of topic publishes, for watchers in other processes. The oldest goes.

All of this runs on the database's worker thread, inside a transaction that the caller commits.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from smsgw.broker.base import BrokerError
from smsgw.broker.spool.rows import Published, Routed

PUBLISHED = 10_000
"""Copies that are kept."""


def show(
    connection: sqlite3.Connection, publishes: Sequence[Routed], verdicts: Sequence[BrokerError | None]
) -> None:
    """Keep copies of what was stored."""
    seen = [
        (one.route.exchange, one.route.key, one.body)
        for one, verdict in zip(publishes, verdicts, strict=True)
        if one.route.topic and verdict is None
    ]
    if seen:
        connection.executemany("INSERT INTO published (exchange, key, body) VALUES (?, ?, ?)", seen)
        oldest = last_published(connection) - PUBLISHED
        connection.execute("DELETE FROM published WHERE id <= ?", (oldest,))


def published_since(connection: sqlite3.Connection, last: int) -> list[Published]:
    """The next topic publishes that were kept for watchers, at most 500."""
    found = connection.execute(
        "SELECT id, exchange, key, body FROM published WHERE id > ? ORDER BY id LIMIT 500", (last,)
    )
    return [Published._make(values) for values in found]


def last_published(connection: sqlite3.Connection) -> int:
    return last_id(connection, "published")


def forget_published(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM published")


def last_id(connection: sqlite3.Connection, table: str) -> int:
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return int(found[0]) if found else 0
