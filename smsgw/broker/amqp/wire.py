"""AMQP 0-9-1 frames and methods. Pure.

A frame is `type channel(16) size(32) payload 0xCE` (specification 4.2.3). `Framer` cuts the stream
into frames; `encode_method` and `decode_method` follow the specification model that txAMQP loads
from `amqp0-9-1.xml`. Messages, which are the bulk, have `content`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

from txamqp import spec

from smsgw.broker.amqp.fields import PAST_THE_END, READERS, WRITERS, DecodeError, at_end, placed
from smsgw.errors import PeerError

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

SPEC = spec.load(str(Path(__file__).with_name("amqp0-9-1.xml")))

Frame: TypeAlias = tuple[int, int, bytes]
"""Type, channel, payload."""


class FrameError(PeerError):
    """The stream is out of step: the connection can't be saved."""

    fatal = True


_METHOD = struct.Struct(">HH")
_FRAME = struct.Struct(">BHI")
_KINDS = frozenset((FRAME_METHOD, FRAME_HEADER, FRAME_BODY, FRAME_HEARTBEAT))


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
        largest = self.frame_max - FRAME_OVERHEAD
        frames = []
        offset = 0
        while size_of_buffer - offset >= FRAME_OVERHEAD:
            kind, channel, size = _FRAME.unpack_from(buffer, offset)
            if kind not in _KINDS or size > largest:
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


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    """One frame, ready for the wire."""
    return b"%b%b\xce" % (_FRAME.pack(kind, channel, len(payload)), payload)


def encode_method(method: Any, arguments: Iterable[Any]) -> bytes:
    """A method's payload. Consecutive bits share octets, the first in the lowest bit (4.2.5.2).

    Raises:
        EncodeError: names the method and the argument that does not fit.
    """
    pieces = [_METHOD.pack(method.klass.id, method.id)]
    bits: list[Any] = []
    for field, value in zip(method.fields, arguments, strict=True):
        if field.type == "bit":
            bits.append(value)
            continue
        pieces.append(_pack_bits(bits))
        bits = []
        try:
            pieces.append(WRITERS[field.type](value))
        except Exception as error:  # noqa: BLE001  raised again, with the argument's name
            raise placed(f"{method.klass.name}.{method.name} {field.name}", error) from None
    pieces.append(_pack_bits(bits))
    return b"".join(pieces)


def _pack_bits(bits: list[Any]) -> bytes:
    packed = sum(1 << index for index, bit in enumerate(bits) if bit)
    return packed.to_bytes((len(bits) + 7) // 8, "little")


def decode_method(payload: bytes) -> tuple[Any, tuple[Any, ...]]:
    """The method, as txAMQP's specification model has it, and its arguments.

    Raises:
        DecodeError: an unknown method, or arguments that aren't its own.
    """
    try:
        class_id, method_id = _METHOD.unpack_from(payload)
        method = SPEC.classes.byid[class_id].methods.byid[method_id]
        arguments, end = _read_arguments(method, payload)
    except KeyError:
        raise DecodeError(f"unknown method {class_id}.{method_id}", 0) from None
    except PAST_THE_END:
        raise DecodeError("a method is cut short", len(payload)) from None
    at_end(f"{method.klass.name}.{method.name}", end, len(payload))
    return method, arguments


def _read_arguments(method: Any, payload: bytes) -> tuple[tuple[Any, ...], int]:
    found: list[Any] = []
    offset, bit = 4, 8
    for field in method.fields:
        if field.type != "bit":
            value, offset = READERS[field.type](payload, offset)
            found.append(value)
            bit = 8
            continue
        if bit == 8:
            offset, bit = offset + 1, 0
        found.append(bool(payload[offset - 1] >> bit & 1))
        bit += 1
    return tuple(found), offset
