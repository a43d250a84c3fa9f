"""Receipts: claimed, told, cleared, and only then answered; what is owed is paid in the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway.fakes import NOW, FakeChannel, Parts, claimed, count, result
from twisted.internet.defer import Deferred

from smsgw.broker.base import BrokerError, BrokerState, Unavailable
from smsgw.errors import StorageError
from smsgw.folding import Record, Report
from smsgw.gateway import receipts
from smsgw.gateway.receipts import SWEEP, Receipts
from smsgw.ledger.base import Acceptance, Key, Owed

KEEP, PARK = 3600.0, 60.0
DELIVERED = Report(state="delivered", smsc_id="A1", stat="DELIVRD", err="000")
UNDELIVERED = Report(state="undelivered", smsc_id="A1", stat="UNDELIV", err="001")
BUFFERED = Report(state="buffered", smsc_id="A1", stat="ENROUTE")
TOLD = ["publish smsgw.events delivered.acme", "confirmed smsgw.events delivered.acme", "clear"]


class Desk(Parts):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.ledger.start()
        self.channel = FakeChannel()
        self.receipts = Receipts(
            self.broker,
            self.ledger,
            self.events,
            metrics=self.metrics,
            clock=self.clock,
            now=self.now,
            keep=KEEP,
            park=PARK,
        )
        self.told()

    def accept(self, message_id: str = "m1", smsc_id: str = "A1", parts: int = 1) -> list[Owed]:
        record = Record(
            id=message_id,
            to="+46700000001",
            channel="acme",
            parts=parts,
            receipt="final",
            awaits=parts,
            attempt=1,
            accepted=self.now(),
            smsc_id=smsc_id,
            meta={"order": 7},
            correlation_id="c1",
            reply_to="answers",
        )
        ids = [f"{smsc_id}{n or ''}" for n in range(parts)]
        keys = [Key(number, each.lower(), each) for number, each in enumerate(ids, 1)]
        (owed,) = result(self.ledger.remember([Acceptance("acme", record, keys)]))
        result(self.ledger.clear([each.number for each in owed if each.event.event == "accepted"]))
        self.told()
        return [each for each in owed if each.event.event != "accepted"]

    def receive(self, report: Report = DELIVERED, key: str = "a1") -> Deferred[str | None]:
        answered: Deferred[str | None] = Deferred()
        self.receipts.receipt(self.channel, [("text", key)], "46700000001", report, answered.callback)
        self.clock.advance(0)
        return answered

    def owed(self) -> list[str]:
        return [owed.event.event for owed in result(self.ledger.owed(100))]

    def sweep(self) -> None:
        self.clock.advance(SWEEP)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.receipts.stop()
    result(made.ledger.stop())


# -- one receipt


def test_a_receipt_is_claimed_told_cleared_and_then_answered(desk: Desk) -> None:
    desk.accept()
    assert result(desk.receive()) == "text"
    story = desk.told()
    publishes = ["publish smsgw.events delivered.acme", "publish  answers"]
    assert story == [
        "claim",
        *publishes,
        *(each.replace("publish", "confirmed") for each in publishes),
        "clear",
    ]
    assert desk.owed() == []
    event = desk.broker.published[0].json
    assert (event["event"], event["id"], event["stat"], event["err"]) == ("delivered", "m1", "DELIVRD", "000")
    assert (event["final"], event["meta"]) == (True, {"order": 7})
    assert [each.key for each in desk.broker.published] == ["delivered.acme", "answers"]
    assert {each.properties.correlation_id for each in desk.broker.published} == {"c1"}
    assert count(desk.metrics.receipts, "acme", "matched") == 1


def test_the_answer_waits_for_the_confirm(desk: Desk) -> None:
    desk.accept()
    desk.broker.held = True
    answered: list[str | None] = []
    desk.receive().addCallback(answered.append)
    assert answered == []
    desk.broker.confirm()  # the event's, and that of the answer queue's copy
    assert answered == ["text"]


def test_while_the_ledger_claims_one_group_the_next_gathers(desk: Desk) -> None:
    for number in range(4):
        desk.accept(f"m{number}", f"A{number}")
    desk.ledger.held = []
    answered: list[str | None] = []
    for number in (0, 1, 2, 3, 1):
        desk.receive(key=f"a{number}").addCallback(answered.append)
    assert desk.told() == ["claim"]
    desk.ledger.proceed()
    assert desk.told().count("claim") == 1
    assert answered == ["text"] * 5
    assert sorted(event["id"] for event in desk.broker.events()) == ["m0", "m1", "m2", "m3"]
    assert desk.owed() == []


@pytest.mark.parametrize("remembered", [True, False])
def test_receipts_wait_a_little_for_messages_to_be_remembered(desk: Desk, remembered: bool) -> None:
    """Else one that follows its response at once would be parked, and found again."""
    desk.accept()
    settled: Deferred[None] = Deferred()
    desk.receipts.settled = lambda: settled
    answered = desk.receive()
    assert desk.told() == []
    if remembered:
        settled.callback(None)
    else:
        desk.clock.advance(receipts.PATIENCE)
    assert desk.told()[0] == "claim"
    assert result(answered) == "text"
    assert desk.clock.getDelayedCalls() == []


def test_a_receipt_waits_for_the_messages_before_it_whenever_it_comes(desk: Desk) -> None:
    desk.accept()
    asked: list[Deferred[None]] = []

    def settled() -> Deferred[None]:
        asked.append(Deferred())
        return asked[-1]

    desk.receipts.settled = settled
    first, second = desk.receive(), desk.receive(key="a2")  # of a message that comes after the first question
    asked[0].callback(None)
    assert (result(first), second.called, len(asked)) == ("text", False, 2)
    desk.accept("m2", "A2")
    asked[1].callback(None)
    assert result(second) == "text"


def test_of_several_receipts_only_the_culprit_fails(desk: Desk) -> None:
    """An event that can't be told fails its receipt; the others are answered."""
    for number in range(3):
        desk.accept(f"m{number}", f"A{number}")
    desk.ledger.held = []
    desk.broker.broken = lambda exchange, key: (
        ZeroDivisionError("ours") if key == "undelivered.acme" else None
    )
    answered: list[object] = []
    for number, word in enumerate([DELIVERED, UNDELIVERED, DELIVERED]):
        desk.receive(word, key=f"a{number}").addBoth(answered.append)
    desk.ledger.proceed()
    assert answered.count("text") == 2
    (failure,) = [each for each in answered if each != "text"]
    assert failure.check(ZeroDivisionError)  # type: ignore[attr-defined]
    assert desk.owed() == ["undelivered"]


