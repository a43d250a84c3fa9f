"""Two sessions talk through an arbitrary cut of octets, lose each other, wait and part.

Whatever happens: every request is answered exactly once, the window is kept, sequence numbers are
unique among those that wait, no deadline comes too late, and nothing raises.
"""

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from smsgw.smpp import requests
from smsgw.smpp.connection import Connection, Timers
from smsgw.smpp.events import (
    Answered,
    AnsweredLate,
    Ended,
    Event,
    PeerErred,
    RequestAnswered,
    RequestReceived,
    WindowFull,
)
from smsgw.smpp.pdu import BindTransceiver, DataSm, DeliverSm, EnquireLink, Pdu, SubmitSm, response_to
from smsgw.smpp.states import BOUND, BOUND_BY, MESSAGES, Role, State

LAST = requests.MAX_SEQUENCE_NUMBER
WINDOW = 3
LATE = 2
NUMBERS = 11
"""Just enough for all that can wait at once."""
TIMERS = Timers(session_init=10, enquire_link=30, inactivity=200, response=20, unbind=5)
ORDINARY: dict[Role, list[type[Pdu]]] = {"esme": [SubmitSm, DataSm], "smsc": [DeliverSm, DataSm]}


@dataclass
class End:
    """One side, the octets on their way from it, and what it has been told."""

    role: Role
    connection: Connection
    sent: bytes = b""
    asked: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    owes: list[Pdu] = field(default_factory=list)
    ended: int = 0
    errors: list[str] = field(default_factory=list)

    def take(self, events: list[Event]) -> None:
        for event in events:
            assert not self.ended, f"{event} after the end"
            match event:
                case RequestAnswered(context=context, answer=answer):
                    self.answers[context] += 1
                    if isinstance(answer, Answered):
                        assert answer.response.command_status == 0
                case RequestReceived(pdu=pdu):
                    self.owes.append(pdu)
                case PeerErred(error=error):
                    self.errors.append(str(error))
                case AnsweredLate(request=request, response=response):
                    assert type(response_to(request)) is type(response)
                case Ended():
                    self.ended += 1
        self.sent += self.connection.data_to_send()


