"""Answers that come after their timeout: what they are worth, as long as someone knows what was asked.

A message centre that is slow has taken the message all the same. Its attempt has ended `Unknown`, and
another waits in a delay queue; when the answer comes first, that one finds it in the ledger.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from smsgw.channel.cut import Cut
from smsgw.message import Submission
from smsgw.outcome import Accepted, Later, Outcome, Part
from smsgw.smpp.pdu import Pdu, SubmitSmResp
from smsgw.smpp.receipt import LONGEST

REMEMBERED = 1000
"""Requests of a link that are remembered; the connection itself matches as many."""


class Interrupted(msgspec.Struct, frozen=True):
    """A part that was not answered in time, as it left; `taken` are those before it."""

    pdu: object
    submission: Submission
    cut: Cut
    taken: tuple[Part, ...]

    def taken_after_all(self, smsc_id: str, account: str) -> Outcome:
        """How far the message got with it."""
        parts = (*self.taken, Part(smsc_id))
        if len(parts) == len(self.cut.parts):
            return Accepted(parts, on_air=self.cut.on_air, transliterated=self.cut.transliterated)
        return self.cut.broken_off(Later("answered late"), account, parts)


class Unanswered:
    """The parts of one link that were not answered in time, by their PDUs."""

    def __init__(self) -> None:
        self._parts: OrderedDict[int, Interrupted] = OrderedDict()

    def __len__(self) -> int:
        return len(self._parts)

    def add(self, part: Interrupted) -> None:
        """Remember it; the oldest is forgotten where there are too many."""
        self._parts[id(part.pdu)] = part
        if len(self._parts) > REMEMBERED:
            self._parts.popitem(last=False)

    def clear(self) -> None:
        """The link is gone: nothing can be answered on it any more."""
        self._parts.clear()

    def answered(self, request: Pdu, response: Pdu) -> tuple[Interrupted, str] | None:
        """The part that a late answer says was taken, and its id there; None for any other answer."""
        part = self._parts.pop(id(request), None)
        if part is None or not isinstance(response, SubmitSmResp) or response.command_status:
            return None
        return part, response.message_id[:LONGEST]
