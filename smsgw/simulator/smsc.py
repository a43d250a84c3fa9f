"""A message centre to test against, as nasty as `Behaviour` says.

It stands on the gateway's own codec, connection and protocol, in the other role:

    wire       breaks octets on purpose, below a protocol that can't
    session    one client connection: answers its binds and submits
    account    one system_id: its sessions, its mailbox of receipts and inbound messages
    smsc       this module: who may bind, what receipts a message gets, start and stop

The decisions are pure and seeded (`verdict`, `receipts`, `ids`, `spoil`, `dice`), and everything is
counted (`tally`), on request message by message (`journal`). All that waits, waits in one `agenda` or
in bounded mailboxes; there is no timer per message.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IAddress, IListeningPort, IReactorTime, IStreamServerEndpoint

from smsgw.simulator import submits
from smsgw.simulator.account import Account, Letter, Shared
from smsgw.simulator.agenda import Agenda
from smsgw.simulator.behaviour import Behaviour, Inbound, Stat, longest_match, status_code
from smsgw.simulator.compose import inbound, receipt
from smsgw.simulator.dice import Dice
from smsgw.simulator.ids import message_id
from smsgw.simulator.journal import Journal
from smsgw.simulator.receipts import Fact, error_of, spelling
from smsgw.simulator.session import SHORTEST_PERIOD, Bind, Session
from smsgw.simulator.submits import Submit
from smsgw.simulator.tally import Report, Tally
from smsgw.simulator.wire import RoughFactory
from smsgw.smpp.connection import Timers
from smsgw.smpp.constants import CommandStatus
from smsgw.smpp.pdu import encode
from smsgw.smpp.protocol import SmppFactory

__all__ = ["Behaviour", "Inbound", "MessageCentre", "Report", "serve"]

HELD = 16
"""Parts of inbound messages that are held back to be shuffled with those to come."""


class MessageCentre:
    """Any number of accounts and sessions under one behaviour.

    `accounts` maps system_id to password; without any, everyone may bind. `log_path` is where the
    journal goes. `clock` measures durations; `wall` tells seconds since the epoch.

    Raises:
        OSError: the journal can't be opened.
        Misuse: an inbound message of the behaviour can't be sent.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        clock: IReactorTime,
        accounts: Mapping[str, str] | None = None,
        log_path: Path | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        for message in behaviour.inbound:
            for part in inbound(message, 1):
                encode(part)
        agenda = Agenda(clock)
        self._clock = clock
        self._shared = Shared(
            behaviour=behaviour,
            dice=Dice(behaviour.seed),
            agenda=agenda,
            tally=Tally(behaviour.remembered),
            journal=Journal(log_path, agenda),
            monotonic=clock.seconds,
            wall=wall,
        )
        self._passwords = dict(accounts or {})
        self._accounts: dict[str, Account] = {}
        self._sessions: dict[int, Session] = {}
        self._connections = 0
        self._binds = 0
        self._spelt = 0
        self._number = behaviour.first_id or int(wall() * 1_000_000) + 1

    def __repr__(self) -> str:
        counts = self._shared.tally.counts
        return f"<MessageCentre sessions={len(self._sessions)} accepted={counts.accepted}>"

    @property
    def behaviour(self) -> Behaviour:
        return self._shared.behaviour

    def behave(self, behaviour: Behaviour) -> None:
        """Behave otherwise from now on. Chance starts anew from the seed; what waits goes on waiting."""
        self._shared.behaviour = behaviour
        self._shared.dice = Dice(behaviour.seed)
        for account in self._accounts.values():
            account.forget_rate()

    def factory(self) -> RoughFactory:
        """For any server endpoint."""
        timers = Timers(
            enquire_link=self.behaviour.enquire_link, response=self.behaviour.response_timeout, unbind=2.0
        )
        smpp = SmppFactory(
            "smsc",
            timers,
            self.behaviour.receipt_window,
            self._session,
            self._clock,
            peer_window=self.behaviour.capacity + 1,
        )
        return RoughFactory(smpp, lambda: self.behaviour, self._shared.agenda, self._clock)

    def _session(self, _: IAddress | None) -> Session:
        self._connections += 1
        session = self._sessions[self._connections] = Session(self, self._shared, self._connections)
        return session

    # -- for those who look on

    def report(self) -> Report:
        """Everything counted so far, as a copy."""
        return self._shared.tally.report()

    @property
    def counts(self) -> Report:
        """The running counts themselves, without the tables that `report` copies."""
        return self._shared.tally.counts

    def times_accepted(self, destination: str, octets: bytes) -> int:
        """How often a message was taken, by its short_message or message_payload."""
        return self._shared.tally.times_accepted(destination, octets)

    # -- what sessions ask

    def admit(self, bind: Bind) -> Account | int:
        """The account that may bind, or the status that refuses."""
        behaviour = self.behaviour
        self._binds += 1
        if behaviour.refuse_binds < 0 or self._binds <= behaviour.refuse_binds:
            return status_code(behaviour.refuse_binds_with)
        if self._passwords:
            if bind.system_id not in self._passwords:
                return CommandStatus.ESME_RINVSYSID
            if bind.password != self._passwords[bind.system_id]:
                return CommandStatus.ESME_RINVPASWD
        account = self._accounts.get(bind.system_id)
        if account is None:
            account = self._accounts[bind.system_id] = Account(bind.system_id, self._shared)
        if behaviour.bind_limit and account.places_taken(self._clock.seconds()) >= behaviour.bind_limit:
            return CommandStatus.ESME_RALYBND
        return account

    def bound(self, session: Session) -> None:
        """A session was admitted, and its response is written."""
        account = session.account
        if account is None:
            return
        account.sessions.append(session)
        self.counts.bound += 1
        if not session.receives:
            return
        if self.behaviour.greet:
            self._write_inbound(account)
        account.pump()
        if self.behaviour.inbound_rate and not account.bringing:
            account.bringing = True
            self._shared.agenda.add(0.0, self._bring_inbound, account, 0.0)

    def departed(self, session: Session) -> None:
        """A connection is gone."""
        self._sessions.pop(session.record.number, None)
        if session.account is not None and session in session.account.sessions:
            session.account.sessions.remove(session)
            self.counts.bound -= 1
            self._shared.agenda.add(0.0, session.account.pump)

    def next_id(self) -> tuple[str, str]:
        """The id of a message in its response, and in its receipts."""
        number, self._number = self._number, self._number + 1
        written = message_id(number, self.behaviour.message_id)
        return written.answered, written.receipted

    # -- receipts

    def receipts(self, session: Session, pdu: Submit, ids: tuple[str, str], response_delay: float) -> None:
        """A message was taken: write its receipts when they are due."""
        behaviour, dice = self.behaviour, self._shared.dice
        if not self._gets_receipt_for(pdu):
            return
        for destination in submits.destinations(pdu):
            stat = self._final_state(destination)
            if not self._gets_receipt(pdu, delivered=stat == "DELIVRD"):
                continue
            due = response_delay
            if dice.chance("intermediate", behaviour.intermediate):
                due += dice.delay("receipt", behaviour.receipt_delay, behaviour.receipt_jitter)
                self._write_receipt(due, session, pdu, destination, ids, behaviour.intermediate_state, True)
            due += dice.delay("receipt", behaviour.receipt_delay, behaviour.receipt_jitter)
            self._write_receipt(due, session, pdu, destination, ids, stat, False)

    def _gets_receipt_for(self, pdu: Submit) -> bool:
        """Of a long message, perhaps only the first or last part does."""
        which = self.behaviour.receipt_part
        if which == "all":
            return True
        place = submits.place(pdu)
        return place.number == (1 if which == "first" else place.total)

    def _gets_receipt(self, pdu: Submit, *, delivered: bool) -> bool:
        if submits.asks_for_receipts(pdu):
            wanted = submits.wants_receipt(pdu, delivered=delivered)
            return wanted and self._shared.dice.chance("receipts", self.behaviour.receipts)
        return self._shared.dice.chance("unsolicited", self.behaviour.unsolicited_receipts)

    def _final_state(self, destination: str) -> Stat:
        behaviour = self.behaviour
        key = longest_match(behaviour.destination_states, destination)
        if key is not None:
            return behaviour.destination_states[key]
        return self._shared.dice.weighted("state", behaviour.states)

    def _write_receipt(
        self,
        due: float,
        session: Session,
        pdu: Submit,
        destination: str,
        ids: tuple[str, str],
        stat: Stat,
        intermediate: bool,
    ) -> None:
        answered, receipted = ids
        now = self._shared.wall()
        fact = Fact(
            id=receipted,
            stat=stat,
            err=error_of(stat, self.behaviour),
            submitted=now,
            done=now + due,
            text=submits.text(pdu) or "",
            intermediate=intermediate,
        )
        spelt = spelling(self.behaviour, self._spelt)
        self._spelt += 1
        letter = Letter(
            receipt(pdu, destination, fact, spelt, self.behaviour.receipt_pdu),
            "receipt",
            answered,
            stat,
            session,
        )
        if session.account is not None:
            session.account.post(letter, due)

    # -- inbound messages

    def _bring_inbound(self, account: Account, owed: float) -> None:
        """As many inbound messages as the rate asks for, as long as someone receives them."""
        rate = self.behaviour.inbound_rate
        account.bringing = bool(rate) and account.receives and not self._inbound_done(account)
        if not account.bringing:
            return
        period = max(1 / rate, SHORTEST_PERIOD)
        owed += rate * period
        for _ in range(int(owed)):
            if not self._inbound_done(account):
                self._write_inbound(account)
        self._shared.agenda.add(period, self._bring_inbound, account, owed % 1)

    def _inbound_done(self, account: Account) -> bool:
        limit = self.behaviour.inbound_limit
        return bool(limit) and account.inbound_made >= limit

    def _write_inbound(self, account: Account) -> None:
        account.inbound_made += 1
        number = account.inbound_made
        messages = self.behaviour.inbound
        parts = inbound(messages[(number - 1) % len(messages)], number)
        account.held += [Letter(part, "inbound", f"inbound-{number}") for part in parts]
        self._release(account, 0 if self._inbound_done(account) else HELD)

    def _release(self, account: Account, hold: int) -> None:
        """Post the parts that are held back, all but `hold` of them where they are shuffled."""
        if self.behaviour.inbound_shuffled:
            self._shared.dice.stream("shuffle").shuffle(account.held)
        else:
            hold = 0
        while len(account.held) > hold:
            account.post(account.held.pop(0))

    # -- the end

    def unbind_all(self) -> Deferred[None]:
        """Unbind every session; fires when all links are gone, bounded by the unbind timer."""
        links = [session.protocol.gone() for session in self._sessions.values() if session.connected_once]
        for session in list(self._sessions.values()):
            session.unbind()
        return gatherResults(links).addCallback(lambda _: None)

    def close(self) -> None:
        """Forget what waits, and write the rest of the journal. Nothing may come after it."""
        self._shared.agenda.clear()
        self._shared.journal.close()


def serve(
    reactor: IReactorTime,
    endpoint_description: str,
    behaviour: Behaviour,
    accounts: Mapping[str, str] | None = None,
    log_path: Path | None = None,
) -> Deferred[IListeningPort]:
    """Listen where a Twisted server endpoint string says, `tcp:2775:interface=127.0.0.1`.

    Fires with the port; fails with what the endpoint fails with. Who wants the report as well makes a
    `MessageCentre` and listens with its `factory()`.

    Raises:
        ValueError: the endpoint string is wrong.
        OSError: the journal can't be opened.
        Misuse: an inbound message of the behaviour can't be sent.
    """
    centre = MessageCentre(behaviour, reactor, accounts, log_path)
    return listen(reactor, endpoint_description, centre)


def listen(
    reactor: IReactorTime, endpoint_description: str, centre: MessageCentre
) -> Deferred[IListeningPort]:
    """Listen for the clients of a message centre; as `serve`.

    Raises:
        ValueError: the endpoint string is wrong.
    """
    endpoint: IStreamServerEndpoint = serverFromString(reactor, endpoint_description)  # type: ignore[no-untyped-call]
    listening: Deferred[IListeningPort] = endpoint.listen(centre.factory())
    return listening
