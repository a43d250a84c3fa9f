"""The ledger, on a real file, with the worker thread replaced by a plain call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, execute

from smsgw.folding import Record, Report, accepted
from smsgw.ledger.base import Acceptance, Claim, Key, Owed, Recalled, Receipt
from smsgw.ledger.receipts import same_recipient
from smsgw.ledger.sqlite import SCHEMA, SqliteLedger
from smsgw.outcome import Progress
from smsgw.sqlite import Database

T = TypeVar("T")


def at_once(function: Callable[[], T], /) -> Deferred[T]:
    return execute(function)


def result(deferred: Deferred[T]) -> T:
    """What an already fired Deferred holds; raises what it failed with."""
    found: list[Any] = []
    deferred.addBoth(found.append)
    assert found, "the Deferred has not fired"
    if hasattr(found[0], "raiseException"):
        found[0].raiseException()
    return found[0]  # type: ignore[no-any-return]


def ledger_at(path: Path) -> SqliteLedger:
    ledger = SqliteLedger(Database(path, SCHEMA, synchronous="NORMAL", run_in_thread=at_once))
    ledger.start()
    return ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    made = ledger_at(tmp_path / "ledger.db")
    yield made
    result(made.stop())


def record(message_id: str = "m1", *, to: str = "+46700000001", parts: int = 1, **fields: Any) -> Record:
    defaults: dict[str, Any] = {
        "channel": "acme",
        "receipt": "final",
        "attempt": 1,
        "accepted": 1000.0,
        "smsc_id": "A1",
        "meta": {"order": 7},
        "reply_to": "answers",
        "correlation_id": "c1",
    }
    fields = {**defaults, **fields}
    fields.setdefault("awaits", 0 if fields["receipt"] == "none" else parts)
    return Record(id=message_id, to=to, parts=parts, **fields)


def keys(*ids: str) -> list[Key]:
    """Of parts 1, 2, ... that were answered with these ids."""
    return [Key(number, smsc_id.lower(), smsc_id) for number, smsc_id in enumerate(ids, 1)]


def remember(
    ledger: SqliteLedger, account: str, of: Record, keys: Sequence[Key], *, resumed: bool = False
) -> Deferred[Sequence[Owed]]:
    """One acceptance alone, whose event is published at once; what else is owed."""

    def told(owed: Sequence[Sequence[Owed]]) -> list[Owed]:
        accepted = [each for each in owed[0] if each.event.event == "accepted"]
        assert len(accepted) == (of.progress is None)
        result(ledger.clear([each.number for each in accepted]))
        return [each for each in owed[0] if each not in accepted]

    return ledger.remember([Acceptance(account, of, keys, resumed)]).addCallback(told)


def report(state: Any = "delivered", smsc_id: str = "a1", stat: str = "DELIVRD") -> Report:
    return Report(state=state, smsc_id=smsc_id, stat=stat, err="000")


def claimed(
    ledger: SqliteLedger,
    account: str,
    channel: str,
    candidates: Sequence[tuple[str, str]],
    recipient: str,
    word: Report,
    at: float,
) -> Deferred[Claim]:
    """One receipt alone."""
    came = ledger.claim([Receipt(account, channel, candidates, recipient, word, at)])
    return came.addCallback(lambda claims: claims[0])


def claim(
    ledger: SqliteLedger, key: str, word: Report, *, recipient: str = "46700000001", now: float = 1001.0
) -> Claim:
    return result(claimed(ledger, "acme", "acme", [("text", key)], recipient, word, now))


def test_an_accepted_message_is_recalled_by_its_id(ledger: SqliteLedger) -> None:
    result(remember(ledger, "acme", record(), keys("A1")))
    assert result(ledger.recall("m1")) == Recalled(record())
    assert result(ledger.recall("m2")) is None


def test_a_receipt_after_the_response_owes_the_final_event(ledger: SqliteLedger) -> None:
    assert list(result(remember(ledger, "acme", record(), keys("A1")))) == []
    (owed,) = claim(ledger, "a1", report()).owed
    assert (owed.event.event, owed.event.final, owed.event.id) == ("delivered", True, "m1")
    assert (owed.event.meta, owed.event.stat, owed.event.err) == ({"order": 7}, "DELIVRD", "000")
    assert (owed.correlation_id, owed.reply_to) == ("c1", "answers")


def test_a_receipt_before_the_response_is_parked_and_matched_later(ledger: SqliteLedger) -> None:
    assert claim(ledger, "a1", report()) == Claim()
    (owed,) = result(remember(ledger, "acme", record(), keys("A1")))
    assert (owed.event.event, owed.event.final) == ("delivered", True)
    assert not claim(ledger, "a1", report()).owed or claim(ledger, "a1", report()).owed == (owed,)


def test_a_parked_receipt_survives_a_restart(tmp_path: Path) -> None:
    first = ledger_at(tmp_path / "ledger.db")
    claim(first, "a1", report())
    result(first.stop())
    again = ledger_at(tmp_path / "ledger.db")
    (owed,) = result(remember(again, "acme", record(), keys("A1")))
    assert owed.event.event == "delivered"
    result(again.stop())


def test_a_repeat_owes_again_until_cleared_and_then_nothing(ledger: SqliteLedger) -> None:
    result(remember(ledger, "acme", record(), keys("A1")))
    (owed,) = claim(ledger, "a1", report()).owed
    assert claim(ledger, "a1", report()).owed == (owed,)
    result(ledger.clear([owed.number]))
    again = claim(ledger, "a1", report())
    assert (again.owed, again.codec) == ((), "text")


def test_owed_events_outlive_a_crash(tmp_path: Path) -> None:
    first = ledger_at(tmp_path / "ledger.db")
    result(remember(first, "acme", record(), keys("A1")))
    (owed,) = claim(first, "a1", report()).owed
    again = ledger_at(tmp_path / "ledger.db")  # the first is never closed
    assert list(result(again.owed(10))) == [owed]
    result(again.clear([owed.number]))
    assert list(result(again.owed(10))) == []


def test_ids_are_scoped_by_account(ledger: SqliteLedger) -> None:
    result(remember(ledger, "other", record(), keys("A1")))
    assert claim(ledger, "a1", report()).codec is None


def test_an_id_that_came_round_belongs_to_the_newest(ledger: SqliteLedger) -> None:
    result(remember(ledger, "acme", record("old"), keys("A1")))
    result(remember(ledger, "acme", record("new"), keys("A1")))
    (owed,) = claim(ledger, "a1", report()).owed
    assert owed.event.id == "new"


def test_where_readings_compete_the_recipient_decides(ledger: SqliteLedger) -> None:
    result(remember(ledger, "acme", record("text", to="46700000001"), keys("10")))
    result(remember(ledger, "acme", record("hex", to="46700000002"), keys("A")))
    found = result(
        claimed(ledger, "acme", "acme", [("text", "10"), ("decimal", "a")], "46700000002", report(), 1.0)
    )
    assert found.codec == "decimal"
    assert found.owed[0].event.id == "hex"


def test_a_reading_that_only_happens_to_exist_is_not_taken(ledger: SqliteLedger) -> None:
    result(remember(ledger, "acme", record(to="46700000001"), keys("10")))
    competing = [("text", "10"), ("decimal", "a")]
    assert result(claimed(ledger, "acme", "acme", competing, "46799999999", report(), 1.0)).codec is None
    assert (
        result(claimed(ledger, "acme", "acme", competing[:1], "46799999999", report(), 1.0)).codec == "text"
    )


def test_a_receipt_for_nobody_we_know_is_not_given_to_one_of_several(ledger: SqliteLedger) -> None:
    """One id for all messages: without its recipient a receipt could be anybody's."""
    for number in range(20):
        result(remember(ledger, "acme", record(f"m{number}", to=f"4670000{number:04}"), keys("A1")))
    found = result(claimed(ledger, "acme", "acme", [("text", "a1")], "46799999999", report(), 1.0))
    assert (found.codec, found.owed) == (None, ())
    found = result(claimed(ledger, "acme", "acme", [("text", "a1")], "46700000015", report(), 1.0))
    assert found.owed[0].event.id == "m15"
    (orphan,) = result(ledger.expire(100.0, keep=1e6, park=60.0, limit=10)).owed
    assert orphan.event.to == "46799999999"


