"""Times in TPDUs: time stamps and validity periods (3GPP TS 23.040, clauses 9.2.3.11 and 9.2.3.12).

A time keeps its octets, as they came. What they mean is read from them: networks do send times that
make no sense, and a message must not be lost for that.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from math import ceil
from typing import TypeAlias

import msgspec

from smsgw.gsm.octets import EncodeError

LENGTH = 7
"""Octets of a time stamp, and of an enhanced validity period."""

_MINUTE, _HOUR, _DAY, _WEEK = 60, 3600, 86400, 7 * 86400
_QUARTER = 15 * _MINUTE
_CENTURY = 2000


def _swapped(value: int) -> int:
    """Two decimal digits in one octet, the tens in the low bits."""
    return value // 10 | value % 10 << 4


def _unswapped(octet: int) -> int:
    """Raises `ValueError` for what is no decimal digit."""
    if octet & 0xF > 9 or octet >> 4 > 9:
        raise ValueError(f"0x{octet:02x} is not two decimal digits")
    return (octet & 0xF) * 10 + (octet >> 4)


def _read_timestamp(octets: bytes) -> datetime:
    """Raises `ValueError` where it is no moment."""
    if len(octets) != LENGTH:
        raise ValueError(f"{len(octets)} octets; expected {LENGTH}")
    year, month, day, hour, minute, second = (_unswapped(octet) for octet in octets[:6])
    # bit 3 is the sign of the zone, in quarters of an hour (clause 9.2.3.11)
    quarters = _unswapped(octets[6] & ~0x08)
    seconds = quarters * _QUARTER * (-1 if octets[6] & 0x08 else 1)
    zone = timezone(timedelta(seconds=seconds))
    return datetime(_CENTURY + year, month, day, hour, minute, second, tzinfo=zone)


class Timestamp(msgspec.Struct, frozen=True):
    """Seven octets; `moment` is None where they are no time, and `problem` says why."""

    octets: bytes

    @property
    def moment(self) -> datetime | None:
        """With its own time zone."""
        try:
            return _read_timestamp(self.octets)
        except ValueError:
            return None

    @property
    def problem(self) -> str | None:
        try:
            _read_timestamp(self.octets)
        except ValueError as error:
            return str(error)
        return None

    def __repr__(self) -> str:
        moment = self.moment
        return f"<Timestamp {moment.isoformat() if moment else self.octets.hex()}>"


def timestamp(moment: datetime) -> Timestamp:
    """A time stamp of an aware time, in its own time zone, to the second.

    Raises:
        EncodeError: a naive time, one outside of this century, or a zone of parts of a quarter.
    """
    offset = moment.utcoffset()
    if offset is None:
        raise EncodeError("timestamp", "expected a time with a time zone")
    if not _CENTURY <= moment.year < _CENTURY + 100:
        raise EncodeError("timestamp", f"the year {moment.year} can't be written in two digits")
    seconds = int(offset.total_seconds())
    quarters, rest = divmod(abs(seconds), _QUARTER)
    if rest:
        raise EncodeError("timestamp", "expected a time zone of whole quarters of an hour")
    parts = (moment.year - _CENTURY, moment.month, moment.day, moment.hour, moment.minute, moment.second)
    zone = _swapped(quarters) | (0x08 if seconds < 0 else 0)
    return Timestamp(bytes((*map(_swapped, parts), zone)))


class Relative(msgspec.Struct, frozen=True):
    """A validity period of one octet (clause 9.2.3.12.1)."""

    octet: int

    @property
    def seconds(self) -> int:
        value = self.octet
        if value < 144:
            return (value + 1) * 5 * _MINUTE
        if value < 168:
            return 12 * _HOUR + (value - 143) * 30 * _MINUTE
        return (value - 166) * _DAY if value < 197 else (value - 192) * _WEEK


LONGEST = Relative(255).seconds
"""63 weeks."""


def relative(seconds: float) -> Relative:
    """The shortest period that can be written and is not shorter than this; at most 63 weeks."""
    rest = min(max(seconds, 1), LONGEST)
    if rest <= 12 * _HOUR:
        return Relative(ceil(rest / (5 * _MINUTE)) - 1)
    if rest <= _DAY:
        return Relative(143 + ceil((rest - 12 * _HOUR) / (30 * _MINUTE)))
    if rest <= 30 * _DAY:
        return Relative(166 + ceil(rest / _DAY))
    return Relative(192 + ceil(rest / _WEEK))


class Enhanced(msgspec.Struct, frozen=True):
    """A validity period of seven octets (clause 9.2.3.12.3): a functionality indicator, then a value."""

    octets: bytes

    @property
    def single_shot(self) -> bool:
        """The message centre is to try once only."""
        return bool(self.octets[0] & 0x40)

    @property
    def seconds(self) -> int | None:
        """None without a period, or in a form that is reserved or broken."""
        indicator = self.octets[0]
        value = self.octets[_indicators(self.octets) :]
        form = indicator & 7
        try:
            return _ENHANCED[form](value)
        except (KeyError, IndexError, ValueError):
            return None


def _indicators(octets: bytes) -> int:
    """Octets of the functionality indicator: bit 7 of each says whether another follows."""
    return next((place for place, octet in enumerate(octets, 1) if not octet & 0x80), len(octets))


def _clock(value: bytes) -> int:
    hours, minutes, seconds = (_unswapped(octet) for octet in value[:3])
    return hours * _HOUR + minutes * _MINUTE + seconds


_ENHANCED = {
    1: lambda value: Relative(value[0]).seconds,
    2: lambda value: value[0] or None,  # zero is reserved
    3: _clock,
}


def enhanced(seconds: int | None = None, *, single_shot: bool = False) -> Enhanced:
    """To the second up to 99:59:59, else as the octet of a relative period; None for none."""
    indicator = 0x40 if single_shot else 0
    if seconds is None:
        value = bytes((indicator,))
    elif 1 <= seconds <= 0xFF:
        value = bytes((indicator | 2, seconds))
    elif seconds < 100 * _HOUR:
        hours, rest = divmod(max(seconds, 1), _HOUR)
        value = bytes((indicator | 3, _swapped(hours), *map(_swapped, divmod(rest, _MINUTE))))
    else:
        value = bytes((indicator | 1, relative(seconds).octet))
    return Enhanced(value.ljust(LENGTH, b"\0"))


Validity: TypeAlias = Relative | Timestamp | Enhanced
