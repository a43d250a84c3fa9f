"""The SMPP channel against a real protocol of the other role, over wires in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.python.failure import Failure

from smsgw.broker.base import Unavailable
from smsgw.channel.base import Claimed
from smsgw.channel.late import REMEMBERED, Interrupted, Unanswered
from smsgw.channel.link import STEADY
from smsgw.channel.rate import CALM, FIRST_PAUSE, START
from smsgw.channel.sending import PATIENCE
from smsgw.channel.smpp import SmppChannel, SmppSession
from smsgw.channel.taking import MOST
from smsgw.channel_settings import SmppSettings, SmppTimers
from smsgw.errors import PeerError, StorageError
from smsgw.folding import Report
from smsgw.message import Message, SmppOverrides, Submission
from smsgw.metrics import Metrics
from smsgw.outcome import (
    Accepted,
    Expired,
    Later,
    Outcome,
    Part,
    Progress,
    Refused,
    Status,
    Unknown,
    Unsent,
)
from smsgw.smpp.connection import Timers
from smsgw.smpp.constants import CommandId, EsmClass, Tag, status_name
from smsgw.smpp.dialect import Dialect, IdCodec
from smsgw.smpp.pdu import (
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    GenericNack,
    Pdu,
    SubmitSm,
    UnknownPdu,
    response_to,
)
from smsgw.smpp.protocol import LINGER, SmppFactory, SmppProtocol
from smsgw.smpp.receipt import LONGEST
from smsgw.smpp.states import BOUND_BY
from smsgw.sms.join import Fragment
from smsgw.strict import Duration, Secret

NOW = 1_700_000_000.0
OK = Status(0, "ESME_ROK")
PEER = IPv4Address("TCP", "192.0.2.1", 2775)
RECEIPT = DeliverSm(
    esm_class=int(EsmClass.DELIVERY_RECEIPT),
    source_addr="46700000001",
    destination_addr="ACME",
    short_message=b"id:A1 sub:001 dlvrd:001 submit date:2611232015 done date:2611232016 "
    b"stat:DELIVRD err:000 text:hi",
)
INBOUND = DeliverSm(
    source_addr="46700000001", source_addr_ton=1, destination_addr="12345", short_message=b"hello"
)


class End(StringTransport):
    """One end of a wire; what it writes lies there until the network carries it."""

    def __init__(self, protocol: SmppProtocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.other: End
        self.gone = False

    def abortConnection(self) -> None:
        self.loseConnection()


class Network:
    """Carries octets between the ends of wires, when it is told to."""

    def __init__(self) -> None:
        self.ends: list[End] = []

    def connect(self, one: SmppProtocol, other: SmppProtocol) -> None:
        ends = End(one), End(other)
        ends[0].other, ends[1].other = ends[1], ends[0]
        self.ends += ends
        for end in ends:
            end.protocol.makeConnection(end)

    def flow(self) -> None:
        """Until nothing moves any more."""
        while sum(self._carry(end) for end in self.ends):
            pass

    def cut(self) -> None:
        for end in self.ends:
            self._lose(end, ConnectionLost("cable"))

    def _carry(self, end: End) -> bool:
        if end.gone:
            return False
        data = end.value()
        if data:
            end.clear()
            end.other.protocol.dataReceived(data)
            return True
        if end.disconnecting:
            self._lose(end, ConnectionDone())
            self._lose(end.other, ConnectionDone())
            return True
        return False

    def _lose(self, end: End, reason: Exception) -> None:
        if not end.gone:
            end.gone = True
            end.protocol.connectionLost(Failure(reason))


class Line:
    """The message centre's side of one wire: answers binds, and submits as the centre says."""

    def __init__(self, centre: Centre) -> None:
        self.centre = centre
        self.protocol: SmppProtocol
        self.bind: Any = None
        self.received_pdus: list[Pdu] = []
        self.responses: list[tuple[str, int]] = []
        self.asked_to_part = 0
        self.over: str | None = None

    def connected(self, protocol: SmppProtocol) -> None:
        self.protocol = protocol

    def received(self, pdu: Pdu) -> None:
        if type(pdu) in BOUND_BY:
            self.bind = pdu
            answer = self.centre.bind(pdu)
        else:
            self.received_pdus.append(pdu)
            answer = self.centre.answer(pdu) if isinstance(pdu, SubmitSm) else None
        if answer is not None:
            self.protocol.respond(answer)

    def deliver(self, pdu: Pdu) -> None:
        self.protocol.request(pdu, self._answered)

    def _answered(self, answer: Any) -> None:
        response = getattr(answer, "response", None)
        if response is not None:
            self.responses.append((type(response).__name__, response.command_status))

    def answered_late(self, request: Pdu, response: Pdu) -> None: ...

    def unbinding(self) -> None:
        self.asked_to_part += 1

    def malformed(self, error: PeerError) -> None:
        raise AssertionError(f"the channel sent what it must not: {error}")

    def lost(self, reason: str) -> None:
        self.over = reason

    @property
    def submits(self) -> list[SubmitSm]:
        return [pdu for pdu in self.received_pdus if isinstance(pdu, SubmitSm)]


def takes(pdu: SubmitSm) -> Pdu:
    return response_to(pdu, message_id=f"A{pdu.sequence_number}")


def refuses(status: int) -> Callable[[SubmitSm], Pdu]:
    return lambda pdu: response_to(pdu, command_status=status)


def is_silent(_: Pdu) -> None:
    return None


class Centre:
    """The message centre: what it says to binds and submits, and the wires to it."""

    def __init__(self, clock: Clock) -> None:
        self.lines: list[Line] = []
        self.bind: Callable[[Pdu], Pdu | None] = response_to
        self.answer: Callable[[SubmitSm], Pdu | None] = takes
        self.factory = SmppFactory("smsc", Timers(session_init=0), 1000, self._line, clock)

    def _line(self, _: object) -> Line:
        self.lines.append(Line(self))
        return self.lines[-1]

    @property
    def submits(self) -> list[SubmitSm]:
        return [pdu for line in self.lines for pdu in line.submits]


class Endpoint:
    """Connects to the centre at once, or fails as it is told."""

    def __init__(self, network: Network, centre: Centre) -> None:
        self.dials = 0
        self.failure: Exception | None = None
        self._network = network
        self._centre = centre

    def connect(self, factory: SmppFactory) -> Deferred[SmppProtocol]:
        self.dials += 1
        if self.failure is not None:
            return fail(self.failure)
        protocol = factory.buildProtocol(PEER)
        self._network.connect(protocol, self._centre.factory.buildProtocol(PEER))
        return succeed(protocol)