def test_an_answer_that_can_not_be_given_does_not_take_the_others_along(desk: Desk) -> None:
    answered: list[object] = []

    def broken(codec: object) -> None:
        raise ZeroDivisionError("ours")

    for number, hear in enumerate([answered.append, broken, answered.append]):
        desk.accept(f"m{number}", f"A{number}")
        desk.receipts.receipt(desk.channel, [("text", f"a{number}")], "46700000001", DELIVERED, hear)
    desk.clock.advance(0)
    assert answered == ["text", "text"]
    assert desk.owed() == []
    assert count(desk.metrics.errors, "receipts") == 1


def test_a_receipt_that_nobody_knows_is_parked_and_answered(desk: Desk) -> None:
    assert result(desk.receive()) is None
    assert desk.told() == ["claim"]
    assert count(desk.metrics.receipts, "acme", "parked") == 1


def test_a_buffered_receipt_is_told_and_changes_nothing(desk: Desk) -> None:
    desk.accept()
    result(desk.receive(BUFFERED))
    result(desk.receive())
    kinds = [event["event"] for event in desk.broker.events()]
    assert kinds == ["buffered", "delivered"]
    assert [event["final"] for event in desk.broker.events()] == [False, True]


def test_a_repeated_receipt_is_answered_and_told_once(desk: Desk) -> None:
    desk.accept()
    assert [result(desk.receive()), result(desk.receive())] == ["text", "text"]
    assert len(desk.broker.events()) == 1


def test_of_two_parts_the_last_receipt_is_told(desk: Desk) -> None:
    desk.accept(parts=2)
    result(desk.receive())
    assert desk.broker.events() == []
    result(desk.receive(Report(state="undelivered", smsc_id="A11", stat="EXPIRED"), key="a11"))
    assert [(event["event"], event["stat"]) for event in desk.broker.events()] == [("undelivered", "EXPIRED")]


# -- what fails


def test_a_broker_outage_fails_the_receipt_and_keeps_the_event_owed(desk: Desk) -> None:
    desk.accept()
    desk.broker.broken = lambda exchange, key: Unavailable("gone")
    with pytest.raises(BrokerError):
        result(desk.receive())
    assert desk.owed() == ["delivered"]
    desk.broker.broken = lambda exchange, key: None
    assert result(desk.receive()) == "text"  # the message centre sends it again
    assert desk.owed() == []
    assert [event["event_id"] for event in desk.broker.events()] == ["m1/delivered"]


def test_a_ledger_that_fails_fails_the_receipt(desk: Desk) -> None:
    desk.accept()
    desk.ledger.broken = {"claim"}
    with pytest.raises(StorageError):
        result(desk.receive())
    assert desk.broker.published == []


def test_an_event_that_could_not_be_cleared_is_told_again_under_the_same_id(desk: Desk) -> None:
    desk.accept()
    desk.ledger.broken = {"clear"}
    with pytest.raises(StorageError):
        result(desk.receive())
    desk.ledger.broken = set()
    result(desk.receive())
    assert [event["event_id"] for event in desk.broker.events()] == ["m1/delivered"] * 2
    assert desk.owed() == []


# -- what is owed


def test_a_sweep_pays_what_a_crash_left(desk: Desk) -> None:
    desk.accept()
    result(claimed(desk.ledger, "acme", "acme", [("text", "a1")], "46700000001", DELIVERED, NOW))
    assert desk.owed() == ["delivered"]
    desk.receipts.start()
    assert desk.owed() == []
    assert [event["event"] for event in desk.broker.events()] == ["delivered"]


