"""A GSM channel on a scripted modem, over a wire in memory, with a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectError, ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from smsgw.channel.base import Claimed
from smsgw.channel.gsm import GsmChannel, GsmSession
from smsgw.channel_settings import GsmSettings
from smsgw.folding import Report
from smsgw.gsm.addresses import Address
from smsgw.gsm.shapes import Deliver, StatusReport
from smsgw.gsm.status import Status
from smsgw.gsm.times import Timestamp
from smsgw.gsm.tpdu import UserData, to_hex
from smsgw.message import Message, Submission
from smsgw.metrics import Metrics
from smsgw.outcome import Outcome, Progress
from smsgw.sms.join import Fragment
from tests.gsm.modem import Modem, lines

NOW = 1_700_000_000.0
TO = "46700000001"
SMSC = Address("46700000000")
TIME = Timestamp(bytes.fromhex("62113202515240"))
HELLO = UserData(10, bytes.fromhex("E8329BFD4697D9EC37"))


def direct(deliver: bool = True, reference: int = 1, status: int = 0, recipient: str = TO) -> bytes:
    """A message or a report, as a modem says it unasked."""
    if deliver:
        pdu, length = to_hex(Deliver(originator=Address("46700000002"), timestamp=TIME, data=HELLO), SMSC)
        return lines(f"+CMT: ,{length}", pdu)
    report = StatusReport(
        reference=reference,
        recipient=Address(recipient),
        timestamp=TIME,
        discharged=TIME,
        status=Status(status),
    )
    pdu, length = to_hex(report, SMSC)
    return lines(f"+CDS: {length}", pdu)


class Wire:
    """A transport whose other end is the scripted modem; octets move when the rig says so."""

    def __init__(self, modem: Modem) -> None:
        self.modem = modem
        self.out = b""
        self.writes = 0
        self.protocol: Any = None
        self.gone = False
        self.closing = False
        self.drains = True

    def write(self, data: bytes) -> None:
        self.out += data
        self.writes += 1

    def loseConnection(self) -> None:
        self.closing = True

    def abortConnection(self) -> None:
        self.lose()

    def lose(self, reason: Exception | None = None) -> None:
        if not self.gone:
            self.gone = True
            self.protocol.connectionLost(Failure(reason or ConnectionLost()))

    def flow(self) -> bool:
        if self.gone:
            return False
        data, self.out = self.out, b""
        heard = self.modem.feed(data) if data else b""
        if heard:
            self.protocol.dataReceived(heard)
        if self.closing and self.drains:
            self.lose()
        return bool(data)


class Port:
    """The endpoint."""

    def __init__(self, modem: Modem) -> None:
        self.modem = modem
        self.wires: list[Wire] = []
        self.missing = False

    def connect(self, factory: Any) -> Deferred[Any]:
        if self.missing:
            return fail(ConnectError(string="/dev/modem: No such file or directory"))
        wire = Wire(self.modem)
        self.wires.append(wire)
        wire.protocol = factory.buildProtocol(None)
        wire.protocol.makeConnection(wire)
        return succeed(wire.protocol)


class Gateway:
    """The upstream."""

    def __init__(self) -> None:
        self.story: list[str] = []
        self.settled: Deferred[None] | None = None
        self.receipts: list[tuple[str, str, Report]] = []
        self.inbounds: list[tuple[str, str, Fragment]] = []
        self.late: list[tuple[str, Outcome]] = []
        self.stored: Callable[[], Deferred[Any]] = lambda: succeed(None)

    def opened(self, session: Any) -> None:
        self.story.append("opened")

    def closed(self, session: Any) -> Deferred[None]:
        self.story.append("closed")
        return self.settled or succeed(None)

    def receipt(
        self,
        channel: Any,
        candidates: Sequence[tuple[str, str]],
        recipient: str,
        report: Report,
        claimed: Claimed,
    ) -> None:
        ((_, key),) = candidates
        self.receipts.append((key, recipient, report))
        self.stored().addBoth(claimed)

    def taken_late(self, channel: Any, submission: Submission, outcome: Outcome) -> Deferred[None]:
        self.late.append((submission.id, outcome))
        return succeed(None)

    def inbound(self, channel: Any, source: str, destination: str, fragment: Fragment) -> Deferred[Any]:
        self.inbounds.append((source, destination, fragment))
        return self.stored()


class Rig:
    def __init__(
        self,
        folder: Path,
        modem: Modem | None = None,
        name: str = "sim1",
        clock: Clock | None = None,
        **settings: Any,
    ) -> None:
        self.clock = clock or Clock()
        self.modem = modem or Modem()
        self.port = Port(self.modem)
        self.gateway = Gateway()
        self.metrics = Metrics()
        self.folder = folder
        self.commands: list[Sequence[str]] = []
        self.command_ends: Callable[[], Deferred[str]] = lambda: succeed("is done")
        self.channel = GsmChannel(
            name,
            GsmSettings(**{"endpoint": "serial:/dev/modem", "from_": "+46700000099", **settings}),
            self.port,  # type: ignore[arg-type]
            state=folder,
            run=self._run,
            upstream=self.gateway,
            metrics=self.metrics,
            clock=self.clock,
            now=lambda: NOW + self.clock.seconds(),
        )

    def _run(self, command: Sequence[str]) -> Deferred[str]:
        self.commands.append(command)
        return self.command_ends()

    @property
    def session(self) -> GsmSession:
        return self.channel.session

    @property
    def wire(self) -> Wire:
        return self.port.wires[-1]

    def flow(self) -> None:
        """Until nothing moves any more."""
        moved = True
        while moved:
            moved = sum(wire.flow() for wire in self.port.wires) > 0

    def start(self, seconds: float = 5.0) -> Rig:
        self.channel.start()
        return self.wait(seconds)

    def wait(self, seconds: float, step: float = 0.5) -> Rig:
        """Let time pass in steps, with all that moves meanwhile."""
        self.flow()
        end = self.clock.seconds() + seconds
        while self.clock.seconds() < end - 1e-9:
            self.clock.advance(min(step, end - self.clock.seconds()))
            self.flow()
        return self

    def hear(self, data: bytes) -> None:
        self.wire.protocol.dataReceived(data)
        self.flow()

    def send(
        self,
        text: str = "hi",
        *,
        deadline: float | None = None,
        progress: Progress | None = None,
        **fields: Any,
    ) -> list[Outcome]:
        message = Message(**{"to": f"+{TO}", "text": text, **fields})
        submission = Submission(id="m1", message=message, made=NOW, deadline=deadline, progress=progress)
        fired: list[Outcome] = []
        self.session.deliver(submission, fired.append)  # type: ignore[arg-type]
        self.flow()
        return fired

    def stop(self, seconds: float = 10.0) -> list[object]:
        stopped: list[object] = []
        self.channel.stop().addBoth(stopped.append)
        self.wait(seconds, step=0.05)
        return stopped

    def count(self, name: str, *labels: str) -> float:
        return getattr(self.metrics, name).labels("sim1", *labels)._value.get()  # type: ignore[no-any-return]
