"""One message centre's ways, as data, and the pure functions that read them.

SMPP leaves much to the SMSC: what data_coding 0 means, how addresses are written, which status is
worth another try, in which base it counts its message ids. Each of these is a field of `Dialect`, set
under `[channels.NAME.dialect]`, with the default that fits most. A new quirk is a field, its one
reader and a row in the tests; there is no class per operator.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Literal, TypeAlias

import msgspec

from smsgw.message import ReceiptMode, SmppOverrides, Submission, masked
from smsgw.smpp import times
from smsgw.smpp.constants import CommandStatus, EsmClass, Npi, RegisteredDelivery, Tag, Ton
from smsgw.smpp.fields import MAX_OCTETS, EncodeError
from smsgw.smpp.message_id import CodecName, IdCodec, MessageIdSetting, candidates, index_key
from smsgw.smpp.operations import SubmitSm
from smsgw.smpp.tlv import Tlvs
from smsgw.sms.coding import Charset
from smsgw.sms.coding_scheme import is_reserved, scheme

__all__ = [
    "Address",
    "AddressRule",
    "CodecName",
    "DataCodings",
    "Dialect",
    "Encoding",
    "IdCodec",
    "MessageIdSetting",
    "Reading",
    "StatusClass",
    "address",
    "candidates",
    "charset",
    "index_key",
    "submit_sm",
]

Encoding: TypeAlias = Literal["gsm7", "ucs2", "latin1", "binary"]
StatusClass: TypeAlias = Literal["ok", "permanent", "temporary", "throttled", "link", "unknown"]
ErrorClass: TypeAlias = Literal["permanent", "temporary", "throttled", "link"]
ReceiptState: TypeAlias = Literal["delivered", "undelivered", "buffered"]
Octet = Annotated[int, msgspec.Meta(ge=0, le=255)]

ALPHANUMERIC_LENGTH = 11
"""Characters of an alphanumeric sender that a phone can show (3GPP TS 23.040, 9.1.2.5)."""

_INTERNATIONAL = int(Ton.INTERNATIONAL), int(Npi.ISDN)
_UNKNOWN = int(Ton.UNKNOWN), int(Npi.ISDN)
_SHORT = int(Ton.NETWORK_SPECIFIC), int(Npi.UNKNOWN)
_NAMED = int(Ton.ALPHANUMERIC), int(Npi.UNKNOWN)
_WRITABLE = re.compile("[ -\u00ff]*")

_S = CommandStatus

_STATUSES: dict[StatusClass, tuple[CommandStatus, ...]] = {
    "ok": (_S.ESME_ROK,),
    # a property of the link: the message keeps its place, the channel slows down
    "throttled": (_S.ESME_RTHROTTLED, _S.ESME_RMSGQFUL),
    # the same message may pass later
    "temporary": (
        _S.ESME_RSYSERR,
        _S.ESME_RSUBMITFAIL,
        _S.ESME_RX_T_APPN,
        _S.ESME_RQUERYFAIL,
        _S.ESME_RDELIVERYFAILURE,
        _S.ESME_RUNKNOWNERR,
        _S.ESME_RSERTYPUNAVAIL,
        _S.ESME_RBCASTFAIL,
        _S.ESME_RBCASTQUERYFAIL,
    ),
    # the account, its bind or its configuration: every message would fare the same
    "link": (
        _S.ESME_RINVCMDID,
        _S.ESME_RINVBNDSTS,
        _S.ESME_RALYBND,
        _S.ESME_RBINDFAIL,
        _S.ESME_RINVPASWD,
        _S.ESME_RINVSYSID,
        _S.ESME_RINVSERTYP,
        _S.ESME_RINVSYSTYP,
        _S.ESME_RSERTYPUNAUTH,
        _S.ESME_RPROHIBITED,
        _S.ESME_RSERTYPDENIED,
    ),
    # this message, now and later
    "permanent": (
        _S.ESME_RINVMSGLEN,
        _S.ESME_RINVCMDLEN,
        _S.ESME_RINVPRTFLG,
        _S.ESME_RINVREGDLVFLG,
        _S.ESME_RINVSRCADR,
        _S.ESME_RINVDSTADR,
        _S.ESME_RINVMSGID,
        _S.ESME_RCANCELFAIL,
        _S.ESME_RREPLACEFAIL,
        _S.ESME_RINVNUMDESTS,
        _S.ESME_RINVDLNAME,
        _S.ESME_RINVDESTFLAG,
        _S.ESME_RINVSUBREP,
        _S.ESME_RINVESMCLASS,
        _S.ESME_RCNTSUBDL,
        _S.ESME_RINVSRCTON,
        _S.ESME_RINVSRCNPI,
        _S.ESME_RINVDSTTON,
        _S.ESME_RINVDSTNPI,
        _S.ESME_RINVREPFLAG,
        _S.ESME_RINVNUMMSGS,
        _S.ESME_RINVSCHED,
        _S.ESME_RINVEXPIRY,
        _S.ESME_RINVDFTMSGID,
        _S.ESME_RX_P_APPN,
        _S.ESME_RX_R_APPN,
        _S.ESME_RINVTLVSTREAM,
        _S.ESME_RTLVNOTALLWD,
        _S.ESME_RINVTLVLEN,
        _S.ESME_RMISSINGTLV,
        _S.ESME_RINVTLVVAL,
        _S.ESME_RINVDCS,
        _S.ESME_RINVSRCADDRSUBUNIT,
        _S.ESME_RINVDSTADDRSUBUNIT,
        _S.ESME_RINVBCASTFREQINT,
        _S.ESME_RINVBCASTALIAS_NAME,
        _S.ESME_RINVBCASTAREAFMT,
        _S.ESME_RINVNUMBCAST_AREAS,
        _S.ESME_RINVBCASTCNTTYPE,
        _S.ESME_RINVBCASTMSGCLASS,
        _S.ESME_RBCASTCANCELFAIL,
        _S.ESME_RINVBCAST_REP,
        _S.ESME_RINVBCASTSRVGRP,
        _S.ESME_RINVBCASTCHANIND,
    ),
}

STATUS_CLASSES: dict[int, StatusClass] = {
    int(status): name for name, statuses in _STATUSES.items() for status in statuses
}
"""Every status of the specifications, 3.4 and 5.0; what is not here is `unknown`."""


class DataCodings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The data_coding of each encoding (3.4, 5.2.19)."""

    gsm7: Octet = 0x00
    ucs2: Octet = 0x08
    latin1: Octet = 0x03
    binary: Octet = 0x04


