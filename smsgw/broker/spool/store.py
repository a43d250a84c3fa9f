"""The spool's tables, and all the SQL there is but that for watchers.

A message is one row per queue it was routed to; a row is deleted when its delivery is acknowledged,
and nothing is written when it is handed out. What is in flight is known to the consuming process
alone. If that process ends without giving the queue back (`clean` stays 0), every row that existed may
have been handed out: the next one to take the queue remembers the newest of them as `suspect`.

Ids grow and are never used again, and there is one writer at a time, so "what is new" is always
"ids above the last I saw".

All of this runs on the database's worker thread, inside a transaction that the caller commits.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from math import inf
from typing import Any, NamedTuple, TypeAlias

import msgspec

from smsgw.broker.base import BrokerError, Properties, QueueFull, TopologyError, Unroutable
from smsgw.broker.spool.published import last_id, show
from smsgw.broker.spool.routing import Router
from smsgw.broker.spool.rows import (
    Expired,
    Fetched,
    Route,
    Routed,
    Row,
    Taken,
    decode,
    encode,
    spans_of,
    stretches,
)
from smsgw.broker.topology import Queue, Topology
from smsgw.rows import execute_rows

SCHEMA = (
    """
    CREATE TABLE queues (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        arguments TEXT NOT NULL,
        depth INTEGER NOT NULL DEFAULT 0,
        clean INTEGER NOT NULL DEFAULT 1,
        suspect INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue INTEGER NOT NULL,
        priority INTEGER NOT NULL,
        expires REAL,
        redelivered INTEGER NOT NULL DEFAULT 0,
        key TEXT NOT NULL,
        properties BLOB NOT NULL,
        body BLOB NOT NULL
    );
    CREATE INDEX in_turn ON messages (queue, priority);
    CREATE INDEX expiring ON messages (queue, expires) WHERE expires IS NOT NULL;
    CREATE TABLE published (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        exchange TEXT NOT NULL,
        key TEXT NOT NULL,
        body BLOB NOT NULL
    );
    """,
    """
    CREATE TABLE bindings (
        exchange TEXT NOT NULL,
        key TEXT NOT NULL,
        queue TEXT NOT NULL,
        PRIMARY KEY (exchange, key, queue)
    ) WITHOUT ROWID;
    """,
)
"""`depth` counts a queue's rows, so that a limit is cheap to keep. `published` is for watchers
(`smsgw.broker.spool.published`).

`bindings` are all that ever were: what comes back from a delay must find a queue that left the
configuration meanwhile.
"""

EXPIRY_BATCH = 500
FETCH_OCTETS = 8 * 1024 * 1024
"""Octets of bodies after which a fetch stops, so that large messages don't pile up in memory."""

FREE_PAGES = 2048
"""So many unused pages may stay in the file: the next backlog needs them again."""

VACUUM_PAGES = 1024
"""Pages that are given back at a time."""


class _Queue(NamedTuple):
    id: int
    name: str
    declared: Queue


_FETCH = """
    SELECT -priority, id, expires, redelivered, properties, body FROM messages
    WHERE queue = ? AND priority = ? AND id > ? ORDER BY id LIMIT ?
"""
_EXPIRED = """
    SELECT id, key, properties, body FROM messages
    WHERE queue = ? AND expires <= ? ORDER BY expires LIMIT ?
"""
_HEAD = "SELECT id, key, properties, body FROM messages WHERE queue = ? ORDER BY priority, id LIMIT ?"
_INSERT = "INSERT INTO messages (queue, priority, expires, key, properties, body) VALUES {rows}"
_DELETE = "DELETE FROM messages WHERE id IN (VALUES {rows})"
_DELETE_SPAN = "DELETE FROM messages WHERE id BETWEEN ? AND ?"

_Values: TypeAlias = tuple[int, int, float | None, str, bytes, bytes]


