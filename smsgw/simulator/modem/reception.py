"""What the modem does with what the network brings: AT+CNMI, AT+CNMA (3GPP TS 27.005, clause 3.4)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from smsgw.gsm.shapes import Deliver
from smsgw.gsm.tpdu import to_hex
from smsgw.simulator.modem.answers import FINE, Answer, cms
from smsgw.simulator.modem.memory import Memories, Stored
from smsgw.simulator.modem.network import Letter, Network, Taken
from smsgw.simulator.modem.profile import Profile
from smsgw.simulator.modem.schedule import Schedule
from smsgw.simulator.modem.shared import Entry, Shared
from smsgw.sms.coding_scheme import scheme

Said: TypeAlias = str | tuple[str, str]

BUFFERED = 50
"""Indications that are kept with <mode>=0; the oldest is lost first."""


class Reception:
    def __init__(
        self,
        shared: Shared,
        schedule: Schedule,
        memories: Memories,
        profile: Profile,
        network: Network,
        announce: Callable[[Said], None],
    ) -> None:
        self._shared = shared
        self._schedule = schedule
        self._memories = memories
        self._profile = profile
        self._network = network
        self._announce = announce
        self._waiting = 0
        self._turn = 0
        self._buffered: deque[Said] = deque(maxlen=BUFFERED)

    def take(self, letter: Letter) -> Taken:
        """From the network."""
        line, length = to_hex(letter.tpdu, self._network.smsc)
        _, mt, _, ds, _ = self._profile.cnmi
        if not isinstance(letter.tpdu, Deliver):
            if not ds:
                return self._told(letter, "none", "dropped")
            if ds == 1:
                return self._direct(letter, (f"+CDS: {length}", line))
            return self._store(letter, self._shared.family.reports_in or "SM", Stored(line, length), "+CDSI")
        kind = scheme(letter.tpdu.coding).message_class
        if (mt == 2 and kind != 2) or (mt == 3 and kind == 3):
            return self._direct(letter, (f"+CMT: ,{length}", line))
        name = "SM" if kind == 2 else self._memories.selected[2]
        return self._store(letter, name, Stored(line, length), "+CMTI" if mt else "")

    def _told(self, letter: Letter, route: str, outcome: Taken, index: int | None = None) -> Taken:
        tpdu, shared = letter.tpdu, self._shared
        if isinstance(tpdu, Deliver):
            entry = Entry(
                at=shared.wall,
                event="inbound",
                number=tpdu.originator.number,
                route=route,
                outcome=outcome,
                index=index,
            )
        else:
            entry = Entry(
                at=shared.wall,
                event="report",
                number=tpdu.recipient.number,
                reference=tpdu.reference,
                status=tpdu.status.code,
                route=route,
                outcome=outcome,
                index=index,
            )
        shared.record(entry)
        return outcome

    def _direct(self, letter: Letter, said: Said) -> Taken:
        self._say(said)
        if not self._profile.csms:
            return self._told(letter, "direct", "taken")
        self._waiting += 1
        self._turn += 1
        until = self._shared.now + self._shared.behaviour.acknowledge_within
        self._schedule.add(until, self._not_acknowledged, self._turn)
        return self._told(letter, "direct", "waits")

    def _store(self, letter: Letter, name: str, stored: Stored, indication: str) -> Taken:
        index = self._memories.by_name[name].add(stored)
        if index is None:
            if self._shared.family.full:
                self._announce(self._shared.family.full)
            return self._told(letter, name, "refused")
        if indication:
            self._say(f'{indication}: "{name}",{index}')
        return self._told(letter, name, "taken", index)

    def _say(self, said: Said) -> None:
        if self._profile.cnmi[0]:
            self._announce(said)
        else:
            self._buffered.append(said)

    def indicate(self, values: list[int]) -> None:
        """AT+CNMI was taken: what was kept is said or, with <bfr>=1, forgotten."""
        self._profile.cnmi = values
        if not values[0]:
            return
        kept, self._buffered = list(self._buffered), deque(maxlen=BUFFERED)
        if not values[4]:
            for said in kept:
                self._announce(said)

    # -- acknowledgements

    def acknowledge(self, *, accepted: bool) -> Answer:
        """AT+CNMA."""
        if not self._profile.csms or not self._waiting:
            return cms(340)
        self._end("taken" if accepted else "refused")
        return FINE

    def _not_acknowledged(self, turn: int) -> None:
        if turn != self._turn or not self._waiting:
            return
        self._shared.counts.unacknowledged += 1
        self._profile.cnmi[1] = self._profile.cnmi[3] = 0
        self._end("refused")

    def _end(self, taken: Taken) -> None:
        self._waiting -= 1
        self._turn += 1
        self._network.settle(taken)

    def forget(self) -> None:
        """It restarts."""
        self._waiting = 0
        self._turn += 1
        self._buffered.clear()
