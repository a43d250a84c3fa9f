"""Publishing in confirm mode, against a broker's side by hand."""

from __future__ import annotations

from typing import Any

import pytest
from amqp_peer import Connected
from twisted.internet.defer import Deferred

from smsgw.broker.amqp import content
from smsgw.broker.amqp.fields import EncodeError
from smsgw.broker.amqp.publisher import Publisher
from smsgw.broker.base import Properties, Publish, QueueFull, Unavailable, Unroutable, the_only


class Publishing:
    """A publisher on a connection; `outcomes` of its publishes by their bodies."""

    def __init__(self, limit: int = 1000) -> None:
        self.connected = Connected()
        self.failures: list[tuple[int, str]] = []
        self.publisher = Publisher(lambda code, reason: self.failures.append((code, reason)), limit)
        self.publisher.attach(self.connected.client)
        self.peer = self.connected.peer
        self.peer.listen()
        self.outcomes: dict[bytes, str] = {}

    def publish(
        self, body: bytes, *, key: str = "key", mandatory: bool = False, **properties: Any
    ) -> Deferred[None]:
        one = Publish("ex", key, body, Properties(**properties), mandatory)
        publishing = self.publisher.publish([one]).addCallback(the_only)
        publishing.addCallbacks(
            lambda _: self.outcomes.__setitem__(body, "stored"),
            lambda failure: self.outcomes.__setitem__(body, type(failure.value).__name__),
        )
        return publishing

    def returned(self, body: bytes, key: str = "key", **properties: Any) -> None:
        self.peer.say(1, "basic.return", 312, "NO_ROUTE", "ex", key)
        self.peer.content(1, body, {**properties, "delivery_mode": 2, "content_type": "application/json"})


def test_the_channel_is_in_confirm_mode_and_publishes_are_persistent() -> None:
    told = Publishing()
    assert [said.name for said in told.peer.history][-2:] == ["channel.open", "confirm.select"]
    told.publish(b"body", message_id="m", headers={"x": -1})
    method, header, body = told.peer.listen()
    assert method.args["routing-key"] == "key"
    assert content.decode_properties(header.args) == {
        "content_type": "application/json",
        "delivery_mode": 2,
        "headers": {"x": -1},
        "message_id": "m",
    }
    assert body.args == b"body"


def test_a_publish_is_stored_when_the_broker_says_so() -> None:
    told = Publishing()
    told.publish(b"1")
    told.publish(b"2")
    told.peer.listen()
    assert told.outcomes == {}
    told.peer.say(1, "basic.ack", 2, False)
    assert told.outcomes == {b"2": "stored"}
    told.peer.say(1, "basic.ack", 1, False)
    assert told.outcomes == {b"1": "stored", b"2": "stored"}
    assert told.publisher.unconfirmed == 0


@pytest.mark.parametrize(
    ("tag", "stored"), [(2, [b"1", b"2"]), (0, [b"1", b"2", b"3"]), (3, [b"1", b"2", b"3"])]
)
def test_one_confirm_may_stand_for_many(tag: int, stored: list[bytes]) -> None:
    told = Publishing()
    for body in (b"1", b"2", b"3"):
        told.publish(body)
    told.peer.say(1, "basic.ack", tag, True)
    assert list(told.outcomes) == stored


def test_a_nack_is_a_full_queue() -> None:
    told = Publishing()
    for body in (b"1", b"2", b"3"):
        told.publish(body)
    told.peer.say(1, "basic.nack", 2, False, False)
    assert told.outcomes == {b"2": "QueueFull"}
    told.peer.say(1, "basic.nack", 3, True, False)
    assert set(told.outcomes.values()) == {QueueFull.__name__}


def test_confirms_of_nothing_are_harmless() -> None:
    told = Publishing()
    told.peer.say(1, "basic.ack", 99, False)
    told.peer.say(1, "basic.ack", 99, True)
    told.publish(b"1")
    told.peer.say(1, "basic.ack", 1, False)
    told.peer.say(1, "basic.ack", 1, False)
    assert told.outcomes == {b"1": "stored"}
    assert not told.connected.lost


def test_a_return_is_matched_to_its_publish() -> None:
    told = Publishing()
    told.publish(b"a", mandatory=True)
    told.publish(b"b", mandatory=True, message_id="å")
    told.publish(b"c", mandatory=True)
    told.publish(b"d")
    told.returned(b"b", message_id="å")
    told.peer.say(1, "basic.ack", 4, True)
    assert told.outcomes == {b"a": "stored", b"b": Unroutable.__name__, b"c": "stored", b"d": "stored"}


@pytest.mark.parametrize("other", [{"key": "elsewhere"}, {"message_id": "other"}])
def test_equal_bodies_are_told_apart(other: dict[str, str]) -> None:
    told = Publishing()
    outcomes: list[str] = []
    for properties in ({}, other):
        key = properties.get("key", "key")
        found = Properties(message_id=properties.get("message_id"))
        told.publisher.publish([Publish("ex", key, b"same", found, mandatory=True)]).addCallback(
            lambda errors: outcomes.append(type(errors[0]).__name__)
        )
    told.returned(b"same", **other)
    told.peer.say(1, "basic.ack", 2, True)
    assert outcomes == ["NoneType", "Unroutable"]