def test_a_sweep_waits_for_the_broker(desk: Desk) -> None:
    desk.accept()
    result(claimed(desk.ledger, "acme", "acme", [("text", "a1")], "46700000001", DELIVERED, NOW))
    desk.broker.state = BrokerState("down", NOW)
    desk.receipts.start()
    desk.told()
    desk.sweep()
    assert desk.told() == []
    desk.broker.state = BrokerState("up", NOW)
    desk.sweep()
    assert desk.owed() == []


def test_what_a_sweep_could_not_pay_the_next_does(desk: Desk) -> None:
    desk.accept()
    result(claimed(desk.ledger, "acme", "acme", [("text", "a1")], "46700000001", DELIVERED, NOW))
    desk.broker.broken = lambda exchange, key: Unavailable("gone")
    desk.receipts.start()
    assert desk.owed() == ["delivered"]
    desk.broker.broken = lambda exchange, key: None
    desk.sweep()
    assert desk.owed() == []


def test_a_sweep_leaves_alone_what_is_being_paid(desk: Desk) -> None:
    desk.accept()
    desk.broker.held = True
    desk.receive()
    desk.told()
    desk.receipts.start()
    desk.sweep()
    assert desk.told() == []


def test_a_sweep_pays_in_steps_until_nothing_is_left(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "STEP", 2)
    for number in range(5):
        desk.accept(f"m{number}", f"A{number}")
        key = [("text", f"a{number}")]
        result(claimed(desk.ledger, "acme", "acme", key, "46700000001", DELIVERED, NOW))
    desk.receipts.start()
    assert desk.owed() == []
    assert [event["id"] for event in desk.broker.events()] == [f"m{number}" for number in range(5)]


def test_a_sweep_that_cannot_pay_does_not_try_on_and_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "STEP", 2)
    for number in range(5):
        desk.accept(f"m{number}", f"A{number}")
        key = [("text", f"a{number}")]
        result(claimed(desk.ledger, "acme", "acme", key, "46700000001", DELIVERED, NOW))
    desk.told()
    desk.broker.broken = lambda exchange, key: Unavailable("gone")
    desk.receipts.start()
    assert desk.told() == ["publish smsgw.events delivered.acme"] * 2 + ["publish  answers"] * 2


def test_paying_for_an_early_receipt(desk: Desk) -> None:
    result(desk.receive())
    owed = desk.accept()
    assert [each.event.event for each in owed] == ["delivered"]
    desk.receipts.pay(owed)
    assert desk.owed() == []
    assert [event["event"] for event in desk.broker.events()] == ["delivered"]


def test_what_pay_could_not_pay_stays_owed_without_a_word(desk: Desk) -> None:
    result(desk.receive())
    owed = desk.accept()
    desk.broker.broken = lambda exchange, key: Unavailable("gone")
    desk.receipts.pay(owed)
    assert desk.owed() == ["delivered"]
    assert count(desk.metrics.errors, "receipts") == 0
    desk.broker.broken = lambda exchange, key: None
    desk.receipts.start()
    assert desk.owed() == []


def test_an_unexpected_failure_to_pay_is_counted_and_stays_owed(desk: Desk) -> None:
    result(desk.receive())
    owed = desk.accept()
    desk.broker.broken = lambda exchange, key: ZeroDivisionError("ours")
    desk.receipts.pay(owed)
    assert count(desk.metrics.errors, "receipts") == 1
    desk.receipts.start()
    assert count(desk.metrics.errors, "receipts") == 2
    assert desk.owed() == ["delivered"]


# -- what is too old


def test_a_parked_receipt_becomes_an_orphan(desk: Desk) -> None:
    result(desk.receive())
    desk.receipts.start()
    desk.clock.advance(PARK - 1)
    assert desk.broker.events() == []
    desk.clock.advance(SWEEP)
    (event,) = desk.broker.events()
    assert (event["event"], event["id"], event["smsc_id"], event["to"]) == ("orphan", "", "A1", "46700000001")
    assert not event["final"]
    assert count(desk.metrics.receipts, "", "orphan") == 1


def test_a_message_without_its_receipt_ends_unknown(desk: Desk) -> None:
    desk.accept()
    desk.receipts.start()
    desk.clock.advance(KEEP + SWEEP)
    (event,) = desk.broker.events()
    assert (event["event"], event["error"], event["final"]) == ("unknown", "no receipt", True)
    assert result(desk.ledger.recall("m1")) is None
    desk.sweep()
    assert len(desk.broker.events()) == 1


def test_a_ledger_that_cannot_sweep_is_swept_later(desk: Desk) -> None:
    result(desk.receive())
    desk.ledger.broken = {"expire"}
    desk.receipts.start()
    desk.clock.advance(PARK + SWEEP)
    assert desk.broker.events() == []
    desk.ledger.broken = set()
    desk.sweep()
    assert [event["event"] for event in desk.broker.events()] == ["orphan"]


def test_after_stop_nothing_is_swept(desk: Desk) -> None:
    desk.receipts.start()
    desk.receipts.stop()
    desk.receipts.stop()
    assert desk.clock.getDelayedCalls() == []
