"""The six kinds of TPDU, as structs (3GPP TS 23.040, clause 9.2.2); `smsgw.gsm.tpdu` codes them."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from smsgw.gsm.addresses import Address
from smsgw.gsm.status import Status
from smsgw.gsm.times import Timestamp, Validity


class UserData(msgspec.Struct, frozen=True):
    """TP-UD with its header, as on the wire; `length` is TP-UDL: septets or octets, as TP-DCS says."""

    length: int = 0
    octets: bytes = b""

    def __repr__(self) -> str:
        return f"<UserData length={self.length} octets={len(self.octets)}>"


class Deliver(msgspec.Struct, frozen=True, kw_only=True):
    """SMS-DELIVER: a message to the phone."""

    originator: Address
    timestamp: Timestamp
    protocol: int = 0
    coding: int = 0
    data: UserData = UserData()
    more_messages: bool = False
    loop: bool = False
    status_report: bool = False
    has_header: bool = False
    reply_path: bool = False


class Submit(msgspec.Struct, frozen=True, kw_only=True):
    """SMS-SUBMIT: a message from the phone. A modem puts its own reference in place of 0."""

    destination: Address
    reference: int = 0
    protocol: int = 0
    coding: int = 0
    validity: Validity | None = None
    data: UserData = UserData()
    reject_duplicates: bool = False
    status_report: bool = False
    has_header: bool = False
    reply_path: bool = False


class StatusReport(msgspec.Struct, frozen=True, kw_only=True):
    """SMS-STATUS-REPORT: what became of a message, or of a command (`of_command`)."""

    reference: int
    recipient: Address
    timestamp: Timestamp
    discharged: Timestamp
    status: Status
    protocol: int | None = None
    coding: int | None = None
    data: UserData | None = None
    more_messages: bool = False
    loop: bool = False
    of_command: bool = False
    has_header: bool = False


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """SMS-COMMAND: what to do with the message `number`; `kind` is TP-CT (clause 9.2.3.19)."""

    destination: Address
    kind: int
    reference: int = 0
    number: int = 0
    protocol: int = 0
    data: bytes = b""
    status_report: bool = False
    has_header: bool = False


class SubmitReport(msgspec.Struct, frozen=True, kw_only=True):
    """SMS-SUBMIT-REPORT: the message centre's answer; `cause` (TP-FCS) only where it refuses."""

    timestamp: Timestamp
    cause: int | None = None
    protocol: int | None = None
    coding: int | None = None
    data: UserData | None = None
    has_header: bool = False


class DeliverReport(msgspec.Struct, frozen=True, kw_only=True):
    """SMS-DELIVER-REPORT: the phone's answer; `cause` (TP-FCS) only where it refuses."""

    cause: int | None = None
    protocol: int | None = None
    coding: int | None = None
    data: UserData | None = None
    has_header: bool = False


Tpdu: TypeAlias = Deliver | Submit | StatusReport | Command | SubmitReport | DeliverReport


class Pdu(msgspec.Struct, frozen=True):
    """A TPDU with the message centre's address in front, if it stood there."""

    tpdu: Tpdu
    smsc: Address | None = None
