"""The PDUs of SMPP 3.4: one class each, and the two functions `encode` and `decode`.

A class body is the PDU's field table, as clause 4 of the specification has it: a row is a field's
name, its kind with the most octets it may take, and its default. `smsgw.smpp.fields` compiles the
tables; there is no code per PDU. Fields that only count others (sm_length, number_of_dests,
no_unsuccess) are not attributes: they follow from what they count.

Reading is lenient where real message centres need it: a response with an error status may lack its
body or have a broken one, a last C-Octet String may lack its NUL, a tail of fewer than four octets is
ignored, a TLV whose size does not fit its kind stays `bytes`, and a response's strings may be longer
than the specification allows. Everything else that is wrong is a `PduError` that says where, and how
to answer it.
"""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error
from typing import Annotated, Any, ClassVar, TypeAlias

import msgspec

from smsgw.errors import Misuse, PeerError
from smsgw.smpp.constants import RESPONSE_BIT, CommandId, CommandStatus, command_name
from smsgw.smpp.fields import (
    MAX_OCTETS,
    CString,
    EncodeError,
    FieldFault,
    Integer,
    Many,
    Octets,
    Step,
    plan,
    read_tlvs,
    write_tlvs,
)

__all__ = ["HEADER", "EncodeError", "Pdu", "PduError", "decode", "encode", "refusal", "response_to"]

HEADER = Struct(">IIII")
"""command_length, command_id, command_status, sequence_number (3.4, 3.2)."""

Tlvs: TypeAlias = tuple[tuple[int, int | str | bytes], ...]

U8 = Annotated[int, Integer(1)]
U32 = Annotated[int, Integer(4)]
ServiceType = Annotated[str, CString(6)]
Password = Annotated[str, CString(9)]
SystemType = Annotated[str, CString(13)]
SystemId = Annotated[str, CString(16)]
Time = Annotated[str, CString(17, exact=True)]
Address = Annotated[str, CString(21)]
ListName = Annotated[str, CString(21)]
AddressRange = Annotated[str, CString(41)]
LongAddress = Annotated[str, CString(65)]
MessageId = Annotated[str, CString(65)]
ShortMessage = Annotated[bytes, Octets(MAX_OCTETS)]


class PduError(PeerError):
    """The peer sent a PDU that can't be read.

    `field` and `offset` (octets from the start of the frame) say where, `status` is the
    command_status that answers it. `fatal` is True only where the octets are no frame at all;
    otherwise the stream is in step and the link survives.
    """

    def __init__(
        self,
        field: str,
        offset: int,
        problem: str,
        *,
        command_id: int = 0,
        sequence_number: int = 0,
        status: int = CommandStatus.ESME_RINVCMDLEN,
        fatal: bool = False,
    ) -> None:
        super().__init__(f"{command_name(command_id)}: {field} at octet {offset}: {problem}")
        self.field = field
        self.offset = offset
        self.problem = problem
        self.command_id = command_id
        self.sequence_number = sequence_number
        self.status = status
        self.fatal = fatal


class Pdu(msgspec.Struct, frozen=True, kw_only=True):
    """What every PDU has. `tlvs` are pairs of tag and value, in the order of the wire."""

    command_id: ClassVar[int]
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


class DeliverSm(_ShortMessage, frozen=True):
    """3.4, 4.6.1."""

    command_id = CommandId.DELIVER_SM


class _MessageIdResp(Pdu, frozen=True):
    message_id: MessageId = ""


class SubmitSmResp(_MessageIdResp, frozen=True):
    """3.4, 4.4.2. No body with an error status."""

    command_id = CommandId.SUBMIT_SM_RESP


class DeliverSmResp(_MessageIdResp, frozen=True):
    """3.4, 4.6.2. `message_id` is unused and empty."""

    command_id = CommandId.DELIVER_SM_RESP


class SmeAddress(msgspec.Struct, frozen=True):
    """A destination of submit_multi (3.4, 4.5.1.1; dest_flag 1)."""

    dest_addr_ton: U8 = 0
    dest_addr_npi: U8 = 0
    destination_addr: Address = ""


class DistributionList(msgspec.Struct, frozen=True):
    """A destination of submit_multi (3.4, 4.5.1.2; dest_flag 2)."""

    dl_name: ListName = ""


class UnsuccessSme(msgspec.Struct, frozen=True):
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

