"""Consuming: width, settling, and what happens when a channel ends, against a broker's side by hand."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from amqp_peer import Connected, Said
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed

from smsgw.broker.amqp import content
from smsgw.broker.amqp.consumer import MAX_SLOTS, MAX_WIDTH, AmqpConsumer, read_properties
from smsgw.broker.base import Delivery, Properties
from smsgw.errors import Misuse


class Consuming:
    """A consumer of width `width` on a connection. The peer's channel and the slot are both 1."""

    def __init__(self, width: int = 10) -> None:
        self.connected = Connected()
        self.peer = self.connected.peer
        self.got: list[Delivery] = []
        self.declared = 0
        self.forgotten: list[Any] = []
        self.consumer = AmqpConsumer(
            "queue",
            width,
            self.got.append,
            clock=self.connected.clock,
            declare=self._declare,
            forgotten=self.forgotten.append,
        )
        self.consumer.attach(self.connected.client)
        self.peer.listen()

    def _declare(self) -> Deferred[None]:
        self.declared += 1
        return succeed(None)

    def deliver(self, *tags: int, consumer: str = "1") -> None:
        for tag in tags:
            self.peer.deliver(1, tag, b"%d" % tag, consumer=consumer)

    def said(self) -> list[tuple[str, Any]]:
        return [brief(said) for said in self.peer.listen()]


def brief(said: Said) -> tuple[str, Any]:
    values = said.args
    return {
        "basic.ack": lambda: ("ack", (values["delivery-tag"], values["multiple"])),
        "basic.nack": lambda: ("nack", (values["delivery-tag"], values["multiple"], values["requeue"])),
        "basic.qos": lambda: ("qos", (values["prefetch-count"], values["global"])),
        "basic.consume": lambda: ("consume", values["consumer-tag"]),
        "basic.cancel": lambda: ("cancel", values["consumer-tag"]),
    }.get(said.name, lambda: (said.name, None))()


def test_a_consumer_has_its_own_channel_and_prefetch() -> None:
    told = Consuming(7)
    assert [brief(said) for said in told.peer.history[-3:]] == [
        ("channel.open", None),
        ("qos", (7, False)),
        ("consume", "1"),
    ]
    assert told.peer.history[-1].args["queue"] == "queue"


def test_a_delivery_is_what_came() -> None:
    told = Consuming()
    told.peer.deliver(
        1,
        5,
        b"body",
        redelivered=True,
        properties={"headers": {"n": 1}, "message_id": "m", "user_id": "ours to ignore", "priority": 2},
    )
    (delivery,) = told.got
    assert (delivery.queue, delivery.body, delivery.redelivered, delivery.stale) == (
        "queue",
        b"body",
        True,
        False,
    )
    assert delivery.properties == Properties(content_type=None, headers={"n": 1}, message_id="m", priority=2)
    assert delivery.properties is delivery.properties
    assert told.consumer.unsettled == 1


def test_properties_are_decoded_only_when_asked_for() -> None:
    told = Consuming()
    told.peer.say(1, "basic.deliver", "1", 1, False, "", "")
    told.peer.frame(2, 1, bytes(12) + b"\x20\x00" + b"\xff\xff\xff\xff")
    (delivery,) = told.got
    delivery.ack()
    assert told.said() == [("ack", (1, False))]
    with pytest.raises(Exception, match="goes past the end"):
        _ = delivery.properties


def test_absent_properties_are_none() -> None:
    assert read_properties(bytes(14)) == Properties(content_type=None)


def test_what_one_does_to_the_headers_of_a_delivery_no_other_sees() -> None:
    header = bytes(12) + content.encode_properties({"headers": {"n": 1}, "type": "of no interest"})
    read_properties(header).headers["n"] = 2
    assert read_properties(header) == Properties(content_type=None, headers={"n": 1})


# Settling


def test_contiguous_acks_of_a_turn_are_one() -> None:
    told = Consuming()
    told.deliver(1, 2, 3, 4, 5)
    for index in (2, 0, 1, 4):
        told.got[index].ack()
    assert told.said() == [("ack", (3, True)), ("ack", (5, False))]
    told.got[3].ack()
    assert told.said() == [("ack", (4, False))]
    assert told.consumer.unsettled == 0


def test_an_ack_for_many_never_swallows_what_is_put_back() -> None:
    told = Consuming()
    told.deliver(1, 2, 3)
    told.got[1].nack()
    told.got[0].ack()
    told.got[2].ack()
    assert told.said() == [("nack", (2, False, True)), ("ack", (3, True))]


