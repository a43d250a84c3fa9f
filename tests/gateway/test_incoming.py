"""Messages from phones: published, confirmed, and only then answered; parts are kept until whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway.fakes import FakeChannel, Parts, count, result
from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, globalLogPublisher
from twisted.python.failure import Failure

from smsgw.broker.base import BrokerError, BrokerState, Unavailable
from smsgw.errors import StorageError
from smsgw.gateway import incoming
from smsgw.gateway.incoming import SWEEP, Incoming
from smsgw.sms.join import Fragment

TIMEOUT = 600.0
MAX_PARTS = 5
PUBLISHED = ["publish smsgw.inbound acme.12345", "confirmed smsgw.inbound acme.12345"]


def part(number: int = 1, total: int = 2, text: str = "", **fields: Any) -> Fragment:
    defaults: dict[str, Any] = {"charset": "gsm7", "kind": "udh", "reference": 7}
    payload = (text or f"<{number}>").encode()
    return Fragment(payload=payload, number=number, total=total, **{**defaults, **fields})


WHOLE = Fragment(payload=b"STOP", charset="gsm7")


class Desk(Parts):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.ledger.start()
        self.channel = FakeChannel()
        self.incoming = self.made()
        self.told()

    def made(self) -> Incoming:
        return Incoming(
            self.broker,
            self.ledger,
            names=self.names,
            metrics=self.metrics,
            clock=self.clock,
            now=self.now,
            assembly_timeout=TIMEOUT,
            max_parts=MAX_PARTS,
        )

    def receive(self, fragment: Fragment, source: str = "+46700000001") -> Deferred[None]:
        return self.incoming.inbound(self.channel, source, "12345", fragment)

    def outage(self, *, over: bool = False) -> None:
        self.broker.broken = lambda exchange, key: None if over else Unavailable("gone")

    @property
    def texts(self) -> list[str | None]:
        return [message.get("text") for message in self.broker.events("smsgw.inbound")]

    @property
    def ids(self) -> list[str]:
        return [message["id"] for message in self.broker.events("smsgw.inbound")]

    def sweep(self, times: int = 1) -> None:
        for _ in range(times):
            self.clock.advance(SWEEP)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.incoming.stop()
    result(made.ledger.stop())


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What is logged, formatted, above debug."""
    found: list[str] = []

    def observe(event: Any) -> None:
        if event["log_level"] >= LogLevel.info:
            found.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield found
    globalLogPublisher.removeObserver(observe)


# -- whole by itself


def test_a_whole_message_is_published_and_then_answered(desk: Desk) -> None:
    desk.broker.held = True
    answered: list[None] = []
    desk.receive(WHOLE).addCallback(answered.append)
    assert (answered, desk.told()) == ([], PUBLISHED[:1])
    desk.broker.confirm()
    assert (answered, desk.told()) == ([None], PUBLISHED[1:])
    (published,) = desk.broker.published
    message = published.json
    assert published.properties.message_id == message.pop("id")
    assert message == {
        "v": 1,
        "at": "2023-11-14T22:13:20.000Z",
        "channel": "acme",
        "from": "+46700000001",
        "to": "12345",
        "text": "STOP",
        "encoding": "gsm7",
        "parts": 1,
        "complete": True,
    }
    assert count(desk.metrics.inbound, "acme", "complete") == 1


def test_the_same_text_twice_is_two_messages(desk: Desk) -> None:
    result(desk.receive(WHOLE))
    result(desk.receive(WHOLE))
    assert len(set(desk.ids)) == 2


def test_a_broker_outage_leaves_a_whole_message_with_the_message_centre(desk: Desk) -> None:
    desk.outage()
    with pytest.raises(BrokerError):
        result(desk.receive(WHOLE))
    assert "keep" not in desk.told()
    assert count(desk.metrics.inbound, "acme", "complete") == 0


def test_a_broker_that_takes_no_publishes_is_not_waited_for(desk: Desk) -> None:
    """The message centre would send the message again while the first copy still waits."""
    desk.broker.state = BrokerState("blocked", desk.now(), "memory alarm")
    with pytest.raises(BrokerError):
        result(desk.receive(WHOLE))
    result(desk.receive(part(1)))
    with pytest.raises(BrokerError):
        result(desk.receive(part(2)))
    assert desk.told() == ["keep", "keep"]
    desk.broker.state = BrokerState("up", desk.now())
    desk.incoming.start()
    desk.sweep(3)
    assert desk.texts == ["<1><2>"]


def test_what_cannot_be_read_is_handed_on_and_said(desk: Desk, lines: list[str]) -> None:
    result(desk.receive(Fragment(payload=b"\0", charset="ucs2"), source="+46700000789"))
    (message,) = desk.broker.events("smsgw.inbound")
    assert (message["data"], message["error"]) == ("AA==", "not UTF-16BE at octet 0")
    assert lines == ["acme: a message from ...789 can't be read: not UTF-16BE at octet 0"]


