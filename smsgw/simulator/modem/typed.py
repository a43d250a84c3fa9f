"""What is typed to a modem: octets to lines, lines to commands (3GPP TS 27.007, clause 4; ITU-T V.250, 5).

Written for the simulator alone: nothing of the gateway's own AT code is used, so that both would have to be
wrong in the same way for an error to hide.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

import msgspec

Kind: TypeAlias = Literal["do", "ask", "list", "set"]
"""`AT+X`, `AT+X?`, `AT+X=?`, `AT+X=...`."""

MAX_LINE = 560
"""Octets of a command line; more is an error, and the rest is lost."""

_EXTENDED = re.compile(r"([+^*$#%!&]?[A-Z][A-Z0-9]*)")
_BASIC = re.compile(r"([A-Z]|[&\\][A-Z])([0-9]*)")
_REGISTER = re.compile(r"S([0-9]+)(\?|=([0-9]*))")


class Request(msgspec.Struct, frozen=True):
    """One command of a line. `name` in capitals, with its `+` or `^`; `text` is what follows the `=`."""

    name: str
    kind: Kind = "do"
    text: str = ""

    def arguments(self) -> list[str]:
        """Separated by commas outside of quotes; unquoted."""
        return [found.strip().strip('"') for found in split_outside_quotes(self.text, ",")]

    def number(self, place: int) -> int | None:
        """An argument as a number; None where it is none, or missing."""
        arguments = self.arguments()
        found = arguments[place] if place < len(arguments) else ""
        return int(found) if found.isascii() and found.isdigit() and len(found) < 7 else None


class NoCommand(Exception):
    """A line that is no row of commands."""


def split_outside_quotes(text: str, mark: str) -> list[str]:
    pieces, quoted, start = [], False, 0
    for place, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif character == mark and not quoted:
            pieces.append(text[start:place])
            start = place + 1
    return [*pieces, text[start:]]


def requests(line: str) -> list[Request] | None:
    """The commands of a line; None for a line that is not for the modem (it has no AT).

    Raises:
        NoCommand: what follows AT is no row of commands.
    """
    found = re.search("AT", line, re.IGNORECASE)
    if found is None:
        return None
    rest = line[found.end() :].strip()
    row: list[Request] = []
    while rest:
        request, rest = _extended(rest) if rest[0] in "+^*$#%!" else _basic(rest)
        row.append(request)
        rest = rest.lstrip(" ;")
    return row


def _extended(rest: str) -> tuple[Request, str]:
    """Up to the semicolon."""
    text = split_outside_quotes(rest, ";")[0]
    after = rest[len(text) :]
    match = _EXTENDED.match(text.upper())
    if match is None:
        raise NoCommand(text)
    name, tail = match[1], text[match.end() :].strip()
    if not tail:
        return Request(name), after
    if tail == "?":
        return Request(name, "ask"), after
    if tail.replace(" ", "") == "=?":
        return Request(name, "list"), after
    if tail.startswith("="):
        return Request(name, "set", tail[1:].strip()), after
    raise NoCommand(text)


def _basic(rest: str) -> tuple[Request, str]:
    """`E0`, `&F`, `S0=1`: these may follow each other without a mark. A dial string takes the rest."""
    upper = rest.upper()
    if upper[0] == "D":
        return Request("D", "set", rest[1:]), ""
    register = _REGISTER.match(upper)
    if register is not None:
        asked = register[2] == "?"
        return Request(f"S{register[1]}", "ask" if asked else "set", register[3] or ""), rest[
            register.end() :
        ]
    match = _BASIC.match(upper)
    if match is None:
        raise NoCommand(rest)
    return Request(match[1], "set" if match[2] else "do", match[2]), rest[match.end() :]
