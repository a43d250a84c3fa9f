"""What receipts make of a message."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.folding import Record, Report, accepted, orphan, receipted, unreceipted

NOW = 1_700_000_000.0
YES = Report(state="delivered", smsc_id="A1", stat="DELIVRD", err="000")
NO = Report(state="undelivered", smsc_id="A2", stat="EXPIRED", err="004")
MAYBE = Report(state="buffered", smsc_id="A1", stat="ENROUTE")


def record(**fields: Any) -> Record:
    defaults: dict[str, Any] = {
        "id": "m1",
        "to": "+46700000001",
        "channel": "acme",
        "parts": 1,
        "receipt": "final",
        "attempt": 2,
        "accepted": NOW,
        "smsc_id": "A1",
        "meta": {"order": 7},
    }
    fields = {**defaults, **fields}
    fields.setdefault("awaits", 0 if fields["receipt"] == "none" else fields["parts"])
    return Record(**fields)


@pytest.mark.parametrize(("receipt", "final"), [("none", True), ("final", False), ("all", False)])
def test_accepted_is_final_where_no_receipt_was_asked_for(receipt: Any, final: bool) -> None:
    event = accepted(record(receipt=receipt))
    assert (event.event, event.event_id, event.final) == ("accepted", "m1/accepted", final)
    assert (event.smsc_id, event.attempt, event.meta) == ("A1", 2, {"order": 7})


def told(events: list[Any]) -> list[tuple[str, int | None, bool]]:
    return [(event.event, event.part, event.final) for event in events]


@pytest.mark.parametrize(
    ("parts", "receipt", "part", "report", "reports", "expected"),
    [
        (1, "final", 1, YES, [YES], [("delivered", None, True)]),
        (1, "final", 1, NO, [NO], [("undelivered", None, True)]),
        (1, "all", 1, YES, [YES], [("delivered", None, True)]),
        (1, "all", 1, MAYBE, [None], [("buffered", 1, False)]),
        (1, "final", 1, MAYBE, [None], [("buffered", 1, False)]),
        (1, "final", 1, MAYBE, [YES], [("buffered", 1, False)]),
        (2, "final", 1, YES, [YES, None], []),
        (2, "final", 2, YES, [YES, YES], [("delivered", None, True)]),
        (2, "final", 2, YES, [NO, YES], [("undelivered", None, True)]),
        (2, "final", 1, NO, [NO, YES], [("undelivered", None, True)]),
        (2, "all", 1, YES, [YES, None], [("delivered", 1, False)]),
        (2, "all", 2, NO, [YES, NO], [("undelivered", 2, False), ("undelivered", None, True)]),
        (2, "all", 2, MAYBE, [YES, None], [("buffered", 2, False)]),
    ],
)
def test_the_worst_part_speaks_for_the_message(
    parts: int, receipt: Any, part: int, report: Report, reports: list[Report | None], expected: list[Any]
) -> None:
    assert told(receipted(record(parts=parts, receipt=receipt), part, report, reports, NOW)) == expected


def test_the_worst_parts_words_are_told() -> None:
    (event,) = receipted(record(parts=2), 2, YES, [NO, YES], NOW)
    assert (event.smsc_id, event.stat, event.err, event.parts) == ("A2", "EXPIRED", "004", 2)


@given(st.lists(st.sampled_from([YES, NO]), min_size=1, max_size=6), st.randoms())
def test_in_whatever_order_there_is_one_final_event(parts: list[Report], random: Any) -> None:
    order = list(range(len(parts)))
    random.shuffle(order)
    known: list[Report | None] = [None] * len(parts)
    finals = []
    for number in order:
        known[number] = parts[number]
        events = receipted(record(parts=len(parts)), number + 1, parts[number], known, NOW)
        finals += [event.event for event in events if event.final]
    assert finals == ["undelivered" if NO in parts else "delivered"]


def test_ids_tell_parts_from_the_whole() -> None:
    part, whole = receipted(record(parts=2, receipt="all"), 2, YES, [YES, YES], NOW)
    assert (part.event_id, whole.event_id) == ("m1/delivered/part2", "m1/delivered")


def test_no_receipt_in_time() -> None:
    event = unreceipted(record(), NOW)
    assert (event.event, event.error, event.final, event.event_id) == (
        "unknown",
        "no receipt",
        True,
        "m1/unknown",
    )


def test_orphans_are_told_apart() -> None:
    one, other = (orphan(number, "acme", "46700000001", YES, NOW) for number in (1, 2))
    assert (one.event, one.id, one.smsc_id, one.to, one.final) == ("orphan", "", "A1", "46700000001", False)
    assert one.event_id != other.event_id
    assert (
        len(orphan(1, "c" * 64, "", Report(state="delivered", smsc_id="A" * 255, stat=""), NOW).event_id)
        <= 255
    )
