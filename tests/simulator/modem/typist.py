"""Somebody who types at a simulated modem and reads what it says; `now` is theirs to move."""

from __future__ import annotations

from typing import Any

import msgspec

from smsgw.simulator.modem.behaviour import Behaviour
from smsgw.simulator.modem.control import Reply, obey
from smsgw.simulator.modem.modem import Modem
from smsgw.simulator.modem.shared import Entry

SUBMIT = "0021000B916407000000F100000AE8329BFD4697D9EC37"
"""An SMS-SUBMIT to +46700000001, `hellohello`, with a status report wanted."""
LENGTH = 22


class Typist:
    def __init__(self, **fields: Any) -> None:
        self.entries: list[Entry] = []
        self.now = 0.0
        self.modem = Modem(Behaviour(**fields), self.now, record=self.entries.append)

    def type(self, text: str) -> str:
        """What is said at once."""
        self.modem.receive(text.encode("latin-1"), self.now)
        return self.heard()

    def heard(self) -> str:
        return self.modem.data_to_send().decode("latin-1")

    def say(self, command: str) -> list[str]:
        """A command; the lines of the answer."""
        return lines(self.type(f"{command}\r"))

    def wait(self, seconds: float) -> list[str]:
        """The lines that come meanwhile."""
        end, said = self.now + seconds, ""
        while self.modem.deadline() <= end:
            self.now = max(self.now, self.modem.deadline())
            self.modem.tick(self.now)
            said += self.heard()
        self.now = end
        return lines(said)

    def quiet(self) -> Typist:
        """Without echo, and with errors in numbers."""
        assert self.say("ATE0+CMEE=1")[-1] == "OK"
        return self

    def send(self, pdu: str = SUBMIT, length: int = LENGTH) -> list[str]:
        prompt = self.type(f"AT+CMGS={length}\r")
        assert prompt.strip().endswith(">"), prompt
        return lines(self.type(f"{pdu}\x1a"))

    def control(self, do: str, **fields: Any) -> Reply:
        reply = obey(self.modem, msgspec.json.encode({"do": do, **fields}), self.now)
        assert reply.ok, reply.error
        return reply

    def events(self, name: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.event == name]


def lines(text: str) -> list[str]:
    return [line for line in text.replace("\r", "\n").split("\n") if line.strip()]
