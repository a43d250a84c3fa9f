"""The ledger in a SQLite file.

Four tables: `message` (accepted messages, one row each), `part` (which SMSC id belongs to which part
of which message), `parked` (receipts that came before their id was known, one row for each reading of
the id) and `owed` (events to publish, see `smsgw.ledger.owing`). What receipts do with them is in
`smsgw.ledger.receipts`; the tables of inbound messages are in `smsgw.ledger.fragments`. Writes are committed
in groups on a worker thread (`smsgw.sqlite.Database`), so one fsync serves all that happened meanwhile.

Ids are not unique for ever: a message id may be sent twice, and a message centre's ids come round.
So rows are found by index, newest first, never by a unique key.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from itertools import groupby

from twisted.internet.defer import Deferred

from smsgw.folding import Record, folded, orphan, unreceipted
from smsgw.ledger import fragments, owing, receipts
from smsgw.ledger.base import Acceptance, Claim, Expiry, Kept, Overdue, Owed, OwedInbound, Recalled, Receipt
from smsgw.message import Event
from smsgw.rows import execute_rows
from smsgw.sms import join
from smsgw.sms.inbound import Arrival
from smsgw.sqlite import Database

SCHEMA = (
    """
    CREATE TABLE message (
        n INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        accepted REAL NOT NULL,
        waiting INTEGER NOT NULL,
        record BLOB NOT NULL
    );
    CREATE INDEX message_id ON message (id);
    CREATE INDEX message_accepted ON message (accepted);
    CREATE TABLE part (
        message INTEGER NOT NULL,
        number INTEGER NOT NULL,
        account TEXT NOT NULL,
        key TEXT NOT NULL,
        recipient TEXT NOT NULL,
        smsc_id TEXT NOT NULL,
        report BLOB,
        PRIMARY KEY (message, number)
    ) WITHOUT ROWID;
    CREATE INDEX part_key ON part (account, key);
    CREATE TABLE parked (
        n INTEGER NOT NULL,
        account TEXT NOT NULL,
        key TEXT NOT NULL,
        at REAL NOT NULL,
        codec TEXT NOT NULL,
        channel TEXT NOT NULL,
        recipient TEXT NOT NULL,
        report BLOB NOT NULL,
        PRIMARY KEY (n, codec)
    ) WITHOUT ROWID;
    CREATE INDEX parked_key ON parked (account, key);
    CREATE INDEX parked_at ON parked (at);
    CREATE TABLE owed (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        message INTEGER,
        event BLOB NOT NULL,
        correlation_id TEXT,
        reply_to TEXT
    );
    CREATE INDEX owed_message ON owed (message);
    """,
    fragments.TABLES,
    "-- from here on `owed.event` may be short, see `smsgw.ledger.owing`",
)


class SqliteLedger:
    """A `Ledger` over a `Database`; several gateways on one machine may share the file."""

    def __init__(self, database: Database, closed: Callable[[], None] = lambda: None) -> None:
        """`closed` is called when the file is closed: there the worker thread can end."""
        self._database = database
        self._closed = closed

    def __repr__(self) -> str:
        return f"<ledger {self._database!r}>"

    def start(self) -> None:
        self._database.open()

    def stop(self) -> Deferred[None]:
        return self._database.close().addCallback(lambda _: self._closed())

    def remember(self, accepted: Sequence[Acceptance]) -> Deferred[Sequence[Sequence[Owed]]]:
        return self._database.run(lambda db: _remember(db, accepted))

    def recall(self, message_id: str) -> Deferred[Recalled | None]:
        return self._database.run(lambda db: _recall(db, message_id))

    def claim(self, came: Sequence[Receipt]) -> Deferred[Sequence[Claim]]:
        return self._database.run(lambda db: receipts.claim_all(db, came))

    def owed(self, limit: int) -> Deferred[Sequence[Owed]]:
        return self._database.run(lambda db: owing.oldest(db, limit))

    def clear(self, numbers: Sequence[int]) -> Deferred[None]:
        return self._database.run(lambda db: owing.clear(db, numbers))

    def expire(self, now: float, *, keep: float, park: float, limit: int) -> Deferred[Expiry]:
        return self._database.run(lambda db: _expire(db, now, keep, park, limit))

    def keep(self, key: join.Key, fragment: join.Fragment, arrival: Arrival, *, limit: int) -> Deferred[Kept]:
        return self._database.run(lambda db: fragments.keep(db, key, fragment, arrival, limit))

    def owed_inbound(self, before: float, limit: int) -> Deferred[Sequence[OwedInbound]]:
        return self._database.run(lambda db: fragments.owed(db, before, limit), write=False)

    def clear_inbound(self, numbers: Sequence[int]) -> Deferred[None]:
        return self._database.run(lambda db: fragments.clear(db, numbers))

    def expire_inbound(self, before: float, now: float, limit: int) -> Deferred[Overdue]:
        return self._database.run(lambda db: fragments.expire(db, before, now, limit))


def _remember(db: sqlite3.Connection, taken: Sequence[Acceptance]) -> list[list[Owed]]:
    """Messages that were taken at their first attempt, nearly all, are written several rows a statement."""
    owed: list[list[Owed]] = []
    for plain, run in groupby(taken, _is_plain):
        group = list(run)
        owed += _remember_plain(db, group) if plain else [_remember_alone(db, each) for each in group]
    return owed


def _is_plain(taken: Acceptance) -> bool:
    return taken.record.attempt == 1 and not taken.resumed and taken.record.progress is None


def _remember_plain(db: sqlite3.Connection, taken: Sequence[Acceptance]) -> list[list[Owed]]:
    records = [each.record for each in taken]
    number = _insert(db, records)
    _expect(db, number, taken)
    owed = [[each] for each in owing.owe_accepted(db, number, records)]
    if db.execute("SELECT EXISTS (SELECT 1 FROM parked)").fetchone()[0]:
        for n, (each, told) in enumerate(zip(taken, owed, strict=True), number):
            told.extend(_early(db, n, each))
    return owed


def _remember_alone(db: sqlite3.Connection, taken: Acceptance) -> list[Owed]:
    record = taken.record
    number = _unfinished(db, record) if taken.resumed else None
    if number is None:
        if record.attempt > 1 or taken.resumed:
            db.execute("UPDATE message SET waiting = 0 WHERE id = ?", (record.id,))
        number = _insert(db, [record])
        owed = _tell(db, number, record)
    else:
        owed = _tell(db, number, record) + _resume(db, number, record)
    _expect(db, number, [taken])
    return owed + _early(db, number, taken)


def _tell(db: sqlite3.Connection, number: int, record: Record) -> list[Owed]:
    """That a message was accepted, all of it, is owed to its producer from then on."""
    return owing.owe_accepted(db, number, [record]) if record.progress is None else []


def _insert(db: sqlite3.Connection, records: Sequence[Record]) -> int:
    """A row for each. Returns the number of the first; the others follow it."""
    (number,) = db.execute("SELECT coalesce(max(n), 0) + 1 FROM message").fetchone()
    rows = [
        (n, each.id, each.accepted, each.awaits, owing.packer.encode(each))
        for n, each in enumerate(records, number)
    ]
    execute_rows(db, "INSERT INTO message (n, id, accepted, waiting, record) VALUES {rows}", rows)
    return int(number)


_PARTS = "INSERT OR IGNORE INTO part (message, number, account, key, recipient, smsc_id) VALUES {rows}"


def _expect(db: sqlite3.Connection, number: int, taken: Sequence[Acceptance]) -> None:
    """The parts whose receipts will come."""
    parts = [
        (n, key.part, each.account, key.key, _digits(each.record.to), key.smsc_id)
        for n, each in enumerate(taken, number)
        for key in each.keys
    ]
    execute_rows(db, _PARTS, parts)


def _early(db: sqlite3.Connection, number: int, taken: Acceptance) -> list[Owed]:
    keys = [key.key for key in taken.keys]
    record = taken.record
    return receipts.early(db, number, taken.account, keys, _digits(record.to), record.accepted)


def _unfinished(db: sqlite3.Connection, record: Record) -> int | None:
    """The row of an earlier attempt that took the first parts of a message."""
    found = db.execute(
        "SELECT n, record FROM message WHERE id = ? ORDER BY n DESC LIMIT 1", (record.id,)
    ).fetchone()
    return found[0] if found and owing.records.decode(found[1]).progress is not None else None


def _resume(db: sqlite3.Connection, message: int, record: Record) -> list[Owed]:
    """More parts were taken. If the receipts that decide are in already, the message ends here."""
    db.execute(
        "UPDATE message SET accepted = ?, record = ? WHERE n = ?",
        (record.accepted, owing.packer.encode(record), message),
    )
    (waiting,) = db.execute("SELECT waiting FROM message WHERE n = ?", (message,)).fetchone()
    if waiting or not record.awaits or record.progress is not None:
        return []
    event = _final(db, message, record, record.accepted)
    return [owing.owe(db, message, event, record.correlation_id, record.reply_to)] if event else []


def _final(db: sqlite3.Connection, message: int, record: Record, now: float) -> Event | None:
    """The last word on a message of which all receipts are in. None: it was another attempt's to say."""
    reports = [report for report in owing.known(db, message).values() if report]
    return folded(record, reports, now) if len(reports) == record.awaits else None


