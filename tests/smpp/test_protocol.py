"""The Twisted edge: one timer, gathered writes, callbacks once, and an end that comes."""

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IHandshakeListener, IPushProducer, ISSLTransport, ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer
from zope.interface.verify import verifyObject

from smsgw.errors import PeerError
from smsgw.smpp.connection import Timers
from smsgw.smpp.events import Answer, Answered, LinkLost, TimedOut, WindowFull, WrongState
from smsgw.smpp.framing import Framer
from smsgw.smpp.pdu import (
    AlertNotification,
    BindReceiver,
    BindTransceiver,
    BindTransceiverResp,
    DeliverSm,
    DeliverSmResp,
    EncodeError,
    EnquireLink,
    GenericNack,
    Outbind,
    Pdu,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
    decode,
    encode,
    response_to,
)
from smsgw.smpp.protocol import LINGER, LinkClosed, SmppFactory, SmppProtocol
from smsgw.smpp.states import Kind, Role, State

SUBMIT = SubmitSm(destination_addr="46700000001", short_message=b"hi")


@implementer(ITCPTransport)
class Wire(StringTransport):
    """Remembers each write, and what was asked of the socket; closes only when the test says so."""

    aborted = False

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.options: dict[str, bool] = {}

    def write(self, data: bytes) -> None:
        super().write(data)
        self.writes.append(data)

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.options["nodelay"] = enabled

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.options["keepalive"] = enabled

    def getTcpNoDelay(self) -> bool:
        return self.options["nodelay"]

    def getTcpKeepAlive(self) -> bool:
        return self.options["keepalive"]

    def loseWriteConnection(self) -> None: ...

    def abortConnection(self) -> None:
        self.aborted = True


class Recorder:
    """An application that writes down what it is told, and does what the test hooked up."""

    def __init__(self) -> None:
        self.protocol: SmppProtocol
        self.told: list[tuple[Any, ...]] = []
        self.on_received: Callable[[Pdu], None] = lambda pdu: None

    def connected(self, protocol: SmppProtocol) -> None:
        self.protocol = protocol
        self.told.append(("connected",))

    def received(self, pdu: Pdu) -> None:
        self.told.append(("received", pdu))
        self.on_received(pdu)

    def answered_late(self, request: Pdu, response: Pdu) -> None:
        self.told.append(("late", request, response))

    def unbinding(self) -> None:
        self.told.append(("unbinding",))

    def malformed(self, error: PeerError) -> None:
        self.told.append(("malformed", error))

    def lost(self, reason: str) -> None:
        self.told.append(("lost", reason))


class Side:
    """A protocol on a wire, with its application."""

    def __init__(self, role: Role = "esme", timers: Timers = Timers(), window: int = 10) -> None:  # noqa: B008
        self.clock = Clock()
        self.application = Recorder()
        self.errors = Counter("raised", "what the application raised", registry=CollectorRegistry())
        factory = SmppFactory(
            role, timers, window, lambda _: self.application, self.clock, errors=self.errors
        )
        self.protocol = factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 2775))
        self.wire = Wire()

    def connect(self) -> "Side":
        self.protocol.makeConnection(self.wire)
        return self

    def hear(self, *pdus: Pdu) -> None:
        self.protocol.dataReceived(b"".join(map(encode, pdus)))

    def said(self) -> list[Pdu]:
        """What was written since last asked."""
        octets = self.wire.value()
        self.wire.clear()
        self.wire.writes.clear()
        return [decode(frame) for frame in Framer().feed(octets)]

    def drop(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionLost("reset")))

    @property
    def timers(self) -> list[float]:
        return [call.getTime() for call in self.clock.getDelayedCalls()]


def connected(role: Role = "esme", timers: Timers = Timers(), window: int = 10) -> Side:  # noqa: B008
    return Side(role, timers, window).connect()


