"""One session at a time: what is sent, told and timed, on either side."""

import msgspec
import pytest

from smsgw.errors import Misuse, PeerError
from smsgw.smpp.connection import Connection, Timers
from smsgw.smpp.constants import CommandStatus, Tag
from smsgw.smpp.events import (
    Answered,
    AnsweredLate,
    Ended,
    Event,
    LinkLost,
    OutOfPlace,
    PeerErred,
    RequestAnswered,
    RequestReceived,
    StrayResponse,
    TimedOut,
    UnbindReceived,
    WindowFull,
    WrongState,
)
from smsgw.smpp.framing import FrameError, Framer
from smsgw.smpp.pdu import (
    AlertNotification,
    BindReceiver,
    BindReceiverResp,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    CancelSm,
    DataSm,
    DeliverSm,
    DeliverSmResp,
    EncodeError,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    Pdu,
    PduError,
    QuerySm,
    QuerySmResp,
    ReplaceSm,
    SubmitMulti,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
    UnknownPdu,
    decode,
    encode,
    response_to,
)
from smsgw.smpp.states import BOUND_BY, Kind, Role, State, allowed

TIMERS = Timers(session_init=10, enquire_link=30, inactivity=0, response=60, unbind=5)
BINDS = [BindTransmitter, BindReceiver, BindTransceiver]
SUBMIT = SubmitSm(destination_addr="46700000001", short_message=b"hi")


def written(connection: Connection) -> list[Pdu]:
    return [decode(frame) for frame in Framer().feed(connection.data_to_send())]


def opened(role: Role, timers: Timers = TIMERS, window: int = 10, **options: int) -> Connection:
    connection = Connection(role, timers, window, **options)
    connection.connected(0.0)
    return connection


def bound(role: Role, bind: Kind = BindTransceiver, timers: Timers = TIMERS, **options: int) -> Connection:
    """A session that was bound at 0.0, with nothing left to write."""
    connection = opened(role, timers, **options)
    if role == "esme":
        number = connection.send_request(bind(), 0.0, "bind")
        connection.receive(encode(response_to(bind(sequence_number=number))), 0.0)
    else:
        connection.receive(encode(bind(sequence_number=1)), 0.0)
        connection.send_response(response_to(bind(sequence_number=1)), 0.0)
    assert connection.state is BOUND_BY[bind]
    connection.data_to_send()
    return connection


def errors(events: list[Event]) -> list[PeerError]:
    return [event.error for event in events if isinstance(event, PeerErred)]


# -- binding


@pytest.mark.parametrize("bind", BINDS)
def test_an_esme_is_bound_by_the_response(bind: Kind) -> None:
    esme = opened("esme")
    number = esme.send_request(bind(), 0.0, "bind")
    assert number == 1
    assert esme.state is State.OPEN
    response = response_to(bind(sequence_number=number), system_id="centre")
    assert esme.receive(encode(response), 1.0) == [RequestAnswered("bind", Answered(response))]
    assert esme.state is BOUND_BY[bind]


@pytest.mark.parametrize("bind", BINDS)
def test_an_smsc_is_bound_by_its_own_response(bind: Kind) -> None:
    smsc = opened("smsc")
    assert smsc.receive(encode(bind(sequence_number=7)), 0.0) == [RequestReceived(bind(sequence_number=7))]
    assert smsc.state is State.OPEN
    smsc.send_response(response_to(bind(sequence_number=7)), 0.0)
    assert smsc.state is BOUND_BY[bind]
    assert smsc.events() == []


def test_a_refused_bind_leaves_the_session_open_for_another() -> None:
    esme = opened("esme")
    esme.send_request(BindTransceiver(), 0.0, "first")
    refusal = BindTransceiverResp(sequence_number=1, command_status=CommandStatus.ESME_RINVPASWD)
    assert esme.receive(encode(refusal), 0.0) == [RequestAnswered("first", Answered(refusal))]
    assert esme.state is State.OPEN
    esme.send_request(BindTransmitter(), 0.0, "second")
    esme.receive(encode(BindTransmitterResp(sequence_number=2)), 0.0)
    assert esme.state is State.BOUND_TX


def test_an_smsc_may_refuse_a_bind_and_hear_another() -> None:
    smsc = opened("smsc")
    for number, refusal in enumerate([BindTransceiverResp, GenericNack], start=1):
        smsc.receive(encode(BindTransceiver(sequence_number=number)), 0.0)
        smsc.send_response(refusal(sequence_number=number, command_status=0x0E), 0.0)
        assert smsc.state is State.OPEN
    smsc.receive(encode(BindReceiver(sequence_number=9)), 0.0)
    smsc.send_response(BindReceiverResp(sequence_number=9), 0.0)
    assert smsc.state is State.BOUND_RX


