"""How the connection's dialogues are written: as generators that ask and are answered.

    completed = yield from ask(Command(line="AT+CSQ", prefixes=("+CSQ:",)))
    yield from rest(2.0)

A script knows no time and no port. Where its command is not answered `Interrupted` is thrown into it;
a script that can go on catches it, any other one ends by it, and the watchdog begins to climb. A script
that finds that there is no way on raises `Stuck` (the watchdog climbs too) or `Halted` (the end).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeAlias, TypeVar

import msgspec

from smsgw.errors import SmsgwError
from smsgw.gsm.at import Command, Completed, Line
from smsgw.gsm.events import Event
from smsgw.gsm.families import GENERIC, Family, Indication

T = TypeVar("T")


class Pause(msgspec.Struct, frozen=True):
    """Do nothing for so many seconds."""

    seconds: float


Step: TypeAlias = Command | Pause
Script: TypeAlias = Generator[Step, Completed | None, T]
Tell: TypeAlias = Callable[[Event], None]


class Interrupted(SmsgwError):
    """The command that ran gets no answer. `prompted`: its payload had gone out."""

    def __init__(self, reason: str, *, prompted: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.prompted = prompted


class Stuck(SmsgwError):
    """The modem answers, but not so that we could go on: as bad as silence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Halted(SmsgwError):
    """Nothing that we do to this modem would help."""

    def __init__(self, reason: str, *, reopen: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.reopen = reopen


class Facts:
    """What is known of the modem. Read anew by every gate, since every restart may change it."""

    def __init__(self) -> None:
        self.manufacturer = self.model = self.revision = ""
        self.family: Family = GENERIC
        self.imei = self.imsi = ""
        self.smsc = self.operator = ""
        self.dbm: int | None = None
        self.registration = 0
        self.memories: tuple[str, ...] = ()
        self.memory: str | None = None
        """The one that AT+CMGL, AT+CMGR and AT+CMGD work on now."""
        self.incoming: str | None = None
        """The one that messages from the network are stored in."""
        self.acknowledges = False
        """AT+CSMS=1 was taken: what comes directly has to be acknowledged."""
        self.indication: Indication | None = None

    @property
    def registered(self) -> bool:
        return self.registration in REGISTERED


REGISTERED = frozenset({1, 5, 6, 7})
"""Home, roaming, and both for messages only (3GPP TS 27.007, clause 7.2)."""


def ask(command: Command) -> Script[Completed]:
    """The command's answer. Raises `Interrupted` where none comes."""
    completed = yield command
    if completed is None:
        raise AssertionError("a command was resumed without its answer")
    return completed


def rest(seconds: float) -> Script[None]:
    yield Pause(seconds)


def tell_line(completed: Completed) -> Line | None:
    """The first line of an answer."""
    return completed.lines[0] if completed.lines else None


def integer(text: str, base: int = 10) -> int | None:
    """A number that a modem wrote, or None."""
    try:
        return int(text, base)
    except ValueError:
        return None


def field(line: Line | None, place: int) -> str:
    """A parameter of a line; empty where there is none."""
    fields = line.fields() if line is not None else ()
    return fields[place] if place < len(fields) else ""


def last(line: Line) -> int | None:
    """The number at the end of a line, which is the length of a PDU."""
    return integer((line.fields() or ("",))[-1])