@pytest.mark.parametrize("early", [0, 1, 2])
def test_parts_of_one_id_are_receipted_one_by_one(ledger: SqliteLedger, early: int) -> None:
    words = [report("delivered"), report("undelivered", stat="UNDELIV"), report("delivered")]
    owed = [each for word in words[:early] for each in claim(ledger, "a1", word).owed]
    owed += result(remember(ledger, "acme", record(parts=3), keys("A1", "A1", "A1")))
    owed += [each for word in words[early:] for each in claim(ledger, "a1", word).owed]
    assert [each.event.event for each in owed] == ["undelivered"]
    assert claim(ledger, "a1", words[0]).owed[0].event.event == "undelivered"  # a repeat, not cleared yet


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("46700000001", "46700000001", True),
        ("46700000001", "0700000001", True),
        ("46700000001", "46700000002", False),
        ("46700000001", "", True),
        ("12345", "345", False),
    ],
)
def test_same_recipient(one: str, other: str, same: bool) -> None:
    assert same_recipient(one, other) is same
    assert same_recipient(other, one) is same


def test_without_receipts_only_the_acceptance_is_kept(ledger: SqliteLedger) -> None:
    result(remember(ledger, "acme", record(receipt="none"), ()))
    assert result(ledger.recall("m1")) is not None
    assert claim(ledger, "a1", report()).codec is None


