"""The ledger in a SQLite file.

Four tables: `message` (accepted messages, one row each), `part` (which SMSC id belongs to which part
of which message), `parked` (receipts that came before their id was known, one row for each reading of
the id) and `owed` (events to publish). Those of inbound messages are in `smsgw.ledger.fragments`. Writes
are committed in groups on a worker thread (`smsgw.sqlite.Database`), so one fsync serves all that happened
meanwhile.

Ids are not unique for ever: a message id may be sent twice, and a message centre's ids come round.
So rows are found by index, newest first, never by a unique key.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import msgspec
from twisted.internet.defer import Deferred

from smsgw.folding import Record, Report, folded, orphan, receipted, unreceipted
from smsgw.ledger import fragments
from smsgw.ledger.base import Claim, Expiry, Kept, Key, Overdue, Owed, OwedInbound, Recalled
from smsgw.message import Event
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
)

_packer = msgspec.msgpack.Encoder()
_records = msgspec.msgpack.Decoder(Record)
_reports = msgspec.msgpack.Decoder(Report)
_events = msgspec.msgpack.Decoder(Event)

Candidates: TypeAlias = Sequence[tuple[str, str]]


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

    def remember(
        self, account: str, record: Record, keys: Sequence[Key], *, resumed: bool = False
    ) -> Deferred[Sequence[Owed]]:
        return self._database.run(lambda db: _remember(db, account, record, keys, resumed))

    def recall(self, message_id: str) -> Deferred[Recalled | None]:
        return self._database.run(lambda db: _recall(db, message_id))

    def claim(
        self,
        account: str,
        channel: str,
        candidates: Candidates,
        recipient: str,
        report: Report,
        now: float,
    ) -> Deferred[Claim]:
        return self._database.run(lambda db: _claim(db, account, channel, candidates, recipient, report, now))

    def owed(self, limit: int) -> Deferred[Sequence[Owed]]:
        return self._database.run(lambda db: _owed(db, "TRUE ORDER BY n LIMIT ?", limit))

    def clear(self, numbers: Sequence[int]) -> Deferred[None]:
        return self._database.run(lambda db: _clear(db, numbers))

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


def _remember(
    db: sqlite3.Connection, account: str, record: Record, keys: Sequence[Key], resumed: bool
) -> list[Owed]:
    message = _unfinished(db, record) if resumed else None
    owed = []
    if message is None:
        if record.attempt > 1:
            db.execute("UPDATE message SET waiting = 0 WHERE id = ?", (record.id,))
        message = db.execute(
            "INSERT INTO message (id, accepted, waiting, record) VALUES (?, ?, ?, ?)",
            (record.id, record.accepted, record.awaits, _packer.encode(record)),
        ).lastrowid
        assert message is not None  # noqa: S101  sqlite3 gives it after every INSERT
    else:
        owed = _resume(db, message, record)
    if not keys:
        return owed
    recipient = _digits(record.to)
    db.executemany(
        """
        INSERT OR IGNORE INTO part (message, number, account, key, recipient, smsc_id)
        VALUES (?, ?, ?, ?, ?, ?)
        """,
        [(message, key.part, account, key.key, recipient, key.smsc_id) for key in keys],
    )
    return owed + [
        owed
        for key in keys
        for report in _unpark(db, account, key.key, recipient)
        for owed in _note(db, message, key.part, report, record.accepted)
    ]


def _unfinished(db: sqlite3.Connection, record: Record) -> int | None:
    """The row of an earlier attempt that took the first parts of a message."""
    found = db.execute(
        "SELECT n, record FROM message WHERE id = ? ORDER BY n DESC LIMIT 1", (record.id,)
    ).fetchone()
    return found[0] if found and _records.decode(found[1]).progress is not None else None


def _resume(db: sqlite3.Connection, message: int, record: Record) -> list[Owed]:
    """More parts were taken. If the receipts that decide are in already, the message ends here."""
    db.execute(
        "UPDATE message SET accepted = ?, record = ? WHERE n = ?",
        (record.accepted, _packer.encode(record), message),
    )
    (waiting,) = db.execute("SELECT waiting FROM message WHERE n = ?", (message,)).fetchone()
    if waiting or not record.awaits or record.progress is not None:
        return []
    event = _final(db, message, record, record.accepted)
    return [_owe(db, message, event, record.correlation_id, record.reply_to)] if event else []


def _final(db: sqlite3.Connection, message: int, record: Record, now: float) -> Event | None:
    """The last word on a message of which all receipts are in. None: it was another attempt's to say."""
    reports = [report for report in _known(db, message).values() if report]
    return folded(record, reports, now) if len(reports) == record.awaits else None


