"""Routing by a topology: pure."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.broker.base import BrokerError
from smsgw.broker.spool.routing import Router, topic_matches
from smsgw.broker.topology import Binding, Exchange, Queue, Topology, topology


@pytest.mark.parametrize(
    ("pattern", "key", "matches"),
    [
        ("#", "", True),
        ("#", "a", True),
        ("#", "a.b.c", True),
        ("*", "a", True),
        ("*", "", False),
        ("*", "a.b", False),
        ("a.*", "a.b", True),
        ("a.*", "a", False),
        ("a.#", "a", True),
        ("a.#", "a.b.c", True),
        ("a.#", "b.a", False),
        ("#.c", "a.b.c", True),
        ("#.c", "c", True),
        ("a.#.c", "a.c", True),
        ("a.#.c", "a.b.b.c", True),
        ("a.#.c", "a.b", False),
        ("*.#", "", False),
        ("#.*", "a", True),
        ("delivered.acme", "delivered.acme", True),
        ("delivered.acme", "delivered.acme2", False),
        ("", "", True),
        ("", "a", False),
        ("a..b", "a..b", True),
        ("a.*.b", "a..b", True),
        ("größe.*", "größe.两", True),
        ("a.b", "a_b", False),
    ],
)
def test_topic_patterns(pattern: str, key: str, matches: bool) -> None:
    assert topic_matches(pattern, key) is matches


words = st.sampled_from(["a", "b", "cc", "", "*", "#"])


def by_regular_expression(pattern: str, key: str) -> bool:
    """Another way to say it: every word of the key is written with a dot after it."""
    parts = {"#": r"(?:[^.]*\.)*", "*": r"[^.]*\."}
    expression = "".join(parts.get(w, re.escape(w) + r"\.") for w in pattern.split(".")) if pattern else ""
    return re.fullmatch(expression, f"{key}." if key else "") is not None


@given(st.lists(words, max_size=5).map(".".join), st.lists(words, max_size=6).map(".".join))
def test_topic_patterns_agree_with_a_regular_expression(pattern: str, key: str) -> None:
    assert topic_matches(pattern, key) is by_regular_expression(pattern, key)


def test_a_nasty_pattern_takes_no_time() -> None:
    assert not topic_matches(".".join("#a" * 20 + "b"), ".".join("a" * 2000))
    assert topic_matches(".".join(["#", "*"] * 20), ".".join("a" * 2000))


ROUTER = Router(
    Topology(
        exchanges=(
            Exchange("d", "direct"),
            Exchange("t", "topic"),
            Exchange("f", "fanout"),
            Exchange("x", "direct"),
        ),
        queues=tuple(Queue(name=name) for name in ("q1", "q2", "q3")),
        bindings=(
            Binding("d", "q1", "one"),
            Binding("d", "q2", "one"),
            Binding("d", "q3", "*"),
            Binding("t", "q1", "a.*"),
            Binding("t", "q2", "#"),
            Binding("t", "q1", "*.b"),
            Binding("f", "q3", "whatever"),
            Binding("f", "q1"),
            Binding("f", "q1", "again"),
        ),
    )
)


@pytest.mark.parametrize(
    ("exchange", "key", "queues"),
    [
        ("", "anything", ("anything",)),
        ("d", "one", ("q1", "q2")),
        ("d", "two", ()),
        ("d", "*", ("q3",)),
        ("t", "a.b", ("q1", "q2")),
        ("t", "c.c", ("q2",)),
        ("t", "", ("q2",)),
        ("f", "whatever", ("q3", "q1")),
        ("f", "", ("q3", "q1")),
        ("x", "one", ()),
    ],
)
def test_a_publish_reaches_each_queue_once(exchange: str, key: str, queues: tuple[str, ...]) -> None:
    assert ROUTER.route(exchange, key) == queues


def test_an_exchange_that_is_not_there() -> None:
    with pytest.raises(BrokerError, match="'nowhere'"):
        ROUTER.route("nowhere", "a")


def test_which_exchanges_can_be_watched() -> None:
    assert [name for name in ("d", "t", "f", "x", "", "nowhere") if ROUTER.is_topic(name)] == ["t"]


def test_the_topology_of_the_contract() -> None:
    router = Router(topology(["nordic", "backup"]))
    assert router.route("smsgw.submit", "nordic") == ("smsgw.submit.nordic",)
    assert router.route("smsgw.submit", "route") == ("smsgw.route",)
    assert router.route("smsgw.submit", "elsewhere") == ()
    assert router.route("smsgw.retry.10", "nordic") == ("smsgw.retry.10",)
    assert router.route("smsgw.events", "delivered.acme") == ("smsgw.events",)
    assert router.route("smsgw.inbound", "acme.4670000") == ("smsgw.inbound",)
    assert router.route("smsgw.dead", "nordic") == ("smsgw.dead",)
