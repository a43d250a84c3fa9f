"""The network behind a simulated modem: what it takes, what it reports, what it brings.

It keeps what the modem can't take, in `mailbox`, and tries again: after `retry` seconds, when the modem
says that it has room, when it registers. One message at a time is on the air.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import Literal, Protocol

import msgspec

from smsgw.gsm import addresses, messages
from smsgw.gsm.addresses import Address, Ton
from smsgw.gsm.shapes import Deliver, StatusReport, Submit
from smsgw.gsm.status import Status
from smsgw.gsm.times import Timestamp, timestamp
from smsgw.gsm.tpdu import encode
from smsgw.simulator.behaviour import longest_match
from smsgw.simulator.modem.schedule import Schedule
from smsgw.simulator.modem.shared import Entry, Shared
from smsgw.simulator.tally import count
from smsgw.sms import join

Taken = Literal["taken", "refused", "waits", "dropped"]
"""`waits`: for the acknowledgement. `dropped`: acknowledged by the modem, and thrown away."""

CLASSES: dict[str, tuple[str, ...]] = {
    "permanent": ("1", "21", "28", "96"),
    "temporary": ("38", "41", "42", "47"),
    "link": ("302", "330", "331", "8"),
    "unknown": ("500", "ERROR"),
}
"""What is drawn for a class of errors."""

DENIED, HOME, SEARCHING, ROAMING, NONE = 3, 1, 2, 5, 0


class Letter(msgspec.Struct):
    """What the network brings: an SMS-DELIVER or an SMS-STATUS-REPORT."""

    tpdu: Deliver | StatusReport
    tries: int = 0

    @property
    def is_report(self) -> bool:
        return isinstance(self.tpdu, StatusReport)


class Handset(Protocol):
    """What the network knows of the modem."""

    def take(self, letter: Letter) -> Taken: ...

    def registration_changed(self) -> None: ...


class Network:
    def __init__(self, shared: Shared, schedule: Schedule) -> None:
        self._shared = shared
        self._schedule = schedule
        self._mailbox: deque[Letter] = deque()
        self._on_air = False
        self._blocked_until = 0.0
        self._attached = False
        self._turn = 0
        self.status = NONE
        self.handset: Handset | None = None
        self._submitted = 0

    # -- registration

    @property
    def registered(self) -> bool:
        return self.status in {HOME, ROAMING}

    def attach(self) -> None:
        """The modem has power and an open SIM."""
        self._attached = True
        self._look_for()

    def detach(self) -> None:
        """What was on the air comes again."""
        self._attached = False
        self._on_air = False
        self._blocked_until = 0.0
        self._turn += 1
        self._change(NONE)

    def coverage_changed(self) -> None:
        """Also when the network begins or ceases to refuse us."""
        if self._attached:
            self._turn += 1
            self._on_air = False
            self._look_for()

    def _look_for(self) -> None:
        behaviour = self._shared.behaviour
        self._change(SEARCHING)
        if behaviour.coverage:
            self._turn += 1
            self._schedule.add(self._shared.now + behaviour.registration, self._found, self._turn)

    def _found(self, turn: int) -> None:
        behaviour = self._shared.behaviour
        if turn != self._turn or not behaviour.coverage:
            return
        self._change(DENIED if behaviour.denied else ROAMING if behaviour.roaming else HOME)
        self._blocked_until = 0.0
        self._pump()

    def _change(self, status: int) -> None:
        if status != self.status:
            self.status = status
            if self.handset is not None:
                self.handset.registration_changed()

    @property
    def signal(self) -> int:
        return self._shared.behaviour.signal if self._shared.behaviour.coverage and self._attached else 99

    # -- from the modem

    def fault(self, tpdu: Submit) -> str | None:
        """Why the network refuses a message: a code of +CMS ERROR, or `ERROR`."""
        behaviour, dice = self._shared.behaviour, self._shared.dice
        key = longest_match(behaviour.destinations, tpdu.destination.number) or longest_match(
            behaviour.destinations, tpdu.destination.value
        )
        fault = behaviour.destinations[key] if key else dice.share_of("submit error", behaviour.submit_errors)
        if fault is None and behaviour.barred_after and self._submitted >= behaviour.barred_after:
            fault = "8"
        return dice.choose("code", CLASSES[fault]) if fault in CLASSES else fault

    def submit(self, tpdu: Submit, reference: int, *, answered: bool) -> None:
        """It reached the network; `answered`: the modem will say so."""
        shared, counts = self._shared, self._shared.counts
        number, fragment = tpdu.destination.number, messages.fragment(tpdu)
        times = shared.seen(number, encode(msgspec.structs.replace(tpdu, reference=0)))
        self._submitted += 1
        if not answered:
            counts.unanswered += 1
        long = fragment.kind != "whole"
        shared.record(
            Entry(
                at=shared.wall,
                event="submitted",
                number=number,
                text=join.join([fragment]).text,
                data=fragment.payload.hex(),
                coding=tpdu.coding,
                reference=reference,
                long=fragment.reference if long else None,
                part=fragment.number if long else None,
                parts=fragment.total if long else None,
                times=times,
                answered=answered,
            )
        )
        if tpdu.status_report and shared.dice.chance("reports", shared.behaviour.reports):
            self._report(tpdu, reference)

    def refuse(self, tpdu: Submit, error: str) -> None:
        count(self._shared.counts.refused, error)
        number = tpdu.destination.number
        self._shared.record(Entry(at=self._shared.wall, event="refused", number=number, error=error))

    def _report(self, tpdu: Submit, reference: int) -> None:
        behaviour, dice = self._shared.behaviour, self._shared.dice
        due, submitted = self._shared.now, self.stamp()
        states = [int(dice.weighted("state", behaviour.report_states), 16)]
        if dice.chance("temporary", behaviour.report_temporary):
            states.insert(0, int(behaviour.report_temporary_state, 16))
        if dice.chance("repeated", behaviour.report_repeated):
            states.append(states[-1])
        for state in states:
            due += dice.delay("report", behaviour.report_delay, behaviour.report_jitter)
            self._schedule.add(due, self._send_report, tpdu.destination, reference, state, submitted)

    def _send_report(self, to: Address, reference: int, state: int, submitted: Timestamp) -> None:
        self._shared.counts.reports_made += 1
        form = self._shared.behaviour.report_recipient
        if form == "unknown":
            to = msgspec.structs.replace(to, ton=Ton.UNKNOWN)
        elif form == "national" and to.ton == Ton.INTERNATIONAL:
            to = Address(to.value[2:], Ton.NATIONAL)
        self.bring(
            StatusReport(
                reference=reference,
                recipient=to,
                timestamp=submitted,
                discharged=self.stamp(),
                status=Status(state),
            )
        )

    def stamp(self) -> Timestamp:
        return timestamp(datetime.fromtimestamp(self._shared.wall, UTC))

    # -- to the modem

    def bring(self, tpdu: Deliver | StatusReport) -> None:
        """Post it; the modem gets it when it can."""
        counts = self._shared.counts
        if len(self._mailbox) >= self._shared.behaviour.mailbox:
            counts.lost += 1
            return
        self._mailbox.append(Letter(tpdu))
        counts.waiting += 1
        self._pump()

    def memory_available(self) -> None:
        """RP-SMMA: the modem has room again."""
        self._blocked_until = 0.0
        self._pump()

    def _pump(self) -> None:
        now = self._shared.now
        if self._on_air or not self._mailbox or not self.registered or now < self._blocked_until:
            return
        self._on_air = True
        self._schedule.add(now + self._shared.behaviour.radio, self._land, self._turn)

    def _land(self, turn: int) -> None:
        if turn != self._turn or not self._on_air or self.handset is None:
            return
        letter = self._mailbox[0]
        letter.tries += 1
        taken = self.handset.take(letter)
        if taken != "waits":
            self.settle(taken)

    def settle(self, taken: Taken) -> None:
        """What became of the letter on the air."""
        if not self._on_air:
            return
        self._on_air = False
        letter, counts = self._mailbox[0], self._shared.counts
        if taken == "refused":
            self._blocked_until = self._shared.now + self._shared.behaviour.retry
            self._schedule.add(self._blocked_until, self._pump)
            return
        self._mailbox.popleft()
        counts.waiting -= 1
        if taken == "dropped":
            counts.lost += 1
        elif letter.is_report:
            counts.reports_delivered += 1
        else:
            counts.inbound_delivered += 1
        self._pump()

    @property
    def smsc(self) -> Address:
        return addresses.address(self._shared.behaviour.smsc or "+46700000000")
