"""The SIM: there or not, open or not, and who may try how often."""

from __future__ import annotations

from typing import Literal

from smsgw.simulator.modem.answers import (
    BAD_PARAMETERS,
    FINE,
    NO_SIM,
    NOT_ALLOWED,
    PIN_WANTED,
    PUK_WANTED,
    SIM_BUSY,
    SIM_FAILED,
    WRONG_PASSWORD,
    Answer,
    Refusal,
    refused,
)
from smsgw.simulator.modem.shared import Entry, Shared

State = Literal["absent", "busy", "pin", "puk", "blocked", "open"]

PIN_TRIES = 3
PUK_TRIES = 10

_CME: dict[State, Refusal] = {
    "absent": NO_SIM,
    "busy": SIM_BUSY,
    "pin": PIN_WANTED,
    "puk": PUK_WANTED,
    "blocked": SIM_FAILED,
}
_CMS: dict[State, int] = {"absent": 310, "busy": 314, "pin": 311, "puk": 316, "blocked": 313}


class Card:
    """Its tries survive every restart, its being open none. `opened` is told when it opens."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.inserted = shared.behaviour.sim
        self.pin = shared.behaviour.pin
        self.smsc = shared.behaviour.smsc
        self.pin_tries = PIN_TRIES
        self.puk_tries = PUK_TRIES
        self._verified = False
        self._busy_until = 0.0

    def restart(self, busy_until: float) -> None:
        self._verified = False
        self._busy_until = busy_until

    @property
    def state(self) -> State:
        if not self.inserted:
            return "absent"
        if self._shared.now < self._busy_until:
            return "busy"
        if not self.puk_tries:
            return "blocked"
        if not self.pin_tries:
            return "puk"
        return "open" if self._verified or not self.pin else "pin"

    def trouble(self, *, messages: bool) -> Refusal | None:
        """Why a command that needs the SIM is refused."""
        state = self.state
        if state == "open":
            return None
        return Refusal("cms", _CMS[state]) if messages else _CME[state]

    def told(self) -> Answer:
        """AT+CPIN?"""
        state = self.state
        words = {"open": "READY", "pin": "SIM PIN", "puk": "SIM PUK"}
        if state in words:
            return Answer(lines=(f"+CPIN: {words[state]}",))
        return refused(_CME[state])

    def enter(self, secrets: list[str]) -> Answer:
        """AT+CPIN="pin", or "puk","new pin"."""
        state = self.state
        if state == "open":
            return refused(NOT_ALLOWED)
        if state not in {"pin", "puk"}:
            return refused(_CME[state])
        if state == "puk" and len(secrets) < 2:
            return refused(PUK_WANTED)
        if not all(secret.isdigit() and 4 <= len(secret) <= 8 for secret in secrets):
            return refused(BAD_PARAMETERS)
        right = self._verify(secrets) if state == "pin" else self._unblock(secrets)
        self._shared.record(Entry(at=self._shared.wall, event="pin", outcome="right" if right else "wrong"))
        if right:
            return FINE
        self._shared.counts.pins_wrong += 1
        return refused(WRONG_PASSWORD if self.pin_tries or state == "puk" else PUK_WANTED)

    def _verify(self, secrets: list[str]) -> bool:
        self._verified = secrets[0] == self.pin
        self.pin_tries = PIN_TRIES if self._verified else self.pin_tries - 1
        return self._verified

    def _unblock(self, secrets: list[str]) -> bool:
        if secrets[0] != self._shared.behaviour.puk:
            self.puk_tries -= 1
            return False
        self.pin, self.pin_tries, self.puk_tries = secrets[1], PIN_TRIES, PUK_TRIES
        self._verified = True
        return True