class Gateway:
    """The upstream."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.closed_sessions: list[str] = []
        self.settled: Deferred[None] | None = None
        self.receipts: list[tuple[tuple[tuple[str, str], ...], str, Report]] = []
        self.word: Callable[[], Deferred[str | None]] = lambda: succeed("text")
        self.unexpected: list[Failure] = []
        self.late: list[tuple[str, Outcome]] = []
        self.inbounds: list[tuple[str, str, Fragment]] = []
        self.taken: Callable[[], Deferred[None]] = lambda: succeed(None)

    def opened(self, session: Any) -> None:
        self.open.append(session.name)

    def closed(self, session: Any) -> Deferred[None]:
        self.closed_sessions.append(session.name)
        if session.name in self.open:
            self.open.remove(session.name)
        return self.settled or succeed(None)

    def receipt(
        self,
        channel: Any,
        candidates: Sequence[tuple[str, str]],
        recipient: str,
        report: Report,
        claimed: Claimed,
    ) -> None:
        self.receipts.append((tuple(candidates), recipient, report))
        self.word().addBoth(claimed).addErrback(self.unexpected.append)

    def taken_late(self, channel: Any, submission: Submission, outcome: Outcome) -> Deferred[None]:
        self.late.append((submission.id, outcome))
        return succeed(None)

    def inbound(self, channel: Any, source: str, destination: str, fragment: Fragment) -> Deferred[None]:
        self.inbounds.append((source, destination, fragment))
        return self.taken()


class Rig:
    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.network = Network()
        self.centre = Centre(self.clock)
        self.endpoint = Endpoint(self.network, self.centre)
        self.gateway = Gateway()
        self.metrics = Metrics()
        defaults: dict[str, Any] = {
            "endpoint": "tcp:192.0.2.1:2775",
            "system_id": "acme",
            "password": Secret("hunter2"),
            "width": 3,
            "from_": "ACME",
        }
        self.channel = SmppChannel(
            "acme",
            SmppSettings(**{**defaults, **settings}),
            self.endpoint,  # type: ignore[arg-type]
            upstream=self.gateway,
            metrics=self.metrics,
            clock=self.clock,
            now=self.now,
        )

    def now(self) -> float:
        return NOW + self.clock.seconds()

    @property
    def session(self) -> SmppSession:
        return self.channel.sessions[0]

    @property
    def line(self) -> Line:
        return self.centre.lines[-1]

    def start(self) -> Rig:
        self.channel.start()
        self.network.flow()
        return self

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.network.flow()

    def send(
        self,
        text: str | None = "hi",
        *,
        deadline: float | None = None,
        progress: Progress | None = None,
        session: int = 0,
        **fields: Any,
    ) -> list[Outcome]:
        message = Message(**{"to": "46700000001", "text": text, **fields})
        submission = Submission(id="m1", message=message, made=NOW, deadline=deadline, progress=progress)
        fired: list[Outcome] = []
        self.channel.sessions[session].deliver(submission, fired.append)  # type: ignore[arg-type]
        self.network.flow()
        return fired

    def receive(self, pdu: Pdu = RECEIPT) -> list[tuple[str, int]]:
        self.line.deliver(pdu)
        self.network.flow()
        return self.line.responses

    def stop(self) -> list[None]:
        fired: list[None] = []
        self.channel.stop().addCallback(fired.append)
        self.network.flow()
        return fired

    def count(self, name: str, *labels: str) -> float:
        return getattr(self.metrics, name).labels(*labels or ("acme",))._value.get()  # type: ignore[no-any-return]

    def sample(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, {"channel": "acme"})


@pytest.fixture
def logged() -> Iterator[list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


def bound(**settings: Any) -> Rig:
    rig = Rig(**settings).start()
    assert rig.channel.sessions_up == len(rig.channel.sessions)
    return rig


# -- binding


def test_a_bind_says_who_we_are() -> None:
    rig = bound(system_type="SMPP", address_range="^46")
    bind = rig.line.bind
    assert type(bind) is BindTransceiver
    assert (bind.system_id, bind.password, bind.system_type) == ("acme", "hunter2", "SMPP")
    assert (bind.address_range, bind.interface_version) == ("^46", 0x34)


def test_a_session_that_is_bound_wants_messages() -> None:
    rig = Rig()
    rig.centre.bind = is_silent
    rig.start()
    assert (rig.session.link.state.name, rig.gateway.open) == ("binding", [])
    rig.line.protocol.respond(response_to(rig.line.bind))
    rig.network.flow()
    assert (rig.session.link.state.name, rig.gateway.open) == ("up", ["acme#1"])
    assert rig.channel.sessions_up == rig.metrics.sessions_up.labels("acme")._value.get() == 1


@pytest.mark.parametrize(
    ("bind", "kinds", "open_sessions"),
    [
        ("transceiver", [BindTransceiver], ["acme#1"]),
        ("transmitter", [BindTransmitter], ["acme#1"]),
        ("receiver", [BindReceiver], []),
        ("pair", [BindTransmitter, BindReceiver], ["acme#1"]),
    ],
)
def test_only_what_can_send_wants_messages(
    bind: str, kinds: list[type[Pdu]], open_sessions: list[str]
) -> None:
    rig = bound(bind=bind)
    assert [type(line.bind) for line in rig.centre.lines] == kinds
    assert rig.gateway.open == open_sessions


def test_every_session_binds_and_wants_its_own_messages() -> None:
    rig = bound(sessions=3)
    assert rig.gateway.open == ["acme#1", "acme#2", "acme#3"]
    assert repr(rig.channel) == (
        "<smpp channel acme: 3 of 3 sessions up, queue acme, width 3, rate unlimited>"
    )


def test_a_refused_bind_closes_and_backs_off_to_its_own_limit() -> None:
    rig = Rig(rebind=Duration(60), reconnect=Duration(5))
    rig.centre.bind = lambda pdu: response_to(pdu, command_status=0x0E)
    rig.start()
    assert rig.session.link.state.error == "bind refused: ESME_RINVPASWD"
    assert rig.gateway.open == []
    for _ in range(8):
        assert rig.line.over is not None
        rig.wait(60)
    assert rig.endpoint.dials == 9
    assert rig.session.link.state.retry_in is not None
    assert rig.session.link.state.retry_in > 45


def test_an_account_that_is_bound_already_is_left_alone_for_long_at_once() -> None:
    """The session in the way may be ours, cut a moment ago: the message centre has to miss it first."""
    rig = Rig(rebind=Duration(60))
    rig.centre.bind = lambda pdu: response_to(pdu, command_status=0x05)
    rig.start()
    state = rig.session.link.state
    assert state.error == "bind refused: ESME_RALYBND"
    assert state.retry_in is not None
    assert 48 <= state.retry_in <= 60
    rig.centre.bind = response_to
    rig.wait(60)
    assert rig.gateway.open == ["acme#1"]


def test_a_right_password_after_all_comes_up() -> None:
    rig = Rig()
    rig.centre.bind = lambda pdu: response_to(pdu, command_status=0x0E)
    rig.start()
    rig.centre.bind = response_to
    rig.wait(60)
    assert rig.gateway.open == ["acme#1"]
    assert rig.session.link.state.error is None


def test_a_dial_that_fails_is_tried_again_soon() -> None:
    rig = Rig()
    rig.endpoint.failure = ConnectError(string="no one there")
    rig.start()
    assert "can't connect" in str(rig.session.link.state.error)
    for _ in range(8):
        rig.wait(5)
    assert rig.endpoint.dials == 9


def test_a_link_lost_while_it_binds() -> None:
    rig = Rig()
    rig.centre.bind = is_silent
    rig.start()
    rig.network.cut()
    assert rig.session.link.state.name == "waiting"
    assert "connection lost" in str(rig.session.link.state.error)
    assert rig.gateway.open == []


def test_a_bind_that_is_never_answered() -> None:
    rig = Rig()
    rig.centre.bind = is_silent
    rig.start()
    rig.wait(10)
    assert rig.session.link.state.name == "waiting"
    assert rig.session.link.state.error == "not bound within 10 s"
    assert rig.centre.lines[0].over is not None


def test_what_goes_wrong_while_binding_leaves_no_wire_open() -> None:
    rig = Rig(system_id="\u20ac")  # not to be written in a PDU
    rig.start()
    assert rig.session.link.state.name == "waiting"
    assert rig.line.over is not None
    assert rig.count("errors", "link") == 1


@pytest.mark.parametrize("result", ["up", "refused", "lost", "unreachable"])
def test_every_try_is_counted_by_its_result(result: str) -> None:
    rig = Rig()
    if result == "refused":
        rig.centre.bind = lambda pdu: response_to(pdu, command_status=0x0E)
    elif result == "lost":
        rig.centre.bind = is_silent
    elif result == "unreachable":
        rig.endpoint.failure = ConnectError(string="no one there")
    rig.start()
    if result == "lost":
        rig.network.cut()
    results = ("up", "refused", "lost", "unreachable")
    assert [rig.count("binds", "acme", each) for each in results] == [each == result for each in results]


# -- one message


def test_accepted() -> None:
    rig = bound()
    assert rig.send() == [Accepted((Part("A2"),), OK)]
    (pdu,) = rig.centre.submits
    assert (pdu.destination_addr, pdu.source_addr, pdu.short_message) == ("46700000001", "ACME", b"hi")
    assert (pdu.data_coding, pdu.registered_delivery) == (0, 1)


def test_an_id_is_kept_only_as_far_as_a_receipts_id_is() -> None:
    def long_winded(pdu: SubmitSm) -> Pdu:
        return UnknownPdu(
            command_id=CommandId.SUBMIT_SM_RESP, sequence_number=pdu.sequence_number, body=b"7" * 60_000
        )

    kept = Part("7" * LONGEST)
    rig = bound()
    rig.centre.answer = long_winded
    assert rig.send()[0] == Accepted((kept,), OK)
    assert late(long_winded).gateway.late == [("m1", Accepted((kept,), on_air=1))]


def test_a_text_beyond_gsm_goes_as_ucs2() -> None:
    rig = bound()
    assert isinstance(rig.send("\u041f\u0440\u0438")[0], Accepted)
    (pdu,) = rig.centre.submits
    assert (pdu.data_coding, pdu.short_message) == (8, "\u041f\u0440\u0438".encode("utf-16-be"))


def test_the_messages_own_sender_goes_first() -> None:
    rig = bound()
    rig.send(from_="SHOP")
    assert rig.centre.submits[0].source_addr == "SHOP"


LONG = "0123456789" * 40  # three parts


def test_a_long_message_leaves_part_by_part() -> None:
    rig = bound()
    waiting: list[SubmitSm] = []
    rig.centre.answer = waiting.append
    outcome = rig.send(LONG)
    for number in (1, 2, 3):
        assert (len(waiting), outcome, rig.session.in_flight) == (number, [], 1)
        rig.line.protocol.respond(response_to(waiting[-1], message_id=f"A{number}"))
        rig.network.flow()
    assert outcome == [Accepted((Part("A1"), Part("A2"), Part("A3")), OK, on_air=3)]
    assert [pdu.short_message[:6].hex() for pdu in waiting] == [
        waiting[0].short_message[:5].hex() + f"0{number}" for number in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(refuses(0x08), Later), (refuses(0x0B), Refused), (is_silent, Unknown)],
)
def test_a_message_that_is_broken_off_goes_on_where_it_was(
    answer: Callable[[SubmitSm], Pdu | None], kind: type[Any]
) -> None:
    rig = bound(timers=SmppTimers(response=Duration(5)))
    rig.centre.answer = lambda pdu: takes(pdu) if len(rig.centre.submits) < 3 else answer(pdu)
    outcome = rig.send(LONG)
    rig.wait(5)
    (broken,) = outcome
    assert isinstance(broken, kind)
    assert (broken.on_air, broken.progress.ids) == (3, ("A2", "A3"))
    third = rig.centre.submits[-1]
    rig.centre.answer = takes
    rig.send("something else " * 20)
    before = len(rig.centre.submits)
    assert rig.send(LONG, progress=broken.progress) == [
        Accepted((Part("A2"), Part("A3"), Part(f"A{before + 2}")), OK, on_air=3)
    ]
    assert [pdu.short_message for pdu in rig.centre.submits[before:]] == [third.short_message]


def test_a_link_that_is_lost_in_mid_message_says_what_was_taken() -> None:
    rig = bound()
    rig.centre.answer = lambda pdu: takes(pdu) if len(rig.centre.submits) < 2 else None
    outcome = rig.send(LONG)
    rig.network.cut()
    (broken,) = outcome
    assert isinstance(broken, Unknown)
    assert broken.link_lost
    assert broken.progress is not None
    assert broken.progress.ids == ("A2",)


def test_a_deadline_can_pass_between_two_parts() -> None:
    rig = bound(rate=1.0)
    outcome = rig.send(LONG, deadline=NOW + 1.5)
    for _ in range(4):
        rig.wait(1)
    (broken,) = outcome
    assert isinstance(broken, Expired)
    assert broken.progress is not None
    assert len(broken.progress.ids) == len(rig.centre.submits) == 2


def test_each_part_takes_a_token() -> None:
    rig = bound(rate=1.0)
    outcome = rig.send(LONG)
    assert len(rig.centre.submits) == 1
    rig.wait(1)
    assert len(rig.centre.submits) == 2
    rig.wait(1)
    assert isinstance(outcome[0], Accepted)


@pytest.mark.parametrize(("which", "numbers"), [("all", [1, 2, 3]), ("first", [1]), ("last", [3])])
def test_which_parts_get_receipts(which: Any, numbers: list[int]) -> None:
    assert list(Rig(dialect=Dialect(receipt_part=which)).channel.receipted(3)) == numbers


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x0B, Refused("ESME_RINVDSTADR", Status(0x0B, "ESME_RINVDSTADR"))),
        (0x08, Later("ESME_RSYSERR", Status(0x08, "ESME_RSYSERR"))),
        (0x437, Later("0x00000437", Status(0x437, "0x00000437"), budget=3)),
    ],
)
def test_a_status_is_classified(status: int, outcome: Outcome) -> None:
    rig = bound()
    rig.centre.answer = refuses(status)
    assert rig.send() == [outcome]


def test_the_dialect_may_see_a_status_otherwise() -> None:
    rig = bound(dialect=Dialect(status={"0x0b": "temporary"}))
    rig.centre.answer = refuses(0x0B)
    assert isinstance(rig.send()[0], Later)


def test_a_generic_nack_is_no_acceptance() -> None:
    rig = bound()
    rig.centre.answer = lambda pdu: GenericNack(sequence_number=pdu.sequence_number)
    assert isinstance(rig.send()[0], Later)


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "x" * (153 * 10 + 1)},
        {"text": "\u041f" * (67 * 10 + 1)},
        {"text": None, "data": b"\x00" * (134 * 10 + 1)},
        {"text": None, "data": b"\x00" * 200, "udh": "0500030702"},
        {"from_": "LONGERTHANELEVEN"},
        {"from_": "\u20ac"},
        {"smpp": SmppOverrides(service_type="toolong")},
        {"smpp": SmppOverrides(service_type="\u20ac")},
        {"smpp": SmppOverrides(tlvs={"0x0204": "00" * 70_000})},
    ],
)
def test_what_cannot_be_sent_whole_is_refused_not_cut(fields: dict[str, Any]) -> None:
    rig = bound()
    (outcome,) = rig.send(**{"text": "hi", **fields})
    assert isinstance(outcome, Refused)
    assert outcome.error
    assert (rig.centre.submits, rig.session.in_flight) == ([], 0)
    assert isinstance(rig.send()[0], Accepted)


def test_a_deadline_that_has_passed_is_expired_before_the_wire() -> None:
    rig = bound()
    assert rig.send(deadline=NOW) == [Expired()]
    assert rig.send(deadline=NOW - 5) == [Expired()]
    assert rig.centre.submits == []


def test_a_deadline_may_pass_while_the_message_waits_its_turn() -> None:
    rig = bound(rate=1)
    rig.send()
    waiting = rig.send(deadline=NOW + 0.5)
    rig.wait(1)
    assert waiting == [Expired()]


def test_a_session_that_is_not_bound_sends_nothing() -> None:
    rig = Rig()
    assert rig.send() == [Unsent("the session takes no more")]


def test_a_message_for_which_the_window_has_no_room_goes_back() -> None:
    rig = bound(width=2)
    rig.centre.answer = is_silent
    assert [rig.send() for _ in range(3)] == [[], [], [Unsent("the session takes no more")]]


def test_the_rate_is_kept_over_all_sessions() -> None:
    rig = bound(rate=1, sessions=2)
    rig.send()
    second: list[Outcome] = []
    submission = Submission(id="m2", message=Message(to="46700000002", text="hi"), made=NOW)
    rig.channel.sessions[1].deliver(submission, second.append)  # type: ignore[arg-type]
    rig.network.flow()
    assert len(rig.centre.submits) == 1
    rig.wait(1)
    assert len(rig.centre.submits) == 2
    assert isinstance(second[0], Accepted)


# -- no answer


def test_no_answer_in_time_is_unknown() -> None:
    rig = bound()
    rig.centre.answer = is_silent
    outcome = rig.send()
    for _ in range(6):
        rig.wait(10)
    assert outcome == [Unknown("no response in time")]
    assert rig.channel.sessions_up == 1


def late(answer: Callable[[SubmitSm], Pdu], text: str = "hi", taken: int = 0) -> Rig:
    """A rig whose next part after `taken` was answered after its timeout."""
    rig = bound(timers=SmppTimers(response=Duration(5)))
    rig.centre.answer = lambda pdu: takes(pdu) if len(rig.centre.submits) <= taken else None
    outcome = rig.send(text)
    rig.wait(5)
    assert isinstance(outcome[0], Unknown)
    rig.line.protocol.respond(answer(rig.centre.submits[-1]))
    rig.network.flow()
    assert rig.count("late_responses") == 1
    return rig


@pytest.mark.parametrize(("text", "taken"), [("hi", 0), (LONG, 2)])
def test_an_answer_that_comes_late_says_that_the_message_was_taken(text: str, taken: int) -> None:
    rig = late(takes, text, taken)
    parts = tuple(Part(f"A{number}") for number in range(2, 3 + taken))
    assert rig.gateway.late == [("m1", Accepted(parts, on_air=taken + 1))]


def test_a_late_answer_may_be_to_a_part_in_the_middle() -> None:
    ((_, outcome),) = late(takes, LONG, 1).gateway.late
    assert isinstance(outcome, Later)
    assert outcome.progress is not None
    assert outcome.progress.ids == ("A2", "A3")


@pytest.mark.parametrize("answer", [refuses(0x08), lambda pdu: GenericNack(sequence_number=2)])
def test_a_late_refusal_is_of_no_use(answer: Callable[[SubmitSm], Pdu]) -> None:
    assert late(answer).gateway.late == []


def test_only_so_many_unanswered_parts_are_remembered_and_none_after_the_link() -> None:
    unanswered = Unanswered()
    pdus = [SubmitSm(sequence_number=number + 1) for number in range(REMEMBERED + 1)]
    for pdu in pdus:
        unanswered.add(Interrupted(pdu, None, None, ()))  # type: ignore[arg-type]
    assert len(unanswered) == REMEMBERED
    assert unanswered.answered(pdus[0], takes(pdus[0])) is None
    assert unanswered.answered(pdus[1], takes(pdus[1])) is not None
    assert unanswered.answered(pdus[1], takes(pdus[1])) is None
    unanswered.clear()
    assert unanswered.answered(pdus[2], takes(pdus[2])) is None


def test_a_lost_link_ends_everything_in_flight_at_once() -> None:
    rig = bound()
    rig.centre.answer = is_silent
    outcomes = [rig.send() for _ in range(3)]
    rig.network.cut()
    lost = [outcome for each in outcomes for outcome in each if isinstance(outcome, Unknown)]
    assert [outcome.link_lost for outcome in lost] == [True] * 3
    assert rig.gateway.closed_sessions == ["acme#1"]
    assert (rig.channel.sessions_up, rig.session.link.state.name) == (0, "waiting")


def test_who_waits_for_a_token_goes_back_when_the_link_is_lost() -> None:
    rig = bound(rate=1)
    rig.send()
    waiting = rig.send()
    rig.network.cut()
    assert waiting == [Unsent("the session takes no more")]


def test_after_a_lost_link_it_binds_again_and_sends() -> None:
    rig = bound()
    rig.network.cut()
    rig.wait(1)
    assert rig.gateway.open == ["acme#1"]
    assert isinstance(rig.send()[0], Accepted)


# -- throttling


@pytest.mark.parametrize("status", [0x58, 0x14])
def test_a_throttled_message_keeps_its_place_and_pauses_the_channel(status: int) -> None:
    rig = bound()
    rig.centre.answer = refuses(status)
    first = rig.send()
    assert (first, len(rig.centre.submits)) == ([], 1)
    rig.centre.answer = takes
    second = rig.send()
    assert len(rig.centre.submits) == 1
    assert 0 < rig.channel.pace.paused <= 1.2 * FIRST_PAUSE
    assert "paused for" in repr(rig.channel)
    assert rig.count("throttled") == 1
    rig.wait(1.2 * FIRST_PAUSE)
    rig.wait(1 / START)
    rig.wait(1 / START)
    assert (len(first), len(second)) == (1, 1)
    assert isinstance(first[0], Accepted)
    assert len(rig.centre.submits) == 3


def test_a_mailbox_that_is_full_is_the_messages_own_affair_where_the_dialect_says_so() -> None:
    rig = bound(dialect=Dialect(status={"0x0014": "temporary"}))
    rig.centre.answer = refuses(0x14)
    (outcome,) = rig.send()
    assert isinstance(outcome, Later)
    assert (rig.channel.pace.paused, rig.count("throttled")) == (0, 0)


def test_all_sessions_pause_and_one_metric_says_how_long() -> None:
    rig = bound(sessions=2)
    rig.centre.answer = refuses(0x58)
    rig.send()
    rig.centre.answer = takes
    second = rig.send(session=1)
    assert second == []
    assert rig.sample("smsgw_paused") == rig.channel.pace.paused > 0
    assert rig.sample("smsgw_pace") == START
    rig.wait(CALM)
    rig.wait(CALM)
    assert len(second) == 1
    assert (rig.sample("smsgw_paused"), rig.sample("smsgw_pace")) == (0, 0)


def test_the_pace_of_a_channel_that_is_not_throttled_is_what_is_configured() -> None:
    assert bound(rate=7).sample("smsgw_pace") == 7


def test_a_spell_of_throttling_is_two_lines_in_the_log(logged: list[dict[str, Any]]) -> None:
    rig = bound()
    rig.centre.answer = refuses(0x58)
    for _ in range(3):
        rig.send()
    for _ in range(20):
        rig.wait(1)
    rig.centre.answer = takes
    for _ in range(8):
        rig.wait(CALM / 4)
        rig.send()
    rig.send()
    assert rig.count("throttled") > 3
    lines = [event for event in logged if event["log_namespace"] == "smsgw.channel.smpp.SmppChannel"]
    assert [line["log_level"] for line in lines] == [LogLevel.warn, LogLevel.info]
    assert lines[0]["status"] == "ESME_RTHROTTLED"


def test_what_is_refused_for_good_was_taken_all_the_same() -> None:
    """For the rate a message centre counts what it refuses for its own sake, too."""
    rig = bound()
    rig.centre.answer = refuses(0x0B)
    for _ in range(40):
        rig.send()
    rig.wait(1)
    rig.centre.answer = refuses(0x58)
    rig.send()
    assert rig.channel.pace.rate == pytest.approx(38)


# -- a message centre that wants nothing from us


@pytest.mark.parametrize("status", [0x03, 0x04, 0x0D, 0x0F, 0x53])
def test_a_status_about_the_link_ends_the_bind_and_burns_no_attempt(status: int) -> None:
    rig = bound()
    rig.centre.answer = refuses(status)
    assert rig.send() == [Unsent(status_name(status))]
    assert (rig.gateway.open, rig.channel.sessions_up) == ([], 0)
    assert rig.line.asked_to_part == 1
    state = rig.session.link.state
    assert (state.name, state.error) == ("waiting", f"submit refused: {status_name(status)}")
    assert (rig.count("throttled"), rig.channel.pace.slowed) == (0, False)
    rig.centre.answer = takes
    rig.wait(1)
    assert rig.gateway.open == ["acme#1"]
    assert isinstance(rig.send()[0], Accepted)


def test_each_refusal_of_a_submit_keeps_us_away_for_longer() -> None:
    """However long the bind held in between: what was refused is not the bind."""
    rig = bound()
    rig.centre.answer = refuses(0x04)
    pauses = []
    for _ in range(9):
        rig.wait(STEADY)
        rig.send()
        assert rig.session.link.state.retry_in is not None
        pauses.append(rig.session.link.state.retry_in)
        rig.wait(pauses[-1])
    assert pauses[0] <= 1
    assert 48 <= pauses[-1] <= 60
    assert len(rig.centre.submits) == 9


def test_a_bind_that_is_not_wanted_ends_when_what_is_out_is_settled() -> None:
    rig = bound()
    rig.centre.answer = is_silent
    rig.gateway.settled = Deferred()
    first, second = rig.send(), rig.send()
    for pdu in rig.centre.submits:
        rig.line.protocol.respond(refuses(0x04)(pdu))
    rig.network.flow()
    assert (first, second) == ([Unsent("ESME_RINVBNDSTS")], [Unsent("ESME_RINVBNDSTS")])
    assert isinstance(rig.send()[0], Unsent)
    assert (rig.line.asked_to_part, rig.gateway.closed_sessions) == (0, ["acme#1"])
    rig.gateway.settled.callback(None)
    rig.network.flow()
    assert rig.line.asked_to_part == 1


def test_a_bind_that_is_not_wanted_ends_when_what_came_is_answered() -> None:
    """What is stored and not answered would come again, a message from a phone under another id."""
    rig = bound()
    rig.centre.answer = refuses(0x04)
    stored: Deferred[None] = Deferred()
    rig.gateway.taken = lambda: stored
    rig.receive(INBOUND)
    rig.send()
    assert rig.line.asked_to_part == 0
    stored.callback(None)
    rig.network.flow()
    assert (rig.line.responses, rig.line.asked_to_part) == ([("DeliverSmResp", 0)], 1)


def test_only_the_session_that_was_refused_ends() -> None:
    rig = bound(sessions=2)
    rig.centre.answer = refuses(0x04)
    rig.send()
    rig.centre.answer = takes
    assert rig.gateway.open == ["acme#2"]
    assert isinstance(rig.send(session=1)[0], Accepted)


def test_stop_while_a_bind_ends() -> None:
    rig = bound()
    rig.centre.answer = refuses(0x04)
    rig.gateway.settled = Deferred()
    rig.send()
    fired = rig.stop()
    rig.gateway.settled.callback(None)
    rig.network.flow()
    assert fired == [None]
    assert rig.session.link.state.name == "stopped"
    rig.wait(100)
    assert rig.endpoint.dials == 1


def test_throttled_again_and_again_it_goes_back_at_last() -> None:
    """RabbitMQ takes back what is unsettled for half an hour, and closes the channel it is on."""
    rig = bound()
    rig.centre.answer = refuses(0x58)
    outcome = rig.send()
    waited = 0.0
    while not outcome and waited < 2 * PATIENCE:
        rig.wait(5)
        waited += 5
    assert outcome == [Unsent("held back by the message centre for too long")]
    assert PATIENCE <= waited < PATIENCE + 60
    assert len(rig.centre.submits) < 40


def test_what_was_taken_of_a_message_is_told_before_its_receipts_are_given_up() -> None:
    rig = bound()
    rig.centre.answer = lambda pdu: takes(pdu) if len(rig.centre.submits) == 1 else refuses(0x58)(pdu)
    outcome = rig.send(LONG)
    for _ in range(40):
        rig.wait(1)
    ((word, progress),) = [(each.error, each.progress) for each in outcome if isinstance(each, Unsent)]
    assert word == "its parts take too long"
    assert progress is not None
    assert progress.ids == ("A2",)
    again = rig.send(LONG, progress=progress)
    for _ in range(40):
        rig.wait(1)
    assert again == []  # nothing new is known


def test_a_throttled_message_is_not_sent_again_when_the_session_is_to_end() -> None:
    rig = bound()
    rig.centre.answer = is_silent
    outcome = rig.send()
    rig.session.yield_waiting()
    rig.line.protocol.respond(refuses(0x58)(rig.centre.submits[0]))
    rig.network.flow()
    assert outcome == [Unsent("the session takes no more")]
    rig.wait(60)
    assert len(rig.centre.submits) == 1


def test_yielding_lets_go_of_who_waits_and_keeps_what_is_out() -> None:
    rig = bound(rate=1)
    rig.centre.answer = is_silent
    out, waiting = rig.send(), rig.send()
    rig.session.yield_waiting()
    assert (out, waiting) == ([], [Unsent("the session takes no more")])
    rig.line.protocol.respond(takes(rig.centre.submits[0]))
    rig.network.flow()
    assert isinstance(out[0], Accepted)


# -- receipts


def test_a_receipt_is_answered_only_when_it_is_stored() -> None:
    rig = bound()
    stored: Deferred[str | None] = Deferred()
    rig.gateway.word = lambda: stored
    assert rig.receive() == []
    stored.callback("text")
    rig.network.flow()
    assert rig.line.responses == [("DeliverSmResp", 0)]


def test_what_a_receipt_says() -> None:
    rig = bound()
    rig.receive()
    ((readings, recipient, report),) = rig.gateway.receipts
    assert ("text", "a1") in readings
    assert recipient == "46700000001"
    assert report == Report(state="delivered", smsc_id="A1", stat="DELIVRD", err="000")


def test_a_receipt_in_a_data_sm() -> None:
    rig = bound()
    pdu = DataSm(
        source_addr="+46700000001",
        esm_class=4,
        tlvs=((int(Tag.RECEIPTED_MESSAGE_ID), "A1"), (int(Tag.MESSAGE_STATE), 5)),
    )
    assert rig.receive(pdu) == [(DataSmResp.__name__, 0)]
    assert rig.gateway.receipts[0][1:] == (
        "46700000001",
        Report(state="undelivered", smsc_id="A1", stat="UNDELIV"),
    )


def test_a_receipt_without_an_id_is_handed_on_for_what_it_is() -> None:
    rig = bound()
    rig.receive(DeliverSm(esm_class=4, short_message=b"stat:DELIVRD"))
    assert rig.gateway.receipts[0][0] == ()


@pytest.mark.parametrize("error", [Unavailable("gone"), StorageError("disk full")])
def test_what_is_not_stored_is_not_taken(error: Exception) -> None:
    rig = bound()
    rig.gateway.word = lambda: fail(error)
    assert rig.receive() == [(DeliverSmResp.__name__, 0x64)]
    assert rig.count("errors", "receipt") == 0


def test_the_dialect_knows_what_makes_the_centre_send_again() -> None:
    rig = bound(dialect=Dialect(unavailable_status=0x08))
    rig.gateway.word = lambda: fail(Unavailable("gone"))
    assert rig.receive() == [(DeliverSmResp.__name__, 0x08)]


def test_a_fault_of_ours_takes_no_receipt_either() -> None:
    rig = bound()
    rig.gateway.word = lambda: fail(ZeroDivisionError("ours"))
    assert rig.receive() == [(DeliverSmResp.__name__, 0x64)]
    assert rig.count("errors", "receipt") == 1


def test_a_receipt_that_can_not_be_handed_on_keeps_nobody_from_parting() -> None:
    rig = bound()

    def word() -> Deferred[str | None]:
        raise ZeroDivisionError("ours")

    rig.gateway.word = word
    assert rig.receive() == [(DeliverSmResp.__name__, 0x64)]
    assert rig.count("errors", "receipt") == 1
    assert rig.stop() == [None]


def test_a_receipt_is_answered_even_if_nothing_can_be_learned_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def learn(*_: object) -> bool:
        raise ZeroDivisionError("ours")

    rig = bound()
    words: Deferred[str | None] = Deferred()
    rig.gateway.word = lambda: words
    monkeypatch.setattr(IdCodec, "learn", learn)
    rig.receive()
    words.callback("text")
    rig.network.flow()
    assert rig.line.responses == [(DeliverSmResp.__name__, 0)]
    assert [each.type for each in rig.gateway.unexpected] == [ZeroDivisionError]
    assert rig.stop() == [None]


def test_a_receipt_that_fails_each_time_it_comes_does_not_flood_the_log(logged: list[dict[str, Any]]) -> None:
    rig = bound()
    rig.gateway.word = lambda: fail(ZeroDivisionError("ours"))
    for _ in range(30):
        rig.receive()
        rig.wait(1)
    said = [formatEvent(line) for line in logged if line["log_level"] is LogLevel.critical]
    assert rig.count("errors", "receipt") == 30
    assert said == [f"acme: receipt could not be taken ({unsaid} more before)" for unsaid in (0, 9, 9)]


def test_what_a_store_that_stands_still_leaves_unanswered_is_bounded_over_all_links() -> None:
    rig = bound()
    rig.gateway.word = Deferred
    for _ in range(MOST):
        rig.session.received(RECEIPT)
    rig.network.cut()
    rig.wait(1)
    assert rig.receive() == [("DeliverSmResp", 0x64)]
    assert len(rig.gateway.receipts) == MOST


def test_a_late_answer_stays_off_the_next_link() -> None:
    """There its sequence number would answer another receipt, one that nobody has stored."""
    rig = bound()
    words: list[Deferred[str | None]] = []

    def word() -> Deferred[str | None]:
        words.append(Deferred())
        return words[-1]

    rig.gateway.word = word
    rig.receive()
    rig.network.cut()
    rig.wait(1)
    assert rig.receive() == []
    words[0].callback("text")
    rig.network.flow()
    assert rig.line.responses == []
    words[1].callback("text")
    rig.network.flow()
    assert rig.line.responses == [("DeliverSmResp", 0)]


def test_the_receiver_of_a_pair_takes_receipts() -> None:
    rig = bound(bind="pair")
    assert rig.receive() == [("DeliverSmResp", 0)]


def test_readings_of_ids_are_learned() -> None:
    rig = bound()
    rig.gateway.word = lambda: succeed("decimal-in-receipt")
    for number in (171, 172, 173, 174):
        rig.receive(DeliverSm(esm_class=4, short_message=f"id:{number} stat:DELIVRD".encode()))
    readings = [len(each[0]) for each in rig.gateway.receipts]
    assert readings == [3, 3, 3, 1]


# -- messages from phones


def test_a_message_from_a_phone_is_answered_only_when_it_is_stored() -> None:
    rig = bound()
    stored: Deferred[None] = Deferred()
    rig.gateway.taken = lambda: stored
    assert rig.receive(INBOUND) == []
    stored.callback(None)
    rig.network.flow()
    assert rig.line.responses == [("DeliverSmResp", 0)]
    assert rig.gateway.receipts == []


def test_what_a_message_from_a_phone_says() -> None:
    rig = bound()
    rig.receive(INBOUND)
    ((source, destination, fragment),) = rig.gateway.inbounds
    assert (source, destination) == ("+46700000001", "12345")
    assert fragment == Fragment(payload=b"hello", charset="gsm7")


def test_a_part_is_handed_on_as_a_part_read_with_the_dialect() -> None:
    rig = bound(dialect=Dialect(inbound_alphabets={"0x01": "latin1"}))
    rig.receive(DeliverSm(esm_class=0x40, data_coding=1, short_message=b"\5\0\3\7\2\1\xe5"))
    ((_, _, fragment),) = rig.gateway.inbounds
    assert (fragment.kind, fragment.reference, fragment.total, fragment.number) == ("udh", 7, 2, 1)
    assert (fragment.charset, fragment.payload) == ("latin1", b"\xe5")


def test_a_message_from_a_phone_in_a_data_sm() -> None:
    rig = bound()
    pdu = DataSm(source_addr="46700000001", tlvs=((int(Tag.MESSAGE_PAYLOAD), b"x" * 300),))
    assert rig.receive(pdu) == [("DataSmResp", 0)]
    assert rig.gateway.inbounds[0][2].payload == b"x" * 300


def test_what_reads_like_a_receipt_is_a_message_where_the_dialect_wants_marks() -> None:
    rig = bound(dialect=Dialect(receipts="marked"))
    rig.receive(DeliverSm(short_message=b"id:1 stat:DELIVRD err:000"))
    assert (rig.gateway.receipts, len(rig.gateway.inbounds)) == ([], 1)


@pytest.mark.parametrize("error", [Unavailable("gone"), StorageError("disk full")])
def test_a_message_that_is_not_stored_stays_with_the_centre(error: Exception) -> None:
    rig = bound(dialect=Dialect(unavailable_status=0x08))
    rig.gateway.taken = lambda: fail(error)
    assert rig.receive(INBOUND) == [("DeliverSmResp", 0x08)]
    assert rig.count("errors", "inbound") == 0


def test_a_fault_of_ours_takes_no_message_either() -> None:
    rig = bound()
    rig.gateway.taken = lambda: fail(ZeroDivisionError("ours"))
    assert rig.receive(INBOUND) == [("DeliverSmResp", 0x64)]
    assert rig.count("errors", "inbound") == 1


def test_the_receiver_of_a_pair_takes_messages_from_phones() -> None:
    rig = bound(bind="pair")
    assert rig.receive(INBOUND) == [("DeliverSmResp", 0)]
    assert len(rig.gateway.inbounds) == 1


def test_what_cannot_be_read_is_counted() -> None:
    rig = bound()
    rig.network.ends[0].protocol.dataReceived(bytes.fromhex("00000014 00000005 00000000 00000009 30303030"))
    assert rig.count("malformed") == 1
    assert rig.channel.sessions_up == 1


def test_a_flood_of_what_cannot_be_read_does_not_flood_the_log() -> None:
    rig = bound()
    lines: list[Any] = []
    globalLogPublisher.addObserver(lines.append)
    try:
        for second in range(30):
            torn = bytes.fromhex("00000014 00000005 00000000") + second.to_bytes(4, "big") + b"0000"
            rig.network.ends[0].protocol.dataReceived(torn)
            rig.wait(1)
    finally:
        globalLogPublisher.removeObserver(lines.append)
    said = [formatEvent(line) for line in lines if "deliver_sm" in formatEvent(line)]
    assert rig.count("malformed") == 30
    assert len(said) == 3
    assert said[1].endswith("(and 9 more before)")


# -- the end


def test_stop_unbinds_and_waits() -> None:
    rig = bound(sessions=2)
    assert rig.stop() == [None]
    assert [line.asked_to_part for line in rig.centre.lines] == [1, 1]
    assert [session.link.state.name for session in rig.channel.sessions] == ["stopped"] * 2
    rig.wait(100)
    assert rig.endpoint.dials == 2
    assert rig.clock.getDelayedCalls() == []


def test_stop_waits_for_an_unbind_no_longer_than_its_timer() -> None:
    rig = bound(timers=SmppTimers(unbind=Duration(5)))
    fired: list[None] = []
    rig.channel.stop().addCallback(fired.append)
    rig.clock.advance(5)  # nothing flows: the centre hears nothing
    rig.clock.advance(LINGER)
    for end in rig.network.ends:
        end.clear()
    rig.network.flow()
    assert fired == [None]


def test_stop_answers_what_came_before_it_unbinds_and_takes_no_more() -> None:
    """What is stored and not answered would come again."""
    rig = bound()
    stored: Deferred[None] = Deferred()
    rig.gateway.taken = lambda: stored
    rig.receive(INBOUND)
    assert rig.stop() == []
    assert rig.line.asked_to_part == 0
    assert rig.receive(INBOUND) == [("DeliverSmResp", 0x64)]
    assert len(rig.gateway.inbounds) == 1
    stored.callback(None)
    rig.network.flow()
    assert rig.line.responses == [("DeliverSmResp", 0x64), ("DeliverSmResp", 0)]
    assert rig.line.asked_to_part == 1
    assert rig.session.link.state.name == "stopped"
    assert rig.clock.getDelayedCalls() == []


def test_stop_waits_for_an_answer_no_longer_than_the_unbind_timer() -> None:
    rig = bound(timers=SmppTimers(unbind=Duration(5)))
    stored: Deferred[None] = Deferred()
    rig.gateway.taken = lambda: stored
    rig.receive(INBOUND)
    rig.stop()
    rig.wait(4.9)
    assert rig.line.asked_to_part == 0
    rig.wait(0.1)
    assert rig.line.asked_to_part == 1
    rig.wait(5 + LINGER)
    assert rig.session.link.state.name == "stopped"
    stored.callback(None)  # too late for this link, and no harm


def test_the_centres_unbind_is_answered_when_what_it_sent_is() -> None:
    rig = bound()
    stored: Deferred[None] = Deferred()
    rig.gateway.taken = lambda: stored
    rig.receive(INBOUND)
    rig.line.protocol.unbind()
    rig.network.flow()
    assert rig.line.over is None
    stored.callback(None)
    rig.network.flow()
    assert rig.line.responses == [("DeliverSmResp", 0)]
    assert rig.line.over is not None


def test_after_the_next_bind_messages_are_taken_again() -> None:
    rig = bound()
    rig.line.protocol.unbind()
    rig.network.flow()
    rig.wait(10)
    assert rig.receive(INBOUND) == [("DeliverSmResp", 0)]


def test_stop_while_it_is_down() -> None:
    rig = Rig()
    rig.endpoint.failure = ConnectError(string="no one there")
    rig.start()
    assert rig.stop() == [None]
    rig.wait(100)
    assert rig.endpoint.dials == 1


def test_stop_before_start() -> None:
    assert Rig().stop() == [None]


def test_a_message_after_the_stop_began_is_not_sent() -> None:
    rig = bound()
    rig.channel.stop()
    assert isinstance(rig.send()[0], Unsent)
    assert rig.centre.submits == []


def test_the_centres_unbind_is_answered_when_all_is_settled() -> None:
    rig = bound(rate=1)
    rig.centre.answer = is_silent
    rig.gateway.settled = Deferred()
    out, waiting = rig.send(), rig.send()
    parted: list[None] = []
    rig.line.protocol.unbind().addCallback(parted.append)
    rig.network.flow()
    assert (out, waiting, parted) == ([], [Unsent("the session takes no more")], [])
    assert rig.gateway.closed_sessions == ["acme#1"]
    rig.line.protocol.respond(takes(rig.centre.submits[0]))
    rig.network.flow()
    assert isinstance(out[0], Accepted)
    rig.gateway.settled.callback(None)
    rig.network.flow()
    assert parted == [None]


def test_after_the_centres_unbind_it_binds_again() -> None:
    rig = bound()
    rig.line.protocol.unbind()
    rig.network.flow()
    assert rig.session.link.state.name == "waiting"
    rig.wait(1)
    assert rig.gateway.open == ["acme#1"]
    assert isinstance(rig.send()[0], Accepted)


# -- for operators


def test_reprs_say_how_a_session_is() -> None:
    rig = bound()
    rig.centre.answer = is_silent
    rig.send()
    assert repr(rig.session) == (
        "<session acme#1 BindTransceiver: up since 2023-11-14 22:13:20Z, 1/3 unanswered>"
    )
    assert "hunter2" not in repr(rig.channel)


def test_a_channel_that_is_made_and_not_started_is_not_seen() -> None:
    rig = Rig(rate=7.0).start()
    SmppChannel(
        "acme",
        SmppSettings(endpoint="tcp:192.0.2.1:2775", system_id="acme", rate=9.0),
        rig.endpoint,  # type: ignore[arg-type]
        upstream=rig.gateway,
        metrics=rig.metrics,
        clock=rig.clock,
        now=rig.now,
    )
    (sample,) = next(iter(rig.metrics.pace.collect())).samples
    assert sample.value == 7.0
