"""One system_id at a simulated message centre: its sessions, and the mail that waits for them.

Receipts and inbound messages are letters. A letter waits in the account's mailbox until one of its
sessions can receive and has room in its window, and stays with the account, over reconnections, until
it is answered for good: ESME_ROK, or a permanent no. Anything else brings it back after a while.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Literal, Protocol

from attrs import define, field

from smsgw.errors import Misuse
from smsgw.simulator.agenda import Agenda
from smsgw.simulator.behaviour import Behaviour
from smsgw.simulator.dice import Dice
from smsgw.simulator.journal import Entry, Journal
from smsgw.simulator.tally import SessionReport, Tally, count
from smsgw.simulator.verdict import Bucket
from smsgw.smpp.constants import CommandStatus
from smsgw.smpp.events import Answer, Answered, LinkLost
from smsgw.smpp.pdu import DataSm, DeliverSm

PERMANENT = frozenset({CommandStatus.ESME_RX_P_APPN, CommandStatus.ESME_RX_R_APPN})
"""A delivery that is refused so does not come again (3.4, 5.1.3)."""


@define(eq=False)
class Shared:
    """What all of a message centre's accounts and sessions work with. `wall` is seconds since the epoch."""

    behaviour: Behaviour
    dice: Dice
    agenda: Agenda
    tally: Tally
    journal: Journal
    monotonic: Callable[[], float]
    wall: Callable[[], float]


class Recipient(Protocol):
    """What a mailbox needs of a session."""

    record: SessionReport

    @property
    def has_room(self) -> bool:
        """It can receive, and its window is not full."""

    @property
    def receives(self) -> bool:
        """It is bound to receive."""

    def hand_over(self, letter: Letter, answered: Callable[[Answer], None]) -> None:
        """Send it. Raises Misuse if this session never can."""


@define(eq=False)
class Letter:
    """A receipt or an inbound message on its way. `id` is the id that the submit was answered with."""

    pdu: DeliverSm | DataSm
    kind: Literal["receipt", "inbound"]
    id: str
    stat: str | None = None
    home: Recipient | None = None
    repeated: bool = False
    """It is a repetition: counted apart, and never repeated itself."""
    attempts: int = 0


