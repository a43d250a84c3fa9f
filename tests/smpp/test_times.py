from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.smpp import times

MOMENT = datetime(2026, 11, 23, 20, 15, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("at", "written"),
    [
        (MOMENT, "261123201500000+"),
        (MOMENT + 0.25, "261123201500200+"),
        (MOMENT + 59.96, "261123201600000+"),
        (MOMENT + 59.94, "261123201559900+"),
    ],
)
def test_absolute(at: float, written: str) -> None:
    assert times.absolute(at) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (1, "000000000001000R"),
        (0.2, "000000000001000R"),
        (0, "000000000001000R"),
        (-5, "000000000001000R"),
        (60.1, "000000000101000R"),
        (3600, "000000010000000R"),
        (86399, "000000235959000R"),
        (3.5 * 86400, "000003120000000R"),
        (31 * 86400, "000101000000000R"),
        (360 * 86400, "010000000000000R"),
        (times.LONGEST, "010221000000000R"),
        (10 * times.LONGEST, "010221000000000R"),
    ],
)
def test_relative(seconds: float, written: str) -> None:
    assert times.relative(seconds) == written


@given(st.floats(1, times.LONGEST))
def test_relative_is_never_early_and_its_fields_fit(seconds: float) -> None:
    written = times.relative(seconds)
    year, month, day, hour, minute, second = (int(written[at : at + 2]) for at in range(0, 12, 2))
    assert (written[12:], len(written)) == ("000R", 16)
    assert month < 12 and day < 30 and hour < 24 and minute < 60 and second < 60
    days = (year * 12 + month) * 30 + day
    total = ((days * 24 + hour) * 60 + minute) * 60 + second
    assert 0 <= total - seconds < 1
