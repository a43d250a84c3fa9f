"""One message on its way through an SMPP session, part after part, until it is known what became of it.

A part leaves when the one before it was taken: so the parts arrive in order, a message never has more than
one PDU in flight, and what is broken off is known to the part.

Every message comes by here, and nearly all have one part: so these are callbacks, not a coroutine. `_next`
sends a part and `_read` reads its answer; both say what became of the message, or None while a part is
under way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.python.failure import Failure

from smsgw.channel.cut import Cut
from smsgw.channel.late import Interrupted
from smsgw.channel.status import OK
from smsgw.message import Submission
from smsgw.outcome import Accepted, Broken, Expired, Outcome, Part, Refused, Unsent
from smsgw.smpp.events import Answer, WindowFull
from smsgw.smpp.fields import EncodeError
from smsgw.smpp.pdu import SubmitSm

if TYPE_CHECKING:
    from smsgw.channel.base import Tell
    from smsgw.channel.smpp import SmppSession

PATIENCE = 600.0
"""Seconds after which a message that is throttled again and again goes back to its queue: a broker takes
back what is unsettled for half an hour, and the connection with it."""

SPREAD = 20.0
"""Seconds after which a message whose parts are taken too slowly goes back to its queue, so that the ledger
knows those that were: their receipts come meanwhile, and wait no longer than `receipts.park`."""

NO_MORE = "the session takes no more"


class Sending:
    """One message, cut into its parts. `tell` is called once."""

    __slots__ = ("_began", "_cut", "_left", "_pdu", "_sent", "_session", "_submission", "_taken", "_tell")

    _pdu: SubmitSm

    def __init__(self, session: SmppSession, submission: Submission, cut: Cut, tell: Tell) -> None:
        self._session = session
        self._submission = submission
        self._cut = cut
        self._tell = tell
        self._taken = [Part(smsc_id) for smsc_id in cut.taken]
        self._began = self._left = session.channel.now()
        self._sent = 0.0

    def start(self) -> None:
        self._went_on(self._next())

    def answered(self, answer: Answer) -> None:
        """What the message centre said of the part that is under way."""
        try:
            outcome = self._read(answer)
        except Exception:  # noqa: BLE001  goes to whoever wants the message sent
            self._tell(Failure())  # type: ignore[no-untyped-call]
        else:
            self._went_on(outcome)

    def _went_on(self, outcome: Outcome | Failure | None) -> None:
        if outcome is not None:
            self._tell(outcome)

    def _next(self) -> Outcome | None:
        """The turn of the next part, if there is one."""
        session, cut = self._session, self._cut
        taken_now = len(self._taken) > len(cut.taken)
        if len(self._taken) == len(cut.parts):
            status = OK if taken_now else None
            return Accepted(tuple(self._taken), status, cut.on_air, cut.transliterated)
        if taken_now and session.channel.now() >= self._began + SPREAD:
            return self._broken_off(Unsent("its parts take too long"))
        if session.leaving:
            return self._broken_off(Unsent(NO_MORE))
        if session.channel.pace.take():
            return self._send()
        waiting = session.channel.pace.wait(session).addCallback(self._waited)
        waiting.addBoth(self._went_on)
        return None

    def _waited(self, token: bool) -> Outcome | None:
        return self._send() if token else self._broken_off(Unsent(NO_MORE))

    def _send(self) -> Outcome | None:
        """Send a part, for which there is a token."""
        session, submission = self._session, self._submission
        channel, protocol = session.channel, session.protocol
        if protocol is None:
            return self._broken_off(Unsent(NO_MORE))
        now, self._sent = channel.now(), channel.pace.now
        self._left = now
        if submission.deadline is not None and now >= submission.deadline:
            return self._broken_off(Expired())
        pdu = channel.cutter.submit_sm(submission, self._cut.parts[len(self._taken)], now)
        if not isinstance(pdu, SubmitSm):
            return self._broken_off(pdu)
        self._pdu = pdu
        try:
            protocol.request(pdu, self.answered)
        except EncodeError as error:
            return self._broken_off(Refused(str(error)))
        except WindowFull:  # some began before the last link was lost, and others fill this one
            return self._broken_off(Unsent(NO_MORE))
        return None

    def _read(self, answer: Answer) -> Outcome | None:
        session, cut = self._session, self._cut
        outcome = session.channel.read(answer, session, self._sent)
        if isinstance(outcome, Part):
            self._taken.append(outcome)
        elif outcome is not None:
            session.broke_off(outcome, Interrupted(self._pdu, self._submission, cut, tuple(self._taken)))
            return self._broken_off(outcome)
        elif self._left >= self._began + PATIENCE:
            return self._broken_off(Unsent("held back by the message centre for too long"))
        return self._next()

    def _broken_off(self, outcome: Broken) -> Broken:
        return self._cut.broken_off(outcome, self._session.channel.account, self._taken)
