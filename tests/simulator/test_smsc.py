"""A message centre as its clients meet it: binds, submits, receipts, inbound messages, its end."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from smsgw.errors import Misuse
from smsgw.simulator.behaviour import Behaviour, Inbound
from smsgw.simulator.submits import octets
from smsgw.smpp.constants import Tag
from smsgw.smpp.pdu import (
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    CancelSm,
    DataSm,
    DataSmResp,
    DeliverSm,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Pdu,
    QuerySm,
    ReplaceSm,
    SmeAddress,
    SubmitMulti,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
    response_to,
)

World = Callable[..., Any]
ASKING: dict[str, Any] = {"registered_delivery": 1}


def ids(pdus: list[Pdu]) -> list[str]:
    return [pdu.message_id for pdu in pdus if isinstance(pdu, SubmitSmResp)]


def kinds(pdus: list[Pdu]) -> list[str]:
    return [type(pdu).__name__ for pdu in pdus]


# -- binding


@pytest.mark.parametrize("bind", [BindTransmitter, BindReceiver, BindTransceiver])
def test_everyone_may_bind_where_there_are_no_accounts(world: World, bind: type[Pdu]) -> None:
    here = world()
    answer = here.dial().ask(bind(system_id="who", password="any"))  # type: ignore[call-arg]
    assert answer.command_status == 0
    assert answer.tlv(Tag.SC_INTERFACE_VERSION) == 0x34
    report = here.centre.report()
    assert (report.binds, report.bound, report.sessions[0].system_id) == (1, 1, "who")


@pytest.mark.parametrize(
    ("system_id", "password", "status"),
    [("acme", "secret", 0), ("acme", "wrong", 0x0E), ("nobody", "secret", 0x0F)],
)
def test_accounts_are_checked(world: World, system_id: str, password: str, status: int) -> None:
    here = world(accounts={"acme": "secret"})
    answer = here.dial().ask(BindTransceiver(system_id=system_id, password=password))
    assert answer.command_status == status
    assert here.centre.report().binds_refused == ({f"0x{status:08x}": 1} if status else {})


def test_the_first_binds_are_refused(world: World) -> None:
    here = world(refuse_binds=2, refuse_binds_with="0x0000000e")
    client = here.dial()
    answers = [client.ask(BindTransceiver()).command_status for _ in range(3)]
    assert answers == [0x0E, 0x0E, 0]


def test_every_bind_is_refused(world: World) -> None:
    client = world(refuse_binds=-1).dial()
    assert {client.ask(BindTransceiver()).command_status for _ in range(5)} == {0x0D}


def test_a_bind_may_be_answered_late_or_never(world: World) -> None:
    slow = world(bind_delay=2.0)
    client = slow.dial()
    client.send(BindTransceiver())
    assert client.read() == []
    slow.wait(2)
    assert kinds(client.read()) == ["BindTransceiverResp"]
    mute = world(never_answer_bind=True)
    client = mute.dial()
    client.send(BindTransceiver())
    mute.wait(20)
    assert client.read() == []
    assert not client.connected  # session_init


def test_a_cut_session_lingers_and_a_parted_one_does_not(world: World) -> None:
    here = world(bind_limit=1, session_lingers=30.0)
    here.bound().lose()
    assert here.dial().ask(BindTransceiver(system_id="acme")).command_status == 0x05
    assert here.dial().ask(BindTransceiver(system_id="other")).command_status == 0
    here.wait(30)
    parting = here.bound()
    assert isinstance(parting.ask(Unbind()), UnbindResp)
    here.bound()
    assert here.centre.report().unbinds_received == 1


def test_a_greeting_comes_in_one_segment_with_the_bind_response(world: World) -> None:
    here = world(greet=True)
    client = here.dial()
    client.send(BindTransceiver(system_id="acme"))
    assert len(client.segments) == 1
    assert kinds(client.read()) == ["BindTransceiverResp", "DeliverSm"]


# -- submits


def test_a_submit_is_answered_at_once_with_an_id_of_its_own(world: World) -> None:
    here = world()
    client = here.bound()
    client.send(*(SubmitSm(destination_addr=f"4670{n}", short_message=b"hi") for n in range(3)))
    assert ids(client.read()) == ["100", "101", "102"]
    report = here.centre.report()
    assert (report.submits, report.accepted, report.distinct, report.in_flight) == (3, 3, 3, 0)
    assert report.destinations == {"46700": 1, "46701": 1, "46702": 1}
    assert here.centre.times_accepted("46700", b"hi") == 1


def test_ids_start_from_the_clock_so_that_a_restart_repeats_none(world: World) -> None:
    found = world(first_id=0).bound().submit()
    assert found.message_id == str((1_800_000_000 + 1000) * 1_000_000 + 1)


def test_responses_are_delayed_and_in_flight_until_then(world: World) -> None:
    here = world(response_delay=0.01)
    one, two = here.bound(), here.bound()
    for client, number in ((one, 3), (two, 2)):
        client.send(*(SubmitSm(destination_addr="46701", short_message=b"%d" % n) for n in range(number)))
    assert one.read() == []
    here.wait(0.01)
    assert len(ids(one.read())) == 3
    one.send(SubmitSm(destination_addr="46701"))
    report = here.centre.report()
    assert (report.peak_in_flight, report.peak_in_flight_of_a_session, report.in_flight) == (5, 3, 1)
    assert [session.peak_in_flight for session in report.sessions] == [3, 2]


def test_the_same_text_to_the_same_number_is_a_duplicate(world: World) -> None:
    here = world()
    client = here.bound()
    for text, to in (("a", "1"), ("a", "2"), ("b", "1"), ("a", "1")):
        client.submit(text, to)
    assert (here.centre.counts.duplicates, here.centre.counts.distinct) == (1, 3)


def test_data_sm_and_submit_multi_are_submits_too(world: World) -> None:
    here = world()
    client = here.bound()
    data = DataSm(destination_addr="1", tlvs=((Tag.MESSAGE_PAYLOAD, b"long"),))
    multi = SubmitMulti(
        dest_address=(SmeAddress(destination_addr="2"), SmeAddress(destination_addr="3")),
        short_message=b"all",
    )
    assert isinstance(client.ask(data), DataSmResp)
    assert isinstance(client.ask(multi), SubmitMultiResp)
    assert here.centre.report().destinations == {"1": 1, "2": 1, "3": 1}


@pytest.mark.parametrize(
    ("request_pdu", "status"), [(QuerySm(), 0x67), (CancelSm(), 0x11), (ReplaceSm(), 0x13)]
)
def test_messages_have_left_already_when_asked_about(world: World, request_pdu: Pdu, status: int) -> None:
    here = world()
    assert here.bound().ask(request_pdu).command_status == status
    assert here.centre.report().other_requests == {type(request_pdu).__name__: 1}


@pytest.mark.parametrize("body", [False, True])
def test_a_refusal_has_a_body_only_on_request(world: World, body: bool) -> None:
    here = world(statuses={"0x45": 1.0}, error_body=body)
    client = here.bound()
    client.send(SubmitSm(destination_addr="1"))
    found = client.octets()
    assert found[8:12] == b"\0\0\0\x45"
    assert found[16:] == (b"0\0" if body else b"")
    assert here.centre.report().refused == {"0x00000045": 1}
    assert here.centre.counts.accepted == 0


def test_throttling_is_per_account_and_recovers(world: World) -> None:
    here = world(throttle=2.0, throttle_burst=2.0)
    one, other = here.bound(), here.bound(BindTransceiver(system_id="other"))
    assert [one.submit(str(n)).command_status for n in range(3)] == [0, 0, 0x58]
    assert other.submit().command_status == 0
    here.wait(0.5)
    assert [one.submit(str(n)).command_status for n in range(2)] == [0, 0x58]


def test_the_queue_is_full_with_too_many_unanswered(world: World) -> None:
    here = world(queue_full=2, response_delay=1.0)
    client = here.bound()
    client.send(*(SubmitSm(destination_addr=str(n)) for n in range(1, 5)))
    here.wait(1)
    assert [pdu.command_status for pdu in client.read()] == [0, 0, 0x14, 0x14]
    client.send(SubmitSm(destination_addr="5"))
    here.wait(1)
    assert client.read()[0].command_status == 0


def test_a_destination_is_refused_its_first_few_times(world: World) -> None:
    here = world(destinations={"467*": "0x45"}, refuse_first={"467*": 1})
    client = here.bound()
    assert [client.submit(to=to).command_status for to in ("4671", "4672", "4671", "4672", "1")] == [
        0x45,
        0x45,
        0,
        0,
        0,
    ]


def test_a_response_may_never_come(world: World) -> None:
    here = world(never_answer=1.0)
    client = here.bound()
    client.send(SubmitSm(destination_addr="1", short_message=b"x"))
    here.wait(100)
    assert client.read() == []
    assert (here.centre.counts.accepted, here.centre.counts.never_answered) == (1, 1)
    assert here.centre.counts.in_flight == 0


def test_a_late_response_comes_when_the_client_has_given_up(world: World) -> None:
    here = world(late_answer=1.0, late_delay=90.0)
    client = here.bound()
    client.send(SubmitSm(destination_addr="1"))
    here.wait(89)
    assert client.read() == []
    here.wait(1)
    assert ids(client.read()) == ["100"]


def test_half_an_answer_and_then_nothing(world: World) -> None:
    here = world(half_answer=1.0)
    client = here.bound()
    client.send(SubmitSm(destination_addr="1"))
    assert client.octets() == (b"\0\0\0\x14\x80\0\0\x04" + b"\0" * 7 + b"\x02" + b"100\0")[:10]
    assert not client.connected
    assert here.centre.counts.accepted == 1


def test_the_link_is_cut_instead_of_an_answer(world: World) -> None:
    here = world(drop_instead_of_answer=1.0)
    client = here.bound()
    client.send(SubmitSm(destination_addr="1"), SubmitSm(destination_addr="2"))
    assert client.octets() == b""
    assert not client.connected
    report = here.centre.report()
    assert (report.accepted, report.cut_unanswered, report.links_cut, report.bound) == (1, 1, 1, 0)
    assert report.in_flight == 0


def test_the_link_is_cut_at_the_so_many_th_submit(world: World) -> None:
    here = world(drop_after=3)
    client = here.bound()
    assert [client.submit(str(n)).command_status for n in range(2)] == [0, 0]
    client.send(SubmitSm(destination_addr="1"))
    assert not client.connected
    assert (here.centre.counts.accepted, here.centre.counts.submits) == (2, 3)


def test_links_are_cut_by_share(world: World) -> None:
    here = world(drop_share=0.5)
    survived = 0
    for _ in range(40):
        client = here.bound()
        client.send(SubmitSm(destination_addr="1"))
        survived += client.connected
    assert 8 < survived < 32
    assert here.centre.counts.accepted == survived


@pytest.mark.parametrize("form", Behaviour().malformed_forms)
def test_a_spoilt_response_is_counted_and_the_centre_goes_on(world: World, form: str) -> None:
    here = world(malformed=1.0, malformed_forms=(form,))
    client = here.bound()
    good = here.bound()
    client.send(SubmitSm(destination_addr="1"))
    assert client.octets()
    here.centre.behave(Behaviour())
    assert good.submit().command_status == 0
    report = here.centre.report()
    assert report.spoilt == {form: 1}
    assert report.accepted == (1 if form in ("generic-nack", "vendor-status") else 2)


# -- receipts


def test_a_receipt_follows_the_response_where_it_is_asked_for(world: World) -> None:
    here = world(receipt_delay=1.0, response_delay=0.5)
    client = here.bound()
    client.send(SubmitSm(destination_addr="1", **ASKING), SubmitSm(destination_addr="2"))
    here.wait(0.5)
    assert ids(client.read()) == ["100", "101"]
    assert here.centre.report().pending == 1
    here.wait(1.0)
    (found,) = client.take()
    assert found.tlv(Tag.RECEIPTED_MESSAGE_ID) == "100"
    assert (found.source_addr, found.esm_class) == ("1", 4)
    report = here.centre.report()
    assert (report.receipts_made, report.receipts_answered, report.pending) == (1, 1, 0)
    assert report.receipts_by_stat == {"DELIVRD": 1}


def test_without_any_delay_the_response_is_still_first(world: World) -> None:
    client = world().bound()
    client.send(SubmitSm(destination_addr="1", **ASKING))
    assert kinds(client.read()) == ["SubmitSmResp", "DeliverSm"]


@pytest.mark.parametrize("delay", [0.0, 0.5])
def test_an_early_receipt_overtakes_its_response(world: World, delay: float) -> None:
    here = world(early_receipts=1.0, response_delay=delay)
    client = here.bound()
    client.send(SubmitSm(destination_addr="1", **ASKING))
    first = client.read()
    here.wait(delay)
    assert kinds(first + client.read()) == ["DeliverSm", "SubmitSmResp"]


def test_a_receipt_is_of_the_id_in_its_own_spelling(world: World) -> None:
    client = world(message_id="hex-in-receipt", first_id=255).bound()
    client.send(SubmitSm(destination_addr="1", **ASKING))
    response, found = client.read()
    assert response.message_id == "255"
    assert found.tlv(Tag.RECEIPTED_MESSAGE_ID) == "ff"


def test_receipts_come_by_share_and_unasked(world: World) -> None:
    here = world(receipts=0.0, unsolicited_receipts=1.0)
    client = here.bound()
    client.send(SubmitSm(destination_addr="1", **ASKING), SubmitSm(destination_addr="2"))
    assert [pdu.source_addr for pdu in client.take()] == ["2"]


def test_states_follow_the_destination_or_the_weights(world: World) -> None:
    here = world(states={"UNDELIV": 1.0}, destination_states={"46*": "EXPIRED"}, receipt_form="text")
    client = here.bound()
    client.send(*(SubmitSm(destination_addr=to, **ASKING) for to in ("1", "46701")))
    texts = [pdu.short_message for pdu in client.take()]
    assert [b"stat:UNDELIV" in texts[0], b"stat:EXPIRED" in texts[1]] == [True, True]


def test_an_intermediate_receipt_comes_first(world: World) -> None:
    here = world(intermediate=1.0, receipt_delay=1.0)
    client = here.bound()
    client.submit(**ASKING)
    here.wait(1)
    assert [(pdu.esm_class, pdu.tlv(Tag.MESSAGE_STATE)) for pdu in client.take()] == [(0x20, 1)]
    here.wait(1)
    assert [(pdu.esm_class, pdu.tlv(Tag.MESSAGE_STATE)) for pdu in client.take()] == [(0x04, 2)]


@pytest.mark.parametrize(("part", "numbers"), [("all", [1, 2, 3]), ("first", [1]), ("last", [3])])
def test_which_part_of_a_long_message_gets_the_receipt(world: World, part: str, numbers: list[int]) -> None:
    client = world(receipt_part=part, receipt_form="tlv").bound()
    for number in (1, 2, 3):
        header = bytes((5, 0, 3, 7, 3, number))
        client.send(SubmitSm(destination_addr="1", esm_class=0x40, short_message=header + b"x", **ASKING))
    found = [int(str(pdu.tlv(Tag.RECEIPTED_MESSAGE_ID))) - 99 for pdu in client.take()]
    assert found == numbers


def test_a_receipt_comes_again_until_it_is_taken(world: World) -> None:
    here = world(receipt_retry_delay=2.0)
    client = here.bound()
    client.send(SubmitSm(destination_addr="1", **ASKING))
    assert len(client.take(0x64)) == 1
    here.wait(1.9)
    assert client.take() == []
    here.wait(0.1)
    assert len(client.take(0)) == 1
    here.wait(100)
    assert client.take() == []
    report = here.centre.report()
    assert (report.receipts_made, report.receipts_sent, report.receipts_answered) == (1, 2, 1)


def test_a_receipt_that_is_never_taken_is_given_up(world: World) -> None:
    here = world(receipt_retry_delay=1.0, receipt_attempts=3)
    client = here.bound()
    client.send(SubmitSm(destination_addr="1", **ASKING))
    seen = 0
    for _ in range(10):
        seen += len(client.take(0x64))
        here.wait(1)
    report = here.centre.report()
    assert (seen, report.receipts_lost, report.pending) == (3, 1, 0)


@pytest.mark.parametrize("status", [0x65, 0x66])
def test_a_permanent_no_ends_it(world: World, status: int) -> None:
    here = world()
    client = here.bound()
    client.send(SubmitSm(destination_addr="1", **ASKING))
    client.take(status)
    here.wait(100)
    assert client.take() == []
    assert (here.centre.counts.receipts_refused, here.centre.report().pending) == (1, 0)


def test_an_unanswered_receipt_comes_again_after_the_timeout(world: World) -> None:
    here = world(response_timeout=10.0, receipt_retry_delay=1.0)
    client = here.bound()
    client.send(SubmitSm(destination_addr="1", **ASKING))
    first = [pdu for pdu in client.read() if isinstance(pdu, DeliverSm)]
    here.wait(10)
    here.wait(1)
    assert [pdu.short_message for pdu in client.take()] == [pdu.short_message for pdu in first]


def test_an_answered_receipt_may_be_repeated_once(world: World) -> None:
    here = world(repeated_receipts=1.0, repeat_delay=5.0)
    client = here.bound()
    client.send(SubmitSm(destination_addr="1", **ASKING))
    assert len(client.take()) == 1
    here.wait(5)
    assert len(client.take()) == 1
    here.wait(50)
    assert client.take() == []
    report = here.centre.report()
    assert (report.receipts_made, report.receipts_repeated, report.receipts_answered) == (1, 1, 1)


def test_receipts_wait_for_a_session_that_can_receive(world: World) -> None:
    here = world()
    sender = here.bound(BindTransmitter(system_id="acme"))
    sender.send(SubmitSm(destination_addr="1", **ASKING))
    assert kinds(sender.read()) == ["SubmitSmResp"]
    stranger = here.bound(BindReceiver(system_id="other"))
    assert stranger.read() == []
    receiver = here.dial()
    receiver.send(BindReceiver(system_id="acme"))
    assert kinds(receiver.read()) == ["BindReceiverResp", "DeliverSm"]


def test_receipts_survive_the_link_that_they_were_sent_on(world: World) -> None:
    here = world()
    first = here.bound()
    first.send(*(SubmitSm(destination_addr=str(n), **ASKING) for n in range(1, 4)))
    assert len(first.read()) == 6
    first.lose()
    assert here.centre.report().pending == 3
    second = here.dial()
    second.send(BindTransceiver(system_id="acme"))
    here.wait(0)
    assert sorted(pdu.source_addr for pdu in second.take()) == ["1", "2", "3"]
    assert here.centre.report().receipts_answered == 3


@pytest.mark.parametrize(("where", "counted"), [("same", [4, 0, 0]), ("other", [0, 2, 2])])
def test_receipts_go_to_the_session_that_is_asked_for(world: World, where: str, counted: list[int]) -> None:
    here = world(receipt_bind=where)
    clients = [here.bound() for _ in range(3)]
    clients[0].send(*(SubmitSm(destination_addr=str(n), **ASKING) for n in range(1, 5)))
    assert [len(client.take()) for client in clients] == counted


def test_receipts_on_any_session_take_turns(world: World) -> None:
    here = world(receipt_bind="any")
    clients = [here.bound() for _ in range(2)]
    clients[0].send(*(SubmitSm(destination_addr=str(n), **ASKING) for n in range(1, 5)))
    assert [len(client.take()) for client in clients] == [2, 2]


def test_the_window_of_receipts_is_kept(world: World) -> None:
    here = world(receipt_window=2)
    client = here.bound()
    client.send(*(SubmitSm(destination_addr=str(n), **ASKING) for n in range(1, 6)))
    assert [len(client.take()) for _ in range(4)] == [2, 2, 1, 0]
    assert here.centre.counts.peak_unanswered_deliveries == 2


def test_mailboxes_are_bounded_and_what_is_lost_is_counted(world: World) -> None:
    here = world(mailbox=2, receipt_delay=1.0)
    client = here.bound()
    client.send(*(SubmitSm(destination_addr=str(n), **ASKING) for n in range(1, 6)))
    here.wait(1)
    report = here.centre.report()
    assert (report.receipts_made, report.receipts_lost, report.pending) == (5, 3, 2)
    assert len(client.take()) == 2


# -- links


def test_links_are_cut_in_time(world: World) -> None:
    here = world(drop_every=5.0)
    client = here.bound()
    here.wait(4.9)
    assert client.connected
    here.wait(0.1)
    assert not client.connected
    assert (here.centre.counts.links_cut, here.centre.counts.unbinds_sent) == (1, 0)


def test_sessions_are_unbound_in_time(world: World) -> None:
    here = world(unbind_every=5.0)
    client = here.bound()
    here.wait(5)
    (found,) = client.read()
    assert isinstance(found, Unbind)
    client.send(response_to(found))
    assert not client.connected
    report = here.centre.report()
    assert (report.unbinds_sent, report.links_lost, report.sessions[0].unbinds_sent) == (1, 0, 1)


def test_an_idle_link_is_closed_and_an_enquire_link_keeps_it(world: World) -> None:
    here = world(idle_close=30.0)
    client = here.bound()
    here.wait(20)
    assert isinstance(client.ask(EnquireLink()), EnquireLinkResp)
    here.wait(29)
    assert client.connected
    here.wait(1)
    assert not client.connected


def test_an_unbind_may_be_ignored(world: World) -> None:
    here = world(never_answer_unbind=True)
    client = here.bound()
    client.send(Unbind())
    here.wait(60)
    assert client.read() == []
    assert client.submit().command_status == 0


def test_enquire_links_may_be_ignored(world: World) -> None:
    here = world(ignore_enquire_links=True)
    client = here.bound()
    client.send(EnquireLink(), SubmitSm(destination_addr="1"), EnquireLink())
    assert kinds(client.read()) == ["SubmitSmResp"]


def test_what_is_not_heard_may_come_in_pieces(world: World) -> None:
    client = world(ignore_enquire_links=True).bound()
    stream = client.frame(EnquireLink()) + client.frame(SubmitSm(destination_addr="1"))
    for octet in stream:
        client.wire.dataReceived(bytes((octet,)))
    assert kinds(client.read()) == ["SubmitSmResp"]


def test_garbage_ends_the_link_even_where_something_is_not_heard(world: World) -> None:
    client = world(ignore_enquire_links=True).bound()
    client.wire.dataReceived(b"\0\0\0\x01" * 4)
    assert kinds(client.read()) == ["GenericNack"]
    assert not client.connected


@pytest.mark.parametrize(("rate", "seconds", "expected"), [(4.0, 1.0, 4), (400.0, 0.1, 40)])
def test_a_storm_of_enquire_links(world: World, rate: float, seconds: float, expected: int) -> None:
    here = world(enquire_links=rate)
    client = here.bound()
    for _ in range(round(seconds / 0.01)):
        here.wait(0.01)
    found = client.read()
    assert set(kinds(found)) == {"EnquireLink"}
    assert expected * 0.8 <= len(found) <= expected * 1.2 + 1


def test_octet_by_octet(world: World) -> None:
    here = world(segment=1)
    client = here.dial()
    client.send(BindTransceiver(system_id="acme"))
    for _ in range(100):
        here.wait(0)
    assert kinds(client.read()) == ["BindTransceiverResp"]
    assert set(map(len, client.segments)) == {1}


def test_what_drips_is_written_before_the_link_closes(world: World) -> None:
    here = world(segment=1)
    client = here.dial()
    client.send(BindTransceiver())
    here.wait(0)
    client.send(Unbind())
    for _ in range(100):
        here.wait(0)
    assert kinds(client.read()) == ["BindTransceiverResp", "UnbindResp"]
    assert not client.connected


def test_a_client_s_unknown_command_is_nacked_and_counted(world: World) -> None:
    here = world()
    client = here.bound()
    client.wire.dataReceived(b"\0\0\0\x10\0\x01\x02\x03\0\0\0\0\0\0\0\x63")
    assert client.read() == [GenericNack(sequence_number=0x63, command_status=3)]
    assert here.centre.counts.malformed_received == 1


# -- inbound messages


def test_inbound_messages_come_at_their_rate_up_to_their_limit(world: World) -> None:
    here = world(inbound_rate=10.0, inbound_limit=5, inbound=(Inbound(text="n{n}"), Inbound(text="m{n}")))
    client = here.bound()
    texts = []
    for _ in range(20):
        here.wait(0.1)
        texts += [pdu.short_message.decode() for pdu in client.take()]
    assert texts == ["n1", "m2", "n3", "m4", "n5"]
    assert (here.centre.counts.inbound_made, here.centre.counts.inbound_answered) == (5, 5)


def test_inbound_messages_pause_while_nobody_receives(world: World) -> None:
    here = world(inbound_rate=10.0)
    here.bound(BindTransmitter(system_id="acme"))
    here.wait(10)
    assert here.centre.counts.inbound_made == 0
    client = here.bound()
    here.wait(0)
    client.lose()
    here.wait(10)
    made = here.centre.counts.inbound_made
    assert made == 1
    again = here.dial()
    again.send(BindTransceiver(system_id="acme"))
    for _ in range(8):
        here.wait(0.1)
    assert len(again.take()) == here.centre.counts.inbound_made > 5


def test_an_inbound_message_comes_again_until_it_is_taken(world: World) -> None:
    here = world(greet=True, receipt_retry_delay=1.0)
    client = here.dial()
    client.send(BindTransceiver(system_id="acme"))
    first = client.take(0x64)
    here.wait(1)
    assert [pdu.short_message for pdu in client.take()] == [pdu.short_message for pdu in first]
    assert here.centre.counts.inbound_answered == 1


def test_parts_are_shuffled_over_all_sessions_and_none_is_missing(world: World) -> None:
    long = Inbound(text="long {n} " * 50)
    here = world(inbound_rate=100.0, inbound_limit=30, inbound=(long,), inbound_shuffled=True)
    clients = [here.bound() for _ in range(2)]
    found: list[list[bytes]] = [[], []]
    for _ in range(100):
        here.wait(0.01)
        for client, parts in zip(clients, found, strict=True):
            parts += [pdu.short_message[:6] for pdu in client.take()]
    together = found[0] + found[1]
    assert len(set(together)) == len(together) == 30 * together[0][4]
    assert min(map(len, found)) > 20
    assert found[0] != sorted(found[0])


def test_an_inbound_message_that_can_not_be_sent_is_refused_at_once(world: World) -> None:
    with pytest.raises(Misuse, match="source_addr"):
        world(inbound=(Inbound(source="1" * 30),))


# -- the whole


def test_behaviour_changes_at_run_time(world: World) -> None:
    here = world(throttle=1.0)
    client = here.bound()
    assert [client.submit(str(n)).command_status for n in range(2)] == [0, 0x58]
    here.centre.behave(Behaviour())
    assert [client.submit(str(n)).command_status for n in range(5)] == [0] * 5


def test_a_larger_window_than_at_the_bind_loses_nothing(world: World) -> None:
    here = world(receipt_window=2)
    client = here.bound()
    here.centre.behave(Behaviour(receipt_window=50))
    client.send(*(SubmitSm(destination_addr=str(n), **ASKING) for n in range(1, 6)))
    assert [len(client.take()) for _ in range(3)] == [2, 2, 1]
    assert here.centre.counts.receipts_lost == 0


def test_one_seed_is_one_run(world: World) -> None:
    def run(seed: int) -> list[bytes]:
        here = world(seed=seed, statuses={"0x8": 0.2}, malformed=0.3, states={"DELIVRD": 0.5, "UNDELIV": 0.5})
        client = here.bound()
        for number in range(60):
            client.send(SubmitSm(destination_addr="1", short_message=b"%d" % number, **ASKING))
        return list(client.segments)

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_the_journal_tells_every_message(world: World, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    here = world(log=path, destinations={"9": "0x45"}, message_id="hex-in-receipt")
    client = here.bound()
    client.submit("ol", "1", tlvs=((0x020C, 7),))
    client.send(
        SubmitSm(destination_addr="2", data_coding=8, short_message="å".encode("utf-16-be"), **ASKING)
    )
    client.take()
    client.submit(to="9")
    client.lose()
    here.centre.close()
    lines = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
    assert [line["event"] for line in lines] == [
        "bound",
        "accepted",
        "accepted",
        "receipt",
        "refused",
        "ended",
    ]
    assert (lines[1]["tlvs"], lines[2].get("tlvs")) == ({"0x020c": 7}, None)
    taken = lines[2]
    assert (taken["id"], taken["receipted_id"], taken["text"]) == ("101", "65", "å")
    assert (taken["destination"], taken["data"], taken["times"]) == ("2", "00e5", 1)
    assert (lines[3]["id"], lines[3]["status"], lines[3]["stat"]) == ("101", 0, "DELIVRD")
    assert lines[4]["status"] == 0x45


def test_the_end_unbinds_everyone_and_waits_for_them(world: World) -> None:
    here = world(response_delay=60.0)
    bound, opened = here.bound(), here.dial()
    bound.send(SubmitSm(destination_addr="1"))
    ended: list[object] = []
    here.centre.unbind_all().addCallback(ended.append)
    (found,) = bound.read()
    assert isinstance(found, Unbind)
    assert not opened.connected
    assert not ended
    bound.send(response_to(found))
    assert ended == [None]
    here.centre.close()
    assert here.clock.getDelayedCalls() == []


def test_the_end_does_not_wait_for_ever(world: World) -> None:
    here = world()
    client = here.bound()
    ended: list[object] = []
    here.centre.unbind_all().addCallback(ended.append)
    here.wait(2)
    assert ended == [None]
    assert not client.connected
    here.centre.unbind_all().addCallback(ended.append)
    assert len(ended) == 2


def test_a_repr_tells_an_operator_the_state(world: World) -> None:
    here = world()
    here.bound().submit()
    assert repr(here.centre) == "<MessageCentre sessions=1 accepted=1>"


def test_octets_of_a_submit_are_what_is_remembered(world: World) -> None:
    here = world()
    submit = SubmitSm(destination_addr="1", tlvs=((Tag.MESSAGE_PAYLOAD, b"long"),))
    here.bound().ask(submit)
    assert here.centre.times_accepted("1", octets(submit)) == 1
