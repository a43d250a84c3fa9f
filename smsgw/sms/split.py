"""A coded text, or binary data, as parts ready for PDUs.

`choose` in `smsgw.sms.coding` has cut the text; here each piece gets what tells the phone (or the
SMSC) that it belongs to a whole, in one of four forms:

* `udh`, `udh16`: a concatenation element with an 8 or 16-bit reference in each part's header;
* `sar`: no such element; the caller writes sar_msg_ref_num, sar_total_segments and sar_segment_seqnum
  from the part's `reference`, `total` and `number`;
* `payload`: one part that holds all, for the message_payload TLV; the SMSC cuts it.

What fits one part is the same in all forms, and has no header unless its own elements need one.
"""

from __future__ import annotations

import msgspec

from smsgw.errors import Misuse
from smsgw.sms import udh
from smsgw.sms.coding import (
    MAX_PARTS,
    Coding,
    Encoding,
    Form,
    Impossible,
    capacity,
    header_size,
)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One short message: `udh` (with its length octet, or empty) and `payload` as on the wire.

    `number` of `total` from 1; `reference` only where there are several. `sar` means that the three SAR
    TLVs tell these, not the header; `whole` that the message_payload TLV carries header and payload, of
    which the SMSC makes `total` short messages.
    """

    payload: bytes
    encoding: Encoding
    udh: bytes = b""
    number: int = 1
    total: int = 1
    reference: int | None = None
    sar: bool = False
    whole: bool = False

    def __repr__(self) -> str:
        octets = len(self.udh) + len(self.payload)
        return f"<Part {self.number}/{self.total} {self.encoding} octets={octets}>"


def split(coding: Coding, *, reference: int | None = None) -> tuple[Part, ...]:
    """The parts of a coded text, in the form that it was coded for.

    `reference` tells apart the long messages to one recipient; only its low 8 bits (`udh`) or 16
    bits are used.

    Raises:
        Misuse: several parts and no reference.
    """
    pieces = coding.pieces
    if len(pieces) == 1:
        return (Part(payload=pieces[0], encoding=coding.encoding, udh=udh.build(coding.elements)),)
    return _numbered(pieces, coding.encoding, coding.elements, reference, coding.form)


def split_data(
    data: bytes,
    *,
    header: bytes = b"",
    reference: int | None = None,
    form: Form = "udh",
    max_parts: int = MAX_PARTS,
) -> tuple[Part, ...] | Impossible:
    """The parts of binary data; `header` is the producer's own user data header.

    Data whose header already says that it is a part stays one part.
    """
    parsed = udh.parse(header) if header else udh.NONE
    if parsed.problem is not None or parsed.length != len(header):
        return Impossible(parsed.problem or "octets after the user data header")
    if len(data) <= capacity("binary", len(header)):
        return (Part(payload=data, encoding="binary", udh=header),)
    if udh.concatenation(parsed.elements) is not None:
        return Impossible(f"one part of {len(header) + len(data)} octets; at most {udh.MAX_OCTETS} fit")
    room = capacity("binary", header_size(form, parsed.elements))
    if room < 1:
        return Impossible("the user data header leaves no room for data")
    pieces = tuple(data[start : start + room] for start in range(0, len(data), room))
    if len(pieces) > min(max_parts, MAX_PARTS):
        return Impossible(
            f"the data takes {len(pieces)} parts; at most {min(max_parts, MAX_PARTS)} are allowed"
        )
    return _numbered(pieces, "binary", parsed.elements, reference, form)


def _numbered(
    pieces: tuple[bytes, ...],
    encoding: Encoding,
    elements: tuple[udh.Element, ...],
    reference: int | None,
    form: Form,
) -> tuple[Part, ...]:
    if form == "payload":
        whole = b"".join(pieces)
        header = udh.build(elements)
        return (Part(payload=whole, encoding=encoding, udh=header, total=len(pieces), whole=True),)
    if reference is None:
        raise Misuse(f"{len(pieces)} parts need a reference")
    if form == "sar":
        return _segments(pieces, encoding, elements, reference & 0xFFFF)
    return _concatenated(pieces, encoding, elements, reference, wide=form == "udh16")


def _segments(
    pieces: tuple[bytes, ...], encoding: Encoding, elements: tuple[udh.Element, ...], reference: int
) -> tuple[Part, ...]:
    header, total = udh.build(elements), len(pieces)
    return tuple(
        Part(
            payload=piece,
            encoding=encoding,
            udh=header,
            number=number,
            total=total,
            reference=reference,
            sar=True,
        )
        for number, piece in enumerate(pieces, 1)
    )


def _concatenated(
    pieces: tuple[bytes, ...],
    encoding: Encoding,
    elements: tuple[udh.Element, ...],
    reference: int,
    *,
    wide: bool,
) -> tuple[Part, ...]:
    reference &= 0xFFFF if wide else 0xFF
    total = len(pieces)
    return tuple(
        Part(
            payload=piece,
            encoding=encoding,
            udh=udh.build((udh.Concatenation(reference, total, number, wide).element, *elements)),
            number=number,
            total=total,
            reference=reference,
        )
        for number, piece in enumerate(pieces, 1)
    )