class Store:
    """The operations on the tables. Holds nothing but the queues it has looked up."""

    def __init__(self, router: Router) -> None:
        self.router = router  # may be replaced by one that knows more; one assignment, so from any thread
        self._known: dict[str, _Queue] = {}  # a queue is never deleted nor altered

    def publish(
        self, connection: sqlite3.Connection, publishes: Sequence[Routed], now: float, watched: bool
    ) -> list[BrokerError | None]:
        """Store what can be stored; for each publish None, or why it was not."""
        added: Counter[str] = Counter()
        rows: list[_Values] = []
        verdicts: list[BrokerError | None] = []
        for route, ones in stretches(publishes):
            verdicts += self._store(connection, route, list(ones), now, added, rows)
        execute_rows(connection, _INSERT, rows)
        self._count(connection, added)
        for name in added:
            self._drop_heads(connection, name, now)
        if watched:
            show(connection, publishes, verdicts)
        return verdicts

    def acknowledge(self, connection: sqlite3.Connection, settled: Mapping[str, Sequence[int]]) -> None:
        """Forget rows, by queue. A row that is gone already (dropped from the head) is no error."""
        for name, ids in settled.items():
            self._delete(connection, name, ids)

    def take(self, connection: sqlite3.Connection, name: str) -> Taken | None:
        """Mark a queue as being consumed; None where there is none of that name. Its lock must be held."""
        queue = self._queue(connection, name)
        if queue is None:
            return None
        clean, suspect = connection.execute(
            "SELECT clean, suspect FROM queues WHERE id = ?", (queue.id,)
        ).fetchone()
        if not clean:
            suspect = last_id(connection, "messages")
        connection.execute("UPDATE queues SET clean = 0, suspect = ? WHERE id = ?", (suspect, queue.id))
        return Taken(queue.id, queue.declared.max_priority or 0, suspect)

    def give_back(
        self,
        connection: sqlite3.Connection,
        name: str,
        settled: Sequence[int],
        handed_out: Iterable[int],
    ) -> None:
        """The orderly end of consuming: `handed_out` are those that somebody has seen and not settled."""
        self._delete(connection, name, settled)
        connection.executemany(
            "UPDATE messages SET redelivered = 1 WHERE id = ?", [(one,) for one in handed_out]
        )
        connection.execute("UPDATE queues SET clean = 1 WHERE name = ?", (name,))

    def fetch(
        self,
        connection: sqlite3.Connection,
        queue: int,
        wanted: Sequence[tuple[int, int, int]],
    ) -> Fetched:
        """The next rows, urgent ones first. `wanted`: (priority, id to look after, how many rows by then)."""
        rows: list[Row] = []
        octets = 0
        exhausted = True
        for priority, after, most in wanted:
            limit = most - len(rows)
            found = connection.execute(_FETCH, (queue, priority, after, limit)) if limit > 0 else ()
            for row in map(Row._make, found):
                rows.append(row)
                octets += len(row.body)
                if octets >= FETCH_OCTETS:
                    return Fetched(rows, exhausted=False)
            exhausted = exhausted and len(rows) < most
        return Fetched(rows, exhausted)

    def depth(self, connection: sqlite3.Connection, name: str) -> int:
        """Rows of a queue, those in flight counted.

        Raises:
            BrokerError: there is no such queue.
        """
        found = connection.execute("SELECT depth FROM queues WHERE name = ?", (name,)).fetchone()
        if found is None:
            raise BrokerError(f"there is no queue {name!r}")
        return int(found[0])

    def next_expiry(self, connection: sqlite3.Connection, after: float) -> float | None:
        """When the first message expires whose time is after `after`."""
        moments = [
            connection.execute(
                "SELECT min(expires) FROM messages WHERE queue = ? AND expires > ?", (queue.id, after)
            ).fetchone()[0]
            for queue in self._all_queues(connection)
        ]
        return min((moment for moment in moments if moment is not None), default=None)

    def expire(
        self,
        connection: sqlite3.Connection,
        now: float,
        spared: Mapping[str, Set[int]],
        consumed_elsewhere: Callable[[str], bool],
    ) -> Expired:
        """Dead-letter what has expired, but not those `spared`, by queue: they are handed out.

        A queue that another process consumes is that process's to look after: only it knows what is out.
        All others are anybody's, those too that are in no configuration any more: what waits in a delay
        step when the last channel that used it goes must come back all the same.
        """
        reached: set[str] = set()
        again = skipped = False
        for queue in self._all_queues(connection):
            out = spared.get(queue.name, frozenset())
            limit = EXPIRY_BATCH + len(out)
            rows = connection.execute(_EXPIRED, (queue.id, now, limit)).fetchall()
            if rows and queue.name not in spared and consumed_elsewhere(queue.name):
                skipped = True
                continue
            doomed = [row for row in rows if row[0] not in out]
            reached |= self._dead_letter(connection, queue, doomed, "expired", now)
            again = again or len(rows) == limit
        return Expired(reached, again, skipped)

    def _store(
        self,
        connection: sqlite3.Connection,
        route: Route,
        ones: Sequence[Routed],
        now: float,
        added: Counter[str],
        rows: list[_Values],
    ) -> list[BrokerError | None]:
        """Put what is to be inserted into `rows` and count it in `added`. Of each None, or why it is not."""
        found = [queue for name in route.queues if (queue := self._queue(connection, name)) is not None]
        if not found and route.mandatory:
            return [Unroutable(f"{route.exchange!r} has no queue for the key {route.key!r}") for _ in ones]
        rooms = [self._room(connection, queue, added) for queue in found]
        room = min(rooms, default=inf)
        stored = ones[: int(min(room, len(ones)))]
        for queue in found:
            rows += _values(queue, route, stored, now)
            added[queue.name] += len(stored)
        return [None] * len(stored) + [_full(found[rooms.index(room)]) for _ in ones[len(stored) :]]

    def _room(self, connection: sqlite3.Connection, queue: _Queue, added: Counter[str]) -> float:
        """Messages that a queue still takes."""
        limit = queue.declared.max_length
        if limit is None or queue.declared.overflow != "reject-publish":
            return inf
        return max(limit - self.depth(connection, queue.name) - added[queue.name], 0)

    def _drop_heads(self, connection: sqlite3.Connection, name: str, now: float) -> None:
        queue = self._queue(connection, name)
        if queue is None or queue.declared.max_length is None:
            return
        surplus = self.depth(connection, name) - queue.declared.max_length
        if surplus > 0:
            head = connection.execute(_HEAD, (queue.id, surplus)).fetchall()
            self._dead_letter(connection, queue, head, "maxlen", now)

    def _dead_letter(
        self,
        connection: sqlite3.Connection,
        queue: _Queue,
        rows: Sequence[tuple[int, str, bytes, bytes]],
        reason: str,
        now: float,
    ) -> set[str]:
        """Delete rows, after a copy of each went where the queue's dead letters go; the queues reached."""
        added: Counter[str] = Counter()
        for _, key, properties, body in rows:
            one = self._dead(connection, queue, key, decode(properties), body, reason)
            for name in one.route.queues:
                target = self._queue(connection, name)
                if target is not None:
                    execute_rows(connection, _INSERT, _values(target, one.route, [one], now))
                    added[name] += 1
        self._count(connection, added)
        self._delete(connection, queue.name, [row[0] for row in rows])
        return set(added)

    def _dead(
        self,
        connection: sqlite3.Connection,
        queue: _Queue,
        key: str,
        properties: Properties,
        body: bytes,
        reason: str,
    ) -> Routed:
        """What RabbitMQ makes of a message that dies: the first death in the headers, no expiration."""
        exchange = queue.declared.dead_letter_exchange
        headers = {"x-first-death-reason": reason, "x-first-death-queue": queue.name} | properties.headers
        queues = self.router.route(exchange, key) if self.router.knows(exchange) else ()
        if exchange and not queues:
            queues = _bound(connection, exchange, key)
        route = Route(
            exchange=exchange or "",
            key=key,
            queues=queues,
            topic=False,
            priority=properties.priority or 0,
            expiration=None,
            mandatory=False,
        )
        dead = msgspec.structs.replace(properties, headers=headers, expiration=None)
        return Routed(route, encode(dead), body)

    def _all_queues(self, connection: sqlite3.Connection) -> list[_Queue]:
        names = connection.execute("SELECT name FROM queues ORDER BY id").fetchall()
        found = (self._queue(connection, name) for (name,) in names)
        return [queue for queue in found if queue is not None]

    def _queue(self, connection: sqlite3.Connection, name: str) -> _Queue | None:
        known = self._known.get(name)
        if known is None:
            found = connection.execute("SELECT id, arguments FROM queues WHERE name = ?", (name,)).fetchone()
            if found is None:
                return None
            known = self._known[name] = _Queue(found[0], name, _declared(name, json.loads(found[1])))
        return known

    def _delete(self, connection: sqlite3.Connection, name: str, ids: Sequence[int]) -> None:
        spans, others = spans_of(ids)
        gone = execute_rows(connection, _DELETE, [(one,) for one in others])
        for span in spans:
            gone += connection.execute(_DELETE_SPAN, span).rowcount
        self._count(connection, {name: -gone})

    def _count(self, connection: sqlite3.Connection, added: Mapping[str, int]) -> None:
        connection.executemany(
            "UPDATE queues SET depth = depth + ? WHERE name = ?",
            [(number, name) for name, number in added.items() if number],
        )


