"""From PDUs to octets and back: `encode` and `decode`.

This is the module to import: it has the classes of `smsgw.smpp.operations`, one per PDU, and the two
functions that run their tables. What a class has is compiled once into steps (`smsgw.smpp.fields`).

Reading is lenient where real message centres need it: a response with an error status may lack its
body or have a broken one, a last C-Octet String may lack its NUL, a tail of fewer than four octets is
ignored, a TLV whose size does not fit its kind stays `bytes`, and a response's strings may be longer
than the specification allows. Everything else that is wrong is a `PduError` that says where, and how
to answer it.
"""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error
from typing import Any

import msgspec
from msgspec.structs import astuple

from smsgw.errors import Misuse, PeerError
from smsgw.smpp.constants import RESPONSE_BIT, CommandStatus, command_name
from smsgw.smpp.fields import EncodeError as EncodeError  # noqa: PLC0414  callers catch it
from smsgw.smpp.fields import FieldFault, Read, Write, write_all, writes_of
from smsgw.smpp.operations import *  # noqa: F403  one name for whoever needs a PDU
from smsgw.smpp.operations import (
    PDUS,
    RESPONSE_OF,
    BindReceiverResp,
    BindTransceiverResp,
    BindTransmitterResp,
    GenericNack,
    Pdu,
    SubmitSmResp,
    UnknownPdu,
)
from smsgw.smpp.recurring import plan_to_read, plan_to_write
from smsgw.smpp.tlv import read_tlvs, write_tlvs

HEADER = Struct(">IIII")
"""command_length, command_id, command_status, sequence_number (3.4, 3.2)."""


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


class _Form(msgspec.Struct, frozen=True):
    """What `encode` and `decode` need of a class, looked up once per PDU."""

    shape: type[Pdu]
    command_id: int
    reads: tuple[Read, ...]
    writes: tuple[Write, ...]
    bodyless: bool


_BODYLESS = (BindTransmitterResp, BindReceiverResp, BindTransceiverResp, SubmitSmResp)
"""Written without a body when there is nothing to say but an error status (3.4, 4.1.2 and 4.4.2)."""

_FORM_OF_ID = {
    int(command_id): _Form(
        shape,
        int(command_id),
        plan_to_read(shape, lenient=command_id >= RESPONSE_BIT),
        writes_of(plan_to_write(shape, shape.varying)),
        shape in _BODYLESS,
    )
    for command_id, shape in PDUS.items()
}
_FORM_OF = {form.shape: form for form in _FORM_OF_ID.values()}


def encode(pdu: Pdu, sequence_number: int | None = None) -> bytes:
    """The whole frame, header included. `sequence_number` takes the place of the PDU's own.

    Raises:
        EncodeError: names the field that can't be written.
    """
    form = _FORM_OF.get(type(pdu))
    if form is None:
        body, command_id = _unknown_body(pdu), pdu.command_id
    elif form.bodyless and pdu.command_status and _is_bare(pdu):
        body, command_id = b"", form.command_id
    else:
        body, command_id = write_all(form.writes, astuple(pdu)), form.command_id
    if pdu.tlvs:
        body += write_tlvs(pdu.tlvs)
    number = pdu.sequence_number if sequence_number is None else sequence_number
    try:
        return HEADER.pack(HEADER.size + len(body), command_id, pdu.command_status, number) + body
    except struct_error:
        raise _header_misfit(command_id, pdu.command_status, number) from None


def _unknown_body(pdu: Pdu) -> bytes:
    if not isinstance(pdu, UnknownPdu):
        raise EncodeError("command_id", f"{type(pdu).__name__} has none")
    return pdu.body


def _is_bare(pdu: Pdu) -> bool:
    return pdu == type(pdu)(sequence_number=pdu.sequence_number, command_status=pdu.command_status)


def _header_misfit(command_id: int, command_status: int, sequence_number: int) -> EncodeError:
    named = {"command_id": command_id, "command_status": command_status, "sequence_number": sequence_number}
    for name, value in named.items():
        if not isinstance(value, int) or not 0 <= value < 1 << 32:
            return EncodeError(name, f"expected an integer of 4 octets, found {value!r}")
    raise AssertionError("struct said that a value does not fit")


def decode(frame: bytes) -> Pdu:
    """The PDU of one whole frame, as `smsgw.smpp.framing.Framer` gives it.

    Raises:
        PduError: names the field, its offset, and the status to answer.
    """
    if len(frame) < HEADER.size:
        raise PduError("command_length", 0, f"{len(frame)} octets are no header", fatal=True)
    length, command_id, status, number = HEADER.unpack_from(frame)
    if length != len(frame):
        raise _lying(length, frame, command_id, number)
    form = _FORM_OF_ID.get(command_id)
    if form is None:
        body = frame[HEADER.size :]
        return UnknownPdu(command_id=command_id, sequence_number=number, command_status=status, body=body)
    values: list[Any] = [number, status, ()]
    offset = HEADER.size
    try:
        for read in form.reads:
            offset = read(frame, offset, values)
        if offset < length:
            values[2] = read_tlvs(frame, offset)
    except FieldFault as fault:
        if status and command_id >= RESPONSE_BIT:
            # the status is the message; what an SMSC puts behind it is worth nothing
            return form.shape(sequence_number=number, command_status=status)
        raise _pdu_error(fault, command_id, number) from None
    return form.shape(*values)


def _lying(length: int, frame: bytes, command_id: int, number: int) -> PduError:
    problem = f"it says {length}, there are {len(frame)} octets"
    return PduError("command_length", 0, problem, command_id=command_id, sequence_number=number, fatal=True)


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
    shape = RESPONSE_OF.get(type(request))
    if shape is not None:
        return shape(sequence_number=request.sequence_number, **fields)
    if isinstance(request, UnknownPdu) and not request.is_response:
        status = fields.pop("command_status", CommandStatus.ESME_RINVCMDID)
        return GenericNack(sequence_number=request.sequence_number, command_status=status, **fields)
    raise Misuse(f"{command_name(request.command_id)} is not answered")


def salvaged(error: PduError, frame: bytes) -> Pdu:
    """What is certain of a response that could not be read: its header, and where only a TLV lies about its
    length, all that stands before it. The message's id does, and its receipts will name it.
    """
    _, command_id, status, number = HEADER.unpack_from(frame)
    if error.status == CommandStatus.ESME_RINVTLVSTREAM:
        header = HEADER.pack(error.offset, command_id, status, number)
        return decode(header + frame[HEADER.size : error.offset])
    return PDUS[command_id](sequence_number=number, command_status=status)


def refusal(error: PduError) -> Pdu | None:
    """What answers a PDU that could not be read: its response, else generic_nack; None to a response."""
    if error.command_id >= RESPONSE_BIT:
        return None
    request = PDUS.get(error.command_id)
    shape = RESPONSE_OF.get(request, GenericNack) if request else GenericNack
    return shape(sequence_number=error.sequence_number, command_status=error.status)