def test_settling_twice_is_said_once() -> None:
    told = Consuming()
    told.deliver(1, 2)
    told.got[0].ack()
    told.got[0].nack()
    told.got[0].ack()
    assert told.said() == [("ack", (1, False))]
    told.got[0].ack()
    assert told.said() == []
    assert told.consumer.unsettled == 1


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_the_broker_understands_is_what_was_meant(data: st.DataObject) -> None:
    """A broker's own books, kept from what was said, agree with ours after every turn."""
    told = Consuming(50)
    at_broker: set[int] = set()
    meant: dict[int, str] = {}
    outcome: dict[int, str] = {}
    fresh = 0
    for _ in range(data.draw(st.integers(1, 8))):
        for _ in range(data.draw(st.integers(0, 6))):
            fresh += 1
            at_broker.add(fresh)
            told.deliver(fresh)
        open_tags = [tag for tag in range(1, fresh + 1) if tag not in meant]
        for tag in data.draw(st.lists(st.sampled_from(open_tags), unique=True)) if open_tags else []:
            meant[tag] = data.draw(st.sampled_from(["ack", "nack"]))
            getattr(told.got[tag - 1], meant[tag])()
        for word, (tag, multiple, *_) in told.said():
            settled = {each for each in at_broker if each <= tag} if multiple else {tag}
            assert settled <= at_broker
            at_broker -= settled
            outcome.update(dict.fromkeys(settled, word))
        assert outcome == meant
        assert told.consumer.unsettled == len(at_broker)


def test_a_delivery_that_nobody_takes_is_put_back() -> None:
    told = Consuming()

    def fail(delivery: Delivery) -> None:
        raise ZeroDivisionError

    told.consumer._deliver = fail
    told.deliver(1)
    assert told.said() == [("nack", (1, False, True))]
    assert not told.connected.lost


# Width


@pytest.mark.parametrize("width", [0, -1, MAX_WIDTH + 1])
def test_a_width_no_prefetch_count_can_hold_is_refused(width: int) -> None:
    with pytest.raises(Misuse):
        Consuming(width)
    told = Consuming(1)
    with pytest.raises(Misuse):
        told.consumer.resize(width)


def test_growing_adds_the_difference_at_once() -> None:
    told = Consuming(2)
    told.deliver(1, 2)
    told.consumer.resize(5)
    assert told.said() == [("qos", (3, False)), ("consume", "2")]
    told.deliver(3, 4, 5, consumer="2")
    assert told.consumer.unsettled == told.consumer.width == 5
    told.consumer.resize(5)
    assert told.said() == []


def test_shrinking_waits_until_enough_is_settled() -> None:
    told = Consuming(6)
    told.deliver(1, 2, 3, 4, 5, 6)
    told.consumer.resize(2)
    assert told.said() == [("cancel", "1")]
    for delivery in told.got[:4]:
        delivery.ack()
    assert told.said() == [("ack", (4, True))]
    told.got[4].ack()
    assert told.said() == [("qos", (1, False)), ("consume", "2"), ("ack", (5, False))]
    told.got[5].ack()
    assert told.said() == [("qos", (1, False)), ("consume", "3"), ("ack", (6, False))]


def test_what_arrives_for_a_cancelled_slot_is_put_back() -> None:
    told = Consuming(6)
    told.deliver(1)
    told.consumer.resize(2)
    told.deliver(2)
    assert len(told.got) == 1
    assert ("nack", (2, False, True)) in told.said()


class Limited:
    """The broker's side of prefetch counts: delivers as much as the slots that it was told of allow."""

    def __init__(self, told: Consuming) -> None:
        self.told = told
        self.tag = 0
        self.prefetch = 0
        self.slots: dict[str, int] = {}
        self.out: dict[int, str] = {}

    def turn(self) -> None:
        for word, value in self.told.said():
            if word == "qos":
                self.prefetch = value[0]
            elif word == "consume":
                self.slots[value] = self.prefetch
            elif word == "cancel":
                del self.slots[value]
            elif word in ("ack", "nack"):
                tag, multiple, *_ = value
                for each in [t for t in self.out if t <= tag] if multiple else [tag]:
                    del self.out[each]
        for slot, prefetch in self.slots.items():
            while sum(1 for out in self.out.values() if out == slot) < prefetch:
                self.tag += 1
                self.out[self.tag] = slot
                self.told.deliver(self.tag, consumer=slot)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 20), st.lists(st.tuples(st.integers(1, 20), st.integers(0, 20)), max_size=60))
def test_the_width_is_reached_and_never_exceeded_however_it_changes(
    first: int, steps: list[tuple[int, int]]
) -> None:
    told = Consuming(first)
    broker = Limited(told)
    broker.prefetch, broker.slots = first, {"1": first}
    broker.turn()
    assert told.consumer.unsettled == first
    settled = 0
    for width, number in steps:
        before = told.consumer.unsettled
        told.consumer.resize(width)
        assert told.consumer.unsettled == before
        for delivery in told.got[settled : settled + number]:
            delivery.ack()
        settled = min(settled + number, len(told.got))
        remained = told.consumer.unsettled
        broker.turn()
        assert remained <= told.consumer.unsettled <= max(width, remained)
        assert len(broker.slots) <= MAX_SLOTS + 1
    for delivery in told.got[settled:]:
        delivery.ack()
    for _ in range(3):
        broker.turn()
    assert told.consumer.unsettled == told.consumer.width


