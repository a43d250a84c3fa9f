"""Receipts in the tables of `smsgw.ledger.sqlite`: whose they are, and what is owed for them.

A part is found by the message centre's id, newest first: ids come round. Where the parts of a message have
one id, each receipt is for the next of them that has none. A receipt whose id is not known yet, or that has
none, is parked, one row for each reading of the id.

Nearly all receipts are the only one of their message. What is to be written for those waits in `Notes`, and
many are written with each statement; whatever else looks at the tables has them written first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from smsgw.folding import Record, Report, accepted, receipted
from smsgw.ledger.base import Claim, Owed, Receipt
from smsgw.message import Event
from smsgw.rows import execute_rows, query_rows

packer = msgspec.msgpack.Encoder()
records = msgspec.msgpack.Decoder(Record)
reports = msgspec.msgpack.Decoder(Report)
_events = msgspec.msgpack.Decoder(Event)

_NEWEST = """
    SELECT part.message, part.number, part.recipient, part.report, message.waiting, message.record
    FROM part JOIN message ON message.n = part.message
    WHERE part.account = ? AND part.key = ? ORDER BY part.message DESC LIMIT 16
"""
_MANY = 256
"""Parts that one statement finds at most: very many may have one id."""

_FOR_ALL = f"""
    SELECT column1, part.message, part.number, part.recipient, part.report, message.waiting, message.record
    FROM (VALUES {{rows}}) CROSS JOIN part ON part.account = column2 AND part.key = column3
    CROSS JOIN message ON message.n = part.message LIMIT {_MANY}
"""  # noqa: S608
_OF_A_MESSAGE = """
    SELECT part.message, part.number, part.recipient, part.report, message.waiting, message.record
    FROM part JOIN message ON message.n = part.message
    WHERE part.account = ? AND part.key = ? AND part.message = ? ORDER BY part.report IS NOT NULL, part.number
"""

_NO_ID = (("text", ""),)
"""No part is filed under it."""

_ACCEPTED = b""
"""In the place of an event: that its message was accepted. It is made of the message's record again."""

_OWED = """
    SELECT owed.n, event, correlation_id, reply_to, record
    FROM owed LEFT JOIN message ON message.n = owed.message
"""

_REPORT = """
    UPDATE part SET report = new.column1 FROM (VALUES {rows}) AS new
    WHERE message = new.column2 AND number = new.column3
"""
_COUNT = "UPDATE message SET waiting = waiting - 1 WHERE n IN (VALUES {rows})"


class Part(NamedTuple):
    """A part that waits, or waited, for its receipt, with its message's row."""

    message: int
    number: int
    recipient: str
    report: bytes | None
    waiting: int
    record: bytes


class Notes:
    """What is to be written for receipts, at the end of a transaction or before somebody looks."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self._messages: set[int] = set()
        self._reports: list[tuple[bytes, int, int]] = []
        self._owed: list[tuple[int, int | None, bytes, str | None, str | None]] = []
        self._last_owed: int | None = None

    def touches(self, message: int) -> bool:
        """Whether something is noted of this message: what was read of it before is out of date."""
        return message in self._messages

    def report(self, part: Part, report: Report) -> None:
        """The final word on a part."""
        self._messages.add(part.message)
        self._reports.append((packer.encode(report), part.message, part.number))

    def owe(
        self, message: int | None, event: Event, correlation_id: str | None, reply_to: str | None
    ) -> Owed:
        number = self._number()
        self._owed.append((number, message, packer.encode(event), correlation_id, reply_to))
        return Owed(number, event, correlation_id, reply_to)

    def _number(self) -> int:
        if self._last_owed is None:
            self._last_owed = _last_owed(self.db)
        self._last_owed += 1
        return self._last_owed

    def write(self) -> None:
        execute_rows(self.db, _REPORT, self._reports)
        execute_rows(self.db, _COUNT, [(message,) for _, message, _ in self._reports])
        execute_rows(self.db, "INSERT INTO owed VALUES {rows}", self._owed)
        self._reports.clear()
        self._owed.clear()


def claim_all(db: sqlite3.Connection, came: Sequence[Receipt]) -> list[Claim]:
    """See `smsgw.ledger.base.Ledger.claim`."""
    notes = Notes(db)
    parts = _newest_parts(db, came)
    claims = [_claim(notes, receipt, parts.get(index)) for index, receipt in enumerate(came)]
    notes.write()
    return claims


def _newest_parts(db: sqlite3.Connection, came: Sequence[Receipt]) -> dict[int, Part]:
    """By place in `came`: the newest part under the best reading of a receipt's id, where that is certain."""
    asked = [
        (index, each.account, each.candidates[0][1]) for index, each in enumerate(came) if each.candidates
    ]
    found: dict[int, Part] = {}
    for answer in query_rows(db, _FOR_ALL, asked):
        if len(answer) < _MANY:  # else some may be missing
            for index, *row in answer:
                part = Part._make(row)
                if index not in found or part[:2] > found[index][:2]:
                    found[index] = part
    return found


