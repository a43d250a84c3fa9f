"""AMQP values as octets and back: strings, numbers, field tables (specification 4.2.5). Pure.

Reading is by functions `(octets, offset) -> (value, offset behind it)`. They may run past the end;
whoever calls them first (`wire`, `content`) compares the last offset with the end, once, instead of
a check per value, and catches `PAST_THE_END`.

Field tables are RabbitMQ's dialect of the specification's: `s` is a signed 16-bit integer, `l` a
signed 64-bit one, `x` is octets. Long strings come as `str`, or as `bytes` where they aren't UTF-8.
A timestamp comes as an aware `datetime`, so that a table that is read and written again keeps its
types; one that no calendar holds stays an `int`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeAlias

from smsgw.errors import Misuse, PeerError

MAX_DEPTH = 64
"""Tables and arrays within each other; deeper ones are an attack, not a header."""

MAX_SHORTSTR = 255

PAST_THE_END = (IndexError, struct.error)
"""What a read raises where the octets end before the value does."""

Read: TypeAlias = Callable[[bytes, int], tuple[Any, int]]
Write: TypeAlias = Callable[[Any], bytes]


class DecodeError(PeerError):
    """A payload is not what its type says. `offset` is in octets from its start."""

    def __init__(self, problem: str, offset: int) -> None:
        super().__init__(f"{problem} at octet {offset}")
        self.offset = offset


class EncodeError(Misuse):
    """A value of ours does not fit its field. `path` names it, `headers.x-death[0].count`."""

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.problem = problem
        self.path = path


def at_end(what: str, offset: int, end: int) -> None:
    """Reading has to stop at `end` or before."""
    if offset > end:
        raise DecodeError(f"{what} is cut short", end)


U8, U16, U32, U64 = (struct.Struct(form) for form in (">B", ">H", ">I", ">Q"))
I8, I16, I32, I64 = (struct.Struct(form) for form in (">b", ">h", ">i", ">q"))
F32, F64 = struct.Struct(">f"), struct.Struct(">d")


def _number(form: struct.Struct) -> Read:
    def read(octets: bytes, offset: int) -> tuple[Any, int]:
        return form.unpack_from(octets, offset)[0], offset + form.size

    return read


def read_shortstr(octets: bytes, offset: int) -> tuple[str, int]:
    """Octets that are not UTF-8 show as `\\xNN`: a name is text, whatever a producer wrote."""
    end = offset + 1 + octets[offset]
    return octets[offset + 1 : end].decode("utf-8", "backslashreplace"), end


def read_octets(octets: bytes, offset: int) -> tuple[bytes, int]:
    end = offset + 4 + U32.unpack_from(octets, offset)[0]
    return octets[offset + 4 : end], end


def read_longstr(octets: bytes, offset: int) -> tuple[str | bytes, int]:
    found, end = read_octets(octets, offset)
    try:
        return found.decode(), end
    except UnicodeDecodeError:
        return found, end


def read_table(octets: bytes, offset: int, depth: int = 0) -> tuple[dict[str, Any], int]:
    end = _end_of(octets, offset, depth)
    offset += 4
    found = {}
    while offset < end:
        name, offset = read_shortstr(octets, offset)
        found[name], offset = _read_value(octets, offset, depth)
    if offset != end:
        raise DecodeError("a value goes past the end of its table", end)
    return found, end


def read_array(octets: bytes, offset: int, depth: int = 0) -> tuple[list[Any], int]:
    end = _end_of(octets, offset, depth)
    offset += 4
    found = []
    while offset < end:
        value, offset = _read_value(octets, offset, depth)
        found.append(value)
    if offset != end:
        raise DecodeError("a value goes past the end of its array", end)
    return found, end


def _end_of(octets: bytes, offset: int, depth: int) -> int:
    if depth > MAX_DEPTH:
        raise DecodeError(f"tables nested more than {MAX_DEPTH} deep", offset)
    end: int = offset + 4 + U32.unpack_from(octets, offset)[0]
    if end > len(octets):
        raise DecodeError("a table goes past the end", offset)
    return end


def _read_value(octets: bytes, offset: int, depth: int) -> tuple[Any, int]:
    kind = octets[offset]
    read = _VALUES.get(kind)
    if read is not None:
        return read(octets, offset + 1)
    if kind == _TABLE:
        return read_table(octets, offset + 1, depth + 1)
    if kind == _ARRAY:
        return read_array(octets, offset + 1, depth + 1)
    raise DecodeError(f"unknown field type {bytes((kind,))!r}", offset)


def _read_boolean(octets: bytes, offset: int) -> tuple[bool, int]:
    return octets[offset] != 0, offset + 1


def _read_void(octets: bytes, offset: int) -> tuple[None, int]:
    return None, offset


def _read_timestamp(octets: bytes, offset: int) -> tuple[datetime | int, int]:
    seconds: int = U64.unpack_from(octets, offset)[0]
    try:
        return datetime.fromtimestamp(seconds, UTC), offset + 8
    except (OverflowError, ValueError, OSError):
        return seconds, offset + 8


def _read_decimal(octets: bytes, offset: int) -> tuple[Decimal, int]:
    number: int = I32.unpack_from(octets, offset + 1)[0]
    return Decimal(number).scaleb(-octets[offset]), offset + 5


_TABLE, _ARRAY = b"FA"

_VALUES: dict[int, Read] = {
    ord(kind): read
    for kind, read in {
        "S": read_longstr,
        "I": _number(I32),
        "t": _read_boolean,
        "b": _number(I8),
        "B": _number(U8),
        "s": _number(I16),
        "u": _number(U16),
        "i": _number(U32),
        "l": _number(I64),
        "L": _number(I64),
        "f": _number(F32),
        "d": _number(F64),
        "D": _read_decimal,
        "x": read_octets,
        "T": _read_timestamp,
        "V": _read_void,
    }.items()
}

READERS: dict[str, Read] = {
    "octet": _number(U8),
    "short": _number(U16),
    "long": _number(U32),
    "longlong": _number(U64),
    "timestamp": _number(U64),
    "shortstr": read_shortstr,
    "longstr": read_longstr,
    "table": read_table,
}
"""By the specification's names of the types; bits are not here, they share octets."""