# -- in parts


def test_a_part_is_kept_and_answered_and_the_last_one_publishes(desk: Desk) -> None:
    result(desk.receive(part(2)))
    assert desk.told() == ["keep"]
    result(desk.receive(part(1)))
    assert desk.told() == ["keep", *PUBLISHED, "clear inbound"]
    assert desk.texts == ["<1><2>"]
    assert [count(desk.metrics.inbound_parts, "acme", what) for what in ("placed", "completing")] == [1, 1]


def test_the_part_that_completes_is_answered_after_the_confirm(desk: Desk) -> None:
    result(desk.receive(part(1)))
    desk.broker.held = True
    answered: list[None] = []
    desk.receive(part(2)).addCallback(answered.append)
    assert answered == []
    desk.broker.confirm()
    assert answered == [None]


def test_a_part_needs_no_broker(desk: Desk) -> None:
    desk.outage()
    result(desk.receive(part(1)))
    assert desk.told() == ["keep"]


def test_a_plus_makes_no_other_phone(desk: Desk) -> None:
    result(desk.receive(part(1), source="46700000001"))
    result(desk.receive(part(2), source="+46700000001"))
    assert desk.texts == ["<1><2>"]


def test_channels_of_one_account_share_the_parts(desk: Desk) -> None:
    other = FakeChannel("backup")
    other.account = "acme"
    result(desk.receive(part(1)))
    result(desk.incoming.inbound(other, "+46700000001", "12345", part(2)))
    assert [(each["channel"], each["text"]) for each in desk.broker.events("smsgw.inbound")] == [
        ("acme", "<1><2>")
    ]


def test_a_broker_outage_at_the_last_part_and_the_message_centres_repeat(desk: Desk) -> None:
    result(desk.receive(part(1)))
    desk.outage()
    for _ in range(2):
        with pytest.raises(BrokerError):
            result(desk.receive(part(2)))
    desk.outage(over=True)
    result(desk.receive(part(2)))
    assert desk.texts == ["<1><2>"]
    result(desk.receive(part(2)))
    assert desk.texts == ["<1><2>"], "the repeat of an answered part is answered and publishes nothing"


def test_a_message_that_could_not_be_cleared_comes_again_under_its_id(desk: Desk) -> None:
    result(desk.receive(part(1)))
    desk.ledger.broken = {"clear inbound"}
    with pytest.raises(StorageError):
        result(desk.receive(part(2)))
    desk.ledger.broken = set()
    result(desk.receive(part(2)))
    assert len(desk.ids) == 2
    assert len(set(desk.ids)) == 1
    assert {each.properties.message_id for each in desk.broker.published} == set(desk.ids)


def test_a_ledger_that_fails_fails_the_part(desk: Desk) -> None:
    desk.ledger.broken = {"keep"}
    with pytest.raises(StorageError):
        result(desk.receive(part(1)))
    desk.ledger.broken = set()
    result(desk.receive(part(1)))
    result(desk.receive(part(2)))
    assert desk.texts == ["<1><2>"]


def test_a_reference_used_again_publishes_the_old_message_as_it_is(desk: Desk, lines: list[str]) -> None:
    result(desk.receive(part(1, 3, "old")))
    result(desk.receive(part(1, 3, "new")))
    (message,) = desk.broker.events("smsgw.inbound")
    assert (message["text"], message["complete"], message["missing"]) == ("old", False, [2, 3])
    assert lines == ["acme: ...001 used a reference again before its message was whole"]
    assert count(desk.metrics.inbound, "acme", "incomplete") == 1
    assert count(desk.metrics.inbound_parts, "acme", "conflict") == 1


def test_more_parts_than_the_bound_stay_with_the_message_centre(desk: Desk, lines: list[str]) -> None:
    for reference in range(MAX_PARTS):
        result(desk.receive(part(1, reference=reference)))
    for _ in range(3):
        with pytest.raises(StorageError):
            result(desk.receive(part(1, reference=99)))
    result(desk.receive(part(2, reference=0)))
    result(desk.receive(part(1, reference=99)))
    assert count(desk.metrics.inbound_parts, "acme", "full") == 3
    assert lines == [
        "acme: 5 parts of incomplete messages wait already; more are not taken for now",
        "acme: parts of long messages are taken again",
    ]


# -- what stayed behind


def stranded(desk: Desk) -> None:
    """A message that is owed and that nobody pays, as after a crash."""
    result(desk.receive(part(1)))
    desk.outage()
    with pytest.raises(BrokerError):
        result(desk.receive(part(2)))
    desk.outage(over=True)
    desk.told()


