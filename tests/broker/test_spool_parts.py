"""The spool's small parts: locks, the bell, coalesced work, spans of ids."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from smsgw.broker.base import Properties
from smsgw.broker.spool import bell as bells
from smsgw.broker.spool import rows
from smsgw.broker.spool.bell import POLL, Bell
from smsgw.broker.spool.coalesce import Coalesced
from smsgw.broker.spool.lock import FileLock

# Locks


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def test_one_takes_a_lock_and_others_learn_who(path: Path) -> None:
    mine, theirs = FileLock(path), FileLock(path)
    assert mine.take()
    assert mine.held
    assert not theirs.take()
    assert not theirs.share()
    assert theirs.is_taken()
    assert theirs.owner() == f"process {os.getpid()}"
    mine.drop()
    assert not mine.held
    assert not theirs.is_taken()
    assert theirs.take()


def test_a_lock_can_be_shared(path: Path) -> None:
    first, second, alone = FileLock(path), FileLock(path), FileLock(path)
    assert first.share()
    assert second.share()
    assert not alone.take()
    first.drop()
    assert not alone.take()
    second.drop()
    assert alone.take()


def test_asking_makes_no_file_and_takes_nothing(path: Path) -> None:
    assert not FileLock(path).is_taken()
    assert not path.exists()
    FileLock(path).drop()
    assert FileLock(path).owner() == "another process"


def test_taking_again_and_dropping_again_is_harmless(path: Path) -> None:
    lock = FileLock(path)
    assert lock.take()
    assert lock.take()
    lock.drop()
    lock.drop()
    assert FileLock(path).take()


def test_a_lock_file_is_its_owners_alone(path: Path) -> None:
    FileLock(path).take()
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_no_descriptor_is_left_behind(path: Path) -> None:
    def descriptors() -> int:
        return len(list(Path("/dev/fd").iterdir()))

    holder = FileLock(path)
    holder.take()
    before = descriptors()
    for _ in range(20):
        FileLock(path).take()
        FileLock(path).is_taken()
    assert descriptors() == before
    holder.drop()
    assert descriptors() == before - 1


# The bell


class Heard:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def test_without_inotify_the_listener_looks_again_and_again(path: Path) -> None:
    clock, heard = Clock(), Heard()
    bell = Bell(path, clock, heard)
    bell.open()
    clock.pump([POLL] * 3)
    assert heard.times == 3
    bell.close()
    assert not clock.getDelayedCalls()
    bell.ring()
    bell.close()


def test_a_ring_is_heard_at_once(path: Path, in_reactor: Any, reactor_thread: Any) -> None:
    async def story() -> tuple[int, int]:
        heard, other = Heard(), Heard()
        listening, ringing = Bell(path, reactor_thread, heard), Bell(path, reactor_thread, other)
        listening.open()
        ringing.open()
        ringing.ring()
        began = reactor_thread.seconds()
        while not heard.times:
            await deferLater(reactor_thread, 0.001)
        assert reactor_thread.seconds() - began < POLL
        listening.close()
        ringing.ring()
        times = heard.times
        await deferLater(reactor_thread, 0.02)
        ringing.close()
        return times, heard.times

    before, after = in_reactor(story)
    assert before == after


def test_where_the_kernel_grants_no_inotify_the_listener_looks(
    path: Path, in_reactor: Any, reactor_thread: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twisted.internet import inotify

    def refuse(*_: object) -> None:
        raise inotify.INotifyError("too many")

    monkeypatch.setattr(inotify.INotify, "__init__", refuse)

    async def story() -> int:
        heard = Heard()
        bell = Bell(path, reactor_thread, heard)
        bell.open()
        await deferLater(reactor_thread, 3 * POLL)
        bell.close()
        return heard.times

    assert in_reactor(story) >= 1


def test_a_listener_that_has_inotify_seldom_looks() -> None:
    assert bells.SAFETY >= 1.0


# Coalesced work


def test_many_wishes_are_one_more_run() -> None:
    runs: list[Deferred[None]] = []

    async def work() -> None:
        runs.append(Deferred())
        await runs[-1]

    coalesced = Coalesced(work)
    coalesced()
    assert len(runs) == 1
    for _ in range(5):
        coalesced()
    assert len(runs) == 1
    runs[0].callback(None)
    assert len(runs) == 2
    runs[1].callback(None)
    assert len(runs) == 2
    coalesced()
    assert len(runs) == 3


def test_work_that_fails_can_be_asked_for_again() -> None:
    runs: list[int] = []

    async def work() -> None:
        runs.append(1)
        raise ZeroDivisionError

    coalesced = Coalesced(work)
    coalesced()
    coalesced()
    assert len(runs) == 2


@given(st.sets(st.integers(1, 300)).flatmap(lambda ids: st.permutations(sorted(ids))))
def test_spans_and_other_ids_are_the_ids_that_were_given(ids: list[int]) -> None:
    spans, others = rows.spans_of(ids)
    inside = [one for first, last in spans for one in range(first, last + 1)]
    assert sorted([*inside, *others]) == sorted(ids)
    assert all(last - first + 1 >= rows.SPAN for first, last in spans)


def test_only_ids_in_a_row_make_a_span() -> None:
    assert rows.spans_of([*range(30, 19, -1), *range(1, 8), 40, *range(50, 58)]) == (
        [(20, 30), (50, 57)],
        [*range(1, 8), 40],
    )


def test_properties_are_read_with_and_without_what_is_so_by_default() -> None:
    short = Properties(message_id="m1", headers={"attempt": 2})
    long = {**msgspec.structs.asdict(Properties()), "message_id": "m1", "headers": {"attempt": 2}}
    assert rows.decode(msgspec.msgpack.encode(long)) == short == rows.decode(rows.encode(short))
    for each in (Properties(), Properties(content_type=None)):
        assert rows.decode(rows.encode(each)) == each