def test_a_bind_nacked_with_rok_is_refused_all_the_same() -> None:
    esme = opened("esme")
    esme.send_request(BindTransceiver(), 0.0, "bind")
    (event,) = esme.receive(encode(GenericNack(sequence_number=1)), 0.0)
    assert isinstance(event, RequestAnswered)
    assert isinstance(event.answer, Answered)
    assert event.answer.response.command_status == CommandStatus.ESME_RUNKNOWNERR
    assert esme.state is State.OPEN


def test_one_bind_at_a_time() -> None:
    esme = opened("esme")
    esme.send_request(BindTransmitter(), 0.0, "bind")
    with pytest.raises(WrongState, match="under way"):
        esme.send_request(BindReceiver(), 0.0, "bind")
    smsc = opened("smsc")
    smsc.receive(encode(BindTransceiver(sequence_number=1)), 0.0)
    (error,) = errors(smsc.receive(encode(BindReceiver(sequence_number=2)), 0.0))
    assert isinstance(error, OutOfPlace)
    refusal = BindReceiverResp(sequence_number=2, command_status=CommandStatus.ESME_RALYBND)
    assert written(smsc) == [refusal]


def test_a_second_bind_is_told_that_there_is_one() -> None:
    smsc = bound("smsc")
    smsc.receive(encode(BindTransceiver(sequence_number=2)), 0.0)
    refusal = BindTransceiverResp(sequence_number=2, command_status=CommandStatus.ESME_RALYBND)
    assert written(smsc) == [refusal]
    assert smsc.state is State.BOUND_TRX


def test_bind_resp_and_deliver_sm_in_one_segment() -> None:
    esme = opened("esme")
    esme.send_request(BindReceiver(), 0.0, "bind")
    delivered = DeliverSm(sequence_number=1, short_message=b"early")
    events = esme.receive(encode(BindReceiverResp(sequence_number=1)) + encode(delivered), 0.0)
    assert [type(event) for event in events] == [RequestAnswered, RequestReceived]
    assert esme.peer_in_flight == 1


@pytest.mark.parametrize("version", [0x33, 0x34, 0x50])
def test_the_bind_states_our_interface_version(version: int) -> None:
    esme = opened("esme", interface_version=version)
    esme.send_request(BindTransmitter(interface_version=0x12), 0.0, "bind")
    (bind,) = written(esme)
    assert isinstance(bind, BindTransmitter)
    assert bind.interface_version == version


@pytest.mark.parametrize(
    ("tlvs", "version"),
    [((), 0x33), (((Tag.SC_INTERFACE_VERSION, 0x34),), 0x34), (((Tag.SC_INTERFACE_VERSION, b"5.0"),), 0x33)],
)
def test_the_smsc_version_is_in_its_response(tlvs: tuple[tuple[int, int | bytes], ...], version: int) -> None:
    esme = opened("esme")
    esme.send_request(BindTransceiver(), 0.0, "bind")
    esme.receive(encode(BindTransceiverResp(sequence_number=1, tlvs=tlvs)), 0.0)
    assert esme.peer_version == version
    esme.data_to_send()
    esme.send_request(SubmitSm(tlvs=((Tag.USER_MESSAGE_REFERENCE, 7),)), 0.0, "it is for information only")
    assert written(esme)[0].tlvs


# -- interface version 3.3


def test_33_has_no_transceiver() -> None:
    with pytest.raises(WrongState, match="bind_transceiver"):
        opened("esme", interface_version=0x33).send_request(BindTransceiver(), 0.0, "bind")


def test_33_sends_no_tlvs() -> None:
    esme = bound("esme", BindTransmitter, interface_version=0x33)
    esme.send_request(SubmitSm(short_message=b"hi", tlvs=((Tag.USER_MESSAGE_REFERENCE, 7),)), 0.0, "x")
    (submit,) = written(esme)
    assert isinstance(submit, SubmitSm)
    assert (submit.tlvs, submit.short_message) == ((), b"hi")


@pytest.mark.parametrize(
    "tlv",
    [
        (Tag.MESSAGE_PAYLOAD, b"long"),
        (Tag.SAR_MSG_REF_NUM, 1),
        (Tag.SAR_TOTAL_SEGMENTS, 2),
        (Tag.SAR_SEGMENT_SEQNUM, 1),
    ],
)
def test_33_refuses_what_it_has_no_words_for(tlv: tuple[int, int | bytes]) -> None:
    esme = bound("esme", BindTransmitter, interface_version=0x33)
    with pytest.raises(WrongState, match="3\\.3"):
        esme.send_request(SubmitSm(tlvs=(tlv,)), 0.0, "x")
    assert esme.in_flight == 0
    assert esme.data_to_send() == b""


def test_an_smsc_sends_no_tlvs_to_a_33_esme() -> None:
    smsc = opened("smsc")
    smsc.receive(encode(BindReceiver(sequence_number=1, interface_version=0x33)), 0.0)
    smsc.send_response(BindReceiverResp(sequence_number=1, tlvs=((Tag.SC_INTERFACE_VERSION, 0x34),)), 0.0)
    smsc.send_request(DeliverSm(tlvs=((Tag.MESSAGE_STATE, 2),)), 0.0, "x")
    assert smsc.peer_version == 0x33
    assert [pdu.tlvs for pdu in written(smsc)] == [(), ()]


