"""The broker that reconnects, against brokers' sides by hand and a clock of the test's own."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from amqp_peer import Peer, PeerEndpoint
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, formatEvent, globalLogPublisher

from smsgw.broker.amqp import AmqpBroker, Backoff
from smsgw.broker.amqp.broker import DECLARE_SECONDS, DEPTH_SECONDS
from smsgw.broker.base import BrokerError, Properties, TopologyError, Unavailable
from smsgw.broker.topology import Names, topology
from smsgw.errors import ConfigError

URL = "amqp://user:sesame@host/"
NAMES = Names()
INEQUIVALENT = (
    "PRECONDITION_FAILED - inequivalent arg 'x-max-priority' for queue 'smsgw.submit.a' in vhost '/': "
    "received the value '3' of type 'signedint' but current is none"
)


class Told:
    """A broker, the endpoint it dials, and what its Deferreds became."""

    def __init__(self, url: str = URL) -> None:
        self.clock = Clock()
        self.endpoint = PeerEndpoint(self.clock)
        self.now = 1000.0
        self.broker = AmqpBroker(
            url,
            topology(["a"]),
            self.clock,
            endpoint=self.endpoint,
            chance=lambda: 0.0,
            wall=lambda: self.now + self.clock.seconds(),
        )

    def up(self) -> Told:
        self.broker.start()
        self.turn()
        assert self.broker.state.name == "up"
        return self

    @property
    def peer(self) -> Peer:
        return self.endpoint.peer

    def turn(self) -> None:
        if self.endpoint.peers:
            self.peer.listen()
        else:
            self.clock.advance(0)

    def later(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.turn()


class Outcome:
    """What a Deferred became: `value`, or `error`."""

    def __init__(self, waiting: Deferred[Any]) -> None:
        self.done = False
        self.value: Any = None
        self.error: Exception | None = None
        waiting.addCallbacks(self._fired, self._failed)

    def _fired(self, value: Any) -> None:
        self.done, self.value = True, value

    def _failed(self, failure: Any) -> None:
        self.done, self.error = True, failure.value


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    """Texts of what was logged at warning level and above, by this thread: a reactor may run beside it."""
    gc.collect()  # or what other tests left behind would say its last word here
    found: list[str] = []
    here = threading.get_ident()

    def observe(event: Any) -> None:
        if threading.get_ident() == here and event.get("log_level") in (
            LogLevel.warn,
            LogLevel.error,
            LogLevel.critical,
        ):
            found.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield found
    globalLogPublisher.removeObserver(observe)


# Coming up


def test_coming_up_declares_everything_then_begins() -> None:
    told = Told()
    got: list[Any] = []
    consumer = told.broker.consume(NAMES.queue("a"), 5, got.append)
    ready = Outcome(told.broker.ready())
    told.now = 2000.0
    told.up()
    assert ready.done
    assert ready.error is None
    assert told.broker.state.since == 2000.0
    declared = [said.args["queue"] for said in told.peer.heard("queue.declare")]
    assert declared == [queue.name for queue in topology(["a"]).queues]
    assert all(said.args["durable"] for said in told.peer.heard("queue.declare"))
    assert len(told.peer.heard("exchange.declare")) == len(topology(["a"]).exchanges)
    assert len(told.peer.heard("queue.bind")) == len(topology(["a"]).bindings)
    names = [said.name for said in told.peer.history]
    assert names.index("basic.consume") > len(names) - 1 - names[::-1].index("queue.bind")
    assert consumer.width == 5


def test_publish_works_while_up_and_fails_at_once_while_down() -> None:
    told = Told()
    assert isinstance(Outcome(told.broker.publish("", "q", b"")).error, Unavailable)
    told.up()
    stored = Outcome(told.broker.publish("", "q", b"body", Properties(message_id="m")))
    told.turn()
    assert not stored.done
    channel = told.peer.heard("basic.publish")[0].channel
    told.peer.say(channel, "basic.ack", 1, False)
    assert (stored.done, stored.error) == (True, None)
    pending = Outcome(told.broker.publish("", "q", b"2"))
    told.peer.drop()
    assert isinstance(pending.error, Unavailable)
    assert isinstance(Outcome(told.broker.publish("", "q", b"3")).error, Unavailable)
    assert told.broker.state.name == "down"


def test_reconnecting_consumes_again_and_says_since_when() -> None:
    told = Told().up()
    got: list[Any] = []
    told.broker.consume(NAMES.queue("a"), 5, got.append)
    told.turn()
    told.clock.advance(60)
    told.peer.drop()
    assert told.broker.state.name == "down"
    assert told.broker.state.since == 1060.0
    assert told.broker.state.error
    told.later(0.2)
    assert told.broker.state.name == "up"
    assert len(told.endpoint.peers) == 2
    channel = told.peer.heard("basic.consume")[0].channel
    told.peer.deliver(channel, 1, b"again", redelivered=True)
    assert got[0].redelivered
    assert not got[0].stale


# Backing off


def test_pauses_grow_to_a_limit_and_shrink_by_chance() -> None:
    backoff = Backoff(first=0.2, longest=5.0, jitter=0.3)
    assert [round(backoff.pause(n, 0.0), 2) for n in range(1, 8)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert backoff.pause(10_000, 1.0) == pytest.approx(3.5)


def test_a_broker_that_is_away_is_dialled_with_growing_pauses(warnings: list[str]) -> None:
    told = Told()
    told.endpoint.refuse = True
    told.broker.start()
    told.clock.pump([0.1] * 300)
    gaps = [round(b - a, 1) for a, b in zip(told.endpoint.attempts, told.endpoint.attempts[1:], strict=False)]
    assert gaps[:5] == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2], abs=0.11)
    assert set(gaps[5:]) <= {5.0, 5.1}
    assert len(warnings) == len(told.endpoint.attempts)
    assert "refused" in (told.broker.state.error or "")
    told.endpoint.refuse = False
    told.later(5)
    assert told.broker.state.name == "up"


def test_a_wrong_password_is_told_at_once_and_backs_off_without_showing_it(warnings: list[str]) -> None:
    told = Told()

    def refuse(peer: Peer) -> None:
        peer.refusals["connection.start-ok"] = (403, "ACCESS_REFUSED - Login was refused")

    told.endpoint.prepare = refuse
    told.broker.start()
    told.turn()
    assert told.broker.state.name == "down"
    assert told.broker.state.error == "403 ACCESS_REFUSED - Login was refused"
    for _ in range(300):
        told.later(0.1)
    assert 8 <= len(told.endpoint.attempts) <= 12
    assert len(warnings) == len(told.endpoint.attempts)
    assert not any("sesame" in line for line in warnings)
    assert "sesame" not in repr(told.broker)
    assert "403 ACCESS_REFUSED" in repr(told.broker)


def test_connections_that_end_before_the_topology_stands_do_not_reset_the_pause() -> None:
    told = Told()

    def cut(peer: Peer) -> None:
        peer.silenced.add("queue.bind")

    told.endpoint.prepare = cut
    told.broker.start()
    for _ in range(6):
        told.turn()
        told.peer.drop()
        told.later(5)
    assert len(told.endpoint.attempts) == 7


def test_a_handshake_that_hangs_is_given_up() -> None:
    told = Told("amqp://host?connection_timeout=3000")
    told.endpoint.prepare = lambda peer: setattr(peer, "serving", False)
    told.broker.start()
    told.turn()
    told.later(3)
    assert "no AMQP handshake within 3 s" in (told.broker.state.error or "")


# Topology


def other_arguments(peer: Peer) -> None:
    peer.refusals["queue.declare"] = (406, INEQUIVALENT)


def test_other_arguments_name_the_queue_and_both_sides(warnings: list[str]) -> None:
    told = Told()
    told.endpoint.prepare = other_arguments
    ready = Outcome(told.broker.ready())
    told.broker.start()
    told.turn()
    assert isinstance(ready.error, TopologyError)
    text = str(ready.error)
    assert "smsgw.submit.a" in text
    assert "x-max-priority is none there, the value '3' of type 'signedint' here" in text
    assert told.broker.state.error == text
    assert isinstance(Outcome(told.broker.ready()).error, TopologyError)
    assert warnings == [f"no connection to {told.broker.url}: {text}"]
    told.later(4.9)
    assert len(told.endpoint.attempts) == 1
    told.endpoint.prepare = lambda peer: None
    told.later(0.2)
    assert told.broker.state.name == "up"
    assert Outcome(told.broker.ready()).error is None


@pytest.mark.parametrize("method", ["exchange.declare", "queue.declare", "queue.bind"])
def test_a_refusal_of_another_kind_says_what_was_refused(method: str) -> None:
    told = Told()
    told.endpoint.prepare = lambda peer: peer.refusals.update({method: (403, "ACCESS_REFUSED - no")})
    told.broker.start()
    told.turn()
    assert told.broker.state.name == "down"
    assert "403 ACCESS_REFUSED - no" in (told.broker.state.error or "")
    assert "smsgw." in (told.broker.state.error or "")


def test_what_was_declared_later_is_declared_at_the_next_connect_too() -> None:
    told = Told().up()
    declared = Outcome(told.broker.declare(topology(["b"], retry_steps=(7.0,))))
    told.turn()
    assert (declared.done, declared.error) == (True, None)
    told.peer.drop()
    told.later(0.2)
    assert len(told.endpoint.peers) == 2
    names = {said.args["queue"] for said in told.peer.heard("queue.declare")}
    assert {"smsgw.submit.a", "smsgw.submit.b", "smsgw.retry.7", "smsgw.retry.10"} <= names


def test_what_could_not_be_declared_does_not_keep_the_next_connection_from_coming_up() -> None:
    told = Told().up()
    told.peer.refusals["queue.declare"] = (406, INEQUIVALENT)
    declared = Outcome(told.broker.declare(topology(["b"])))
    told.turn()
    assert isinstance(declared.error, TopologyError)
    assert told.broker.state.name == "up"
    told.peer.drop()
    told.later(0.2)
    assert "smsgw.submit.b" not in {said.args["queue"] for said in told.peer.heard("queue.declare")}


def test_declaring_without_a_connection_fails_at_once() -> None:
    told = Told()
    assert isinstance(Outcome(told.broker.declare(topology(["b"]))).error, Unavailable)


@pytest.mark.parametrize("how", ["silence", "loss"])
def test_declaring_ends_with_the_connection_or_after_a_while(how: str) -> None:
    told = Told().up()
    told.peer.silenced.add("queue.bind")
    declared = Outcome(told.broker.declare(topology(["b"])))
    told.turn()
    assert not declared.done
    if how == "loss":
        told.peer.drop()
    else:
        told.later(DECLARE_SECONDS)
    assert isinstance(declared.error, Unavailable)


def test_a_deleted_queue_is_declared_again_once_for_all_its_consumers() -> None:
    told = Told().up()
    consumers = [told.broker.consume(NAMES.queue("a"), 5, lambda _: None) for _ in range(3)]
    told.turn()
    declared = len(told.peer.heard("queue.declare"))
    for said in told.peer.heard("basic.consume"):
        told.peer.say(said.channel, "basic.cancel", "1", True)
    told.later(0.2)
    assert len(told.peer.heard("queue.declare")) == 2 * declared
    assert len(told.peer.heard("basic.consume")) == 6
    assert [consumer.unsettled for consumer in consumers] == [0, 0, 0]
    assert told.broker.state.name == "up"


def test_a_topology_that_changed_meanwhile_shows_and_the_rest_goes_on() -> None:
    told = Told().up()
    told.broker.consume(NAMES.queue("a"), 5, lambda _: None)
    told.turn()
    other_arguments(told.peer)
    (said,) = told.peer.heard("basic.consume")
    told.peer.say(said.channel, "basic.cancel", "1", True)
    told.later(0.2)
    assert told.broker.state.name == "up"
    assert "x-max-priority" in (told.broker.state.error or "")


def test_a_publish_to_a_deleted_exchange_has_it_declared_again() -> None:
    told = Told().up()
    pending = Outcome(told.broker.publish("smsgw.submit", "a", b""))
    told.turn()
    declared = len(told.peer.heard("exchange.declare"))
    channel = told.peer.heard("basic.publish")[0].channel
    told.peer.say(channel, "channel.close", 404, "NOT_FOUND - no exchange 'smsgw.submit'", 60, 40)
    told.turn()
    assert isinstance(pending.error, Unavailable)
    assert "no exchange" in str(pending.error)
    assert len(told.peer.heard("exchange.declare")) == 2 * declared
    assert told.broker.state.name == "up"


# While up


def test_blocked_is_a_state_and_publishes_wait() -> None:
    told = Told().up()
    told.clock.advance(5)
    told.peer.say(0, "connection.blocked", "low on memory")
    assert (told.broker.state.name, told.broker.state.error) == ("blocked", "low on memory")
    assert told.broker.state.since == 1005.0
    assert Outcome(told.broker.ready()).done
    stored = Outcome(told.broker.publish("", "q", b"waits"))
    told.turn()
    assert not stored.done
    told.peer.say(0, "connection.unblocked")
    assert told.broker.state.name == "up"
    told.peer.say(told.peer.heard("basic.publish")[0].channel, "basic.ack", 1, False)
    assert stored.error is None
    assert stored.done


def test_a_silent_broker_is_given_up_and_dialled_again() -> None:
    told = Told().up()
    told.peer.serving = False
    for _ in range(6):
        told.clock.advance(5)
    assert "silent" in (told.broker.state.error or "")
    assert len(told.endpoint.attempts) == 2


def test_depth_is_what_the_broker_counts() -> None:
    told = Told()
    assert isinstance(Outcome(told.broker.depth("q")).error, Unavailable)
    told.up()
    depth = Outcome(told.broker.depth("q"))
    told.turn()
    assert depth.value == 7
    assert told.peer.history[-2].args["passive"] is True
    told.peer.refusals["queue.declare"] = (404, "NOT_FOUND - no queue 'q'")
    missing = Outcome(told.broker.depth("q"))
    told.turn()
    assert type(missing.error) is BrokerError
    told.peer.silenced.add("queue.declare")
    lost = Outcome(told.broker.depth("q"))
    told.turn()
    told.peer.drop()
    assert isinstance(lost.error, Unavailable)


def test_depth_has_a_deadline() -> None:
    told = Told().up()
    told.peer.silenced.add("queue.declare")
    depth = Outcome(told.broker.depth("q"))
    told.turn()
    asked = told.peer.heard("queue.declare")[-1].channel
    told.later(DEPTH_SECONDS - 1)
    assert not depth.done
    told.later(2)
    assert isinstance(depth.error, Unavailable)
    assert "no answer within 10 s" in str(depth.error)
    assert told.peer.heard("channel.close")[-1].channel == asked, (
        "nothing is left open for an answer too late"
    )
    assert told.broker.state.name == "up"


def test_a_watch_is_in_place_after_its_binding_and_again_after_a_loss() -> None:
    told = Told()
    heard: list[tuple[str, bytes]] = []
    placed = Outcome(told.broker.watch("smsgw.events", "#", lambda key, body: heard.append((key, body))))
    told.up()
    told.turn()
    assert placed.done
    bound = told.peer.heard("queue.bind")[-1]
    assert (bound.args["queue"], bound.args["exchange"], bound.args["routing-key"]) == (
        "amq.gen-1",
        "smsgw.events",
        "#",
    )
    declared = [said for said in told.peer.heard("queue.declare") if said.args["exclusive"]]
    assert declared[0].args["auto-delete"] is True
    (consuming,) = told.peer.heard("basic.consume")
    assert consuming.args["no-ack"] is True
    told.peer.deliver(consuming.channel, 1, b"event", consumer="ctag", key="accepted.acme")
    assert heard == [("accepted.acme", b"event")]
    told.peer.drop()
    told.later(0.2)
    (consuming,) = told.peer.heard("basic.consume")
    told.peer.deliver(consuming.channel, 1, b"more", consumer="ctag", key="k")
    assert heard[-1] == ("k", b"more")


def test_a_watcher_that_fails_harms_nobody() -> None:
    told = Told().up()

    def fail(key: str, body: bytes) -> None:
        raise ZeroDivisionError

    told.broker.watch("smsgw.events", "#", fail)
    told.turn()
    (consuming,) = told.peer.heard("basic.consume")
    told.peer.deliver(consuming.channel, 1, b"event", consumer="ctag")
    assert told.broker.state.name == "up"
    told.peer.say(consuming.channel, "basic.cancel", "ctag", True)
    told.later(0.2)
    assert len(told.peer.heard("basic.consume")) == 2


def test_consumers_beyond_the_brokers_channels_wait_for_one(warnings: list[str]) -> None:
    told = Told().up()
    told.peer.client.tune(4, 0)  # the publisher has one of them
    consumers = [told.broker.consume(NAMES.queue("a"), 1, lambda _: None) for _ in range(4)]
    told.turn()
    assert len(told.peer.heard("basic.consume")) == 3
    assert "no channel to open" in warnings[0]
    consumers[0].release()
    told.turn()
    told.later(0.2)
    assert told.broker.state.name == "up"
    assert len(told.peer.heard("basic.consume")) == 4


# Stopping in every state


def idle(told: Told) -> None:
    pass


def dialling(told: Told) -> None:
    told.endpoint.never = True
    told.broker.start()


def shaking_hands(told: Told) -> None:
    told.endpoint.prepare = lambda peer: setattr(peer, "serving", False)
    told.broker.start()
    told.turn()


def declaring(told: Told) -> None:
    told.endpoint.prepare = lambda peer: peer.silenced.add("queue.declare")
    told.broker.start()
    told.turn()


def backing_off(told: Told) -> None:
    told.endpoint.refuse = True
    told.broker.start()
    told.later(1)


def connected(told: Told) -> None:
    told.up()


def lost(told: Told) -> None:
    told.up()
    told.peer.drop()


@pytest.mark.parametrize("state", [idle, dialling, shaking_hands, declaring, backing_off, connected, lost])
def test_stop_works_in_every_state(state: Callable[[Told], None]) -> None:
    told = Told()
    told.broker.consume(NAMES.queue("a"), 1, lambda _: None)
    state(told)
    ready = Outcome(told.broker.ready())
    stopped, again = Outcome(told.broker.stop()), Outcome(told.broker.stop())
    told.turn()
    told.turn()
    assert (stopped.done, stopped.error) == (True, None)
    assert (again.done, again.error) == (True, None)
    assert told.broker.state.name == "stopped"
    assert state is connected or isinstance(ready.error, Unavailable)
    assert isinstance(Outcome(told.broker.ready()).error, Unavailable)
    assert isinstance(Outcome(told.broker.publish("", "q", b"")).error, Unavailable)
    attempts = len(told.endpoint.attempts)
    told.broker.start()
    told.later(60)
    assert len(told.endpoint.attempts) == attempts
    assert told.clock.getDelayedCalls() == []


def test_stop_waits_for_confirms_and_takes_no_more_deliveries() -> None:
    told = Told().up()
    got: list[Any] = []
    told.broker.consume(NAMES.queue("a"), 5, got.append)
    stored = Outcome(told.broker.publish("", "q", b"last"))
    told.turn()
    stopped = Outcome(told.broker.stop())
    told.turn()
    assert not stopped.done
    assert told.peer.heard("basic.cancel")
    assert not told.peer.heard("connection.close")
    told.peer.say(told.peer.heard("basic.publish")[0].channel, "basic.ack", 1, False)
    told.turn()
    assert stored.error is None
    assert stopped.done
    assert told.peer.heard("connection.close")


def test_stop_is_bounded_when_nothing_is_confirmed_and_nothing_answered() -> None:
    told = Told().up()
    pending = Outcome(told.broker.publish("", "q", b"last"))
    told.turn()
    stopped = Outcome(told.broker.stop())
    told.peer.serving = False
    told.later(5)
    assert not stopped.done
    told.later(2)
    assert stopped.done
    assert isinstance(pending.error, Unavailable)
    assert told.peer.transport.disconnected


def test_a_connection_that_is_lost_while_stopping_ends_the_wait() -> None:
    told = Told().up()
    pending = Outcome(told.broker.publish("", "q", b"last"))
    told.turn()
    stopped = Outcome(told.broker.stop())
    told.peer.drop()
    assert stopped.done
    assert isinstance(pending.error, Unavailable)
    told.later(60)
    assert len(told.endpoint.attempts) == 1


def test_a_ready_that_is_cancelled_is_forgotten() -> None:
    told = Told()
    waiting = told.broker.ready()
    outcome = Outcome(waiting)
    waiting.cancel()
    told.up()
    assert type(outcome.error).__name__ == "CancelledError"


@pytest.mark.parametrize(
    "content", [None, "no certificate here", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"]
)
def test_an_unusable_ca_file_is_an_error_at_once(tmp_path: Any, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"ca\.pem"):
        AmqpBroker("amqps://host", topology(["a"]), Clock(), ca_file=str(path))
