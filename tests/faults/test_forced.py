"""Faults at the one moment where they would hurt most, which no seed can be trusted to find."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
from faults.bed import HEARTBEAT, SESSIONS, WIDTH, Bed
from faults.faults import HOUR
from processes import until

pytestmark = pytest.mark.integration

MESSAGES = 300
IN_FLIGHT = WIDTH * SESSIONS


@pytest.fixture
def bed(tmp_path: Path, rabbitmq: Any) -> Iterator[Bed]:
    made = Bed(tmp_path, rabbitmq, keep=3600)
    yield made
    made.close()


def taken(bed: Bed) -> int:
    bed.tally.read()
    return len(bed.tally.taken)


def remembered(bed: Bed) -> int:
    """How many messages the ledger knows, read past the gateway."""
    with closing(sqlite3.connect(bed.folder / "ledger" / "ledger.db")) as ledger:
        (count,) = ledger.execute("SELECT count(*) FROM message").fetchone()
        return int(count)


def under_way(bed: Bed) -> None:
    bed.gateway.wait_up(SESSIONS)
    bed.publish(0, MESSAGES)
    until(lambda: taken(bed) > 100, 30, "the run is under way")


def until_still(bed: Bed, count: Callable[[Bed], int]) -> int:
    """Until a count has not changed for a second; what it is."""
    before, since = -1, time.monotonic()
    while time.monotonic() - since < 1:
        now = count(bed)
        if now != before:
            before, since = now, time.monotonic()
        time.sleep(0.05)
    return before


def all_ended(bed: Bed, messages: int = MESSAGES) -> bool:
    bed.tally.read()
    return len(bed.tally.finals) == messages


@pytest.mark.parametrize("ledger_survives", [True, False])
def test_killed_between_the_answer_and_the_acknowledgement(bed: Bed, ledger_survives: bool) -> None:
    """The SMSC has answered, the ledger knows, and no event is confirmed: all come again, none is sent.

    Without its ledger the gateway sends them again: so it is the ledger that stops it, and this test
    sees a second sending where there is one.
    """
    under_way(bed)
    bed.broker_link.behave("hold")
    answered = until_still(bed, taken)
    until(lambda: remembered(bed) == answered, 10, "all answers are in the ledger")
    bed.tally.read()
    untold = answered - len(bed.tally.told)
    assert 0 < untold <= IN_FLIGHT, "the width is used up by messages that can't be told"
    bed.kill_gateway()
    bed.broker_link.cut()
    bed.broker_link.behave("pass")
    if not ledger_survives:
        for file in (bed.folder / "ledger").iterdir():
            file.unlink()
    bed.start_gateway()
    until(lambda: all_ended(bed) or not ledger_survives, 30, "a final event for each message")
    until(lambda: taken(bed) == MESSAGES, 30, "all are taken")
    repeats = until_still(bed, lambda bed: taken(bed) and bed.tally.repeats)
    assert repeats == 0 if ledger_survives else untold <= repeats <= IN_FLIGHT
    bed.end_gateway()
    assert bed.statuses == [0]
    assert bed.gateway.troubles == []


def test_while_the_ledgers_disk_is_full_nothing_is_acknowledged_that_is_not_remembered(bed: Bed) -> None:
    if bed.ledger_disk.missing:
        pytest.skip(bed.ledger_disk.missing)
    under_way(bed)
    bed.ledger_disk.fill()
    until(lambda: "messages keep their place until it works" in bed.gateway.output, 20, "the log says so")
    assert until_still(bed, taken) < MESSAGES, "consumption stops"
    known = remembered(bed)
    assert taken(bed) - known <= IN_FLIGHT
    assert MESSAGES - bed.depth() <= known, "what has left the queue is in the ledger"
    bed.ledger_disk.clear()
    until(lambda: all_ended(bed), 30, "it goes on by itself, to a final event for each message")
    assert bed.tally.repeats == 0
    assert "ledger: works again" in bed.gateway.output
    bed.end_gateway()
    assert bed.statuses == [0]
    assert bed.gateway.troubles == []


def test_messages_that_come_again_while_they_are_under_way_are_not_sent_again(
    tmp_path: Path, rabbitmq: Any
) -> None:
    """The broker's connection is back before the SMSC has answered."""
    with closing(Bed(tmp_path, rabbitmq, keep=3600, response_delay=0.4)) as bed:
        bed.gateway.wait_up(SESSIONS)
        bed.publish(0, MESSAGES)
        until(lambda: taken(bed) > 60, 30, "the run is under way")
        bed.broker_link.cut()
        until(lambda: all_ended(bed), 60, "a final event for each message")
        assert bed.tally.repeats == 0
        bed.end_gateway()
        assert bed.statuses == [0]
        assert bed.gateway.troubles == []


