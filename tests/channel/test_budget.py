"""Budgets by the calendar, and quiet hours, in local time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from smsgw.channel.budget import Spending, quiet_hold
from smsgw.channel_settings import Budget


@pytest.fixture(autouse=True)
def stockholm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Stockholm")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("period", "now", "until"),
    [
        ("minute", "2026-11-25T09:22:13", "2026-11-25T09:23:00"),
        ("hour", "2026-11-25T09:22:13", "2026-11-25T10:00:00"),
        ("day", "2026-11-25T09:22:13", "2026-11-26T00:00:00"),
        ("month", "2026-11-25T09:22:13", "2026-12-01T00:00:00"),
        ("month", "2026-12-31T23:59:59", "2027-01-01T00:00:00"),
        ("month", "2027-01-31T12:00:00", "2027-02-01T00:00:00"),
        ("day", "2026-03-28T12:00:00", "2026-03-29T00:00:00"),
        ("day", "2026-10-25T12:00:00", "2026-10-26T00:00:00"),
    ],
)
def test_a_budget_that_is_used_up_lasts_to_the_end_of_its_period(period: str, now: str, until: str) -> None:
    spending = Spending(Budget(**{period: 2}))
    assert spending.hold(at(now)) is None
    spending.spend(at(now))
    assert spending.left(at(now)) == {period: 1}
    spending.spend(at(now))
    hold = spending.hold(at(now))
    assert hold is not None
    assert hold.until == at(until)
    assert spending.hold(hold.until) is None
    assert spending.hold(hold.until - 1) is not None


def test_the_longest_period_decides() -> None:
    spending = Spending(Budget(minute=1, month=1))
    spending.spend(at("2026-11-25T09:22:13"))
    hold = spending.hold(at("2026-11-25T09:22:20"))
    assert hold is not None
    assert hold.until == at("2026-12-01T00:00:00")
    assert hold.reason == "its budget of 1 a month is used up"


def test_what_was_saved_counts_on() -> None:
    spending = Spending(Budget(day=3))
    for _ in range(2):
        spending.spend(at("2026-11-25T09:22:13"))
    again = Spending(Budget(day=3, hour=5), spending.saved())
    assert again.left(at("2026-11-25T23:00:00")) == {"hour": 5, "day": 1}
    assert again.left(at("2026-11-26T00:00:00")) == {"hour": 5, "day": 3}
    assert Spending(Budget(day=1), spending.saved()).left(at("2026-11-25T23:00:00")) == {"day": 0}


def test_without_a_budget_nothing_is_held() -> None:
    spending = Spending(Budget())
    spending.spend(0.0)
    assert (spending.hold(0.0), spending.left(0.0), spending.saved()) == (None, {}, {})


@pytest.mark.parametrize(
    ("quiet", "now", "until"),
    [
        ("22:00-07:00", "2026-11-25T21:59:59", None),
        ("22:00-07:00", "2026-11-25T22:00:00", "2026-11-26T07:00:00"),
        ("22:00-07:00", "2026-11-26T06:59:59", "2026-11-26T07:00:00"),
        ("22:00-07:00", "2026-11-26T07:00:00", None),
        ("12:00-13:30", "2026-11-25T11:59:00", None),
        ("12:00-13:30", "2026-11-25T12:30:00", "2026-11-25T13:30:00"),
        ("12:00-13:30", "2026-11-25T13:30:00", None),
        ("22:00-07:00", "2026-03-28T23:00:00", "2026-03-29T07:00:00"),
        ("22:00-07:00", "2026-10-24T23:00:00", "2026-10-25T07:00:00"),
        (None, "2026-11-25T23:00:00", None),
    ],
)
def test_quiet_hours(quiet: str | None, now: str, until: str | None) -> None:
    hold = quiet_hold(quiet, at(now))
    assert (hold.until if hold else None) == (at(until) if until else None)