def _recall(db: sqlite3.Connection, message_id: str) -> Recalled | None:
    row = db.execute(
        "SELECT n, waiting, record FROM message WHERE id = ? ORDER BY n DESC LIMIT 1", (message_id,)
    ).fetchone()
    if row is None:
        return None
    number, waiting, record = row[0], row[1], _records.decode(row[2])
    if waiting or not record.awaits or record.progress is not None:
        return Recalled(record)
    return Recalled(record, _final(db, number, record, record.accepted))


def _claim(
    db: sqlite3.Connection,
    account: str,
    channel: str,
    candidates: Candidates,
    recipient: str,
    report: Report,
    now: float,
) -> Claim:
    found = _find_part(db, account, candidates, recipient)
    if found is None:
        _park(db, account, channel, candidates, recipient, report, now)
        return Claim()
    codec, message, number = found
    return Claim(owed=tuple(_note(db, message, number, report, now)), codec=codec)


def _find_part(
    db: sqlite3.Connection, account: str, candidates: Candidates, recipient: str
) -> tuple[str, int, int] | None:
    """(codec, message, part number) of the newest part whose recipient agrees.

    A part of another recipient is taken only where the id has a single reading: where readings
    compete, a number that happens to be another message's id would tell a wrong fate.
    """
    newest = """
        SELECT message, number, recipient FROM part
        WHERE account = ? AND key = ? ORDER BY message DESC LIMIT 8
    """
    first = None
    for codec, key in candidates:
        for message, number, to in db.execute(newest, (account, key)):
            if same_recipient(to, recipient):
                return codec, message, number
            first = first or (codec, message, number)
    return first if len(candidates) == 1 else None


def same_recipient(one: str, other: str) -> bool:
    """Whether two digit strings name one phone, as far as can be said: national forms lack a prefix."""
    return not one or not other or one == other or (min(len(one), len(other)) >= 6 and one[-6:] == other[-6:])


def _note(db: sqlite3.Connection, message: int, number: int, report: Report, now: float) -> list[Owed]:
    """Write a receipt's word at its part. A repeat owes again only what is not yet cleared."""
    row = db.execute("SELECT record, waiting FROM message WHERE n = ?", (message,)).fetchone()
    if row is None:
        return []
    known = _known(db, message)
    if row[1] == 0 or (known[number] is not None and report.final):
        return _owed(db, "message = ? ORDER BY n", message)
    if report.final:
        known[number] = report
        db.execute(
            "UPDATE part SET report = ? WHERE message = ? AND number = ?",
            (_packer.encode(report), message, number),
        )
        db.execute("UPDATE message SET waiting = waiting - 1 WHERE n = ?", (message,))
    record = _records.decode(row[0])
    reports = [*known.values(), *[None] * (record.awaits - len(known))]
    return [
        _owe(db, message, event, record.correlation_id, record.reply_to)
        for event in receipted(record, number, report, reports, now)
    ]


def _known(db: sqlite3.Connection, message: int) -> dict[int, Report | None]:
    """The final words on the parts of a message that were taken so far."""
    rows = db.execute("SELECT number, report FROM part WHERE message = ? ORDER BY number", (message,))
    return {number: _reports.decode(report) if report else None for number, report in rows}