# -- which PDU in which state

REFUSABLE = [
    SubmitSm,
    SubmitMulti,
    DeliverSm,
    DataSm,
    QuerySm,
    CancelSm,
    ReplaceSm,
]


def test_the_table_is_the_specifications() -> None:
    """3.4, table 2-1: bound as transmitter and as receiver, from either side."""
    session = {Unbind, EnquireLink, DataSm, UnknownPdu}
    submitting = {SubmitSm, SubmitMulti, QuerySm, CancelSm, ReplaceSm}
    delivering = {DeliverSm, AlertNotification}
    assert allowed("esme", State.BOUND_TX) == session | submitting
    assert allowed("smsc", State.BOUND_TX) == session
    assert allowed("esme", State.BOUND_RX) == session
    assert allowed("smsc", State.BOUND_RX) == session | delivering
    assert allowed("esme", State.BOUND_TRX) == session | submitting
    assert allowed("smsc", State.BOUND_TRX) == session | delivering
    assert allowed("esme", State.OPEN) == {EnquireLink, *BINDS}
    assert allowed("smsc", State.OPEN) == {EnquireLink, Outbind}
    assert allowed("esme", State.OUTBOUND) == {EnquireLink, *BINDS}
    assert allowed("smsc", State.OUTBOUND) == {EnquireLink}
    for role in ("esme", "smsc"):
        assert allowed(role, State.UNBOUND) == allowed(role, State.CLOSED) == frozenset()


@pytest.mark.parametrize("role", ["esme", "smsc"])
@pytest.mark.parametrize("bind", BINDS)
@pytest.mark.parametrize("kind", REFUSABLE)
def test_a_message_out_of_place_is_refused(role: Role, bind: Kind, kind: Kind) -> None:
    connection = bound(role, bind)
    request = kind(sequence_number=9)
    events = connection.receive(encode(request), 0.0)
    peer: Role = "smsc" if role == "esme" else "esme"
    if kind in allowed(peer, connection.state):
        assert events == [RequestReceived(request)]
        assert written(connection) == []
    else:
        (error,) = errors(events)
        assert isinstance(error, OutOfPlace)
        assert not error.fatal
        refusal = response_to(request, command_status=CommandStatus.ESME_RINVBNDSTS)
        assert written(connection) == [refusal]
        assert connection.peer_in_flight == 0


@pytest.mark.parametrize("role", ["esme", "smsc"])
@pytest.mark.parametrize("bind", BINDS)
@pytest.mark.parametrize("kind", REFUSABLE)
def test_a_message_of_ours_out_of_place_is_misuse(role: Role, bind: Kind, kind: Kind) -> None:
    connection = bound(role, bind)
    if kind in allowed(role, connection.state):
        connection.send_request(kind(), 0.0, "x")
        assert [type(pdu) for pdu in written(connection)] == [kind]
    else:
        with pytest.raises(WrongState):
            connection.send_request(kind(), 0.0, "x")
        assert connection.data_to_send() == b""


@pytest.mark.parametrize("kind", [*REFUSABLE, Unbind])
def test_nothing_is_taken_before_the_bind(kind: Kind) -> None:
    smsc = opened("smsc")
    assert errors(smsc.receive(encode(kind(sequence_number=5)), 0.0))
    (refusal,) = written(smsc)
    assert refusal.command_status == CommandStatus.ESME_RINVBNDSTS
    with pytest.raises(WrongState):
        opened("esme").send_request(kind(), 0.0, "x")


@pytest.mark.parametrize("kind", [Outbind, AlertNotification])
def test_out_of_place_without_an_answer_is_only_counted(kind: Kind) -> None:
    smsc = bound("smsc")
    assert errors(smsc.receive(encode(kind(sequence_number=5)), 0.0))
    assert smsc.data_to_send() == b""


def test_outbind_invites_a_bind() -> None:
    smsc, esme = opened("smsc"), opened("esme")
    smsc.send_notification(Outbind(system_id="centre"), 0.0)
    assert smsc.state is State.OUTBOUND
    (event,) = esme.receive(smsc.data_to_send(), 0.0)
    assert isinstance(event, RequestReceived)
    assert esme.state is State.OUTBOUND
    esme.send_request(BindReceiver(), 0.0, "bind")
    smsc.receive(esme.data_to_send(), 0.0)
    smsc.send_response(BindReceiverResp(sequence_number=1), 0.0)
    esme.receive(smsc.data_to_send(), 0.0)
    assert smsc.state is esme.state is State.BOUND_RX


def test_alert_notification_is_told_and_not_answered() -> None:
    smsc, esme = bound("smsc"), bound("esme")
    smsc.send_notification(AlertNotification(source_addr="46"), 0.0)
    (event,) = esme.receive(smsc.data_to_send(), 0.0)
    assert isinstance(event, RequestReceived)
    assert (esme.data_to_send(), esme.peer_in_flight, smsc.in_flight) == (b"", 0, 0)