def _recall(db: sqlite3.Connection, message_id: str) -> Recalled | None:
    row = db.execute(
        "SELECT n, waiting, record FROM message WHERE id = ? ORDER BY n DESC LIMIT 1", (message_id,)
    ).fetchone()
    if row is None:
        return None
    number, waiting, record = row[0], row[1], owing.records.decode(row[2])
    owed = tuple(owing.of_message(db, number))
    if waiting or not record.awaits or record.progress is not None:
        return Recalled(record, owed=owed)
    return Recalled(record, _final(db, number, record, record.accepted), owed)


def _expire(db: sqlite3.Connection, now: float, keep: float, park: float, limit: int) -> Expiry:
    old = db.execute(
        "SELECT n, waiting, record FROM message WHERE accepted < ? ORDER BY accepted LIMIT ?",
        (now - keep, limit),
    ).fetchall()
    owing.write_out(db, [n for n, *_ in old])
    waiting = [(n, owing.records.decode(record)) for n, waits, record in old if waits]
    # one that was never whole has had its last word, or will have it, from its last attempt
    owed = [_give_up(db, n, record, now) for n, record in waiting if record.progress is None]
    db.executemany("DELETE FROM part WHERE message = ?", [(n,) for n, _, _ in old])
    db.executemany("DELETE FROM message WHERE n = ?", [(n,) for n, _, _ in old])
    orphans = db.execute(
        "SELECT n, min(channel), min(recipient), min(report) FROM parked WHERE at < ? GROUP BY n LIMIT ?",
        (now - park, limit),
    ).fetchall()
    owed += [
        owing.owe(db, None, orphan(n, channel, to, owing.reports.decode(report), now))
        for n, channel, to, report in orphans
    ]
    db.executemany("DELETE FROM parked WHERE n = ?", [(n,) for n, *_ in orphans])
    return Expiry(tuple(owed), len(orphans), limit in {len(old), len(orphans)})


def _give_up(db: sqlite3.Connection, message: int, record: Record, now: float) -> Owed:
    return owing.owe(db, message, unreceipted(record, now), record.correlation_id, record.reply_to)


def _digits(number: str) -> str:
    return number.lstrip("+")
