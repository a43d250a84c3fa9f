"""The AT line machine: octets in, cut anyhow; answers and unsolicited lines out. No I/O, no clock.

Theory of operation
===================

One command runs at a time. `start` writes it, `receive` takes what the modem says, and every line of
that gets one of these meanings, in this order:

1. the PDU line of a header that came before (`+CMT:`, `+CDS:`, `+CMGL:`, `+CMGR:`);
2. the echo of what we wrote;
3. a final result, which ends the command: `Completed`. With no command running it is `Strayed`;
4. an unsolicited line: of a known name that is no answer to the running command;
5. an information line of the running command: one of its prefixes, or any text where it is `bare`;
6. another line with a name, `^X:` or `+X:`: unsolicited, of a kind that nobody knows;
7. noise.

The prompt is no line: nothing ends it. It counts only while a command with a `payload` waits for it, at
the beginning of a line, with or without its space; then the payload goes out, and `Prompted` says so.

`abandon` forgets a command (its time is over); what comes for it later is `Strayed`. `escape` ends a
prompt. Lines are of ASCII: octets outside of it, and NULs, are dropped and counted. A line longer than
`MAX_LINE` is dropped to its end, so the buffer is bounded.

For a simulated modem the other direction is plain: commands end with CR, payloads with Ctrl-Z or ESC.
"""

from __future__ import annotations

import re
from typing import TypeAlias

import msgspec

from smsgw.errors import Misuse
from smsgw.gsm import errors
from smsgw.gsm.errors import Error

MAX_LINE = 2048
"""Octets. The longest that has a meaning is a USSD text in hex, of some 750."""

MAX_LINES = 1000
"""Of one answer: more than any storage holds."""

CTRL_Z = b"\x1a"
ESC = b"\x1b"

_KEPT = bytes(range(0x20, 0x7F))
_DROPPED = bytes(set(range(256)) - set(_KEPT))
_ENDS = re.compile(rb"[\r\n]")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_NAMED = re.compile(r"[+^*$#%&_][A-Z0-9_]+ ?:")

_UNSOLICITED = (
    "+CMTI:",
    "+CMT:",
    "+CDSI:",
    "+CDS:",
    "+CBM:",
    "+CBMI:",
    "+CUSD:",
    "+CRING:",
    "+CLIP:",
    "+CCWA:",
    "+CTZV:",
    "+CGEV:",
    "+CIEV:",
)
"""Names that no answer to a command of ours has."""

_PLAIN = frozenset(
    {
        "RING",
        "NO CARRIER",
        "BUSY",
        "NO ANSWER",
        "NO DIALTONE",
        "NO DIAL TONE",
        "CALL READY",
        "SMS READY",
        "SMS DONE",
        "PB DONE",
        "NORMAL POWER DOWN",
        "POWERED DOWN",
        "UNDER-VOLTAGE WARNNING",
        "OVER-VOLTAGE WARNNING",
    }
)
"""Unsolicited lines without a name, in capitals. Results of calls are among them: we make none."""

_RESTARTED = ("RDY", "START", "^SYSSTART", "*ATREADY: 1", "MODEM:STARTUP", "+WIND: 3", "IIII")
"""What modems say when they have just been switched on."""

