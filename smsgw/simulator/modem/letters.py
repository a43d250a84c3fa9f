"""What phones send to the modem: an inbound message as SMS-DELIVERs. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from smsgw.errors import Misuse
from smsgw.gsm import addresses, messages
from smsgw.gsm.octets import EncodeError
from smsgw.gsm.shapes import Deliver, UserData
from smsgw.gsm.times import Timestamp
from smsgw.sms.coding import Impossible, choose
from smsgw.sms.split import split


class Inbound(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"source": "from"}
):
    """`from` is a number or a name. A text too long for one message goes out in parts.

    `data` (hex, with its UDH where `header` says so) is sent as it is, under `coding`, instead of a text.
    `order` is that of the parts, from 1; parts that it does not name are not sent.
    """

    source: str = "+46700000001"
    text: str = "inbound"
    encoding: Literal["auto", "gsm7", "ucs2"] = "auto"
    form: Literal["udh", "udh16"] = "udh"
    reference: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 1
    data: Annotated[str, msgspec.Meta(pattern="^([0-9A-Fa-f]{2})*$", max_length=280)] = ""
    header: bool = False
    coding: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None
    flash: bool = False
    protocol: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0
    order: tuple[int, ...] = ()


def deliveries(message: Inbound, at: Timestamp) -> list[Deliver]:
    """Its parts, in the order in which they come.

    Raises:
        Misuse: it can't be sent.
    """
    try:
        originator = addresses.address(message.source)
    except EncodeError as error:
        raise Misuse(f"from: {error}") from None
    parts = _binary(message) if message.data else _parts(message)
    order = message.order or range(1, len(parts) + 1)
    if not all(1 <= number <= len(parts) for number in order):
        raise Misuse(f"order: there are {len(parts)} parts")
    return [
        Deliver(
            originator=originator,
            timestamp=at,
            protocol=message.protocol,
            coding=parts[number - 1][0],
            data=parts[number - 1][1],
            has_header=parts[number - 1][2],
        )
        for number in order
    ]


def _binary(message: Inbound) -> list[tuple[int, UserData, bool]]:
    octets = bytes.fromhex(message.data)
    coding = 4 if message.coding is None else message.coding
    return [(coding, UserData(len(octets), octets), message.header)]


def _parts(message: Inbound) -> list[tuple[int, UserData, bool]]:
    coded = choose(message.text, message.encoding, form=message.form)
    if isinstance(coded, Impossible):
        raise Misuse(f"text: {coded.problem}")
    return [
        (
            messages.coding_of(part, flash=message.flash) if message.coding is None else message.coding,
            messages.user_data(part.payload, part.encoding, part.udh),
            bool(part.udh),
        )
        for part in split(coded, reference=message.reference)
    ]