def declare(connection: sqlite3.Connection, topology: Topology) -> None:
    """Make the topology's queues, and remember its bindings.

    Raises:
        TopologyError: one exists with other arguments; the text names it and both sides.
    """
    for queue in topology.queues:
        wanted = _arguments(queue)
        found = connection.execute("SELECT arguments FROM queues WHERE name = ?", (queue.name,)).fetchone()
        if found is None:
            connection.execute("INSERT INTO queues (name, arguments) VALUES (?, ?)", (queue.name, wanted))
        elif found[0] != wanted:
            raise TopologyError(f"queue {queue.name!r} exists with arguments {found[0]}, wanted are {wanted}")
    connection.executemany(
        "INSERT OR IGNORE INTO bindings (exchange, key, queue) VALUES (?, ?, ?)",
        [(each.exchange, each.key, each.queue) for each in topology.bindings],
    )


def _bound(connection: sqlite3.Connection, exchange: str, key: str) -> tuple[str, ...]:
    """The queues that some topology once bound to a direct exchange under a key, or to a fanout one."""
    found = connection.execute(
        "SELECT queue FROM bindings WHERE exchange = ? AND key IN (?, '')", (exchange, key)
    ).fetchall()
    return tuple(row[0] for row in found)


def data_version(connection: sqlite3.Connection) -> int:
    """A number that changes when another connection has written."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def free_pages(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA freelist_count").fetchone()[0])


def shrink(connection: sqlite3.Connection) -> None:
    """Give some free pages back to the file system; not all at once, that would hold everybody up."""
    for _ in range(VACUUM_PAGES):  # page by page: the sqlite3 module takes only one step of this pragma
        connection.execute("PRAGMA incremental_vacuum(1)")


def probe(connection: sqlite3.Connection) -> None:
    """Write something that changes nothing: it fails as long as nothing can be written."""
    connection.execute("UPDATE queues SET depth = depth")


def _values(queue: _Queue, route: Route, ones: Sequence[Routed], now: float) -> list[_Values]:
    declared, number, key = queue.declared, queue.id, route.key
    lives = [span for span in (route.expiration, declared.ttl) if span is not None]
    expires = now + min(lives) if lives else None
    priority = min(route.priority, declared.max_priority or 0)
    return [(number, priority, expires, key, one.properties, one.body) for one in ones]


def _full(queue: _Queue) -> QueueFull:
    return QueueFull(f"queue {queue.name!r} holds {queue.declared.max_length} messages")


def _arguments(queue: Queue) -> str:
    """As they are stored and compared. The type says how RabbitMQ replicates: nothing to a file."""
    return json.dumps(msgspec.structs.replace(queue, type="classic").arguments, sort_keys=True)


def _declared(name: str, arguments: dict[str, Any]) -> Queue:
    ttl = arguments.get("x-message-ttl")
    return Queue(
        name=name,
        max_priority=arguments.get("x-max-priority"),
        dead_letter_exchange=arguments.get("x-dead-letter-exchange"),
        ttl=None if ttl is None else ttl / 1000,
        max_length=arguments.get("x-max-length"),
        overflow=arguments.get("x-overflow"),
    )