class TwoSessions(RuleBasedStateMachine):
    @initialize(bound=st.sampled_from([True, True, True, False]))
    def connect(self, bound: bool) -> None:
        """With so few sequence numbers that they wrap all the time; mostly bound already."""
        requests.MAX_SEQUENCE_NUMBER = NUMBERS
        self.now = 0.0
        self.gone = False
        self.ends = {
            role: End(role, Connection(role, TIMERS, WINDOW, late_memory=LATE)) for role in ("esme", "smsc")
        }
        for end in self.ends.values():
            end.connection.connected(self.now)
        esme, smsc = self.ends.values()
        self.ask(esme, BindTransceiver())
        if bound:
            self.deliver("esme", 1000)
            smsc.connection.send_response(response_to(smsc.owes.pop()), self.now)
            smsc.take(smsc.connection.events())
            self.deliver("smsc", 1000)
            assert esme.connection.state is smsc.connection.state is State.BOUND_TRX

    def ask(self, end: End, pdu: Pdu) -> None:
        context = f"{end.role} {len(end.asked)}"
        end.connection.send_request(pdu, self.now, context)
        end.asked.append(context)
        end.take(end.connection.events())

    def wait_until(self, then: float) -> None:
        """Wake whoever wants to be woken, in order, up to then."""
        while True:
            waking = [
                (at, end.role) for end in self.ends.values() if (at := end.connection.deadline()) is not None
            ]
            at, role = min(waking, default=(then, "esme"))
            if at > then or not waking:
                break
            self.now = max(self.now, at)
            end = self.ends[role]
            end.take(end.connection.tick(self.now))
            again = end.connection.deadline()
            assert again is None or again > self.now
        self.now = then

    sides = st.sampled_from(["esme", "smsc"])

    @rule(side=sides, which=st.integers(0, 1), count=st.integers(1, WINDOW + 1))
    def request(self, side: Role, which: int, count: int) -> None:
        """Ask without a look at the window, and be refused where it is full."""
        end = self.ends[side]
        for _ in range(count):
            if end.connection.state in BOUND and end.connection.ending is None:
                full = end.connection.in_flight == WINDOW
                try:
                    self.ask(end, ORDINARY[side][which]())
                    assert not full
                except WindowFull:
                    assert full

    @rule(side=sides, data=st.data())
    def respond(self, side: Role, data: st.DataObject) -> None:
        """To any of what is owed, in any order; to a bind with yes."""
        end = self.ends[side]
        if end.owes:
            self.answer(end, data.draw(st.integers(0, len(end.owes) - 1)))

    def answer(self, end: End, which: int) -> None:
        request = end.owes.pop(which)
        end.connection.send_response(response_to(request), self.now)
        end.take(end.connection.events())
        if type(request) in BOUND_BY and not end.ended:
            assert end.connection.state is State.BOUND_TRX

    @rule(side=sides, octets=st.integers(1, 200))
    def deliver(self, side: Role, octets: int) -> None:
        """So many octets from one side arrive at the other."""
        end, other = self.ends[side], self.ends["smsc" if side == "esme" else "esme"]
        data, end.sent = end.sent[:octets], end.sent[octets:]
        if data and not self.gone:
            other.take(other.connection.receive(data, self.now))

    @rule(seconds=st.sampled_from([0.0, 0.1, 3.0, 11.0, 31.0]))
    def wait(self, seconds: float) -> None:
        self.wait_until(self.now + seconds)

    @rule(side=sides)
    def probe(self, side: Role) -> None:
        connection = self.ends[side].connection
        if connection.ending is None and len(connection._asked) < 5:
            self.ask(self.ends[side], EnquireLink())

    @rule(side=sides, number=st.integers(1, NUMBERS))
    def lap(self, side: Role, number: int) -> None:
        """As if many requests had been made and answered."""
        self.ends[side].connection._asked._number = number

    @rule()
    def exchange(self) -> None:
        """All that is on its way arrives, all that is owed is answered, and that arrives as well."""
        for _ in range(2):
            self.deliver("esme", 10_000)
            self.deliver("smsc", 10_000)
            for end in self.ends.values():
                while end.owes:
                    self.answer(end, 0)

    @rule(side=sides, dice=st.integers(0, 5))
    def unbind(self, side: Role, dice: int) -> None:
        if dice == 0:
            end = self.ends[side]
            end.connection.unbind(self.now)
            end.take(end.connection.events())

    @rule(side=sides)
    def finish_unbind(self, side: Role) -> None:
        end = self.ends[side]
        end.connection.finish_unbind()
        end.take(end.connection.events())

    @precondition(lambda self: not self.gone)
    @rule(dice=st.integers(0, 9))
    def lose(self, dice: int) -> None:
        """Rarely, so that most runs get further."""
        if dice == 0:
            self.gone = True
            for end in self.ends.values():
                end.take(end.connection.lost())

    @invariant()
    def answered_at_most_once_and_the_rest_waits(self) -> None:
        for end in self.ends.values():
            assert all(count == 1 for count in end.answers.values())
            waiting = [request for request in end.connection._asked._waiting.values() if request.context]
            assert len(end.asked) - len(end.answers) == len(waiting)
            assert {request.context for request in waiting} == set(end.asked) - set(end.answers)

    @invariant()
    def the_window_is_kept(self) -> None:
        for end in self.ends.values():
            waiting = end.connection._asked._waiting.values()
            messages = sum(type(request.pdu) in MESSAGES for request in waiting)
            assert messages == end.connection.in_flight <= WINDOW

    @invariant()
    def sequence_numbers_are_unique_and_in_range(self) -> None:
        for end in self.ends.values():
            asked = end.connection._asked
            assert not asked._waiting.keys() & asked._late.keys()
            assert all(1 <= number <= NUMBERS for number in (*asked._waiting, *asked._late))
            assert len(asked._late) <= LATE

    @invariant()
    def no_deadline_is_late(self) -> None:
        for end in self.ends.values():
            first = min((at for at, _ in end.connection._running()), default=None)
            at = end.connection.deadline()
            assert first is None or (at is not None and at <= first)

    @invariant()
    def an_end_is_an_end(self) -> None:
        for end in self.ends.values():
            assert end.ended <= 1
            if end.ended:
                connection = end.connection
                assert connection.state in {State.CLOSED, State.UNBOUND}
                assert set(end.asked) == set(end.answers)
                assert (connection.deadline(), connection.peer_in_flight) == (None, 0)

    @invariant()
    def nobody_errs(self) -> None:
        """Both keep to the rules; what is left is an answer that comes after its request was forgotten."""
        for end in self.ends.values():
            assert not [
                error for error in end.errors if "answers nothing" not in error and "while" not in error
            ]

    def teardown(self) -> None:
        requests.MAX_SEQUENCE_NUMBER = LAST
        for end in self.ends.values():
            end.take(end.connection.lost())
            assert end.ended == 1
            assert end.answers == Counter(end.asked)


TestTwoSessions = TwoSessions.TestCase
TestTwoSessions.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
