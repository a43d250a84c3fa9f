"""The modem's storage: what lies there is offered once, and deleted only when it is safe elsewhere.

A stored PDU is known by memory, index and its octets, `Handle`. It is offered when it is first seen,
and not again while it is unsettled. Settled as safe it is deleted; should that fail, or the modem restart
first, the next drain deletes what it finds and knows, without offering it again. Settled as not safe
it is forgotten, so that the next drain offers it anew.
"""

from __future__ import annotations

from smsgw.gsm.at import Command, Completed, Line
from smsgw.gsm.events import (
    Handle,
    LineIgnored,
    MessageReceived,
    PduLost,
    ReportReceived,
    StorageMeasured,
    Undeciphered,
)
from smsgw.gsm.octets import TpduError
from smsgw.gsm.scripts import Facts, Script, Tell, ask, field, integer, last, tell_line
from smsgw.gsm.shapes import Deliver, StatusReport
from smsgw.gsm.tpdu import from_hex

MAX_OFFERED = 100
"""Unsettled PDUs: more wait in the modem until some are settled."""

_OWN = {"2", "3"}
"""Messages of ours that somebody stored, unsent or sent (3GPP TS 27.005, clause 3.1, <stat>)."""


class Storage:
    def __init__(self, facts: Facts, tell: Tell) -> None:
        self._facts = facts
        self._tell = tell
        self._offered: dict[Handle, bool] = {}
        self._measured: dict[str, tuple[int, int]] = {}

    def __len__(self) -> int:
        """PDUs that are offered and not deleted."""
        return len(self._offered)

    @property
    def full(self) -> bool:
        """The memory for incoming messages has no room left."""
        return any(used >= total > 0 for used, total in self._measured.values())

    def offer(self, handle: Handle, length: int | None) -> None:
        """Tell what was received. Never raises: what can't be read is told as well."""
        if handle in self._offered or len(self._offered) >= MAX_OFFERED:
            return
        try:
            pdu = from_hex(handle.pdu, length, "sc")
        except TpduError as error:
            self._offered[handle] = False
            self._tell(Undeciphered(handle, error))
            return
        tpdu = pdu.tpdu
        if isinstance(tpdu, Deliver):
            self._offered[handle] = False
            self._tell(MessageReceived(handle, tpdu, pdu.smsc))
        elif isinstance(tpdu, StatusReport):
            self._offered[handle] = False
            self._tell(ReportReceived(handle, tpdu))
        else:
            self._tell(LineIgnored("SMS-SUBMIT-REPORT"))

    def settle(self, handle: Handle, *, safe: bool) -> bool:
        """Whether there is something to do with the modem: `delete`, or an acknowledgement."""
        if handle not in self._offered:
            return False
        if safe and handle.memory is not None:
            self._offered[handle] = True
            return True
        del self._offered[handle]
        return handle.memory is None

    def forget_direct(self, last: Handle | None = None) -> None:
        """What came directly, but for the last one, can't be acknowledged any more."""
        for handle in [handle for handle in self._offered if handle.memory is None and handle != last]:
            del self._offered[handle]

    # -- scripts

    def drain(self) -> Script[None]:
        """Offer all that lies there, delete what is safe."""
        for memory in self._facts.memories:
            if (yield from self._select(memory)):
                yield from self._list(memory)

    def fetch(self, memory: str, index: int) -> Script[None]:
        """Offer the one that was indicated."""
        if not (yield from self._select(memory)):
            return
        command = Command(line=f"AT+CMGR={index}", prefixes=("+CMGR:",), pdus=True, timeout=20.0)
        line = tell_line((yield from ask(command)))
        if line is not None and field(line, 0) not in _OWN:
            self._found(memory, index, line)

    def delete(self, handle: Handle) -> Script[None]:
        """Of a handle that is settled as safe, and not deleted yet: its place may hold another one now."""
        if handle.memory is None or not self._offered.get(handle):
            return
        if not (yield from self._select(handle.memory)):
            return
        completed = yield from ask(Command(line=f"AT+CMGD={handle.index}", timeout=25.0))
        gone = completed.error is not None and completed.error.code in {321, 21, 22}
        if completed.ok or gone:
            self._offered.pop(handle, None)
            self._one_less(handle.memory)

    def _select(self, memory: str) -> Script[bool]:
        facts = self._facts
        if facts.memory == memory:
            return True
        completed = yield from self._choose(f'"{memory}"')
        if not completed.ok and facts.incoming:
            # some want all three, and the third must stay
            completed = yield from self._choose(f'"{memory}","{facts.incoming}","{facts.incoming}"')
        facts.memory = memory if completed.ok else None
        if completed.ok:
            self.measure(memory, tell_line(completed))
        return completed.ok

    @staticmethod
    def _choose(memories: str) -> Script[Completed]:
        return ask(Command(line=f"AT+CPMS={memories}", prefixes=("+CPMS:",), timeout=10.0))

    def measure(self, memory: str, line: Line | None) -> None:
        """Of `+CPMS: used,total,...`, the first of which is the selected memory."""
        used, total = integer(field(line, 0)), integer(field(line, 1))
        if used is not None and total is not None:
            self._measure(memory, used, total)

    def _measure(self, memory: str, used: int, total: int) -> None:
        if self._measured.get(memory) != (used, total):
            self._measured[memory] = (used, total)
            self._tell(StorageMeasured(memory, used, total))

    def _one_less(self, memory: str) -> None:
        used, total = self._measured.get(memory, (0, 0))
        if used:
            self._measure(memory, used - 1, total)

    def _list(self, memory: str) -> Script[None]:
        command = Command(line="AT+CMGL=4", prefixes=("+CMGL:",), pdus=True, timeout=60.0)
        completed = yield from ask(command)
        if completed.ok and memory in self._measured:
            # it was measured when it was selected, which may be long ago
            self._measure(memory, len(completed.lines), self._measured[memory][1])
        there: set[int] = set()
        for line in completed.lines:
            index = integer(field(line, 0))
            if index is None:
                continue
            there.add(index)
            if field(line, 1) in _OWN:
                continue
            known = Handle(line.pdu or "", memory, index)
            if self._offered.get(known):
                yield from self.delete(known)
            else:
                self._found(memory, index, line)
        if completed.ok:
            self._prune(memory, there)

    def _found(self, memory: str, index: int, line: Line) -> None:
        if line.pdu is None:
            self._tell(PduLost(line.text.split(":")[0]))
        else:
            self.offer(Handle(line.pdu, memory, index), last(line))

    def _prune(self, memory: str, there: set[int]) -> None:
        """What is safe and no longer there need not be remembered."""
        for handle, safe in list(self._offered.items()):
            if safe and handle.memory == memory and handle.index not in there:
                del self._offered[handle]
