"""TP-ST: what a status report says (3GPP TS 23.040, clause 9.2.3.15)."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

State: TypeAlias = Literal["delivered", "undelivered", "buffered"]

_REASONS = (
    "congestion",
    "SME busy",
    "no response from SME",
    "service rejected",
    "quality of service not available",
    "error in SME",
)

_NAMES = {
    0x00: "received by the SME",
    0x01: "forwarded to the SME, delivery can't be confirmed",
    0x02: "replaced by the SC",
    **{0x20 + place: f"{reason}, still trying" for place, reason in enumerate(_REASONS)},
    0x40: "remote procedure error",
    0x41: "incompatible destination",
    0x42: "connection rejected by SME",
    0x43: "not obtainable",
    0x44: "quality of service not available",
    0x45: "no interworking available",
    0x46: "validity period expired",
    0x47: "deleted by originating SME",
    0x48: "deleted by SC administration",
    0x49: "does not exist",
    **{0x60 + place: f"{reason}, no longer trying" for place, reason in enumerate(_REASONS)},
}
_REPLACED = 0x02

_GROUPS: tuple[State, ...] = ("delivered", "buffered", "undelivered", "undelivered")
"""By bits 6 and 5: completed; temporary and still trying; permanent; temporary and given up."""


class Status(msgspec.Struct, frozen=True):
    """`code` as on the wire."""

    code: int

    @property
    def state(self) -> State:
        """What became of the message; reserved values count as 'service rejected', as the clause asks."""
        if self.code & 0x80:
            return "undelivered"
        # the transaction is complete, but what the phone gets is another message
        return "undelivered" if self.code == _REPLACED else _GROUPS[self.code >> 5]

    @property
    def final(self) -> bool:
        return self.state != "buffered"

    @property
    def name(self) -> str:
        known = _NAMES.get(self.code)
        if known is not None:
            return known
        specific = not self.code & 0x80 and self.code & 0x1F >= 0x10
        return f"{'SC specific' if specific else 'reserved'} 0x{self.code:02x}"
