"""The straight line of a message: what is durable before what, and what is settled how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway.fakes import NOW, FakeChannel, FakeDelivery, FakeSession, Parts, claimed, count, message, result
from twisted.internet.defer import CancelledError, Deferred

from smsgw.broker.base import Properties, QueueFull, Unavailable
from smsgw.folding import Report
from smsgw.gateway import outgoing, settling
from smsgw.gateway.durable import AGAIN, ATTEMPT, DEADLINE, HOME, PAUSE, PROGRESS, QUEUE, REASON
from smsgw.gateway.outgoing import ENDED, Outgoing
from smsgw.gateway.receipts import Receipts
from smsgw.ledger.base import Owed
from smsgw.message import Submission, decode
from smsgw.outcome import (
    Accepted,
    Expired,
    Later,
    Outcome,
    Part,
    Progress,
    Refused,
    Status,
    Unknown,
    Unsent,
)
from smsgw.strict import Duration

OK = Accepted((Part("A1"),), Status(0, "ESME_ROK"))
TOLD = ["publish smsgw.events accepted.acme", "confirmed smsgw.events accepted.acme"]
ACCEPTED = ["remember", *TOLD, "clear", "ack"]
"""Where the broker confirms at once; else the acknowledgement comes first."""


class Line(Parts):
    """An Outgoing with one session."""

    def __init__(self, path: Path, dedupe: Any = "redelivered", **channel: Any) -> None:
        super().__init__(path)
        self.ledger.start()
        self.paid: list[Owed] = []
        self.receipts = Receipts(
            self.broker,
            self.ledger,
            self.events,
            metrics=self.metrics,
            clock=self.clock,
            now=self.now,
            keep=1000.0,
            park=100.0,
        )
        self.channel = FakeChannel(**channel)
        self.session = FakeSession(self.channel, self.story)
        self.session.end_turn = lambda: self.clock.advance(0)
        self.outgoing = Outgoing(
            self.broker,
            self.ledger,
            self.durable,
            metrics=self.metrics,
            clock=self.clock,
            pay=self.pay,
            dedupe=dedupe,
        )
        self.outgoing.opened(self.session)
        self.consumer = self.broker.consumers[0]
        self.told()

    def pay(self, owed: Sequence[Owed]) -> Deferred[bool]:
        """All is paid; `paid` has what is owed because of receipts."""
        self.paid += [each for each in owed if each.event.event != "accepted"]
        return self.receipts.pay(owed)

    def take(
        self,
        outcome: Outcome | None = None,
        body: bytes = message(),
        *,
        redelivered: bool = False,
        **properties: Any,
    ) -> FakeDelivery:
        """Deliver one message, of which the session says `outcome`; None: it does not answer yet."""
        if outcome is not None:
            self.session.answer = lambda _: outcome
        delivery = FakeDelivery(
            self.story,
            body,
            Properties(**{"message_id": "m1", **properties}),
            queue="smsgw.submit.nordic",
            redelivered=redelivered,
        )
        return self.consumer.deliver(delivery)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    made = Line(tmp_path)
    yield made
    result(made.ledger.stop())


# -- consuming


def test_an_open_session_consumes_its_queue_with_its_width(line: Line) -> None:
    assert (line.consumer.queue, line.consumer.width) == ("smsgw.submit.nordic", 10)


def test_the_submission_has_what_the_properties_say(line: Line) -> None:
    line.take(
        correlation_id="c1",
        priority=3,
        timestamp=int(NOW) - 60,
        headers={ATTEMPT: 2, DEADLINE: 1_800_000_000_500},
    )
    (sent,) = line.session.sent
    assert (sent.id, sent.correlation_id, sent.priority) == ("m1", "c1", 3)
    assert (sent.made, sent.attempt, sent.deadline) == (NOW - 60, 2, 1_800_000_000.5)


@pytest.mark.parametrize("odd", [{ATTEMPT: "two"}, {ATTEMPT: 0}, {ATTEMPT: -3}, {DEADLINE: "soon"}])
def test_headers_that_are_not_ours_are_ignored(line: Line, odd: dict[str, Any]) -> None:
    line.take(headers=odd)
    assert (line.session.sent[0].attempt, line.session.sent[0].deadline) == (1, None)


# -- the table: accepted


def test_accepted_is_remembered_then_told_then_acknowledged(line: Line) -> None:
    line.take(OK)
    assert line.told() == ["send", *ACCEPTED]
    (event,) = line.broker.events()
    assert event["event"] == "accepted"
    assert (event["id"], event["event_id"], event["channel"]) == ("m1", "m1/accepted", "acme")
    assert (event["to"], event["smsc_id"], event["parts"]) == ("+46700000001", "A1", 1)
    assert not event["final"]


def test_each_step_waits_for_the_one_before(line: Line) -> None:
    line.ledger.held = []
    line.broker.held = True
    line.take(OK)
    assert line.told() == ["send", "remember"]
    line.ledger.proceed()
    assert line.told() == ["publish smsgw.events accepted.acme", "ack"]  # it is owed, and can't be lost
    line.broker.confirm()
    assert line.told() == ["confirmed smsgw.events accepted.acme", "clear"]


@pytest.mark.parametrize(("wanted", "final"), [("none", True), ("final", False), ("all", False)])
def test_without_receipts_accepted_is_the_last_word(line: Line, wanted: str, final: bool) -> None:
    line.take(OK, message(receipt=wanted))
    assert line.broker.events()[0]["final"] is final


def test_a_channel_without_receipts_has_the_last_word_too(tmp_path: Path) -> None:
    line = Line(tmp_path, receipts=False)
    line.take(OK, message(receipt="all"))
    assert line.broker.events()[0]["final"] is True


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_message_that_was_given_no_id_takes_nobodys_receipt(line: Line, blank: str) -> None:
    line.take(Accepted((Part(blank),)))
    word = Report(state="delivered", smsc_id="0", stat="DELIVRD")
    for key in (blank, "", "0"):
        assert result(claimed(line.ledger, "acme", "acme", [("text", key)], "", word, NOW)).codec is None


def test_an_event_carries_what_the_producer_gave(line: Line) -> None:
    line.take(OK, message(meta={"order": 7}), correlation_id="c1", reply_to="answers")
    assert line.broker.events()[0]["meta"] == {"order": 7}
    assert [(each.exchange, each.key) for each in line.broker.published] == [
        ("smsgw.events", "accepted.acme"),
        ("", "answers"),
    ]
    assert {each.properties.correlation_id for each in line.broker.published} == {"c1"}
    assert {each.properties.message_id for each in line.broker.published} == {"m1/accepted"}
    assert len({each.body for each in line.broker.published}) == 1


def test_a_receipt_that_came_early_is_paid_once_the_message_is_told(line: Line) -> None:
    report = Report(state="delivered", smsc_id="A1", stat="DELIVRD")
    result(claimed(line.ledger, "acme", "acme", [("text", "a1")], "46700000001", report, NOW))
    line.take(OK)
    assert [owed.event.event for owed in line.paid] == ["delivered"]


# -- the table: all other outcomes

REJECTED = ["publish smsgw.events rejected.acme", "confirmed smsgw.events rejected.acme", "ack"]
RETRIED = [
    "publish smsgw.events retrying.acme",
    "confirmed smsgw.events retrying.acme",
    "publish smsgw.retry.10 nordic",
    "confirmed smsgw.retry.10 nordic",
    "ack",
]
EXPIRED = ["publish smsgw.events expired.acme", "confirmed smsgw.events expired.acme", "ack"]
UNKNOWN = ["publish smsgw.events unknown.acme", "confirmed smsgw.events unknown.acme", "ack"]


@pytest.mark.parametrize(
    ("outcome", "retry", "story"),
    [
        (Refused("no such number"), "normal", REJECTED),
        (Refused("no such number"), "never", REJECTED),
        (Expired(), "normal", EXPIRED),
        (Expired(), "never", EXPIRED),
        (Later("busy"), "normal", RETRIED),
        (Later("busy"), "never", RETRIED),
        (Unknown("no response in time"), "normal", RETRIED),
        (Unknown("no response in time"), "never", UNKNOWN),
        (Unknown("link lost", link_lost=True), "normal", ["nack"]),
        (Unknown("link lost", link_lost=True), "never", UNKNOWN),
        (Unsent("stopping"), "normal", ["nack"]),
        (Unsent("stopping"), "never", ["nack"]),
    ],
)
def test_the_table_of_outcomes(line: Line, outcome: Outcome, retry: str, story: list[str]) -> None:
    line.take(outcome, message(retry=retry))
    assert line.told() == ["send", *story]
    assert count(line.metrics.outcomes, "acme", type(outcome).__name__.lower()) == 1


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (
            Refused("bad", Status(0x0B, "ESME_RINVDSTADR")),
            {"event": "rejected", "error": "bad", "final": True},
        ),
        (Expired(), {"event": "expired", "error": "deadline passed", "final": True}),
        (Later("busy", Status(8, "ESME_RSYSERR")), {"event": "retrying", "delay": 10.0, "final": False}),
        (Unknown("silence"), {"event": "retrying", "error": "silence", "final": False}),
    ],
)
def test_what_the_producer_hears(line: Line, outcome: Outcome, expected: dict[str, Any]) -> None:
    line.take(outcome, message(meta={"order": 7}))
    (event,) = line.broker.events()
    assert event == event | expected
    assert (event["id"], event["to"], event["meta"], event["attempt"]) == (
        "m1",
        "+46700000001",
        {"order": 7},
        1,
    )
    status = getattr(outcome, "status", None)
    assert event.get("status") == (status and {"code": status.code, "name": status.name})


# -- another attempt


def retried(line: Line, exchange: str = "smsgw.retry.10") -> Properties:
    (found,) = [each for each in line.broker.published if each.exchange == exchange]
    return found.properties


def test_a_retry_keeps_the_message_as_it_was(line: Line) -> None:
    body = message(deadline=3600)
    line.take(
        Later("busy"),
        body,
        correlation_id="c1",
        reply_to="answers",
        priority=3,
        timestamp=int(NOW) - 60,
        expiration="5000",
        headers={
            "tenant": "shop",
            "x-death": [{"count": 1}],
            "x-first-death-queue": "q",
            "x-last-death-reason": "expired",
        },
    )
    properties = retried(line)
    assert properties.headers == {
        "tenant": "shop",
        ATTEMPT: 2,
        DEADLINE: round((NOW - 60 + 3600) * 1000),
        REASON: "busy",
        QUEUE: "smsgw.submit.nordic",
    }
    assert (properties.message_id, properties.timestamp) == ("m1", int(NOW) - 60)
    assert (properties.priority, properties.correlation_id, properties.reply_to) == (3, "c1", "answers")
    assert properties.expiration is None
    assert [each.body for each in line.broker.published if each.key == "nordic"] == [body]


def test_a_retry_to_a_queue_that_can_be_full_comes_back_by_way_of_the_router(line: Line) -> None:
    """Straight from the delay queue a full queue would lose it."""
    line.outgoing.limited = {"nordic"}
    line.take(Later("busy"))
    (published,) = [each for each in line.broker.published if each.exchange == "smsgw.retry.10"]
    assert published.key == "route"
    assert published.properties.headers[HOME] == "nordic"


def test_a_message_without_an_id_keeps_the_one_it_was_given(line: Line) -> None:
    line.take(Later("busy"), message_id=None)
    assert retried(line).message_id == line.session.sent[0].id == line.broker.events()[0]["id"]


@pytest.mark.parametrize(
    ("attempt", "exchange", "delay"), [(1, "smsgw.retry.10", 10.0), (2, "smsgw.retry.60", 60.0)]
)
def test_each_attempt_has_its_step(line: Line, attempt: int, exchange: str, delay: float) -> None:
    line.take(Later("busy"), headers={ATTEMPT: attempt})
    assert retried(line, exchange).headers[ATTEMPT] == attempt + 1
    (event,) = line.broker.events()
    assert (event["delay"], event["attempt"]) == (delay, attempt)
    assert event["event_id"] == f"m1/retrying/attempt{attempt}"


def test_steps_as_the_configuration_has_them(tmp_path: Path) -> None:
    line = Line(tmp_path, retry=(Duration(0.5),))
    line.take(Later("busy"))
    assert line.told()[-3:] == ["publish smsgw.retry.0.5 nordic", "confirmed smsgw.retry.0.5 nordic", "ack"]
    assert line.broker.events()[0]["delay"] == 0.5


@pytest.mark.parametrize(
    ("outcome", "end", "error"),
    [(Later("busy"), "rejected", "busy"), (Unknown("no response in time"), "unknown", "no response in time")],
)
def test_after_the_last_attempt_a_message_is_dead(line: Line, outcome: Outcome, end: str, error: str) -> None:
    """What may have been taken is not called rejected."""
    line.take(outcome, headers={ATTEMPT: 3, "x-death": []})
    assert line.told() == [
        "recall",
        "send",
        "recall",
        "publish smsgw.dead",
        "confirmed smsgw.dead",
        f"publish smsgw.events {end}.acme",
        f"confirmed smsgw.events {end}.acme",
        "ack",
    ]
    dead = line.broker.published[0]
    assert dead.body == message()
    assert dead.properties.headers == {ATTEMPT: 3, REASON: error, QUEUE: "smsgw.submit.nordic"}
    assert line.broker.events()[0] | {"final": True, "error": error} == line.broker.events()[0]
    assert count(line.metrics.dead, "attempts") == 1


@pytest.mark.parametrize(
    ("budget", "attempt", "kinds"),
    [
        (2, 1, ["retrying"]),
        (2, 2, ["rejected"]),
        (2, 3, ["rejected"]),
        (9, 2, ["retrying"]),
        (9, 3, ["rejected"]),
    ],
)
def test_some_answers_are_worth_fewer_attempts(
    line: Line, budget: int, attempt: int, kinds: list[str]
) -> None:
    line.take(Later("0x00000437", budget=budget), headers={ATTEMPT: attempt})
    assert [event["event"] for event in line.broker.events()] == kinds


@pytest.mark.parametrize(("outcome", "end"), [(Later("busy"), "expired"), (Unknown("silence"), "unknown")])
def test_a_retry_after_the_deadline_is_none(line: Line, outcome: Outcome, end: str) -> None:
    line.take(outcome, message(deadline=10))
    assert [event["event"] for event in line.broker.events()] == [end]
    assert line.told()[-1] == "ack"


# -- an answer that comes after its timeout


def asked(**fields: Any) -> Submission:
    return decode(message(**fields), now=NOW, message_id="m1")


def test_a_late_answer_stops_the_next_attempt(line: Line) -> None:
    line.take(Unknown("no response in time"))
    result(line.outgoing.taken_late(line.channel, line.session.sent[0], OK))
    assert line.told()[-4:] == ["remember", *TOLD, "clear"]
    line.take(OK, headers=retried(line).headers)
    assert line.told() == ["recall", *TOLD, "ack"]
    assert [event["event"] for event in line.broker.events()] == ["retrying", "accepted", "accepted"]


def test_what_a_late_answer_says_of_a_part_is_where_the_next_attempt_goes_on(line: Line) -> None:
    line.take(Unknown("no response in time", on_air=3, progress=Progress("acme", 7, 3, 1234, ("A1",))))
    late = Later("answered late", on_air=3, progress=HALFWAY)
    result(line.outgoing.taken_late(line.channel, line.session.sent[0], late))
    line.take(WHOLE, headers=retried(line).headers)
    assert line.session.sent[1].progress == HALFWAY


def test_receipts_that_came_before_a_late_answer_count(line: Line) -> None:
    def receipt(smsc_id: str) -> list[str]:
        word = Report(state="delivered", smsc_id=smsc_id, stat="DELIVRD")
        found = result(claimed(line.ledger, "acme", "acme", [("text", smsc_id.lower())], "", word, NOW))
        return [each.event.event for each in found.owed]

    line.take(Unknown("no response in time", on_air=3, progress=Progress("acme", 7, 3, 1234, ("A1",))))
    assert receipt("A1") == []
    late = Later("answered late", on_air=3, progress=HALFWAY)
    result(line.outgoing.taken_late(line.channel, line.session.sent[0], late))
    line.take(WHOLE, headers=retried(line).headers)
    assert [receipt("A2"), receipt("A3")] == [[], ["delivered"]]


@pytest.mark.parametrize(("fields", "attempt"), [({"retry": "never"}, 1), ({"deadline": 9}, 1), ({}, 3)])
def test_a_late_answer_is_of_no_use_to_a_message_that_has_ended(
    line: Line, fields: dict[str, Any], attempt: int
) -> None:
    """Its receipt would be a second final event."""
    submission = msgspec.structs.replace(asked(**fields), attempt=attempt)
    result(line.outgoing.taken_late(line.channel, submission, OK))
    assert line.told() == []


def test_a_late_answer_to_a_message_that_was_sent_again_changes_nothing(line: Line) -> None:
    line.take(Unknown("no response in time"))
    line.take(Accepted((Part("B1"),)), headers=retried(line).headers)
    result(line.outgoing.taken_late(line.channel, line.session.sent[0], OK))
    found = result(line.ledger.recall("m1"))
    assert found is not None
    assert found.record.smsc_id == "B1"


LAST = 3  # attempts that FakeChannel makes


@pytest.mark.parametrize(
    ("attempt", "outcome"),
    [(2, Refused("no")), (2, Expired()), (LAST, Later("busy")), (LAST, Unknown("none"))],
)
def test_a_message_has_one_last_word_whenever_a_late_answer_comes(
    line: Line, attempt: int, outcome: Outcome
) -> None:
    """While the last attempt is out, the earlier one's acceptance counts; after its end, nothing."""
    for message_id, late in (("m1", "during"), ("m2", "after")):
        first = msgspec.structs.replace(asked(), id=message_id)
        answer: Deferred[Outcome] = Deferred()
        line.session.answer = lambda _, answer=answer: answer
        line.take(message_id=message_id, headers={ATTEMPT: attempt})
        if late == "during":
            result(line.outgoing.taken_late(line.channel, first, OK))
        answer.callback(outcome)
        result(line.outgoing.taken_late(line.channel, first, OK))
        known = result(line.ledger.recall(message_id))
        assert (known is not None) == (late == "during")
    said = {event["id"]: event["event"] for event in line.broker.events()}
    assert said["m1"] == "accepted"
    assert said["m2"] in {"rejected", "expired", "unknown"}
    assert [
        each.properties.message_id for each in line.broker.published if each.exchange == "smsgw.dead"
    ] == (["m2"] if attempt == LAST else [])