_PLANS: dict[type[Pdu], tuple[Step, ...]] = {
    shape: plan(shape, lenient=command_id >= RESPONSE_BIT) for command_id, shape in PDUS.items()
}

_BODYLESS: frozenset[type[Pdu]] = frozenset(
    (BindTransmitterResp, BindReceiverResp, BindTransceiverResp, SubmitSmResp)
)
"""Written without a body when there is nothing to say but an error status (3.4, 4.1.2 and 4.4.2)."""


def encode(pdu: Pdu, sequence_number: int | None = None) -> bytes:
    """The whole frame, header included. `sequence_number` takes the place of the PDU's own.

    Raises:
        EncodeError: names the field that can't be written.
    """
    out: list[bytes] = []
    if isinstance(pdu, UnknownPdu):
        out.append(pdu.body)
    elif not (pdu.command_status and type(pdu) in _BODYLESS and _is_bare(pdu)):
        for step in _PLANS[type(pdu)]:
            step.write(pdu, out)
    if pdu.tlvs:
        write_tlvs(pdu.tlvs, out)
    body = b"".join(out)
    number = pdu.sequence_number if sequence_number is None else sequence_number
    try:
        return HEADER.pack(HEADER.size + len(body), pdu.command_id, pdu.command_status, number) + body
    except struct_error:
        raise EncodeError("header", f"{number} or {pdu.command_status} is no integer of 4 octets") from None


def _is_bare(pdu: Pdu) -> bool:
    return not (
        pdu.tlvs or any(getattr(pdu, name) for name in ("system_id", "message_id") if hasattr(pdu, name))
    )


def decode(frame: bytes) -> Pdu:
    """The PDU of one whole frame, as `smsgw.smpp.framing.Framer` gives it.

    Raises:
        PduError: names the field, its offset, and the status to answer.
    """
    if len(frame) < HEADER.size:
        raise PduError("command_length", 0, f"{len(frame)} octets are no header", fatal=True)
    length, command_id, status, number = HEADER.unpack_from(frame)
    if length != len(frame):
        problem = f"it says {length}, there are {len(frame)} octets"
        raise PduError(
            "command_length", 0, problem, command_id=command_id, sequence_number=number, fatal=True
        )
    shape = PDUS.get(command_id)
    if shape is None:
        body = frame[HEADER.size :]
        return UnknownPdu(command_id=command_id, sequence_number=number, command_status=status, body=body)
    try:
        values, tlvs = _read_body(shape, frame)
    except FieldFault as fault:
        if status and command_id >= RESPONSE_BIT:
            # the status is the message; what an SMSC puts behind it is worth nothing
            return shape(sequence_number=number, command_status=status)
        raise _pdu_error(fault, command_id, number) from None
    return shape(*values, sequence_number=number, command_status=status, tlvs=tlvs)


def _read_body(shape: type[Pdu], frame: bytes) -> tuple[list[Any], Tlvs]:
    values: list[Any] = []
    offset = HEADER.size
    for step in _PLANS[shape]:
        offset = step.read(frame, offset, values)
    return values, read_tlvs(frame, offset) if len(frame) > offset else ()


def _pdu_error(fault: FieldFault, command_id: int, number: int) -> PduError:
    return PduError(
        fault.field,
        fault.offset,
        fault.problem,
        command_id=command_id,
        sequence_number=number,
        status=fault.status,
    )


def response_to(request: Pdu, **fields: Any) -> Pdu:
    """The response to a request, with its sequence number; an unknown request is nacked.

    Raises:
        Misuse: the PDU is one that is not answered: outbind, alert_notification, a response.
    """
    if isinstance(request, UnknownPdu) and not request.is_response:
        status = fields.pop("command_status", CommandStatus.ESME_RINVCMDID)
        return GenericNack(sequence_number=request.sequence_number, command_status=status, **fields)
    shape = RESPONSE_OF.get(type(request))
    if shape is None:
        raise Misuse(f"{command_name(request.command_id)} is not answered")
    return shape(sequence_number=request.sequence_number, **fields)


def refusal(error: PduError) -> Pdu | None:
    """What answers a PDU that could not be read: its response, else generic_nack; None to a response."""
    if error.command_id >= RESPONSE_BIT:
        return None
    request = PDUS.get(error.command_id)
    shape = RESPONSE_OF.get(request, GenericNack) if request else GenericNack
    return shape(sequence_number=error.sequence_number, command_status=error.status)