@pytest.mark.parametrize("pdu", [SubmitSm(), Outbind(), EnquireLink()])
def test_only_notifications_are_notified(pdu: Pdu) -> None:
    with pytest.raises(WrongState):
        bound("esme").send_notification(pdu, 0.0)


@pytest.mark.parametrize("pdu", [Outbind(), Unbind(), SubmitSmResp(), AlertNotification()])
def test_only_what_is_answered_is_requested(pdu: Pdu) -> None:
    for role in ("esme", "smsc"):
        with pytest.raises(WrongState):
            bound(role).send_request(pdu, 0.0, "x")


# -- requests and answers


def test_a_request_is_answered_once() -> None:
    esme = bound("esme")
    number = esme.send_request(SUBMIT, 0.0, "context")
    assert esme.in_flight == 1
    response = SubmitSmResp(sequence_number=number, message_id="a1")
    assert esme.receive(encode(response), 0.0) == [RequestAnswered("context", Answered(response))]
    assert esme.in_flight == 0
    (error,) = errors(esme.receive(encode(response), 0.0))
    assert isinstance(error, StrayResponse)
    assert error.response == response


def test_responses_come_in_any_order() -> None:
    esme = bound("esme")
    numbers = [esme.send_request(SUBMIT, 0.0, index) for index in range(5)]
    shuffled = [numbers[index] for index in (3, 0, 4, 2, 1)]
    events = esme.receive(b"".join(encode(SubmitSmResp(sequence_number=number)) for number in shuffled), 0.0)
    assert [event.context for event in events if isinstance(event, RequestAnswered)] == [3, 0, 4, 2, 1]


def test_the_window_is_never_passed() -> None:
    esme = bound("esme", window=3)
    numbers = [esme.send_request(SUBMIT, 0.0, "x") for _ in range(3)]
    octets = esme.data_to_send()
    with pytest.raises(WindowFull):
        esme.send_request(SUBMIT, 0.0, "x")
    assert (esme.in_flight, esme.data_to_send()) == (3, b"")
    assert len(Framer().feed(octets)) == 3
    esme.send_request(EnquireLink(), 0.0, "what keeps the session does not count")
    esme.receive(encode(SubmitSmResp(sequence_number=numbers[1])), 0.0)
    esme.send_request(SUBMIT, 0.0, "x")


def test_what_cannot_be_encoded_leaves_no_trace() -> None:
    esme = bound("esme")
    with pytest.raises(EncodeError):
        esme.send_request(SubmitSm(destination_addr="4" * 30), 0.0, "x")
    assert (esme.in_flight, esme.data_to_send()) == (0, b"")


def test_generic_nack_fails_the_request_with_its_number() -> None:
    esme = bound("esme")
    number = esme.send_request(SUBMIT, 0.0, "x")
    nack = GenericNack(sequence_number=number, command_status=CommandStatus.ESME_RTHROTTLED)
    assert esme.receive(encode(nack), 0.0) == [RequestAnswered("x", Answered(nack))]


def test_generic_nack_for_nothing_is_counted() -> None:
    esme = bound("esme")
    esme.send_request(SUBMIT, 0.0, "x")
    assert len(errors(esme.receive(encode(GenericNack(sequence_number=0)), 0.0))) == 1
    assert esme.in_flight == 1


def test_a_response_of_another_kind_answers_nothing() -> None:
    esme = bound("esme")
    number = esme.send_request(SUBMIT, 0.0, "x")
    assert errors(esme.receive(encode(DeliverSmResp(sequence_number=number)), 0.0))
    assert esme.in_flight == 1


def test_a_vendors_request_is_matched_by_its_command_id() -> None:
    esme = bound("esme")
    number = esme.send_request(UnknownPdu(command_id=0x10200, body=b"?"), 0.0, "x")
    other = UnknownPdu(command_id=0x80010201, sequence_number=number)
    assert errors(esme.receive(encode(other), 0.0))
    answer = UnknownPdu(command_id=0x80010200, sequence_number=number, body=b"!")
    assert esme.receive(encode(answer), 0.0) == [RequestAnswered("x", Answered(answer))]


def test_sequence_numbers_wrap_and_skip_those_that_wait() -> None:
    esme = bound("esme", window=4)
    first = esme.send_request(SUBMIT, 0.0, "waits")
    esme._asked._number = 0x7FFFFFFE
    numbers = [esme.send_request(SUBMIT, 0.0, "x") for _ in range(3)]
    assert first == 2
    assert numbers == [0x7FFFFFFF, 1, 3]


def test_sequence_numbers_skip_those_that_may_be_answered_late() -> None:
    esme = bound("esme", timers=Timers(response=60, enquire_link=0))
    late = esme.send_request(SUBMIT, 0.0, "x")
    esme.tick(60.0)
    esme._asked._number = late - 1
    assert esme.send_request(SUBMIT, 60.0, "x") == late + 1