def test_only_so_many_ends_are_remembered(line: Line) -> None:
    line.outgoing._ended.update((str(number), None) for number in range(ENDED))
    line.take(Refused("no"), headers={ATTEMPT: 2})
    assert len(line.outgoing._ended) == ENDED
    assert "m1" in line.outgoing._ended


@pytest.mark.parametrize(("broken", "errors"), [({"recall"}, 0), (set(), 1)])
def test_a_late_answer_that_can_not_be_kept_is_as_none(line: Line, broken: set[str], errors: int) -> None:
    line.ledger.broken = broken
    odd = OK if broken else Accepted(())
    assert result(line.outgoing.taken_late(line.channel, asked(), odd)) is None
    assert count(line.metrics.errors, "outgoing") == errors


# -- a producer that publishes an id twice


@pytest.fixture
def careful(tmp_path: Path) -> Iterator[Line]:
    (tmp_path / "careful").mkdir()
    made = Line(tmp_path / "careful", dedupe="always")
    yield made
    result(made.ledger.stop())


def test_a_repeated_id_is_sent_again_unless_it_is_asked_for(line: Line, careful: Line) -> None:
    for each, times in ((line, 2), (careful, 1)):
        each.take(OK)
        each.take(OK)
        assert len(each.session.sent) == times


