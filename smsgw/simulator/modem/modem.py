"""One simulated modem without I/O and without a clock.

Theory of operation
===================

`receive` takes what the client typed, `data_to_send` gives what the modem says, `deadline` tells when to
call `tick`; time is an argument, float seconds from any clock that never goes backwards. After each call:
`data_to_send`, `unplugged`, `deadline`.

What is typed is collected to lines and commands by the `Interpreter`; what they do stands in `general` and
`messages`. While a command runs the modem is busy, and what is typed then fares as the family has it: kept,
lost, or it ends the command.

The radio side is `network`: it goes on while the modem restarts or hangs, and keeps what the modem does
not take. A restart loses all that was typed, said or set; SIM and memories stay.
"""

from __future__ import annotations

from collections.abc import Callable

from smsgw.simulator.modem import general, messages
from smsgw.simulator.modem.answers import (
    ERROR,
    WAIT,
    Answer,
    Result,
    refused,
)
from smsgw.simulator.modem.behaviour import Behaviour
from smsgw.simulator.modem.card import Card
from smsgw.simulator.modem.interpreter import Interpreter
from smsgw.simulator.modem.line import Line
from smsgw.simulator.modem.memory import Memories
from smsgw.simulator.modem.network import NONE, Letter, Network, Taken
from smsgw.simulator.modem.profile import Profile
from smsgw.simulator.modem.reception import Reception, Said
from smsgw.simulator.modem.schedule import Schedule
from smsgw.simulator.modem.shared import Entry, Report, Shared
from smsgw.simulator.modem.typed import Request
from smsgw.simulator.tally import count


