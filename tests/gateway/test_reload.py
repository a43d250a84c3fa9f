"""A new configuration for a gateway that runs: applied as a whole, or refused as a whole."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway.fakes import NOW, FakeBroker, FakeDelivery, TroubledLedger, count, message
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from zope.interface import implementer

from smsgw.broker.base import Properties, TopologyError, Unavailable
from smsgw.broker.topology import Names, Topology
from smsgw.config import Configuration
from smsgw.errors import ConfigError
from smsgw.gateway.assembly import channels_of
from smsgw.gateway.receipts import SWEEP
from smsgw.gateway.reload import PATIENCE, Reload
from smsgw.gateway.service import Gateway
from smsgw.loading import parse

A = '[channels.a]\ntype = "null"\n'
B = '[channels.b]\ntype = "null"\n'
SLOW = A + 'delay = "10s"\n'
STOP_TIMEOUT = 30.0


def configuration(text: str) -> Configuration:
    found = parse(tomllib.loads(text), {}, lambda name: "")
    if isinstance(found, list):
        raise ConfigError("a.toml", "\na.toml: ".join(f"{each.path}: {each.text}" for each in found))
    return found


@implementer(IReactorFromThreads)
class Reactor(MemoryReactorClock):
    def callFromThread(self, callable: Any, *args: object, **kwargs: object) -> None:  # noqa: A002
        raise AssertionError("nothing here is done in another thread")


class Rig:
    """A gateway of null channels, and a file that the test writes."""

    def __init__(self, path: Path) -> None:
        self.story: list[str] = []
        self.reactor: Any = Reactor()
        self.broker = FakeBroker(self.story)
        self.gateway = Gateway(
            self.broker,
            TroubledLedger(path / "ledger.db", self.story),
            names=Names(),
            rules=[],
            keep=3600,
            park=60,
            assembly_timeout=600,
            max_parts=1000,
            stop_timeout=STOP_TIMEOUT,
            clock=self.reactor,
            now=lambda: NOW + self.reactor.seconds(),
        )
        self.stopped: list[None] = []
        self.text = A
        self.reads = 0
        self.reload: Reload

    def start(self, text: str) -> None:
        self.text = text
        first = configuration(text)
        self.gateway.channels.update(channels_of(first, self.gateway, self.reactor))
        self.reload = Reload(self.gateway, first, self.read, self.reactor)
        self.gateway.startService()
        self.told()

    def read(self) -> Configuration:
        self.reads += 1
        return configuration(self.text)

    def reload_as(self, text: str) -> None:
        self.text = text
        self.reload()

    def take(self, queue: str = "a", message_id: str = "m1") -> FakeDelivery:
        *_, consumer = [each for each in self.broker.consumers if each.queue == f"smsgw.submit.{queue}"]
        return consumer.deliver(
            FakeDelivery(self.story, message(), Properties(message_id=message_id), queue=consumer.queue)
        )

    def stop(self) -> None:
        self.gateway.stopService().addCallback(self.stopped.append)

    def told(self) -> list[str]:
        """What the broker was asked for since last asked."""
        told = [each for each in self.story if each.startswith(("declare", "consume", "cancel", "release"))]
        self.story.clear()
        return told

    def reloads(self, how: str) -> float:
        return count(self.gateway.metrics.reloads, how)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    if made.gateway.running:
        made.stop()
        made.reactor.pump([STOP_TIMEOUT] * 3)


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What is logged at warning level and above."""
    found: list[str] = []

    def observe(event: Any) -> None:
        if event.get("log_level") in (LogLevel.warn, LogLevel.error, LogLevel.critical):
            found.append(str(formatEvent(event)))

    globalLogPublisher.addObserver(observe)
    yield found
    globalLogPublisher.removeObserver(observe)


def test_nothing_changed_nothing_done(rig: Rig) -> None:
    rig.start(A + B)
    rig.reload_as(B + A)
    assert rig.told() == []
    assert rig.reloads("done") == 1


