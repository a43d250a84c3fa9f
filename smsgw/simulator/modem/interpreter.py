"""What is typed, and what is said: the dialogue of one modem, without what the commands mean.

Octets are echoed and collected to lines; a line is a row of commands that run one after the other. What a
command does is asked of `execute`, which gives an `Answer`, a `Prompt` or something `Pending`. Whatever is
said on its own is written at once, also between an echo and its answer, but never while the prompt stands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from smsgw.simulator.modem import general
from smsgw.simulator.modem.answers import ERROR, Answer, Pending, Prompt, Refusal, Result, spell
from smsgw.simulator.modem.line import Line
from smsgw.simulator.modem.profile import Profile
from smsgw.simulator.modem.reception import Said
from smsgw.simulator.modem.schedule import Schedule
from smsgw.simulator.modem.shared import Shared
from smsgw.simulator.modem.typed import MAX_LINE, NoCommand, Request, requests

CTRL_Z, ESC, CR, BACKSPACE = 0x1A, 0x1B, 0x0D, 0x08
MAX_PAYLOAD = 1000
MAX_TYPED = 4096
"""Octets that are kept while it is busy."""
MAX_HELD = 100
"""Unsolicited lines that wait for the end of a prompt."""


class Interpreter:
    """`hang` is called where chance wants it."""

    def __init__(
        self,
        shared: Shared,
        schedule: Schedule,
        line: Line,
        profile: Profile,
        execute: Callable[[Request], Result],
        hang: Callable[[str], None],
    ) -> None:
        self.shared = shared
        self.schedule = schedule
        self.profile = profile
        self._line = line
        self._execute = execute
        self._hang = hang
        self._turn = 0
        self.clear()

    @property
    def busy(self) -> bool:
        return self._busy

    def clear(self) -> None:
        """Whatever was typed or runs is forgotten."""
        self._turn += 1
        self._typed = bytearray()
        self._command = bytearray()
        self._busy = False
        self._abortable = False
        self._prompt: Prompt | None = None
        self._row: deque[Request] = deque()
        self._held: deque[Said] = deque(maxlen=MAX_HELD)

    # -- what was typed

    def type(self, data: bytes) -> None:
        """Octets from the client; `read` takes them."""
        shared = self.shared
        if not self._busy:
            self._typed += data
            return
        shared.counts.typed_while_busy += len(data)
        how = shared.behaviour.busy or shared.family.busy
        if how == "buffer":
            self._typed += data[: MAX_TYPED - len(self._typed)]
        elif how == "abort" and self._abortable:
            self._row.clear()
            # what was scheduled for the command finds another turn
            self._turn += 1
            self._finish(ERROR)

    def read(self) -> None:
        while self._typed and not self._busy:
            octet = self._typed.pop(0)
            if self._prompt is None:
                self._read_command(octet)
            else:
                self._read_payload(octet, self._prompt)

    def _read_command(self, octet: int) -> None:
        if self.profile.echo and octet != ESC:
            self._line.write(bytes((octet,)))
        if octet == CR:
            line, self._command = self._command.decode("ascii", "replace"), bytearray()
            self._perform(line)
        elif octet == BACKSPACE:
            del self._command[-1:]
        elif octet >= 0x20 and len(self._command) <= MAX_LINE:
            self._command.append(octet)

    def _read_payload(self, octet: int, prompt: Prompt) -> None:
        if octet == CTRL_Z:
            typed, self._command = self._command.decode("ascii", "replace"), bytearray()
            self._prompt = None
            self._busy = True
            self._settle(prompt.taken(typed))
        elif octet == ESC:
            self.shared.counts.escaped += 1
            self._prompt, self._command = None, bytearray()
            self._row.clear()
            if self.shared.family.escaped:
                self._line.say(self.shared.family.escaped, self.profile)
            self._flush_held()
        else:
            if self.profile.echo:
                self._line.write(bytes((octet,)))
            if len(self._command) < MAX_PAYLOAD:
                self._command.append(octet)

    # -- commands

    def _perform(self, line: str) -> None:
        try:
            row = requests(line) if len(line) <= MAX_LINE else None
        except NoCommand:
            row, self._busy = [], True
            self._later(self._latency(), lambda: self._finish(ERROR))
            return
        if row is None:
            return
        shared = self.shared
        shared.counts.commands += 1
        if shared.dice.chance("hang", shared.behaviour.hang):
            self._hang("at a command")
            return
        self._busy = True
        self._row = deque(row)
        self._later(self._latency(), self._step)

    def _latency(self) -> float:
        behaviour = self.shared.behaviour
        return self.shared.dice.delay("latency", behaviour.latency, behaviour.jitter)

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        """Within the running command: nothing comes of it once that was aborted."""
        turn = self._turn

        def act() -> None:
            if turn == self._turn and self._busy:
                action()

        self.schedule.add(self.shared.now + seconds, act)

    def _step(self) -> None:
        """The next command of the row."""
        if not self._row:
            self._finish(None)
            return
        request = self._row.popleft()
        self._abortable = request.name in general.ABORTABLE
        self._settle(self._execute(request))

    def _settle(self, result: Result) -> None:
        if isinstance(result, Prompt):
            self._later(self.shared.behaviour.prompt_delay, lambda: self._show_prompt(result))
        elif isinstance(result, Pending):
            self._later(result.seconds, lambda: self._settled(result.settled()))
        else:
            self._answer(result)

    def _settled(self, answer: Answer | None) -> None:
        if answer is not None:
            self._answer(answer)

    def _show_prompt(self, prompt: Prompt) -> None:
        behaviour, family = self.shared.behaviour, self.shared.family
        text = family.prompt if behaviour.prompt is None else behaviour.prompt
        self._noise("noise")
        if not self.shared.dice.chance("prompt", behaviour.prompt_lost):
            self._line.write(text.encode("ascii", "replace"))
        self._prompt = prompt
        self._busy = False

    def _answer(self, answer: Answer) -> None:
        for said in answer.lines:
            self._say(said)
        if answer.refusal is not None:
            self._row.clear()
            self._finish(answer.refusal)
        elif self._row and answer.after is None:
            self._step()
        else:
            self._finish(None)
        if answer.after is not None:
            answer.after()

    def _finish(self, refusal: Refusal | None) -> None:
        """The final result."""
        family, profile = self.shared.family, self.profile
        self._busy = self._abortable = False
        text = "OK"
        if refusal is not None:
            text = spell(refusal, profile.cmee, texts=family.texts, bare=family.bare_errors)
        if not profile.quiet:
            self._noise("noise")
            self._line.say(text, profile)
        self._flush_held()

    # -- what it says

    def announce(self, said: Said) -> None:
        """On its own."""
        if self._prompt is not None:
            self._held.append(said)
        else:
            self._write(said)

    def _flush_held(self) -> None:
        while self._held:
            self._write(self._held.popleft())

    def _say(self, said: Said) -> None:
        """As part of an answer."""
        self._noise("noise")
        self._write(said)

    def _write(self, said: Said) -> None:
        if isinstance(said, str):
            self._line.say(said, self.profile)
        else:
            header, pdu = said
            self._line.say(header, self.profile)
            self._noise("noise_in_pairs")
            self._line.continue_with(pdu)

    def noise(self) -> None:
        """At an odd time."""
        if self.shared.family.noise:
            self.announce(self.shared.dice.choose("what noise", self.shared.family.noise))

    def _noise(self, kind: str) -> None:
        shared = self.shared
        share = shared.behaviour.noise if kind == "noise" else shared.behaviour.noise_in_pairs
        if shared.family.noise and shared.dice.chance(kind, share):
            self._line.say(shared.dice.choose("what noise", shared.family.noise), self.profile)