def test_the_events_of_a_repeated_id_are_repeated_the_final_one_too(careful: Line) -> None:
    careful.take(OK)
    word = Report(state="delivered", smsc_id="A1", stat="DELIVRD")
    (owed,) = result(claimed(careful.ledger, "acme", "acme", [("text", "a1")], "46700000001", word, NOW)).owed
    result(careful.ledger.clear([owed.number]))
    careful.take(OK, reply_to="answers")
    told = [event["event_id"] for event in careful.broker.events()]
    assert told == ["m1/accepted", "m1/accepted", owed.event.event_id]
    assert [each.key for each in careful.broker.published if not each.exchange] == ["answers", "answers"]


def test_a_repeat_waits_for_the_first_to_end(careful: Line) -> None:
    answers: dict[str, Deferred[Outcome]] = {"m1": Deferred(), "m2": Deferred()}
    careful.session.answer = lambda submission: answers[submission.id]
    first, second = careful.take(), careful.take()
    other = careful.take(message_id="m2")
    assert [sent.id for sent in careful.session.sent] == ["m1", "m2"]
    answers["m1"].callback(OK)
    careful.clock.advance(PAUSE)
    assert (first.settled, second.settled) == ("ack", "ack")
    assert [sent.id for sent in careful.session.sent] == ["m1", "m2"]
    assert other.settled is None


