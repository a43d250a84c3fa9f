"""What the spool writes while it is writing already: a worker thread that works when it is told to."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock

from smsgw.broker.base import Delivery, Publish, QueueFull
from smsgw.broker.spool import Spool, writer
from smsgw.broker.topology import Names, topology

NAMES = Names()
A = NAMES.queue("a")


class Bench:
    """A spool, its clock, and what its worker thread is to do."""

    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self.held: deque[Callable[[], None]] = deque()
        self.spool = Spool(path, topology(["a"], max_length={"a": 100}), self.clock, run_in_thread=self._run)
        self.spool.start()
        self.work()

    def _run(self, function: Callable[[], Any], /) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.held.append(lambda: maybeDeferred(function).chainDeferred(done))
        return done

    def turns(self) -> None:
        for _ in range(4):
            self.clock.advance(0)

    def step(self) -> None:
        """The worker thread does one thing."""
        self.held.popleft()()

    def work(self) -> None:
        """Turns, and whatever the worker thread has to do, until there is nothing."""
        self.turns()
        while self.held:
            self.step()
            self.turns()

    def publish(self, *bodies: bytes) -> Deferred[list[Exception | None]]:
        published = self.spool.publish_all([Publish(NAMES.submit, "a", body) for body in bodies])
        self.turns()
        return published

    def statements(self) -> list[str]:
        """A list to which the first word of every statement is added as SQLite runs it."""
        seen: list[str] = []
        connection = self.spool.database._connection
        assert connection is not None
        connection.set_trace_callback(lambda text: seen.append(text.split()[0]))
        return seen


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


@pytest.fixture
def bench(path: Path) -> Iterator[Bench]:
    made = Bench(path)
    yield made
    made.spool.stop()
    made.work()


def fired(deferred: Deferred[list[Exception | None]]) -> list[Exception | None] | None:
    found: list[list[Exception | None]] = []
    deferred.addCallback(found.append)
    return found[0] if found else None


def stored(path: Path) -> list[bytes]:
    connection = sqlite3.connect(path)
    try:
        return [body for (body,) in connection.execute("SELECT body FROM messages ORDER BY id")]
    finally:
        connection.close()


def test_what_comes_while_it_writes_is_stored_together(bench: Bench) -> None:
    first = bench.publish(b"1")
    later = [bench.publish(b"%d" % n) for n in range(4)]
    assert len(bench.held) == 1
    bench.step()
    assert fired(first) == [None]
    assert not any(each.called for each in later)
    seen = bench.statements()
    bench.work()
    assert [fired(each) for each in later] == [[None]] * 4
    assert (seen.count("BEGIN"), seen.count("INSERT")) == (1, 1)


def test_a_flood_is_written_group_by_group(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "GROUP", 3)
    seen = bench.statements()
    flood = [bench.spool.publish_all([Publish(NAMES.submit, "a", b"x")] * 2) for _ in range(5)]
    bench.work()
    assert [fired(each) for each in flood] == [[None, None]] * 5
    assert seen.count("BEGIN") == 3


def test_stopping_writes_what_gathered_meanwhile(bench: Bench, path: Path) -> None:
    first, second = bench.publish(b"1"), bench.publish(b"2")
    bench.spool.stop()
    bench.work()
    assert (fired(first), fired(second)) == ([None], [None])
    assert stored(path) == [b"1", b"2"]


def test_of_a_burst_only_what_a_queue_has_no_room_for_is_refused(bench: Bench, path: Path) -> None:
    bench.publish(*[b"x"] * 98)
    bench.work()
    burst = bench.publish(b"1", b"2", b"3", b"4")
    bench.work()
    verdicts = fired(burst)
    assert verdicts is not None
    assert [type(each) for each in verdicts] == [type(None), type(None), QueueFull, QueueFull]
    assert stored(path)[98:] == [b"1", b"2"]


def test_acknowledging_many_spares_those_in_between(bench: Bench, path: Path) -> None:
    got: list[Delivery] = []
    bench.publish(*[b"%d" % n for n in range(60)])
    bench.spool.consume(A, 60, got.append)
    bench.work()
    spared = {7, 8, 30, 59}
    for delivery in reversed(got):
        if int(delivery.body) not in spared:
            delivery.ack()
    bench.work()
    assert stored(path) == [b"7", b"8", b"30", b"59"]
