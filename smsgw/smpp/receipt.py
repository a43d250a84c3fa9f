"""Delivery receipts: what a message centre says later about a message (3.4, 2.11 and appendix B).

A receipt is a deliver_sm or data_sm that esm_class or a TLV marks as one, or, unmarked, one that
reads like one. TLVs say it in a fixed form; the text, `id:... sub:... stat:DELIVRD err:... text:...`,
is only a custom, and every SMSC has its own. So the text is scanned for fields wherever they stand, from
its end, so that what is found later came earlier and counts;
nothing in it is required, nothing after `text:` is a field, and reading it never raises.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

import msgspec

from smsgw.smpp.constants import EsmClass, MessageState, Tag
from smsgw.smpp.dialect import Dialect, ReceiptState
from smsgw.smpp.operations import DataSm, DeliverSm, Pdu

Mark: TypeAlias = Literal["esm_class", "tlv", "pattern"]
_Tlvs: TypeAlias = dict[int, int | str | bytes]

LONGEST = 255
"""Characters kept of a field, and of an id in a response: those have at most 65, and travel in headers."""

STATES: dict[str, ReceiptState] = {
    "DELIVRD": "delivered",
    "DELIVERED": "delivered",
    "DELIVERD": "delivered",
    "READ": "delivered",
    "UNDELIV": "undelivered",
    "UNDELIVERED": "undelivered",
    "UNDELIVERABLE": "undelivered",
    "EXPIRED": "undelivered",
    "DELETED": "undelivered",
    "REJECTD": "undelivered",
    "REJECTED": "undelivered",
    "FAILED": "undelivered",
    "UNKNOWN": "undelivered",
    "SKIPPED": "undelivered",
    "ENROUTE": "buffered",
    "ACCEPTD": "buffered",
    "ACCEPTED": "buffered",
    "BUFFERED": "buffered",
    "BUFFERD": "buffered",
    "BUFFRED": "buffered",
    "SCHEDULED": "buffered",
}
"""What `stat` means, appendix B and what is seen; a word in no table is not known to be final."""

STAT_OF: dict[int, str] = {
    MessageState.SCHEDULED: "SCHEDULED",
    MessageState.ENROUTE: "ENROUTE",
    MessageState.DELIVERED: "DELIVRD",
    MessageState.EXPIRED: "EXPIRED",
    MessageState.DELETED: "DELETED",
    MessageState.UNDELIVERABLE: "UNDELIV",
    MessageState.ACCEPTED: "ACCEPTD",
    MessageState.UNKNOWN: "UNKNOWN",
    MessageState.REJECTED: "REJECTD",
    MessageState.SKIPPED: "SKIPPED",
}
"""The TLV message_state in the words of appendix B."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What a receipt says; None where it does not. `done` is the date as the SMSC wrote it.

    `mark` is what it was recognised by: `pattern` is a guess, worth counting.
    """

    id: str | None = None
    state: ReceiptState = "buffered"
    stat: str = ""
    err: str | None = None
    done: str | None = None
    sub: int | None = None
    dlvrd: int | None = None
    text: str = ""
    mark: Mark = "esm_class"

    def __repr__(self) -> str:
        return f"<Receipt {self.id} {self.state} stat={self.stat} err={self.err}>"


def parse(pdu: Pdu, dialect: Dialect) -> Receipt | None:
    """The receipt that a deliver_sm or data_sm is, None if it is none. Never raises."""
    if not isinstance(pdu, _CARRIERS):
        return None
    tlvs = dict(pdu.tlvs[::-1])  # the first of a tag counts
    fields = scan(_text(pdu, tlvs))
    mark = _mark(pdu, tlvs, fields, dialect)
    if mark is None:
        return None
    stat = STAT_OF.get(_integer(tlvs.get(_STATE))) or _word(fields.get("stat")) or ""
    return Receipt(
        id=_string(tlvs.get(_ID)) or fields.get("id") or None,
        state=_state(stat, pdu.esm_class, dialect),
        stat=stat,
        err=_word(fields.get("err")) or _network_error(tlvs.get(_NETWORK_ERROR)),
        done=fields.get("done date") or None,
        sub=_count(fields.get("sub")),
        dlvrd=_count(fields.get("dlvrd")),
        text=fields.get("text", ""),
        mark=mark,
    )


_CARRIERS = (DeliverSm, DataSm)

# plain integers: an operation on an IntFlag costs a microsecond, and to find any member of a class more
# than the look-up that it is for
_UDHI = int(EsmClass.UDHI)
_INTERMEDIATE = int(EsmClass.INTERMEDIATE_NOTIFICATION)
_MARKED = int(EsmClass.DELIVERY_RECEIPT) | _INTERMEDIATE
_ID = int(Tag.RECEIPTED_MESSAGE_ID)
_STATE = int(Tag.MESSAGE_STATE)
_NETWORK_ERROR = int(Tag.NETWORK_ERROR_CODE)
_PAYLOAD = int(Tag.MESSAGE_PAYLOAD)

_NAMES = {
    f":{spelling[::-1]}": name
    for name, spellings in {
        "id": ("id",),
        "sub": ("sub",),
        "dlvrd": ("dlvrd",),
        "submit date": ("submit date", "submit_date", "submitdate"),
        "done date": ("done date", "done_date", "donedate"),
        "stat": ("stat",),
        "err": ("err",),
        "text": ("text",),
    }.items()
    for spelling in spellings
}
_SPELLINGS = "|".join(key[1:] for key in _NAMES)
# backwards, since a colon is rare, and found at once
_KEY = re.compile(rf"(:[ \t]{{0,8}}(?:{_SPELLINGS}))(?![a-z0-9_-])", re.IGNORECASE | re.ASCII)
_PADDING = " \t\r\n\0,;"


def scan(text: str) -> dict[str, str]:
    """The fields of a receipt's text by their names in lower case; the first of a name counts."""
    fields: dict[str, str] = {}
    pieces = _KEY.split(text[::-1])
    behind = 0
    for place in range(1, len(pieces), 2):
        name = _NAMES.get(pieces[place]) or _name(pieces[place])
        if name == "text":
            fields.clear()
            behind = place
        else:
            fields[name] = pieces[place - 1][::-1].strip(_PADDING)
    if len(text) > LONGEST:
        fields = {name: value[:LONGEST] for name, value in fields.items()}
    if behind:
        fields["text"] = "".join(pieces[:behind])[::-1].strip("\0")
    return fields


