"""Messages as AMQP carries them: publish, deliver, acknowledge. Pure, and the hot path.

A message is a method frame, a header frame (size and properties) and as many body frames as the
frame size asks for (specification 4.2.6). The methods that come once per message are packed and
unpacked here by hand; everything else goes through `wire.encode_method`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from smsgw.broker.amqp.fields import (
    PAST_THE_END,
    READERS,
    U16,
    U32,
    U64,
    WRITERS,
    DecodeError,
    EncodeError,
    Read,
    Write,
    at_end,
    placed,
    read_shortstr,
    write_name,
    write_shortstr,
)
from smsgw.broker.amqp.wire import FRAME_BODY, FRAME_HEADER, FRAME_METHOD, FRAME_OVERHEAD, SPEC, frame
from smsgw.broker.base import Properties, Publish

DELIVER = b"\x00\x3c\x00\x3c"
RETURN = b"\x00\x3c\x00\x32"
ACK = b"\x00\x3c\x00\x50"
NACK = b"\x00\x3c\x00\x78"
"""Class and method as the first four octets of a method's payload."""

BASIC = 60

PERSISTENT = 2

_REPEATED = {"content_type": write_name, "reply_to": write_name}
"""Properties that are the same in many messages."""

_Property: TypeAlias = tuple[str, int, Read, Write]
"""Name, flag, and how it is read and written."""

_PROPERTIES: tuple[_Property, ...] = tuple(
    (name, 1 << (15 - index), READERS[field.type], _REPEATED.get(name, WRITERS[field.type]))
    for index, field in enumerate(SPEC.classes.byname["basic"].fields)
    for name in [field.name.replace("-", "_")]
)
_NAMES = tuple(name for name, *_ in _PROPERTIES)
_NAME_OF = {flag: name for name, flag, *_ in _PROPERTIES}
_HEAD, _BEHIND_HEAD = _PROPERTIES[:5], _PROPERTIES[5:]
"""The head ends with the priority: until there, the messages of a producer mostly have the same octets."""

(
    _HAS_CONTENT_TYPE,
    _HAS_CONTENT_ENCODING,
    _HAS_HEADERS,
    _HAS_DELIVERY_MODE,
    _HAS_PRIORITY,
    _HAS_CORRELATION_ID,
    _HAS_REPLY_TO,
    _HAS_EXPIRATION,
    _HAS_MESSAGE_ID,
    _HAS_TIMESTAMP,
    *_,
) = _NAME_OF

_heads: dict[bytes, dict[str, Any]] = {}
"""What was read, by the octets from the flags to the end of the head."""

REMEMBERED = 1024
"""So many heads."""

LONGEST_HEAD = 512
"""Longer ones are not remembered: a header with deaths in it is seldom seen twice."""

_HEADER = struct.Struct(">HHQ")
_FLAGS = struct.Struct(">HHQH")
_HEADER_FRAME = struct.Struct(">BHIHHQH")
_SETTLE = struct.Struct(">BHI4sQBB")
_DELIVERY = struct.Struct(">QB")
_CONFIRM = struct.Struct(">4sQB")


def decode_deliver(payload: bytes) -> tuple[str, int, bool, str]:
    """Consumer tag, delivery tag, redelivered, routing key of basic.deliver."""
    try:
        at = 5 + payload[4]
        tag, redelivered = _DELIVERY.unpack_from(payload, at)
        consumer, key, size = _names_of_deliver(payload[4:at], payload[at + 9 :])
    except PAST_THE_END:
        raise DecodeError("basic.deliver is cut short", len(payload)) from None
    at_end("basic.deliver", at + 9 + size, len(payload))
    return consumer, tag, redelivered != 0, key


@lru_cache(256)
def _names_of_deliver(before: bytes, behind: bytes) -> tuple[str, str, int]:
    """Consumer tag, routing key, and its end: of a queue's deliveries only the number between differs."""
    consumer, _ = read_shortstr(before, 0)
    key, end = read_shortstr(behind, 1 + behind[0])
    return consumer, key, end


def decode_confirm(payload: bytes) -> tuple[int, bool]:
    """Delivery tag and `multiple` of the broker's basic.ack or basic.nack."""
    try:
        _, tag, bits = _CONFIRM.unpack_from(payload)
    except struct.error:
        raise DecodeError("a confirm is cut short", len(payload)) from None
    return tag, bool(bits & 1)


def encode_ack(channel: int, tag: int, multiple: bool) -> bytes:
    """A whole frame."""
    return _SETTLE.pack(FRAME_METHOD, channel, 13, ACK, tag, multiple, 0xCE)


def encode_nack(channel: int, tag: int) -> bytes:
    """A whole frame: this one delivery is put back into its queue."""
    return _SETTLE.pack(FRAME_METHOD, channel, 13, NACK, tag, 0b10, 0xCE)


def encode_publish(channel: int, publish: Publish, *, frame_max: int) -> bytes:
    """All frames of one publish, a persistent one.

    Raises:
        EncodeError: names the property or the header that does not fit.
    """
    body = publish.body
    size = len(body)
    method = _publish_frame(channel, publish.exchange, publish.key, publish.mandatory)
    flags, properties = _encode_used(publish.properties)
    length = _FLAGS.size + len(properties)
    step = frame_max - FRAME_OVERHEAD
    if length > step:
        raise EncodeError(f"headers: {length} octets do not fit a frame of {frame_max}")
    header = _HEADER_FRAME.pack(FRAME_HEADER, channel, length, BASIC, 0, size, flags)
    bodies = frame(FRAME_BODY, channel, body) if 0 < size <= step else _body_frames(channel, body, step)
    return b"%b%b%b\xce%b" % (method, header, properties, bodies)