def test_messages_without_an_id_are_never_repeats(careful: Line) -> None:
    careful.take(OK, message_id=None)
    careful.take(OK, message_id=None)
    assert len(careful.session.sent) == 2


# -- a long message that is broken off

HALFWAY = Progress("acme", 7, 3, 1234, ("A1", "A2"))
WHOLE = Accepted((Part("A1"), Part("A2"), Part("A3")), Status(0, "ESME_ROK"), on_air=3)


@pytest.mark.parametrize(
    ("outcome", "story"),
    [
        (Refused("no", on_air=3, progress=HALFWAY), REJECTED),
        (Expired(on_air=3, progress=HALFWAY), EXPIRED),
        (Later("busy", on_air=3, progress=HALFWAY), RETRIED),
        (Unknown("link lost", link_lost=True, on_air=3, progress=HALFWAY), ["nack"]),
        (Unsent("stopping", on_air=3, progress=HALFWAY), ["nack"]),
    ],
)
def test_what_was_taken_is_remembered_first(line: Line, outcome: Outcome, story: list[str]) -> None:
    line.take(outcome)
    assert line.told() == ["send", "remember", *story]
    assert {event["parts"] for event in line.broker.events()} <= {3}


def test_a_redelivery_goes_on_behind_what_was_taken(line: Line) -> None:
    line.take(Unsent("stopping", on_air=3, progress=HALFWAY))
    line.take(WHOLE, redelivered=True)
    assert [sent.progress for sent in line.session.sent] == [None, HALFWAY]
    (event,) = line.broker.events()
    assert (event["event"], event["parts"]) == ("accepted", 3)
    reports = [
        result(
            claimed(
                line.ledger,
                "acme",
                "acme",
                [("text", f"a{number}")],
                "46700000001",
                Report(state="delivered", smsc_id=f"A{number}", stat="DELIVRD"),
                NOW,
            )
        ).owed
        for number in (1, 2, 3)
    ]
    assert [len(owed) for owed in reports] == [0, 0, 1]


