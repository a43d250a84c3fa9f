"""Events that are owed, in the table `owed` of `smsgw.ledger.sqlite`.

Two kinds of event are nearly all: that a message was accepted, and the last word on a message that one
receipt decides. What such an event says is in the rows of its message and its part already, all but the
receipt's time. So it is not written a second time but made of them when somebody asks: `owed.event` is empty
for the first kind, and that time for the second. Before a message is forgotten, what is owed for it is
written out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from smsgw.folding import Record, Report, accepted, folded
from smsgw.ledger.base import Owed
from smsgw.message import Event
from smsgw.rows import execute_rows

packer = msgspec.msgpack.Encoder()
records = msgspec.msgpack.Decoder(Record)
reports = msgspec.msgpack.Decoder(Report)
_events: msgspec.msgpack.Decoder[Event | float] = msgspec.msgpack.Decoder(Event | float)

_ACCEPTED = b""

_OWED = """
    SELECT owed.n, message, event, correlation_id, reply_to, record
    FROM owed LEFT JOIN message ON message.n = owed.message
"""
_OWE = "INSERT INTO owed (n, message, event, correlation_id, reply_to) VALUES {rows}"
_OWE_SHORT = "INSERT INTO owed (n, message, event) VALUES {rows}"


class Owing:
    """Events that are owed from now on; `write` writes them."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._whole: list[tuple[int, int | None, bytes, str | None, str | None]] = []
        self._short: list[tuple[int, int, bytes]] = []
        self._last: int | None = None

    def event(
        self, message: int | None, event: Event, correlation_id: str | None, reply_to: str | None
    ) -> Owed:
        number = self._number()
        self._whole.append((number, message, packer.encode(event), correlation_id, reply_to))
        return Owed(number, event, correlation_id, reply_to)

    def last_word(self, message: int, record: Record, event: Event, at: float) -> Owed:
        """The final event of a message that one receipt decides, which came `at`."""
        number = self._number()
        self._short.append((number, message, packer.encode(at)))
        return Owed(number, event, record.correlation_id, record.reply_to)

    def _number(self) -> int:
        self._last = (_last(self._db) if self._last is None else self._last) + 1
        return self._last

    def write(self) -> None:
        execute_rows(self._db, _OWE, self._whole)
        execute_rows(self._db, _OWE_SHORT, self._short)
        self._whole.clear()
        self._short.clear()


def owe(
    db: sqlite3.Connection,
    message: int | None,
    event: Event,
    correlation_id: str | None = None,
    reply_to: str | None = None,
) -> Owed:
    """One event is owed from now on."""
    owing = Owing(db)
    made = owing.event(message, event, correlation_id, reply_to)
    owing.write()
    return made


def owe_accepted(db: sqlite3.Connection, message: int, whole: Sequence[Record]) -> list[Owed]:
    """Messages were accepted, all of each: those whose rows begin with this number."""
    first = _last(db) + 1
    db.execute(
        "INSERT INTO owed (n, message, event) SELECT ? + n, n, ? FROM message WHERE n BETWEEN ? AND ?",
        (first - message, _ACCEPTED, message, message + len(whole) - 1),
    )
    return [
        Owed(number, accepted(record), record.correlation_id, record.reply_to)
        for number, record in enumerate(whole, first)
    ]


def _last(db: sqlite3.Connection) -> int:
    """The last number that was given to an event: none comes again."""
    found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'owed'").fetchone()
    return found[0] if found else 0


def oldest(db: sqlite3.Connection, limit: int) -> list[Owed]:
    """See `smsgw.ledger.base.Ledger.owed`."""
    return _read(db, "ORDER BY owed.n LIMIT ?", limit)


def of_message(db: sqlite3.Connection, message: int) -> list[Owed]:
    """What is not published yet of a message's events."""
    return _read(db, "WHERE owed.message = ? ORDER BY owed.n", message)


def _read(db: sqlite3.Connection, which: str, value: int) -> list[Owed]:
    return [_made(db, *row) for row in db.execute(_OWED + which, (value,)).fetchall()]


def _made(
    db: sqlite3.Connection,
    number: int,
    message: int,
    event: bytes,
    correlation_id: str | None,
    reply_to: str | None,
    packed: bytes,
) -> Owed:
    found = None if event == _ACCEPTED else _events.decode(event)
    if isinstance(found, Event):
        return Owed(number, found, correlation_id, reply_to)
    record = records.decode(packed)
    if found is None:
        made = accepted(record)
    else:
        made = folded(record, [report for report in known(db, message).values() if report], found)
    return Owed(number, made, record.correlation_id, record.reply_to)


def known(db: sqlite3.Connection, message: int) -> dict[int, Report | None]:
    """The final words on the parts of a message that were taken so far."""
    rows = db.execute("SELECT number, report FROM part WHERE message = ? ORDER BY number", (message,))
    return {number: reports.decode(report) if report else None for number, report in rows}


def write_out(db: sqlite3.Connection, messages: Sequence[int]) -> None:
    """These messages are about to be forgotten: what is owed for them is written as it will be told."""
    for message in messages:
        for each in of_message(db, message):
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