def _body_frames(channel: int, body: bytes, step: int) -> bytes:
    """None for an empty body."""
    pieces = (body[at : at + step] for at in range(0, len(body), step))
    return b"".join(frame(FRAME_BODY, channel, piece) for piece in pieces)


@lru_cache(1024)
def _publish_frame(channel: int, exchange: str, key: str, mandatory: bool) -> bytes:
    """The method frame, which is the same for each event of a kind."""
    try:
        where = write_name(exchange) + write_name(key)
    except EncodeError as error:
        raise placed("exchange or routing key", error) from None
    return frame(FRAME_METHOD, channel, b"\x00\x3c\x00\x28\x00\x00%b%c" % (where, mandatory))


def _encode_used(properties: Properties) -> tuple[int, bytes]:
    """Flags and octets of a publish's properties. Where it has no headers, the head is one of a few."""
    kind, headers, priority = properties.content_type, properties.headers, properties.priority
    flags, octets = _encode_head(kind, headers, priority) if headers else _plain_head(kind, priority)
    try:
        if properties.correlation_id is not None:
            flags |= _HAS_CORRELATION_ID
            octets += write_shortstr(properties.correlation_id)
        if properties.reply_to is not None:
            flags |= _HAS_REPLY_TO
            octets += write_name(properties.reply_to)
        if properties.expiration is not None:
            flags |= _HAS_EXPIRATION
            octets += write_shortstr(properties.expiration)
        if properties.message_id is not None:
            flags |= _HAS_MESSAGE_ID
            octets += write_shortstr(properties.message_id)
        if properties.timestamp is not None:
            flags |= _HAS_TIMESTAMP
            octets += U64.pack(properties.timestamp)
    except Exception as error:  # noqa: BLE001  raised again, with the property's name: the last flag's
        raise placed(_NAME_OF[flags & -flags], error) from None
    return flags, octets


def _encode_head(
    content_type: str | None, headers: Mapping[str, Any], priority: int | None
) -> tuple[int, bytes]:
    return _encode_values(_HEAD, (content_type, None, headers, PERSISTENT, priority))


@lru_cache(256)
def _plain_head(content_type: str | None, priority: int | None) -> tuple[int, bytes]:
    return _encode_head(content_type, {}, priority)


def encode_properties(properties: Mapping[str, Any]) -> bytes:
    """Flags and values; a property that is None is left out."""
    flags, octets = _encode_values(_PROPERTIES, map(properties.get, _NAMES))
    return U16.pack(flags) + octets


def _encode_values(properties: Sequence[_Property], values: Iterable[Any]) -> tuple[int, bytes]:
    """Flags and octets of these properties' values."""
    flags = 0
    octets = b""
    for value, (name, flag, _, write) in zip(values, properties, strict=True):
        if value is None:
            continue
        flags |= flag
        try:
            octets += write(value)
        except Exception as error:  # noqa: BLE001  raised again, with the property's name
            raise placed(name, error) from None
    return flags, octets


def decode_size(header: bytes) -> int:
    """How many octets of body follow a content header."""
    try:
        _, _, size = _HEADER.unpack_from(header)
    except struct.error:
        raise DecodeError("a content header is cut short", len(header)) from None
    return int(size)


def decode_properties(header: bytes) -> dict[str, Any]:
    """The properties of a content header, by their names with underscores; absent ones are absent.

    Values that hold others (tables, arrays) are shared between equal headers: look, but don't change.
    """
    try:
        flags: int = U16.unpack_from(header, _HEADER.size)[0]
        offset = _behind_flags(header) if flags & 1 else _HEADER.size + 2
        end = _end_of_head(header, flags, offset)
        head = header[_HEADER.size : end]
        found = _heads.get(head)
        if found is None:
            found = _read_head(header, flags, offset, head)
        found = found.copy()
        for name, read in _behind_head(flags):
            found[name], end = read(header, end)
    except PAST_THE_END:
        raise DecodeError("a content header is cut short", len(header)) from None
    at_end("a content header", end, len(header))
    return found


def _behind_flags(header: bytes) -> int:
    """The offset behind the last word of flags: the lowest bit says one more follows."""
    offset = _HEADER.size
    while U16.unpack_from(header, offset)[0] & 1:
        offset += 2
    return offset + 2


def _end_of_head(header: bytes, flags: int, offset: int) -> int:
    """The offset behind the priority or what is there of the properties before it."""
    if flags & _HAS_CONTENT_TYPE:
        offset += 1 + header[offset]
    if flags & _HAS_CONTENT_ENCODING:
        offset += 1 + header[offset]
    if flags & _HAS_HEADERS:
        offset += 4 + U32.unpack_from(header, offset)[0]
    if flags & _HAS_DELIVERY_MODE:
        offset += 1
    if flags & _HAS_PRIORITY:
        offset += 1
    return offset


def _read_head(header: bytes, flags: int, offset: int, head: bytes) -> dict[str, Any]:
    """Read from the header itself, so that an error has its offset; remembered under its octets."""
    found = {}
    for name, flag, read, _ in _HEAD:
        if flags & flag:
            found[name], offset = read(header, offset)
    at_end("a content header", offset, len(header))
    if len(head) <= LONGEST_HEAD:
        if len(_heads) >= REMEMBERED:
            _heads.clear()  # those in use are back at once
        _heads[head] = found
    return found


@lru_cache(256)
def _behind_head(flags: int) -> tuple[tuple[str, Read], ...]:
    """The properties behind the head that these flags announce."""
    return tuple((name, read) for name, flag, read, _ in _BEHIND_HEAD if flags & flag)
