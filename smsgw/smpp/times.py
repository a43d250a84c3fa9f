"""Times as PDUs have them (3.4, 7.1.1): 16 characters, absolute or relative. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from math import ceil

LONGEST = 63 * 7 * 86400
"""Seconds: 63 weeks, the longest validity period that GSM can express (3GPP TS 23.040, 9.2.3.12.1)."""

_DAYS_OF_MONTH = 30


def absolute(at: float) -> str:
    """Seconds since the epoch as `YYMMDDhhmmsstnn+` in UTC, to a tenth of a second."""
    tenths = round(at * 10)
    moment = datetime.fromtimestamp(tenths // 10, UTC)
    return f"{moment:%y%m%d%H%M%S}{tenths % 10}00+"


def relative(seconds: float) -> str:
    """Seconds from now as `YYMMDDhhmmss000R`, rounded up; at least one and at most 63 weeks.

    A day field ends at 31, so longer times are written with months of 30 days.
    """
    rest = min(max(ceil(seconds), 1), LONGEST)
    minutes, second = divmod(rest, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    months, day = divmod(days, _DAYS_OF_MONTH)
    year, month = divmod(months, 12)
    return f"{year:02}{month:02}{day:02}{hour:02}{minute:02}{second:02}000R"