def test_an_added_channel_is_declared_then_started(rig: Rig) -> None:
    rig.start(A)
    rig.reload_as(A + B + 'retry = ["7s"]\nwidth = 3')
    assert rig.told() == ["declare", "consume smsgw.submit.b 3"]
    (declared,) = rig.broker.declared
    assert {"smsgw.submit.a", "smsgw.submit.b", "smsgw.retry.7"} <= {queue.name for queue in declared.queues}
    assert list(rig.gateway.channels) == ["a", "b"]


def test_a_removed_channel_is_drained_and_its_queue_is_told_of(rig: Rig, said: list[str]) -> None:
    rig.start(SLOW + B)
    rig.broker.depths["smsgw.submit.a"] = 7
    delivery = rig.take()
    rig.reload_as(B)
    assert rig.told() == ["cancel smsgw.submit.a"]
    assert list(rig.gateway.channels) == ["a", "b"], "an operator sees it until it is gone"
    rig.reactor.advance(10)
    assert delivery.settled == "ack"
    assert "release smsgw.submit.a" in rig.told()
    assert list(rig.gateway.channels) == ["b"]
    assert [feed.session.name for feed in rig.gateway.outgoing.feeds.values()] == ["b#1"]
    assert said == ["no channel takes from smsgw.submit.a any more; it stays, with 7 messages in it"]


def test_a_removed_channel_holds_a_reload_no_longer_than_the_timeout(rig: Rig, said: list[str]) -> None:
    rig.start(A + 'delay = "1h"\n' + B)
    rig.take()
    rig.reload_as("stop_timeout = 3\n" + B)
    rig.reactor.advance(2.9)
    assert rig.reloads("done") == 0
    rig.reactor.advance(0.1)
    assert (rig.reloads("done"), list(rig.gateway.channels)) == (1, ["b"])
    assert said[0] == "1 messages did not settle in time; they come again"


def test_a_changed_channel_is_replaced_and_the_other_is_left_alone(rig: Rig) -> None:
    rig.start(SLOW + B)
    before = dict(rig.gateway.channels)
    rig.take()
    rig.reload_as(SLOW + "width = 4\n" + B)
    assert rig.told() == ["cancel smsgw.submit.a"]
    rig.reactor.advance(10)
    told = rig.told()
    assert told.index("release smsgw.submit.a") < told.index("consume smsgw.submit.a 4")
    assert not [each for each in told if "submit.b" in each]
    assert rig.gateway.channels["a"] is not before["a"]
    assert rig.gateway.channels["b"] is before["b"]
    assert list(rig.gateway.channels) == ["a", "b"]


def test_a_session_that_comes_up_while_its_channel_leaves_is_given_nothing(rig: Rig) -> None:
    rig.start(SLOW + B)
    rig.take()
    leaving: Any = rig.gateway.channels["a"]
    rig.reload_as(B)
    rig.told()
    rig.gateway.opened(leaving.session)
    assert rig.told() == []


def test_settings_that_change_at_once(rig: Rig) -> None:
    rig.start(A)
    rig.reload_as(
        'stop_timeout = 5\n[ledger]\nkeep = "9d"\n[receipts]\npark = "7s"\n'
        '[inbound]\nassembly_timeout = "3s"\nmax_parts = 9\n'
        + A
        + '[[routes]]\nto = ["46"]\nqueue = ["a"]\nspill = 3'
    )
    (rule,) = rig.gateway.router.rules
    assert (rule.to, rule.queues, rule.spill) == (("46",), ("a",), 3)
    assert rig.gateway.stop_timeout == 5
    assert (rig.gateway.incoming.assembly_timeout, rig.gateway.incoming.max_parts) == (3, 9)
    assert rig.told() == []
    asked: list[dict[str, float]] = []
    expire = rig.gateway.ledger.expire
    rig.gateway.ledger.expire = lambda now, **limits: asked.append(limits) or expire(now, **limits)  # type: ignore[method-assign,func-returns-value]
    rig.reactor.advance(SWEEP)
    assert [(each["keep"], each["park"]) for each in asked] == [(9 * 86400, 7)]