def bound(role: Role = "esme", timers: Timers = Timers(), window: int = 10) -> Side:  # noqa: B008
    side = connected(role, timers, window)
    if role == "esme":
        side.protocol.bind(BindTransceiver())
        side.hear(BindTransceiverResp(sequence_number=1))
    else:
        side.hear(BindTransceiver(sequence_number=1))
        side.protocol.respond(BindTransceiverResp(sequence_number=1))
    assert side.protocol.state is State.BOUND_TRX
    side.said()
    side.application.told.clear()
    return side


# -- connecting and binding


def test_the_socket_is_set_up_and_the_application_told() -> None:
    side = connected()
    assert side.wire.options == {"nodelay": True, "keepalive": True}
    assert side.application.told == [("connected",)]
    assert side.protocol.state is State.OPEN
    verifyObject(IPushProducer, side.protocol)
    verifyObject(IHandshakeListener, side.protocol)


def test_a_transport_that_is_no_tcp_is_left_alone() -> None:
    side = Side()
    side.protocol.makeConnection(StringTransport())
    assert side.protocol.state is State.OPEN


def test_bind_fires_with_the_response() -> None:
    side = connected()
    fired: list[Pdu] = []
    side.protocol.bind(BindTransceiver(system_id="acme")).addCallback(fired.append)
    (bind,) = side.said()
    assert isinstance(bind, BindTransceiver)
    assert bind.system_id == "acme"
    side.hear(response_to(bind, system_id="centre"))
    assert fired == [response_to(bind, system_id="centre")]


def test_a_refused_bind_is_a_value() -> None:
    side = connected()
    fired: list[Pdu] = []
    side.protocol.bind(BindTransceiver()).addCallback(fired.append)
    side.hear(BindTransceiverResp(sequence_number=1, command_status=0x0E))
    assert [pdu.command_status for pdu in fired] == [0x0E]
    assert side.protocol.state is State.OPEN


def failure_of(deferred: Deferred[Any]) -> Failure:
    failures: list[Failure] = []
    deferred.addErrback(failures.append)
    (failure,) = failures
    return failure


def test_a_bind_fails_when_the_link_is_lost() -> None:
    side = connected()
    bind = side.protocol.bind(BindTransceiver())
    side.drop()
    assert failure_of(bind).check(LinkClosed)


def test_a_bind_fails_when_it_is_not_answered() -> None:
    side = connected(timers=Timers(session_init=0, response=20, enquire_link=0))
    bind = side.protocol.bind(BindTransceiver())
    side.clock.advance(20)
    assert failure_of(bind).check(LinkClosed)
    assert side.wire.disconnecting


def test_a_bind_fails_after_session_init() -> None:
    side = connected()
    bind = side.protocol.bind(BindTransceiver())
    side.clock.advance(10)
    assert "10 s" in failure_of(bind).getErrorMessage()
    assert side.wire.disconnecting


def test_a_bind_without_a_link_fails_at_once() -> None:
    assert failure_of(Side().protocol.bind(BindTransceiver())).check(LinkClosed)


def test_a_cancelled_bind_closes_the_link() -> None:
    side = connected()
    bind = side.protocol.bind(BindTransceiver())
    bind.cancel()
    assert failure_of(bind).check(CancelledError)
    assert side.wire.disconnecting


def test_a_bind_too_many_does_not_harm_the_first() -> None:
    side = connected()
    fired: list[Pdu] = []
    side.protocol.bind(BindTransceiver()).addCallback(fired.append)
    with pytest.raises(WrongState):
        side.protocol.bind(BindReceiver())
    side.hear(BindTransceiverResp(sequence_number=1))
    assert len(fired) == 1


# -- requests


def test_a_request_is_written_at_once_and_answered_once() -> None:
    side, answers = bound(), list[Answer]()
    side.protocol.request(SUBMIT, answers.append)
    assert side.protocol.in_flight == 1
    (submit,) = side.said()
    response = response_to(submit, message_id="m1")
    side.hear(response, response)
    assert answers == [Answered(response)]
    assert side.protocol.in_flight == 0