def test_requests_of_the_peer_are_counted_until_answered() -> None:
    smsc = bound("smsc")
    submits = [SubmitSm(sequence_number=number) for number in (11, 12, 13)]
    smsc.receive(b"".join(map(encode, submits)), 0.0)
    assert smsc.peer_in_flight == 3
    smsc.send_response(SubmitSmResp(sequence_number=12, message_id="m"), 0.0)
    smsc.send_response(GenericNack(sequence_number=11, command_status=8), 0.0)
    assert smsc.peer_in_flight == 1


@pytest.mark.parametrize(
    ("role", "kind", "status"),
    [
        ("esme", DeliverSm, CommandStatus.ESME_RX_T_APPN),
        ("smsc", SubmitSm, CommandStatus.ESME_RTHROTTLED),
    ],
)
def test_a_flood_is_refused_for_now(role: Role, kind: Kind, status: int) -> None:
    connection = bound(role, peer_window=2)
    flood = b"".join(encode(kind(sequence_number=number)) for number in (1, 2, 3))
    assert len(connection.receive(flood, 0.0)) == 2
    refusal = response_to(kind(sequence_number=3), command_status=status)
    assert written(connection) == [refusal]
    connection.tick(60.0)
    assert connection.peer_in_flight == 0


def test_a_flood_under_one_sequence_number_is_refused_likewise() -> None:
    esme = bound("esme")
    deliver = DeliverSm(sequence_number=7)
    assert esme.receive(encode(deliver) * 3, 0.0) == [RequestReceived(deliver)]
    assert written(esme) == [response_to(deliver, command_status=CommandStatus.ESME_RX_T_APPN)] * 2
    esme.send_response(response_to(deliver), 0.0)
    assert esme.receive(encode(deliver), 0.0) == [RequestReceived(deliver)]


def test_a_late_answer_is_not_taken_for_that_of_a_request_with_the_same_number() -> None:
    esme = bound("esme", timers=Timers(response=60, enquire_link=0))
    deliver = DeliverSm(sequence_number=7)
    esme.receive(encode(deliver), 0.0)
    esme.tick(60.0)
    assert esme.receive(encode(deliver), 61.0) == []
    assert written(esme) == [response_to(deliver, command_status=CommandStatus.ESME_RX_T_APPN)]
    esme.send_response(response_to(deliver), 62.0)
    assert esme.receive(encode(deliver), 63.0) == [RequestReceived(deliver)]


def test_what_has_expired_is_remembered_up_to_a_bound() -> None:
    esme = bound("esme", timers=Timers(response=60, enquire_link=0), peer_window=2)
    for turn in range(3):
        pair = [DeliverSm(sequence_number=number) for number in (2 * turn + 1, 2 * turn + 2)]
        esme.receive(b"".join(map(encode, pair)), 60.0 * turn)
        esme.tick(60.0 * (turn + 1))
    again = [DeliverSm(sequence_number=number) for number in (1, 6)]
    assert esme.receive(b"".join(map(encode, again)), 180.0) == [RequestReceived(again[0])]


def test_enquire_link_is_answered_in_every_state() -> None:
    for role in ("esme", "smsc"):
        for connection in (opened(role), *(bound(role, bind) for bind in BINDS)):
            assert connection.receive(encode(EnquireLink(sequence_number=4)), 0.0) == []
            assert written(connection) == [EnquireLinkResp(sequence_number=4)]


# -- what is wrong


def test_an_unknown_command_is_nacked_and_the_link_lives() -> None:
    esme = bound("esme")
    (error,) = errors(esme.receive(encode(UnknownPdu(command_id=0x10203, sequence_number=6)), 0.0))
    assert not error.fatal
    nack = GenericNack(sequence_number=6, command_status=CommandStatus.ESME_RINVCMDID)
    assert written(esme) == [nack]
    assert esme.state is State.BOUND_TRX


def test_an_unknown_response_is_counted() -> None:
    esme = bound("esme")
    assert errors(esme.receive(encode(UnknownPdu(command_id=0x80010203, sequence_number=6)), 0.0))
    assert esme.data_to_send() == b""


def torn(pdu: Pdu, octets: bytes) -> bytes:
    """The PDU with other octets for a body."""
    return (16 + len(octets)).to_bytes(4) + encode(pdu)[4:16] + octets


def test_a_request_that_cannot_be_read_is_refused() -> None:
    esme = bound("esme")
    (error,) = errors(esme.receive(torn(DeliverSm(sequence_number=6), b"\0\1"), 0.0))
    assert isinstance(error, PduError)
    (refusal,) = written(esme)
    assert isinstance(refusal, DeliverSmResp)
    assert (refusal.sequence_number, refusal.command_status) == (6, error.status)
    assert esme.state is State.BOUND_TRX