def test_messages_that_may_be_routed_twice_are_sent_once(tmp_path: Path, rabbitmq: Any) -> None:
    """RabbitMQ has stored them in their queue, the router does not hear of it, and gets them again."""
    with closing(Bed(tmp_path, rabbitmq, keep=3600, response_delay=0.05, key="route")) as bed:
        bed.gateway.wait_up(SESSIONS)
        bed.publish(0, 2 * MESSAGES)
        for _ in range(3):
            time.sleep(0.3)
            bed.broker_link.behave("mute")
            time.sleep(0.3)
            bed.broker_link.behave("pass")
        until(lambda: all_ended(bed, 2 * MESSAGES), 60, "a final event for each message")
        until_still(bed, taken)
        assert bed.tally.repeats == 0
        bed.end_gateway()
        assert bed.statuses == [0]
        assert bed.gateway.troubles == []


def test_killed_while_messages_wait_for_another_attempt(tmp_path: Path, rabbitmq: Any) -> None:
    """What was refused for now is in a delay queue, or still in its own, and in no case in both for long."""
    with closing(Bed(tmp_path, rabbitmq, keep=3600, response_delay=0.1, refused=0.3)) as bed:
        under_way(bed)
        bed.kill_gateway()
        bed.start_gateway()
        until(lambda: all_ended(bed), 60, "a final event for each message")
        assert bed.tally.ends == {"delivered": MESSAGES}
        assert bed.tally.repeats <= IN_FLIGHT
        bed.end_gateway()
        assert bed.statuses == [0]
        assert bed.gateway.troubles == []


def test_a_wall_clock_that_is_set_changes_nothing(tmp_path: Path, rabbitmq: Any) -> None:
    with closing(Bed(tmp_path, rabbitmq, keep=86_400, response_delay=0.1)) as bed:
        if bed.clock.missing:
            pytest.skip(bed.clock.missing)
        under_way(bed)
        for ahead in (HOUR, -HOUR):
            bed.clock.set(ahead)
            time.sleep(2)  # until the process has seen it
        until(lambda: all_ended(bed), 30, "a final event for each message")
        time.sleep(3 * HEARTBEAT)  # long enough for RabbitMQ and the SMSC to miss a sign of life
        assert bed.tally.repeats == 0
        assert " is down" not in bed.gateway.output, "no session was lost"
        assert "lost amqp" not in bed.gateway.output, "nor the broker"
        bed.end_gateway()
        assert bed.statuses == [0]
        assert bed.gateway.troubles == []


def test_a_wall_clock_that_is_set_back_holds_up_no_reconnection(tmp_path: Path, rabbitmq: Any) -> None:
    """What waits for its next try waits for as long as it meant to."""
    with closing(Bed(tmp_path, rabbitmq, keep=86_400)) as bed:
        if bed.clock.missing:
            pytest.skip(bed.clock.missing)
        under_way(bed)
        rabbitmq.kill()
        bed.smsc.end(SIGKILL)
        time.sleep(2)
        bed.clock.set(-HOUR)
        time.sleep(2)
        rabbitmq.start()
        bed.start_smsc()
        until(lambda: bed.gateway.output.count(" is up") == 2 * SESSIONS, 15, "the sessions are back")
        until(lambda: bed.gateway.output.count("connected to amqp") == 2, 15, "RabbitMQ as well")
