"""The control socket: how a command on the same machine asks the running gateway.

A UNIX socket in `state_dir`, for the gateway's own user and for root. A request is one JSON line, its answer
another one, and then the connection is closed:

    {"v": 1, "modem": "sim1", "ask": "info"}                       or "probe"
    {"v": 1, "modem": "sim1", "ask": "ussd", "code": "*100#"}

    {"ok": true, "answer": {...}}      {"ok": false, "error": "sim1#1 is searching"}

`request` is the other side. A gateway that can't have its socket says so and runs without it.
"""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import CannotListenError, ConnectError
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from smsgw.gateway.modems import Asked, NotAnswered, ask
from smsgw.gateway.service import Gateway

NAME = "control.sock"
MODE = 0o600
MAX_LINE = 4096
MAX_ANSWER = 65_536
MAX_CONNECTIONS = 10
PATIENCE = 120.0
"""Seconds from the connection to its end: the slowest USSD answer, and more."""


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    modem: str
    ask: Asked
    code: str | None = None
    v: int = 1


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    ok: bool
    answer: dict[str, Any] | None = None
    error: str | None = None


class Control(Service):
    """Listens while the gateway runs."""

    log = Logger()

    def __init__(self, gateway: Gateway, state_dir: str, reactor: Any) -> None:
        self._gateway = gateway
        self._path = Path(state_dir) / NAME
        self._reactor = reactor
        self._port: Any = None

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        if _answers(self._path):
            self.log.warn("another gateway listens on {path}; this one does not", path=str(self._path))
            return
        try:
            with suppress(FileNotFoundError):
                self._path.unlink()  # of a process that was killed
            factory = _Factory(self._gateway, self._reactor)
            self._port = self._reactor.listenUNIX(str(self._path), factory, mode=MODE)
        except (CannotListenError, OSError) as error:
            self.log.error("no control socket: {problem}", problem=str(error))

    def stopService(self) -> Deferred[None] | None:
        super().stopService()  # type: ignore[no-untyped-call]
        port, self._port = self._port, None
        return None if port is None else port.stopListening()


def _answers(path: Path) -> bool:
    """Whether a living process listens there."""
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.settimeout(1.0)
        probe.connect(str(path))
        return True
    return False


class _Factory(Factory):
    noisy = False

    def __init__(self, gateway: Gateway, reactor: Any) -> None:
        self.gateway = gateway
        self.reactor = reactor
        self.connections = 0

    def buildProtocol(self, addr: IAddress | None) -> _Asking | None:
        return None if self.connections >= MAX_CONNECTIONS else _Asking(self)


class _Asking(LineOnlyReceiver):
    """One request and its answer."""

    log = Logger()
    delimiter = b"\n"
    MAX_LENGTH = MAX_LINE

    def __init__(self, factory: _Factory) -> None:
        self._factory = factory
        self._asked: Deferred[dict[str, object]] | None = None
        self._timer: Any = None

    def connectionMade(self) -> None:
        self._factory.connections += 1
        self._timer = self._factory.reactor.callLater(PATIENCE, self._abort)

    def lineReceived(self, line: bytes) -> None:
        if self._asked is not None:
            return
        try:
            request = msgspec.json.decode(line, type=Request)
        except msgspec.DecodeError as error:
            self._answer(Reply(ok=False, error=str(error)))
            return
        channels = self._factory.gateway.channels
        asked = Deferred.fromCoroutine(ask(channels, request.modem, request.ask, request.code))
        self._asked = asked
        asked.addCallbacks(lambda found: self._answer(Reply(ok=True, answer=found)), self._failed)

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError):  # type: ignore[no-untyped-call]
            return
        if not failure.check(NotAnswered):  # type: ignore[no-untyped-call]
            self.log.failure("a request on the control socket failed", failure=failure)
        self._answer(Reply(ok=False, error=failure.getErrorMessage()))

    def _answer(self, reply: Reply) -> None:
        self.sendLine(msgspec.json.encode(reply))  # type: ignore[no-untyped-call]
        self.transport.loseConnection()  # type: ignore[union-attr]

    def _abort(self) -> None:
        self.transport.abortConnection()  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._factory.connections -= 1
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._asked is not None:
            self._asked.cancel()


class NoGateway(Exception):
    """No gateway listens."""


class _Answered(LineOnlyReceiver):
    delimiter = b"\n"
    MAX_LENGTH = MAX_ANSWER

    def __init__(self) -> None:
        self.answered: Deferred[Reply] = Deferred()

    def lineReceived(self, line: bytes) -> None:
        self._fire(msgspec.json.decode(line, type=Reply))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._fire(Reply(ok=False, error="the gateway has closed the connection"))

    def _fire(self, reply: Reply) -> None:
        if not self.answered.called:
            self.answered.callback(reply)


async def request(reactor: Any, state_dir: str, wanted: Request) -> dict[str, Any]:
    """What the running gateway answers.

    Raises:
        NoGateway: none listens there.
        NotAnswered: it has no answer.
    """
    endpoint = UNIXClientEndpoint(reactor, str(Path(state_dir) / NAME), timeout=10)  # type: ignore[no-untyped-call]
    try:
        wire: Any = await endpoint.connect(Factory.forProtocol(_Answered))  # type: ignore[no-untyped-call]
    except ConnectError as error:
        if error.osError in {errno.ENOENT, errno.ECONNREFUSED}:
            raise NoGateway(str(error)) from None
        raise NotAnswered(f"{Path(state_dir) / NAME}: {error}") from None
    wire.sendLine(msgspec.json.encode(wanted))
    reply: Reply = await wire.answered
    wire.transport.loseConnection()
    if not reply.ok:
        raise NotAnswered(reply.error or "no reason given")
    return reply.answer or {}
