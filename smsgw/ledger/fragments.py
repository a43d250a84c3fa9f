"""Parts of long inbound messages in the ledger's SQLite file, until the message is whole.

Three tables: `assembly` (a long message, open while parts are missing), `fragment` (the parts of the open
ones) and `owed_inbound` (messages to publish). Closing an assembly, whole or not, and owing its message is
one transaction.

A closed assembly keeps a digest of each of its parts for a while. A part that was stored while its answer
got lost comes again: by the digest it is known, and does not begin a message that would never be whole.
References come round, so a key may have any number of closed assemblies, and one open one.

`held` counts the parts of the open assemblies, so that their bound costs no scan.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

import msgspec

from smsgw.ledger.base import Kept, Overdue, OwedInbound
from smsgw.message import Inbound
from smsgw.sms.inbound import Arrival, inbound
from smsgw.sms.join import Fragment, Key, place

TABLES = """
    CREATE TABLE assembly (
        n INTEGER PRIMARY KEY,
        key BLOB NOT NULL,
        scope TEXT NOT NULL,
        arrival BLOB NOT NULL,
        touched REAL NOT NULL,
        digests BLOB
    );
    CREATE INDEX assembly_key ON assembly (key);
    CREATE INDEX assembly_open ON assembly (touched) WHERE digests IS NULL;
    CREATE INDEX assembly_closed ON assembly (touched) WHERE digests IS NOT NULL;
    CREATE TABLE fragment (
        assembly INTEGER NOT NULL,
        number INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (assembly, number)
    ) WITHOUT ROWID;
    CREATE TABLE held (
        scope TEXT PRIMARY KEY,
        parts INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE owed_inbound (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        assembly INTEGER NOT NULL,
        at REAL NOT NULL,
        body BLOB NOT NULL
    );
    CREATE INDEX owed_inbound_assembly ON owed_inbound (assembly);
    """

DIGEST = 8
"""Octets of a digest: among the few parts of one key none will collide."""

REMEMBERED = 8
"""Closed assemblies of one key that a repeated part is looked for in, the newest first."""

_ABSENT = bytes(DIGEST)
_packer = msgspec.msgpack.Encoder()
_fragments = msgspec.msgpack.Decoder(Fragment)
_arrivals = msgspec.msgpack.Decoder(Arrival)
_inbounds = msgspec.msgpack.Decoder(Inbound)
_keys = msgspec.msgpack.Decoder(Key)


def keep(db: sqlite3.Connection, key: Key, fragment: Fragment, arrival: Arrival, limit: int) -> Kept:
    """See `smsgw.ledger.base.Ledger.keep`."""
    packed = _packer.encode(key)
    found = _open(db, packed)
    slots = {} if found is None else _slots(db, found[0])
    placement = place(slots, fragment)
    if placement == "duplicate":
        return Kept("duplicate")
    if found is None or placement == "conflict":
        closed = _closed_with(db, packed, fragment)
        if closed is not None:
            return Kept("duplicate", _owed_for(db, closed))
    owed: tuple[OwedInbound, ...] = ()
    if found is not None and placement == "conflict":
        owed = (_close(db, key, *found, slots, arrival.at),)
        found, slots = None, {}
    if placement != "completing" and _held(db, key.channel) >= limit:
        return Kept("full", owed)
    assembly, first = found or (_begin(db, packed, key, arrival), arrival)
    if placement == "completing":
        slots = {**slots, fragment.number: fragment}
        return Kept("completing", (_close(db, key, assembly, first, slots, arrival.at),))
    _add(db, key, assembly, fragment, arrival.at)
    return Kept(placement, owed)


def owed(db: sqlite3.Connection, before: float, limit: int) -> list[OwedInbound]:
    """See `smsgw.ledger.base.Ledger.owed_inbound`."""
    rows = db.execute("SELECT n, body FROM owed_inbound WHERE at < ? ORDER BY n LIMIT ?", (before, limit))
    return [OwedInbound(n, _inbounds.decode(body)) for n, body in rows]


def clear(db: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """See `smsgw.ledger.base.Ledger.clear_inbound`."""
    db.executemany("DELETE FROM owed_inbound WHERE n = ?", [(number,) for number in numbers])


def expire(db: sqlite3.Connection, before: float, now: float, limit: int) -> Overdue:
    """See `smsgw.ledger.base.Ledger.expire_inbound`."""
    late = db.execute(
        "SELECT n, key, arrival FROM assembly WHERE digests IS NULL AND touched < ? ORDER BY touched LIMIT ?",
        (before, limit),
    ).fetchall()
    found = [
        _close(db, _keys.decode(key), n, _arrivals.decode(arrival), _slots(db, n), now)
        for n, key, arrival in late
    ]
    forgotten = db.execute(
        """
        DELETE FROM assembly WHERE n IN
            (SELECT n FROM assembly WHERE digests IS NOT NULL AND touched < ? ORDER BY touched LIMIT ?)
        """,
        (before, limit),
    ).rowcount
    return Overdue(tuple(found), limit in {len(late), forgotten})


def _open(db: sqlite3.Connection, key: bytes) -> tuple[int, Arrival] | None:
    row = db.execute("SELECT n, arrival FROM assembly WHERE key = ? AND digests IS NULL", (key,)).fetchone()
    return (row[0], _arrivals.decode(row[1])) if row else None


def _slots(db: sqlite3.Connection, assembly: int) -> dict[int, Fragment]:
    rows = db.execute("SELECT number, body FROM fragment WHERE assembly = ?", (assembly,))
    return {number: _fragments.decode(body) for number, body in rows}


def _begin(db: sqlite3.Connection, packed: bytes, key: Key, arrival: Arrival) -> int:
    assembly = db.execute(
        "INSERT INTO assembly (key, scope, arrival, touched) VALUES (?, ?, ?, ?)",
        (packed, key.channel, _packer.encode(arrival), arrival.at),
    ).lastrowid
    assert assembly is not None  # noqa: S101  sqlite3 gives it after every INSERT
    return assembly


def _add(db: sqlite3.Connection, key: Key, assembly: int, fragment: Fragment, now: float) -> None:
    db.execute(
        "INSERT INTO fragment (assembly, number, body) VALUES (?, ?, ?)",
        (assembly, fragment.number, _packer.encode(fragment)),
    )
    db.execute("UPDATE assembly SET touched = ? WHERE n = ?", (now, assembly))
    db.execute(
        "INSERT INTO held (scope, parts) VALUES (?, 1) ON CONFLICT (scope) DO UPDATE SET parts = parts + 1",
        (key.channel,),
    )


def _held(db: sqlite3.Connection, scope: str) -> int:
    row = db.execute("SELECT parts FROM held WHERE scope = ?", (scope,)).fetchone()
    return row[0] if row else 0


def _close(
    db: sqlite3.Connection,
    key: Key,
    assembly: int,
    arrival: Arrival,
    slots: Mapping[int, Fragment],
    now: float,
) -> OwedInbound:
    """The message is as whole as it will be: owed from now on."""
    digests = b"".join(_digest(slots.get(number)) for number in range(1, key.total + 1))
    db.execute("UPDATE assembly SET touched = ?, digests = ? WHERE n = ?", (now, digests, assembly))
    freed = db.execute("DELETE FROM fragment WHERE assembly = ?", (assembly,)).rowcount
    db.execute("UPDATE held SET parts = parts - ? WHERE scope = ?", (freed, key.channel))
    message = inbound(arrival, slots.values())
    number = db.execute(
        "INSERT INTO owed_inbound (assembly, at, body) VALUES (?, ?, ?)",
        (assembly, now, _packer.encode(message)),
    ).lastrowid
    assert number is not None  # noqa: S101  sqlite3 gives it after every INSERT
    return OwedInbound(number, message)


def _closed_with(db: sqlite3.Connection, key: bytes, fragment: Fragment) -> int | None:
    """The newest closed assembly that this very part belongs to."""
    rows = db.execute(
        "SELECT n, digests FROM assembly WHERE key = ? AND digests IS NOT NULL ORDER BY n DESC LIMIT ?",
        (key, REMEMBERED),
    )
    wanted, start = _digest(fragment), DIGEST * (fragment.number - 1)
    return next((n for n, digests in rows if digests[start : start + DIGEST] == wanted), None)


def _owed_for(db: sqlite3.Connection, assembly: int) -> tuple[OwedInbound, ...]:
    rows: Sequence[tuple[int, bytes]] = db.execute(
        "SELECT n, body FROM owed_inbound WHERE assembly = ?", (assembly,)
    ).fetchall()
    return tuple(OwedInbound(n, _inbounds.decode(body)) for n, body in rows)


def _digest(fragment: Fragment | None) -> bytes:
    """Of a part's contents; zeros for one that is not there."""
    if fragment is None:
        return _ABSENT
    return blake2b(_packer.encode(fragment), digest_size=DIGEST).digest()
