"""Our own driver and a simulated modem, coupled: no I/O, and time passes from deadline to deadline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from smsgw.gsm.connection import Connection
from smsgw.gsm.events import (
    Answer,
    Event,
    MessageReceived,
    ReportReceived,
    RungClimbed,
    SubmitAnswered,
)
from smsgw.gsm.settings import Pins, Settings
from smsgw.gsm.shapes import Submit
from smsgw.simulator.modem.behaviour import Behaviour
from smsgw.simulator.modem.control import bring
from smsgw.simulator.modem.letters import Inbound
from smsgw.simulator.modem.modem import Modem
from smsgw.simulator.modem.shared import Entry

T = TypeVar("T")


class Dialogue:
    """`safe`: everything that is received is settled as safe at once. `cut`: octets at a time."""

    def __init__(
        self, behaviour: Behaviour, settings: Settings | None = None, *, safe: bool = True, cut: int = 10_000
    ) -> None:
        self.entries: list[Entry] = []
        self.now = 0.0
        self.modem = Modem(behaviour, self.now, record=self.entries.append)
        self.settings, self.pins = settings, Pins()
        self.connection = Connection(settings, self.pins)
        self.safe = safe
        self.cut = cut
        self.events: list[Event] = []
        self.unplugged = 0

    def open(self, most: float = 600.0) -> Dialogue:
        self._take(self.connection.opened(self.now))
        self.run(lambda: self.connection.can_send, most)
        return self

    def reopen(self, most: float = 600.0) -> Dialogue:
        """As whoever owns the port does after `Ended`."""
        self.modem.unplugged()
        self.modem.data_to_send()
        self.connection = Connection(self.settings, self.pins)
        return self.open(most)

    def run(self, until: Callable[[], Any] = lambda: False, most: float = 600.0) -> None:
        end = self.now + most
        self._settle()
        while not until() and self.connection.state != "ended":
            at = min(self.connection.deadline(), self.modem.deadline())
            if at > end:
                self.now = end
                return
            self.now = max(self.now, at)
            self.modem.tick(self.now)
            self._take(self.connection.tick(self.now))
            self._settle()

    def _settle(self) -> None:
        """Whatever can be said without time passing."""
        while True:
            typed, said = self.connection.data_to_send(), self.modem.data_to_send()
            if self.modem.unplugged() is not None:
                self.unplugged += 1
                self._take(self.connection.lost("unplugged", self.now))
                return
            self._take(self.connection.events())
            if not typed and not said:
                return
            for start in range(0, len(said), self.cut):
                self._take(self.connection.receive(said[start : start + self.cut], self.now))
            if typed:
                self.modem.receive(typed, self.now)

    def _take(self, events: list[Event]) -> None:
        self.events += events
        for event in events:
            if isinstance(event, MessageReceived | ReportReceived) and self.safe:
                self.connection.settle(event.handle, self.now, safe=True)

    def told(self, kind: type[T]) -> list[T]:
        return [event for event in self.events if isinstance(event, kind)]

    def send(self, tpdu: Submit, most: float = 200.0) -> Answer:
        """Its one answer."""
        before = len(self.told(SubmitAnswered))
        self.connection.send(tpdu, self.now, "context")
        self.run(lambda: len(self.told(SubmitAnswered)) > before, most)
        return self.told(SubmitAnswered)[before].answer

    def bring(self, **fields: Any) -> None:
        bring(self.modem, msgspec.convert(fields, Inbound))
        self.run(most=1.0)

    def change(self, **fields: Any) -> None:
        """The modem behaves otherwise from now on."""
        self.modem.behave(msgspec.structs.replace(self.modem.shared.behaviour, **fields), self.now)
        self._settle()

    def rungs(self) -> list[str]:
        return [event.rung for event in self.told(RungClimbed)]

    def journal(self, event: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.event == event]