@pytest.mark.parametrize(
    ("request_", "body", "certain"),
    [
        (SUBMIT, b"id\0\x04\x27\0\x63\1", SubmitSmResp(message_id="id")),
        (
            SUBMIT,
            b"id\0\x14\x00\0\1x\x04\x27\0\x63\1",
            SubmitSmResp(message_id="id", tlvs=((0x1400, b"x"),)),
        ),
        (QuerySm(message_id="id"), b"id\0\0\x02", QuerySmResp()),
    ],
    ids=["a TLV that lies", "a TLV that lies behind one that does not", "no end of its body"],
)
def test_a_response_that_cannot_be_read_still_answers(request_: Pdu, body: bytes, certain: Pdu) -> None:
    """Its header is good; to wait for the timeout would only send the message again. Its id is kept."""
    esme = bound("esme")
    number = esme.send_request(request_, 0.0, "x")
    esme.data_to_send()
    answer = msgspec.structs.replace(certain, sequence_number=number)
    events = esme.receive(torn(answer, body), 0.0)
    assert isinstance(errors(events)[0], PduError)
    assert events[-1] == RequestAnswered("x", Answered(answer))
    assert (esme.in_flight, esme.data_to_send()) == (0, b"")


def test_out_of_step_is_nacked_and_ends_the_session() -> None:
    esme = bound("esme")
    number = esme.send_request(SUBMIT, 0.0, "x")
    esme.data_to_send()
    good = encode(SubmitSmResp(sequence_number=number))
    lie = b"\0\0\0\3" + encode(EnquireLink(sequence_number=44))[4:]
    events = esme.receive(good + lie + good, 0.0)
    assert [type(event) for event in events] == [RequestAnswered, PeerErred, Ended]
    assert isinstance(errors(events)[0], FrameError)
    nack = GenericNack(sequence_number=44, command_status=CommandStatus.ESME_RINVCMDLEN)
    assert written(esme) == [nack]
    assert esme.state is State.CLOSED
    assert esme.receive(good, 0.0) == []


# -- the end


def test_a_lost_link_answers_everything_at_once() -> None:
    esme = bound("esme")
    for index in range(3):
        esme.send_request(SUBMIT, 0.0, index)
    events = esme.lost("reset by peer")
    lost = LinkLost("reset by peer")
    assert events == [*(RequestAnswered(index, lost) for index in range(3)), Ended("reset by peer")]
    assert (esme.state, esme.in_flight, esme.deadline()) == (State.CLOSED, 0, None)
    assert esme.lost() == []


def test_a_lost_link_fails_the_bind() -> None:
    esme = opened("esme")
    esme.send_request(BindTransceiver(), 0.0, "bind")
    assert esme.lost("gone") == [RequestAnswered("bind", LinkLost("gone")), Ended("gone")]


def test_after_the_end_nothing_is_said_or_heard() -> None:
    smsc = bound("smsc")
    smsc.receive(encode(SubmitSm(sequence_number=1)), 0.0)
    smsc.close("enough")
    assert smsc.events() == [Ended("enough")]
    smsc.send_response(SubmitSmResp(sequence_number=1), 0.0)
    smsc.unbind(0.0)
    smsc.finish_unbind()
    assert (smsc.data_to_send(), smsc.events(), smsc.tick(1e9), smsc.ending) == (b"", [], [], "enough")
    with pytest.raises(WrongState):
        smsc.send_request(DeliverSm(), 0.0, "x")


def test_a_connection_serves_once() -> None:
    esme = opened("esme")
    with pytest.raises(Misuse):
        esme.connected(0.0)
    esme.lost()
    with pytest.raises(Misuse):
        esme.connected(0.0)


def test_before_it_is_connected_it_says_so() -> None:
    esme = Connection("esme")
    assert esme.ending == "not connected"
    assert (esme.receive(b"x", 0.0), esme.deadline(), esme.state) == ([], None, State.CLOSED)
    with pytest.raises(WrongState, match="not connected"):
        esme.send_request(BindTransceiver(), 0.0, "x")


def test_unbind_ends_with_the_response() -> None:
    esme = bound("esme")
    esme.send_request(SUBMIT, 0.0, "x")
    esme.data_to_send()
    esme.unbind(1.0)
    (unbind,) = written(esme)
    assert isinstance(unbind, Unbind)
    assert esme.ending
    with pytest.raises(WrongState):
        esme.send_request(SUBMIT, 1.0, "too late")
    answered = encode(SubmitSmResp(sequence_number=2)) + encode(response_to(unbind))
    events = esme.receive(answered, 2.0)
    assert events == [RequestAnswered("x", Answered(SubmitSmResp(sequence_number=2))), Ended("unbound")]
    assert esme.state is State.UNBOUND


def test_unbind_waits_no_longer_than_its_timer() -> None:
    esme = bound("esme")
    esme.send_request(SUBMIT, 0.0, "x")
    esme.unbind(10.0)
    esme.unbind(14.0)
    assert esme.tick(14.9) == []
    lost, ended = esme.tick(15.0)
    assert isinstance(lost, RequestAnswered)
    assert isinstance(lost.answer, LinkLost)
    assert isinstance(ended, Ended)