def test_a_retry_carries_what_was_taken_to_whoever_gets_it(tmp_path: Path) -> None:
    """Another gateway of the queue may have another ledger."""
    (tmp_path / "other").mkdir()
    first, second = Line(tmp_path), Line(tmp_path / "other")
    first.take(Later("busy", on_air=3, progress=HALFWAY))
    second.take(WHOLE, headers=retried(first).headers)
    assert second.session.sent[0].progress == HALFWAY


def test_a_retry_of_which_nothing_is_taken_carries_nothing(line: Line) -> None:
    line.take(Later("busy"), headers={PROGRESS: "{}"})
    assert PROGRESS not in retried(line).headers


@pytest.mark.parametrize("odd", ["{}", "no JSON", 7, None, '{"account": 1}'])
def test_progress_that_is_not_ours_is_none(line: Line, odd: object) -> None:
    line.take(OK, headers={PROGRESS: odd})
    assert line.session.sent[0].progress is None


def test_a_message_without_an_id_takes_along_the_one_it_was_given(line: Line) -> None:
    line.take(Unsent("stopping", on_air=3, progress=HALFWAY), message_id=None)
    assert line.told() == [
        "send",
        "remember",
        "publish smsgw.submit nordic",
        "confirmed smsgw.submit nordic",
        "ack",
    ]
    (published,) = line.broker.published
    assert published.properties.message_id == line.session.sent[0].id
    line.take(WHOLE, message_id=published.properties.message_id, headers=published.properties.headers)
    assert (line.session.sent[1].progress, line.session.sent[1].attempt) == (HALFWAY, 1)


def test_a_link_that_breaks_again_and_again_costs_attempts(line: Line) -> None:
    """Or a message that breaks every link would go round for ever."""
    line.take(Unknown("link lost", link_lost=True), redelivered=True)
    assert line.told() == ["recall", "send", *RETRIED]


@pytest.mark.parametrize("transliterated", [0, 2])
def test_what_was_replaced_is_told(line: Line, transliterated: int) -> None:
    line.take(Accepted((Part("A1"),), transliterated=transliterated))
    assert line.broker.events()[0].get("transliterated", 0) == transliterated


# -- what came before


def test_a_first_delivery_asks_no_ledger(line: Line) -> None:
    line.take(OK)
    assert "recall" not in line.told()


@pytest.mark.parametrize("again", [{"redelivered": True}, {"headers": {ATTEMPT: 2}}, {"headers": {AGAIN: 1}}])
def test_what_was_accepted_is_not_sent_again_but_told_again(line: Line, again: dict[str, Any]) -> None:
    line.take(OK, message(meta={"order": 7}))
    line.told()
    line.take(OK, message(meta={"order": 7}), **again)
    assert line.told() == ["recall", *TOLD, "ack"]
    first, second = line.broker.events()
    assert first == second
    assert len(line.session.sent) == 1
    assert count(line.metrics.redelivered, "acme") == 1


def test_a_redelivered_message_that_was_not_accepted_is_sent(line: Line) -> None:
    line.take(OK, redelivered=True)
    assert line.told() == ["recall", "send", *ACCEPTED]


def test_a_message_without_an_id_cannot_be_known(line: Line) -> None:
    line.take(OK, message_id=None, redelivered=True)
    assert "recall" not in line.told()


# -- what the broker takes back and hands out again, while the session still waits for the answer


def taken_back(line: Line) -> None:
    """The connection to the broker was lost: nothing that is out counts any more."""
    for delivery in line.consumer.out:
        delivery.stale = True
    line.consumer.out.clear()


def test_what_comes_again_while_it_is_under_way_waits_for_the_answer(line: Line) -> None:
    answer: Deferred[Outcome] = Deferred()
    line.session.answer = lambda _: answer
    line.take()
    taken_back(line)
    again = line.take(redelivered=True)
    assert line.told() == ["send"]
    answer.callback(OK)
    assert line.told() == [*ACCEPTED[:-1], "recall", *TOLD, "ack"]
    assert again.settled == "ack"
    assert line.outgoing.feeds[line.session].carrying == 0


