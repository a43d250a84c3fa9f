"""The user data header: information elements before the text (3GPP TS 23.040, clause 9.2.3.24).

A header is a length octet (UDHL, itself not counted) and elements of identifier, length and data.
Headers are built from `Element`s, and parsed into them without ever raising: where the lengths do
not add up the whole header is ignored, as the clause asks, and `problem` says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum

import msgspec

from smsgw.errors import Misuse

MAX_OCTETS = 140
"""Octets of user data in one short message, header included (clause 9.2.3.24)."""


class ElementId(IntEnum):
    """The identifiers that smsgw reads or writes; any other is carried as it is."""

    CONCATENATION_8 = 0x00
    PORTS_8 = 0x04
    PORTS_16 = 0x05
    CONCATENATION_16 = 0x08
    SINGLE_SHIFT = 0x24
    LOCKING_SHIFT = 0x25


class Element(msgspec.Struct, frozen=True):
    """One information element; `data` is at most 255 octets, less what the others need."""

    id: int
    data: bytes

    @property
    def octets(self) -> bytes:
        return bytes((self.id, len(self.data))) + self.data


class Header(msgspec.Struct, frozen=True):
    """A parsed header; `length` octets of the user data belong to it, its length octet included."""

    elements: tuple[Element, ...]
    length: int
    problem: str | None = None


NONE = Header((), 0)
"""Of user data that has no header."""


class Concatenation(msgspec.Struct, frozen=True):
    """Part `number` (from 1) of `total`; `wide` where the reference has 16 bits."""

    reference: int
    total: int
    number: int
    wide: bool = False

    @property
    def element(self) -> Element:
        if self.wide:
            reference = self.reference & 0xFFFF
            return Element(
                ElementId.CONCATENATION_16, bytes((reference >> 8, reference & 0xFF, self.total, self.number))
            )
        return Element(ElementId.CONCATENATION_8, bytes((self.reference & 0xFF, self.total, self.number)))


class Ports(msgspec.Struct, frozen=True):
    """Application ports (clauses 9.2.3.24.3 and .4); `wide` for 16-bit ports."""

    destination: int
    source: int
    wide: bool = True

    @property
    def element(self) -> Element:
        size = 2 if self.wide else 1
        try:
            data = self.destination.to_bytes(size, "big") + self.source.to_bytes(size, "big")
        except OverflowError:
            raise Misuse(f"a port does not fit {8 * size} bits") from None
        return Element(ElementId.PORTS_16 if self.wide else ElementId.PORTS_8, data)


def single_shift(language: int) -> Element:
    """National language single shift (clause 9.2.3.24.15)."""
    return Element(ElementId.SINGLE_SHIFT, bytes((language,)))


def locking_shift(language: int) -> Element:
    """National language locking shift (clause 9.2.3.24.16)."""
    return Element(ElementId.LOCKING_SHIFT, bytes((language,)))


def size(elements: Iterable[Element]) -> int:
    """Octets of the header that `build` makes of the elements: 0 without any."""
    octets = 0
    for element in elements:
        octets += 2 + len(element.data)
    return octets + 1 if octets else 0


def build(elements: Sequence[Element]) -> bytes:
    """The header with its length octet; empty without elements.

    Raises:
        Misuse: it would not fit into a short message.
    """
    if not elements:
        return b""
    octets = b"".join(element.octets for element in elements)
    if len(octets) >= MAX_OCTETS:
        raise Misuse(f"a user data header of {len(octets) + 1} octets does not fit into {MAX_OCTETS}")
    return bytes((len(octets),)) + octets


def parse(octets: bytes) -> Header:
    """The header at the start of user data whose header indicator is set; never raises."""
    if not octets:
        return Header((), 0, "the user data header is missing")
    length = 1 + octets[0]
    if length > len(octets):
        return Header((), 0, f"a user data header of {length} octets in {len(octets)} octets of user data")
    elements: list[Element] = []
    offset = 1
    while offset < length:
        end = offset + 2 + (octets[offset + 1] if offset + 1 < length else 0)
        if end > length:
            return Header((), length, f"the element at octet {offset} runs past the user data header")
        elements.append(Element(octets[offset], bytes(octets[offset + 2 : end])))
        offset = end
    return Header(tuple(elements), length)


def concatenation(elements: Iterable[Element]) -> Concatenation | None:
    """The last valid concatenation element, if any (the last one counts, clause 9.2.3.24)."""
    found = None
    for element in elements:
        data = element.data
        if element.id == ElementId.CONCATENATION_8 and len(data) == 3:
            read = Concatenation(data[0], data[1], data[2])
        elif element.id == ElementId.CONCATENATION_16 and len(data) == 4:
            read = Concatenation(data[0] << 8 | data[1], data[2], data[3], wide=True)
        else:
            continue
        found = read if 1 <= read.number <= read.total else found
    return found


def ports(elements: Iterable[Element]) -> Ports | None:
    """The last application port element, if any."""
    found = None
    for element in elements:
        data = element.data
        if element.id == ElementId.PORTS_8 and len(data) == 2:
            found = Ports(data[0], data[1], wide=False)
        elif element.id == ElementId.PORTS_16 and len(data) == 4:
            found = Ports(data[0] << 8 | data[1], data[2] << 8 | data[3])
    return found


def shifts(elements: Iterable[Element]) -> tuple[int, int]:
    """The national languages (locking, single) in force; 0 is the default table."""
    found = {element.id: element.data[0] for element in elements if len(element.data) == 1}
    return found.get(ElementId.LOCKING_SHIFT, 0), found.get(ElementId.SINGLE_SHIFT, 0)
