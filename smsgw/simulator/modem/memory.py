"""Where messages lie: the memories of SIM and modem."""

from __future__ import annotations

import msgspec

from smsgw.simulator.modem.shared import Shared

UNREAD, READ, UNSENT, SENT = range(4)
"""<stat> in PDU mode (3GPP TS 27.005, clause 3.1)."""


class Stored(msgspec.Struct):
    """`length` is the TPDU's, without the SMSC's address that begins `line`."""

    line: str
    length: int
    status: int = UNREAD


class Memory:
    """Slots with numbers from `first`, the lowest free one being taken."""

    def __init__(self, room: int, first: int) -> None:
        self.room = room
        self.first = first
        self.slots: dict[int, Stored] = {}

    @property
    def full(self) -> bool:
        return len(self.slots) >= self.room

    def add(self, stored: Stored) -> int | None:
        """Its index; None where there is no room."""
        if self.full:
            return None
        taken = range(self.first, self.first + self.room)
        index = next(each for each in taken if each not in self.slots)
        self.slots[index] = stored
        return index

    def get(self, index: int) -> Stored | None:
        return self.slots.get(index)

    def remove(self, index: int) -> bool:
        return self.slots.pop(index, None) is not None

    def listed(self) -> list[tuple[int, Stored]]:
        return sorted(self.slots.items())

    @property
    def indices(self) -> tuple[int, int]:
        """The first and the last that may be used."""
        return self.first, self.first + self.room - 1


class Both(Memory):
    """`MT`: the two as one, the second's numbers behind the first's."""

    def __init__(self, one: Memory, other: Memory) -> None:
        super().__init__(one.room + other.room, one.first)
        self._one, self._other = one, other
        self._shift = one.first + one.room - other.first

    @property
    def full(self) -> bool:
        return self._one.full and self._other.full

    def add(self, stored: Stored) -> int | None:
        index = self._one.add(stored)
        if index is not None:
            return index
        index = self._other.add(stored)
        return None if index is None else index + self._shift

    def get(self, index: int) -> Stored | None:
        return self._one.get(index) or self._other.get(index - self._shift)

    def remove(self, index: int) -> bool:
        return self._one.remove(index) or self._other.remove(index - self._shift)

    def listed(self) -> list[tuple[int, Stored]]:
        return self._one.listed() + [(index + self._shift, each) for index, each in self._other.listed()]


class Memories:
    """Of one modem. The three that are selected: to read, to write, to receive."""

    def __init__(self, shared: Shared) -> None:
        family, room = shared.family, shared.behaviour.room
        self.by_name: dict[str, Memory] = {
            name: Memory(room.get(name, places), family.first_index)
            for name, places in family.memories
            if name != "MT"
        }
        self.names = tuple(name for name, _ in family.memories)
        if "MT" in self.names:
            self.by_name["MT"] = Both(self.by_name["ME"], self.by_name["SM"])
        self.selected = [self.names[0]] * 3

    def restart(self) -> None:
        self.selected = [self.names[0]] * 3

    @property
    def reading(self) -> Memory:
        return self.by_name[self.selected[0]]

    @property
    def writing(self) -> Memory:
        return self.by_name[self.selected[1]]

    @property
    def receiving(self) -> Memory:
        return self.by_name[self.selected[2]]

    def used(self) -> list[str]:
        """`used,total` of each that is selected."""
        return [
            f"{len(memory.listed())},{memory.room}"
            for memory in (self.by_name[name] for name in self.selected)
        ]
