"""Offered load: both paces, what counts as an end, and the times that are told."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from smsgw.broker.base import Properties, QueueFull
from smsgw.cli.load import Load, percentiles
from smsgw.errors import SmsgwError


class Taking:
    """A broker that takes note of publishes; while `full` it refuses them."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.full = False

    def publish(
        self, _exchange: str, _key: str, _body: bytes, properties: Properties, *, mandatory: bool
    ) -> Deferred[None]:
        assert mandatory
        if self.full:
            return fail(QueueFull("full"))
        self.ids.append(properties.message_id or "")
        return succeed(None)


class Bed:
    def __init__(self, count: int) -> None:
        self.clock = Clock()
        self.broker = Taking()
        self.load = Load(
            self.broker,  # type: ignore[arg-type]
            "smsgw.submit",
            "acme",
            lambda number: b"%d" % number,
            count=count,
            run="run",
            clock=self.clock,
        )
        self.over: list[object] = []
        self.load.done.addBoth(self.over.append)

    def end(self, number: int, event: str = "accepted", *, run: str = "run", final: bool = True) -> None:
        self.load.heard("", json.dumps({"id": f"{run}-{number}", "event": event, "final": final}).encode())


def test_a_closed_load_keeps_so_many_out_and_no_more_than_all() -> None:
    bed = Bed(5)
    bed.load.start_closed(2)
    assert len(bed.broker.ids) == 2
    bed.end(1)
    assert bed.broker.ids == ["run-0", "run-1", "run-2"]
    for number in (0, 2, 3):
        bed.end(number)
    assert len(bed.broker.ids) == 5
    assert bed.over == []
    bed.end(4)
    assert bed.over == [None]


@pytest.mark.parametrize("rate", [3.0, 100.0, 5000.0])
def test_an_open_load_offers_its_rate_whatever_comes_of_it(rate: float) -> None:
    bed = Bed(100_000)
    bed.load.start_open(rate)
    bed.clock.pump([0.001] * 3000)
    assert len(bed.broker.ids) == pytest.approx(3 * rate, abs=2 + rate * 0.002)


def test_an_open_load_ends_with_its_last_message() -> None:
    bed = Bed(3)
    bed.load.start_open(1000)
    bed.clock.pump([0.001] * 10)
    assert len(bed.broker.ids) == 3
    assert bed.clock.getDelayedCalls() == []


def test_each_message_is_timed_until_its_own_end_and_once() -> None:
    bed = Bed(2)
    bed.load.start_closed(2)
    bed.clock.advance(0.5)
    bed.end(1)
    bed.clock.advance(0.5)
    bed.end(0, "delivered")
    bed.clock.advance(7)
    bed.end(1)
    assert list(bed.load.took) == [1.0, 0.5]
    assert dict(bed.load.ends) == {"accepted": 1, "delivered": 1}


@pytest.mark.parametrize("event", [{"final": False}, {"run": "another"}])
def test_what_is_no_end_of_ours_does_not_count(event: dict[str, object]) -> None:
    bed = Bed(1)
    bed.load.start_closed(1)
    bed.end(0, **event)  # type: ignore[arg-type]
    assert bed.load.ended == 0
    assert bed.over == []


def test_a_refused_publish_ends_the_load() -> None:
    bed = Bed(10)
    bed.broker.full = True
    bed.load.start_open(100)
    (failure,) = bed.over
    assert failure.check(SmsgwError)  # type: ignore[attr-defined]
    bed.clock.advance(1)
    assert bed.clock.getDelayedCalls() == []


def test_percentiles_are_times_that_were_measured() -> None:
    found = percentiles([number / 1000 for number in range(1, 101)])
    assert (found.p50, found.p90, found.p99, found.max) == (51.0, 91.0, 100.0, 100.0)


@given(st.lists(st.floats(0, 1000), min_size=1))
def test_percentiles_are_in_order(seconds: list[float]) -> None:
    found = percentiles(seconds)
    assert found.p50 <= found.p90 <= found.p99 <= found.max == round(max(seconds) * 1000, 3)
