"""What the network brings: AT+CNMI, AT+CNMA, memories and what does not fit."""

from __future__ import annotations

from typing import Any

import pytest

from smsgw.gsm import messages
from smsgw.gsm.shapes import Deliver, StatusReport
from smsgw.gsm.tpdu import from_hex
from smsgw.sms import join
from tests.simulator.modem.typist import Typist, lines


def told(cnmi: str, csms: int = 0, **fields: Any) -> Typist:
    typist = Typist(**fields).quiet()
    assert typist.say(f"AT+CSMS={csms}")[-1] == "OK"
    assert typist.say(f"AT+CNMI={cnmi}") == ["OK"]
    return typist


def bring(typist: Typist, **fields: Any) -> list[str]:
    typist.control("inbound", **fields)
    return lines(typist.heard())


def text_of(line: str) -> str | None:
    tpdu = from_hex(line, None, "sc").tpdu
    assert isinstance(tpdu, Deliver)
    return join.join([messages.fragment(tpdu)]).text


# -- stored


def test_what_is_stored_is_indicated_listed_read_and_deleted() -> None:
    typist = told("2,1,0,0,0")
    assert bring(typist, text="one") == ['+CMTI: "SM",1']
    assert bring(typist, text="two") == ['+CMTI: "SM",2']
    header, pdu, final = typist.say("AT+CMGR=1")
    assert (header[:11], text_of(pdu), final) == ("+CMGR: 0,,2", "one", "OK")
    assert typist.say("AT+CMGR=1")[0].startswith("+CMGR: 1,")
    assert [line[:10] for line in typist.say("AT+CMGL")[::2]] == ["+CMGL: 2,0", "OK"]
    assert len(typist.say("AT+CMGL=4")) == 5
    assert typist.say("AT+CMGL=0") == ["OK"]
    assert typist.say("AT+CPMS?")[0].startswith('+CPMS: "SM",2,10,')
    assert typist.say("AT+CMGD=1") == ["OK"]
    assert typist.say("AT+CMGR=1") == ["+CMS ERROR: 321"]
    assert bring(typist) == ['+CMTI: "SM",1']
    assert typist.say("AT+CMGD=1,4") == ["OK"]
    assert typist.say("AT+CMGL=4") == ["OK"]
    assert [entry.event for entry in typist.entries] == ["inbound"] * 2 + ["read"] * 2 + [
        "deleted",
        "inbound",
        "deleted",
        "deleted",
    ]


@pytest.mark.parametrize(("family", "expected"), [("simcom", "OK"), ("cinterion", "+CMS ERROR: 321")])
def test_deleting_what_is_not_there(family: str, expected: str) -> None:
    assert Typist(family=family).quiet().say("AT+CMGD=3") == [expected]
    assert Typist(family=family).quiet().say("AT+CMGD=99") == ["+CMS ERROR: 321"]


def test_nothing_is_indicated_unless_asked_for() -> None:
    typist = told("2,0,0,0,0")
    assert bring(typist) == []
    assert typist.say("AT+CMGL=4")[0].startswith("+CMGL: 1,0")


def test_with_mode_0_indications_wait() -> None:
    typist = told("0,1,0,0,0")
    assert bring(typist) == []
    assert typist.say("AT+CNMI=2,1,0,0,0") == ['+CMTI: "SM",1', "OK"]
    typist = told("0,1,0,0,0")
    bring(typist)
    assert typist.say("AT+CNMI=2,1,0,0,1") == ["OK"]


def test_the_memory_that_receives_is_the_third() -> None:
    typist = told("2,1,0,0,0")
    assert typist.say('AT+CPMS="SM","SM","ME"') == ["+CPMS: 0,10,0,10,0,20", "OK"]
    assert bring(typist) == ['+CMTI: "ME",1']
    assert typist.say('AT+CPMS="ME"') == ["+CPMS: 1,20,0,10,1,20", "OK"]
    assert typist.say('AT+CPMS="XX"') == ["+CMS ERROR: 302"]


@pytest.mark.parametrize(("family", "least"), [("simcom", 1), ("nokia", 2), ("sonyericsson", 3)])
def test_some_want_several_memories_named(family: str, least: int) -> None:
    typist = Typist(family=family).quiet()
    for count in (1, 2, 3):
        said = typist.say("AT+CPMS=" + ",".join(['"ME"'] * count))
        assert (said[-1] == "OK") is (count >= least)