def test_a_buffered_receipt_is_told_and_leaves_the_message_waiting(ledger: SqliteLedger) -> None:
    result(remember(ledger, "acme", record(receipt="all"), keys("A1")))
    (owed,) = claim(ledger, "a1", report("buffered", stat="ACCEPTD")).owed
    assert (owed.event.event, owed.event.final) == ("buffered", False)
    assert [each.event.event for each in claim(ledger, "a1", report()).owed] == ["delivered"]


@given(
    st.permutations([1, 2, 3]),
    st.lists(st.sampled_from(["delivered", "undelivered"]), min_size=3, max_size=3),
)
@settings(max_examples=40, deadline=None)
def test_parts_fold_into_one_final_event_and_the_worst_wins(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], states: list[str]
) -> None:
    ledger = ledger_at(tmp_path_factory.mktemp("ledger") / "ledger.db")
    result(remember(ledger, "acme", record(parts=3), keys("A1", "A2", "A3")))
    told = [claim(ledger, f"a{n}", report(state)).owed for n, state in zip(order, states, strict=True)]
    assert told[:2] == [(), ()]
    (final,) = told[2]
    assert final.event.event == ("undelivered" if "undelivered" in states else "delivered")
    assert final.event.final
    result(ledger.stop())


# -- a long message that was broken off


def broken_off(taken: int, message_id: str = "m1", **fields: Any) -> Record:
    """Of three parts so many were taken."""
    ids = tuple(f"A{number}" for number in range(1, taken + 1))
    return record(message_id, parts=3, progress=Progress("acme", 7, 3, 1234, ids), **fields)


def test_what_was_taken_of_a_message_is_recalled(ledger: SqliteLedger) -> None:
    result(remember(ledger, "acme", broken_off(2), keys("A1", "A2")))
    found = result(ledger.recall("m1"))
    assert found is not None
    assert found.record.progress == Progress("acme", 7, 3, 1234, ("A1", "A2"))
    result(remember(ledger, "acme", record(parts=3), keys("A1", "A2", "A3"), resumed=True))
    assert result(ledger.recall("m1")) == Recalled(record(parts=3))


