"""The PDUs of SMPP 3.4 as tables: one class each.

A class body is the PDU's field table, as clause 4 of the specification has it: a row is a field's
name, its kind with the most octets it may take, and its default. There is no code per PDU. Fields
that only count others (sm_length, number_of_dests, no_unsuccess) are no rows: they follow from what
they count.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeAlias

import msgspec

from smsgw.message import masked
from smsgw.smpp.constants import RESPONSE_BIT, CommandId, tag_name
from smsgw.smpp.fields import MAX_OCTETS, CString, Integer, Many, Octets
from smsgw.smpp.tlv import Tlvs

U8 = Annotated[int, Integer(1)]
U32 = Annotated[int, Integer(4)]
ServiceType = Annotated[str, CString(6, rare=True)]
Password = Annotated[str, CString(9)]
SystemType = Annotated[str, CString(13)]
SystemId = Annotated[str, CString(16)]
Time = Annotated[str, CString(17, exact=True, rare=True)]
Address = Annotated[str, CString(21)]
ListName = Annotated[str, CString(21)]
AddressRange = Annotated[str, CString(41)]
LongAddress = Annotated[str, CString(65)]
MessageId = Annotated[str, CString(65)]
ShortMessage = Annotated[bytes, Octets(MAX_OCTETS)]


class _Discreet(msgspec.Struct, frozen=True):
    """Its repr names what is set, but no number in full, no text and no password."""

    def __repr__(self) -> str:
        values = ((name, getattr(self, name)) for name in self.__struct_fields__)
        shown = "".join(f" {name}={_shown(name, value)}" for name, value in values if value)
        return f"<{type(self).__name__}{shown}>"


def _shown(name: str, value: Any) -> str:
    if name == "password":
        return "..."
    if name == "tlvs":
        return f"[{', '.join(tag_name(tag) for tag, _ in value)}]"
    if isinstance(value, bytes):
        return f"({len(value)} octets)"
    return masked(value) if name.endswith("_addr") and isinstance(value, str) else repr(value)


class Pdu(_Discreet, frozen=True):
    """What every PDU has, before its own. `tlvs` are pairs of tag and value, in the order of the wire."""

    command_id: ClassVar[int]
    varying: ClassVar[frozenset[str]] = frozenset()
    """Fields that differ from PDU to PDU, where the others mostly don't, see `plan_to_write`."""

    sequence_number: int = 0
    command_status: int = 0
    tlvs: Tlvs = ()

    def tlv(self, tag: int) -> int | str | bytes | None:
        """The first value of a tag."""
        for found, value in self.tlvs:
            if found == tag:
                return value
        return None

    @property
    def is_response(self) -> bool:
        return self.command_id >= RESPONSE_BIT


class UnknownPdu(Pdu, frozen=True, kw_only=True):
    """A PDU whose command_id is in no table here; `body` is all that follows the header."""

    command_id: int  # type: ignore[misc]  # the one class whose id is data
    body: bytes = b""


class _Bind(Pdu, frozen=True):
    system_id: SystemId = ""
    password: Password = ""
    system_type: SystemType = ""
    interface_version: U8 = 0x34
    addr_ton: U8 = 0
    addr_npi: U8 = 0
    address_range: AddressRange = ""


class BindTransmitter(_Bind, frozen=True):
    """3.4, 4.1.1."""

    command_id = CommandId.BIND_TRANSMITTER


class BindReceiver(_Bind, frozen=True):
    """3.4, 4.1.3."""

    command_id = CommandId.BIND_RECEIVER


class BindTransceiver(_Bind, frozen=True):
    """3.4, 4.1.5."""

    command_id = CommandId.BIND_TRANSCEIVER


class _BindResp(Pdu, frozen=True):
    system_id: SystemId = ""


class BindTransmitterResp(_BindResp, frozen=True):
    """3.4, 4.1.2. No body with an error status."""

    command_id = CommandId.BIND_TRANSMITTER_RESP


class BindReceiverResp(_BindResp, frozen=True):
    """3.4, 4.1.4. No body with an error status."""

    command_id = CommandId.BIND_RECEIVER_RESP


class BindTransceiverResp(_BindResp, frozen=True):
    """3.4, 4.1.6. No body with an error status."""

    command_id = CommandId.BIND_TRANSCEIVER_RESP


