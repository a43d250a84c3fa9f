"""One message to the network: AT+CMGS, the prompt, the PDU, and what became of it."""

from __future__ import annotations

from typing import Any

import msgspec

from smsgw.gsm.at import Command, Completed
from smsgw.gsm.errors import Error
from smsgw.gsm.events import Answer, Refused, Sent, SubmitAnswered, Unanswered, Unsent
from smsgw.gsm.gate import look_at_registration
from smsgw.gsm.scripts import Facts, Interrupted, Script, Tell, ask, field, integer, tell_line


class Message(msgspec.Struct, frozen=True):
    """What waits to be sent: the line of PDU mode, its length, and the caller's `context`."""

    line: str
    length: int
    context: Any

    def __repr__(self) -> str:
        return f"<Message length={self.length}>"


def send(message: Message, facts: Facts, submit_timeout: float, tell: Tell) -> Script[None]:
    """Exactly one `SubmitAnswered`, whatever happens."""
    command = Command(
        line=f"AT+CMGS={message.length}",
        prefixes=("+CMGS:",),
        payload=message.line,
        timeout=facts.family.prompt_timeout,
        payload_timeout=submit_timeout,
    )
    try:
        completed = yield from ask(command)
    except Interrupted as interrupted:
        answer: Answer = Unsent(interrupted.reason)
        if interrupted.prompted:
            answer = Unanswered(interrupted.reason)
        tell(SubmitAnswered(message.context, answer))
        raise
    if completed.error is None:
        tell(SubmitAnswered(message.context, Sent(_reference(completed))))
    else:
        yield from _refused(message, completed.error, facts, tell)


def _reference(completed: Completed) -> int | None:
    reference = integer(field(tell_line(completed), 0))
    return reference if reference is not None and 0 <= reference <= 255 else None


def _refused(message: Message, error: Error, facts: Facts, tell: Tell) -> Script[None]:
    """Modems say `ERROR` or 500 for much; without a network it is the network."""
    error_class = error.error_class
    if error_class == "unknown":
        try:
            registered = yield from look_at_registration(facts, tell)
        except Interrupted:
            tell(SubmitAnswered(message.context, Refused(error, "link")))
            raise
        error_class = "unknown" if registered else "link"
    tell(SubmitAnswered(message.context, Refused(error, error_class)))
