"""Delivery receipts as message centres write them: pure.

`text` writes the well-known form of SMPP 3.4, appendix B; `VARIANTS` holds what is found in the
wild in its place. A receipt is data (`Fact`), its spelling is a row.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from smsgw.simulator.behaviour import Behaviour, Stat
from smsgw.smpp.constants import EsmClass, MessageState

MESSAGE_STATES: dict[Stat, MessageState] = {
    "SCHEDULED": MessageState.SCHEDULED,
    "ENROUTE": MessageState.ENROUTE,
    "DELIVRD": MessageState.DELIVERED,
    "EXPIRED": MessageState.EXPIRED,
    "DELETED": MessageState.DELETED,
    "UNDELIV": MessageState.UNDELIVERABLE,
    "ACCEPTD": MessageState.ACCEPTED,
    "UNKNOWN": MessageState.UNKNOWN,
    "REJECTD": MessageState.REJECTED,
    "SKIPPED": MessageState.SKIPPED,
}

GSM_NETWORK = 3
"""network_error_code's first octet (SMPP 3.4, 5.3.2.31)."""


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """What a receipt says. Times are in seconds since the epoch; `text` is the message's."""

    id: str
    stat: Stat
    err: str
    submitted: float
    done: float
    text: str
    intermediate: bool = False

    @property
    def delivered(self) -> bool:
        return self.stat == "DELIVRD"


class Spelling(msgspec.Struct, frozen=True):
    """How a receipt is put into a PDU.

    `tlvs`: with receipted_message_id and message_state. `payload`: the text is in
    message_payload instead of short_message.
    """

    text: Callable[[Fact], str] | None
    tlvs: bool = False
    marked: bool = True
    payload: bool = False

    def esm_class(self, fact: Fact) -> int:
        if not self.marked:
            return 0
        return EsmClass.INTERMEDIATE_NOTIFICATION if fact.intermediate else EsmClass.DELIVERY_RECEIPT


def error_of(stat: Stat, behaviour: Behaviour) -> str:
    """`err` for a state."""
    return behaviour.errors.get(stat, "000" if stat in {"DELIVRD", "ACCEPTD", "ENROUTE"} else "001")


@lru_cache(maxsize=1000)
def network_error(err: str) -> bytes:
    """The octets of network_error_code for an `err`: the network's type, then the error in two octets."""
    digits = "".join(character for character in err if character in "0123456789abcdefABCDEF")
    return bytes([GSM_NETWORK]) + (int(digits or "0", 16) & 0xFFFF).to_bytes(2, "big")


def _date(at: float, form: str = "%y%m%d%H%M") -> str:
    return _written_date(int(at), form)


@lru_cache(maxsize=1000)
def _written_date(at: int, form: str) -> str:
    """Thousands of receipts are written in one second, and strftime is slow."""
    return datetime.fromtimestamp(at, UTC).strftime(form)


def _dates(fact: Fact, form: str) -> str:
    return f"submit date:{_date(fact.submitted, form)} done date:{_date(fact.done, form)}"


def text(fact: Fact, dates: str = "%y%m%d%H%M", err: str | None = None) -> str:
    """The form of appendix B, with the message's first 20 characters."""
    return (
        f"id:{fact.id} sub:001 dlvrd:{fact.delivered:03d} {_dates(fact, dates)}"
        f" stat:{fact.stat} err:{err or fact.err} text:{fact.text[:20]}"
    )


def _without_counts(fact: Fact) -> str:
    return f"id:{fact.id} {_dates(fact, '%y%m%d%H%M')} stat:{fact.stat} err:{fact.err}"


def _reordered(fact: Fact) -> str:
    return (
        f"stat:{fact.stat} err:{fact.err} id:{fact.id} done date:{_date(fact.done)}"
        f" submit date:{_date(fact.submitted)} dlvrd:{fact.delivered:03d} sub:001 Text:{fact.text[:10]}"
    )


def _misleading(fact: Fact) -> str:
    """Nothing after `text:` is a field, whatever it looks like."""
    return text(msgspec.structs.replace(fact, text="id:0 stat:REJECTD"))


def _failed(fact: Fact) -> str:
    stat = "FAILED" if fact.stat == "UNDELIV" else fact.stat
    return f"id:{fact.id} sub:001 dlvrd:000 {_dates(fact, '%y%m%d%H%M')} stat:{stat} err:{fact.err} Text:"


PLAIN: dict[str, Spelling] = {
    "text": Spelling(text),
    "tlv": Spelling(None, tlvs=True),
    "both": Spelling(text, tlvs=True),
}

VARIANTS: dict[str, Spelling] = {
    "appendix B": Spelling(text),
    "both": Spelling(text, tlvs=True),
    "no sub and dlvrd": Spelling(_without_counts),
    "seconds": Spelling(lambda fact: text(fact, "%y%m%d%H%M%S")),
    "long year": Spelling(lambda fact: text(fact, "%Y%m%d%H%M%S")),
    "hexadecimal err": Spelling(lambda fact: text(fact, err="21b")),
    "reordered": Spelling(_reordered),
    "six letters": Spelling(_failed),
    "misleading text": Spelling(_misleading),
    "trailing NUL": Spelling(lambda fact: text(fact) + "\0"),
    "upper case keys": Spelling(
        lambda fact: text(fact).replace("id:", "ID:", 1).replace("stat:", "Stat:", 1)
    ),
    "unmarked": Spelling(text, marked=False),
    "unmarked with TLVs": Spelling(None, tlvs=True, marked=False),
    "in message_payload": Spelling(text, payload=True),
}


def spelling(behaviour: Behaviour, number: int) -> Spelling:
    """How the so-many-th receipt is spelt; the variants take turns."""
    if behaviour.receipt_form == "variants":
        return tuple(VARIANTS.values())[number % len(VARIANTS)]
    return PLAIN[behaviour.receipt_form]
