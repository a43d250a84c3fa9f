"""Routing rules, and the router that moves messages by them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway.fakes import FakeChannel, FakeDelivery, Parts, count, message, result
from hypothesis import given
from hypothesis import strategies as st

from smsgw.broker.base import Properties, QueueFull, Unavailable, Unroutable
from smsgw.gateway.durable import AGAIN, HOME, PAUSE, QUEUE, REASON
from smsgw.gateway.routing import WIDTH, Router, Rule, match, ranked

NORDIC = Rule(("46", "47"), ("nordic", "backup"), spill=100)
OSLO = Rule(("+4722",), ("oslo",), spill=100)
REST = Rule(("",), ("backup",), spill=100)


# -- the rules


@pytest.mark.parametrize(
    ("recipient", "rule"),
    [
        ("46700000001", NORDIC),
        ("+46700000001", NORDIC),
        ("4722000000", NORDIC),
        ("49300000000", None),
        ("4", None),
        ("146", None),
    ],
)
def test_the_first_rule_with_a_prefix_of_the_recipient(recipient: str, rule: Rule | None) -> None:
    assert match([NORDIC, OSLO], recipient) is rule


def test_order_decides_not_length() -> None:
    assert match([OSLO, NORDIC], "4722000000") is OSLO


def test_an_empty_prefix_matches_everyone() -> None:
    assert match([NORDIC, REST], "49300000000") is REST


@given(st.from_regex(r"\+?[0-9]{1,20}", fullmatch=True))
def test_no_rule_matches_nobody(recipient: str) -> None:
    assert match([], recipient) is None
    assert match([Rule((), ("q",), 1)], recipient) is None


@pytest.mark.parametrize(
    ("up", "backlog", "queue"),
    [
        ({"nordic": True, "backup": True}, {}, "nordic"),
        ({"nordic": True, "backup": True}, {"nordic": 99}, "nordic"),
        ({"nordic": True, "backup": True}, {"nordic": 100}, "backup"),
        ({"nordic": True, "backup": True}, {"nordic": 100, "backup": 100}, "nordic"),
        ({"nordic": False, "backup": True}, {"nordic": 0, "backup": 5000}, "backup"),
        ({"nordic": True, "backup": False}, {"nordic": 5000}, "nordic"),
        ({"nordic": False, "backup": False}, {}, "nordic"),
        ({}, {}, "nordic"),
    ],
)
def test_the_first_queue_that_is_up_and_short(
    up: dict[str, bool], backlog: dict[str, int], queue: str
) -> None:
    assert ranked(NORDIC, up, backlog)[0] == queue


def test_every_queue_of_the_rule_is_tried_in_the_end() -> None:
    rule = Rule(("46",), ("a", "b", "c", "d"), spill=10)
    up = {"b": True, "c": True, "d": True}
    assert ranked(rule, up, {"b": 10, "c": 3, "d": 12}) == ["c", "b", "d", "a"]


# -- the router


class Desk(Parts):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.nordic, self.backup = FakeChannel("acme"), FakeChannel("spare")
        self.backup.queue = "backup"
        self.router = Router(
            self.broker,
            self.durable,
            [NORDIC],
            {"acme": self.nordic, "spare": self.backup},
            delay=10.0,
            metrics=self.metrics,
            clock=self.clock,
        )
        self.router.start()
        self.consumer = self.broker.consumers[0]
        self.told()

    def take(self, body: bytes = message(), *, redelivered: bool = False, **properties: Any) -> FakeDelivery:
        delivery = FakeDelivery(
            self.story,
            body,
            Properties(**{"message_id": "m1", **properties}),
            queue="smsgw.route",
            redelivered=redelivered,
        )
        return self.consumer.deliver(delivery)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    yield Desk(tmp_path)


def test_the_router_consumes_the_route_queue(desk: Desk) -> None:
    assert (desk.consumer.queue, desk.consumer.width) == ("smsgw.route", WIDTH)


def test_a_message_is_moved_then_acknowledged(desk: Desk) -> None:
    desk.take(
        message(meta={"order": 7}),
        priority=2,
        correlation_id="c1",
        reply_to="answers",
        timestamp=9,
        headers={"tenant": "shop", "x-death": []},
    )
    assert desk.told() == ["publish smsgw.submit nordic", "confirmed smsgw.submit nordic", "ack"]
    moved = desk.broker.published[0]
    assert moved.body == message(meta={"order": 7})
    assert moved.properties == Properties(
        message_id="m1",
        priority=2,
        correlation_id="c1",
        reply_to="answers",
        timestamp=9,
        headers={"tenant": "shop"},
    )


def test_what_may_be_routed_a_second_time_is_marked_so_that_it_is_not_sent_a_second_time(desk: Desk) -> None:
    desk.take(redelivered=True, headers={"tenant": "shop"})
    assert desk.broker.published[0].properties.headers == {"tenant": "shop", AGAIN: 1}


def test_a_message_without_an_id_gets_one_that_stays(desk: Desk) -> None:
    desk.take(message_id=None)
    assert desk.broker.published[0].properties.message_id


def test_a_channel_that_is_down_is_passed_over(desk: Desk) -> None:
    desk.nordic.sessions_up = 0
    desk.take()
    assert desk.broker.published[0].key == "backup"


def test_one_of_a_pool_that_is_up_is_enough(desk: Desk) -> None:
    desk.nordic.sessions_up = 0
    desk.backup.queue = "nordic"
    desk.take()
    assert desk.broker.published[0].key == "nordic"


def test_a_long_queue_spills(desk: Desk) -> None:
    desk.broker.depths = {"smsgw.submit.nordic": 100}
    desk.take()
    assert desk.broker.published[0].key == "backup"


def test_a_depth_that_cannot_be_asked_counts_as_short(desk: Desk) -> None:
    desk.broker.depths = {"smsgw.submit.nordic": Unavailable("gone")}
    desk.take()
    assert desk.broker.published[0].key == "nordic"


def test_no_route_is_a_dead_letter_and_a_rejection(desk: Desk) -> None:
    desk.take(message(to="49300000000", meta={"order": 7}))
    assert desk.told() == [
        "publish smsgw.dead",
        "confirmed smsgw.dead",
        "publish smsgw.events rejected.route",
        "confirmed smsgw.events rejected.route",
        "ack",
    ]
    assert desk.broker.published[0].properties.headers == {REASON: "no route", QUEUE: "smsgw.route"}
    (event,) = desk.broker.events()
    assert (event["id"], event["error"], event["final"], event["meta"]) == (
        "m1",
        "no route",
        True,
        {"order": 7},
    )
    assert count(desk.metrics.dead, "route") == 1


def test_undecodable_is_buried(desk: Desk) -> None:
    desk.take(b"{}")
    assert [event["event"] for event in desk.broker.events()] == ["rejected"]
    assert desk.told()[-1] == "ack"


@pytest.mark.parametrize("error", [QueueFull("refused"), Unavailable("gone")])
def test_a_queue_that_takes_nothing_is_asked_again(desk: Desk, error: Exception) -> None:
    desk.broker.broken = lambda exchange, key: error
    delivery = desk.take()
    desk.clock.advance(PAUSE)
    assert delivery.settled is None
    desk.broker.broken = lambda exchange, key: None
    desk.clock.advance(PAUSE)
    assert delivery.settled == "ack"
    assert len(desk.broker.published) == 1


def test_a_queue_that_is_full_is_passed_over(desk: Desk) -> None:
    desk.broker.broken = lambda exchange, key: QueueFull("refused") if key == "nordic" else None
    desk.take()
    assert desk.told() == [
        "publish smsgw.submit nordic",
        "publish smsgw.submit backup",
        "confirmed smsgw.submit backup",
        "ack",
    ]


def test_where_all_queues_are_full_a_message_is_routed_anew_later(desk: Desk) -> None:
    """It must not keep those waiting that go elsewhere."""
    desk.broker.broken = lambda exchange, key: QueueFull("refused") if exchange == "smsgw.submit" else None
    desk.take()
    assert desk.told()[-3:] == ["publish smsgw.retry.10 route", "confirmed smsgw.retry.10 route", "ack"]


def test_a_retry_goes_to_the_queue_that_is_its_own(desk: Desk) -> None:
    desk.take(message(to="49"), headers={HOME: "backup", "tenant": "shop"})
    assert desk.told()[0] == "publish smsgw.submit backup"
    assert desk.broker.published[0].properties.headers == {"tenant": "shop"}


@pytest.mark.parametrize("error", [QueueFull("full"), Unroutable("no queue")])
def test_a_retry_whose_queue_takes_nothing_comes_back_later(desk: Desk, error: Exception) -> None:
    desk.broker.broken = lambda exchange, key: error if exchange == "smsgw.submit" else None
    desk.take(headers={HOME: "nordic"})
    (published,) = desk.broker.published
    assert (published.exchange, published.key) == ("smsgw.retry.10", "route")
    assert published.properties.headers[HOME] == "nordic"


def test_taken_back_is_left_alone(desk: Desk) -> None:
    desk.broker.broken = lambda exchange, key: Unavailable("gone")
    delivery = desk.take()
    delivery.stale = True
    desk.clock.advance(PAUSE)
    assert desk.clock.getDelayedCalls() == []
    assert count(desk.metrics.errors, "router") == 0


def test_an_unexpected_exception_puts_it_back_after_a_pause(desk: Desk) -> None:
    desk.broker.broken = lambda exchange, key: ZeroDivisionError("ours")
    delivery = desk.take()
    assert delivery.settled is None
    desk.clock.advance(PAUSE)
    assert delivery.settled == "nack"
    assert count(desk.metrics.errors, "router") == 1


def test_stop_waits_until_what_is_under_way_is_acknowledged(desk: Desk) -> None:
    desk.broker.held = True
    desk.take()
    stopped: list[None] = []
    desk.router.stop().addCallback(stopped.append)
    assert (stopped, desk.told()[-1]) == ([], "cancel smsgw.route")
    desk.broker.confirm()
    assert (stopped, desk.told()) == ([None], ["confirmed smsgw.submit nordic", "ack"])


def test_stop_before_start(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    router = Router(parts.broker, parts.durable, [], {}, delay=10.0, metrics=parts.metrics, clock=parts.clock)
    assert result(router.stop()) is None