def test_what_comes_again_and_again_is_sent_once_more_where_nothing_was_accepted(line: Line) -> None:
    answers: list[Deferred[Outcome]] = []
    line.session.answer = lambda _: answers.append(Deferred()) or answers[-1]  # type: ignore[func-returns-value]
    for redelivered in (False, True, True):
        line.take(redelivered=redelivered)
        taken_back(line)
    again = line.take(redelivered=True)
    answers[0].callback(Unsent("the link was lost"))
    assert line.told() == ["send", "recall", "send"]
    answers[1].callback(OK)
    assert line.told() == ACCEPTED
    assert again.settled == "ack"
    assert line.outgoing.feeds[line.session].carrying == 0


def test_no_more_than_the_width_is_with_the_session_even_so(line: Line) -> None:
    answers: list[Deferred[Outcome]] = []
    line.session.answer = lambda _: answers.append(Deferred()) or answers[-1]  # type: ignore[func-returns-value]
    for number in range(10):
        line.take(message_id=f"a{number}")
    taken_back(line)
    late = line.take(message_id="b0")
    assert len(line.session.sent) == 10
    answers[0].callback(OK)
    assert [sent.id for sent in line.session.sent][10:] == ["b0"]
    answers[10].callback(OK)
    assert late.settled == "ack"


def test_another_attempt_is_left_to_whoever_gets_it(line: Line) -> None:
    """Published to a delay queue as well as handed out again it would be sent twice."""
    answer: Deferred[Outcome] = Deferred()
    line.session.answer = lambda _: answer
    line.take()
    taken_back(line)
    answer.callback(Later("busy"))
    assert line.told() == ["send"]
    assert count(line.metrics.errors, "outgoing") == 0


# -- what can't be decoded


def test_undecodable_goes_to_the_dead_letters_with_an_event(line: Line) -> None:
    line.take(body=b'{"to":"x","text":"hi"}')
    assert line.told() == ["publish smsgw.dead", "confirmed smsgw.dead", *REJECTED]
    dead = line.broker.published[0]
    assert dead.properties.headers[REASON].startswith("to: expected digits")
    (event,) = line.broker.events()
    assert (event["id"], event["event_id"], event["final"]) == ("m1", "m1/rejected", True)
    assert event["error"].startswith("to: expected digits")
    assert line.session.sent == []
    assert count(line.metrics.dead, "undecodable") == 1


def test_undecodable_without_an_id_has_nobody_to_tell(line: Line) -> None:
    line.take(body=b"\xff", message_id=None)
    assert line.told() == ["publish smsgw.dead", "confirmed smsgw.dead", "ack"]


# -- stores that fail


def test_a_full_disk_holds_the_slot_until_there_is_room(line: Line) -> None:
    line.ledger.broken = {"remember"}
    delivery = line.take(OK)
    line.clock.pump([PAUSE] * 3)
    assert line.told() == ["send"] + ["remember"] * 4
    assert (line.consumer.unsettled, delivery.settled) == (1, None)
    assert line.durable.trouble == "ledger: ledger.db: disk full"
    assert count(line.metrics.storage_errors, "ledger") == 4
    line.ledger.broken = set()
    line.clock.advance(PAUSE)
    assert line.told() == ACCEPTED
    assert line.durable.trouble is None


def test_one_store_that_works_does_not_excuse_the_other(line: Line) -> None:
    line.ledger.broken = {"remember"}
    line.take(OK)
    line.take(Refused("bad"), message_id="m2")
    assert line.durable.trouble == "ledger: ledger.db: disk full"


@pytest.mark.parametrize("error", [Unavailable("no connection"), QueueFull("refused")])
def test_a_broker_that_fails_is_asked_again(line: Line, error: Exception) -> None:
    line.broker.broken = lambda exchange, key: error
    delivery = line.take(Refused("bad"))
    line.clock.advance(PAUSE)
    assert (delivery.settled, len(line.session.sent)) == (None, 1)
    assert line.durable.trouble == f"broker: {error}"
    line.broker.broken = lambda exchange, key: None
    line.clock.advance(PAUSE)
    assert delivery.settled == "ack"
    assert [event["event_id"] for event in line.broker.events()] == ["m1/rejected"]


def test_an_accepted_message_waits_for_no_broker_its_event_is_owed(line: Line) -> None:
    line.broker.broken = lambda exchange, key: Unavailable("connection lost")
    delivery = line.take(OK)
    assert (delivery.settled, line.broker.events()) == ("ack", [])
    assert [each.event.event for each in result(line.ledger.owed(10))] == ["accepted"]
    line.broker.broken = lambda exchange, key: None
    line.receipts.start()
    line.receipts.stop()
    assert [event["event_id"] for event in line.broker.events()] == ["m1/accepted"]
    assert result(line.ledger.owed(10)) == []


def test_what_comes_again_while_its_event_is_owed_has_it_paid_and_not_told_anew(line: Line) -> None:
    """The broker's connection was lost before the acknowledgement and the event got through."""
    line.broker.broken = lambda exchange, key: Unavailable("connection lost")
    line.take(OK)
    line.broker.broken = lambda exchange, key: None
    line.told()
    line.take(redelivered=True)
    assert line.told() == ["recall", *TOLD, "clear", "ack"]
    assert [event["event_id"] for event in line.broker.events()] == ["m1/accepted"]