class Modem:
    """`epoch` is the wall clock's time at `now`. `record` takes the journal's entries."""

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        now: float = 0.0,
        epoch: float = 1_700_000_000.0,
        record: Callable[[Entry], None] | None = None,
    ) -> None:
        self.shared = shared = Shared(behaviour or Behaviour(), now, epoch, record)
        self.schedule = Schedule()
        self._air = Schedule()
        self._line = Line(shared)
        self.profile = Profile(shared)
        self.card = Card(shared)
        self.memories = Memories(shared)
        self.network = Network(shared, self._air)
        self.network.handset = self
        self.reception = Reception(
            shared, self.schedule, self.memories, self.profile, self.network, self.announce
        )
        self._dialogue = Interpreter(
            shared, self.schedule, self._line, self.profile, self._execute, self.hang
        )
        self.radio_on = True
        self._reference = shared.behaviour.first_reference
        self._alive = self._hung = False
        self._unplug: float | None = None
        self._forget()
        self._power_on()
        self._run()

    def __repr__(self) -> str:
        state = (
            "hung"
            if self._hung
            else "booting"
            if not self._alive
            else "busy"
            if self._dialogue.busy
            else "idle"
        )
        return f"<Modem {self.shared.family.name} {state} network={self.network.status}>"

    # -- the wire

    def receive(self, data: bytes, now: float) -> None:
        """The client typed."""
        self._at(now)
        self._run()
        if not self._alive or self._hung:
            return
        self._dialogue.type(self._line.heard(data))
        self._run()

    def tick(self, now: float) -> None:
        """Time has passed."""
        self._at(now)
        self._run()

    def deadline(self) -> float:
        return min(self.schedule.deadline(), self._air.deadline(), self._line.deadline())

    def data_to_send(self) -> bytes:
        return self._line.data_to_send()

    def unplugged(self) -> float | None:
        """The port is to be closed, and to be opened again after so many seconds; told once."""
        seconds, self._unplug = self._unplug, None
        return seconds

    def report(self) -> Report:
        return self.shared.report()

    def behave(self, behaviour: Behaviour, now: float) -> None:
        """Otherwise from now on. Family, SIM and rooms change only with a new modem."""
        self._at(now)
        before = self.shared.behaviour
        self.shared.behave(behaviour)
        if (before.coverage, before.denied, before.roaming) != (
            behaviour.coverage,
            behaviour.denied,
            behaviour.roaming,
        ):
            self.network.coverage_changed()
        if behaviour.sim != before.sim:
            self._move_card(inserted=behaviour.sim)
        if behaviour.noise_every and not before.noise_every:
            self._make_noise()
        self._run()

    def _at(self, now: float) -> None:
        self.shared.now = max(now, self.shared.now)

    def _run(self) -> None:
        """Whatever is due, and whatever was typed."""
        while True:
            if self._alive and not self._hung:
                self._dialogue.read()
            action = self.schedule.take(self.shared.now) or self._air.take(self.shared.now)
            if action is None:
                return
            action()

    # -- power

    def _forget(self) -> None:
        self.schedule.clear()
        self._line.clear()
        self._dialogue.clear()
        self.shared.counts.in_flight = 0
        self.profile.default()
        self.memories.restart()
        self.reception.forget()

    def _power_on(self) -> None:
        behaviour = self.shared.behaviour
        awake = self.shared.now + behaviour.boot
        self.radio_on = True
        self.card.restart(awake + behaviour.sim_busy)
        self.schedule.add(awake, self._wake)

    def _wake(self) -> None:
        behaviour = self.shared.behaviour
        self._alive = True
        for line in self.shared.family.banner if self.shared.counts.restarts else ():
            self.announce(line)
        self.schedule.add(self.shared.now + behaviour.sim_busy, self.sim_opened)
        if behaviour.reset_every:
            self.schedule.add(self.shared.now + behaviour.reset_every, self.restart, "by itself")
        if behaviour.noise_every:
            self.schedule.add(self.shared.now + behaviour.noise_every, self._make_noise)

    def sim_opened(self) -> None:
        """If the SIM is open now: it is used."""
        if self.card.state == "open" and self.network.status == NONE and self.radio_on:
            for line in self.shared.family.ready if self.shared.counts.restarts or self.card.pin else ():
                self.announce(line)
            self.network.attach()

    def restart(self, reason: str, *, unplug: float | None = None) -> None:
        """All that is not stored is lost. `unplug`: the port goes away for so long, whatever the family."""
        shared = self.shared
        shared.counts.restarts += 1
        shared.record(Entry(at=shared.wall, event="restarted", reason=reason))
        self._alive = self._hung = False
        self.network.detach()
        self._forget()
        if not shared.family.counts_on:
            self._reference = shared.behaviour.first_reference
        if unplug is None and shared.family.usb:
            unplug = shared.behaviour.replug or None
        self._unplug = unplug
        self._power_on()

    def hang(self, reason: str) -> None:
        """It says nothing more; the network does not see it any more either."""
        shared = self.shared
        shared.counts.hangs += 1
        shared.record(Entry(at=shared.wall, event="hung", reason=reason))
        shared.counts.in_flight = 0
        self._hung = True
        self._dialogue.clear()
        self._line.clear()
        if shared.behaviour.hang_time:
            self.schedule.add(shared.now + shared.behaviour.hang_time, self._revive)

    def _revive(self) -> None:
        self._hung = False
        self.network.memory_available()

    def switch_radio(self, *, on: bool) -> None:
        """AT+CFUN=0|4 and AT+CFUN=1."""
        if on and not self.radio_on:
            self.radio_on = True
            self.sim_opened()
        elif not on:
            self.radio_on = False
            self.network.detach()

    def _move_card(self, *, inserted: bool) -> None:
        self.card.inserted = inserted
        self.card.restart(self.shared.now + self.shared.behaviour.sim_busy if inserted else 0.0)
        if not inserted:
            self.announce("+CPIN: NOT INSERTED" if self.shared.family.usb else "+CPIN: NOT READY")
            self.network.detach()
        else:
            self.schedule.add(self.shared.now + self.shared.behaviour.sim_busy, self.sim_opened)

    # -- what it says and does

    def announce(self, said: Said) -> None:
        """On its own: unsolicited."""
        if self._alive and not self._hung:
            self._dialogue.announce(said)

    def _make_noise(self) -> None:
        seconds = self.shared.behaviour.noise_every
        if seconds:
            if not self._hung:
                self._dialogue.noise()
            self.schedule.add(self.shared.now + seconds, self._make_noise)

    def _execute(self, request: Request) -> Result:
        shared, family = self.shared, self.shared.family
        perform = general.COMMANDS.get(request.name) or messages.COMMANDS.get(request.name)
        if request.name in family.extras:
            return Answer()
        if request.name.startswith("S") and request.name[1:].isdigit():
            return general.register(self, request)
        if perform is None or request.name in family.unknown:
            if len(shared.counts.unknown_commands) < 1000:
                count(shared.counts.unknown_commands, request.name)
            return refused(ERROR)
        of_messages = request.name in messages.COMMANDS
        if request.kind != "list" and request.name in (messages.NEEDS_SIM | general.NEEDS_SIM):
            trouble = self.card.trouble(messages=of_messages)
            if trouble is not None:
                return refused(trouble)
        if (
            not of_messages
            and request.name[0] == "+"
            and shared.dice.chance("stutter", shared.behaviour.stutter)
        ):
            return refused(WAIT)
        return perform(self, request)

    # -- what the network asks

    def take(self, letter: Letter) -> Taken:
        if not self._alive or self._hung or self.card.state != "open":
            return "refused"
        return self.reception.take(letter)

    def registration_changed(self) -> None:
        for name, level in self.profile.registrations.items():
            if level and name not in self.shared.family.unknown:
                self.announce(f"{name}: {self.registration_told(name, level)}")

    def registration_told(self, name: str, level: int) -> str:
        """The status, from level 2 on with the cell."""
        status = self.network.status if name == "+CREG" else self.network.status * (name == "+CGREG")
        cell = ',"1A2B","00C3D4E5"' if level == 2 and status in {1, 5} else ""
        return f"{status}{cell}"

    def next_reference(self) -> int:
        """TP-MR of a message."""
        reference, self._reference = self._reference, (self._reference + 1) % 256
        return reference
