"""A modem of a family, as far as the connection's tests need one: it answers, it is never early or late.

`Bench` couples it to a `Connection` and lets time pass: no clock, no sleeping.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from smsgw.gsm.connection import Connection
from smsgw.gsm.events import Event
from smsgw.gsm.settings import Pins, Settings
from smsgw.gsm.shapes import Submit
from smsgw.gsm.tpdu import from_hex

T = TypeVar("T")

OK = "OK"
IMEI, IMSI = "356938035643809", "240011234567890"


class Modem:
    """`says` are its identities; `refuses` commands (by their beginnings) with an error line."""

    def __init__(
        self,
        manufacturer: str = "SIMCOM_Ltd",
        model: str = "SIMCOM_SIM800L",
        *,
        named: bool = False,
        prompt: bytes = b"\r\n> ",
        refuses: dict[str, str] | None = None,
        pin: str | None = None,
        memories: tuple[str, ...] = ("SM", "ME"),
    ) -> None:
        self.identity = {"CGMI": manufacturer, "CGMM": model, "CGMR": "R1", "CGSN": IMEI, "CIMI": IMSI}
        self.named = named
        self.prompt = prompt
        self.refuses = refuses or {}
        self.pin = pin
        self.sim = "SIM PIN" if pin else "READY"
        self.memories = memories
        self.memory = memories[0]
        self.memories_named = 1
        self.stored: dict[str, dict[int, tuple[str, int]]] = {name: {} for name in memories}
        self.registration = 1
        self.echo = True
        self.commands: list[str] = []
        self.sent: list[Submit] = []
        self.reference = 0
        self.mute: Callable[[str], bool] = lambda command: False
        self.refuse_pdu: str | None = None
        self.pins_entered = 0
        self._buffer = b""
        self._prompting = False

    # -- the wire

    def feed(self, data: bytes) -> bytes:
        self._buffer += data
        out = b""
        while True:
            if self._prompting:
                end = re.search(rb"[\x1a\x1b]", self._buffer)
            else:
                self._buffer = self._buffer.lstrip(b"\x1b")
                end = re.search(rb"\r", self._buffer)
            if end is None:
                return out
            text, self._buffer = self._buffer[: end.start()], self._buffer[end.end() :]
            out += self._pdu(text, end[0]) if self._prompting else self._command(text.decode())

    def _pdu(self, text: bytes, end: bytes) -> bytes:
        self._prompting = False
        if end == b"\x1b":
            return lines(OK)
        self.commands.append("PDU")
        if self.mute("PDU"):
            return b""
        if self.refuse_pdu is not None:
            return lines(self.refuse_pdu)
        pdu = from_hex(text.decode(), None, "phone").tpdu
        assert isinstance(pdu, Submit)
        self.sent.append(pdu)
        self.reference = (self.reference + 1) % 256
        return lines(f"+CMGS: {self.reference}", OK)

    def _command(self, command: str) -> bytes:
        self.commands.append(command)
        echo = f"{command}\r".encode() if self.echo else b""
        if self.mute(command):
            return echo
        for beginning, error in self.refuses.items():
            if command.startswith(beginning):
                return echo + lines(error)
        if command.startswith("AT+CMGS="):
            self._prompting = True
            return echo + self.prompt
        return echo + lines(*self._answer(command))

    def _answer(self, command: str) -> tuple[str, ...]:
        name = command.removeprefix("AT+")
        if command == "ATE0":
            self.echo = False
        if name in self.identity:
            told = self.identity[name]
            return (f"+{name}: {told}" if self.named else told), OK
        if command == "AT+CFUN=1,1":
            self.sim = "SIM PIN" if self.pin else "READY"
        for beginning, method in self._METHODS.items():
            if command.startswith(beginning):
                found: tuple[str, ...] = method(self, command)
                return found
        return (OK,)

    def _cpin(self, command: str) -> tuple[str, ...]:
        if command == "AT+CPIN?":
            return f"+CPIN: {self.sim}", OK
        self.pins_entered += 1
        if command != f'AT+CPIN="{self.pin}"':
            return ("+CME ERROR: 16",)
        self.sim = "READY"
        return (OK,)

    def open_sim(self) -> bool:
        self.sim = "READY"
        return True

    def _cpms(self, command: str) -> tuple[str, ...]:
        if command == "AT+CPMS=?":
            group = "(" + ",".join(f'"{name}"' for name in self.memories) + ")"
            return f"+CPMS: {group},{group},{group}", OK
        if command.count('"') < 2 * self.memories_named:
            return ("ERROR",)
        self.memory = command.split('"')[1]
        used = len(self.stored[self.memory])
        return f"+CPMS: {used},20,{used},20,{used},20", OK

    def _cmgl(self, command: str) -> tuple[str, ...]:
        found: list[str] = []
        for index, (line, length) in sorted(self.stored[self.memory].items()):
            found += [f"+CMGL: {index},1,,{length}", line]
        return *found, OK

    def _cmgr(self, command: str) -> tuple[str, ...]:
        found = self.stored[self.memory].get(int(command.split("=")[1]))
        if found is None:
            return ("+CMS ERROR: 321",)
        return f"+CMGR: 0,,{found[1]}", found[0], OK

    def _cmgd(self, command: str) -> tuple[str, ...]:
        self.stored[self.memory].pop(int(command.split("=")[1]), None)
        return (OK,)

    _METHODS = {
        "AT+CPIN": _cpin,
        "AT+CPMS": _cpms,
        "AT+CMGL": _cmgl,
        "AT+CMGR": _cmgr,
        "AT+CMGD": _cmgd,
        "AT+CREG?": lambda self, command: (f"+CREG: 1,{self.registration}", OK),
        "AT+CGREG?": lambda self, command: ("+CGREG: 0,0", OK),
        "AT+CEREG?": lambda self, command: ("+CEREG: 0,0", OK),
        "AT+CSQ": lambda self, command: ("+CSQ: 18,0", OK),
        "AT+COPS?": lambda self, command: ('+COPS: 0,0,"Operator, SE",2', OK),
        "AT+CSCA?": lambda self, command: ('+CSCA: "+46700000000",145', OK),
        "AT+CSMS=": lambda self, command: ("+CSMS: 1,1,1", OK),
    }


def lines(*texts: str) -> bytes:
    return "".join(f"\r\n{text}\r\n" for text in texts).encode()


FAMILIES: dict[str, Callable[[], Modem]] = {
    "SIMCom": Modem,
    "Quectel": lambda: Modem("Quectel", "EC25", named=True, prompt=b"> ", memories=("ME", "SM")),
    "Huawei": lambda: Modem(
        "huawei", "E3372", prompt=b">", refuses={"AT+CNMI=2,1,0,2,0": "+CMS ERROR: 303", "AT+CMMS": "ERROR"}
    ),
    "Cinterion": lambda: Modem("Cinterion", "MC55i", refuses={"AT+CNMI=2,2,0,1,0": "ERROR"}),
    "ZTE": lambda: Modem(
        "ZTE INCORPORATED", "MF180", memories=("SM",), refuses={"AT+CSMS": "ERROR", "AT+CNMI": "ERROR"}
    ),
    "generic": lambda: Modem("", "", refuses={"AT+CGM": "ERROR", "AT+CPMS=?": "ERROR", "AT+CNMI=3": "ERROR"}),
}


class Bench:
    """A connection and its modem. `cut`: octets per segment; `between` is said before each answer."""

    def __init__(
        self,
        modem: Modem,
        settings: Settings | None = None,
        pins: Pins | None = None,
        *,
        cut: int = 10_000,
        between: Callable[[int], bytes] = lambda count: b"",
    ) -> None:
        self.modem = modem
        self.connection = Connection(settings, pins)
        self.cut = cut
        self.between = between
        self.now = 0.0
        self.events: list[Event] = []
        self.count = 0

    def open(self, until: str = "ready", most: float = 1000.0) -> Bench:
        self.take(self.connection.opened(self.now))
        self.run(lambda: self.connection.state == until, most)
        return self

    def take(self, events: list[Event]) -> None:
        self.events += events

    def hear(self, data: bytes) -> None:
        for start in range(0, len(data), self.cut):
            self.take(self.connection.receive(data[start : start + self.cut], self.now))

    def settle(self) -> None:
        """Whatever can be said without time passing."""
        while True:
            self.take(self.connection.events())
            data = self.connection.data_to_send()
            if not data:
                return
            self.count += 1
            self.hear(self.between(self.count))
            self.hear(self.modem.feed(data))

    def run(self, until: Callable[[], bool] = lambda: False, most: float = 1000.0) -> None:
        """Let time pass, from deadline to deadline, until it is so, or for so long."""
        end = self.now + most
        self.settle()
        while not until() and self.connection.state != "ended":
            at = self.connection.deadline()
            if at > end:
                self.now = end
                return
            self.now = max(self.now, at)
            self.take(self.connection.tick(self.now))
            self.settle()

    def told(self, kind: type[T]) -> list[T]:
        return [event for event in self.events if isinstance(event, kind)]

    def send(self, tpdu: Submit, context: Any = "context") -> None:
        self.connection.send(tpdu, self.now, context)
        self.settle()