def test_both_memories_as_one() -> None:
    typist = told("2,1,0,0,1", family="cinterion", room={"ME": 2, "SM": 2})
    typist.say('AT+CPMS="MT","MT","MT"')
    assert [bring(typist) for _ in range(5)] == [
        ['+CMTI: "MT",1'],
        ['+CMTI: "MT",2'],
        ['+CMTI: "MT",3'],
        ['+CMTI: "MT",4'],
        ["^SMGO: 2"],
    ]
    assert typist.say("AT+CMGD=4") == ["OK", '+CMTI: "MT",4']
    assert len(typist.say("AT+CMGL=4")) == 9


def test_a_full_memory_refuses_until_there_is_room() -> None:
    typist = told("2,1,0,0,0", family="quectel", room={"ME": 1}, retry=50.0)
    assert bring(typist, text="first") == ['+CMTI: "ME",0']
    assert bring(typist, text="second") == ['+QIND: "smsfull","ME"']
    assert typist.modem.report().waiting == 1
    assert typist.wait(51.0) == ['+QIND: "smsfull","ME"']
    prompt = typist.type("AT+CMGW=22\r")
    assert prompt.endswith("> ")
    assert lines(typist.type("0021000B916407000000F100000AE8329BFD4697D9EC37\x1a")) == ["+CMS ERROR: 322"]
    typist.say("AT+CMGD=0")
    assert typist.say("AT+CMGR=0")[1:] != []
    assert typist.modem.report().inbound_delivered == 2


def test_messages_of_ours_may_be_stored() -> None:
    typist = Typist().quiet()
    typist.type("AT+CMGW=22\r")
    assert lines(typist.type("0021000B916407000000F100000AE8329BFD4697D9EC37\x1a")) == ["+CMGW: 1", "OK"]
    assert typist.say("AT+CMGL=4")[0] == "+CMGL: 1,2,,22"
    assert typist.say("AT+CMGD=1,1")[-1] == "OK"
    assert typist.say("AT+CMGL=2")[0] == "+CMGL: 1,2,,22"


# -- direct


def test_direct_without_acknowledgement() -> None:
    typist = told("2,2,0,1,0")
    header, pdu = bring(typist, text="hello")
    assert header == "+CMT: ,24"
    assert text_of(pdu) == "hello"
    assert bring(typist)[0][:5] == "+CMT:"
    assert typist.say("AT+CNMA=0") == ["+CMS ERROR: 340"]
    assert typist.say("AT+CMGL=4") == ["OK"]


def test_one_at_a_time_where_they_are_acknowledged() -> None:
    typist = told("2,2,0,1,0", csms=1)
    assert text_of(bring(typist, text="one")[1]) == "one"
    assert bring(typist, text="two") == []
    said = typist.say("AT+CNMA=0")
    assert (said[0], said[1][:5], text_of(said[2])) == ("OK", "+CMT:", "two")
    assert typist.modem.report().inbound_delivered == 1
    assert typist.say("AT+CNMA=0") == ["OK"]
    assert typist.say("AT+CNMA=0") == ["+CMS ERROR: 340"]
    assert typist.modem.report().inbound_delivered == 2


def test_what_is_declined_comes_again() -> None:
    typist = told("2,2,0,1,0", csms=1, retry=10.0)
    bring(typist, text="one")
    assert typist.say("AT+CNMA=2") == ["OK"]
    assert text_of(typist.wait(11.0)[1]) == "one"
    assert typist.modem.report().waiting == 1


def test_without_an_acknowledgement_direct_routing_ends() -> None:
    typist = told("2,2,0,1,0", csms=1, acknowledge_within=15.0, retry=10.0)
    bring(typist, text="one")
    assert typist.wait(30.0) == []
    assert typist.say("AT+CNMI?")[0] == "+CNMI: 2,0,0,0,0"
    assert len(typist.say("AT+CMGL=4")) == 3
    report = typist.modem.report()
    assert (report.unacknowledged, report.inbound_delivered, report.waiting) == (1, 1, 0)


@pytest.mark.parametrize(
    ("family", "form", "known"),
    [
        ("simcom", "AT+CNMA", False),
        ("simcom", "AT+CNMA=0", True),
        ("quectel", "AT+CNMA", True),
        ("quectel", "AT+CNMA=1", True),
        ("cinterion", "AT+CNMA=1", True),
        ("cinterion", "AT+CNMA", False),
    ],
)
def test_forms_of_acknowledgement(family: str, form: str, known: bool) -> None:
    typist = told("2,2,0,1,1", csms=1, family=family)
    bring(typist)
    assert (typist.say(form)[-1] == "OK") is known