class Outbind(Pdu, frozen=True):
    """3.4, 4.1.7. It has no response."""

    command_id = CommandId.OUTBIND
    system_id: SystemId = ""
    password: Password = ""


class Unbind(Pdu, frozen=True):
    """3.4, 4.2.1."""

    command_id = CommandId.UNBIND


class UnbindResp(Pdu, frozen=True):
    """3.4, 4.2.2."""

    command_id = CommandId.UNBIND_RESP


class GenericNack(Pdu, frozen=True):
    """3.4, 4.3.1. A response to what could not be understood."""

    command_id = CommandId.GENERIC_NACK


class _ShortMessage(Pdu, frozen=True):
    """submit_sm and deliver_sm are one table. sm_length follows from short_message."""

    service_type: ServiceType = ""
    source_addr_ton: U8 = 0
    source_addr_npi: U8 = 0
    source_addr: Address = ""
    dest_addr_ton: U8 = 0
    dest_addr_npi: U8 = 0
    destination_addr: Address = ""
    esm_class: U8 = 0
    protocol_id: U8 = 0
    priority_flag: U8 = 0
    schedule_delivery_time: Time = ""
    validity_period: Time = ""
    registered_delivery: U8 = 0
    replace_if_present_flag: U8 = 0
    data_coding: U8 = 0
    sm_default_msg_id: U8 = 0
    short_message: ShortMessage = b""


class SubmitSm(_ShortMessage, frozen=True):
    """3.4, 4.4.1."""

    command_id = CommandId.SUBMIT_SM
    varying = frozenset(("destination_addr", "short_message"))


class DeliverSm(_ShortMessage, frozen=True):
    """3.4, 4.6.1."""

    command_id = CommandId.DELIVER_SM
    varying = frozenset(("source_addr", "short_message"))


class _MessageIdResp(Pdu, frozen=True):
    message_id: MessageId = ""


class SubmitSmResp(_MessageIdResp, frozen=True):
    """3.4, 4.4.2. No body with an error status."""

    command_id = CommandId.SUBMIT_SM_RESP


class DeliverSmResp(_MessageIdResp, frozen=True):
    """3.4, 4.6.2. `message_id` is unused and empty."""

    command_id = CommandId.DELIVER_SM_RESP


class SmeAddress(_Discreet, frozen=True):
    """A destination of submit_multi (3.4, 4.5.1.1; dest_flag 1)."""

    dest_addr_ton: U8 = 0
    dest_addr_npi: U8 = 0
    destination_addr: Address = ""


class DistributionList(_Discreet, frozen=True):
    """A destination of submit_multi (3.4, 4.5.1.2; dest_flag 2)."""

    dl_name: ListName = ""


class UnsuccessSme(_Discreet, frozen=True):
    """A destination that submit_multi did not reach, and why (3.4, 4.5.2.1)."""

    dest_addr_ton: U8 = 0
    dest_addr_npi: U8 = 0
    destination_addr: Address = ""
    error_status_code: U32 = 0


Destination: TypeAlias = SmeAddress | DistributionList


class SubmitMulti(Pdu, frozen=True):
    """3.4, 4.5.1. number_of_dests and sm_length follow from what they count."""

    command_id = CommandId.SUBMIT_MULTI
    service_type: ServiceType = ""
    source_addr_ton: U8 = 0
    source_addr_npi: U8 = 0
    source_addr: Address = ""
    dest_address: Annotated[tuple[Destination, ...], Many((SmeAddress, DistributionList))] = ()
    esm_class: U8 = 0
    protocol_id: U8 = 0
    priority_flag: U8 = 0
    schedule_delivery_time: Time = ""
    validity_period: Time = ""
    registered_delivery: U8 = 0
    replace_if_present_flag: U8 = 0
    data_coding: U8 = 0
    sm_default_msg_id: U8 = 0
    short_message: ShortMessage = b""


class SubmitMultiResp(Pdu, frozen=True):
    """3.4, 4.5.2. no_unsuccess follows from unsuccess_sme."""

    command_id = CommandId.SUBMIT_MULTI_RESP
    message_id: MessageId = ""
    unsuccess_sme: Annotated[tuple[UnsuccessSme, ...], Many((UnsuccessSme,))] = ()


