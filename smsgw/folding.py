"""What the receipts of its parts make of a message: pure.

A message that asked for receipts ends in exactly one final event. Its parts are receipted one by
one, in any order; the worst part speaks for the message.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from smsgw.message import Event, EventKind, ReceiptMode, event_id, timestamp
from smsgw.outcome import Progress

PartState: TypeAlias = Literal["delivered", "undelivered", "buffered"]


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the ledger keeps of an accepted message: enough for every later event about it.

    `awaits` is how many receipts decide its fate: one for each part, unless the message centre gives
    one for the whole. With a `progress` only some parts were taken: nothing is final yet.
    """

    id: str
    to: str
    channel: str
    parts: int
    receipt: ReceiptMode
    awaits: int
    attempt: int
    accepted: float
    smsc_id: str
    transliterated: int = 0
    progress: Progress | None = None
    meta: dict[str, Any] = {}
    correlation_id: str | None = None
    reply_to: str | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One receipt's word on one part: `stat` and `err` as the message centre wrote them."""

    state: PartState
    smsc_id: str
    stat: str
    err: str | None = None

    @property
    def final(self) -> bool:
        return self.state != "buffered"


def accepted(record: Record) -> Event:
    """The message centre took every part. Final where no receipt was asked for."""
    return _event(record, "accepted", record.accepted, record.smsc_id, final=record.receipt == "none")


def receipted(
    record: Record, part: int, report: Report, reports: list[Report | None], at: float
) -> list[Event]:
    """The events that one receipt causes, for part `part` (from 1).

    `reports` are the final words so far, `report` included if it is final; None for each that is
    still to come.
    """
    events = []
    if not report.final or (record.receipt == "all" and record.parts > 1):
        events.append(_told(record, report, at, part=part, final=False))
    words = [each for each in reports if each]
    if report.final and len(words) == len(reports) and record.progress is None:
        events.append(folded(record, words, at, last=report))
    return events


def folded(record: Record, reports: list[Report], at: float, *, last: Report | None = None) -> Event:
    """The one final word on a message of which all receipts are in: the worst of them, else the last."""
    undelivered = [each for each in reports if each.state == "undelivered"]
    worst = undelivered[0] if undelivered else last or reports[-1]
    return _told(record, worst, at, part=None, final=True)


def unreceipted(record: Record, at: float) -> Event:
    """No final receipt came within the ledger's `keep`."""
    event = _event(record, "unknown", at, record.smsc_id, final=True)
    return msgspec.structs.replace(event, error="no receipt")


def orphan(number: int, channel: str, recipient: str, report: Report, at: float) -> Event:
    """A receipt that belongs to no message we know: told under its SMSC id, with an empty message id."""
    return Event(
        event="orphan",
        id="",
        event_id=event_id(f"{channel}/{report.smsc_id}", "orphan", part=number),
        at=timestamp(at),
        channel=channel,
        to=recipient,
        parts=1,
        smsc_id=report.smsc_id,
        stat=report.stat,
        err=report.err,
        final=False,
        attempt=1,
        meta={},
    )


def _told(record: Record, report: Report, at: float, *, part: int | None, final: bool) -> Event:
    return _event(record, report.state, at, report.smsc_id, final=final, part=part, report=report)


def _event(
    record: Record,
    kind: EventKind,
    at: float,
    smsc_id: str,
    *,
    final: bool,
    part: int | None = None,
    report: Report | None = None,
) -> Event:
    """What a message's record says of it, in one place; an intermediate `report` has an id of its own."""
    stat, err = (report.stat, report.err) if report else (None, None)
    return Event(  # with more than 15 names CPython makes a dictionary of them, at twice the cost
        event=kind,
        id=record.id,
        event_id=event_id(record.id, kind, part=part, stat=stat if report and not report.final else None),
        at=timestamp(at),
        channel=record.channel,
        to=record.to,
        parts=record.parts,
        part=part,
        transliterated=record.transliterated,
        smsc_id=smsc_id,
        stat=stat,
        err=err,
        final=final,
        attempt=record.attempt,
        meta=record.meta,
    )