def _park(
    db: sqlite3.Connection,
    account: str,
    channel: str,
    candidates: Candidates,
    recipient: str,
    report: Report,
    now: float,
) -> None:
    """Durable until the id becomes known. The same receipt again takes the place of the first."""
    body = _packer.encode(report)
    again = "SELECT n FROM parked WHERE account = ? AND key = ? AND report = ?"
    if any(db.execute(again, (account, key, body)).fetchone() for _, key in candidates):
        return
    (n,) = db.execute("SELECT coalesce(max(n), 0) + 1 FROM parked").fetchone()
    db.executemany(
        """
        INSERT INTO parked (n, account, key, at, codec, channel, recipient, report)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        """,
        [(n, account, key, now, codec, channel, recipient, body) for codec, key in candidates],
    )


def _unpark(db: sqlite3.Connection, account: str, key: str, recipient: str) -> list[Report]:
    rows = db.execute(
        "SELECT DISTINCT n, recipient, report FROM parked WHERE account = ? AND key = ? ORDER BY n",
        (account, key),
    ).fetchall()
    mine = [(n, report) for n, to, report in rows if same_recipient(to, recipient)]
    db.executemany("DELETE FROM parked WHERE n = ?", [(n,) for n, _ in mine])
    return [_reports.decode(report) for _, report in mine]


def _owe(
    db: sqlite3.Connection,
    message: int | None,
    event: Event,
    correlation_id: str | None = None,
    reply_to: str | None = None,
) -> Owed:
    number = db.execute(
        "INSERT INTO owed (message, event, correlation_id, reply_to) VALUES (?, ?, ?, ?)",
        (message, _packer.encode(event), correlation_id, reply_to),
    ).lastrowid
    assert number is not None  # noqa: S101  sqlite3 gives it after every INSERT
    return Owed(number, event, correlation_id, reply_to)


def _owed(db: sqlite3.Connection, where: str, value: int) -> list[Owed]:
    rows = db.execute(f"SELECT n, event, correlation_id, reply_to FROM owed WHERE {where}", (value,))  # noqa: S608
    return [Owed(n, _events.decode(event), *properties) for n, event, *properties in rows]


def _clear(db: sqlite3.Connection, numbers: Iterable[int]) -> None:
    db.executemany("DELETE FROM owed WHERE n = ?", [(number,) for number in numbers])


def _expire(db: sqlite3.Connection, now: float, keep: float, park: float, limit: int) -> Expiry:
    old = db.execute(
        "SELECT n, waiting, record FROM message WHERE accepted < ? ORDER BY accepted LIMIT ?",
        (now - keep, limit),
    ).fetchall()
    waiting = [(n, _records.decode(record)) for n, waits, record in old if waits]
    # one that was never whole has had its last word, or will have it, from its last attempt
    owed = [_give_up(db, n, record, now) for n, record in waiting if record.progress is None]
    db.executemany("DELETE FROM part WHERE message = ?", [(n,) for n, _, _ in old])
    db.executemany("DELETE FROM message WHERE n = ?", [(n,) for n, _, _ in old])
    orphans = db.execute(
        "SELECT n, min(channel), min(recipient), min(report) FROM parked WHERE at < ? GROUP BY n LIMIT ?",
        (now - park, limit),
    ).fetchall()
    owed += [
        _owe(db, None, orphan(n, channel, to, _reports.decode(report), now))
        for n, channel, to, report in orphans
    ]
    db.executemany("DELETE FROM parked WHERE n = ?", [(n,) for n, *_ in orphans])
    return Expiry(tuple(owed), len(orphans), limit in {len(old), len(orphans)})


def _give_up(db: sqlite3.Connection, message: int, record: Record, now: float) -> Owed:
    return _owe(db, message, unreceipted(record, now), record.correlation_id, record.reply_to)


def _digits(number: str) -> str:
    return number.lstrip("+")