@pytest.mark.parametrize("early", [0, 1, 2])
def test_receipts_of_the_first_parts_may_come_before_the_last_is_sent(
    ledger: SqliteLedger, early: int
) -> None:
    result(remember(ledger, "acme", broken_off(2), keys("A1", "A2")))
    for number in range(1, early + 1):
        assert claim(ledger, f"a{number}", report()).owed == ()
    owed = result(remember(ledger, "acme", record(parts=3), keys("A1", "A2", "A3"), resumed=True))
    assert list(owed) == []
    told = [each for n in range(early + 1, 4) for each in claim(ledger, f"a{n}", report()).owed]
    assert [(each.event.event, each.event.final) for each in told] == [("delivered", True)]


def test_where_one_receipt_decides_it_may_come_before_the_message_is_whole(ledger: SqliteLedger) -> None:
    """The message centre tells the fate of the first part only."""
    result(remember(ledger, "acme", broken_off(2, awaits=1), keys("A1")))
    assert claim(ledger, "a1", report("undelivered", stat="UNDELIV")).owed == ()
    whole = record(parts=3, awaits=1)
    (owed,) = result(remember(ledger, "acme", whole, keys("A1"), resumed=True))
    assert (owed.event.event, owed.event.final, owed.event.parts) == ("undelivered", True, 3)
    assert list(result(ledger.owed(10))) == [owed]


def test_a_receipt_that_came_early_for_the_last_part_folds_all(ledger: SqliteLedger) -> None:
    result(remember(ledger, "acme", broken_off(2), keys("A1", "A2")))
    for number in (1, 2, 3):
        claim(ledger, f"a{number}", report())
    (owed,) = result(remember(ledger, "acme", record(parts=3), keys("A1", "A2", "A3"), resumed=True))
    assert (owed.event.event, owed.event.final) == ("delivered", True)


def test_a_message_that_starts_again_elsewhere_waits_for_its_new_parts(ledger: SqliteLedger) -> None:
    result(remember(ledger, "acme", broken_off(2), keys("A1", "A2")))
    result(remember(ledger, "other", record(parts=2, channel="other"), keys("B1", "B2")))
    claim(ledger, "a1", report())
    claim(ledger, "a2", report())
    told = [
        result(claimed(ledger, "other", "other", [("text", key)], "46700000001", report(), 1.0)).owed
        for key in ("b1", "b2")
    ]
    assert [len(owed) for owed in told] == [0, 1]
    assert result(ledger.expire(9e9, keep=1.0, park=1.0, limit=10)).owed == ()


def test_more_parts_of_a_message_that_was_forgotten_are_kept_as_a_new_one(ledger: SqliteLedger) -> None:
    whole = record(parts=3)
    result(remember(ledger, "acme", whole, keys("A1", "A2", "A3"), resumed=True))
    assert result(ledger.recall("m1")) == Recalled(whole)


def test_with_receipts_for_all_parts_they_are_told_before_the_message_is_whole(ledger: SqliteLedger) -> None:
    result(remember(ledger, "acme", broken_off(2, receipt="all"), keys("A1", "A2")))
    (owed,) = claim(ledger, "a1", report()).owed
    assert (owed.event.event, owed.event.part, owed.event.final) == ("delivered", 1, False)


def test_a_message_that_was_never_whole_is_forgotten_without_a_word(ledger: SqliteLedger) -> None:
    """Its last attempt has told how it ended."""
    result(remember(ledger, "acme", broken_off(1), keys("A1")))
    assert result(ledger.expire(9e9, keep=1.0, park=1.0, limit=10)).owed == ()
    assert result(ledger.recall("m1")) is None


# -- a message that was sent again


def test_a_message_with_its_final_event_is_recalled_with_it(ledger: SqliteLedger) -> None:
    result(remember(ledger, "acme", record(parts=2), keys("A1", "A2")))
    claim(ledger, "a1", report("undelivered", stat="UNDELIV"))
    assert result(ledger.recall("m1")) == Recalled(record(parts=2))
    (owed,) = claim(ledger, "a2", report()).owed
    found = result(ledger.recall("m1"))
    assert found is not None
    assert found.final is not None
    assert (found.final.event, found.final.event_id) == ("undelivered", owed.event.event_id)