def test_a_group_waits_for_its_last_confirm_and_says_what_became_of_each() -> None:
    told = Publishing(limit=5)
    found: list[list[Exception | None]] = []
    bodies = [b"0", b"1", b"2", b"3", b"4"]
    group = [Publish("ex", "key", body, mandatory=body == b"3") for body in bodies]
    group[1] = Publish("ex", "key", b"1", Properties(headers={"x": object()}))
    told.publisher.publish(group).addCallback(found.append)
    told.publisher.publish([Publish("ex", "key", b"other")] * 2).addCallback(found.append)
    assert told.publisher.unconfirmed == 5
    told.peer.say(1, "basic.nack", 2, False, False)
    told.returned(b"3")
    told.peer.say(1, "basic.ack", 4, False)
    told.peer.say(1, "basic.ack", 3, False)
    assert found == []
    told.peer.say(1, "basic.ack", 1, False)
    told.peer.say(1, "basic.ack", 5, True)
    names = [[type(error).__name__ for error in errors] for errors in found]
    assert names == [
        ["NoneType", "EncodeError", "QueueFull", "Unroutable", "NoneType"],
        ["NoneType", "Unavailable"],
    ]
    assert told.publisher.unconfirmed == 0


def test_a_group_of_none_is_stored() -> None:
    found: list[list[Exception | None]] = []
    Publishing().publisher.publish([]).addCallback(found.append)
    assert found == [[]]


def test_of_equal_publishes_the_oldest_comes_back() -> None:
    told = Publishing()
    for _ in range(2):
        told.publish(b"same", mandatory=True)
    told.returned(b"same")
    told.peer.say(1, "basic.ack", 1, False)
    assert told.outcomes == {b"same": "Unroutable"}
    told.peer.say(1, "basic.ack", 2, False)
    assert told.outcomes == {b"same": "stored"}


def test_a_return_of_nothing_we_know_is_harmless() -> None:
    told = Publishing()
    told.publish(b"a", mandatory=True)
    told.returned(b"unknown")
    told.peer.say(1, "basic.ack", 1, False)
    assert told.outcomes == {b"a": "stored"}


def test_what_cannot_be_written_fails_alone() -> None:
    told = Publishing()
    told.publish(b"bad", headers={"x": object()})
    told.publish(b"good")
    assert told.outcomes == {b"bad": EncodeError.__name__}
    told.peer.say(1, "basic.ack", 1, False)
    assert told.outcomes[b"good"] == "stored"
    assert len(told.peer.heard("basic.publish")) == 1


def test_publishes_before_a_connection_and_after_it_fail_at_once() -> None:
    publisher = Publisher(lambda code, reason: None)
    failures: list[Any] = []
    publisher.publish([Publish("", "q", b"")]).addCallback(failures.extend)
    assert type(failures[0]) is Unavailable
    told = Publishing()
    told.publish(b"pending")
    told.connected.peer.drop()
    assert told.outcomes == {b"pending": Unavailable.__name__}
    told.publisher.detach("lost")
    told.publish(b"later")
    assert told.outcomes[b"later"] == Unavailable.__name__
    assert told.failures == []


def test_a_channel_error_fails_what_is_pending_and_the_next_publish_works() -> None:
    told = Publishing()
    again: list[Deferred[None]] = []
    told.publish(b"1").addBoth(lambda _: again.append(told.publish(b"1 again")))
    told.publish(b"2", mandatory=True)
    told.peer.listen()
    told.peer.say(1, "channel.close", 404, "NOT_FOUND - no exchange 'ex'", 60, 40)
    assert told.outcomes == {b"1": "Unavailable", b"2": "Unavailable"}
    assert told.failures == [(404, "404 NOT_FOUND - no exchange 'ex'")]
    told.peer.listen()
    told.peer.say(1, "basic.ack", 1, False)
    assert told.outcomes[b"1 again"] == "stored"
    assert len(told.peer.heard("confirm.select")) == 2


def test_publishes_that_wait_for_their_confirm_are_bounded() -> None:
    told = Publishing(limit=2)
    for body in (b"1", b"2", b"3"):
        told.publish(body)
    assert told.outcomes == {b"3": "Unavailable"}
    told.peer.say(1, "basic.ack", 1, False)
    told.publish(b"4")
    assert told.publisher.unconfirmed == 2


def test_idle_fires_when_nothing_is_pending() -> None:
    told = Publishing()
    assert told.publisher.idle().called
    told.publish(b"1")
    waiting = told.publisher.idle()
    assert not waiting.called
    told.peer.say(1, "basic.ack", 1, False)
    assert waiting.called
    told.publish(b"2")
    waiting = told.publisher.idle()
    told.publisher.detach("lost")
    assert waiting.called


def test_a_publish_that_is_cancelled_is_forgotten() -> None:
    told = Publishing()
    told.publish(b"1").cancel()
    assert told.outcomes == {b"1": "CancelledError"}
    told.peer.say(1, "basic.ack", 1, False)
    assert told.publisher.unconfirmed == 0