def _name(key: str) -> str:
    """Of a key with blanks before its colon, or in upper case."""
    return _NAMES[f":{key[1:].lstrip().lower()}"]


def _text(pdu: DeliverSm | DataSm, tlvs: _Tlvs) -> str:
    octets = pdu.short_message if isinstance(pdu, DeliverSm) else b""
    if not octets and isinstance(payload := tlvs.get(_PAYLOAD), bytes):
        octets = payload
    if octets and pdu.esm_class & _UDHI:
        octets = octets[1 + octets[0] :]
    return octets.decode("utf-16-be" if pdu.data_coding == 8 else "latin-1", "replace")


_REPORTING = frozenset(("sub", "dlvrd", "submit date", "done date", "err"))


def _mark(pdu: DeliverSm | DataSm, tlvs: _Tlvs, fields: dict[str, str], dialect: Dialect) -> Mark | None:
    if pdu.esm_class & _MARKED:
        return "esm_class"
    if _ID in tlvs:
        return "tlv"
    reads_like_one = fields.get("id") and fields.get("stat") and not _REPORTING.isdisjoint(fields)
    return "pattern" if reads_like_one and dialect.receipts == "pattern" else None


def _state(stat: str, esm_class: int, dialect: Dialect) -> ReceiptState:
    word = stat.upper()
    state = dialect.receipt_states.get(word) or STATES.get(word, "buffered")
    # an intermediate notification is never the last word, but what has arrived has arrived
    return "buffered" if esm_class & _INTERMEDIATE and state == "undelivered" else state


def _word(value: str | None) -> str | None:
    if not value or value.isalnum():  # as nearly all are
        return value or None
    words = value.split(maxsplit=1)
    return words[0].strip(".,;") or None if words else None


def _count(value: str | None) -> int | None:
    return int(value) if value and value.isascii() and value.isdigit() else None


def _integer(value: int | str | bytes | None) -> int:
    return value if isinstance(value, int) else -1


def _string(value: int | str | bytes | None) -> str | None:
    """A C-Octet String, also one that does not keep to its size."""
    if isinstance(value, bytes):
        value = value.split(b"\0", 1)[0].decode("latin-1")
    return value.strip()[:LONGEST] if isinstance(value, str) else None


def _network_error(value: int | str | bytes | None) -> str | None:
    """The code of network_error_code (3.4, 5.3.2.31), whose first octet names the network."""
    return f"{int.from_bytes(value[1:]):03d}" if isinstance(value, bytes) and len(value) == 3 else None
