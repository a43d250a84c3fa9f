"""What is to be done with a modem that is ready, besides sending: the books of it.

Everything here is bounded: settled PDUs by what `Storage` has offered, indicated ones by `MAX_INDICATED`
(beyond that the whole storage is read instead), USSD by one.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Any

import msgspec

from smsgw.errors import Misuse
from smsgw.gsm import ussd
from smsgw.gsm.at import Command, Line
from smsgw.gsm.events import (
    AcknowledgementRefused,
    Handle,
    LineIgnored,
    Looked,
    PduLost,
    SentLate,
    UssdAnswered,
    UssdReceived,
)
from smsgw.gsm.gate import look, look_at_registration, remind, set_registration, set_signal
from smsgw.gsm.scripts import Facts, Script, Tell, ask, field, integer, last
from smsgw.gsm.settings import Settings
from smsgw.gsm.storage import Storage

MAX_INDICATED = 50

ACKNOWLEDGED_WITHIN = 12.0
"""Seconds from a direct message to the last moment at which the network surely still waits for our word: the
least that TR2M may be (3GPP TS 24.011, clause 10). It ends by 20 s, and with it direct routing."""
ROUTED_AGAIN = 22.0
"""Seconds from it to when the modem is told to route directly again."""


class _Ussd(msgspec.Struct):
    """The one that is unanswered; `asked` once its command went out."""

    command: Command
    context: Any
    until: float
    asked: bool = False


class Jobs:
    def __init__(self, settings: Settings, facts: Facts, tell: Tell) -> None:
        self.storage = Storage(facts, tell)
        self._settings = settings
        self._facts = facts
        self._tell = tell
        self._settled: deque[tuple[Handle, bool]] = deque()
        self._declining = False
        self._direct_until = inf
        self._indicated: dict[tuple[str, int], None] = {}
        self._ussd: _Ussd | None = None
        self._look_at = self._drain_at = inf

    # -- time

    def start(self, now: float) -> None:
        """It is ready: the storage first."""
        self._drain_at = now
        self._look_at = now + self._settings.idle

    def deadline(self, *, idle: bool) -> float:
        """When there is something to do; `idle`: nothing else is being done."""
        ends = self._ussd.until if self._ussd is not None else inf
        return min(ends, self._look_at, self._drain_at, self._direct_until) if idle else ends

    def tick(self, now: float) -> None:
        if self._ussd is not None and now >= self._ussd.until:
            self._answer_ussd(None, problem="no answer came")

    def abort(self, reason: str) -> None:
        """The modem is set up anew: its storage will be read, what came directly is lost to us."""
        self._settled.clear()
        self._declining = False
        self._direct_until = inf
        self._indicated.clear()
        self._look_at = self._drain_at = inf
        self.storage.forget_direct()
        if self._ussd is not None:
            self._answer_ussd(None, problem=reason)

    # -- what the application asks for

    @property
    def settling(self) -> bool:
        """Whether something settled waits to be deleted or acknowledged."""
        return bool(self._settled)

    def look(self) -> None:
        """Before its time."""
        self._look_at = -inf

    def settle(self, handle: Handle, *, safe: bool) -> None:
        if self.storage.settle(handle, safe=safe) and (handle.memory or self._facts.acknowledges):
            self._settled.append((handle, safe))

    def ask_ussd(self, command: Command, now: float, context: Any) -> None:
        if self._ussd is not None:
            raise Misuse("USSD while another one is unanswered")
        self._ussd = _Ussd(command, context, now + self._settings.ussd)

    # -- what to do next

    def take(self, now: float) -> Script[None] | None:
        """The next script, if there is anything to do."""
        if now >= self._direct_until:
            self._let_direct_go(now)
        if self._declining:
            self._declining = False
            return self._acknowledge(safe=False)
        if self._settled:
            handle, safe = self._settled.popleft()
            return self.storage.delete(handle) if handle.memory else self._acknowledge(safe=safe)
        if self._indicated:
            memory, index = next(iter(self._indicated))
            del self._indicated[memory, index]
            return self.storage.fetch(memory, index)
        if now >= self._drain_at:
            blind = self._facts.indication is None
            self._drain_at = now + (self._settings.poll_blind if blind else self._settings.poll)
            return self.storage.drain()
        if self._ussd is not None and not self._ussd.asked:
            self._ussd.asked = True
            return self._ask_ussd(self._ussd.command)
        if now >= self._look_at:
            self._look_at = now + self._settings.idle
            return self._look()
        return None

    def _acknowledge(self, *, safe: bool) -> Script[None]:
        """To the network, of what came directly."""
        facts = self._facts
        self._direct_until = inf
        line = facts.family.acknowledge if safe else facts.family.decline
        if line:
            completed = yield from ask(Command(line=line, timeout=10.0))
            if completed.error is not None and safe:
                self._tell(AcknowledgementRefused(completed.error))
        if not safe and facts.indication is not None:
            # a modem that was not acknowledged stops routing directly (3GPP TS 27.005, clause 3.4.1)
            yield from ask(Command(line=f"AT+CNMI={facts.indication.parameters}"))

    def _look(self) -> Script[None]:
        """Does it live, has it a network, and does it know what it was told."""
        yield from look(self._facts, self._tell)
        yield from look_at_registration(self._facts, self._tell)
        yield from remind(self._facts)
        self._tell(Looked())

    def _ask_ussd(self, command: Command) -> Script[None]:
        completed = yield from ask(command)
        if completed.error is not None and self._ussd is not None:
            self._answer_ussd(None, problem=completed.error.name)

    def _answer_ussd(self, text: str | None, *, more: bool = False, problem: str | None = None) -> None:
        if self._ussd is not None:
            context, self._ussd = self._ussd.context, None
            self._tell(UssdAnswered(context, text, more, problem))

    # -- what the modem says unasked

    def hear(self, line: Line, now: float) -> None:
        name, text = line.text.split(":")[0].strip(), line.text
        if name in {"+CMT", "+CDS"}:
            self._hear_direct(line, now)
        elif name in {"+CMTI", "+CDSI"}:
            self._hear_indication(line)
        elif name == "+CREG" and (status := integer(field(line, 0))) is not None:
            set_registration(self._facts, status, self._tell)
        elif name == "+CUSD":
            self._hear_ussd(line)
        elif name == "^RSSI":
            set_signal(self._facts, field(line, 0), self._tell)
        else:
            self._tell(LineIgnored(name[:20] if ":" in text else text[:20]))

    def hear_late(self, line: Line) -> None:
        """Of an answer to a command that was given up."""
        reference = integer(field(line, 0)) if line.text.startswith("+CMGS:") else None
        if reference is not None:
            self._tell(SentLate(reference))
        else:
            self._tell(LineIgnored(line.text.split(":")[0][:20]))

    def _hear_direct(self, line: Line, now: float) -> None:
        if self._facts.acknowledges:
            self._forget_direct(Handle(line.pdu) if line.pdu is not None else None)
            self._direct_until = now + ACKNOWLEDGED_WITHIN
        if line.pdu is None:
            self._tell(PduLost(line.text.split(":")[0]))
            # better declined at once, and repeated, than missed until the modem stops routing directly
            self._declining = self._facts.acknowledges
        else:
            self.storage.offer(Handle(line.pdu), last(line))

    def _forget_direct(self, last: Handle | None) -> None:
        """AT+CNMA names no message: it would take the last, which came since no other is waited for."""
        self._settled = deque(
            (handle, safe) for handle, safe in self._settled if handle.memory or handle == last
        )
        self.storage.forget_direct(last)

    def _let_direct_go(self, now: float) -> None:
        """It is too late to acknowledge: the network repeats it, and our word could take another one."""
        self._direct_until = inf
        self._forget_direct(None)
        self._look_at = min(self._look_at, now + ROUTED_AGAIN - ACKNOWLEDGED_WITHIN)

    def _hear_indication(self, line: Line) -> None:
        index = integer(field(line, 1))
        if index is None or len(self._indicated) >= MAX_INDICATED:
            self._drain_at = -inf
        else:
            self._indicated[field(line, 0), index] = None

    def _hear_ussd(self, line: Line) -> None:
        """`m,text,coding`: 0 the end, 1 a reply is wanted, from 2 on it failed."""
        kind, coding = integer(field(line, 0)), integer(field(line, 2))
        text = ussd.read(
            field(line, 1), 15 if coding is None else coding, packed=self._facts.family.ussd_packed
        )
        if self._ussd is None:
            self._tell(UssdReceived(text))
        elif kind in {0, 1}:
            self._answer_ussd(text, more=kind == 1)
        else:
            self._answer_ussd(text or None, problem=f"the network ended it ({kind})")
