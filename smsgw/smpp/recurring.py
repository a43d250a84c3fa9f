"""What recurs from one PDU to the next is written and read once, and remembered.

Most of what a channel writes it has written before: one sender, the same flags, no times. So
`plan_to_write` makes one step of the fields between those that vary, and that step remembers its octets
by the fields' values. `plan_to_read` makes one of neighbouring integers and strings that are mostly empty,
and that step remembers the values by their octets: without strings these are of one length, so that they
are found before they are read. What is remembered is bounded, whatever a peer sends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import groupby
from typing import Any

import msgspec

from smsgw.smpp.fields import (
    CString,
    Integer,
    Read,
    Writing,
    kinds,
    plan,
    steps_of,
    write_all,
    writes_of,
)

REMEMBERED = 1024
"""Stretches of a class that are remembered: senders times flags, for all channels together."""


class Repeated:
    """Steps that write the values at the places `own`, mostly the same from one PDU to the next."""

    def __init__(self, own: slice, steps: Sequence[Writing]) -> None:
        self._own = own
        self._writes = writes_of(steps)
        self._written: dict[tuple[Any, ...], bytes] = {}

    def __len__(self) -> int:
        """How many stretches it remembers, `REMEMBERED` at most."""
        return len(self._written)

    def write(self, values: tuple[Any, ...]) -> bytes:
        """See `Writing.write`."""
        own = values[self._own]
        try:
            octets = self._written.get(own)
        except TypeError:  # a value without a hash: the step that it belongs to names the field
            octets = None
        return self._write(values, own) if octets is None else octets

    def _write(self, values: tuple[Any, ...], own: tuple[Any, ...]) -> bytes:
        octets = write_all(self._writes, values)
        if len(self._written) >= REMEMBERED:
            self._written.clear()  # those in use are back at once
        self._written[own] = octets
        return octets


class Recurrent:
    """Steps that read mostly the same octets: `least` of them, where all strings are empty."""

    def __init__(self, least: int, reads: Sequence[Read]) -> None:
        self._least = least
        self._reads = reads
        self._known: dict[bytes, tuple[Any, ...]] = {}

    def __len__(self) -> int:
        """How many stretches it remembers, `REMEMBERED` at most."""
        return len(self._known)

    def read(self, frame: bytes, offset: int, values: list[Any]) -> int:
        """See `Step.read`."""
        end = offset + self._least
        known = self._known.get(frame[offset:end])
        if known is None:
            return self._read(frame, offset, values)
        values += known
        return end

    def _read(self, frame: bytes, offset: int, values: list[Any]) -> int:
        found: list[Any] = []
        end = offset
        for read in self._reads:
            end = read(frame, end, found)
        if end == offset + self._least:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[frame[offset:end]] = tuple(found)
        values += found
        return end


def plan_to_write(shape: type[msgspec.Struct], varying: Collection[str]) -> tuple[Writing, ...]:
    """The steps that write a class. Where some of its fields are `varying`, the others are remembered."""
    if not varying:
        return plan(shape)
    steps: list[Writing] = []
    for varies, stretch in _stretches(shape, varying.__contains__):
        run = steps_of(shape, stretch)
        start = shape.__struct_fields__.index(next(iter(stretch)))
        steps += run if varies else (Repeated(slice(start, start + len(stretch)), run),)
    return tuple(steps)


def plan_to_read(shape: type[msgspec.Struct], *, lenient: bool = False) -> tuple[Read, ...]:
    """What reads a class, in order; `lenient` as in `smsgw.smpp.fields.plan`."""
    table = kinds(shape)
    reads: list[Read] = []
    for recurs, stretch in _stretches(shape, lambda name: _recurs(table[name])):
        last = list(stretch)[-1] == list(table)[-1]
        run = [step.read for step in steps_of(shape, stretch, lenient=lenient, last=last)]
        reads += [Recurrent(_least(stretch), run).read] if recurs and len(run) > 1 else run
    return tuple(reads)


def _stretches(
    shape: type[msgspec.Struct], alike: Callable[[str], bool]
) -> Iterator[tuple[bool, dict[str, Any]]]:
    """Neighbouring fields that are alike, each with its kind."""
    table = kinds(shape)
    for which, names in groupby(table, key=alike):
        yield which, {name: table[name] for name in names}


def _recurs(kind: Any) -> bool:
    return isinstance(kind, Integer) or (isinstance(kind, CString) and kind.rare)


def _least(stretch: dict[str, Integer | CString]) -> int:
    """Octets, where every string is but its NUL."""
    return sum(kind.size if isinstance(kind, Integer) else 1 for kind in stretch.values())
