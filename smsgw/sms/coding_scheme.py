"""TP-DCS: which alphabet user data has, and what else the octet says (3GPP TS 23.038, clause 4).

SMPP's data_coding means the same where it has no meaning of its own (`smsgw.smpp.dialect`).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from smsgw.sms.coding import Charset, Encoding

Waiting: TypeAlias = Literal["voice", "fax", "email", "other"]

_ALPHABETS: tuple[Charset, ...] = ("gsm7", "binary", "ucs2", "gsm7")
"""By bits 3 and 2 of the general groups. The last is reserved, which means GSM 7-bit to a receiver."""

_WAITING: tuple[Waiting, ...] = ("voice", "fax", "email", "other")

_OCTET: dict[Encoding, int] = {"gsm7": 0x00, "binary": 0x04, "ucs2": 0x08}


class Scheme(msgspec.Struct, frozen=True):
    """What a TP-DCS says. `septets`: TP-UDL counts septets, else octets.

    `charset` of compressed data is `binary`, since smsgw does not read it. `message_class` 0 is a
    flash message. `waiting` with `active` is a message waiting indication, `discard` where the
    message itself need not be shown, `delete` where it is to be deleted once read.
    """

    charset: Charset
    message_class: int | None = None
    compressed: bool = False
    delete: bool = False
    waiting: Waiting | None = None
    active: bool = False
    discard: bool = False

    @property
    def septets(self) -> bool:
        return self.charset == "gsm7"


def scheme(octet: int) -> Scheme:
    """The meaning of any octet; reserved ones mean GSM 7-bit, as clause 4 asks of a receiver."""
    group = octet >> 4
    if group < 0x8:
        return _general(octet)
    if group in (0xC, 0xD, 0xE):
        return Scheme(
            "ucs2" if group == 0xE else "gsm7",
            waiting=_WAITING[octet & 3],
            active=bool(octet & 0x08),
            discard=group == 0xC,
        )
    if group == 0xF:
        return Scheme("binary" if octet & 0x04 else "gsm7", message_class=octet & 3)
    return Scheme("gsm7")


def _general(octet: int) -> Scheme:
    compressed = bool(octet & 0x20)
    return Scheme(
        "binary" if compressed else _ALPHABETS[octet >> 2 & 3],
        message_class=octet & 3 if octet & 0x10 else None,
        compressed=compressed,
        delete=bool(octet & 0x40),
    )


def is_reserved(octet: int) -> bool:
    """Whether the octet has no meaning yet; `scheme` reads it as a receiver should."""
    group = octet >> 4
    reserved_alphabet = group < 0x8 and not octet & 0x20 and octet & 0x0C == 0x0C
    return reserved_alphabet or 0x8 <= group < 0xC


def octet_of(encoding: Encoding, *, flash: bool = False) -> int | None:
    """The octet for an encoding; None for one that the air does not know."""
    found = _OCTET.get(encoding)
    return found if found is None or not flash else found | 0x10