def test_unbind_without_a_timer_does_not_wait() -> None:
    esme = bound("esme", timers=Timers(unbind=0))
    esme.unbind(0.0)
    assert [type(pdu) for pdu in written(esme)] == [Unbind]
    assert esme.events() == [Ended("unbound")]


def test_unbind_before_the_bind_just_closes() -> None:
    esme = opened("esme")
    esme.unbind(0.0)
    assert esme.data_to_send() == b""
    assert [type(event) for event in esme.events()] == [Ended]


def test_the_peers_unbind_is_answered_at_once_when_nothing_is_in_flight() -> None:
    esme = bound("esme")
    events = esme.receive(encode(Unbind(sequence_number=3)), 0.0)
    assert events == [UnbindReceived(), Ended("the peer has unbound")]
    assert written(esme) == [UnbindResp(sequence_number=3)]
    assert esme.state is State.UNBOUND


def test_the_peers_unbind_is_answered_when_all_is_settled() -> None:
    esme = bound("esme")
    esme.send_request(SUBMIT, 0.0, "x")
    esme.data_to_send()
    delivery = encode(DeliverSm(sequence_number=2)) + encode(Unbind(sequence_number=3))
    assert [type(event) for event in esme.receive(delivery, 0.0)] == [RequestReceived, UnbindReceived]
    assert esme.ending == "the peer unbinds"
    assert [type(event) for event in esme.receive(encode(SubmitSmResp(sequence_number=2)), 1.0)] == [
        RequestAnswered
    ]
    esme.send_response(DeliverSmResp(sequence_number=2), 2.0)
    assert esme.events() == [Ended("the peer has unbound")]
    assert written(esme) == [DeliverSmResp(sequence_number=2), UnbindResp(sequence_number=3)]


def test_the_peers_unbind_waits_no_longer_than_the_timer() -> None:
    esme = bound("esme")
    esme.send_request(SUBMIT, 0.0, "x")
    esme.receive(encode(Unbind(sequence_number=3)), 0.0)
    esme.data_to_send()
    assert esme.tick(4.9) == []
    assert [type(event) for event in esme.tick(5.0)] == [RequestAnswered, Ended]
    assert written(esme) == [UnbindResp(sequence_number=3)]


def test_the_application_may_finish_the_peers_unbind() -> None:
    esme = bound("esme")
    esme.finish_unbind()
    esme.send_request(SUBMIT, 0.0, "x")
    esme.receive(encode(Unbind(sequence_number=3)), 0.0)
    esme.data_to_send()
    esme.finish_unbind()
    assert [type(event) for event in esme.events()] == [RequestAnswered, Ended]
    assert written(esme) == [UnbindResp(sequence_number=3)]


def test_unbinds_that_cross_are_both_answered() -> None:
    esme, smsc = bound("esme"), bound("smsc")
    esme.unbind(0.0)
    smsc.unbind(0.0)
    ours, theirs = esme.data_to_send(), smsc.data_to_send()
    assert esme.receive(theirs, 0.0) == smsc.receive(ours, 0.0) == []
    ours, theirs = esme.data_to_send(), smsc.data_to_send()
    assert esme.receive(theirs, 0.0) == smsc.receive(ours, 0.0) == [Ended("unbound")]


# -- timers


def run_out(connection: Connection, until: float) -> list[Event]:
    """What happens until then, waking when the connection asks to be woken."""
    events: list[Event] = []
    while (at := connection.deadline()) is not None and at <= until:
        events += connection.tick(at)
        assert connection.deadline() != at
    return events


@pytest.mark.parametrize("role", ["esme", "smsc"])
def test_session_init(role: Role) -> None:
    connection = opened(role)
    assert connection.deadline() == 10.0
    assert connection.tick(9.9) == []
    assert connection.tick(10.0) == [Ended("not bound within 10 s")]
    assert bound(role).tick(10.0) == []


def test_a_response_times_out_and_others_do_not() -> None:
    esme = bound("esme", timers=Timers(enquire_link=0))
    esme.send_request(SUBMIT, 1.0, "first")
    esme.send_request(SUBMIT, 2.0, "second")
    assert esme.tick(60.9) == []
    assert esme.tick(61.0) == [RequestAnswered("first", TimedOut())]
    assert (esme.in_flight, esme.deadline()) == (1, 62.0)
    assert esme.tick(62.0) == [RequestAnswered("second", TimedOut())]
    assert esme.deadline() is None


def test_a_response_after_its_timeout_is_still_matched() -> None:
    esme = bound("esme", timers=Timers(enquire_link=0))
    number = esme.send_request(SUBMIT, 0.0, "x")
    esme.tick(60.0)
    assert errors(esme.receive(encode(DeliverSmResp(sequence_number=number)), 70.0))
    response = SubmitSmResp(sequence_number=number, message_id="late")
    assert esme.receive(encode(response), 70.0) == [AnsweredLate(SUBMIT, response)]
    assert errors(esme.receive(encode(response), 70.0))


