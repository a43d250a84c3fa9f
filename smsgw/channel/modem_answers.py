"""What a modem's answer to a message means, and by which id a status report will know it: pure."""

from __future__ import annotations

from smsgw.gsm.events import Answer, Refused, Sent, Unanswered
from smsgw.outcome import Broken, Later, Part, Status, Unknown, Unsent
from smsgw.outcome import Refused as NotTaken

UNKNOWN_ATTEMPTS = 3
"""Attempts that a message is worth whose refusal says nothing: it may pass, but don't count on it."""

TAIL = 6
"""Digits at the end of a number that name a phone: networks write the rest in several ways."""


def smsc_id(reference: int | None, recipient: str) -> str:
    """What a status report will be known by: 8 bits of reference come round soon, so the recipient counts."""
    digits = "".join(each for each in recipient if each.isalnum())
    return f"{'none' if reference is None else reference}-{digits[-TAIL:]}"


def outcome_of(answer: Answer, recipient: str) -> Part | Broken:
    """A part that was taken, or how the message is broken off.

    What every message would hear (no network, a SIM that is barred) is `Unsent`: no attempt is burned.
    """
    if isinstance(answer, Sent):
        return Part(smsc_id(answer.reference, recipient))
    if isinstance(answer, Refused):
        return _refused(answer)
    return Unknown(answer.reason) if isinstance(answer, Unanswered) else Unsent(answer.reason)


def _refused(answer: Refused) -> Broken:
    error = answer.error
    said = f"{error.kind.upper()} ERROR {error.code}: {error.name}" if error.kind else error.name
    status = None if error.code is None else Status(error.code, error.name)
    match answer.error_class:
        case "link":
            return Unsent(said)
        case "permanent":
            return NotTaken(said, status)
        case "temporary":
            return Later(said, status)
        case "unknown":
            return Later(said, status, budget=UNKNOWN_ATTEMPTS)