FLASH_CODINGS = DataCodings(gsm7=0xF0, ucs2=0x18, latin1=0x03, binary=0xF4)
"""With message class 0 (3GPP TS 23.038, clause 4); Latin-1 has none, it goes with dest_addr_subunit."""


class AddressRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How numbers are written. `ton` and `npi` fix what is chosen by the number's form otherwise.

    `short_code` is the most digits of a short code; 0: there are none.
    """

    format: Literal["plain", "plus", "as-given"] = "plain"
    ton: Octet | None = None
    npi: Octet | None = None
    short_code: Annotated[int, msgspec.Meta(ge=0, le=20)] = 6


class Dialect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message centre's ways.

    `status` overrides error classes, keyed by code (`"0x0045"`); `receipt_states` overrides what a
    receipt's `stat` word means. `receipts`: `marked` takes for a receipt only what esm_class or a TLV
    marks as one, `pattern` also what reads like one. `inbound_alphabets` overrides what a data_coding
    means in messages from phones, keyed by octet (`"0x01"`).
    """

    message_id: MessageIdSetting = "auto"
    long_messages: Literal["udh", "udh16", "sar", "payload"] = "udh"
    default_alphabet: Literal["gsm7", "gsm7-packed", "latin1", "ascii"] = "gsm7"
    data_coding: DataCodings = DataCodings()
    flash: DataCodings = FLASH_CODINGS
    status: dict[str, ErrorClass] = {}
    unavailable_status: Annotated[int, msgspec.Meta(ge=1, le=0xFFFFFFFF)] = int(_S.ESME_RX_T_APPN)
    source: AddressRule = AddressRule()
    destination: AddressRule = AddressRule()
    service_type: Annotated[str, msgspec.Meta(max_length=5)] = ""
    validity: Literal["relative", "absolute", "none"] = "relative"
    receipts: Literal["pattern", "marked"] = "pattern"
    receipt_part: Literal["all", "first", "last"] = "all"
    receipt_states: dict[str, ReceiptState] = {}
    inbound_alphabets: dict[str, Charset] = {}

    def __post_init__(self) -> None:
        states = {word.upper(): state for word, state in self.receipt_states.items()}
        alphabets = {_octet_key(octet): each for octet, each in self.inbound_alphabets.items()}
        msgspec.structs.force_setattr(
            self, "status", {_key(code): each for code, each in self.status.items()}
        )
        msgspec.structs.force_setattr(self, "receipt_states", states)
        msgspec.structs.force_setattr(self, "inbound_alphabets", alphabets)

    def classify(self, status: int) -> StatusClass:
        """What a command_status means for the message and the link.

        `unknown` is a code in no table, as vendors have them from 0x400 on: nobody can say whether it passes.
        """
        override = self.status.get(f"0x{status:04x}") if self.status else None
        return override or STATUS_CLASSES.get(status, "unknown")