def test_where_no_event_is_confirmed_messages_wait_for_theirs(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "UNPAID", 2)
    line.broker.held = True
    deliveries = [line.take(OK, message_id=f"m{number}") for number in range(4)]
    assert [each.settled for each in deliveries] == ["ack", "ack", None, None]
    line.broker.confirm()
    assert [each.settled for each in deliveries] == ["ack"] * 4
    line.take(OK, message_id="m5")
    assert line.consumer.unsettled == 0


def test_what_the_broker_took_back_is_left_to_whoever_gets_it(line: Line) -> None:
    line.broker.broken = lambda exchange, key: Unavailable("connection lost")
    delivery = line.take(Refused("bad"))
    delivery.stale = True
    line.clock.advance(PAUSE)
    line.clock.advance(100 * PAUSE)
    assert line.told() == ["send", "publish smsgw.events rejected.acme"]
    assert (delivery.settled, line.clock.getDelayedCalls()) == (None, [])
    assert count(line.metrics.errors, "outgoing") == 0
    assert line.outgoing.feeds[line.session].carrying == 0


def test_taken_back_after_acceptance_is_still_remembered(line: Line) -> None:
    """The ledger is asked until it answers, although the delivery is no longer ours: the SMS is out."""
    line.ledger.broken = {"remember"}
    delivery = line.take(OK)
    delivery.stale = True
    line.ledger.broken = set()
    line.clock.advance(PAUSE)
    found = result(line.ledger.recall("m1"))
    assert found is not None
    assert found.record.smsc_id == "A1"


def test_a_retry_that_cannot_be_published_is_told_again_and_never_doubled(line: Line) -> None:
    line.broker.broken = lambda exchange, key: Unavailable("gone") if "retry." in exchange else None
    delivery = line.take(Later("busy"))
    delivery.stale = True
    line.clock.advance(PAUSE)
    assert [each.exchange for each in line.broker.published] == ["smsgw.events"]


def test_a_retry_is_not_published_for_what_was_taken_back_during_the_pause(line: Line) -> None:
    """The broker hands the message out again: in a delay queue as well it would be sent twice."""
    line.broker.broken = lambda exchange, key: Unavailable("gone") if "retry." in exchange else None
    delivery = line.take(Later("busy"))
    delivery.stale = True
    line.broker.broken = lambda exchange, key: None
    line.clock.advance(PAUSE)
    assert [each.exchange for each in line.broker.published] == ["smsgw.events"]


@pytest.mark.parametrize("broken", ["smsgw.events", ""])
def test_an_event_counts_as_told_when_its_answer_is_too(line: Line, broken: str) -> None:
    line.broker.broken = lambda exchange, key: Unavailable("gone") if exchange == broken else None
    delivery = line.take(Refused("bad"), reply_to="answers")
    assert (delivery.settled, count(line.metrics.events, "rejected")) == (None, 0)
    line.broker.broken = lambda exchange, key: None
    line.clock.advance(PAUSE)
    assert (delivery.settled, count(line.metrics.events, "rejected")) == ("ack", 1)
    assert {each.key for each in line.broker.published} == {"rejected.acme", "answers"}


# -- many at once


def test_of_many_that_come_together_some_wait_for_the_next_turn(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "SLICE", 3)
    line.session.end_turn = lambda: None
    deliveries = [line.take(OK, message_id=f"m{number}") for number in range(8)]
    assert line.told() == ["send"] * 3
    deliveries[4].stale = True
    line.clock.advance(0)
    assert [each.settled for each in deliveries] == ["ack"] * 4 + [None] + ["ack"] * 3
    assert (len(line.session.sent), line.outgoing.carrying()) == (7, 0)
    assert line.clock.getDelayedCalls() == []


def test_while_the_ledger_writes_one_group_the_next_gathers(line: Line) -> None:
    line.ledger.held = []
    for number in range(4):
        line.take(OK, message_id=f"m{number}")
    assert line.told() == ["send", "remember", "send", "send", "send"]
    line.ledger.proceed()
    three = [step for step in TOLD for _ in range(3)]
    assert line.told() == [*TOLD, "clear", "ack", "remember", *three, "clear", "ack", "ack", "ack"]
    assert line.consumer.unsettled == 0


def test_what_is_taken_in_one_turn_is_one_group(line: Line) -> None:
    line.session.end_turn = lambda: None
    for number in range(4):
        line.take(OK, message_id=f"m{number}")
    assert line.told() == ["send"] * 4
    line.clock.advance(0)
    assert line.told() == ["remember", *[step for step in TOLD for _ in range(4)], "clear", *["ack"] * 4]


def test_it_is_known_when_the_ledger_has_been_asked_for_all(line: Line) -> None:
    assert line.outgoing.asked().called
    line.ledger.held = []
    line.take(OK)
    assert line.outgoing.asked().called  # the ledger has it already
    line.take(OK, message_id="m2")
    asked, given_up = line.outgoing.asked(), line.outgoing.asked()
    given_up.addErrback(lambda failure: failure.trap(CancelledError))
    given_up.cancel()
    assert not asked.called
    line.told()
    asked.addCallback(lambda _: line.story.append("asked"))
    line.ledger.proceed()
    assert "asked" in line.told()


def test_all_means_those_too_that_are_left_for_the_next_groups(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "GROUP", 2)
    monkeypatch.setattr(settling, "LEAST", 2)
    line.ledger.held = []
    for number in range(5):
        line.take(OK, message_id=f"m{number}")
    line.outgoing.asked().addCallback(lambda _: line.story.append("asked"))
    line.told()
    line.ledger.proceed()
    assert [step for step in line.told() if step in ("remember", "asked")] == [
        "remember",
        "remember",
        "asked",
    ]


