"""TPDUs, both ways (3GPP TS 23.040, clause 9.2.2): `encode`, `decode`, and the hex forms of PDU mode.

Six structs, one per kind; the same two bits (TP-MTI) name three of them from the message centre and
three from the phone, hence `Sender`. Fields are what the specification calls them, in words:

    TP-MMS more_messages   TP-LP loop   TP-RD reject_duplicates   TP-SRR, -SRI, -SRQ status_report
    TP-UDHI has_header     TP-RP reply_path   TP-MR reference     TP-PID protocol   TP-DCS coding
    TP-SCTS timestamp      TP-DT discharged   TP-ST status        TP-FCS cause      TP-VP validity

User data stands as on the wire, `UserData`; `smsgw.gsm.messages` makes it of parts, and fragments of
it. Reading is lenient where networks are not strict: reserved bits and values are accepted, octets
behind the end are ignored, times and digits that make no sense are kept. What is cut short is a
`TpduError`, which names the field and the octet.

What stands on an AT line is `to_hex` and `from_hex`:

    line, length = to_hex(Submit(...))          # AT+CMGS=<length>, then line and Ctrl-Z
    pdu = from_hex(line, length, "sc")          # of +CMT, +CMGR, +CMGL, +CDS; stored own messages: "phone"
    pdu = from_hex(line, length, "phone")       # what a simulated modem gets
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from smsgw.gsm import addresses
from smsgw.gsm.addresses import Address
from smsgw.gsm.octets import EncodeError, Reader, TpduError, octet
from smsgw.gsm.shapes import (
    Command,
    Deliver,
    DeliverReport,
    Pdu,
    StatusReport,
    Submit,
    SubmitReport,
    Tpdu,
    UserData,
)
from smsgw.gsm.status import Status
from smsgw.gsm.times import LENGTH, Enhanced, Relative, Timestamp, Validity
from smsgw.sms.coding_scheme import scheme

__all__ = [
    "Command",
    "Deliver",
    "DeliverReport",
    "EncodeError",
    "Pdu",
    "Sender",
    "StatusReport",
    "Submit",
    "SubmitReport",
    "Tpdu",
    "TpduError",
    "UserData",
    "decode",
    "encode",
    "from_hex",
    "to_hex",
]

Sender: TypeAlias = Literal["sc", "phone"]
"""Who sends: the message centre, or the phone (MS)."""

MAX_OCTETS = 140
MAX_SEPTETS = 160
MAX_COMMAND_DATA = 157
"""Octets of TP-CD: what 164 octets of a TPDU leave (clause 9.2.3.21)."""

_Optional: TypeAlias = StatusReport | SubmitReport | DeliverReport


# -- to octets


def encode(tpdu: Tpdu) -> bytes:
    """Raises `EncodeError`, which names the field."""
    if isinstance(tpdu, Submit):
        return _encode_submit(tpdu)
    if isinstance(tpdu, Deliver):
        return _encode_deliver(tpdu)
    if isinstance(tpdu, StatusReport):
        return _encode_status_report(tpdu)
    if isinstance(tpdu, Command):
        return _encode_command(tpdu)
    time = _time(tpdu.timestamp, "timestamp") if isinstance(tpdu, SubmitReport) else b""
    first = (0x01 if isinstance(tpdu, SubmitReport) else 0x00) | _flag(tpdu.has_header, 6)
    parameters = _parameters(tpdu)
    return bytes((first,)) + _cause(tpdu.cause) + parameters[:1] + time + parameters[1:]


def _flag(value: bool, bit: int) -> int:
    return 1 << bit if value else 0


def _encode_submit(tpdu: Submit) -> bytes:
    form, validity = _validity(tpdu.validity)
    first = 0x01 | form << 3 | _flag(tpdu.reject_duplicates, 2) | _flag(tpdu.status_report, 5)
    first |= _flag(tpdu.has_header, 6) | _flag(tpdu.reply_path, 7)
    return (
        bytes((first,))
        + octet(tpdu.reference, "reference")
        + addresses.write(tpdu.destination, "destination")
        + octet(tpdu.protocol, "protocol")
        + octet(tpdu.coding, "coding")
        + validity
        + _user_data(tpdu.data, tpdu.coding)
    )


def _validity(validity: Validity | None) -> tuple[int, bytes]:
    """TP-VPF and TP-VP."""
    if validity is None:
        return 0, b""
    if isinstance(validity, Relative):
        return 2, octet(validity.octet, "validity")
    if isinstance(validity, Timestamp):
        return 3, _time(validity, "validity")
    if len(validity.octets) != LENGTH:
        raise EncodeError("validity", f"expected {LENGTH} octets, found {len(validity.octets)}")
    return 1, validity.octets


def _time(time: Timestamp, field: str) -> bytes:
    if len(time.octets) != LENGTH:
        raise EncodeError(field, f"expected {LENGTH} octets, found {len(time.octets)}")
    return time.octets


def _encode_deliver(tpdu: Deliver) -> bytes:
    first = _flag(not tpdu.more_messages, 2) | _flag(tpdu.loop, 3) | _flag(tpdu.status_report, 5)
    first |= _flag(tpdu.has_header, 6) | _flag(tpdu.reply_path, 7)
    return (
        bytes((first,))
        + addresses.write(tpdu.originator, "originator")
        + octet(tpdu.protocol, "protocol")
        + octet(tpdu.coding, "coding")
        + _time(tpdu.timestamp, "timestamp")
        + _user_data(tpdu.data, tpdu.coding)
    )


def _encode_status_report(tpdu: StatusReport) -> bytes:
    first = 0x02 | _flag(not tpdu.more_messages, 2) | _flag(tpdu.loop, 3) | _flag(tpdu.of_command, 5)
    first |= _flag(tpdu.has_header, 6)
    bare = tpdu.protocol is None and tpdu.coding is None and tpdu.data is None
    return (
        bytes((first,))
        + octet(tpdu.reference, "reference")
        + addresses.write(tpdu.recipient, "recipient")
        + _time(tpdu.timestamp, "timestamp")
        + _time(tpdu.discharged, "discharged")
        + octet(tpdu.status.code, "status")
        + (b"" if bare else _parameters(tpdu))
    )


def _encode_command(tpdu: Command) -> bytes:
    if len(tpdu.data) > MAX_COMMAND_DATA:
        raise EncodeError("data", f"{len(tpdu.data)} octets; at most {MAX_COMMAND_DATA} fit")
    first = 0x02 | _flag(tpdu.status_report, 5) | _flag(tpdu.has_header, 6)
    return (
        bytes((first,))
        + octet(tpdu.reference, "reference")
        + octet(tpdu.protocol, "protocol")
        + octet(tpdu.kind, "kind")
        + octet(tpdu.number, "number")
        + addresses.write(tpdu.destination, "destination")
        + octet(len(tpdu.data), "data")
        + tpdu.data
    )


def _cause(cause: int | None) -> bytes:
    """TP-FCS. Its high bit tells it from the parameter indicator, hence the range."""
    if cause is None:
        return b""
    if not 0x80 <= cause <= 0xFF:
        raise EncodeError("cause", f"expected 0x80 to 0xFF, found {cause}")
    return bytes((cause,))


def _parameters(tpdu: _Optional) -> bytes:
    """TP-PI and the optional parameters that it announces (clause 9.2.3.27)."""
    indicator = sum(
        _flag(value is not None, bit) for bit, value in enumerate((tpdu.protocol, tpdu.coding, tpdu.data))
    )
    return (
        bytes((indicator,))
        + (b"" if tpdu.protocol is None else octet(tpdu.protocol, "protocol"))
        + (b"" if tpdu.coding is None else octet(tpdu.coding, "coding"))
        + (b"" if tpdu.data is None else _user_data(tpdu.data, tpdu.coding or 0))
    )


def octets_of(length: int, coding: int) -> int:
    """How many octets a TP-UDL announces."""
    return (7 * length + 7) // 8 if scheme(coding).septets else length


def _user_data(data: UserData, coding: int) -> bytes:
    most = MAX_SEPTETS if scheme(coding).septets else MAX_OCTETS
    if not 0 <= data.length <= most:
        raise EncodeError("data.length", f"expected 0 to {most}, found {data.length}")
    if len(data.octets) != octets_of(data.length, coding):
        raise EncodeError("data", f"{len(data.octets)} octets do not fit the length {data.length}")
    return bytes((data.length,)) + data.octets


# -- from octets


def decode(octets: bytes, sender: Sender) -> Tpdu:
    """Raises `TpduError`, which names the field and the octet."""
    return _decode(Reader(octets), sender)


def _decode(reader: Reader, sender: Sender) -> Tpdu:
    first = reader.octet("first octet")
    kind = first & 3
    if sender == "sc":
        # a phone takes the reserved type for SMS-DELIVER (clause 9.2.3.1)
        return (_read_deliver, _read_submit_report, _read_status_report, _read_deliver)[kind](reader, first)
    if kind == 3:
        reader.offset -= 1
        raise reader.error("first octet", "message type 3 is reserved")
    return (_read_deliver_report, _read_submit, _read_command)[kind](reader, first)


def _read_deliver(reader: Reader, first: int) -> Deliver:
    reader.shape = "SMS-DELIVER"
    originator = addresses.read(reader, "originator")
    protocol, coding = reader.octet("protocol"), reader.octet("coding")
    return Deliver(
        originator=originator,
        protocol=protocol,
        coding=coding,
        timestamp=Timestamp(reader.take(LENGTH, "timestamp")),
        data=_read_user_data(reader, coding),
        more_messages=not first & 0x04,
        loop=bool(first & 0x08),
        status_report=bool(first & 0x20),
        has_header=bool(first & 0x40),
        reply_path=bool(first & 0x80),
    )


def _read_submit(reader: Reader, first: int) -> Submit:
    reader.shape = "SMS-SUBMIT"
    reference = reader.octet("reference")
    destination = addresses.read(reader, "destination")
    protocol, coding = reader.octet("protocol"), reader.octet("coding")
    return Submit(
        reference=reference,
        destination=destination,
        protocol=protocol,
        coding=coding,
        validity=_read_validity(reader, first >> 3 & 3),
        data=_read_user_data(reader, coding),
        reject_duplicates=bool(first & 0x04),
        status_report=bool(first & 0x20),
        has_header=bool(first & 0x40),
        reply_path=bool(first & 0x80),
    )


def _read_validity(reader: Reader, form: int) -> Validity | None:
    if not form:
        return None
    if form == 2:
        return Relative(reader.octet("validity"))
    octets = reader.take(LENGTH, "validity")
    return Enhanced(octets) if form == 1 else Timestamp(octets)


def _read_status_report(reader: Reader, first: int) -> StatusReport:
    reader.shape = "SMS-STATUS-REPORT"
    reference = reader.octet("reference")
    recipient = addresses.read(reader, "recipient")
    timestamp = Timestamp(reader.take(LENGTH, "timestamp"))
    discharged = Timestamp(reader.take(LENGTH, "discharged"))
    status = Status(reader.octet("status"))
    protocol, coding, data = _read_parameters(reader, _read_indicator(reader)) if reader.left else _NONE
    return StatusReport(
        reference=reference,
        recipient=recipient,
        timestamp=timestamp,
        discharged=discharged,
        status=status,
        protocol=protocol,
        coding=coding,
        data=data,
        more_messages=not first & 0x04,
        loop=bool(first & 0x08),
        of_command=bool(first & 0x20),
        has_header=bool(first & 0x40),
    )


def _read_command(reader: Reader, first: int) -> Command:
    reader.shape = "SMS-COMMAND"
    reference, protocol = reader.octet("reference"), reader.octet("protocol")
    kind, number = reader.octet("kind"), reader.octet("number")
    destination = addresses.read(reader, "destination")
    length = reader.octet("data.length")
    return Command(
        reference=reference,
        protocol=protocol,
        kind=kind,
        number=number,
        destination=destination,
        data=reader.take(length, "data"),
        status_report=bool(first & 0x20),
        has_header=bool(first & 0x40),
    )


def _read_submit_report(reader: Reader, first: int) -> SubmitReport:
    reader.shape = "SMS-SUBMIT-REPORT"
    cause, indicator = _read_cause(reader)
    timestamp = Timestamp(reader.take(LENGTH, "timestamp"))
    protocol, coding, data = _read_parameters(reader, indicator)
    return SubmitReport(
        cause=cause,
        timestamp=timestamp,
        protocol=protocol,
        coding=coding,
        data=data,
        has_header=bool(first & 0x40),
    )


def _read_deliver_report(reader: Reader, first: int) -> DeliverReport:
    reader.shape = "SMS-DELIVER-REPORT"
    cause, indicator = _read_cause(reader)
    protocol, coding, data = _read_parameters(reader, indicator)
    return DeliverReport(
        cause=cause, protocol=protocol, coding=coding, data=data, has_header=bool(first & 0x40)
    )


def _read_cause(reader: Reader) -> tuple[int | None, int]:
    """TP-FCS, if any, and TP-PI: causes under 0x80 are reserved (clause 9.2.3.22)."""
    found = reader.octet("parameters")
    if found & 0x80:
        return found, _read_indicator(reader)
    return None, found


def _read_indicator(reader: Reader) -> int:
    """TP-PI; further octets of it, which bit 7 announces, have only reserved bits."""
    first = found = reader.octet("parameters")
    while found & 0x80:
        found = reader.octet("parameters")
    return first


_Parameters: TypeAlias = tuple[int | None, int | None, UserData | None]
_NONE: _Parameters = (None, None, None)


def _read_parameters(reader: Reader, indicator: int) -> _Parameters:
    protocol = reader.octet("protocol") if indicator & 1 else None
    coding = reader.octet("coding") if indicator & 2 else None
    return protocol, coding, _read_user_data(reader, coding or 0) if indicator & 4 else None


def _read_user_data(reader: Reader, coding: int) -> UserData:
    length = reader.octet("data.length")
    return UserData(length, reader.take(octets_of(length, coding), "data"))


# -- in hex


def to_hex(tpdu: Tpdu, smsc: Address | None = None) -> tuple[str, int]:
    """The line of PDU mode, and the length that goes with it: octets without the SMSC's address.

    Raises:
        EncodeError: names the field.
    """
    octets = encode(tpdu)
    return (addresses.write_sca(smsc) + octets).hex().upper(), len(octets)


def from_hex(line: str, length: int | None, sender: Sender) -> Pdu:
    """What `to_hex` gives, or the same without the SMSC's address: `length` tells which.

    Without a length the SMSC's address is expected. A length that fits neither is as if absent.

    Raises:
        TpduError: also where it is not hex.
    """
    try:
        octets = bytes.fromhex(line.strip())
    except ValueError:
        raise TpduError("PDU", "line", 0, f"{len(line)} characters are no hex") from None
    reader = Reader(octets, "PDU")
    smsc = None if length == len(octets) else addresses.read_sca(reader)
    return Pdu(_decode(reader, sender), smsc)
