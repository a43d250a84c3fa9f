"""What a modem answers: lines, and how errors are spelt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

ErrorKind: TypeAlias = Literal["cme", "cms"]


class Refusal(msgspec.Struct, frozen=True):
    """A final result that is not OK; `kind` None: a bare ERROR."""

    kind: ErrorKind | None = None
    code: int = 0


ERROR = Refusal()
NOT_ALLOWED = Refusal("cme", 3)
NO_SIM = Refusal("cme", 10)
PIN_WANTED = Refusal("cme", 11)
PUK_WANTED = Refusal("cme", 12)
SIM_FAILED = Refusal("cme", 13)
SIM_BUSY = Refusal("cme", 14)
WRONG_PASSWORD = Refusal("cme", 16)
BAD_PARAMETERS = Refusal("cme", 50)
WAIT = Refusal("cme", 515)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The lines of one command, and whether it is refused. A tuple within `lines` is header and PDU.

    `seconds`: it takes so long before the lines are said. `after` is done when the final result was said.
    """

    lines: tuple[str | tuple[str, str], ...] = ()
    refusal: Refusal | None = None
    seconds: float = 0.0
    after: Callable[[], None] | None = None


class Prompt(msgspec.Struct, frozen=True):
    """`> `, and then what the Ctrl-Z ends is given to `taken`, which answers."""

    taken: Callable[[str], Answer | Pending]


class Pending(msgspec.Struct, frozen=True):
    """The answer is known only in so many seconds, by asking `settled`; None: never, it says no more."""

    seconds: float
    settled: Callable[[], Answer | None]


Result: TypeAlias = Answer | Prompt | Pending

FINE = Answer()


def refused(refusal: Refusal) -> Answer:
    return Answer(refusal=refusal)


def cms(code: int) -> Answer:
    return Answer(refusal=Refusal("cms", code))


CMS_TEXTS = {
    8: "Operator determined barring",
    17: "Network failure",
    21: "Short message transfer rejected",
    38: "Network out of order",
    41: "Temporary failure",
    42: "Congestion",
    96: "Invalid mandatory information",
    300: "ME failure",
    302: "Operation not allowed",
    303: "Operation not supported",
    304: "Invalid PDU mode parameter",
    305: "Invalid text mode parameter",
    310: "SIM not inserted",
    311: "SIM PIN required",
    313: "SIM failure",
    314: "SIM busy",
    316: "SIM PUK required",
    320: "Memory failure",
    321: "Invalid memory index",
    322: "Memory full",
    330: "SMSC address unknown",
    331: "no network service",
    332: "Network timeout",
    340: "NO +CNMA ACK EXPECTED",
    500: "unknown error",
}
CME_TEXTS = {
    3: "operation not allowed",
    4: "operation not supported",
    10: "SIM not inserted",
    11: "SIM PIN required",
    12: "SIM PUK required",
    13: "SIM failure",
    14: "SIM busy",
    16: "incorrect password",
    30: "no network service",
    50: "incorrect parameters",
    100: "unknown",
    515: "please wait, init or command processing in progress",
}


def spell(refusal: Refusal, level: int, *, texts: bool, bare: bool) -> str:
    """The line, by the level of AT+CMEE: 0 bare, 1 numbers, 2 texts. +CMS ERROR has no level 0."""
    if refusal.kind is None or (refusal.kind == "cme" and (level == 0 or bare)):
        return "ERROR"
    if refusal.kind == "cms":
        told = CMS_TEXTS.get(refusal.code) if level == 2 and texts else None
        return f"+CMS ERROR: {told or refusal.code}"
    told = CME_TEXTS.get(refusal.code) if level == 2 else None
    return f"+CME ERROR: {told or refusal.code}"
