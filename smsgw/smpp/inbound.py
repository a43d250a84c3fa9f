"""Messages from phones, as SMPP brings them (3.4, 4.6 and 4.7).

Every deliver_sm and data_sm that is no receipt is one short message, or a part of a long one. What its
octets mean is the dialect's to say; which part it is stands in its user data header or in the SAR
TLVs. Nothing here raises on what a peer sent.
"""

from __future__ import annotations

import msgspec

from smsgw.message import masked
from smsgw.smpp.constants import EsmClass, Tag, Ton
from smsgw.smpp.dialect import AddressRule, Dialect, charset
from smsgw.smpp.operations import DataSm, DeliverSm
from smsgw.sms import join
from smsgw.sms.join import Fragment, Sar

# plain integers: an operation on an IntFlag costs a microsecond
_UDHI = int(EsmClass.UDHI)
_INTERNATIONAL = int(Ton.INTERNATIONAL)


class ShortMessage(msgspec.Struct, frozen=True):
    """One short message from a phone. International numbers have a `+`, whatever the wire had."""

    source: str
    destination: str
    fragment: Fragment

    def __repr__(self) -> str:
        return f"<ShortMessage {masked(self.source)} to {masked(self.destination)} {self.fragment!r}>"


def read(pdu: DeliverSm | DataSm, dialect: Dialect) -> ShortMessage:
    """The short message that a deliver_sm or data_sm carries. Never raises."""
    reading = charset(pdu.data_coding, dialect)
    fragment = join.read(_octets(pdu), reading.charset, has_header=bool(pdu.esm_class & _UDHI), sar=_sar(pdu))
    if reading.problem is not None:
        fragment = msgspec.structs.replace(fragment, problem=reading.problem)
    return ShortMessage(
        # the phone's number is written as those that we send to, ours as those that we send from
        source=_number(pdu.source_addr, pdu.source_addr_ton, dialect.destination),
        destination=_number(pdu.destination_addr, pdu.dest_addr_ton, dialect.source),
        fragment=fragment,
    )


def _octets(pdu: DeliverSm | DataSm) -> bytes:
    """short_message, or message_payload where that is empty (3.4, 5.3.2.32)."""
    octets = pdu.short_message if isinstance(pdu, DeliverSm) else b""
    payload = pdu.tlv(Tag.MESSAGE_PAYLOAD)
    return payload if not octets and isinstance(payload, bytes) else octets


def _sar(pdu: DeliverSm | DataSm) -> Sar | None:
    reference, total, number = (
        pdu.tlv(tag) for tag in (Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM)
    )
    if isinstance(reference, int) and isinstance(total, int) and isinstance(number, int):
        return Sar(reference, total, number)
    return None


def _number(address: str, ton: int, rule: AddressRule) -> str:
    """An address as people write it. Some SMSCs call short codes international too: those get no `+`."""
    international = ton == _INTERNATIONAL and address.isascii() and address.isdigit()
    return f"+{address}" if international and len(address) > rule.short_code else address
