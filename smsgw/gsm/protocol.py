"""One modem over a Twisted transport: a serial port, or TCP to a terminal server.

All that is done with a modem is in `smsgw.gsm.connection`. This module adds what needs a reactor:

*One timer.* Set when the connection wants to be woken earlier than the timer stands, and never moved later:
it fires early, finds nothing to do, and is set anew.

*One write.* What one read, one wake or one wish causes leaves in one `transport.write`.

*A bounded end.* When the connection has ended the transport is closed, and aborted after `LINGER` seconds: a
port whose device takes no more octets never drains.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any, cast
from typing import Protocol as Interface

from prometheus_client import Counter
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.gsm.connection import Connection
from smsgw.gsm.events import Ended, Event, Handle
from smsgw.gsm.settings import Pins, Settings
from smsgw.gsm.shapes import Submit

LINGER = 1.0
"""Seconds from the end of a connection to the abort of a transport that has not closed."""


class Application(Interface):
    """What stands on a modem. Its methods must not raise; a raise is logged and counted."""

    def connected(self, protocol: ModemProtocol) -> None:
        """The port is open, the gate has begun."""

    def heard(self, event: Event) -> None:
        """Something happened; the connection's state is that after all events of the same moment."""

    def lost(self, reason: str) -> None:
        """The port is closed. Called once, last, and after every message has its answer."""


class Wire(Interface):
    """What TCP and serial transports have in common, and what we use of it."""

    def write(self, data: bytes, /) -> None: ...
    def loseConnection(self) -> None: ...
    def abortConnection(self) -> None: ...


class ModemProtocol(Protocol):
    """Drives one `Connection`, from an open port to a closed one. `clock` should be monotonic."""

    log = Logger()

    def __init__(
        self,
        connection: Connection,
        application: Application,
        clock: IReactorTime,
        errors: Counter | None = None,
    ) -> None:
        self.connection = connection
        self._application = application
        self._clock = clock
        self._errors = errors
        self._wire: Wire | None = None
        self._timer: IDelayedCall | None = None
        self._wake = inf
        self._busy = False
        self._ended: Ended | None = None
        self._untold: list[Event] = []
        self._gone: list[Deferred[None]] = []

    def __repr__(self) -> str:
        return repr(self.connection)

    @property
    def open(self) -> bool:
        """Whether there is a port behind it."""
        return self._wire is not None

    # -- what the application asks for

    def send(self, tpdu: Submit, context: Any) -> None:
        """See `Connection.send`; `SubmitAnswered` is its answer."""
        self.connection.send(tpdu, self._clock.seconds(), context)
        self._settle()

    def settle(self, handle: Handle, *, safe: bool) -> None:
        """See `Connection.settle`."""
        self.connection.settle(handle, self._clock.seconds(), safe=safe)
        self._settle()

    def look(self) -> None:
        """See `Connection.look`."""
        self.connection.look(self._clock.seconds())
        self._settle()

    def ask_ussd(self, code: str, context: Any) -> None:
        """See `Connection.ask_ussd`; `UssdAnswered` is its answer."""
        self.connection.ask_ussd(code, self._clock.seconds(), context)
        self._settle()

    def close(self, reason: str) -> Deferred[None]:
        """End, and close the port; fires when it is closed. Never fails. A message on its way is answered."""
        gone: Deferred[None] = Deferred()
        if self._wire is None:
            gone.callback(None)
            return gone
        self._gone.append(gone)
        self._end(reason)
        return gone

    # -- what the transport tells

    def connectionMade(self) -> None:
        self._wire = cast(Wire, self.transport)
        self._call(self._application.connected, self)
        self._react(self.connection.opened(self._clock.seconds()))

    def dataReceived(self, data: bytes) -> None:
        self._react(self.connection.receive(data, self._clock.seconds()))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Twisted's word that the port is closed, whoever did it."""
        self._stop_timer()
        self._wire = None
        said = reason.getErrorMessage().rstrip(".")
        self._end(f"the port is gone: {said}")
        self._call(self._application.lost, self._ended.reason if self._ended else said)
        gone, self._gone = self._gone, []
        for waiting in gone:
            waiting.callback(None)

    # -- telling, writing, waking

    def _end(self, reason: str) -> None:
        """Where the application ends it while it is told something, that goes on with this."""
        self._untold += self.connection.lost(reason, self._clock.seconds())
        self._settle()

    def _settle(self) -> None:
        """Tell and write what a call of ours has caused, unless that is under way already."""
        if not self._busy:
            self._react(self.connection.events())

    def _react(self, events: list[Event]) -> None:
        self._untold += events
        self._busy = True
        while self._untold:
            events, self._untold = self._untold, []
            for event in events:
                if isinstance(event, Ended):
                    self._ended = event
                self._call(self._application.heard, event)
            self._untold += self.connection.events()
        self._busy = False
        self._flush()

    def _call(self, tell: Callable[..., None], *arguments: object) -> None:
        """The outermost edge: what one event breaks must not keep the others from being told."""
        try:
            tell(*arguments)
        except Exception:  # noqa: BLE001
            self.log.failure("a modem's application failed in {call}", call=tell)
            if self._errors is not None:
                self._errors.inc()

    def _flush(self) -> None:
        wire = self._wire
        if wire is None:
            return
        data = self.connection.data_to_send()
        if data:
            wire.write(data)
        if self._ended is not None:
            self._hang_up(wire)
            return
        deadline = self.connection.deadline()
        if deadline < self._wake:
            self._set_timer(deadline)

    def _set_timer(self, at: float) -> None:
        self._stop_timer()
        self._wake = at
        self._timer = self._clock.callLater(max(0.0, at - self._clock.seconds()), self._woken)

    def _stop_timer(self) -> None:
        timer, self._timer, self._wake = self._timer, None, inf
        if timer is not None and timer.active():
            timer.cancel()

    def _woken(self) -> None:
        self._timer, self._wake = None, inf
        self._react(self.connection.tick(self._clock.seconds()))

    def _hang_up(self, wire: Wire) -> None:
        if self._wake == -inf:
            return
        self._stop_timer()
        self._wake = -inf
        self._timer = self._clock.callLater(LINGER, wire.abortConnection)
        wire.loseConnection()


class ModemFactory(Factory):
    """Makes the protocol of one opening of the port."""

    noisy = False

    def __init__(
        self,
        settings: Settings,
        pins: Pins,
        application: Application,
        clock: IReactorTime,
        errors: Counter | None = None,
    ) -> None:
        self._settings = settings
        self._pins = pins
        self._application = application
        self._clock = clock
        self._errors = errors

    def buildProtocol(self, addr: IAddress | None) -> ModemProtocol:
        connection = Connection(self._settings, self._pins)
        return ModemProtocol(connection, self._application, self._clock, self._errors)
