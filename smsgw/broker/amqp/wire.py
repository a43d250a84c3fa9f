"""AMQP 0-9-1 as octets: frames, method arguments, field tables, properties. Pure.

A frame is `type channel(16) size(32) payload 0xCE` (specification 4.2.3). `Framer` cuts the stream
into frames; `Reader` and the `encode_*` functions turn payloads into values and back, following the
specification model that txAMQP loads from `amqp0-9-1.xml`.

Field tables are RabbitMQ's dialect of the specification's: `s` is a signed 16-bit integer, `l` a
signed 64-bit one, `x` is octets. Long strings come as `str`, or as `bytes` where they aren't UTF-8.
A timestamp comes as an aware `datetime`, so that a table that is read and written again keeps its
types; one that no calendar holds stays an `int`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

from txamqp import spec

from smsgw.errors import Misuse, PeerError

FRAME_METHOD = 1
FRAME_HEADER = 2
FRAME_BODY = 3
FRAME_HEARTBEAT = 8
FRAME_END = 0xCE
FRAME_OVERHEAD = 8
"""Octets of a frame around its payload."""

FRAME_MIN_SIZE = 4096
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"

MAX_DEPTH = 64
"""Tables and arrays within each other; deeper ones are an attack, not a header."""

SPEC = spec.load(str(Path(__file__).with_name("amqp0-9-1.xml")))

Frame: TypeAlias = tuple[int, int, bytes]
"""Type, channel, payload."""


class FrameError(PeerError):
    """The stream is out of step: the connection can't be saved."""

    fatal = True


class DecodeError(PeerError):
    """A payload is not what its type says. `offset` is in octets from its start."""

    def __init__(self, problem: str, offset: int) -> None:
        super().__init__(f"{problem} at octet {offset}")
        self.offset = offset


class EncodeError(Misuse):
    """A value of ours does not fit its field; the text names the field."""


