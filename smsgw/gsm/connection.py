"""One GSM modem behind one open port, without I/O and without a clock.

Theory of operation
===================

Octets go in by `receive`, wishes by `send`, `settle` and `ask_ussd`, the passing of time by `tick`. Octets
come out by `data_to_send`, everything else as events: `receive`, `tick`, `opened` and `lost` return what
has happened, `events` gives what the other calls caused. Time is an argument, float seconds from any
clock that never goes backwards; `deadline()` says when to call `tick`, infinite for never. After each
call: write `data_to_send()`, take the events, set one timer.

A modem answers one command at a time, so all that we do with it is a row of *scripts*, generators that ask
and are answered (`smsgw.gsm.scripts`), of which one runs:

1. *The gate* (`smsgw.gsm.gate`) runs after `opened` and after every recovery: identity, SIM, network,
   settings. At its end the state is `ready`; the storage is drained first.
2. *Jobs* run while ready, in the order of `_next`: acknowledgements and deletions, what the modem indicated,
   the storage, USSD, a look at an idle modem, and between any two of them one message.
3. *Rungs* run when a command was not answered, or when the gate can't pass: ESC and AT; ATZ; AT+CFUN=1,1.
   Each is followed by the whole gate. The next trouble within `Settings.calm` takes the next rung, unless
   a message was sent in between; behind the last one is `Ended(reopen=True)`.

A message that was given to `send` gets exactly one `SubmitAnswered`. What phones send is offered as
`MessageReceived` or `ReportReceived`, and stays with the modem or the network until `settle` says that it is
safe: deleted from the storage, or acknowledged (AT+CNMA) where it came directly.

What the protocol above it does
===============================

    connection = Connection(settings, pins)      # one per opening of the port; `pins` outlives it
    connection.opened(clock.seconds())           # then data_to_send, events, deadline
    connection.receive(data, now)                # from the port
    connection.send(submit, now, context)        # when `can_send`; a modem's width is 1
    connection.settle(event.handle, now, safe=True)   # after the broker confirmed
    connection.lost("hung up", now)              # the port is gone; or Ended came: close it, reopen

`repr(connection)` is for operators: state, operator, signal, rung.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Any

from smsgw.errors import Misuse
from smsgw.gsm import at, ussd
from smsgw.gsm.at import Completed, Line, Lines, NoiseHeard, Prompted, Restarted, Strayed
from smsgw.gsm.events import (
    Ended,
    Event,
    Handle,
    ModemRestarted,
    NoiseCounted,
    RungClimbed,
    Sent,
    State,
    StateChanged,
    SubmitAnswered,
    Unsent,
)
from smsgw.gsm.gate import Gate, register
from smsgw.gsm.jobs import Jobs
from smsgw.gsm.rungs import RUNGS, climb
from smsgw.gsm.scripts import Facts, Halted, Interrupted, Pause, Script, Step, Stuck
from smsgw.gsm.sending import Message, send
from smsgw.gsm.settings import Pins, Settings
from smsgw.gsm.shapes import Submit
from smsgw.gsm.tpdu import to_hex

Then = Callable[[float], None]


class Connection:
    """`settings` of the operator; `pins` is shared by all connections to one SIM."""

    def __init__(self, settings: Settings | None = None, pins: Pins | None = None) -> None:
        self.settings = settings or Settings()
        self.facts = Facts()
        self.state: State = "closed"
        self._lines = Lines()
        self._events: list[Event] = []
        self._gate = Gate(self.settings, pins or Pins(), self.facts, self._tell, self._enter)
        self._jobs = Jobs(self.settings, self.facts, self._tell)
        self._message: Message | None = None
        self._sending = False
        self._script: Script[None] | None = None
        self._then: Then = self._next
        self._until = inf
        self._rung = 0
        self._troubled = -inf

    def __repr__(self) -> str:
        facts = self.facts
        signal = "no signal known" if facts.dbm is None else f"{facts.dbm} dBm"
        name = f"{facts.manufacturer} {facts.model}".strip() or "unknown"
        return f"<modem {name} {self.state}, {facts.operator or 'no operator'}, {signal}, rung {self._rung}>"

    # -- the port

    def opened(self, now: float) -> list[Event]:
        """The port is open: begin."""
        if self.state != "closed":
            raise Misuse("a connection serves one opening of the port")
        self._pass_gate(now, "the port is open")
        return self.events()

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Octets came, cut anyhow. Never raises for what they hold."""
        if self._live:
            for event in self._lines.receive(data):
                if self._live:
                    self._hear(event, now)
            self._next(now)
        return self.events()

    def tick(self, now: float) -> list[Event]:
        """Time has passed; too early does no harm."""
        if self._live and now >= self._until:
            self._run_out(now)
        if self._live:
            self._jobs.tick(now)
            self._next(now)
        return self.events()

    def lost(self, reason: str, now: float) -> list[Event]:
        """The port is gone."""
        self._end(reason, reopen=True)
        return self.events()

    def deadline(self) -> float:
        """When to call `tick`."""
        if not self._live:
            return inf
        waiting = self._script is None and self.state == "ready"
        return min(self._until, self._jobs.deadline(idle=waiting))

    def data_to_send(self) -> bytes:
        return self._lines.data_to_send()

    def events(self) -> list[Event]:
        """What has happened and was not told yet."""
        events, self._events = self._events, []
        return events

    # -- what the application asks for

    @property
    def can_send(self) -> bool:
        return self.state == "ready" and not self._sending

    @property
    def storage_full(self) -> bool:
        return self._jobs.storage.full

    @property
    def at_rest(self) -> bool:
        """Nothing runs, and nothing that was settled waits to be done."""
        return self._script is None and not self._jobs.settling

    def look(self, now: float) -> None:
        """Ask for signal and registration before its time; `Looked` says when that is done.

        Raises:
            Misuse: it is not ready.
        """
        if self.state != "ready":
            raise Misuse(f"a look while {self.state}")
        self._jobs.look()
        self._next(now)

    def send(self, tpdu: Submit, now: float, context: Any) -> None:
        """Send one message; `context` comes back with its one answer.

        Raises:
            Misuse: it is not ready, or another message is on its way: see `can_send`.
            EncodeError: a field that can't be written.
        """
        if not self.can_send:
            raise Misuse(f"a message while {'one is on its way' if self._sending else self.state}")
        line, length = to_hex(tpdu)
        self._message = Message(line, length, context)
        self._sending = True
        self._next(now)

    def settle(self, handle: Handle, now: float, *, safe: bool) -> None:
        """A received PDU is durable elsewhere, or (`safe` False) could not be made so.

        Not safe: what is stored is offered again by the next drain, what came directly is repeated by the
        network. A handle that is not known any more is ignored.
        """
        if self._live:
            self._jobs.settle(handle, safe=safe)
            self._next(now)

    def ask_ussd(self, code: str, now: float, context: Any) -> None:
        """Such as `*100#`. One at a time; `UssdAnswered` is its answer.

        Raises:
            Misuse: it is not ready, or another one is unanswered.
            EncodeError: a code that can't be written.
        """
        if self.state != "ready":
            raise Misuse(f"USSD while {self.state}")
        packed = self.facts.family.ussd_packed
        self._jobs.ask_ussd(ussd.command(code, packed=packed, timeout=self.settings.ussd), now, context)
        self._next(now)

    # -- scripts

    @property
    def _live(self) -> bool:
        return self.state not in {"closed", "ended"}

    def _begin(self, script: Script[None], then: Then, now: float) -> None:
        self._script, self._then = script, then
        self._drive(lambda: script.send(None), now)

    def _drive(self, resume: Callable[[], Step], now: float) -> None:
        """One step of the script, and what its end means."""
        try:
            step = resume()
        except StopIteration:
            self._script, self._until = None, inf
            self._then(now)
        except (Interrupted, Stuck) as trouble:
            self._script, self._until = None, inf
            self._climb(trouble.reason, now)
        except Halted as halt:
            self._script, self._until = None, inf
            self._end(halt.reason, reopen=halt.reopen)
        else:
            self._perform(step, now)

    def _perform(self, step: Step, now: float) -> None:
        if isinstance(step, Pause):
            self._until = now + step.seconds
        else:
            self._lines.start(step)
            self._until = now + step.timeout

    def _run_out(self, now: float) -> None:
        """A pause is over, or a command was not answered in time."""
        script, command = self._script, self._lines.command
        self._until = inf
        if script is None:
            return
        if command is None:
            self._drive(lambda: script.send(None), now)
            return
        silence = self._give_up(f"no answer to {command.name}")
        self._drive(lambda: script.throw(silence), now)

    def _give_up(self, reason: str) -> Interrupted:
        prompted = self._lines.prompted
        self._lines.abandon()
        return Interrupted(reason, prompted=prompted)

    def _abort(self, reason: str) -> None:
        """Whatever runs ends here, and what waits is answered."""
        script, self._script, self._until = self._script, None, inf
        if script is not None:
            # it may want to go on; it may not
            with suppress(Interrupted, Stuck, Halted, StopIteration):
                script.throw(self._give_up(reason))
            script.close()
        if self._message is not None:
            message, self._message = self._message, None
            self._tell(SubmitAnswered(message.context, Unsent(reason)))
        self._jobs.abort(reason)

    # -- the course of things

    def _pass_gate(self, now: float, reason: str, boot: float = 0.0) -> None:
        self._enter("opening", reason)
        self._begin(self._gate.run(boot), self._passed, now)

    def _passed(self, now: float) -> None:
        self._enter("ready", "all is set up")
        self._jobs.start(now)
        self._next(now)

    def _next(self, now: float) -> None:
        """While it is ready and nothing runs: the next thing to do."""
        if self._script is not None or self.state != "ready":
            return
        if not self.facts.registered:
            self._enter("searching", "the network is gone")
            self._begin(register(self.settings, self.facts, self._tell), self._found_network, now)
            return
        if self._message is not None:
            # what else there is has its turn before the next one can be given to us
            message, self._message = self._message, None
            self._begin(send(message, self.facts, self.settings.submit, self._tell), self._next, now)
            return
        job = self._jobs.take(now)
        if job is not None:
            self._begin(job, self._next, now)

    def _found_network(self, now: float) -> None:
        self._enter("ready", "registered again")
        self._next(now)

    def _climb(self, reason: str, now: float) -> None:
        self._abort(reason)
        if now - self._troubled > self.settings.calm:
            self._rung = 0
        self._troubled = now
        if self._rung == len(RUNGS):
            self._end(reason, reopen=True)
            return
        rung = RUNGS[self._rung]
        self._rung += 1
        self._enter("recovering", reason)
        self._tell(RungClimbed(rung, reason))
        self._lines.escape()
        self._begin(climb(rung, self.settings), self._recovered, now)

    def _recovered(self, now: float) -> None:
        self._pass_gate(now, "it answers again")

    def _restarted(self, banner: str, now: float) -> None:
        self._tell(ModemRestarted(banner))
        self._abort("the modem restarted")
        self._pass_gate(now, "the modem restarted", self.settings.boot)

    def _end(self, reason: str, *, reopen: bool) -> None:
        if self.state == "ended":
            return
        self._abort(reason)
        self._enter("ended", reason)
        self._tell(Ended(reason, reopen))

    def _enter(self, state: State, reason: str) -> None:
        if state != self.state:
            self.state = state
            self._tell(StateChanged(state, reason))

    def _tell(self, event: Event) -> None:
        self._events.append(event)
        if isinstance(event, SubmitAnswered):
            self._sending = False
            if isinstance(event.answer, Sent):
                self._rung = 0

    # -- what the modem says

    def _hear(self, event: at.Event, now: float) -> None:
        if isinstance(event, Completed):
            self._complete(event, now)
        elif isinstance(event, Prompted):
            self._until = now + event.command.payload_timeout
        elif isinstance(event, Restarted):
            self._restarted(event.banner, now)
        elif isinstance(event, NoiseHeard):
            self._tell(NoiseCounted(event.octets, event.reason))
        elif isinstance(event, Strayed):
            self._jobs.hear_late(event.line)
        else:
            self._hear_unasked(event.line, now)

    def _complete(self, completed: Completed, now: float) -> None:
        script = self._script
        if script is None:
            raise AssertionError("a command was completed that no script had asked")
        self._drive(lambda: script.send(completed), now)

    def _hear_unasked(self, line: Line, now: float) -> None:
        if line.text.startswith("+CPIN: NOT") and self.state in {"ready", "searching", "preparing"}:
            self._abort("the SIM is gone")
            self._pass_gate(now, "the SIM is gone", self.settings.boot)
        else:
            self._jobs.hear(line, now)
