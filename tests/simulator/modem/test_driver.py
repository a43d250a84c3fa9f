"""Our own modem driver against simulated modems of every family: no I/O, no clock."""

from __future__ import annotations

from typing import Any

import pytest

from smsgw.gsm.addresses import Address
from smsgw.gsm.events import (
    Ended,
    Identified,
    MessageReceived,
    Refused,
    ReportReceived,
    Sent,
    SignalMeasured,
    StateChanged,
    Unanswered,
    Unsent,
    UssdAnswered,
)
from smsgw.gsm.settings import Settings
from smsgw.gsm.shapes import Submit, UserData
from smsgw.simulator.modem.behaviour import Behaviour
from smsgw.simulator.modem.families import FAMILIES
from tests.simulator.modem.dialogue import Dialogue

SUBMIT = Submit(
    destination=Address("46700000001"),
    status_report=True,
    data=UserData(10, bytes.fromhex("E8329BFD4697D9EC37")),
)
LONG = "a message of several parts " * 10
ROUGH: dict[str, Any] = {
    "latency": 0.05,
    "jitter": 0.1,
    "octet_time": 0.001,
    "noise": 0.3,
    "noise_in_pairs": 0.3,
    "noise_every": 3.0,
    "submit_delay": 2.0,
    "report_delay": 3.0,
}

every_family = pytest.mark.parametrize("family", FAMILIES)


@every_family
@pytest.mark.parametrize("fields", [{}, ROUGH], ids=["kind", "rough"])
def test_messages_go_out_and_come_in(family: str, fields: dict[str, Any]) -> None:
    dialogue = Dialogue(Behaviour(family=family, **fields)).open()
    assert dialogue.send(SUBMIT) == Sent(0)
    assert dialogue.send(SUBMIT) == Sent(1)
    dialogue.bring(text=LONG)
    dialogue.bring(**{"from": "ACME"}, text="снова")
    dialogue.run(most=100.0)
    assert [entry.number for entry in dialogue.journal("submitted")] == ["+46700000001"] * 2
    assert [report.tpdu.reference for report in dialogue.told(ReportReceived)] == [0, 1]
    senders = [message.tpdu.originator.value for message in dialogue.told(MessageReceived)]
    assert sorted(senders) == ["46700000001", "46700000001", "ACME"]
    assert not any(memory.listed() for memory in dialogue.modem.memories.by_name.values())
    assert (dialogue.modem.report().waiting, dialogue.modem.report().typed_while_busy) == (0, 0)
    assert dialogue.rungs() == []


NAMES = {
    "simcom": "SIMCom",
    "quectel": "Quectel",
    "huawei": "Huawei",
    "cinterion": "Cinterion",
    "zte": "ZTE",
    "nokia": "Nokia",
    "sonyericsson": "Sony Ericsson",
}


@every_family
def test_it_is_known_for_what_it_is(family: str) -> None:
    dialogue = Dialogue(Behaviour(family=family)).open()
    (identified,) = dialogue.told(Identified)
    assert identified.family == NAMES[family]
    assert dialogue.connection.facts.imsi == "240011234567890"
    assert dialogue.told(SignalMeasured)[-1].dbm == -77


@every_family
def test_a_slow_start_with_a_pin(family: str) -> None:
    behaviour = Behaviour(family=family, pin="1234", sim_busy=5.0, registration=20.0, stutter=0.2)
    dialogue = Dialogue(behaviour, Settings(pin="1234")).open()
    assert dialogue.send(SUBMIT) == Sent(0)
    assert [entry.outcome for entry in dialogue.journal("pin")] == ["right"]


@every_family
def test_a_wrong_pin_costs_one_try_however_often_the_port_is_opened(family: str) -> None:
    dialogue = Dialogue(Behaviour(family=family, pin="1234"), Settings(pin="9999")).open()
    for _ in range(5):
        dialogue.reopen()
    assert dialogue.connection.state == "ended"
    assert not dialogue.told(Ended)[-1].reopen
    assert dialogue.modem.report().pins_wrong == 1


@every_family
def test_a_network_that_goes_and_comes(family: str) -> None:
    dialogue = Dialogue(Behaviour(family=family, registration=10.0)).open()
    dialogue.change(coverage=False)
    assert dialogue.connection.state == "searching"
    assert not dialogue.connection.can_send
    dialogue.run(most=100.0)
    assert dialogue.connection.state == "searching"
    dialogue.change(coverage=True)
    dialogue.run(lambda: dialogue.connection.can_send, most=60.0)
    assert dialogue.send(SUBMIT) == Sent(0)