def _key(code: str) -> str:
    """The one spelling of an override's key. Raises ValueError."""
    number = _number(code)
    if not 0 < number <= 0xFFFFFFFF:
        raise ValueError(f'expected a command_status such as "0x0045", found "{code}"')
    return f"0x{number:04x}"


def _octet_key(octet: str) -> str:
    number = _number(octet)
    if not 0 <= number <= 0xFF:
        raise ValueError(f'expected a data_coding such as "0x01", found "{octet}"')
    return f"0x{number:02x}"


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        return -1


class Reading(msgspec.Struct, frozen=True):
    """What a data_coding means. With a `problem` the octets can only be handed on: `binary`."""

    charset: Charset
    problem: str | None = None


_SMPP_CHARSETS: dict[int, Charset] = {
    0x01: "ascii",
    0x02: "binary",
    0x03: "latin1",
    0x04: "binary",
    0x08: "ucs2",
}
"""Values that SMPP gives a meaning of its own (3.4, 5.2.19), but for the default alphabet."""

_UNREAD = {
    0x05: "JIS",
    0x06: "ISO 8859-5",
    0x07: "ISO 8859-8",
    0x09: "pictograms",
    0x0A: "ISO 2022-JP",
    0x0D: "extended Kanji JIS",
    0x0E: "KS C 5601",
}
"""Character sets that SMPP knows and smsgw does not read."""

_GSM: Charset = "gsm7"


def charset(data_coding: int, dialect: Dialect) -> Reading:
    """What a data_coding of an inbound message means: the reverse of what `submit_sm` writes.

    First what the dialect says, then what it would write itself, then SMPP's own values, then the
    coding groups of 3GPP TS 23.038. GSM 7-bit is, in every group, what `default_alphabet` says:
    that is the form in which this SMSC hands text over.
    """
    told = dialect.inbound_alphabets.get(f"0x{data_coding:02x}")
    if told is not None:
        return Reading(told)
    found = _written(data_coding, dialect) or _SMPP_CHARSETS.get(data_coding) or _grouped(data_coding)
    if found is None:
        problem = "is compressed" if scheme(data_coding).compressed else "has no known meaning"
        problem = f"({_UNREAD[data_coding]}) is not read" if data_coding in _UNREAD else problem
        return Reading("binary", f"data_coding 0x{data_coding:02x} {problem}")
    return Reading(dialect.default_alphabet if found == _GSM else found)


def _written(data_coding: int, dialect: Dialect) -> Charset | None:
    """The encoding that goes out under this data_coding, if one does."""
    if data_coding == 0:
        return _GSM
    encodings: tuple[Encoding, ...] = ("gsm7", "ucs2", "latin1", "binary")
    for table in (dialect.data_coding, dialect.flash):
        for encoding in encodings:
            if getattr(table, encoding) == data_coding:
                return encoding
    return None


def _grouped(data_coding: int) -> Charset | None:
    """By the coding groups; None where they say nothing that can be read. The first is SMPP's own."""
    told = scheme(data_coding)
    if data_coding < 0x10 or told.compressed or is_reserved(data_coding):
        return None
    return told.charset


class Address(msgspec.Struct, frozen=True):
    ton: int
    npi: int
    addr: str

    def __repr__(self) -> str:
        return f"<Address {self.ton}/{self.npi} {masked(self.addr)}>"


def address(number: str, rule: AddressRule, field: str = "destination_addr") -> Address:
    """An address as the SMSC wants it; TON and NPI follow from its form unless the rule fixes them.

    `+46...` and long numbers are international, those with a leading zero of unknown type, short
    ones network specific, and whatever is not digits alphanumeric (3.4, 5.2.5).

    Raises:
        EncodeError: too long, or not writable; names `field`.
    """
    digits = number.removeprefix("+")
    if digits.isascii() and digits.isdigit():
        ton, npi, addr = _numeric(digits, rule, plus=number != digits)
    else:
        ton, npi, addr = _alphanumeric(number, field)
    if len(addr) > 20:
        raise EncodeError(field, f"{len(addr)} characters; an address has at most 20")
    return Address(ton if rule.ton is None else rule.ton, npi if rule.npi is None else rule.npi, addr)


