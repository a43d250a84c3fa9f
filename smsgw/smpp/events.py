"""What an SMPP connection tells: answers to our requests, and events, named for what happened.

An answer is a value, however bad: a refusal is `Answered` with a status, silence is `TimedOut`, a link
that broke is `LinkLost`. What the peer does wrong is a `PeerError` inside `PeerErred`, never raised.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from smsgw.errors import Misuse, PeerError
from smsgw.smpp.constants import command_name
from smsgw.smpp.pdu import Pdu


class Answered(msgspec.Struct, frozen=True):
    """The peer's response, or its generic_nack; `response.command_status` says yes or no.

    A generic_nack never has the status ESME_ROK here, whatever the peer wrote.
    """

    response: Pdu


class TimedOut(msgspec.Struct, frozen=True):
    """No response within `Timers.response`: the peer may or may not have taken the request."""


class LinkLost(msgspec.Struct, frozen=True):
    """The link ended first, or was gone already. `sent` False: the request never left us."""

    reason: str
    sent: bool = True


Answer: TypeAlias = Answered | TimedOut | LinkLost


class RequestAnswered(msgspec.Struct, frozen=True):
    """A request of ours is settled, once and for all. `context` is what it was sent with."""

    context: Any
    answer: Answer


class RequestReceived(msgspec.Struct, frozen=True):
    """The peer wants something that the connection does not answer by itself."""

    pdu: Pdu


class AnsweredLate(msgspec.Struct, frozen=True):
    """A response to a request of ours that had timed out."""

    request: Pdu
    response: Pdu


class UnbindReceived(msgspec.Struct, frozen=True):
    """The peer wants to part. It is answered when all is settled, see `Connection.finish_unbind`."""


class PeerErred(msgspec.Struct, frozen=True):
    """The peer sent what it must not send; it has been answered. Count it."""

    error: PeerError


class Ended(msgspec.Struct, frozen=True):
    """The session is over: write what is left to write, and close. Always the last event."""

    reason: str


Event: TypeAlias = RequestAnswered | RequestReceived | AnsweredLate | UnbindReceived | PeerErred | Ended


class WindowFull(Misuse):
    """As many requests as the window allows are unanswered: wait for an answer first."""


class WrongState(Misuse):
    """The session's state, our role or the interface version does not allow this PDU."""


class StrayResponse(PeerError):
    """A response to nothing that we asked, or of another kind than what we asked."""

    def __init__(self, response: Pdu) -> None:
        name, number = command_name(response.command_id), response.sequence_number
        super().__init__(f"{name} {number}, status 0x{response.command_status:08X}, answers nothing")
        self.response = response


class OutOfPlace(PeerError):
    """A request that the session's state, or the peer's role, does not allow, or of an unknown kind."""

    def __init__(self, request: Pdu, state: str) -> None:
        super().__init__(f"{command_name(request.command_id)} while {state}")
        self.request = request