def test_a_sweep_publishes_what_a_crash_left(desk: Desk) -> None:
    stranded(desk)
    again = desk.made()
    again.start()
    assert desk.texts == [], "it may be somebody's who pays at the moment"
    desk.sweep(2)
    assert desk.texts == ["<1><2>"]
    desk.sweep(2)
    assert desk.texts == ["<1><2>"]
    again.stop()


def test_a_sweep_waits_for_the_broker(desk: Desk) -> None:
    stranded(desk)
    desk.broker.state = BrokerState("down", desk.now())
    desk.incoming.start()
    desk.sweep(3)
    assert desk.told() == []
    desk.broker.state = BrokerState("up", desk.now())
    desk.sweep()
    assert desk.texts == ["<1><2>"]


def test_what_a_sweep_could_not_publish_the_next_does(desk: Desk) -> None:
    stranded(desk)
    desk.outage()
    desk.incoming.start()
    desk.sweep(3)
    assert desk.texts == []
    desk.outage(over=True)
    desk.sweep()
    assert desk.texts == ["<1><2>"]


def test_a_sweep_leaves_alone_what_is_being_published(desk: Desk) -> None:
    result(desk.receive(part(1)))
    desk.broker.held = True
    desk.receive(part(2))
    desk.told()
    desk.incoming.start()
    desk.sweep(4)
    assert desk.told() == []


def test_a_sweep_goes_in_steps_until_nothing_is_left(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "STEP", 2)
    for reference in range(5):
        result(desk.receive(part(1, reference=reference)))
    desk.incoming.start()
    desk.clock.advance(TIMEOUT - 1)
    desk.sweep()
    assert desk.texts == ["<1>"] * 5


def test_what_is_given_up_while_the_broker_is_away_is_published_later(desk: Desk) -> None:
    for reference in range(3):
        result(desk.receive(part(1, reference=reference)))
    desk.incoming.start()
    desk.outage()
    desk.clock.advance(TIMEOUT + SWEEP)
    assert desk.texts == []
    desk.outage(over=True)
    desk.sweep(2)
    assert desk.texts == ["<1>"] * 3


def test_an_unexpected_failure_is_counted_and_the_message_stays_owed(desk: Desk) -> None:
    stranded(desk)
    desk.broker.broken = lambda exchange, key: ZeroDivisionError("ours")
    desk.incoming.start()
    desk.sweep(3)
    assert count(desk.metrics.errors, "inbound") == 2
    desk.outage(over=True)
    desk.sweep()
    assert desk.texts == ["<1><2>"]


def test_what_never_becomes_whole_is_published_as_it_is(desk: Desk, lines: list[str]) -> None:
    desk.incoming.start()
    result(desk.receive(part(2)))
    desk.clock.advance(TIMEOUT - 1)
    assert desk.texts == []
    desk.sweep()
    (message,) = desk.broker.events("smsgw.inbound")
    assert (message["text"], message["complete"], message["parts"]) == ("<2>", False, 2)
    assert message["at"] == "2023-11-14T22:13:20.000Z"
    assert lines == ["1 messages from phones lack parts after 600 s; published incomplete"]


def test_after_a_start_there_is_a_full_timeout_for_the_rest_to_come(desk: Desk) -> None:
    """While we were away the rest waited at the message centre; a repeat must still be known as one."""
    result(desk.receive(part(1, reference=1)))
    for number in (1, 2):
        result(desk.receive(part(number, reference=2)))
    desk.clock.advance(10 * TIMEOUT)
    desk.incoming.start()
    desk.clock.advance(TIMEOUT - 1)
    result(desk.receive(part(2, reference=2)))
    result(desk.receive(part(2, reference=1)))
    assert desk.texts == ["<1><2>"] * 2
    desk.clock.advance(2 * TIMEOUT)
    assert desk.texts == ["<1><2>"] * 2


def test_a_ledger_that_cannot_sweep_is_swept_later(desk: Desk) -> None:
    result(desk.receive(part(1)))
    desk.ledger.broken = {"expire inbound"}
    desk.incoming.start()
    desk.clock.advance(TIMEOUT + SWEEP)
    assert desk.texts == []
    desk.ledger.broken = set()
    desk.sweep(3)
    assert desk.texts == ["<1>"]


def test_after_stop_nothing_is_swept(desk: Desk) -> None:
    desk.incoming.start()
    desk.incoming.stop()
    desk.incoming.stop()
    assert desk.clock.getDelayedCalls() == []


def test_a_cancelled_publish_is_not_taken_for_an_answer(desk: Desk) -> None:
    desk.broker.held = True
    failures: list[Failure] = []
    waiting = desk.receive(WHOLE)
    waiting.addErrback(failures.append)
    waiting.cancel()
    assert len(failures) == 1
