"""The line to the client: what becomes of octets on their way."""

from __future__ import annotations

from smsgw.simulator.modem.profile import Profile
from smsgw.simulator.modem.schedule import Schedule
from smsgw.simulator.modem.shared import Shared

MAX_WAITING = 1 << 16
"""Octets that nobody takes; more are lost, as on any line without flow control."""

_NUMERIC = {"OK": "0", "ERROR": "4", "RING": "2", "NO CARRIER": "3"}
"""Result codes with ATV0."""


class Line:
    """`say` writes lines, `write` octets. With `octet_time` they leave one by one."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._out = bytearray()
        self._slow = Schedule()
        self._free_at = 0.0

    def clear(self) -> None:
        self._out.clear()
        self._slow.clear()
        self._free_at = 0.0

    def deadline(self) -> float:
        return self._slow.deadline()

    def data_to_send(self) -> bytes:
        while (action := self._slow.take(self._shared.now)) is not None:
            action()
        out, self._out = bytes(self._out), bytearray()
        return out

    def say(self, text: str, profile: Profile) -> None:
        if not profile.verbose:
            text = _NUMERIC.get(text, text)
            self.write(f"{text}\r".encode() if text.isdigit() else f"{text}\r\n".encode())
        else:
            self.write(f"\r\n{text}\r\n".encode("ascii", "replace"))

    def continue_with(self, pdu: str) -> None:
        """The line behind a header."""
        self.write(f"{pdu}\r\n".encode())

    def write(self, octets: bytes) -> None:
        octets = self._spoilt(octets)
        behaviour, now = self._shared.behaviour, self._shared.now
        if not behaviour.octet_time:
            self._append(octets)
            return
        self._free_at = max(self._free_at, now)
        for octet in octets[: MAX_WAITING - len(self._slow)]:
            self._free_at += behaviour.octet_time
            self._slow.add(self._free_at, self._append, bytes((octet,)))

    def _append(self, octets: bytes) -> None:
        self._out += octets[: MAX_WAITING - len(self._out)]

    def _spoilt(self, octets: bytes) -> bytes:
        behaviour, dice = self._shared.behaviour, self._shared.dice
        if not behaviour.lost and not behaviour.garbled:
            return octets
        kept = bytearray()
        for octet in octets:
            if dice.chance("lost", behaviour.lost):
                continue
            kept.append(
                dice.stream("garble").randrange(256) if dice.chance("garbled", behaviour.garbled) else octet
            )
        return bytes(kept)

    def heard(self, octets: bytes) -> bytes:
        """What arrives of what was typed."""
        share, dice = self._shared.behaviour.lost_typed, self._shared.dice
        return bytes(octet for octet in octets if not dice.chance("lost typed", share)) if share else octets