_WITH_PDU = ("+CMT:", "+CDS:", "+CBM:")
_REGISTRATIONS = ("+CREG:", "+CGREG:", "+CEREG:")
_ANSWERED_STATE = re.compile(r"\+C[GE]?REG: ?\d ?, ?\d{1,2}(?:,|$)")
"""`n,stat`, as against the unsolicited `stat` and `stat,"area"`: an area has four digits."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """`line` without its CR. `prefixes` begin the lines that answer it; `bare`: they may have none.

    `payload` goes out after the prompt. `pdus`: each line of the answer is followed by a PDU.
    `timeout` is in seconds, for the prompt where there is one; `payload_timeout` from then on.
    `secret` keeps the line out of logs.
    """

    line: str
    prefixes: tuple[str, ...] = ()
    bare: bool = False
    payload: str | None = None
    pdus: bool = False
    timeout: float = 5.0
    payload_timeout: float = 60.0
    secret: bool = False

    def __repr__(self) -> str:
        return f"<Command {self.name}>"

    @property
    def name(self) -> str:
        """What may be shown: no PIN, no number, no message."""
        return re.split(r"[=\"]", self.line)[0]


class Line(msgspec.Struct, frozen=True):
    """A line, and the PDU line behind it where it has one."""

    text: str
    pdu: str | None = None

    def __repr__(self) -> str:
        return f"<Line {self.text.split(':')[0]}>"

    def fields(self) -> tuple[str, ...]:
        """The parameters after the name, unquoted; a comma between quotes is part of one."""
        _, _, rest = self.text.partition(":")
        return tuple(
            found.strip().strip('"')
            for found in re.findall(r'(?:"[^"]*"|[^,"]+|(?<=,)(?=,|$)|^(?=,))+', rest.strip())
        )


class Completed(msgspec.Struct, frozen=True):
    """The command has its final result: `error` None for OK. `prompted`: its payload went out."""

    command: Command
    lines: tuple[Line, ...] = ()
    error: Error | None = None
    prompted: bool = False

    @property
    def ok(self) -> bool:
        return self.error is None


class Prompted(msgspec.Struct, frozen=True):
    """The prompt came, and the payload was written: from here on it may have been sent."""

    command: Command


class Unsolicited(msgspec.Struct, frozen=True):
    """A line that answers nothing."""

    line: Line


class Restarted(msgspec.Struct, frozen=True):
    """The modem says that it was switched on: all that it was told is forgotten."""

    banner: str


class Strayed(msgspec.Struct, frozen=True):
    """A final result, or a line of an answer, with no command that it belongs to."""

    line: Line


class NoiseHeard(msgspec.Struct, frozen=True):
    """Octets that mean nothing."""

    octets: int
    reason: str


Event: TypeAlias = Completed | Prompted | Unsolicited | Restarted | Strayed | NoiseHeard


class _Header:
    """A line that waits for its PDU line; `answer`: it belongs to the running command."""

    __slots__ = ("answer", "text")

    def __init__(self, text: str, *, answer: bool) -> None:
        self.text = text
        self.answer = answer


class Lines:
    """The machine of one modem. Events are returned by `receive`, octets by `data_to_send`."""

    def __init__(self) -> None:
        self.command: Command | None = None
        self.prompted = False
        self._answer: list[Line] = []
        self._headers: list[_Header] = []
        self._buffer = bytearray()
        self._skipping = False
        self._out = bytearray()
        self._events: list[Event] = []

    def __repr__(self) -> str:
        return f"<Lines {self.command!r} buffered={len(self._buffer)}>"

    # -- out

    def start(self, command: Command) -> None:
        """Write a command.

        Raises:
            Misuse: another one runs.
        """
        if self.command is not None:
            raise Misuse(f"{command.name} while {self.command.name} runs")
        self.command = command
        self.prompted = False
        self._answer.clear()
        self._out += command.line.encode("ascii", "replace") + b"\r"

    def abandon(self) -> None:
        """Forget the running command, if any."""
        self.command = None
        self.prompted = False
        self._answer.clear()
        self._headers = [header for header in self._headers if not header.answer]

    def escape(self) -> None:
        """Leave a prompt, wherever the modem is."""
        self._out += ESC

    def data_to_send(self) -> bytes:
        out, self._out = bytes(self._out), bytearray()
        return out

    # -- in

    def receive(self, data: bytes) -> list[Event]:
        """Octets came. Never raises for what they hold."""
        start = 0
        for end in _ENDS.finditer(data):
            self._take(data[start : end.start()])
            self._end_line()
            start = end.end()
        self._take(data[start:])
        events, self._events = self._events, []
        return events

    def _take(self, octets: bytes) -> None:
        """Octets within a line."""
        kept = octets.translate(None, _DROPPED)
        if len(kept) < len(octets):
            self._hear_noise(len(octets) - len(kept), "octets outside of ASCII")
        if self._skipping:
            return
        self._buffer += kept
        if len(self._buffer) > MAX_LINE:
            self._hear_noise(len(self._buffer), "a line without an end")
            self._buffer.clear()
            self._skipping = True
        self._look_for_prompt()

    def _look_for_prompt(self) -> None:
        command = self.command
        if command is None or command.payload is None or self.prompted:
            return
        if self._buffer.lstrip().startswith(b">"):
            self._buffer.clear()
            self.prompted = True
            self._out += command.payload.encode("ascii") + CTRL_Z
            self._events.append(Prompted(command))

    def _end_line(self) -> None:
        line = self._buffer.decode("ascii").strip()
        self._buffer.clear()
        self._skipping = False
        # a prompt that came when nobody asked stands before the line that follows
        line = line.lstrip("> ") if line.startswith(">") else line
        if line:
            self._line(line)

    def _line(self, line: str) -> None:
        if self._headers and _HEX.fullmatch(line):
            self._pdu(line)
        elif not self._is_echo(line) and not self._final(line) and not self._unsolicited(line):
            self._other(line)

    def _pdu(self, line: str) -> None:
        """Of the header that came last: another one may stand between a header and its PDU."""
        header = self._headers.pop()
        self._file(Line(header.text, line), answer=header.answer)

    def _file(self, line: Line, *, answer: bool) -> None:
        if not answer:
            self._events.append(Unsolicited(line))
        elif len(self._answer) < MAX_LINES:
            self._answer.append(line)
        else:
            self._hear_noise(len(line.text), "an answer without an end")

    def _is_echo(self, line: str) -> bool:
        if self.command is None:
            # of a command that was given up
            return line.startswith(("AT+", "AT^")) or line in {"AT", "ATE0", "ATZ"}
        if self.prompted and self.command.payload is not None and line.startswith(self.command.payload):
            return True
        return line == self.command.line

    def _final(self, line: str) -> bool:
        error = _error_of(line)
        if line != "OK" and error is None:
            return False
        self._lose_headers(answer=True)
        command = self.command
        if command is None:
            self._events.append(Strayed(Line(line)))
            return True
        if command.payload is not None and not self.prompted and error is None:
            # the prompt can't have been answered: this OK is of an older command
            self._events.append(Strayed(Line(line)))
            return True
        completed = Completed(command, tuple(self._answer), error, self.prompted)
        self.abandon()
        self._events.append(completed)
        return True

    def _lose_headers(self, *, answer: bool) -> None:
        """The PDU lines of these did not come."""
        lost = [header for header in self._headers if header.answer == answer]
        self._headers = [header for header in self._headers if header.answer != answer]
        for header in lost:
            self._file(Line(header.text), answer=answer)

    def _unsolicited(self, line: str) -> bool:
        if line in _RESTARTED:
            self._events.append(Restarted(line))
            return True
        if line.startswith(_REGISTRATIONS) and self._is_answer(line):
            return not _ANSWERED_STATE.match(line) and self._report(line)
        if line.startswith(_UNSOLICITED) or line.upper() in _PLAIN:
            return self._report(line)
        return False

    def _report(self, line: str) -> bool:
        if line.startswith(_WITH_PDU):
            self._lose_headers(answer=False)
            self._headers.append(_Header(line, answer=False))
        else:
            self._events.append(Unsolicited(Line(line)))
        return True

    def _is_answer(self, line: str) -> bool:
        return self.command is not None and line.startswith(self.command.prefixes or ("\0",))

    def _other(self, line: str) -> None:
        named = _NAMED.match(line) is not None
        command = self.command
        if command is not None and (self._is_answer(line) or (command.bare and not named)):
            if command.pdus:
                self._lose_headers(answer=True)
                self._headers.append(_Header(line, answer=True))
            else:
                self._file(Line(line), answer=True)
        elif line.startswith(("+CMGS:", "+CMGL:", "+CMGR:")):
            self._events.append(Strayed(Line(line)))
        elif named:
            self._events.append(Unsolicited(Line(line)))
        else:
            self._hear_noise(len(line), "a line that means nothing")
            # it may have been the PDU line, with an octet missing
            self._lose_headers(answer=False)

    def _hear_noise(self, octets: int, reason: str) -> None:
        self._events.append(NoiseHeard(octets, reason))


def _error_of(line: str) -> Error | None:
    """The error of a final result; None for any other line."""
    if line in {"ERROR", "COMMAND NOT SUPPORT", "TOO MANY PARAMETERS"}:
        return errors.PLAIN
    if line.startswith("+CMS ERROR:"):
        return errors.read("cms", line[11:])
    if line.startswith("+CME ERROR:"):
        return errors.read("cme", line[11:])
    return None