def _claim(notes: Notes, receipt: Receipt, newest: Part | None) -> Claim:
    if newest is not None and _is_plain(notes, receipt, newest):
        return Claim(tuple(_note(notes, newest, receipt.report, receipt.at)), receipt.candidates[0][0])
    found = _find_part(notes.db, receipt)
    if found is not None and notes.touches(found[1].message):
        notes.write()
        found = _find_part(notes.db, receipt)
    if found is None:
        _park(notes.db, receipt)
        return Claim()
    codec, part = found
    return Claim(tuple(_note(notes, part, receipt.report, receipt.at)), codec)


def _is_plain(notes: Notes, receipt: Receipt, part: Part) -> bool:
    """Whether nothing can compete with this part, the newest."""
    return (
        part.report is None
        and same_recipient(part.recipient, receipt.recipient)
        and not notes.touches(part.message)
    )


def _find_part(db: sqlite3.Connection, receipt: Receipt) -> tuple[str, Part] | None:
    """(codec, part) of the newest part whose recipient agrees.

    A part of another recipient is taken only where the id has a single reading, and no more than one message
    that waits: where several compete, one that only happens to have the id would be told a wrong fate.
    """
    others: list[tuple[str, Part]] = []
    for codec, key in receipt.candidates:
        repeated = None
        for row in db.execute(_NEWEST, (receipt.account, key)):
            part = Part._make(row)
            if repeated is not None and part.message != repeated.message:
                break
            if not same_recipient(part.recipient, receipt.recipient):
                others.append((codec, part))
            elif part.report is None:
                return codec, part
            else:
                repeated = part
        if repeated is not None:
            return codec, repeated
    if len(receipt.candidates) > 1 or len({part.message for _, part in others if part.waiting}) > 1:
        return None
    return others[0] if others else None


def same_recipient(one: str, other: str) -> bool:
    """Whether two digit strings name one phone, as far as can be said: national forms lack a prefix."""
    return not one or not other or one == other or (min(len(one), len(other)) >= 6 and one[-6:] == other[-6:])


def _note(notes: Notes, part: Part, report: Report, now: float) -> list[Owed]:
    """Write a receipt's word at its part. A repeat owes again only what is not yet cleared."""
    if part.waiting == 0 or (part.report is not None and report.final):
        return owed_for(notes.db, part.message)
    record = records.decode(part.record)
    if record.awaits == 1:
        words: list[Report | None] = [report]
    else:
        so_far = known(notes.db, part.message)
        if report.final:
            so_far[part.number] = report
        words = [*so_far.values(), *[None] * (record.awaits - len(so_far))]
    if report.final:
        notes.report(part, report)
    return [
        notes.owe(part.message, event, record.correlation_id, record.reply_to)
        for event in receipted(record, part.number, report, words, now)
    ]


def known(db: sqlite3.Connection, message: int) -> dict[int, Report | None]:
    """The final words on the parts of a message that were taken so far."""
    rows = db.execute("SELECT number, report FROM part WHERE message = ? ORDER BY number", (message,))
    return {number: reports.decode(report) if report else None for number, report in rows}


def _park(db: sqlite3.Connection, receipt: Receipt) -> None:
    """Durable until the id becomes known. The same receipt again takes the place of the first.

    Its number never comes again, for it makes the event_id of an orphan.
    """
    account, body = receipt.account, packer.encode(receipt.report)
    candidates = receipt.candidates or _NO_ID
    again = "SELECT n FROM parked WHERE account = ? AND key = ? AND recipient = ? AND report = ?"
    if any(db.execute(again, (account, key, receipt.recipient, body)).fetchone() for _, key in candidates):
        return
    (n,) = db.execute(
        "SELECT max(coalesce(max(n) + 1, 0), ?) FROM parked", (int(receipt.at * 1e6),)
    ).fetchone()
    db.executemany(
        """
        INSERT INTO parked (n, account, key, at, codec, channel, recipient, report)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        """,
        [
            (n, account, key, receipt.at, codec, receipt.channel, receipt.recipient, body)
            for codec, key in candidates
        ],
    )