@define(eq=False)
class Account:
    """`in_flight` counts the submits of all its sessions that are unanswered."""

    system_id: str
    shared: Shared
    sessions: list[Recipient] = field(factory=list)
    in_flight: int = 0
    inbound_made: int = 0
    bringing: bool = False
    """Inbound messages are being made."""
    lingering: deque[float] = field(factory=deque)
    """When the places of sessions that were cut become free."""
    held: list[Letter] = field(factory=list)
    """Parts of inbound messages that are being shuffled."""
    _waiting: deque[Letter] = field(factory=deque)
    _bucket: Bucket | None = None
    _turn: int = 0

    @property
    def waiting(self) -> int:
        """Letters in the mailbox."""
        return len(self._waiting)

    @property
    def receives(self) -> bool:
        """One of its sessions can receive."""
        return any(session.receives for session in self.sessions)

    def places_taken(self, now: float) -> int:
        """Sessions, those included that were cut and not yet noticed."""
        while self.lingering and self.lingering[0] <= now:
            self.lingering.popleft()
        return len(self.sessions) + len(self.lingering)

    def throttled(self, now: float) -> bool:
        """Whether a submit now is above the rate."""
        if self._bucket is None:
            behaviour = self.shared.behaviour
            self._bucket = Bucket(behaviour.throttle, behaviour.throttle_burst)
        return not self._bucket.take(now)

    def forget_rate(self) -> None:
        """The behaviour has changed."""
        self._bucket = None

    def post(self, letter: Letter, delay: float = 0.0) -> None:
        """A new letter, due in so many seconds; lost, and counted, where too many are under way."""
        shared, counts = self.shared, self.shared.tally.counts
        if letter.repeated:
            counts.receipts_repeated += 1
        elif letter.kind == "receipt":
            counts.receipts_made += 1
            count(counts.receipts_by_stat, letter.stat or "")
        else:
            counts.inbound_made += 1
        if counts.pending >= shared.behaviour.mailbox:
            self._give_up(letter)
            return
        counts.pending += 1
        if delay:
            shared.agenda.add(delay, self._return, letter)
        else:
            self._return(letter)

    def pump(self) -> None:
        """Hand over what waits, as far as there is room."""
        waiting = self._waiting
        while waiting:
            session = self._recipient(waiting[0])
            if session is None:
                return
            self._hand_over(waiting.popleft(), session)

    def _recipient(self, letter: Letter) -> Recipient | None:
        ready = [session for session in self.sessions if session.has_room]
        if len(ready) <= 1:
            return ready[0] if ready else None
        where = self.shared.behaviour.receipt_bind
        if letter.home is not None and where == "same" and letter.home in ready:
            return letter.home
        if letter.home is not None and where == "other":
            ready = [session for session in ready if session is not letter.home]
        self._turn += 1
        return ready[self._turn % len(ready)]

    def _hand_over(self, letter: Letter, session: Recipient) -> None:
        counts = self.shared.tally.counts
        letter.attempts += 1
        session.record.delivered += 1
        if letter.kind == "receipt":
            counts.receipts_sent += 1
        else:
            counts.inbound_sent += 1
        try:
            session.hand_over(letter, partial(self._answered, letter, session))
        except Misuse:
            # a session of interface version 3.3 can't take what needs TLVs: no other will come
            self.shared.tally.counts.pending -= 1
            self._give_up(letter)

    def _answered(self, letter: Letter, session: Recipient, answer: Answer) -> None:
        status = answer.response.command_status if isinstance(answer, Answered) else None
        if status == CommandStatus.ESME_ROK or status in PERMANENT:
            self._settle(letter, taken=status == CommandStatus.ESME_ROK)
        elif letter.attempts >= self.shared.behaviour.receipt_attempts:
            self.shared.tally.counts.pending -= 1
            self._give_up(letter)
        elif isinstance(answer, LinkLost):
            letter.attempts -= not answer.sent
            self._waiting.appendleft(letter)
            self.shared.agenda.add(0.0, self.pump)
        else:
            self.shared.agenda.add(self.shared.behaviour.receipt_retry_delay, self._return, letter)
        self._record(letter, session, status)
        self.pump()

    def _return(self, letter: Letter) -> None:
        self._waiting.append(letter)
        self.pump()

    def _settle(self, letter: Letter, *, taken: bool) -> None:
        shared, counts = self.shared, self.shared.tally.counts
        counts.pending -= 1
        if letter.repeated:
            return
        if letter.kind == "receipt":
            counts.receipts_answered += taken
            counts.receipts_refused += not taken
            if taken and shared.dice.chance("repeat", shared.behaviour.repeated_receipts):
                again = Letter(letter.pdu, "receipt", letter.id, letter.stat, letter.home, repeated=True)
                self.post(again, shared.behaviour.repeat_delay)
        else:
            counts.inbound_answered += taken
            counts.inbound_refused += not taken

    def _give_up(self, letter: Letter) -> None:
        counts = self.shared.tally.counts
        if letter.kind == "receipt":
            counts.receipts_lost += not letter.repeated
        else:
            counts.inbound_lost += 1

    def _record(self, letter: Letter, session: Recipient, status: int | None) -> None:
        if not self.shared.journal:
            return
        entry = Entry(
            at=self.shared.wall(),
            event=letter.kind,
            session=session.record.number,
            system_id=self.system_id,
            id=letter.id,
            stat=letter.stat,
            status=status,
            attempt=letter.attempts,
            source=letter.pdu.source_addr,
            destination=letter.pdu.destination_addr,
        )
        self.shared.journal.write(entry)
