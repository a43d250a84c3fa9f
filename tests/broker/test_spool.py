"""The spool in slow motion: a clock for a reactor, and a plain call for the worker thread."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock

from smsgw.broker.base import BrokerError, Delivery, Properties, QueueFull, Unavailable
from smsgw.broker.spool import Spool, expiry, published, reader, store, writer
from smsgw.broker.spool.broker import RETRY
from smsgw.broker.topology import Binding, Exchange, Names, Queue, Topology, topology
from smsgw.errors import Misuse, StorageError

NAMES = Names()
A = NAMES.queue("a")
NOW = 1_700_000_000.0


def result(deferred: Deferred[Any]) -> Any:
    """What a Deferred fired with, by now; a failure is raised."""
    outcome: list[Any] = []
    deferred.addCallbacks(outcome.append, lambda failure: outcome.append(failure.value))
    assert outcome, "it did not fire"
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def synchronous(function: Callable[[], Any], /) -> Deferred[Any]:
    return maybeDeferred(function)


class World:
    """Spools on one file, sharing a clock, as processes share the time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock()
        self.clock.advance(NOW)
        self.spools: list[Spool] = []

    def make(self, wanted: Topology | None = None, **settings: Any) -> Spool:
        spool = Spool(
            self.path, wanted or topology(["a", "b"], **settings), self.clock, run_in_thread=synchronous
        )
        self.spools.append(spool)
        return spool

    def start(self, wanted: Topology | None = None, **settings: Any) -> Spool:
        spool = self.make(wanted, **settings)
        spool.start()
        result(spool.ready())
        self.turn()
        return spool

    def turn(self, seconds: float = 0) -> None:
        """Let so much time pass, and the turns that follow from it."""
        self.clock.advance(seconds)
        for _ in range(6):
            self.clock.advance(0)

    def publish(
        self, spool: Spool, *bodies: bytes, exchange: str = NAMES.submit, key: str = "a", **properties: Any
    ) -> None:
        published = [spool.publish(exchange, key, body, Properties(**properties)) for body in bodies]
        self.turn()
        for one in published:
            result(one)

    def stop(self, spool: Spool) -> None:
        stopped = spool.stop()
        self.turn()
        result(stopped)

    def kill(self, spool: Spool) -> None:
        """As if its process had died: nothing is written, and the kernel drops its locks."""
        for one in spool._readers.values():
            one._lock.drop()
        for call in self.clock.getDelayedCalls():
            call.cancel()
        spool._name = "stopped"
        assert spool.database._connection is not None
        spool.database._connection.close()
        self.spools.remove(spool)


class Got(list[Delivery]):
    """The deliveries of a consumer."""

    def __call__(self, delivery: Delivery) -> None:
        self.append(delivery)

    @property
    def bodies(self) -> list[bytes]:
        return [delivery.body for delivery in self]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "spool.db")
    yield made
    for spool in made.spools:
        spool.stop()
        made.turn()


@pytest.fixture
def spool(world: World) -> Spool:
    return world.start()


def connection_of(spool: Spool) -> sqlite3.Connection:
    assert spool.database._connection is not None
    return spool.database._connection


def statements(spool: Spool) -> list[str]:
    """A list to which every statement is added as SQLite runs it, without its arguments."""
    seen: list[str] = []
    connection_of(spool).set_trace_callback(lambda text: seen.append(" ".join(text.split()[:2])))
    return seen


def writable(spool: Spool, yes: bool) -> None:
    """A file system that refuses writing, or does so no longer."""
    connection_of(spool).execute(f"PRAGMA query_only = {'OFF' if yes else 'ON'}")


# What is written, and when


def test_a_delivery_writes_nothing(world: World, spool: Spool) -> None:
    world.publish(spool, *[b"%d" % n for n in range(20)])
    got = Got()
    spool.consume(A, 5, got)
    world.turn()
    seen = statements(spool)
    got[0].nack()
    got[1].nack()
    world.turn()
    assert len(got) == 7
    assert not [text for text in seen if not text.startswith(("SELECT", "BEGIN", "COMMIT", "PRAGMA"))]


def test_what_is_asked_for_in_one_turn_is_one_transaction(world: World, spool: Spool) -> None:
    world.publish(spool, b"1", b"2", b"3")
    got = Got()
    spool.consume(A, 3, got)
    world.turn()
    seen = statements(spool)
    for delivery in got:
        delivery.ack()
    confirmed = [spool.publish(NAMES.events, "accepted.acme", b"{}") for _ in range(3)]
    world.turn()
    for one in confirmed:
        result(one)
    assert seen.count("BEGIN IMMEDIATE") == 1
    assert result(spool.depth(A)) == 0


