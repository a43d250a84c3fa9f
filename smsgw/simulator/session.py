"""One connection of a client to a simulated message centre, from its bind to its end.

A session answers its client's requests as the behaviour says. What concerns more than one session is
the message centre's: who may bind, and which receipts a message gets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

from smsgw.errors import PeerError
from smsgw.simulator import submits
from smsgw.simulator.account import Account, Letter, Shared
from smsgw.simulator.journal import Entry
from smsgw.simulator.spoil import FORMS
from smsgw.simulator.submits import Submit
from smsgw.simulator.tally import SessionReport, count, status_key
from smsgw.simulator.verdict import Moment, Verdict, judge
from smsgw.simulator.wire import RoughWire
from smsgw.smpp.constants import CommandStatus, Tag
from smsgw.smpp.events import Answer
from smsgw.smpp.pdu import (
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    CancelSm,
    DataSm,
    EnquireLink,
    Pdu,
    QuerySm,
    ReplaceSm,
    SubmitMulti,
    SubmitSm,
    response_to,
)
from smsgw.smpp.protocol import SmppProtocol
from smsgw.smpp.states import RECEIVING

NAME = "smsgw-simulator"
"""system_id in our bind responses."""

INTERFACE_VERSION = 0x34
SHORTEST_PERIOD = 0.01
"""Seconds; enquire_links at a higher rate come several at once."""

Bind = BindTransmitter | BindReceiver | BindTransceiver
BINDS: dict[type[Pdu], str] = {
    BindTransmitter: "transmitter",
    BindReceiver: "receiver",
    BindTransceiver: "transceiver",
}
UNKNOWN_MESSAGE: dict[type[Pdu], int] = {
    QuerySm: CommandStatus.ESME_RQUERYFAIL,
    CancelSm: CommandStatus.ESME_RCANCELFAIL,
    ReplaceSm: CommandStatus.ESME_RREPLACEFAIL,
}
"""We keep no messages: each counts as one that has left already."""


class Centre(Protocol):
    """What a session asks of its message centre."""

    def admit(self, bind: Bind) -> Account | int:
        """The account that may bind, or the status that refuses."""

    def bound(self, session: Session) -> None: ...

    def departed(self, session: Session) -> None: ...

    def next_id(self) -> tuple[str, str]:
        """The id of a message in its response, and in its receipts."""

    def receipts(self, session: Session, pdu: Submit, ids: tuple[str, str], response_delay: float) -> None:
        """A message was taken: write its receipts when they are due."""


class Session:
    """Implements `smsgw.smpp.protocol.Application`, and `account.Recipient` for the mail."""

    def __init__(self, centre: Centre, shared: Shared, number: int) -> None:
        self.record = SessionReport(number=number, system_id="", bind="")
        self.account: Account | None = None
        self._centre = centre
        self._shared = shared
        self._protocol: SmppProtocol | None = None
        self._gone = False
        self._unbound = False

    def __repr__(self) -> str:
        return f"<Session {self.record.number} {self.record.system_id!r} {self._protocol!r}>"

    # -- for the mailbox

    @property
    def receives(self) -> bool:
        return not self._gone and self.protocol.state in RECEIVING

    @property
    def has_room(self) -> bool:
        if not self.receives:
            return False
        connection = self.protocol.connection
        window = min(connection.window, self._shared.behaviour.receipt_window)
        return connection.ending is None and connection.in_flight < window

    def hand_over(self, letter: Letter, answered: Callable[[Answer], None]) -> None:
        self.protocol.request(letter.pdu, answered)
        counts = self._shared.tally.counts
        counts.peak_unanswered_deliveries = max(counts.peak_unanswered_deliveries, self.protocol.in_flight)

    # -- what the protocol tells

    @property
    def protocol(self) -> SmppProtocol:
        """Set as long as anything is called here."""
        return cast(SmppProtocol, self._protocol)

    @property
    def connected_once(self) -> bool:
        return self._protocol is not None

    @property
    def wire(self) -> RoughWire:
        return cast(RoughWire, self.protocol.transport)

    def connected(self, protocol: SmppProtocol) -> None:
        self._protocol = protocol
        self._shared.tally.counts.connections += 1

    def received(self, pdu: Pdu) -> None:
        if self._gone:
            return
        if isinstance(pdu, SubmitSm | DataSm | SubmitMulti):
            self._submit(pdu)
        elif isinstance(pdu, Bind):
            self._bind(pdu)
        else:
            count(self._shared.tally.counts.other_requests, submits.request_name(pdu))
            status = UNKNOWN_MESSAGE.get(type(pdu), CommandStatus.ESME_RINVCMDID)
            self.protocol.respond(response_to(pdu, command_status=status))

    def answered_late(self, request: Pdu, response: Pdu) -> None:
        self._shared.tally.counts.answered_late += 1

    def malformed(self, error: PeerError) -> None:
        self._shared.tally.counts.malformed_received += 1

    def unbinding(self) -> None:
        self._unbound = True
        self._shared.tally.counts.unbinds_received += 1
        self.record.unbinds_received += 1
        self._write("unbind")

    def lost(self, reason: str) -> None:
        self._gone = True
        counts = self._shared.tally.counts
        counts.cut_unanswered += self.record.in_flight
        self._settled(self.record.in_flight)
        self.record.ended = reason
        if self.account is not None:
            counts.links_lost += not self._unbound
            self._write("ended", reason=reason)
            if not self._unbound and self._shared.behaviour.session_lingers:
                self.account.lingering.append(
                    self._shared.monotonic() + self._shared.behaviour.session_lingers
                )
        self._centre.departed(self)

    # -- binding

    def _bind(self, bind: Bind) -> None:
        behaviour = self._shared.behaviour
        if behaviour.never_answer_bind:
            return
        if behaviour.bind_delay:
            self._shared.agenda.add(behaviour.bind_delay, self._answer_bind, bind)
        else:
            self._answer_bind(bind)

    def _answer_bind(self, bind: Bind) -> None:
        if self._gone:
            return
        admitted = self._centre.admit(bind)
        if isinstance(admitted, int):
            count(self._shared.tally.counts.binds_refused, status_key(admitted))
            self._write("bind refused", status=admitted)
            self.protocol.respond(response_to(bind, command_status=admitted))
            return
        self.account = admitted
        self.record.system_id, self.record.bind = bind.system_id, BINDS[type(bind)]
        version = ((Tag.SC_INTERFACE_VERSION, INTERFACE_VERSION),)
        self.protocol.respond(response_to(bind, system_id=NAME, tlvs=version))
        self._shared.tally.counts.binds += 1
        self._shared.tally.opened(self.record)
        self._write("bound")
        self._start_clocks()
        self._centre.bound(self)

    def _start_clocks(self) -> None:
        behaviour, agenda = self._shared.behaviour, self._shared.agenda
        if behaviour.drop_every:
            agenda.add(behaviour.drop_every, self.cut)
        if behaviour.unbind_every:
            agenda.add(behaviour.unbind_every, self.unbind)
        if behaviour.enquire_links:
            agenda.add(0.0, self._storm, 0.0)
        if behaviour.idle_close:
            agenda.add(behaviour.idle_close, self._close_if_idle)

    def _storm(self, owed: float) -> None:
        rate = self._shared.behaviour.enquire_links
        if self._gone or not rate:
            return
        period = max(1 / rate, SHORTEST_PERIOD)
        owed += rate * period
        for _ in range(int(owed)):
            self.protocol.request(EnquireLink(), _ignore)
        self._shared.agenda.add(period, self._storm, owed % 1)

    def _close_if_idle(self) -> None:
        if self._gone:
            return
        left = self.wire.heard_at + self._shared.behaviour.idle_close - self._shared.monotonic()
        if left <= 0:
            self._shared.tally.counts.links_cut += 1
            self.protocol.close("idle")
        else:
            self._shared.agenda.add(left, self._close_if_idle)

    # -- submits

    def _submit(self, pdu: Submit) -> None:
        shared, account = self._shared, cast(Account, self.account)
        shared.tally.submitted(self.record)
        account.in_flight += 1
        if self._cuts_now():
            self.cut()
            return
        verdict = judge(shared.behaviour, shared.dice, self._moment(pdu, account))
        ids = self._centre.next_id() if verdict.taken else ("", "")
        if verdict.taken:
            self._take(pdu, ids)
        elif verdict.disguise is None:
            count(shared.tally.counts.refused, status_key(verdict.status))
            self._write("refused", pdu, status=verdict.status)
        early = verdict.taken and shared.dice.chance("early", shared.behaviour.early_receipts)
        if early:
            self._centre.receipts(self, pdu, ids, 0.0)
        self._end_of(pdu, verdict, ids)
        if verdict.taken and not early:
            self._centre.receipts(self, pdu, ids, verdict.delay)

    def _cuts_now(self) -> bool:
        behaviour = self._shared.behaviour
        if behaviour.drop_after and self.record.submits >= behaviour.drop_after:
            return True
        return self._shared.dice.chance("drop", behaviour.drop_share)

    def _moment(self, pdu: Submit, account: Account) -> Moment:
        shared = self._shared
        destination = next(iter(submits.destinations(pdu)), "")
        return Moment(
            destination=destination,
            in_flight=account.in_flight,
            waiting=shared.tally.counts.in_flight,
            throttled=bool(shared.behaviour.throttle) and account.throttled(shared.monotonic()),
            attempt=shared.tally.attempted(destination) if shared.behaviour.refuse_first else 1,
        )

    def _take(self, pdu: Submit, ids: tuple[str, str]) -> None:
        octets = submits.octets(pdu)
        for destination in submits.destinations(pdu):
            times = self._shared.tally.accepted(self.record, destination, octets)
            if self._shared.journal:
                answered, receipted = ids
                self._write("accepted", pdu, id=answered, receipted_id=receipted, times=times)

    def _end_of(self, pdu: Submit, verdict: Verdict, ids: tuple[str, str]) -> None:
        """Let become of the response what the verdict says, when it is due."""
        if verdict.ending == "never":
            self._shared.tally.counts.never_answered += 1
            self._settled(1)
        elif verdict.delay:
            self._shared.agenda.add(verdict.delay, self._answer, pdu, verdict, ids[0])
        else:
            self._answer(pdu, verdict, ids[0])

    def _answer(self, pdu: Submit, verdict: Verdict, message_id: str) -> None:
        if self._gone:
            return
        if verdict.ending == "cut":
            self.cut()
            return
        self._settled(1)
        if verdict.status:
            body = {"message_id": "0"} if self._shared.behaviour.error_body else {}
            self.protocol.respond(response_to(pdu, command_status=verdict.status, **body))
            return
        if verdict.disguise is not None:
            count(self._shared.tally.counts.spoilt, verdict.disguise)
            chance = self._shared.dice.stream("spoil")
            form = FORMS[verdict.disguise]
            self.wire.spoil(pdu.sequence_number, lambda good: form.spoil(good, chance))
        elif verdict.ending == "half":
            self.wire.spoil(pdu.sequence_number, lambda good: good[: len(good) // 2])
        self.protocol.respond(response_to(pdu, message_id=message_id))
        if verdict.ending == "half":
            self._shared.tally.counts.links_cut += 1
            self.protocol.close("half an answer")

    def _settled(self, number: int) -> None:
        self._shared.tally.settled(self.record, number)
        if self.account is not None:
            self.account.in_flight -= number

    # -- ending

    def cut(self) -> None:
        """Break the link without a word."""
        if self._gone:
            return
        self._gone = True
        self._shared.tally.counts.links_cut += 1
        self.wire.cut()

    def unbind(self) -> None:
        """Ask the client to part; bounded by the unbind timer."""
        if self._gone or self._unbound:
            return
        if self.account is None:
            self.protocol.close("not bound")
            return
        self._unbound = True
        self._shared.tally.counts.unbinds_sent += 1
        self.record.unbinds_sent += 1
        self._write("unbind", reason="ours")
        self.protocol.unbind()

    # -- the journal

    def _write(self, event: str, pdu: Submit | None = None, **more: object) -> None:
        if not self._shared.journal:
            return
        fields: dict[str, object] = {
            "at": self._shared.wall(),
            "event": event,
            "session": self.record.number,
            "system_id": self.record.system_id,
        }
        if pdu is not None:
            fields |= {
                "source": pdu.source_addr,
                "destination": ",".join(submits.destinations(pdu)),
                "text": submits.text(pdu),
                "data": submits.octets(pdu).hex(),
                "data_coding": pdu.data_coding,
                "esm_class": pdu.esm_class,
                "tlvs": submits.tlvs(pdu),
            }
        self._shared.journal.write(Entry(**(fields | more)))  # type: ignore[arg-type]


def _ignore(_: Answer) -> None:
    """An enquire_link's answer says nothing that we act on."""
