"""What a submit_sm or data_sm asks for: pure readings of the PDU."""

from __future__ import annotations

import msgspec

from smsgw.smpp.constants import EsmClass, RegisteredDelivery, Tag
from smsgw.smpp.pdu import DataSm, Pdu, SmeAddress, SubmitMulti, SubmitSm
from smsgw.sms import udh
from smsgw.sms.coding import Charset, decode

CHARSETS: dict[int, Charset] = {0: "gsm7", 1: "ascii", 3: "latin1", 8: "ucs2"}
"""data_coding (3.4, 5.2.19); 0 is the SMSC's default alphabet, here GSM 7-bit, one septet per octet."""

MESSAGE_CLASS = 0xF0
"""data_coding of the group that has a class and a bit for 8-bit data (3GPP TS 23.038, clause 4)."""

_UDHI = int(EsmClass.UDHI)
_ASKED = int(RegisteredDelivery.SUCCESS)
"""Plain integers: flags of an enum cost a microsecond each time they are combined."""

Submit = SubmitSm | DataSm | SubmitMulti


class Place(msgspec.Struct, frozen=True):
    """Part `number` (from 1) of `total`."""

    number: int
    total: int


def octets(pdu: Submit) -> bytes:
    """The user data: message_payload if there is one, else short_message."""
    payload = pdu.tlv(Tag.MESSAGE_PAYLOAD)
    if isinstance(payload, bytes) and payload:
        return payload
    return b"" if isinstance(pdu, DataSm) else pdu.short_message


def tlvs(pdu: Submit) -> dict[str, int | str]:
    """Its TLVs as the journal writes them, but for the message_payload."""
    return {
        f"0x{tag:04x}": value.hex() if isinstance(value, bytes) else value
        for tag, value in pdu.tlvs
        if tag != Tag.MESSAGE_PAYLOAD
    }


def place(pdu: Submit) -> Place:
    """Which part of a long message this is, by its header or its SAR TLVs; 1 of 1 if it is none."""
    if pdu.esm_class & _UDHI:
        found = udh.concatenation(udh.parse(octets(pdu)).elements)
        return Place(found.number, found.total) if found else Place(1, 1)
    total, number = pdu.tlv(Tag.SAR_TOTAL_SEGMENTS), pdu.tlv(Tag.SAR_SEGMENT_SEQNUM)
    if isinstance(total, int) and isinstance(number, int):
        return Place(number, total)
    return Place(1, 1)


def text(pdu: Submit) -> str | None:
    """The text of one part as a phone would show it; None where the octets are not text."""
    data = octets(pdu)
    header = udh.parse(data) if pdu.esm_class & _UDHI else udh.Header((), 0)
    charset = charset_of(pdu.data_coding)
    if charset == "binary":
        return None
    locking, single = udh.shifts(header.elements)
    return decode(data[header.length :], charset, locking=locking, single=single).text


def charset_of(data_coding: int) -> Charset:
    """What octets mean under a data_coding; what is not known counts as binary."""
    if data_coding & MESSAGE_CLASS == MESSAGE_CLASS:
        return "binary" if data_coding & 0x04 else "gsm7"
    if data_coding & 0xD0 == 0x10:  # a general group with a class: the alphabet is in bits 2 and 3
        return {0x00: CHARSETS[0], 0x08: CHARSETS[8]}.get(data_coding & 0x0C, "binary")
    return CHARSETS.get(data_coding, "binary")


def wants_receipt(pdu: Submit, *, delivered: bool) -> bool:
    """Whether registered_delivery asks for a receipt of this outcome (3.4, 5.2.17; 5.0, 4.7.21)."""
    asked = pdu.registered_delivery & _ASKED
    if asked == RegisteredDelivery.SUCCESS:
        return delivered
    return asked == RegisteredDelivery.FINAL or (asked == RegisteredDelivery.FAILURE and not delivered)


def asks_for_receipts(pdu: Submit) -> bool:
    """Whether it asks for any."""
    return bool(pdu.registered_delivery & _ASKED)


def request_name(pdu: Pdu) -> str:
    """For reports: `SubmitSm`."""
    return type(pdu).__name__


def destinations(pdu: Submit) -> tuple[str, ...]:
    """Where it goes; several with submit_multi, a distribution list counting as one."""
    if isinstance(pdu, SubmitMulti):
        return tuple(
            each.destination_addr if isinstance(each, SmeAddress) else each.dl_name
            for each in pdu.dest_address
        )
    return (pdu.destination_addr,)