def test_what_waits_for_its_commit_is_bounded(
    world: World, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PENDING_OCTETS", 10_000)
    flood = [spool.publish(NAMES.submit, "a", b"x" * 500) for _ in range(30)]
    refused = [one for one in flood if one.called]
    assert 0 < len(refused) < 30
    for one in refused:
        with pytest.raises(Unavailable, match="as fast"):
            result(one)
    world.turn()
    assert result(spool.depth(A)) == 30 - len(refused)
    world.publish(spool, b"and again there is room")


@pytest.mark.parametrize(
    "properties",
    [
        Properties(headers={"x": ...}),
        Properties(headers={"x": 2**70}),
        Properties(headers={"x": "\ud800"}),
        Properties(headers={1: "a key that is no text"}),  # type: ignore[dict-item]
        Properties(priority="high"),  # type: ignore[arg-type]
        Properties(expiration="soon"),
        Properties(expiration="-1"),
        Properties(expiration="٣"),
        Properties(message_id=b"octets"),  # type: ignore[arg-type]
    ],
    ids=repr,
)
def test_what_can_not_be_kept_is_refused_at_once(world: World, spool: Spool, properties: Properties) -> None:
    with pytest.raises(Misuse):
        result(spool.publish(NAMES.submit, "a", b"{}", properties))
    world.publish(spool, b"good")
    assert result(spool.depth(A)) == 1


@pytest.mark.parametrize(
    ("exchange", "key", "error"), [("nowhere", "a", BrokerError), ("", "\ud800", Misuse)]
)
def test_a_publish_that_leads_nowhere(spool: Spool, exchange: str, key: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        result(spool.publish(exchange, key, b"{}"))


# Reading ahead


def test_memory_stays_flat_however_many_wait(
    world: World, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish(spool, *[b"%d" % n for n in range(2000)])
    read = 0

    def fetch(self: store.Store, *arguments: Any, **named: Any) -> store.Fetched:
        nonlocal read
        fetched = original(self, *arguments, **named)
        read += len(fetched.rows)
        return fetched

    original = store.Store.fetch
    monkeypatch.setattr(store.Store, "fetch", fetch)
    got = Got()
    spool.consume(A, 10, got)
    world.turn()
    for settled in range(0, 300, 10):
        assert len(got) == settled + 10
        assert read - settled <= 10 + reader.READ_AHEAD_LEAST
        for delivery in got[settled : settled + 10]:
            delivery.ack()
        world.turn()
    assert got.bodies == [b"%d" % n for n in range(310)]


def test_large_messages_are_read_a_few_at_a_time(
    world: World, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "FETCH_OCTETS", 10_000)
    world.publish(spool, *[b"%03d" % n + b"x" * 4000 for n in range(20)])
    sizes: list[int] = []

    def fetch(self: store.Store, *arguments: Any, **named: Any) -> store.Fetched:
        fetched = original(self, *arguments, **named)
        sizes.append(len(fetched.rows))
        return fetched

    original = store.Store.fetch
    monkeypatch.setattr(store.Store, "fetch", fetch)
    got = Got()
    spool.consume(A, 20, got)
    world.turn()
    assert max(sizes) == 3
    assert [body[:3] for body in got.bodies] == [b"%03d" % n for n in range(20)]


def test_urgent_rows_are_read_past_a_full_memory(world: World, spool: Spool) -> None:
    world.publish(spool, *[b"bulk"] * 50, priority=0)
    got = Got()
    spool.consume(A, 2, got)
    world.turn()
    world.publish(spool, b"urgent", priority=3)
    world.publish(spool, b"high", priority=2)
    for _ in range(3):
        got[-1].ack()
        world.turn()
    assert got.bodies[2:] == [b"urgent", b"high", b"bulk"]


def test_an_urgent_burst_is_in_memory_before_it_is_needed(
    world: World, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However narrow the channel: the next read takes time, and what is less urgent must not slip in."""
    world.publish(spool, *[b"bulk"] * 50, priority=0)
    got = Got()
    spool.consume(A, 1, got)
    world.turn()
    for _ in range(10):
        world.publish(spool, b"urgent", priority=3)
    monkeypatch.setattr(store.Store, "fetch", lambda *_, **__: store.Fetched([], exhausted=False))
    for n in range(10):
        got[n].ack()
        world.turn()
    assert got.bodies[1:] == [b"urgent"] * 10


def test_priorities_of_a_queue_without_any_are_ignored(world: World) -> None:
    spool = world.start(
        Topology(exchanges=(), queues=(Queue(name="plain"), Queue(name="two", max_priority=1)), bindings=())
    )
    for name in ("plain", "two"):
        for priority in (0, 1, 5, None, 0):
            world.publish(spool, b"%d" % (priority or 0), exchange="", key=name, priority=priority)
    got = {name: Got() for name in ("plain", "two")}
    for name, collected in got.items():
        spool.consume(name, 9, collected)
    world.turn()
    assert got["plain"].bodies == [b"0", b"1", b"5", b"0", b"0"]
    assert got["two"].bodies == [b"1", b"5", b"0", b"0", b"0"]


def test_a_width_of_none_is_a_pause(world: World, spool: Spool) -> None:
    world.publish(spool, b"1", b"2")
    got = Got()
    consumer = spool.consume(A, 0, got)
    world.turn(5)
    assert not got
    consumer.resize(1)
    world.turn()
    assert got.bodies == [b"1"]


# Settling


def test_what_is_put_back_waits_for_the_next_turn(world: World, spool: Spool) -> None:
    """So a consumer that refuses everything does not hold the reactor."""
    turns: list[int] = []
    turn = 0

    def count() -> None:
        nonlocal turn
        turn += 1
        if turn < 50:
            world.clock.callLater(0, count)

    def refuse(delivery: Delivery) -> None:
        turns.append(turn)
        if len(turns) < 5:
            delivery.nack()

    world.publish(spool, b"never")
    spool.consume(A, 1, refuse)
    count()
    world.turn()
    assert len(turns) == 5
    assert len(set(turns)) >= 4  # here, reading ahead is done within the turn, and looks again


def test_a_consumer_that_raises_is_tried_again_after_a_while(world: World, spool: Spool) -> None:
    got = Got()

    def fail(delivery: Delivery) -> None:
        got(delivery)
        raise ZeroDivisionError

    world.publish(spool, b"1", b"2", b"3")
    consumer = spool.consume(A, 2, fail)
    world.turn()
    assert got.bodies == [b"1", b"2"]
    assert consumer.unsettled == 2
    world.turn(reader.RAISED)
    assert got.bodies == [b"1", b"2", b"1", b"2"]
    assert got[2].redelivered


def test_a_redelivered_mark_outlives_an_orderly_stop(world: World, spool: Spool) -> None:
    world.publish(spool, *[b"%d" % n for n in range(6)])
    got = Got()
    consumer = spool.consume(A, 3, got)
    world.turn()
    got[0].nack()
    got[1].ack()
    consumer.resize(0)
    world.turn()
    world.stop(spool)
    again = Got()
    world.start().consume(A, 10, again)
    world.turn()
    assert again.bodies == [b"0", b"2", b"3", b"4", b"5"]
    assert [delivery.redelivered for delivery in again] == [True, True, False, False, False]


def test_after_a_crash_all_that_was_there_may_have_been_out(world: World) -> None:
    first = world.start()
    world.publish(first, b"1", b"2", b"3")
    got = Got()
    first.consume(A, 1, got)
    world.turn()
    world.kill(first)
    second = world.start()
    world.publish(second, b"4")
    again = Got()
    second.consume(A, 10, again)
    world.turn()
    world.publish(second, b"5")
    assert [(one.body, one.redelivered) for one in again] == [
        (b"1", True),
        (b"2", True),
        (b"3", True),
        (b"4", True),  # it came before the queue was taken: nobody can know
        (b"5", False),
    ]


def test_suspicion_outlives_an_orderly_stop_but_does_not_spread(world: World) -> None:
    first = world.start()
    world.publish(first, b"1", b"2")
    first.consume(A, 1, Got())
    world.turn()
    world.kill(first)
    second = world.start()
    second.consume(A, 0, Got())
    world.turn()
    world.publish(second, b"3")
    world.stop(second)
    again = Got()
    world.start().consume(A, 10, again)
    world.turn()
    assert [one.redelivered for one in again] == [True, True, False]


def test_a_crash_of_a_process_that_only_publishes_marks_nothing(world: World) -> None:
    first = world.start()
    world.publish(first, b"1")
    world.kill(first)
    got = Got()
    world.start().consume(A, 1, got)
    world.turn()
    assert [one.redelivered for one in got] == [False]


def test_a_stale_delivery_settles_nothing(world: World, spool: Spool) -> None:
    world.publish(spool, b"1")
    got = Got()
    consumer = spool.consume(A, 1, got)
    world.turn()
    consumer.release()
    assert got[0].stale
    world.turn()
    got[0].ack()
    got[0].nack()
    world.turn()
    assert result(spool.depth(A)) == 1


def test_a_settled_delivery_says_nothing_about_the_next_of_its_message(world: World, spool: Spool) -> None:
    world.publish(spool, b"1")
    got = Got()
    consumer = spool.consume(A, 1, got)
    world.turn()
    got[0].nack()
    world.turn()
    got[0].ack()
    got[0].nack()
    world.turn()
    assert len(got) == 2
    assert consumer.unsettled == 1
    assert result(spool.depth(A)) == 0
    got[1].ack()
    world.turn()
    assert consumer.unsettled == 0


# A file that can't be written


def test_a_publish_that_could_not_be_stored_says_so(world: World, spool: Spool) -> None:
    writable(spool, False)
    refused = spool.publish(NAMES.submit, "a", b"{}")
    world.turn()
    with pytest.raises(Unavailable, match=r"spool\.db: .*readonly") as raised:
        result(refused)
    assert isinstance(raised.value.__cause__, StorageError)
    assert spool.state.name == "blocked"
    assert "readonly" in (spool.state.error or "")
    writable(spool, True)
    world.turn(RETRY)
    assert spool.state.name == "up"
    assert spool.state.error is None


def test_nothing_is_handed_out_before_the_file_says_so(world: World, spool: Spool) -> None:
    world.publish(spool, *[b"%d" % n for n in range(50)])
    got = Got()

    def carry(delivery: Delivery) -> None:
        got(delivery)
        delivery.ack()

    writable(spool, False)
    consumer = spool.consume(A, 4, carry)
    world.turn(reader.PROBED)
    world.turn(reader.PROBED)
    assert not got  # after a crash, nobody could know that it had been out
    assert "readonly" in (spool.state.error or "")
    writable(spool, True)
    world.turn(reader.RETRY)
    world.turn(reader.RETRY)
    assert len(got) == 50
    assert consumer.unsettled == 0


def test_a_disk_that_fills_up_in_mid_run_repeats_and_loses_nothing(world: World, spool: Spool) -> None:
    world.publish(spool, *[b"%d" % n for n in range(50)])
    got = Got()
    consumer = spool.consume(A, 4, got)
    world.turn()
    writable(spool, False)
    for _ in range(10):
        for delivery in got:
            delivery.ack()
        world.turn()
    flowed = len(got)
    assert 4 < flowed <= 4 + 2 * 4
    assert spool.state.name == "blocked"
    world.turn(5)
    assert len(got) == flowed
    writable(spool, True)
    world.turn(RETRY)
    world.turn()
    assert spool.state.name == "up"
    while consumer.unsettled:
        for delivery in got:
            delivery.ack()
        world.turn()
    assert got.bodies == [b"%d" % n for n in range(50)]
    assert result(spool.depth(A)) == 0


def test_acknowledgements_get_through_where_publishes_do_not_fit(world: World, spool: Spool) -> None:
    world.publish(spool, *[b"x" * 3000] * 20)
    got = Got()
    spool.consume(A, 10, got)
    world.turn()
    pages = connection_of(spool).execute("PRAGMA page_count").fetchone()[0]
    connection_of(spool).execute(f"PRAGMA max_page_count = {pages}").fetchone()
    for delivery in got[:5]:
        delivery.ack()
    huge = [spool.publish(NAMES.submit, "a", b"x" * 500_000)]
    world.turn()
    for delivery in got[5:10]:
        delivery.ack()
    huge.append(spool.publish(NAMES.submit, "a", b"x" * 500_000))
    world.turn()
    for one in huge:
        with pytest.raises(Unavailable, match="full"):
            result(one)
    assert connection_of(spool).execute("SELECT count(*) FROM messages").fetchone()[0] <= 15
    world.publish(spool, b"small")


# Several processes


def test_a_queue_is_consumed_by_one_process_and_taken_over_by_the_next(world: World) -> None:
    first, second = world.start(), world.start()
    world.publish(first, b"1", b"2")
    one, two = Got(), Got()
    first.consume(A, 1, one)
    world.turn()
    second.consume(A, 1, two)
    world.turn(1)
    assert one.bodies == [b"1"]
    assert not two
    assert second.state.name == "up"
    assert second.state.error == f"queue {A!r} is consumed by process {os.getpid()}; waiting for it"
    one[0].ack()
    world.turn()
    world.stop(first)
    world.turn(reader.RETRY)
    assert two.bodies == [b"2"]
    assert two[0].redelivered
    assert second.state.error is None


def test_two_processes_consume_different_queues(world: World) -> None:
    first, second = world.start(), world.start()
    one, two = Got(), Got()
    first.consume(A, 1, one)
    second.consume(NAMES.queue("b"), 1, two)
    world.publish(first, b"for b", key="b")
    world.publish(second, b"for a", key="a")
    world.turn(0.05)
    assert (one.bodies, two.bodies) == ([b"for a"], [b"for b"])


def test_a_foreign_publish_is_noticed_within_50_ms_even_by_looking(world: World) -> None:
    consuming, publishing = world.start(), world.start()
    got = Got()
    consuming.consume(A, 5, got)
    world.turn()
    for n in range(5):
        world.publish(publishing, b"%d" % n)
        world.turn(0.05)
        assert len(got) == n + 1


def test_a_look_at_an_unchanged_file_costs_one_statement(world: World, spool: Spool) -> None:
    spool.consume(A, 5, Got())
    world.turn(0.1)
    seen = statements(spool)
    world.clock.advance(0.04)
    assert seen == ["BEGIN", "PRAGMA data_version", "COMMIT"]


def test_a_consumer_that_leaves_frees_the_queue_for_other_processes(world: World) -> None:
    first, second = world.start(), world.start()
    world.publish(first, b"1")
    got, other = Got(), Got()
    consumer = first.consume(A, 1, got)
    world.turn()
    consumer.cancel()
    second.consume(A, 1, other)
    world.turn(2)
    assert not other  # what is out is still the first one's
    got[0].ack()
    world.publish(first, b"2")
    world.turn(reader.RETRY)
    assert other.bodies == [b"2"]


def test_consuming_again_after_leaving(world: World, spool: Spool) -> None:
    for n in range(5):
        got = Got()
        consumer = spool.consume(A, 1, got)
        world.publish(spool, b"%d" % n)
        world.turn(0.1)
        assert got.bodies == [b"%d" % n]
        assert not got[0].redelivered
        consumer.cancel()
        got[0].ack()
        if n % 2:
            world.turn()


def test_a_queue_that_only_another_topology_knows(world: World, spool: Spool) -> None:
    """A producer's own queue for answers is reached by its name, from every process."""
    answers = Topology(
        exchanges=(), queues=(Queue(name="answers", max_length=1, overflow="reject-publish"),), bindings=()
    )
    producer = world.start(answers)
    got = Got()
    producer.consume("answers", 1, got)
    world.turn()
    world.publish(spool, b"answer", exchange="", key="answers")
    world.turn(0.05)
    assert got.bodies == [b"answer"]
    full = spool.publish("", "answers", b"one too many")
    world.turn()
    with pytest.raises(QueueFull, match="'answers' holds 1"):
        result(full)


def test_a_queue_that_is_not_there_is_waited_for(world: World, spool: Spool) -> None:
    got = Got()
    spool.consume("late", 1, got)
    world.turn(1)
    assert spool.state.error == "there is no queue 'late'"
    late = world.start(Topology(exchanges=(), queues=(Queue(name="late"),), bindings=()))
    world.publish(late, b"here", exchange="", key="late")
    world.turn(1)
    assert got.bodies == [b"here"]
    assert spool.state.error is None


def test_limits_hold_across_processes(world: World) -> None:
    one, two = (world.start(max_length={"a": 3}) for _ in range(2))
    world.publish(one, b"1")
    world.publish(two, b"2")
    mixed = [one.publish(NAMES.submit, "a", b"3"), two.publish(NAMES.submit, "a", b"4")]
    world.turn()
    assert result(mixed[0]) is None
    with pytest.raises(QueueFull):
        result(mixed[1])
    assert result(two.depth(A)) == 3


def test_a_batch_fills_a_queue_exactly(world: World) -> None:
    spool = world.start(max_length={"a": 3})
    batch = [spool.publish(NAMES.submit, "a", b"%d" % n) for n in range(6)]
    world.turn()
    assert [result(one) for one in batch[:3]] == [None] * 3
    for one in batch[3:]:
        with pytest.raises(QueueFull):
            result(one)


# Expiry


def test_one_timer_for_any_number_of_delays(world: World, spool: Spool) -> None:
    before = len(world.clock.getDelayedCalls())
    for n in range(100):
        world.publish(spool, b"%d" % n, exchange=NAMES.retry((10, 60)[n % 2]))
    assert len(world.clock.getDelayedCalls()) <= before + 1


def test_retries_come_back_in_time_and_order(world: World, spool: Spool) -> None:
    got = Got()
    spool.consume(A, 100, got)
    for n in range(5):
        world.publish(spool, b"%d" % n, exchange=NAMES.retry(10), priority=2, expiration=None)
        world.turn(1)
    world.turn(4.9)
    assert not got
    for n in range(5):
        world.turn(0.2)
        assert got.bodies == [b"%d" % m for m in range(n + 1)]
        assert got[n].properties.priority == 2
        world.turn(0.8)


def test_a_delay_is_kept_by_a_spool_that_had_nothing_to_do(world: World, spool: Spool) -> None:
    world.turn(5)
    world.publish(spool, b"by its queue", exchange=NAMES.retry(10))
    world.turn(10)
    assert result(spool.depth(A)) == 1
    world.publish(spool, b"by itself", key="b", expiration="3000")
    world.turn(3)
    assert result(spool.depth(NAMES.dead)) == 1


def test_more_messages_than_a_batch_expire(
    world: World, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "EXPIRY_BATCH", 10)
    world.publish(spool, *[b"x"] * 95, exchange=NAMES.retry(10))
    world.turn(10)
    assert result(spool.depth(A)) == 95
    assert result(spool.depth(NAMES.retry(10))) == 0


def test_a_delay_outlives_the_process(world: World, spool: Spool) -> None:
    world.publish(spool, b"later", exchange=NAMES.retry(10))
    world.stop(spool)
    world.turn(60)
    got = Got()
    world.start().consume(A, 1, got)
    world.turn()
    assert got.bodies == [b"later"]
    assert not got[0].redelivered


def test_a_delay_step_that_belongs_to_nobody_is_everybodys(world: World, spool: Spool) -> None:
    """Also where another prefix made it, whose exchanges this spool's topology does not have."""
    world.publish(spool, b"later", exchange=NAMES.retry(10))
    world.publish(spool, b"dies", key="a", expiration="5000")
    world.stop(spool)
    others = Names("other")
    other = world.start(topology(["x"], names=others))
    world.turn(60)
    assert result(other.depth(NAMES.retry(10))) == 0
    assert result(other.depth(A)) == 1
    assert result(other.depth(NAMES.dead)) == 1
    world.stop(other)
    got = Got()
    world.start().consume(A, 1, got)
    world.turn()
    assert got.bodies == [b"later"]


def test_a_delay_that_another_process_began(world: World, spool: Spool) -> None:
    other = world.start()
    got = Got()
    spool.consume(A, 1, got)
    world.publish(other, b"later", exchange=NAMES.retry(10))
    world.turn(0.05)
    world.stop(other)
    world.turn(10)
    assert got.bodies == [b"later"]


def test_the_headers_tell_of_the_first_death_only(world: World, spool: Spool) -> None:
    headers = {"x": [1], "x-first-death-reason": "rejected", "x-first-death-queue": "before"}
    world.publish(spool, b"1", headers={"x": [1]}, expiration="1000")
    world.publish(spool, b"2", headers=headers, expiration="1000")
    world.turn(1)
    got = Got()
    spool.consume(NAMES.dead, 5, got)
    world.turn()
    assert [one.properties.headers for one in got] == [
        {"x": [1], "x-first-death-reason": "expired", "x-first-death-queue": A},
        headers,
    ]
    assert [one.properties.expiration for one in got] == [None, None]


def test_without_a_dead_letter_exchange_the_expired_are_gone(world: World) -> None:
    spool = world.start(Topology(exchanges=(), queues=(Queue(name="q", ttl=5),), bindings=()))
    world.publish(spool, b"1", exchange="", key="q")
    world.publish(spool, b"2", exchange="", key="q", expiration="1000")
    world.turn(1)
    assert result(spool.depth("q")) == 1
    world.turn(4)
    assert result(spool.depth("q")) == 0


def test_what_expired_in_memory_is_not_handed_out(world: World, spool: Spool) -> None:
    world.publish(spool, b"first")
    world.publish(spool, *[b"late"] * 3, expiration="1000")
    got = Got()
    spool.consume(A, 1, got)
    world.turn()
    world.turn(2)
    got[0].ack()
    world.turn()
    assert got.bodies == [b"first"]
    assert result(spool.depth(NAMES.dead)) == 3
    assert result(spool.depth(A)) == 0


def test_moments_of_expiry_are_told_by_the_wall_clock(tmp_path: Path) -> None:
    """Another process reads them, whose monotonic time is another; only timers follow the reactor."""
    clock, wall = Clock(), [NOW]
    spool = Spool(
        tmp_path / "spool.db", topology(["a"]), clock, run_in_thread=synchronous, wall=lambda: wall[0]
    )
    spool.start()
    result(spool.ready())
    assert spool.state.since == NOW
    for text, milliseconds in ((b"soon", "5000"), (b"late", "15000")):
        spool.publish(NAMES.submit, "a", text, Properties(expiration=milliseconds))
    clock.pump([0] * 6)
    wall[0] += 10
    got = Got()
    spool.consume(A, 5, got)
    clock.pump([0] * 6)
    assert got.bodies == [b"late"]
    spool.stop()


def test_a_message_in_hand_expires_when_it_is_put_back(world: World, spool: Spool) -> None:
    world.publish(spool, b"slow", expiration="1000")
    got = Got()
    spool.consume(A, 1, got)
    world.turn()
    world.turn(5)
    assert result(spool.depth(NAMES.dead)) == 0
    got[0].nack()
    world.turn()
    assert len(got) == 1
    assert result(spool.depth(NAMES.dead)) == 1


def test_another_process_does_not_expire_what_may_be_in_hand(world: World) -> None:
    consuming, other = world.start(), world.start()
    world.publish(other, b"in hand", expiration="1000")
    got = Got()
    consuming.consume(A, 1, got)
    world.turn(0.1)
    assert len(got) == 1
    for _ in range(5):
        world.turn(1)
    assert result(other.depth(NAMES.dead)) == 0
    got[0].ack()
    world.turn()
    assert result(other.depth(A)) == result(other.depth(NAMES.dead)) == 0


def test_expiry_goes_on_after_a_failure(world: World, spool: Spool) -> None:
    world.publish(spool, b"late", expiration="1000")
    writable(spool, False)
    world.turn(1)
    writable(spool, True)
    world.turn(expiry.PAUSE)
    assert result(spool.depth(NAMES.dead)) == 1


# Bounded queues


@pytest.mark.parametrize("dead_letters", [False, True])
def test_a_bounded_feed_drops_its_oldest(world: World, dead_letters: bool) -> None:
    spool = world.start(
        Topology(
            exchanges=(Exchange("t", "topic"), Exchange("dead", "fanout")),
            queues=(
                Queue(
                    name="feed",
                    max_length=5,
                    overflow="drop-head",
                    dead_letter_exchange="dead" if dead_letters else None,
                ),
                Queue(name="dead"),
            ),
            bindings=(Binding("t", "feed", "#"), Binding("dead", "dead")),
        )
    )
    for start in range(0, 12, 3):
        world.publish(spool, *[b"%d" % n for n in range(start, start + 3)], exchange="t", key="k")
    got, dead = Got(), Got()
    assert result(spool.depth("feed")) == 5
    spool.consume("feed", 9, got)
    spool.consume("dead", 9, dead)
    world.turn()
    assert got.bodies == [b"7", b"8", b"9", b"10", b"11"]
    assert dead.bodies == ([b"%d" % n for n in range(7)] if dead_letters else [])


def test_dropping_what_is_in_hand_upsets_no_count(world: World) -> None:
    wanted = Topology(exchanges=(), queues=(Queue(name="q", max_length=2),), bindings=())
    consuming, publishing = world.start(wanted), world.start(wanted)
    world.publish(publishing, b"1", exchange="", key="q")
    got = Got()
    consuming.consume("q", 1, got)
    world.turn(0.1)
    world.publish(publishing, b"2", b"3", b"4", exchange="", key="q")
    got[0].ack()
    world.turn(0.1)
    for delivery in tuple(got):
        delivery.ack()
    world.turn(0.1)
    got[-1].ack()
    world.turn(0.1)
    assert got.bodies[-1] == b"4"
    assert result(publishing.depth("q")) == 0


def test_the_file_does_not_grow_with_what_has_passed(world: World, spool: Spool) -> None:
    def carry(delivery: Delivery) -> None:
        delivery.ack()

    spool.consume(A, 50, carry)
    sizes = []
    for _ in range(24):
        world.publish(spool, *[b"x" * 1000] * 200)
        world.turn()
        sizes.append(sum(path.stat().st_size for path in world.path.parent.iterdir()))
    assert result(spool.depth(A)) == 0
    assert max(sizes[12:]) <= max(sizes[:12]) * 1.2


def test_free_pages_are_given_back_little_by_little(
    world: World, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "FREE_PAGES", 20)
    monkeypatch.setattr(store, "VACUUM_PAGES", 30)
    world.publish(spool, *[b"x" * 10_000] * 100)
    spool.consume(A, 100, lambda delivery: delivery.ack())
    world.turn()
    before = connection_of(spool).execute("PRAGMA page_count").fetchone()[0]
    for _ in range(3):
        world.turn(RETRY)
    after = connection_of(spool).execute("PRAGMA page_count").fetchone()[0]
    assert before - 100 <= after <= before - 60
    for _ in range(20):
        world.turn(RETRY)
    assert connection_of(spool).execute("PRAGMA freelist_count").fetchone()[0] <= 20


# Watching


def copies(spool: Spool) -> int:
    return int(connection_of(spool).execute("SELECT count(*) FROM published").fetchone()[0])


def test_copies_for_watchers_are_kept_only_while_somebody_watches(world: World, spool: Spool) -> None:
    other = world.start()
    world.publish(spool, b"1", exchange=NAMES.events, key="accepted.acme")
    assert copies(spool) == 0
    heard: list[bytes] = []
    result(other.watch(NAMES.events, "#", lambda _, body: heard.append(body)))
    world.publish(spool, b"2", exchange=NAMES.events, key="accepted.acme")
    world.publish(spool, b"no event", key="a")
    world.turn(0.05)
    assert heard == [b"2"]
    assert copies(spool) == 1
    world.stop(other)
    world.publish(spool, b"3", exchange=NAMES.events, key="accepted.acme")
    assert copies(spool) == 1
    world.start()
    assert copies(spool) == 0


def test_copies_for_watchers_are_bounded(world: World, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "PUBLISHED", 10)
    result(spool.watch(NAMES.events, "#", lambda _, body: None))
    for _ in range(10):
        world.publish(spool, *[b"x"] * 7, exchange=NAMES.events, key="k")
    assert copies(spool) == 10


def test_a_watcher_hears_a_flood_whole_and_in_order(world: World, spool: Spool) -> None:
    heard: list[bytes] = []
    result(spool.watch(NAMES.events, "#", lambda _, body: heard.append(body)))
    sent = [b"%d" % n for n in range(1700)]
    world.publish(spool, *sent, exchange=NAMES.events, key="k")
    assert heard == sent


def test_a_watcher_that_raises_disturbs_nobody(world: World, spool: Spool) -> None:
    heard: list[bytes] = []

    def fail(_: str, body: bytes) -> None:
        raise ZeroDivisionError

    result(spool.watch(NAMES.events, "#", fail))
    result(spool.watch(NAMES.events, "#", lambda _, body: heard.append(body)))
    world.publish(spool, b"1", b"2", exchange=NAMES.events, key="k")
    assert heard == [b"1", b"2"]


@pytest.mark.parametrize("exchange", ["nowhere", NAMES.submit, ""])
def test_only_topic_exchanges_can_be_watched(spool: Spool, exchange: str) -> None:
    with pytest.raises(BrokerError, match="no topic exchange"):
        result(spool.watch(exchange, "#", lambda *_: None))


def test_a_watch_waits_until_the_broker_is_up(world: World) -> None:
    spool = world.make()
    watching = spool.watch(NAMES.events, "#", lambda *_: None)
    assert not watching.called
    spool.start()
    world.turn()
    assert result(watching) is None


# Starting and stopping


@pytest.mark.parametrize("where", ["missing/spool.db", "."], ids=["no folder", "a folder"])
def test_an_unreachable_path_is_one_clear_line(tmp_path: Path, where: str) -> None:
    spool = Spool(tmp_path / where, topology(["a"]), Clock(), run_in_thread=synchronous)
    with pytest.raises(StorageError) as raised:
        spool.start()
    assert str(raised.value).startswith(f"{tmp_path / where}: ")
    assert "\n" not in str(raised.value)


def test_every_file_is_its_owners_alone(world: World) -> None:
    before = os.umask(0)
    try:
        spool = world.start()
        spool.consume(A, 1, Got())
        result(spool.watch(NAMES.events, "#", lambda *_: None))
        world.publish(spool, b"1")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in world.path.parent.iterdir()}
    assert len(modes) >= 5
    assert set(modes.values()) == {0o600}


def test_nothing_is_left_to_do_after_stop(world: World, spool: Spool) -> None:
    world.publish(spool, b"1", b"2", expiration="5000")
    world.publish(spool, b"3", exchange=NAMES.retry(10))
    got = Got()
    spool.consume(A, 1, got)
    spool.consume("missing", 1, Got())
    result(spool.watch(NAMES.events, "#", lambda *_: None))
    world.turn()
    last = spool.publish(NAMES.submit, "a", b"4")
    world.stop(spool)
    result(last)
    got[0].ack()
    assert got[0].stale
    world.turn(1)
    assert not world.clock.getDelayedCalls()
    assert len(got) == 1
    assert not list(world.path.parent.glob("*-wal"))


def test_what_was_settled_before_stop_stays_settled(world: World, spool: Spool) -> None:
    world.publish(spool, b"1", b"2")
    got = Got()
    spool.consume(A, 2, got)
    world.turn()
    got[0].ack()
    world.stop(spool)
    assert result(world.start().depth(A)) == 1


def test_a_file_that_is_busy_at_the_start_is_declared_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = store.declare
    tries: list[int] = []

    def busy(connection: sqlite3.Connection, topology: Topology) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise sqlite3.OperationalError("database is locked")
        declared(connection, topology)

    monkeypatch.setattr(store, "declare", busy)
    spool = world.make()
    spool.start()
    ready = spool.ready()
    assert spool.state.name == "down"
    assert "locked" in (spool.state.error or "")
    world.turn(RETRY)
    world.turn(RETRY)
    assert result(ready) is None
    assert spool.state.name == "up"
    assert spool.state.error is None


def test_depth_of_a_spool_that_is_down(world: World) -> None:
    with pytest.raises(Unavailable):
        result(world.make().depth(A))


def test_the_type_of_a_queue_is_nothing_to_a_file(world: World) -> None:
    first = world.start(queue_type="classic")
    world.publish(first, b"low", priority=0)
    world.publish(first, b"high", priority=2)
    second = world.start(queue_type="quorum")
    got = Got()
    second.consume(A, 2, got)
    world.turn()
    assert got.bodies == [b"high", b"low"]