def _numeric(digits: str, rule: AddressRule, *, plus: bool) -> tuple[int, int, str]:
    long = len(digits) > rule.short_code
    if plus or (long and digits[0] != "0"):
        written = rule.format == "plus" or (plus and rule.format == "as-given")
        ton, npi = _INTERNATIONAL
        return ton, npi, f"+{digits}" if written else digits
    ton, npi = _UNKNOWN if long else _SHORT
    return ton, npi, digits


def _alphanumeric(name: str, field: str) -> tuple[int, int, str]:
    if len(name) > ALPHANUMERIC_LENGTH:
        problem = f"{len(name)} characters; an alphanumeric sender has at most {ALPHANUMERIC_LENGTH}"
        raise EncodeError(field, problem)
    if not _WRITABLE.fullmatch(name):
        raise EncodeError(field, "a character that an address can't hold")
    return *_NAMED, name


_REGISTERED: dict[ReceiptMode, int] = {
    "none": int(RegisteredDelivery.NONE),
    "final": int(RegisteredDelivery.FINAL),
    "all": int(RegisteredDelivery.FINAL | RegisteredDelivery.INTERMEDIATE),
}

_NO_OVERRIDES = SmppOverrides()
_NO_SENDER = Address(0, 0, "")


@lru_cache(maxsize=1024)
def _sender(source: str, rule: AddressRule) -> Address:
    """A channel has few of them."""
    return address(source, rule, "source_addr")


def submit_sm(
    submission: Submission,
    octets: bytes,
    encoding: Encoding,
    source: str | None,
    dialect: Dialect,
    now: float,
    *,
    udhi: bool = False,
    payload: bool = False,
    tlvs: Tlvs = (),
) -> SubmitSm:
    """The submit_sm of one part.

    `octets` are what goes into short_message, header included; `udhi` says that they begin with one,
    which a raw esm_class can't deny.
    `payload` puts them into the TLV message_payload. `tlvs` go before those of the message's own
    overrides. `now` is in seconds since the epoch, as the submission's deadline.

    Raises:
        EncodeError: more octets than short_message holds, or an address that can't be written.
    """
    if not payload and len(octets) > MAX_OCTETS:
        raise EncodeError("short_message", f"{len(octets)} octets; it holds at most {MAX_OCTETS}")
    message = submission.message
    raw = message.smpp or _NO_OVERRIDES
    sender = _sender(source, dialect.source) if source else _NO_SENDER
    recipient = address(message.to, dialect.destination)
    if payload:
        tlvs = ((int(Tag.MESSAGE_PAYLOAD), octets), *tlvs)
    if message.flash and encoding == "latin1":
        tlvs += ((int(Tag.DEST_ADDR_SUBUNIT), 1),)
    if raw.tlvs:
        tlvs += _raw_tlvs(raw)
    return SubmitSm(
        service_type=dialect.service_type if raw.service_type is None else raw.service_type,
        source_addr_ton=sender.ton,
        source_addr_npi=sender.npi,
        source_addr=sender.addr,
        dest_addr_ton=recipient.ton,
        dest_addr_npi=recipient.npi,
        destination_addr=recipient.addr,
        esm_class=(raw.esm_class or 0) | (int(EsmClass.UDHI) if udhi else 0),
        protocol_id=raw.protocol_id or 0,
        validity_period="" if submission.deadline is None else _validity(submission.deadline, dialect, now),
        registered_delivery=_REGISTERED[message.receipt],
        data_coding=_data_coding(encoding, dialect, raw, flash=message.flash),
        short_message=b"" if payload else octets,
        tlvs=tlvs,
    )


def _raw_tlvs(raw: SmppOverrides) -> Tlvs:
    return tuple((int(tag, 16), bytes.fromhex(value)) for tag, value in raw.tlvs.items())


def _data_coding(encoding: Encoding, dialect: Dialect, raw: SmppOverrides, *, flash: bool) -> int:
    if raw.data_coding is not None:
        return raw.data_coding
    coding: int = getattr(dialect.flash if flash else dialect.data_coding, encoding)
    return coding


def _validity(deadline: float, dialect: Dialect, now: float) -> str:
    if dialect.validity == "none":
        return ""
    return times.absolute(deadline) if dialect.validity == "absolute" else times.relative(deadline - now)