def test_without_receipts_there_is_no_other_word_to_recall(ledger: SqliteLedger) -> None:
    result(remember(ledger, "acme", record(receipt="none"), ()))
    assert result(ledger.recall("m1")) == Recalled(record(receipt="none"))


def test_of_two_attempts_that_were_taken_the_later_ones_receipts_count(ledger: SqliteLedger) -> None:
    """The first was answered too late to stop the second."""
    result(remember(ledger, "acme", record(), keys("A1")))
    result(remember(ledger, "acme", record(attempt=2), keys("B1")))
    assert claim(ledger, "a1", report("undelivered")).owed == ()
    assert [each.event.event for each in claim(ledger, "b1", report()).owed] == ["delivered"]
    assert result(ledger.expire(9e9, keep=1.0, park=1.0, limit=10)).owed == ()


# -- what is too old


def test_a_message_whose_receipt_never_comes_ends_unknown(ledger: SqliteLedger) -> None:
    result(remember(ledger, "acme", record(accepted=1000.0), keys("A1")))
    result(remember(ledger, "acme", record("m2", accepted=5000.0), keys("B1")))
    expiry = result(ledger.expire(6000.0, keep=3000.0, park=60.0, limit=10))
    assert [(each.event.id, each.event.event, each.event.error) for each in expiry.owed] == [
        ("m1", "unknown", "no receipt")
    ]
    assert not expiry.more
    assert result(ledger.recall("m1")) is None
    assert result(ledger.recall("m2")) is not None
    assert list(result(ledger.owed(10))) == list(expiry.owed)


def test_a_final_message_is_forgotten_without_a_word(ledger: SqliteLedger) -> None:
    result(remember(ledger, "acme", record(), keys("A1")))
    claim(ledger, "a1", report())
    assert result(ledger.expire(9e9, keep=1.0, park=1.0, limit=10)).owed == ()


def test_a_parked_receipt_nobody_claims_becomes_an_orphan_once(ledger: SqliteLedger) -> None:
    result(
        claimed(
            ledger, "acme", "acme", [("text", "9"), ("hex", "09")], "46700000001", report(smsc_id="9"), 100.0
        )
    )
    assert result(ledger.expire(120.0, keep=1e6, park=60.0, limit=10)).owed == ()
    expiry = result(ledger.expire(161.0, keep=1e6, park=60.0, limit=10))
    assert [each.event.event for each in expiry.owed] == ["orphan"]
    assert (expiry.orphans, expiry.owed[0].event.smsc_id) == (1, "9")
    assert result(ledger.expire(200.0, keep=1e6, park=60.0, limit=10)).orphans == 0


def test_the_same_receipt_parks_once(ledger: SqliteLedger) -> None:
    for _ in range(3):
        claim(ledger, "a1", report(), now=100.0)
    assert result(ledger.expire(1e6, keep=1e9, park=60.0, limit=10)).orphans == 1


def test_what_can_be_told_apart_parks_apart(ledger: SqliteLedger) -> None:
    for recipient in ("46700000001", "46700000002"):
        result(claimed(ledger, "acme", "acme", [("text", "a1")], recipient, report(), 100.0))
    found = [result(remember(ledger, "acme", record(to=f"+4670000000{n}"), keys("A1"))) for n in (1, 2)]
    assert [len(owed) for owed in found] == [1, 1]


def test_receipts_without_an_id_become_orphans_each_with_an_event_id_of_its_own(ledger: SqliteLedger) -> None:
    event_ids = set()
    for at in (100.0, 200.0):
        assert claimed(ledger, "acme", "acme", [], "46700000001", report(smsc_id=""), at)
        result(remember(ledger, "acme", record(), keys("0")))
        (owed,) = result(ledger.expire(at + 61, keep=1e6, park=60.0, limit=10)).owed
        assert (owed.event.event, owed.event.to, owed.event.smsc_id) == ("orphan", "46700000001", "")
        event_ids.add(owed.event.event_id)
    assert len(event_ids) == 2