def test_what_one_read_causes_leaves_in_one_write() -> None:
    side = bound("smsc")
    side.application.on_received = lambda pdu: side.protocol.respond(response_to(pdu))
    submits = [SubmitSm(sequence_number=number) for number in range(2, 22)]
    side.hear(EnquireLink(sequence_number=1), *submits)
    assert len(side.wire.writes) == 1
    assert [pdu.sequence_number for pdu in side.said()] == list(range(1, 22))


def test_requests_made_by_an_answer_leave_in_the_same_write() -> None:
    side = bound(window=3)
    for _ in range(3):
        side.protocol.request(SUBMIT, lambda answer: side.protocol.request(SUBMIT, lambda _: None))
    submits = side.said()
    side.hear(*(response_to(submit) for submit in submits))
    assert len(side.wire.writes) == 1
    assert len(side.said()) == side.protocol.in_flight == 3


def test_the_window_is_the_callers_to_keep() -> None:
    side, answers = bound(window=1), list[Answer]()
    side.protocol.request(SUBMIT, answers.append)
    with pytest.raises(WindowFull):
        side.protocol.request(SUBMIT, answers.append)
    with pytest.raises(EncodeError):
        bound().protocol.request(SubmitSm(destination_addr="4" * 40), answers.append)
    assert answers == []


def test_a_request_times_out_and_its_late_response_is_told() -> None:
    side, answers = bound(timers=Timers(enquire_link=0)), list[Answer]()
    side.protocol.request(SUBMIT, answers.append)
    side.clock.advance(59.9)
    assert answers == []
    side.clock.advance(0.1)
    assert answers == [TimedOut()]
    response = SubmitSmResp(sequence_number=2, message_id="late")
    side.hear(response)
    assert side.application.told == [("late", SUBMIT, response)]
    assert answers == [TimedOut()]


def test_a_lost_link_fails_everything_at_once() -> None:
    side, answers = bound(), list[Answer]()
    for _ in range(3):
        side.protocol.request(SUBMIT, answers.append)
    side.drop()
    assert len(answers) == 3
    assert {type(answer) for answer in answers} == {LinkLost}
    assert [what for what, *_ in side.application.told] == ["lost"]
    assert side.timers == []


def test_a_request_without_a_link_is_answered_at_once_as_not_sent() -> None:
    side, answers = bound(), list[Answer]()
    side.drop()
    side.protocol.request(SUBMIT, answers.append)
    (answer,) = answers
    assert isinstance(answer, LinkLost)
    assert not answer.sent
    side.protocol.respond(DeliverSmResp(sequence_number=1))
    Side().protocol.request(SUBMIT, answers.append)
    assert answers[1] == LinkLost("not connected", sent=False)


def test_a_request_made_by_the_loss_of_another_is_answered_too() -> None:
    side, answers = bound(), list[Answer]()
    side.protocol.request(SUBMIT, lambda _: side.protocol.request(SUBMIT, answers.append))
    side.drop()
    assert [type(answer) for answer in answers] == [LinkLost]


def test_what_an_application_raises_harms_nobody_else(caught: list[str]) -> None:
    side, answers = bound(), list[Answer]()

    def fail(_: object) -> None:
        raise ZeroDivisionError

    side.application.on_received = fail
    side.protocol.request(SUBMIT, fail)
    side.protocol.request(SUBMIT, answers.append)
    side.hear(*(response_to(submit) for submit in side.said()), DeliverSm(sequence_number=1))
    assert len(answers) == 1
    assert side.errors._value.get() == len(caught) == 2
    assert side.protocol.state is State.BOUND_TRX