class DataSm(Pdu, frozen=True):
    """3.4, 4.7.1. The message is in the TLV message_payload."""

    command_id = CommandId.DATA_SM
    service_type: ServiceType = ""
    source_addr_ton: U8 = 0
    source_addr_npi: U8 = 0
    source_addr: LongAddress = ""
    dest_addr_ton: U8 = 0
    dest_addr_npi: U8 = 0
    destination_addr: LongAddress = ""
    esm_class: U8 = 0
    registered_delivery: U8 = 0
    data_coding: U8 = 0


class DataSmResp(_MessageIdResp, frozen=True):
    """3.4, 4.7.2."""

    command_id = CommandId.DATA_SM_RESP


class QuerySm(Pdu, frozen=True):
    """3.4, 4.8.1."""

    command_id = CommandId.QUERY_SM
    message_id: MessageId = ""
    source_addr_ton: U8 = 0
    source_addr_npi: U8 = 0
    source_addr: Address = ""


class QuerySmResp(Pdu, frozen=True):
    """3.4, 4.8.2."""

    command_id = CommandId.QUERY_SM_RESP
    message_id: MessageId = ""
    final_date: Time = ""
    message_state: U8 = 0
    error_code: U8 = 0


class CancelSm(Pdu, frozen=True):
    """3.4, 4.9.1."""

    command_id = CommandId.CANCEL_SM
    service_type: ServiceType = ""
    message_id: MessageId = ""
    source_addr_ton: U8 = 0
    source_addr_npi: U8 = 0
    source_addr: Address = ""
    dest_addr_ton: U8 = 0
    dest_addr_npi: U8 = 0
    destination_addr: Address = ""


class CancelSmResp(Pdu, frozen=True):
    """3.4, 4.9.2."""

    command_id = CommandId.CANCEL_SM_RESP


class ReplaceSm(Pdu, frozen=True):
    """3.4, 4.10.1. sm_length follows from short_message."""

    command_id = CommandId.REPLACE_SM
    message_id: MessageId = ""
    source_addr_ton: U8 = 0
    source_addr_npi: U8 = 0
    source_addr: Address = ""
    schedule_delivery_time: Time = ""
    validity_period: Time = ""
    registered_delivery: U8 = 0
    sm_default_msg_id: U8 = 0
    short_message: ShortMessage = b""


class ReplaceSmResp(Pdu, frozen=True):
    """3.4, 4.10.2."""

    command_id = CommandId.REPLACE_SM_RESP


class EnquireLink(Pdu, frozen=True):
    """3.4, 4.11.1."""

    command_id = CommandId.ENQUIRE_LINK


class EnquireLinkResp(Pdu, frozen=True):
    """3.4, 4.11.2."""

    command_id = CommandId.ENQUIRE_LINK_RESP


class AlertNotification(Pdu, frozen=True):
    """3.4, 4.12.1. It has no response."""

    command_id = CommandId.ALERT_NOTIFICATION
    source_addr_ton: U8 = 0
    source_addr_npi: U8 = 0
    source_addr: LongAddress = ""
    esme_addr_ton: U8 = 0
    esme_addr_npi: U8 = 0
    esme_addr: LongAddress = ""


RESPONSE_OF: dict[type[Pdu], type[Pdu]] = {
    BindTransmitter: BindTransmitterResp,
    BindReceiver: BindReceiverResp,
    BindTransceiver: BindTransceiverResp,
    Unbind: UnbindResp,
    SubmitSm: SubmitSmResp,
    SubmitMulti: SubmitMultiResp,
    DeliverSm: DeliverSmResp,
    DataSm: DataSmResp,
    QuerySm: QuerySmResp,
    CancelSm: CancelSmResp,
    ReplaceSm: ReplaceSmResp,
    EnquireLink: EnquireLinkResp,
}
"""Each request that is answered, with what answers it."""

_ALL: tuple[type[Pdu], ...] = (*RESPONSE_OF, *RESPONSE_OF.values(), Outbind, AlertNotification, GenericNack)

PDUS: dict[int, type[Pdu]] = {int(shape.command_id): shape for shape in _ALL}
"""Every class by its command_id."""