def test_expiry_goes_in_bounded_steps(ledger: SqliteLedger) -> None:
    for n in range(5):
        result(remember(ledger, "acme", record(f"m{n}"), keys(f"K{n}")))
    steps = [result(ledger.expire(1e9, keep=1.0, park=1.0, limit=2)) for _ in range(4)]
    assert [len(step.owed) for step in steps] == [2, 2, 1, 0]
    assert [step.more for step in steps] == [True, True, False, False]


def test_many_are_remembered_together_and_one_by_one_alike(tmp_path: Path) -> None:
    """First attempts share statements, later ones don't; what is early is found for each."""
    accepted = [
        Acceptance("acme", record("m1"), keys("A1")),
        Acceptance("acme", record("m2", receipt="none"), ()),
        Acceptance("acme", record("m3", attempt=2), keys("A3")),
        Acceptance("acme", record("m4", parts=2), keys("A4", "A5")),
        Acceptance("other", record("m5", channel="other"), keys("A1")),
    ]
    books = []
    for name, groups in (("together", [accepted]), ("alone", [[each] for each in accepted])):
        ledger = ledger_at(tmp_path / f"{name}.db")
        assert claim(ledger, "a3", report(smsc_id="A3")).codec is None
        owed = [one for group in groups for one in result(ledger.remember(group))]
        told = [[each.event.event for each in one] for one in owed]
        assert told == [["accepted"], ["accepted"], ["accepted", "delivered"], ["accepted"], ["accepted"]]
        word = claim(ledger, "a1", report())
        assert [each.event.id for each in word.owed] == ["m1"]
        recalled = [result(ledger.recall(f"m{number}")) for number in range(1, 6)]
        assert [[each.event.event for each in one.owed] for one in recalled if one] == [
            ["accepted", "delivered"],
            ["accepted"],
            ["accepted", "delivered"],
            ["accepted"],
            ["accepted"],
        ]
        books.append([msgspec.structs.replace(one, owed=()) for one in recalled if one])
        result(ledger.stop())
    assert books[0] == books[1]


# -- events that are made of their messages' rows again


def accepted_of(ledger: SqliteLedger, *of: Record) -> list[Owed]:
    """Messages that were taken together, and what is owed for them."""
    owed = result(ledger.remember([Acceptance("acme", each) for each in of]))
    return [each for some in owed for each in some]


def test_an_accepted_event_is_owed_until_it_is_cleared(ledger: SqliteLedger) -> None:
    one, two = accepted_of(ledger, record("m1"), record("m2", attempt=2))
    assert list(result(ledger.owed(10))) == [one, two]
    assert (one.event.event, one.correlation_id, one.reply_to) == ("accepted", "c1", "answers")
    result(ledger.clear([one.number]))
    found = result(ledger.recall("m2"))
    assert found is not None
    assert found.owed == (two,)


def test_an_accepted_event_is_owed_also_when_its_message_is_forgotten(ledger: SqliteLedger) -> None:
    owed = accepted_of(ledger, record("m1", receipt="none"), record("m2"), record("m3", accepted=8e9))
    unknown = result(ledger.expire(9e9, keep=2e9, park=1.0, limit=10)).owed
    assert [each.event.id for each in unknown] == ["m2"]
    assert result(ledger.recall("m1")) is None
    assert list(result(ledger.owed(10))) == [*owed, *unknown]


@pytest.mark.parametrize("receipt", ["final", "all"])
@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("awaits", [1, 3])
def test_last_words_are_owed_also_when_their_messages_are_forgotten(
    ledger: SqliteLedger, receipt: Any, parts: int, awaits: int
) -> None:
    awaits = min(parts, awaits)
    of = record(parts=parts, awaits=awaits, receipt=receipt)
    result(remember(ledger, "acme", of, keys("A1", "A2", "A3")[:awaits]))
    states = ["undelivered", "delivered", "delivered"]
    owed = [each for n in range(awaits) for each in claim(ledger, f"a{n + 1}", report(states[n])).owed]
    assert (owed[-1].event.event, owed[-1].event.final) == ("undelivered", True)
    assert list(result(ledger.owed(10))) == owed
    assert result(ledger.expire(9e9, keep=1.0, park=1.0, limit=10)).owed == ()
    assert list(result(ledger.owed(10))) == owed


