"""TLVs, the optional parameters behind a PDU's body (3.4, 3.2.4 and 5.3): tag, length, value.

A value is read by its tag's kind in `smsgw.smpp.constants.Tag`: an integer, a C-Octet String as `str`
without its NUL, or octets. Unknown tags, and values whose size does not fit their kind, stay `bytes`;
nothing is lost and nothing is refused but a length that runs out of the PDU.
"""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error
from typing import TypeAlias

from smsgw.smpp.constants import CommandStatus, Tag
from smsgw.smpp.fields import CString, EncodeError, FieldFault, c_string

Tlvs: TypeAlias = tuple[tuple[int, int | str | bytes], ...]
"""Pairs of tag and value, in the order of the wire; a tag may come more than once."""

_TLV_HEADER = Struct(">HH")
_INTEGERS = {int(tag): tag.most for tag in Tag if tag.kind == "integer"}
_CSTRINGS = {int(tag): CString(tag.most) for tag in Tag if tag.kind == "cstring"}
_TAIL = 4
"""Octets that make a TLV's header; fewer at a PDU's end are stray and ignored."""


def read_tlvs(frame: bytes, offset: int) -> Tlvs:
    """The TLVs from `offset` to the end of the frame. Raises `FieldFault`."""
    found: list[tuple[int, int | str | bytes]] = []
    while len(frame) - offset >= _TAIL:
        tag, length = _TLV_HEADER.unpack_from(frame, offset)
        start = offset + _TAIL
        end = start + length
        if end > len(frame):
            problem = f"its length is {length}, the PDU has {len(frame) - start} octets left"
            raise FieldFault(f"tlv 0x{tag:04X}", offset, problem, CommandStatus.ESME_RINVTLVSTREAM)
        found.append((tag, _tlv_value(tag, frame[start:end])))
        offset = end
    return tuple(found)


def _tlv_value(tag: int, octets: bytes) -> int | str | bytes:
    """By the tag's kind; octets that do not fit it stay as they are."""
    size = _INTEGERS.get(tag)
    if size is not None:
        return int.from_bytes(octets) if len(octets) == size else octets
    kind = _CSTRINGS.get(tag)
    if kind is not None:
        text = octets.rstrip(b"\0")
        return text.decode("latin-1") if len(text) < kind.size and 0 not in text else octets
    return octets


def write_tlvs(tlvs: Tlvs) -> bytes:
    """The octets of the TLVs. Octets go out as they are, whatever the tag's kind. Raises `EncodeError`."""
    out: list[bytes] = []
    for tag, value in tlvs:
        octets = value if isinstance(value, bytes) else _tlv_octets(tag, value)
        try:
            out.append(_TLV_HEADER.pack(tag, len(octets)))
        except struct_error:
            raise _tlv_misfit(tag, f"tag and length ({len(octets)}) are two octets each") from None
        out.append(octets)
    return b"".join(out)


def _tlv_octets(tag: int, value: int | str) -> bytes:
    size = _INTEGERS.get(tag)
    if size is not None and isinstance(value, int):
        try:
            return value.to_bytes(size)
        except OverflowError:
            raise _tlv_misfit(tag, f"expected an integer of {size} octet(s), found {value}") from None
    kind = _CSTRINGS.get(tag)
    if kind is not None and isinstance(value, str):
        return c_string(f"tlv 0x{tag:04X}", value, kind)
    raise _tlv_misfit(tag, f"{type(value).__name__} is not what it holds; octets always go")


def _tlv_misfit(tag: int, problem: str) -> EncodeError:
    return EncodeError(f"tlv 0x{tag:04X}", problem)