def test_half_of_what_waits_is_settled_first_and_then_all_that_came_meanwhile(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "LEAST", 1)
    monkeypatch.setattr(line.session, "end_turn", lambda: None)
    line.ledger.held = []
    for number in range(6):
        line.take(OK, message_id=f"m{number}")
    line.clock.advance(0)
    for number in range(6, 9):
        line.take(OK, message_id=f"m{number}")
    assert line.ledger.groups == [3]
    line.ledger.proceed()
    assert line.ledger.groups == [3, 6]


def test_of_a_group_only_the_culprit_fails(line: Line) -> None:
    """An error of ours with one message: the others of its group are settled, it goes to the dead."""
    line.ledger.held = []
    deliveries = [line.take(OK, message_id=f"m{number}") for number in range(4)]
    line.ledger.culprits = {"odd"}
    deliveries.append(line.take(OK, message_id="odd"))
    line.ledger.proceed()
    assert [each.settled for each in deliveries] == ["ack"] * 5
    assert {each["id"] for each in line.broker.events()} >= {"m0", "m1", "m2", "m3"}
    (dead,) = [each for each in line.broker.published if each.exchange == "smsgw.dead"]
    assert dead.properties.message_id == "odd"
    assert count(line.metrics.errors, "outgoing") == 1
    assert (line.consumer.unsettled, line.outgoing.carrying()) == (0, 0)


# -- what nobody expected


def test_an_unexpected_exception_puts_the_message_back_after_a_pause(line: Line) -> None:
    def fails(_: Submission) -> Outcome:
        raise ZeroDivisionError("ours")

    line.session.answer = fails
    delivery = line.take()
    assert (delivery.settled, line.consumer.unsettled) == (None, 1)
    assert count(line.metrics.errors, "outgoing") == 1
    line.clock.advance(PAUSE)
    assert delivery.settled == "nack"


def test_a_message_that_was_taken_is_not_sent_again_whatever_goes_wrong_then(line: Line) -> None:
    line.ledger.culprits = {"m1"}
    delivery = line.take(OK)
    assert delivery.settled == "ack"
    (dead,) = line.broker.published
    assert dead.exchange == "smsgw.dead"
    assert dead.properties.headers[REASON] == "taken by the message centre, then an error of ours"
    assert (count(line.metrics.errors, "outgoing"), count(line.metrics.dead, "error")) == (1, 1)


def test_a_cancelled_delivery_gives_its_slot_back(line: Line) -> None:
    answer: Deferred[Outcome] = Deferred()
    line.session.answer = lambda _: answer
    delivery = line.take()
    answer.errback(CancelledError())
    assert (delivery.settled, line.consumer.unsettled) == ("nack", 0)


# -- the end of a session


def test_closed_cancels_drains_and_releases(line: Line) -> None:
    answers: list[Deferred[Outcome]] = [Deferred(), Deferred()]
    line.session.answer = lambda _: answers[len(line.session.sent) - 1]
    line.take()
    line.take(message_id="m2")
    closed: list[None] = []
    line.outgoing.closed(line.session).addCallback(closed.append)
    assert line.told() == ["send", "send", "cancel smsgw.submit.nordic"]
    answers[0].callback(OK)
    assert (closed, line.told()) == ([], ACCEPTED)
    answers[1].callback(OK)
    assert (closed, line.told()) == ([None], [*ACCEPTED, "release smsgw.submit.nordic"])
    assert line.outgoing.feeds == {}


def test_closed_waits_for_the_broker_to_know(line: Line) -> None:
    line.consumer.holds_cancel = True
    closed: list[None] = []
    line.outgoing.closed(line.session).addCallback(closed.append)
    assert (closed, line.consumer.released) == ([], False)
    assert line.consumer.cancelled is not None
    line.consumer.cancelled.callback(None)
    assert (closed, line.consumer.released) == ([None], True)


def test_closed_twice_is_closed(line: Line) -> None:
    for _ in range(2):
        assert result(line.outgoing.closed(line.session)) is None


def test_closing_what_never_opened(line: Line) -> None:
    assert result(line.outgoing.closed(FakeSession(FakeChannel(), line.story))) is None


def test_a_session_that_is_back_before_its_feed_has_drained_keeps_the_new_one(line: Line) -> None:
    answer: Deferred[Outcome] = Deferred()
    line.session.answer = lambda _: answer
    line.take()
    line.outgoing.closed(line.session)
    line.outgoing.opened(line.session)
    assert (line.outgoing.carrying(), line.outgoing.carrying(line.channel)) == (1, 1)
    assert line.outgoing.carrying(FakeChannel("other")) == 0
    new = line.outgoing.feeds[line.session]
    answer.callback(OK)
    assert line.outgoing.feeds[line.session] is new
    assert line.consumer.released
    assert not line.broker.consumers[1].released


def test_a_drain_that_is_given_up_leaves_no_trace(line: Line) -> None:
    """Cancelled by the stop's timeout: later settlements must find nobody waiting."""
    answer: Deferred[Outcome] = Deferred()
    line.session.answer = lambda _: answer
    delivery = line.take()
    closed = line.outgoing.closed(line.session)
    closed.addErrback(lambda failure: failure.trap(CancelledError))
    closed.cancel()
    answer.callback(OK)
    assert delivery.settled == "ack"


def test_reprs_tell_how_much_is_carried(line: Line) -> None:
    line.take()
    assert repr(line.outgoing.feeds[line.session]) == "<feed acme#1: 1/10>"
