"""Our driver against modems that ail in every way at once, and what must hold all the same.

An answer is the truth: what is `Sent` reached the network once, what is `Unsent` or `Refused` did not, and
what is `Unanswered` did at most once. And no message from a phone is lost, whatever restarts, as long as
the line itself loses no octets.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import msgspec
import pytest

from smsgw.gsm import messages
from smsgw.gsm.addresses import Address
from smsgw.gsm.connection import Connection
from smsgw.gsm.events import Answer, MessageReceived, Refused, ReportReceived, Sent, Unanswered, Unsent
from smsgw.gsm.shapes import Submit, UserData
from smsgw.simulator.modem.behaviour import Behaviour
from smsgw.simulator.modem.control import obey
from smsgw.simulator.modem.families import FAMILIES
from smsgw.sms import join
from tests.simulator.modem.dialogue import Dialogue

MESSAGES = 12
NASTINESS: dict[str, tuple[Any, ...]] = {
    "latency": (0, 0.05, 0.5),
    "jitter": (0, 0.2),
    "octet_time": (0, 0.0005),
    "noise": (0, 0.2),
    "noise_in_pairs": (0, 0.2),
    "noise_every": (0, 7.0),
    "boot": (0, 5.0),
    "sim_busy": (0, 4.0),
    "registration": (0, 8.0),
    "stutter": (0, 0.05),
    "hang": (0, 0.01),
    "hang_time": (20.0, 70.0, 200.0),
    "hang_in_send": (0, 0.1),
    "reset_every": (0, 97.0),
    "reset_in_send": (0, 0.1),
    "prompt_lost": (0, 0.1),
    "prompt_delay": (0, 2.0),
    "submit_delay": (0, 3.0, 12.0),
    "submit_jitter": (0, 10.0, 80.0),
    "submit_errors": ({}, {"temporary": 0.1, "unknown": 0.1, "permanent": 0.05, "link": 0.05}),
    "report_delay": (0, 3.0),
    "room": ({}, {"SM": 3, "ME": 3}),
}
TROUBLES: tuple[dict[str, Any], ...] = (
    {"do": "behave", "set": {"coverage": False}},
    {"do": "behave", "set": {"sim": False}},
    {"do": "reset"},
    {"do": "hang"},
)
CURE = {"do": "behave", "set": {"coverage": True, "sim": True}}


def submit(number: int) -> Submit:
    data = UserData(10, bytes.fromhex("E8329BFD4697D9EC37"))
    return Submit(destination=Address(f"4670{number:07}"), status_report=True, data=data)


class Chaos:
    """One application: it settles what it receives late, and not always as safe."""

    def __init__(self, seed: int, family: str, **fields: Any) -> None:
        self.chance = Random(seed)
        drawn = {name: self.chance.choice(values) for name, values in NASTINESS.items()}
        behaviour = msgspec.convert({**drawn, **fields, "seed": seed, "family": family}, Behaviour)
        self.dialogue = Dialogue(behaviour, safe=False)
        self.answers: dict[int, Answer] = {}
        self.texts: Counter[str | None] = Counter()
        self._unsettled: list[tuple[Connection, MessageReceived | ReportReceived]] = []
        self._seen = 0
        self.dialogue.open()

    def obey(self, wish: dict[str, Any]) -> None:
        assert obey(self.dialogue.modem, msgspec.json.encode(wish), self.dialogue.now).ok

    def settle(self, share: float) -> None:
        dialogue = self.dialogue
        for event in dialogue.events[self._seen :]:
            if isinstance(event, MessageReceived | ReportReceived):
                self._unsettled.append((dialogue.connection, event))
        self._seen = len(dialogue.events)
        settled = [item for item in self._unsettled if self.chance.random() < share]
        for connection, event in settled:
            self._unsettled.remove((connection, event))
            safe = self.chance.random() < 0.9
            if safe and isinstance(event, MessageReceived):
                self.texts[join.join([messages.fragment(event.tpdu)]).text] += 1
            connection.settle(event.handle, dialogue.now, safe=safe)

    def trouble(self) -> None:
        self.obey(self.chance.choice(TROUBLES))
        self.dialogue.run(most=self.chance.choice((5.0, 50.0, 200.0)))
        self.obey(CURE)

    def recover(self) -> bool:
        """Whether a message can be sent now."""
        dialogue = self.dialogue
        if dialogue.connection.state == "ended":
            dialogue.now += 5.0
            dialogue.modem.tick(dialogue.now)
            dialogue.reopen()
        elif not dialogue.connection.can_send:
            dialogue.run(lambda: dialogue.connection.can_send)
        return dialogue.connection.can_send

    def run(self) -> None:
        for _ in range(100):
            self.settle(0.5)
            if self.chance.random() < 0.1:
                self.trouble()
            if self.recover():
                number = len(self.answers)
                self.answers[number] = self.dialogue.send(submit(number), most=400.0)
                self.dialogue.bring(text=f"hello {number}")
            if len(self.answers) == MESSAGES:
                break
        for _ in range(100):
            self.settle(1.0)
            if not self.missing:
                break
            self.recover()
            self.dialogue.run(most=60.0)

    @property
    def missing(self) -> list[int]:
        return [number for number in self.answers if not self.texts[f"hello {number}"]]


EXPECTED: dict[type[Answer], set[int]] = {Sent: {1}, Unsent: {0}, Refused: {0}, Unanswered: {0, 1}}


def check(chaos: Chaos) -> None:
    assert len(chaos.answers) > MESSAGES // 2
    submitted = Counter(entry.number for entry in chaos.dialogue.journal("submitted"))
    lies = {
        number: answer
        for number, answer in chaos.answers.items()
        if submitted[f"+4670{number:07}"] not in EXPECTED[type(answer)]
    }
    assert lies == {}


FOUND = [
    # the place of a message that was deleted twice held another one by then
    (26, "nokia"),
    (42, "simcom"),
    (79, "huawei"),
    # a late acknowledgement was taken for the next message
    (126, "simcom"),
    (217, "simcom"),
    (227, "cinterion"),
]


@pytest.mark.parametrize(
    ("seed", "family"), [*((seed, family) for seed in (1, 2) for family in FAMILIES), *FOUND]
)
def test_answers_are_true_and_nothing_is_lost(seed: int, family: str) -> None:
    chaos = Chaos(seed, family)
    chaos.run()
    check(chaos)
    assert chaos.missing == []


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_are_true_on_a_bad_line(family: str) -> None:
    chaos = Chaos(4, family, lost=0.0005, garbled=0.0005, lost_typed=0.0005)
    chaos.run()
    check(chaos)