def early(
    db: sqlite3.Connection,
    message: int,
    account: str,
    keys: Iterable[str],
    recipient: str,
    now: float,
) -> list[Owed]:
    """What is owed for receipts that came before their parts' ids, `keys`, were known."""
    notes = Notes(db)
    found = []
    for key in keys:
        for report in _unpark(db, account, key, recipient):
            notes.write()
            row = db.execute(_OF_A_MESSAGE, (account, key, message)).fetchone()
            found += _note(notes, Part._make(row), report, now)
    notes.write()
    return found


def _unpark(db: sqlite3.Connection, account: str, key: str, recipient: str) -> list[Report]:
    rows = db.execute(
        "SELECT DISTINCT n, recipient, report FROM parked WHERE account = ? AND key = ? ORDER BY n",
        (account, key),
    ).fetchall()
    mine = [(n, report) for n, to, report in rows if same_recipient(to, recipient)]
    db.executemany("DELETE FROM parked WHERE n = ?", [(n,) for n, _ in mine])
    return [reports.decode(report) for _, report in mine]


def owe(
    db: sqlite3.Connection,
    message: int | None,
    event: Event,
    correlation_id: str | None = None,
    reply_to: str | None = None,
) -> Owed:
    """One event is owed from now on."""
    notes = Notes(db)
    made = notes.owe(message, event, correlation_id, reply_to)
    notes.write()
    return made


def owed(db: sqlite3.Connection, limit: int) -> list[Owed]:
    """See `smsgw.ledger.base.Ledger.owed`."""
    return [_read(*row) for row in db.execute(_OWED + "ORDER BY owed.n LIMIT ?", (limit,))]


def owed_for(db: sqlite3.Connection, message: int) -> list[Owed]:
    """What is not published yet of a message's events."""
    rows = db.execute(_OWED + "WHERE owed.message = ? ORDER BY owed.n", (message,))
    return [_read(*row) for row in rows]


def owe_accepted(db: sqlite3.Connection, message: int, whole: Sequence[Record]) -> list[Owed]:
    """Messages were accepted, all of each: their rows, from this number on, are all that is kept of it."""
    first = _last_owed(db) + 1
    db.execute(
        "INSERT INTO owed (n, message, event) SELECT ? + n, n, ? FROM message WHERE n BETWEEN ? AND ?",
        (first - message, _ACCEPTED, message, message + len(whole) - 1),
    )
    return [_accepted(number, record) for number, record in enumerate(whole, first)]


def _last_owed(db: sqlite3.Connection) -> int:
    found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'owed'").fetchone()
    return found[0] if found else 0


def _read(
    number: int, event: bytes, correlation_id: str | None, reply_to: str | None, record: bytes | None
) -> Owed:
    if event == _ACCEPTED and record is not None:
        return _accepted(number, records.decode(record))
    return Owed(number, _events.decode(event), correlation_id, reply_to)


def _accepted(number: int, record: Record) -> Owed:
    return Owed(number, accepted(record), record.correlation_id, record.reply_to)


def keep_accepted(db: sqlite3.Connection, messages: Sequence[int]) -> None:
    """Of messages that are about to be forgotten: what is owed is from now on kept without their records."""
    for message in messages:
        for each in owed_for(db, message):
            db.execute(
                "UPDATE owed SET event = ?, correlation_id = ?, reply_to = ? WHERE n = ?",
                (packer.encode(each.event), each.correlation_id, each.reply_to, each.number),
            )


def clear(db: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """See `smsgw.ledger.base.Ledger.clear`. What was owed together has numbers that follow each other."""
    first, last = min(numbers, default=0), max(numbers, default=0)
    if last - first + 1 == len(set(numbers)):
        db.execute("DELETE FROM owed WHERE n BETWEEN ? AND ?", (first, last))
    else:
        execute_rows(db, "DELETE FROM owed WHERE n IN (VALUES {rows})", [(number,) for number in numbers])
