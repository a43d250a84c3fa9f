"""Our own modem driver against simulated modems of every family: no I/O, no clock."""

from __future__ import annotations

from typing import Any

import pytest

from smsgw.gsm.addresses import Address
from smsgw.gsm.events import MessageReceived, ReportReceived, Sent
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