def test_what_needs_a_restart_is_said_each_time(rig: Rig, said: list[str]) -> None:
    rig.start(A)
    for _ in range(2):
        rig.reload_as(A + "[queues.a]\nmax_length = 9\n" + '[broker]\nprefix = "p"')
        assert said == [
            "broker.prefix has changed; that needs a restart",
            "queues.a.max_length has changed; that needs a restart",
        ]
        said.clear()
    assert rig.told() == []
    assert rig.gateway.names.prefix == "smsgw"


ENDPOINT = '[channels.{}]\ntype = "smpp"\nsystem_id = "x"\nendpoint = "{}"\n'


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (A + "widht = 1\n[log]\ncolour = 1", ["a.toml: log.colour: unknown", "a.toml: channels.a.widht"]),
        (
            B + ENDPOINT.format("s", "tcp:h:1:b=2") + ENDPOINT.format("t", "tls:h:1:certificate=/none.pem"),
            ["channels.s.endpoint: not an endpoint", "channels.t.endpoint: /none.pem: No such file"],
        ),
        (B + '[broker]\nurl = "amqp://host:port:1"', ["broker.url: "]),
        ("", ["channels: at least one"]),
    ],
)
def test_a_wrong_configuration_changes_nothing(
    rig: Rig, said: list[str], text: str, lines: list[str]
) -> None:
    rig.start(A)
    rig.reload_as("stop_timeout = 1\n" + text if text else "")
    assert len(said) == len(lines)
    for found, expected in zip(sorted(said), sorted(lines), strict=True):
        assert found.startswith("not reloaded: ")
        assert expected in found
    assert (rig.told(), list(rig.gateway.channels), rig.gateway.stop_timeout) == ([], ["a"], STOP_TIMEOUT)
    assert (rig.reloads("refused"), rig.reloads("done")) == (1, 0)
    rig.reload_as(A + B)
    assert list(rig.gateway.channels) == ["a", "b"]


@pytest.mark.parametrize("error", [Unavailable("the spool is down"), TopologyError("queue b is other")])
def test_what_the_broker_does_not_declare_is_not_started(rig: Rig, said: list[str], error: Exception) -> None:
    rig.start(A)
    rig.broker.refusal = error
    rig.reload_as("stop_timeout = 1\n" + B)
    assert said == [f"not reloaded: {error}"]
    assert (list(rig.gateway.channels), rig.gateway.stop_timeout) == (["a"], STOP_TIMEOUT)
    assert rig.told() == ["declare"]
    rig.broker.refusal = None
    rig.reload()
    assert list(rig.gateway.channels) == ["b"]


def test_a_broker_that_is_away_does_not_keep_a_channel_from_going(rig: Rig) -> None:
    rig.start(A + B)
    rig.broker.refusal = Unavailable("no connection")
    rig.broker.depths["smsgw.submit.b"] = Unavailable("no connection")
    rig.reload_as(A)
    assert (list(rig.gateway.channels), rig.reloads("done")) == (["a"], 1)


def test_reloads_follow_one_another(rig: Rig) -> None:
    rig.start(SLOW + B)
    rig.take()
    rig.reload_as(SLOW + "width = 4\n" + B)
    for _ in range(3):
        rig.reload_as(B)
    assert rig.reads == 1
    rig.reactor.advance(10)
    assert rig.reads == 2, "however often it was asked for"
    assert list(rig.gateway.channels) == ["b"]
    assert rig.reloads("done") == 2


def test_a_reload_that_fails_in_an_unexpected_way_is_counted_and_not_the_last(rig: Rig) -> None:
    rig.start(A)
    good, rig.text = rig.text, "[["
    rig.reload()
    assert count(rig.gateway.metrics.errors, "reload") == 1
    rig.reload_as(good + B)
    assert list(rig.gateway.channels) == ["a", "b"]