def test_many_small_steps_do_not_pile_up_slots() -> None:
    told = Consuming(1)
    broker = Limited(told)
    broker.prefetch, broker.slots = 1, {"1": 1}
    done: deque[Delivery] = deque()
    for width in range(2, 3 * MAX_SLOTS):
        told.consumer.resize(width)
        broker.turn()
        done.extend(told.got[len(done) :])
        for delivery in told.got:
            delivery.ack()
        broker.turn()
        assert sum(broker.slots.values()) == width
        assert len(broker.slots) <= MAX_SLOTS


# Cancel and release


def test_cancel_tells_the_broker_and_what_is_out_stays() -> None:
    told = Consuming()
    told.deliver(1, 2)
    cancelled = told.consumer.cancel()
    told.deliver(3)
    assert not cancelled.called
    assert told.said() == [("cancel", "1"), ("nack", (3, False, True))]
    assert cancelled.called
    assert told.consumer.cancel().called
    assert len(told.got) == told.consumer.unsettled == 2
    told.got[0].ack()
    assert told.said() == [("ack", (1, False))]
    told.consumer.resize(50)
    assert told.said() == []


def test_cancel_fires_when_the_connection_is_lost_meanwhile() -> None:
    told = Consuming()
    cancelled = told.consumer.cancel()
    told.peer.drop()
    assert cancelled.called


def test_cancel_without_a_connection_is_done_at_once() -> None:
    told = Consuming()
    told.peer.drop()
    told.consumer.detach()
    assert told.consumer.cancel().called
    told.consumer.attach(Connected().client)
    assert told.consumer.unsettled == 0


def test_release_closes_the_channel_after_telling_what_was_settled() -> None:
    told = Consuming()
    told.deliver(1, 2, 3)
    told.got[0].ack()
    told.consumer.cancel()
    told.consumer.release()
    assert told.said() == [("cancel", "1"), ("ack", (1, False)), ("channel.close", None)]
    assert told.consumer.unsettled == 0
    assert all(delivery.stale for delivery in told.got)
    told.got[1].ack()
    assert told.said() == []
    assert told.forgotten == [told.consumer]


# When the channel ends


def test_deliveries_of_a_lost_connection_are_stale_and_settling_them_is_harmless() -> None:
    told = Consuming()
    told.deliver(1, 2)
    told.got[0].ack()
    told.peer.drop()
    assert [delivery.stale for delivery in told.got] == [True, True]
    assert told.consumer.unsettled == 0
    told.got[0].ack()
    told.got[1].nack()
    told.consumer.detach()
    again = Connected()
    told.consumer.attach(again.client)
    again.peer.listen()
    again.peer.deliver(1, 1, b"again", redelivered=True)
    told.got[1].ack()
    again.peer.listen()
    assert again.peer.heard("basic.ack") == []
    assert told.got[-1].body == b"again"
    assert told.consumer.unsettled == 1


def test_a_channel_error_builds_that_channel_anew_with_the_topology() -> None:
    told = Consuming(4)
    told.deliver(1)
    told.peer.say(1, "channel.close", 406, "PRECONDITION_FAILED - timeout", 60, 80)
    assert told.got[0].stale
    assert told.declared == 0
    told.connected.clock.advance(0.2)
    assert told.declared == 1
    assert told.said()[-2:] == [("qos", (4, False)), ("consume", "1")]
    told.deliver(1)
    assert told.consumer.unsettled == 1


def test_a_cancel_from_the_broker_builds_the_channel_anew() -> None:
    told = Consuming(4)
    told.deliver(1)
    told.peer.say(1, "basic.cancel", "1", True)
    assert told.got[0].stale
    assert told.said() == [("channel.close", None)]
    told.connected.clock.advance(0.2)
    assert told.declared == 1
    assert told.said()[-1] == ("consume", "1")


def test_a_cancel_for_a_slot_of_the_past_changes_nothing() -> None:
    told = Consuming(4)
    told.deliver(1)
    told.peer.say(1, "basic.cancel", "77", True)
    assert not told.got[0].stale


def test_a_queue_that_stays_away_is_not_hammered() -> None:
    told = Consuming()
    for _ in range(40):
        told.peer.refusals["basic.consume"] = (404, "NOT_FOUND - no queue")
        told.peer.say(1, "channel.close", 404, "NOT_FOUND - no queue", 60, 20)
        told.peer.listen()
        told.connected.clock.advance(1.0)
        told.peer.listen()
    attempts = len(told.peer.heard("basic.consume"))
    assert 8 <= attempts <= 20


def test_a_consumer_that_is_cancelled_does_not_come_back() -> None:
    told = Consuming()
    told.peer.say(1, "channel.close", 404, "NOT_FOUND", 0, 0)
    told.peer.listen()
    told.consumer.release()
    told.connected.clock.advance(10)
    assert told.declared == 0
    assert told.said() == []


def test_the_pause_before_trying_again_ends_with_the_connection() -> None:
    told = Consuming()
    told.peer.say(1, "channel.close", 404, "NOT_FOUND", 0, 0)
    told.peer.drop()
    told.consumer.detach()
    told.connected.clock.advance(0)
    assert told.connected.clock.getDelayedCalls() == []