class Framer:
    """Cuts a stream of octets into frames."""

    def __init__(self, frame_max: int) -> None:
        """`frame_max` is the largest whole frame in octets that is taken."""
        self.frame_max = frame_max
        self._rest = b""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete now.

        Raises:
            FrameError: an unknown type, a wrong end octet, or a size above `frame_max`.
        """
        buffer = self._rest + data if self._rest else data
        size_of_buffer = len(buffer)
        frames = []
        offset = 0
        while size_of_buffer - offset >= FRAME_OVERHEAD:
            kind, channel, size = _FRAME.unpack_from(buffer, offset)
            if kind not in _KINDS or size > self.frame_max - FRAME_OVERHEAD:
                raise FrameError(f"not a frame of AMQP 0-9-1: type {kind}, size {size}")
            end = offset + 7 + size
            if end >= size_of_buffer:
                break
            if buffer[end] != FRAME_END:
                raise FrameError(f"a frame ends with 0x{buffer[end]:02x} instead of 0xce")
            frames.append((kind, channel, buffer[offset + 7 : end]))
            offset = end + 1
        self._rest = buffer[offset:]
        return frames


_FRAME = struct.Struct(">BHI")
_KINDS = frozenset((FRAME_METHOD, FRAME_HEADER, FRAME_BODY, FRAME_HEARTBEAT))


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    """One frame, ready for the wire."""
    return b"%b%b\xce" % (_FRAME.pack(kind, channel, len(payload)), payload)


class Reader:
    """Values from a payload, in order. Every read raises `DecodeError` rather than go past the end."""

    def __init__(self, data: bytes, offset: int = 0) -> None:
        self.data = data
        self.offset = offset
        self._bits = 0
        self._bit = 8

    def read(self, kind: str) -> Any:
        """The value of a specification's type: `shortstr`, `table`, `bit` ..."""
        if kind == "bit":
            return self._read_bit()
        self._bit = 8
        return _READERS[kind](self)

    def take(self, size: int) -> bytes:
        end = self.offset + size
        if end > len(self.data):
            raise DecodeError(f"expected {size} octets", self.offset)
        octets = self.data[self.offset : end]
        self.offset = end
        return octets

    def number(self, form: struct.Struct) -> Any:
        try:
            (value,) = form.unpack_from(self.data, self.offset)
        except struct.error:
            raise DecodeError(f"expected {form.size} octets", self.offset) from None
        self.offset += form.size
        return value

    def table(self, depth: int = 0) -> dict[str, Any]:
        end = self._enter(depth)
        found = {}
        while self.offset < end:
            name = self.shortstr()
            found[name] = self._value(depth)
        self._leave(end)
        return found

    def array(self, depth: int = 0) -> list[Any]:
        end = self._enter(depth)
        found = []
        while self.offset < end:
            found.append(self._value(depth))
        self._leave(end)
        return found

    def shortstr(self) -> str:
        """Octets that are not UTF-8 show as `\\xNN`: a name is text, whatever a producer wrote."""
        return self.take(self.number(_U8)).decode("utf-8", "backslashreplace")

    def longstr(self) -> str | bytes:
        octets = self.take(self.number(_U32))
        try:
            return octets.decode()
        except UnicodeDecodeError:
            return octets

    def _read_bit(self) -> bool:
        if self._bit == 8:
            self._bits, self._bit = self.number(_U8), 0
        found = bool(self._bits >> self._bit & 1)
        self._bit += 1
        return found

    def _enter(self, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise DecodeError(f"tables nested more than {MAX_DEPTH} deep", self.offset)
        size: int = self.number(_U32)
        if self.offset + size > len(self.data):
            raise DecodeError(f"expected a table of {size} octets", self.offset)
        return self.offset + size

    def _leave(self, end: int) -> None:
        if self.offset != end:
            raise DecodeError("a value goes past the end of its table", end)

    def _value(self, depth: int) -> Any:
        kind = self.take(1)
        if kind == b"F":
            return self.table(depth + 1)
        if kind == b"A":
            return self.array(depth + 1)
        try:
            read = _VALUES[kind]
        except KeyError:
            raise DecodeError(f"unknown field type {kind!r}", self.offset - 1) from None
        return read(self)


_U8, _U16, _U32, _U64 = (struct.Struct(form) for form in (">B", ">H", ">I", ">Q"))
_I8, _I16, _I32, _I64 = (struct.Struct(form) for form in (">b", ">h", ">i", ">q"))
_F32, _F64 = struct.Struct(">f"), struct.Struct(">d")


def _number(form: struct.Struct) -> Callable[[Reader], Any]:
    return lambda reader: reader.number(form)


def _read_timestamp(reader: Reader) -> datetime | int:
    seconds: int = reader.number(_U64)
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return seconds


def _read_decimal(reader: Reader) -> Decimal:
    scale: int = reader.number(_U8)
    return Decimal(reader.number(_I32)).scaleb(-scale)


_READERS: dict[str, Callable[[Reader], Any]] = {
    "octet": _number(_U8),
    "short": _number(_U16),
    "long": _number(_U32),
    "longlong": _number(_U64),
    "timestamp": _number(_U64),
    "shortstr": Reader.shortstr,
    "longstr": Reader.longstr,
    "table": Reader.table,
}

_VALUES: dict[bytes, Callable[[Reader], Any]] = {
    b"t": lambda reader: reader.number(_U8) != 0,
    b"b": _number(_I8),
    b"B": _number(_U8),
    b"s": _number(_I16),
    b"u": _number(_U16),
    b"I": _number(_I32),
    b"i": _number(_U32),
    b"l": _number(_I64),
    b"L": _number(_I64),
    b"f": _number(_F32),
    b"d": _number(_F64),
    b"D": _read_decimal,
    b"S": Reader.longstr,
    b"x": lambda reader: reader.take(reader.number(_U32)),
    b"T": _read_timestamp,
    b"V": lambda reader: None,
}


def encode_shortstr(value: str | bytes) -> bytes:
    octets = _octets(value)
    if len(octets) > 255:
        raise EncodeError(f"a short string of {len(octets)} octets; 255 is the most")
    return bytes((len(octets),)) + octets


def encode_longstr(value: str | bytes) -> bytes:
    octets = _octets(value)
    return _U32.pack(len(octets)) + octets


def encode_table(table: Mapping[str, Any], path: str = "") -> bytes:
    """A field table. Raises `EncodeError` that names the entry by its path."""
    return _sized(
        _named(f"{path}{name}", encode_shortstr, name) + _encode_value(value, f"{path}{name}")
        for name, value in table.items()
    )


def _encode_value(value: Any, path: str) -> bytes:
    for kinds, encode in _ENCODERS:
        if isinstance(value, kinds):
            return _named(path, encode, value)
    if isinstance(value, Mapping):
        return b"F" + encode_table(value, f"{path}.")
    if isinstance(value, list | tuple):
        return b"A" + _sized(_encode_value(each, f"{path}[{index}]") for index, each in enumerate(value))
    raise EncodeError(f"{path}: no AMQP field type for {type(value).__name__}")


def _named(path: str, encode: Callable[[Any], bytes], value: Any) -> bytes:
    try:
        return encode(value)
    except (EncodeError, struct.error, RecursionError) as error:
        raise EncodeError(f"{path}: {error}") from None


def _sized(pieces: Iterable[bytes]) -> bytes:
    try:
        octets = b"".join(pieces)
    except RecursionError:
        raise EncodeError("tables within tables without end") from None
    return _U32.pack(len(octets)) + octets


def _octets(value: str | bytes) -> bytes:
    if not isinstance(value, str):
        return bytes(value)
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise EncodeError(f"not a text that UTF-8 can hold: {error.reason}") from None


def _encode_integer(value: int) -> bytes:
    """The two integer types that every client library reads: signed, 32 and 64 bits wide."""
    if -(2**31) <= value < 2**31:
        return b"I" + _I32.pack(value)
    return b"l" + _I64.pack(value)


def _encode_datetime(value: datetime) -> bytes:
    """Whole seconds since the epoch; a naive time is taken as UTC."""
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return b"T" + _U64.pack(int(aware.timestamp()))


def _encode_decimal(value: Decimal) -> bytes:
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise EncodeError(f"{value} is no decimal number")
    scale = max(0, -exponent)
    number = int("".join(map(str, digits))) * 10 ** max(0, min(exponent, 10))
    if scale > 255 or exponent > 10:
        raise EncodeError("a decimal beyond 32 bits or 255 places")
    return b"D" + _U8.pack(scale) + _I32.pack(-number if sign else number)


_ENCODERS: tuple[tuple[type | tuple[type, ...], Callable[[Any], bytes]], ...] = (
    (str, lambda value: b"S" + encode_longstr(value)),
    (bool, lambda value: b"t\x01" if value else b"t\x00"),
    (int, _encode_integer),
    (float, lambda value: b"d" + _F64.pack(value)),
    (type(None), lambda value: b"V"),
    ((bytes, bytearray, memoryview), lambda value: b"x" + encode_longstr(bytes(value))),
    (datetime, _encode_datetime),
    (Decimal, _encode_decimal),
)

_WRITERS: dict[str, Callable[[Any], bytes]] = {
    "octet": _U8.pack,
    "short": _U16.pack,
    "long": _U32.pack,
    "longlong": _U64.pack,
    "timestamp": _U64.pack,
    "shortstr": encode_shortstr,
    "longstr": encode_longstr,
    "table": encode_table,
}


def encode_method(method: Any, arguments: Iterable[Any]) -> bytes:
    """A method's payload. Consecutive bits share octets, the first in the lowest bit (4.2.5.2)."""
    pieces = [_U16.pack(method.klass.id), _U16.pack(method.id)]
    bits: list[Any] = []
    for field, value in zip(method.fields, arguments, strict=True):
        if field.type == "bit":
            bits.append(value)
            continue
        pieces.append(_pack_bits(bits))
        bits = []
        pieces.append(encode_value(field.type, value, f"{method.klass.name}.{method.name} {field.name}"))
    pieces.append(_pack_bits(bits))
    return b"".join(pieces)


def encode_value(kind: str, value: Any, path: str) -> bytes:
    """A value of a specification's type; `path` names it in an `EncodeError`."""
    return _named(path, _WRITERS[kind], value)


def _pack_bits(bits: list[Any]) -> bytes:
    if not bits:
        return b""
    packed = sum(1 << index for index, bit in enumerate(bits) if bit)
    return packed.to_bytes((len(bits) + 7) // 8, "little")


def decode_method(payload: bytes) -> tuple[Any, tuple[Any, ...]]:
    """The method, as txAMQP's specification model has it, and its arguments."""
    reader = Reader(payload)
    class_id, method_id = reader.number(_U16), reader.number(_U16)
    try:
        method = SPEC.classes.byid[class_id].methods.byid[method_id]
    except KeyError:
        raise DecodeError(f"unknown method {class_id}.{method_id}", 0) from None
    return method, tuple([reader.read(field.type) for field in method.fields])