@every_family
def test_a_sim_that_is_taken_out_and_put_back(family: str) -> None:
    dialogue = Dialogue(Behaviour(family=family)).open()
    dialogue.change(sim=False)
    dialogue.run(lambda: dialogue.connection.state == "ended")
    assert dialogue.told(Ended)[-1].reopen
    dialogue.change(sim=True)
    dialogue.reopen()
    assert dialogue.send(SUBMIT) == Sent(0)


@every_family
def test_a_hang_in_the_midst_of_a_message(family: str) -> None:
    dialogue = Dialogue(Behaviour(family=family, hang_in_send=1.0, hang_sends=1.0, hang_time=70.0)).open()
    assert isinstance(dialogue.send(SUBMIT), Unanswered)
    dialogue.change(hang_in_send=0.0)
    dialogue.run(lambda: dialogue.connection.can_send)
    if dialogue.unplugged:
        dialogue.reopen()
    assert dialogue.connection.can_send
    assert dialogue.rungs()[0] == "escape"
    assert isinstance(dialogue.send(SUBMIT), Sent)
    assert dialogue.modem.report().submitted == 2


@every_family
def test_a_modem_that_nothing_helps_is_given_back_and_works_after_its_power_was_cut(family: str) -> None:
    dialogue = Dialogue(Behaviour(family=family)).open()
    dialogue.modem.hang("for good")
    dialogue.run()
    assert dialogue.rungs() == ["escape", "reset", "restart"]
    assert dialogue.told(Ended)[-1].reopen
    dialogue.modem.restart("its power was cut")
    dialogue.reopen()
    assert dialogue.send(SUBMIT) == Sent(0)


@every_family
def test_a_prompt_that_does_not_come(family: str) -> None:
    dialogue = Dialogue(Behaviour(family=family, prompt_lost=1.0)).open()
    assert isinstance(dialogue.send(SUBMIT), Unsent)
    dialogue.change(prompt_lost=0.0)
    dialogue.run(lambda: dialogue.connection.can_send)
    assert dialogue.send(SUBMIT) == Sent(0)
    assert dialogue.modem.report().bad_pdus == 0


@every_family
def test_a_restart_that_may_go_unnoticed_costs_no_report_for_long(family: str) -> None:
    dialogue = Dialogue(Behaviour(family=family, registration=4.0)).open()
    dialogue.modem.restart("by itself")
    dialogue.run(most=130.0)
    if dialogue.connection.state == "ended":
        dialogue.reopen()
    assert isinstance(dialogue.send(SUBMIT), Sent)
    dialogue.bring(text="hello")
    dialogue.run(most=70.0)
    assert len(dialogue.told(ReportReceived)) == 1
    assert len(dialogue.told(MessageReceived)) == 1


@every_family
def test_a_full_storage_is_told_and_drained(family: str) -> None:
    behaviour = Behaviour(family=family, room={"SM": 2, "ME": 2}, retry=20.0)
    dialogue = Dialogue(behaviour, Settings(receive="stored"), safe=False).open()
    for number in range(5):
        dialogue.bring(text=f"hello {number}")
    dialogue.run(most=70.0)
    assert dialogue.connection.storage_full
    assert dialogue.modem.report().waiting == 3
    dialogue.safe = True
    for message in dialogue.told(MessageReceived):
        dialogue.connection.settle(message.handle, dialogue.now, safe=True)
    dialogue.run(most=200.0)
    assert len(dialogue.told(MessageReceived)) == 5
    assert dialogue.modem.report().waiting == 0
    assert not dialogue.connection.storage_full


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("21", "permanent"),
        ("38", "temporary"),
        ("42", "temporary"),
        ("8", "link"),
        ("330", "link"),
        ("500", "unknown"),
        ("ERROR", "unknown"),
    ],
)
@every_family
def test_whose_fault_a_refusal_is(family: str, fault: str, expected: str) -> None:
    dialogue = Dialogue(Behaviour(family=family, submit_errors={fault: 1.0})).open()
    answer = dialogue.send(SUBMIT)
    assert isinstance(answer, Refused)
    assert answer.error_class == expected
    assert dialogue.connection.can_send


@every_family
def test_a_code_is_answered(family: str) -> None:
    dialogue = Dialogue(Behaviour(family=family, ussd={"*100#": "12.50 left"}, ussd_delay=3.0)).open()
    dialogue.connection.ask_ussd("*100#", dialogue.now, "context")
    dialogue.run(lambda: dialogue.told(UssdAnswered), most=30.0)
    (answered,) = dialogue.told(UssdAnswered)
    assert (answered.text, answered.more, answered.problem) == ("12.50 left", False, None)


def test_a_quiet_day_costs_no_state_changes() -> None:
    dialogue = Dialogue(Behaviour(noise_every=30.0)).open()
    before = len(dialogue.told(StateChanged))
    dialogue.run(most=24 * 3600.0)
    assert len(dialogue.told(StateChanged)) == before
    assert dialogue.rungs() == []
