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

from smsgw.folding import Record, Report, receipted
from smsgw.ledger import owing
from smsgw.ledger.base import Claim, Owed, Receipt
from smsgw.ledger.owing import Owing, packer, records, reports
from smsgw.message import Event
from smsgw.rows import execute_rows, query_rows

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
        self._owing = Owing(db)
        self._messages: set[int] = set()
        self._reports: list[tuple[bytes, int, int]] = []

    def touches(self, message: int) -> bool:
        """Whether something is noted of this message: what was read of it before is out of date."""
        return message in self._messages

    def report(self, part: Part, report: Report) -> None:
        """The final word on a part."""
        self._messages.add(part.message)
        self._reports.append((packer.encode(report), part.message, part.number))

    def owe(self, message: int, record: Record, event: Event, at: float) -> Owed:
        if event.final and record.awaits == 1:
            return self._owing.last_word(message, record, event, at)
        return self._owing.event(message, event, record.correlation_id, record.reply_to)

    def write(self) -> None:
        execute_rows(self.db, _REPORT, self._reports)
        execute_rows(self.db, _COUNT, [(message,) for _, message, _ in self._reports])
        self._owing.write()
        self._reports.clear()


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
        return owing.of_message(notes.db, part.message)
    record = records.decode(part.record)
    if record.awaits == 1:
        words: list[Report | None] = [report]
    else:
        so_far = owing.known(notes.db, part.message)
        if report.final:
            so_far[part.number] = report
        words = [*so_far.values(), *[None] * (record.awaits - len(so_far))]
    if report.final:
        notes.report(part, report)
    return [
        notes.owe(part.message, record, event, now)
        for event in receipted(record, part.number, report, words, now)
    ]


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
