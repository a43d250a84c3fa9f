"""Registration, signal, operator, USSD, and what phones send."""

from __future__ import annotations

import pytest

from smsgw.errors import Misuse
from smsgw.gsm import messages
from smsgw.gsm.shapes import Deliver
from smsgw.gsm.times import Timestamp
from smsgw.simulator.modem.letters import Inbound, deliveries
from smsgw.sms import join
from tests.simulator.modem.typist import Typist, lines

STAMP = Timestamp(bytes(7))


def test_registration_takes_its_time_and_is_told() -> None:
    typist = Typist(registration=20.0).quiet()
    assert typist.say("AT+CREG=1") == ["OK"]
    assert typist.say("AT+CREG?") == ["+CREG: 1,2", "OK"]
    assert typist.say("AT+COPS?") == ["+COPS: 0", "OK"]
    assert typist.wait(21.0) == ["+CREG: 1"]
    assert typist.say("AT+CREG?;+COPS?") == ["+CREG: 1,1", '+COPS: 0,0,"Operator, SE"', "OK"]
    assert typist.say("AT+CREG=2;+CREG?") == ['+CREG: 2,1,"1A2B","00C3D4E5"', "OK"]


def test_the_network_goes_and_comes() -> None:
    typist = Typist(registration=5.0, roaming=True).quiet()
    typist.wait(6.0)
    typist.say("AT+CREG=1")
    typist.control("behave", set={"coverage": False})
    assert lines(typist.heard()) == ["+CREG: 2"]
    assert typist.say("AT+CSQ")[0] == "+CSQ: 99,99"
    typist.control("inbound", text="meanwhile")
    assert typist.wait(100.0) == []
    typist.control("behave", set={"coverage": True})
    assert typist.wait(6.0) == ["+CREG: 5", '+CMTI: "SM",1']


def test_it_is_denied() -> None:
    assert Typist(denied=True).quiet().say("AT+CREG?")[0] == "+CREG: 0,3"


def test_the_radio_is_switched_off_and_on() -> None:
    typist = Typist().quiet()
    assert typist.say("AT+CFUN=4;+CREG?;+CFUN?") == ["+CREG: 0,0", "+CFUN: 4", "OK"]
    assert typist.say("AT+CFUN=1")[-1] == "OK"
    assert typist.say("AT+CREG?")[0] == "+CREG: 0,1"


# -- USSD


def test_a_code_is_answered_later() -> None:
    typist = Typist(ussd_delay=2.0).quiet()
    assert typist.say('AT+CUSD=1,"*100#",15') == ["OK"]
    assert typist.wait(3.0) == ['+CUSD: 0,"Balance: 12.50",15']
    typist.say('AT+CUSD=1,"*999#",15')
    assert typist.wait(3.0) == ["+CUSD: 4"]
    assert [entry.text for entry in typist.events("ussd")] == ["*100#", "*999#"]


def test_a_menu_wants_a_reply() -> None:
    typist = Typist(ussd={"*1#": "1 more?", "1": "done"}).quiet()
    assert typist.say('AT+CUSD=1,"*1#",15') == ["OK", '+CUSD: 1,"1 more?",15']
    assert typist.say('AT+CUSD=1,"1"') == ["OK", '+CUSD: 0,"done",15']


def test_some_pack_their_septets_and_some_answers_are_ucs2() -> None:
    typist = Typist(family="huawei", ussd={"*100#": "12.50", "*1#": "баланс"}).quiet()
    assert typist.say('AT+CUSD=1,"*100#",15') == ["ERROR"]
    assert typist.say('AT+CUSD=1,"AA180C3602",15') == ["OK", '+CUSD: 0,"3199AB0603",15']
    assert typist.say('AT+CUSD=1,"AAD808",15')[-1].endswith(",72")


def test_without_a_network_there_is_none() -> None:
    assert Typist(coverage=False).quiet().say('AT+CUSD=1,"*100#",15') == ["+CME ERROR: 30"]


def test_texts_are_in_the_character_set_that_was_chosen() -> None:
    typist = Typist().quiet()
    assert typist.say('AT+CSCS="UCS2"') == ["OK"]
    assert (
        typist.say("AT+CSCA?")[0] == '+CSCA: "' + "+46700000000".encode("utf-16-be").hex().upper() + '",145'
    )
    assert typist.say('AT+CSCA="002B0034",145') == ["OK"]
    assert typist.say('AT+CSCA="+4",145') == ["+CMS ERROR: 304"]
    assert typist.say('AT+CSCS="NONE"') == ["+CME ERROR: 50"]


# -- what phones send


@pytest.mark.parametrize("text", ["hello", "привет " * 30, "{x} " * 100, ""])
def test_a_text_comes_in_as_many_parts_as_it_needs(text: str) -> None:
    tpdus = deliveries(Inbound(source="ACME", text=text), STAMP)
    assert {tpdu.originator.value for tpdu in tpdus} == {"ACME"}
    assert join.join(map(messages.fragment, tpdus)).text == text


def test_parts_come_in_the_order_that_was_asked_for() -> None:
    def numbers(tpdus: list[Deliver]) -> list[int]:
        return [messages.fragment(tpdu).number for tpdu in tpdus]

    message = Inbound(text="x" * 400, form="udh16", reference=300, order=(3, 1, 1))
    assert numbers(deliveries(message, STAMP)) == [3, 1, 1]


def test_data_comes_as_it_is() -> None:
    (tpdu,) = deliveries(Inbound(data="06050415810000FF", header=True), STAMP)
    assert (tpdu.coding, tpdu.has_header, tpdu.data.octets.hex()) == (4, True, "06050415810000ff")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (Inbound(source="a name that is too long"), "from"),
        (Inbound(text="привет", encoding="gsm7"), "text"),
        (Inbound(order=(2,)), "order"),
    ],
)
def test_what_can_not_be_sent(message: Inbound, said: str) -> None:
    with pytest.raises(Misuse, match=said):
        deliveries(message, STAMP)


def test_the_mailbox_has_an_end() -> None:
    typist = Typist(coverage=False, mailbox=3)
    for _ in range(5):
        typist.control("inbound")
    report = typist.modem.report()
    assert (report.inbound_made, report.waiting, report.lost) == (5, 3, 2)