def test_the_memory_of_timed_out_requests_is_bounded() -> None:
    esme = bound("esme", timers=Timers(enquire_link=0), late_memory=2)
    numbers = [esme.send_request(SUBMIT, 0.0, "x") for _ in range(3)]
    esme.tick(60.0)
    late = b"".join(encode(SubmitSmResp(sequence_number=number)) for number in numbers)
    assert [type(event) for event in esme.receive(late, 61.0)] == [PeerErred, AnsweredLate, AnsweredLate]


def test_the_deadline_is_not_moved_by_an_answer() -> None:
    """The timer is left alone on the hot path; it fires early and is set anew."""
    esme = bound("esme", timers=Timers(enquire_link=0))
    number = esme.send_request(SUBMIT, 0.0, "x")
    esme.send_request(SUBMIT, 20.0, "y")
    esme.receive(encode(SubmitSmResp(sequence_number=number)), 30.0)
    assert esme.deadline() == 60.0
    assert esme.tick(60.0) == []
    assert esme.deadline() == 80.0


def test_silence_is_probed_twice_and_then_the_link_is_dead() -> None:
    esme = bound("esme", timers=Timers(enquire_link=30, response=0))
    assert run_out(esme, 29.9) == []
    assert esme.data_to_send() == b""
    assert run_out(esme, 30.0) == []
    assert [type(pdu) for pdu in written(esme)] == [EnquireLink]
    esme.send_request(SUBMIT, 31.0, "x")
    assert run_out(esme, 89.9) == []
    assert [type(pdu) for pdu in written(esme)] == [SubmitSm, EnquireLink]
    events = run_out(esme, 90.0)
    assert [type(event) for event in events] == [RequestAnswered, Ended]
    assert events[-1] == Ended("dead: silent for 90 s")


def test_any_pdu_is_a_sign_of_life() -> None:
    esme = bound("esme", timers=Timers(enquire_link=30))
    for at in (25.0, 50.0, 75.0):
        assert run_out(esme, at) == []
        esme.receive(encode(EnquireLink(sequence_number=1)), at)
    assert {type(pdu) for pdu in written(esme)} == {EnquireLinkResp}
    run_out(esme, 105.0)
    (probe,) = written(esme)
    assert esme.receive(encode(response_to(probe)), 106.0) == []
    assert run_out(esme, 135.9) == []
    assert esme.data_to_send() == b""


def test_a_link_that_answers_every_probe_lives_for_ever() -> None:
    esme = bound("esme", timers=Timers(enquire_link=30))
    for at in range(30, 3000, 30):
        assert run_out(esme, at) == []
        (probe,) = written(esme)
        assert esme.receive(encode(response_to(probe)), at) == []
    assert len(esme._asked) == 0


def test_half_a_pdu_is_no_sign_of_life() -> None:
    esme = bound("esme", timers=Timers(enquire_link=30))
    esme.receive(encode(EnquireLink())[:10], 29.0)
    run_out(esme, 30.0)
    assert [type(pdu) for pdu in written(esme)] == [EnquireLink]


def test_inactivity_unbinds() -> None:
    esme = bound("esme", timers=Timers(inactivity=100, enquire_link=30))
    esme.send_request(SUBMIT, 50.0, "x")
    esme.receive(encode(SubmitSmResp(sequence_number=2)), 60.0)
    for at in (80.0, 110.0, 140.0):
        run_out(esme, at)
        esme.receive(encode(EnquireLink(sequence_number=1)), at)
    esme.data_to_send()
    run_out(esme, 160.0)
    (unbind,) = written(esme)
    assert isinstance(unbind, Unbind)
    assert esme.receive(encode(response_to(unbind)), 161.0) == [Ended("no message for 100 s")]


def test_timers_that_are_off_never_run() -> None:
    off = Timers(session_init=0, enquire_link=0, inactivity=0, response=0)
    esme = opened("esme", timers=off)
    assert esme.deadline() is None
    esme = bound("esme", timers=off)
    esme.send_request(SUBMIT, 0.0, "x")
    esme.receive(encode(DeliverSm(sequence_number=1)), 0.0)
    assert esme.deadline() is None
    assert esme.tick(1e9) == []


def test_floats_that_do_not_add_up_do_not_spin() -> None:
    """0.1 + 0.2 > 0.3: a timer that has run out by one sum must have by the other."""
    for step in range(1, 200):
        esme = bound("esme", timers=Timers(response=0.1 * step, enquire_link=0))
        esme.send_request(SUBMIT, 0.1 * step, "x")
        at = esme.deadline()
        assert at is not None
        assert esme.tick(at) == [RequestAnswered("x", TimedOut())]


def test_the_repr_is_for_operators() -> None:
    esme = bound("esme")
    esme.send_request(SUBMIT, 0.0, "x")
    assert repr(esme) == "<SMPP esme bound as transceiver, 1/10 in flight, 0 of the peer's>"
