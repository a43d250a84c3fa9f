"""What a modem connection tells: answers to what we asked, and events, named for what happened.

An answer is a value, however bad. What the modem or the network does wrong is an event, never raised.
No event shows a number or a text in its `repr`.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from smsgw.gsm.addresses import Address
from smsgw.gsm.errors import Error, ErrorClass
from smsgw.gsm.octets import TpduError
from smsgw.gsm.shapes import Deliver, StatusReport

State: TypeAlias = Literal[
    "closed", "opening", "locked", "searching", "preparing", "ready", "recovering", "ended"
]
Rung: TypeAlias = Literal["escape", "reset", "restart"]


class Handle(msgspec.Struct, frozen=True):
    """One received PDU that is not settled. `memory` None: it came directly, and is nowhere else."""

    pdu: str
    memory: str | None = None
    index: int = 0

    def __repr__(self) -> str:
        return f"<Handle {self.memory or 'direct'} {self.index}>"


# -- answers


class Sent(msgspec.Struct, frozen=True):
    """The network took it; `reference` (TP-MR) is in the status report. None: the modem did not tell."""

    reference: int | None


class Refused(msgspec.Struct, frozen=True):
    """The modem or the network said no. `error_class` takes the state of registration into account."""

    error: Error
    error_class: ErrorClass


class Unanswered(msgspec.Struct, frozen=True):
    """The PDU went out to the modem, then nothing came: it may or may not have been sent."""

    reason: str


class Unsent(msgspec.Struct, frozen=True):
    """It never left us."""

    reason: str


Answer: TypeAlias = Sent | Refused | Unanswered | Unsent


# -- events


class SubmitAnswered(msgspec.Struct, frozen=True):
    """A message is settled, once and for all. `context` is what it was sent with."""

    context: Any
    answer: Answer


class SentLate(msgspec.Struct, frozen=True):
    """A reference came for a message that had been answered `Unanswered`."""

    reference: int


class UssdAnswered(msgspec.Struct, frozen=True):
    """`text` None: none came, for the `problem`. `more`: the network waits for a reply."""

    context: Any
    text: str | None
    more: bool = False
    problem: str | None = None

    def __repr__(self) -> str:
        return f"<UssdAnswered more={self.more} problem={self.problem!r}>"


class UssdReceived(msgspec.Struct, frozen=True):
    """The network says something that nobody asked for."""

    text: str

    def __repr__(self) -> str:
        return "<UssdReceived>"


class MessageReceived(msgspec.Struct, frozen=True):
    """A phone's message. Give the handle to `Connection.settle` once it is durable, or can't be."""

    handle: Handle
    tpdu: Deliver
    smsc: Address | None


class ReportReceived(msgspec.Struct, frozen=True):
    """A status report. Settle its handle like a message's."""

    handle: Handle
    tpdu: StatusReport


class Undeciphered(msgspec.Struct, frozen=True):
    """A received PDU that can't be read: `handle.pdu` is all there is. Settle it like a message."""

    handle: Handle
    error: TpduError


class PduLost(msgspec.Struct, frozen=True):
    """The line that announces a PDU came, the PDU did not. If it came directly, the network repeats it."""

    header: str


class AcknowledgementRefused(msgspec.Struct, frozen=True):
    """The modem did not take the acknowledgement of a message: the network may repeat it."""

    error: Error


class StateChanged(msgspec.Struct, frozen=True):
    """`state` is that of the connection; messages are taken in `ready` alone."""

    state: State
    reason: str


class Identified(msgspec.Struct, frozen=True):
    """What the modem says that it is; empty where it does not."""

    manufacturer: str
    model: str
    revision: str
    family: str


class RegistrationChanged(msgspec.Struct, frozen=True):
    """`status` as in 3GPP TS 27.007, 7.2: 1 home, 5 roaming, 2 searching, 3 denied ..."""

    status: int
    registered: bool


class SignalMeasured(msgspec.Struct, frozen=True):
    """dBm; None where the modem does not know."""

    dbm: int | None


class OperatorFound(msgspec.Struct, frozen=True):
    name: str


class StorageMeasured(msgspec.Struct, frozen=True):
    """Where `used` is `total` the network's messages wait outside."""

    memory: str
    used: int
    total: int


class PinTried(msgspec.Struct, frozen=True):
    """`accepted` None: no answer came. A PIN is tried once; see `Pins`."""

    accepted: bool | None


class RungClimbed(msgspec.Struct, frozen=True):
    """The watchdog: the modem did not answer, and this is tried. After `restart` comes `Ended`."""

    rung: Rung
    reason: str


class ModemRestarted(msgspec.Struct, frozen=True):
    """It was switched on, whoever did that: everything is set up again."""

    banner: str


class NoiseCounted(msgspec.Struct, frozen=True):
    """Octets that mean nothing."""

    octets: int
    reason: str


class LineIgnored(msgspec.Struct, frozen=True):
    """An unsolicited line, or one of an answer that came too late, that nobody reads: its name."""

    name: str


class Looked(msgspec.Struct, frozen=True):
    """The modem was asked for its signal and its registration, and what it said was told before."""


class Ended(msgspec.Struct, frozen=True):
    """The connection is over: close the port. Always the last event.

    `reopen`: opening the port again (by its stable name, after a while) may help; else somebody has to
    do something first: another PIN, another SIM.
    """

    reason: str
    reopen: bool


Event: TypeAlias = (
    SubmitAnswered
    | SentLate
    | UssdAnswered
    | UssdReceived
    | MessageReceived
    | ReportReceived
    | Undeciphered
    | PduLost
    | AcknowledgementRefused
    | StateChanged
    | Identified
    | RegistrationChanged
    | SignalMeasured
    | OperatorFound
    | StorageMeasured
    | PinTried
    | RungClimbed
    | ModemRestarted
    | NoiseCounted
    | LineIgnored
    | Looked
    | Ended
)