def write_shortstr(value: str) -> bytes:
    octets = _utf8(value)
    size = len(octets)
    if size > MAX_SHORTSTR:
        raise EncodeError(f"a short string of {size} octets; {MAX_SHORTSTR} is the most")
    return _OCTETS[size] + octets


_OCTETS = tuple(bytes((number,)) for number in range(256))


write_name = lru_cache(1024)(write_shortstr)
"""The same for what comes again and again: exchanges, header names."""


_EMPTY = U32.pack(0)


def write_longstr(value: str | bytes) -> bytes:
    octets = _utf8(value) if isinstance(value, str) else bytes(value)
    return U32.pack(len(octets)) + octets


def write_table(table: Mapping[str, Any]) -> bytes:
    if not table:
        return _EMPTY
    pieces = []
    for name, value in table.items():
        try:
            pieces.append(write_name(name))
            pieces.append(_write_value(value))
        except Exception as error:  # noqa: BLE001  raised again, with the entry's name
            raise placed(str(name), error) from None
    octets = b"".join(pieces)
    return U32.pack(len(octets)) + octets


def write_array(values: list[Any] | tuple[Any, ...]) -> bytes:
    pieces = []
    for index, value in enumerate(values):
        try:
            pieces.append(_write_value(value))
        except Exception as error:  # noqa: BLE001  raised again, with the place in the array
            raise placed(f"[{index}]", error) from None
    octets = b"".join(pieces)
    return U32.pack(len(octets)) + octets


def placed(step: str, error: Exception) -> Exception:
    """An error about a value, with one more step of the way to it in front; surprises unchanged."""
    if isinstance(error, EncodeError):
        joint = "" if not error.path or error.path.startswith("[") else "."
        return EncodeError(error.problem, f"{step}{joint}{error.path}")
    if isinstance(error, RecursionError):
        return EncodeError("tables within tables without end", step)
    if isinstance(error, struct.error | AttributeError | TypeError):
        return EncodeError(str(error), step)
    return error


def _write_value(value: Any) -> bytes:
    write = _WRITE_TYPE.get(type(value))
    if write is not None:
        return write(value)
    for kind, write_kind in _WRITE_KINDS:
        if isinstance(value, kind):
            return write_kind(value)
    raise EncodeError(f"no AMQP field type for {type(value).__name__}")


def _utf8(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise EncodeError(f"not a text that UTF-8 can hold: {error.reason}") from None


def _write_integer(value: int) -> bytes:
    """The two integer types that every client library reads: signed, 32 and 64 bits wide."""
    if -(2**31) <= value < 2**31:
        return b"I" + I32.pack(value)
    return b"l" + I64.pack(value)


def _write_datetime(value: datetime) -> bytes:
    """Whole seconds since the epoch; a naive time is taken as UTC."""
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return b"T" + U64.pack(int(aware.timestamp()))


def _write_decimal(value: Decimal) -> bytes:
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or not -255 <= exponent <= 9 or len(digits) > 10:
        raise EncodeError(f"{value} does not fit 32 bits and 255 places")
    scale = max(0, -exponent)
    return b"D" + U8.pack(scale) + I32.pack(int(value.scaleb(scale)))


_WRITE_TYPE: dict[type, Write] = {
    str: lambda value: b"S" + write_longstr(value),
    int: _write_integer,
    bool: lambda value: b"t\x01" if value else b"t\x00",
    float: lambda value: b"d" + F64.pack(value),
    type(None): lambda value: b"V",
    bytes: lambda value: b"x" + write_longstr(value),
    datetime: _write_datetime,
    Decimal: _write_decimal,
    dict: lambda value: b"F" + write_table(value),
    list: lambda value: b"A" + write_array(value),
}

_WRITE_KINDS: tuple[tuple[type | tuple[type, ...], Write], ...] = (
    *_WRITE_TYPE.items(),
    (tuple, lambda value: b"A" + write_array(value)),
    ((bytearray, memoryview), lambda value: b"x" + write_longstr(bytes(value))),
    (Mapping, lambda value: b"F" + write_table(value)),
)
"""For subclasses, an enumeration's members among them."""

WRITERS: dict[str, Write] = {
    "octet": U8.pack,
    "short": U16.pack,
    "long": U32.pack,
    "longlong": U64.pack,
    "timestamp": U64.pack,
    "shortstr": write_shortstr,
    "longstr": write_longstr,
    "table": write_table,
}