@pytest.fixture
def caught(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is logged as a failure."""
    told: list[str] = []
    monkeypatch.setattr(Logger, "failure", lambda self, text, **_: told.append(text))
    return told


# -- what the peer sends


@pytest.mark.parametrize("kind", [DeliverSm, AlertNotification])
def test_requests_of_the_peer_are_the_applications(kind: Kind) -> None:
    side = bound()
    side.hear(kind(sequence_number=5))
    assert side.application.told == [("received", kind(sequence_number=5))]
    assert side.protocol.peer_in_flight == (kind is DeliverSm)
    assert side.wire.writes == []


def test_a_response_may_come_much_later() -> None:
    side = bound()
    side.hear(DeliverSm(sequence_number=5))
    side.clock.advance(7)
    side.protocol.respond(DeliverSmResp(sequence_number=5))
    assert side.said() == [DeliverSmResp(sequence_number=5)]


def test_what_is_malformed_is_counted_by_the_application() -> None:
    side = bound()
    side.hear(SubmitSmResp(sequence_number=99), GenericNack())
    assert [what for what, *_ in side.application.told] == ["malformed", "malformed"]
    side.protocol.dataReceived(b"\0\0\0\1")
    assert isinstance(side.said()[0], GenericNack)
    assert side.wire.disconnecting


def test_notifications_are_sent_and_forgotten() -> None:
    side = connected("smsc")
    side.protocol.notify(Outbind(system_id="centre"))
    assert [type(pdu) for pdu in side.said()] == [Outbind]
    assert side.protocol.state is State.OUTBOUND


# -- one timer


def test_there_is_one_timer_and_an_answer_leaves_it_alone() -> None:
    side = bound(timers=Timers(enquire_link=30))
    before = list(side.clock.getDelayedCalls())
    assert len(before) == 1
    for _ in range(20):
        side.protocol.request(SUBMIT, lambda _: None)
        side.hear(*(response_to(submit) for submit in side.said()))
        side.clock.advance(0.1)
        assert side.clock.getDelayedCalls() == before
    side.clock.advance(8)
    assert len(side.timers) == 1


def test_the_timer_fires_early_and_is_set_anew() -> None:
    side = bound(timers=Timers(enquire_link=30))
    side.clock.advance(9)
    side.hear(EnquireLink())
    side.said()
    side.clock.advance(29.9)
    assert side.said() == []
    side.clock.advance(0.1)
    assert [type(pdu) for pdu in side.said()] == [EnquireLink]


def test_a_dead_link_is_closed_and_then_aborted() -> None:
    side, answers = bound(timers=Timers(enquire_link=30, response=0)), list[Answer]()
    side.protocol.request(SUBMIT, answers.append)
    side.clock.pump([30, 30])
    assert answers == []
    side.clock.advance(30)
    assert [type(answer) for answer in answers] == [LinkLost]
    assert (side.wire.disconnecting, side.wire.aborted) == (True, False)
    side.clock.advance(LINGER)
    assert side.wire.aborted
    assert ("lost", "dead: silent for 90 s") not in side.application.told
    side.drop()
    assert side.application.told[-1] == ("lost", "dead: silent for 90 s")


def test_a_clock_that_was_set_back_does_not_stop_the_timers() -> None:
    """The reactor's timer is an hour late, `seconds()` goes on: the next read makes up for it."""
    side, answers = bound(timers=Timers(enquire_link=0)), list[Answer]()
    side.protocol.request(SUBMIT, answers.append)
    (timer,) = side.clock.getDelayedCalls()
    timer.delay(3600)
    side.clock.advance(61)
    assert answers == []
    side.hear(EnquireLink())
    assert answers == [TimedOut()]
    side.protocol.request(SUBMIT, answers.append)
    side.clock.advance(60)
    assert answers == [TimedOut(), TimedOut()]


# -- the end


def test_unbind_fires_when_the_transport_is_gone() -> None:
    side, gone = bound(), list[None]()
    side.protocol.unbind().addCallback(gone.append)
    assert [type(pdu) for pdu in side.said()] == [Unbind]
    side.hear(UnbindResp(sequence_number=2))
    assert (side.protocol.state, side.wire.disconnecting, gone) == (State.UNBOUND, True, [])
    side.drop()
    assert gone == [None]
    assert side.application.told == [("lost", "unbound")]
    side.protocol.unbind().addCallback(gone.append)
    assert gone == [None, None]


def test_unbind_is_bounded() -> None:
    side, gone, answers = bound(), list[None](), list[Answer]()
    side.protocol.request(SUBMIT, answers.append)
    side.protocol.unbind().addCallback(gone.append)
    side.protocol.unbind().addCallback(gone.append)
    side.clock.advance(5)
    assert [type(answer) for answer in answers] == [LinkLost]
    side.clock.advance(LINGER)
    assert side.wire.aborted
    side.drop()
    assert gone == [None, None]
    assert side.timers == []


def test_unbind_may_be_cancelled() -> None:
    side = bound()
    gone = side.protocol.unbind()
    gone.cancel()
    assert failure_of(gone).check(CancelledError)
    side.drop()


def test_the_peers_unbind_waits_for_what_is_in_flight() -> None:
    side, answers = bound(), list[Answer]()
    side.protocol.request(SUBMIT, answers.append)
    (submit,) = side.said()
    side.hear(Unbind(sequence_number=3))
    assert side.application.told == [("unbinding",)]
    assert side.wire.writes == []
    side.protocol.request(SUBMIT, answers.append)
    assert answers == [LinkLost("the peer unbinds", sent=False)]
    side.hear(response_to(submit))
    assert side.said() == [UnbindResp(sequence_number=3)]
    assert side.wire.disconnecting


def test_the_peers_unbind_waits_for_our_answers() -> None:
    side = bound()
    side.hear(DeliverSm(sequence_number=2), Unbind(sequence_number=3))
    side.protocol.respond(DeliverSmResp(sequence_number=2))
    assert side.said() == [DeliverSmResp(sequence_number=2), UnbindResp(sequence_number=3)]
    assert side.wire.disconnecting


def test_the_application_finishes_the_peers_unbind() -> None:
    side, answers = bound(), list[Answer]()
    side.protocol.request(SUBMIT, answers.append)
    side.said()
    side.hear(Unbind(sequence_number=3))
    side.protocol.finish_unbind()
    assert side.said() == [UnbindResp(sequence_number=3)]
    assert [type(answer) for answer in answers] == [LinkLost]


def test_close_fails_what_is_in_flight_and_says_why() -> None:
    side, answers = bound(), list[Answer]()
    side.protocol.request(SUBMIT, answers.append)
    side.protocol.close("enough")
    side.protocol.close("again")
    assert answers == [LinkLost("enough")]
    side.drop()
    assert side.application.told == [("lost", "enough")]


def test_an_application_may_close_in_the_midst_of_a_read() -> None:
    side = bound()
    side.application.on_received = lambda _: side.protocol.close("enough")
    side.hear(EnquireLink(sequence_number=1), DeliverSm(sequence_number=2), DeliverSm(sequence_number=3))
    assert [pdu.sequence_number for pdu in side.said()] == [1]
    assert side.wire.disconnecting
    side.hear(EnquireLink(sequence_number=4))
    assert side.said() == []


# -- a peer that does not read


def test_while_the_peer_does_not_read_neither_do_we() -> None:
    side = bound()
    assert side.wire.producer is side.protocol
    side.protocol.pauseProducing()
    assert side.wire.producerState == "paused"
    side.protocol.resumeProducing()
    assert side.wire.producerState == "producing"
    side.protocol.close("enough")
    assert side.wire.producer is None
    side.drop()
    side.protocol.pauseProducing()
    side.protocol.resumeProducing()


def test_over_tls_reading_is_not_paused_before_the_handshake() -> None:
    """TLS pauses a producer whose write waits for the handshake, which waits to be read."""
    side = Side()
    alsoProvides(side.wire, ISSLTransport)
    side.connect()
    side.protocol.bind(BindTransceiver())
    assert side.wire.producer is None
    side.protocol.handshakeCompleted()
    assert side.wire.producer is side.protocol
    late = Side()
    alsoProvides(late.wire, ISSLTransport)
    late.connect().protocol.close("enough")
    late.protocol.handshakeCompleted()
    assert late.wire.producer is None


def test_the_repr_is_the_connections() -> None:
    assert repr(bound().protocol) == "<SMPP esme bound as transceiver, 0/10 in flight, 0 of the peer's>"