def test_only_what_is_named_is_cleared(ledger: SqliteLedger) -> None:
    owed = accepted_of(ledger, *[record(f"m{number}") for number in range(9)])
    numbers = [each.number for each in owed]
    for cleared in ([], numbers[1:3], [numbers[4], numbers[4], numbers[6]], [numbers[8]]):
        result(ledger.clear(cleared))
    assert [each.event.id for each in result(ledger.owed(10))] == ["m0", "m3", "m5", "m7"]


def test_what_an_older_version_owed_is_paid(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    older = Database(path, SCHEMA[:2], synchronous="NORMAL", run_in_thread=at_once)
    older.open()
    rows = [(7, 1, msgspec.msgpack.encode(accepted(record())), "c1", "answers")]
    result(older.run(lambda db: db.execute("INSERT INTO message VALUES (1, 'm1', 1000, 1, ?)", (packed(),))))
    result(older.run(lambda db: db.executemany("INSERT INTO owed VALUES (?, ?, ?, ?, ?)", rows)))
    result(older.close())
    ledger = ledger_at(path)
    assert list(result(ledger.owed(10))) == [Owed(7, accepted(record()), "c1", "answers")]
    (new,) = accepted_of(ledger, record("m2"))
    assert new.number == 8
    result(ledger.stop())


def packed() -> bytes:
    return msgspec.msgpack.encode(record())


# -- receipts that come together

SOME_KEYS = st.lists(st.sampled_from(["K1", "K2", "K3", "K4", "K5", "K6"]), min_size=1, max_size=3)
SOME_RECEIPTS = st.tuples(
    st.lists(st.sampled_from(["k1", "k2", "k3", "k4", "k5", "k6", "k7"]), max_size=2, unique=True),
    st.sampled_from(["", "46700000000", "46700000001", "46700000002"]),
    st.sampled_from(["delivered", "undelivered", "buffered"]),
)


@given(st.lists(SOME_KEYS, max_size=6), st.lists(SOME_RECEIPTS, max_size=12))
@settings(max_examples=60, deadline=None)
def test_receipts_that_come_together_mean_what_they_mean_one_by_one(
    tmp_path_factory: pytest.TempPathFactory,
    messages: list[list[str]],
    words: list[tuple[list[str], str, str]],
) -> None:
    accepted = [
        Acceptance("acme", record(f"m{n}", parts=len(ids), to=f"+4670000000{n % 3}"), keys(*ids))
        for n, ids in enumerate(messages)
    ]
    came = [
        Receipt("acme", "acme", [(f"codec {key}", key) for key in found], to, report(state), 1001.0)
        for found, to, state in words
    ]
    told = []
    for groups in ([came], [[each] for each in came]):
        ledger = ledger_at(tmp_path_factory.mktemp("ledger") / "ledger.db")
        result(ledger.remember(accepted))
        claims = [claim for group in groups for claim in result(ledger.claim(group))]
        told.append((claims, list(result(ledger.owed(100)))))
        result(ledger.stop())
    assert told[0] == told[1]


def test_where_very_many_messages_have_one_id_receipts_that_come_together_find_theirs(
    ledger: SqliteLedger,
) -> None:
    accepted = [
        Acceptance("acme", record(f"m{n}", to=f"+46700000{n:03}"), keys("A1" if n > 10 else f"B{n}"))
        for n in range(300)
    ]
    result(ledger.remember(accepted))
    wanted = [("b7", "46700000007"), ("a1", ""), ("a1", "46700000290"), ("b8", "46700000008")]
    came = [Receipt("acme", "acme", [("text", key)], to, report(), 1001.0) for key, to in wanted]
    claims = result(ledger.claim(came))
    assert [[each.event.id for each in one.owed] for one in claims] == [["m7"], ["m299"], ["m290"], ["m8"]]