def test_one_that_is_asked_for_during_one_that_fails_is_done_all_the_same(rig: Rig) -> None:
    rig.start(A)
    rig.broker.refusal = ZeroDivisionError("nobody expected this")
    declare = rig.broker.declare

    def ask_again(more: Topology) -> Deferred[None]:
        rig.reload_as(A)
        return declare(more)

    rig.broker.declare = ask_again  # type: ignore[method-assign]
    rig.reload_as(B)
    assert count(rig.gateway.metrics.errors, "reload") == 1
    assert (rig.reads, rig.reloads("done")) == (2, 1)


def test_a_broker_that_says_nothing_does_not_hold_a_reload(rig: Rig, said: list[str]) -> None:
    rig.start(A + B)
    rig.broker.depth = lambda queue: Deferred()  # type: ignore[method-assign]
    rig.reload_as(A)
    assert rig.reloads("done") == 0
    rig.reactor.advance(PATIENCE)
    assert rig.reloads("done") == 1
    assert "with an unknown number of messages in it" in said[0]


def test_a_reload_during_the_stop_is_ignored(rig: Rig) -> None:
    rig.start(SLOW)
    rig.take()
    rig.stop()
    rig.reload_as(B)
    assert rig.reads == 0
    rig.reactor.advance(10)
    assert rig.stopped == [None]


def test_a_stop_during_a_reload_takes_over(rig: Rig) -> None:
    rig.start(SLOW + B)
    delivery = rig.take()
    rig.reload_as(B + "[channels.c]\ntype = 'null'")
    rig.stop()
    assert rig.stopped == []
    rig.reactor.advance(10)
    assert (delivery.settled, rig.stopped) == ("ack", [None])
    assert "c" not in rig.gateway.channels
    assert not [each for each in rig.told() if each.startswith("consume smsgw.submit.c")]
    assert rig.reactor.getDelayedCalls() == []


def test_a_stop_waits_for_a_channel_that_is_unbinding_already(rig: Rig) -> None:
    rig.start(A + B)
    unbound: list[Deferred[None]] = []

    def stop() -> Deferred[None]:
        """As a link does: the second call does not wait for the first."""
        unbound.append(Deferred())
        if len(unbound) > 1:
            unbound[-1].callback(None)
        return unbound[-1]

    leaving: Any = rig.gateway.channels["a"]
    leaving.stop = stop
    rig.reload_as(B)
    rig.stop()
    assert (len(unbound), rig.stopped) == (2, [])
    unbound[0].callback(None)
    assert rig.stopped == [None]


def test_a_channel_that_came_and_went_is_shown_nowhere(rig: Rig) -> None:
    rig.start(A)
    gauges = rig.gateway.metrics
    for _ in range(2):
        rig.reload_as(A + B)
        gauges.sessions_up.labels("b").set(1)
        rig.gateway.outgoing.accepted["b"] = 100
        rig.reactor.advance(5)
        assert {"a", "b"} == rig.gateway.overview.rates.keys() == rig.gateway.overview.backlog.keys()
        assert shown(gauges) == {"a", "b"}
        rig.reload_as(A)
        assert {"a"} == rig.gateway.overview.rates.keys() == rig.gateway.overview.backlog.keys()
        assert shown(gauges) == {"a"}
        assert "b" not in rig.gateway.outgoing.accepted
        assert [feed.session.name for feed in rig.gateway.outgoing.feeds.values()] == ["a#1"]
    rig.reload_as(A + B)
    rig.reactor.advance(5)
    assert rig.gateway.overview.rates["b"] == 0


def shown(metrics: Any) -> set[str]:
    gauges = (metrics.sessions_up, metrics.in_flight, metrics.backlog)
    return {
        value
        for gauge in gauges
        for each in gauge.collect()
        for sample in each.samples
        for value in sample.labels.values()
    }