def test_a_message_for_the_sim_is_stored_whatever_was_asked() -> None:
    typist = told("2,2,0,1,0")
    assert bring(typist, text="x", coding=0xF2) == ['+CMTI: "SM",1']
    typist = told("2,3,0,1,0")
    assert bring(typist, text="x", coding=0xF3)[0][:5] == "+CMT:"
    assert bring(typist, text="x") == ['+CMTI: "SM",1']


def test_what_is_on_its_way_at_a_restart_comes_again() -> None:
    typist = told("2,2,0,1,0", csms=1)
    bring(typist, text="one")
    typist.control("reset")
    assert lines(typist.heard())[-1] == '+CMTI: "SM",1'
    typist.quiet()
    assert len(typist.say("AT+CMGL=4")) == 3
    assert typist.modem.report().inbound_delivered == 1


# -- reports


def reported(typist: Typist) -> StatusReport:
    said = typist.wait(60.0)
    assert said[0][:5] == "+CDS:"
    tpdu = from_hex(said[1], int(said[0][6:]), "sc").tpdu
    assert isinstance(tpdu, StatusReport)
    return tpdu


def test_a_report_tells_reference_and_number() -> None:
    typist = told("2,1,0,1,0", report_delay=5.0, first_reference=77)
    assert typist.send() == ["+CMGS: 77", "OK"]
    report = reported(typist)
    assert (report.reference, report.recipient.number, report.status.code) == (77, "+46700000001", 0)
    moments = report.timestamp.moment, report.discharged.moment
    assert moments[0] is not None and moments[1] is not None
    assert (moments[1] - moments[0]).total_seconds() == 5.0


@pytest.mark.parametrize(
    ("form", "number"), [("same", "+46700000001"), ("unknown", "46700000001"), ("national", "700000001")]
)
def test_how_networks_write_the_recipient(form: str, number: str) -> None:
    typist = told("2,1,0,1,0", report_recipient=form, report_delay=1.0)
    typist.send()
    assert reported(typist).recipient.number == number


def test_a_temporary_report_then_the_final_one_then_that_again() -> None:
    typist = told(
        "2,1,0,1,0",
        report_delay=5.0,
        report_temporary=1.0,
        report_repeated=1.0,
        report_states={"0x46": 1.0},
    )
    typist.send()
    said = typist.wait(60.0)[1::2]
    tpdus = [from_hex(line, None, "sc").tpdu for line in said]
    assert [tpdu.status.code for tpdu in tpdus if isinstance(tpdu, StatusReport)] == [0x30, 0x46, 0x46]
    assert typist.modem.report().reports_delivered == 3


def test_reports_that_nobody_asked_to_see_are_gone() -> None:
    typist = told("2,1,0,0,0")
    assert typist.send() == ["+CMGS: 0", "OK"]
    assert typist.modem.report().lost == 1
    assert [entry.outcome for entry in typist.events("report")] == ["dropped"]


def test_reports_that_are_stored() -> None:
    typist = told("2,1,0,2,0", family="quectel")
    assert typist.send() == ["+CMGS: 0", "OK", '+CDSI: "SR",0']
    typist.say('AT+CPMS="SR"')
    assert typist.say("AT+CMGR=0")[0].startswith("+CMGR: 0,,25")


def test_no_report_where_none_is_wanted_or_none_comes() -> None:
    typist = told("2,1,0,1,0")
    assert typist.send("0001" + "000B916407000000F100000AE8329BFD4697D9EC37") == ["+CMGS: 0", "OK"]
    typist = told("2,1,0,1,0", reports=0.0)
    assert typist.send() == ["+CMGS: 0", "OK"]


@pytest.mark.parametrize(
    ("family", "parameters", "taken"),
    [
        ("simcom", "2,2,0,1,0", True),
        ("simcom", "2,1,0,2,0", False),
        ("quectel", "2,1,0,2,0", True),
        ("cinterion", "2,1,0,1,0", False),
        ("cinterion", "2,1,0,1,1", True),
        ("zte", "2,2,0,1,0", False),
        ("nokia", "1,1,0,1,0", False),
        ("sonyericsson", "3,1,0,2", True),
        ("simcom", "2,,,1", True),
        ("simcom", "2,1,0,0,0,0", False),
        ("simcom", "", True),
    ],
)
def test_forms_of_cnmi(family: str, parameters: str, taken: bool) -> None:
    assert (Typist(family=family).quiet().say(f"AT+CNMI={parameters}") == ["OK"]) is taken
