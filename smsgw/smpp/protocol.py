"""One SMPP session over a Twisted transport, TCP or TLS, either side of it.

All that SMPP says is in `smsgw.smpp.connection`. This module adds what needs a reactor:

*One timer.* The connection gives a lower bound of when it wants to be woken. The timer is set when that
is earlier than it stands, and never moved later: it fires early, finds nothing to do, and is set anew.
So an answered request touches no timer.

*Gathered writes.* What one read causes, in the connection and in the application, leaves in one
`transport.write`. A request made outside of a read is written at once: Twisted's transports put what is
written in one reactor turn into one segment by themselves (TLS: into one record), so that a flush of our
own would add a timer and gain nothing (`benchmarks/smpp_session.py`).

*Bounded buffers.* When the peer does not read, we stop reading, so that it can't make us pile up answers.

*A bounded end.* A session that has ended closes its transport after the last octets, and aborts it when
that takes longer than `LINGER`: a dead peer, or one that never acknowledges TLS's close.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Protocol as Interface
from typing import TypeAlias, cast

from prometheus_client import Counter
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.errors import PeerError, SmsgwError
from smsgw.smpp.connection import Connection, Timers
from smsgw.smpp.events import (
    Answer,
    Answered,
    AnsweredLate,
    Ended,
    Event,
    LinkLost,
    PeerErred,
    RequestAnswered,
    RequestReceived,
    UnbindReceived,
)
from smsgw.smpp.pdu import Pdu
from smsgw.smpp.states import Role, State

LINGER = 1.0
"""Seconds from the end of a session to the abort of a transport that has not closed."""


class LinkClosed(SmsgwError):
    """The link ended before a bind was answered."""


class Application(Interface):
    """What stands on a session. Its methods must not raise; a raise is logged and counted."""

    def connected(self, protocol: SmppProtocol) -> None:
        """The transport is up, the session open: bind, or wait for a bind."""

    def received(self, pdu: Pdu) -> None:
        """A request of the peer's; answer it with `protocol.respond`, now or later.

        Of an outbind and an alert_notification there is nothing to answer.
        """

    def answered_late(self, request: Pdu, response: Pdu) -> None:
        """A request that had ended `TimedOut` was answered after all."""

    def unbinding(self) -> None:
        """The peer wants to part: it is answered when nothing is in flight, or by `finish_unbind`."""

    def malformed(self, error: PeerError) -> None:
        """The peer sent what it must not send. It has been answered; count it."""

    def lost(self, reason: str) -> None:
        """The transport is gone. Called once, last, and after every request has its answer."""


Context: TypeAlias = Callable[[Answer], None]


class Wire(Interface):
    """What TCP, UNIX and TLS transports have in common, and what we use of it."""

    def write(self, data: bytes, /) -> None: ...
    def loseConnection(self) -> None: ...
    def abortConnection(self) -> None: ...
    def registerProducer(self, producer: object, streaming: bool, /) -> None: ...
    def unregisterProducer(self) -> None: ...
    def pauseProducing(self) -> None: ...
    def resumeProducing(self) -> None: ...


@implementer(IPushProducer, IHandshakeListener)
class SmppProtocol(Protocol):
    """Drives one `Connection`. `clock.seconds()` should be monotonic, see `smsgw.clock`.

    `errors` counts what the application raised.
    """

    log = Logger()

    def __init__(
        self,
        connection: Connection,
        application: Application,
        clock: IReactorTime,
        errors: Counter | None = None,
    ) -> None:
        self._connection = connection
        self._application = application
        self._clock = clock
        self._errors = errors
        self._wire: Wire | None = None
        self._timer: IDelayedCall | None = None
        self._wake = inf
        self._busy = False
        self._hung_up = False
        self._heeding = False
        self._reason: str | None = None
        self._cancelled: Deferred[Pdu] | None = None
        self._gone: list[Deferred[None]] = []

    def __repr__(self) -> str:
        return repr(self._connection)

    @property
    def connection(self) -> Connection:
        return self._connection

    @property
    def state(self) -> State:
        return self._connection.state

    @property
    def in_flight(self) -> int:
        """Message requests of ours that are unanswered."""
        return self._connection.in_flight

    @property
    def peer_in_flight(self) -> int:
        """Message requests of the peer's that we have not answered."""
        return self._connection.peer_in_flight

    # -- what the application asks for

    def request(self, pdu: Pdu, answered: Context) -> None:
        """Send a request. `answered` is called exactly once, at once where the link is gone.

        Raises:
            WindowFull: see `Connection.send_request`; `answered` is not called, then.
            WrongState, EncodeError: likewise.
        """
        connection = self._connection
        if connection.ending is not None:
            answered(LinkLost(connection.ending, sent=False))
            return
        connection.send_request(pdu, self._clock.seconds(), answered)
        if not self._busy:
            self._flush()

    def notify(self, pdu: Pdu) -> None:
        """Send an outbind or an alert_notification, which are not answered.

        Raises:
            WrongState, EncodeError: see `Connection.send_notification`.
        """
        self._connection.send_notification(pdu, self._clock.seconds())
        if not self._busy:
            self._flush()

    def respond(self, response: Pdu) -> None:
        """Answer a request of the peer; harmless where the link is gone.

        Raises:
            EncodeError: a field that can't be written.
        """
        self._connection.send_response(response, self._clock.seconds())
        self._settle()

    def bind(self, pdu: Pdu) -> Deferred[Pdu]:
        """Bind. Fires with the response whatever its status: a refusal is a value.

        Fails with `LinkClosed` when the link ends first. Cancelling closes the link.

        Raises:
            WrongState, EncodeError: see `Connection.send_request`.
        """
        bound: Deferred[Pdu] = Deferred(self._cancel_bind)
        self.request(pdu, lambda answer: self._bind_answered(bound, answer))
        return bound

    def unbind(self) -> Deferred[None]:
        """Part in good order; fires when the transport is gone. Never fails.

        Bounded by `Timers.unbind` and `LINGER`. What is unanswered by then ends `LinkLost`.
        """
        gone = self.gone()
        self._connection.unbind(self._clock.seconds())
        self._settle()
        return gone

    def finish_unbind(self) -> None:
        """Answer the peer's unbind now, whatever is in flight, and close."""
        self._connection.finish_unbind()
        self._settle()

    def close(self, reason: str) -> None:
        """End without asking the peer. Everything in flight ends `LinkLost` at once."""
        self._connection.close(reason)
        self._settle()

    def gone(self) -> Deferred[None]:
        """Fires when the transport is gone: at once where it is. One Deferred per call."""
        gone: Deferred[None] = Deferred(self._forget)
        if self._wire is None:
            gone.callback(None)
        else:
            self._gone.append(gone)
        return gone

    def _forget(self, gone: Deferred[None]) -> None:
        self._gone.remove(gone)

    def _bind_answered(self, bound: Deferred[Pdu], answer: Answer) -> None:
        if bound is self._cancelled:
            return
        if isinstance(answer, Answered):
            bound.callback(answer.response)
            return
        reason = answer.reason if isinstance(answer, LinkLost) else "the bind was not answered"
        self.close(reason)
        bound.errback(LinkClosed(reason))

    def _cancel_bind(self, bound: Deferred[Pdu]) -> None:
        self._cancelled = bound
        self.close("the bind was cancelled")

    # -- what the transport tells

    def connectionMade(self) -> None:
        transport = self.transport
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
            transport.setTcpKeepAlive(True)
        self._wire = cast(Wire, transport)
        if not ISSLTransport.providedBy(transport):
            self._heed_the_buffer(self._wire)
        self._connection.connected(self._clock.seconds())
        self._busy = True
        self._call(self._application.connected, self)
        self._busy = False
        self._settle()

    def handshakeCompleted(self) -> None:
        """TLS is up. Before, it pauses a producer until it has read; we would pause the reading."""
        if self._wire is not None and not self._hung_up:
            self._heed_the_buffer(self._wire)

    def dataReceived(self, data: bytes) -> None:
        now = self._clock.seconds()
        self._react(self._connection.receive(data, now))
        if now > self._wake:
            # the reactor's clock was set back, and its timers with it: a new one starts from there
            self._stop_timer()
            self._react(self._connection.tick(now))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Twisted's word that the transport is gone, whoever closed it."""
        self._stop_timer()
        self._wire = None
        said = reason.getErrorMessage().rstrip(".")
        self._react(self._connection.lost(f"connection lost: {said}"))
        self._call(self._application.lost, self._reason or said)
        gone, self._gone = self._gone, []
        for waiting in gone:
            waiting.callback(None)

    def _heed_the_buffer(self, wire: Wire) -> None:
        self._heeding = True
        wire.registerProducer(self, True)

    def pauseProducing(self) -> None:
        """The peer does not read what we write."""
        if self._wire is not None:
            self._wire.pauseProducing()

    def resumeProducing(self) -> None:
        if self._wire is not None:
            self._wire.resumeProducing()

    def stopProducing(self) -> None:
        """The transport is about to be lost, and says so itself."""

    # -- telling, writing, waking

    def _settle(self) -> None:
        """Tell and write what a call of ours has caused, unless a read is under way that will."""
        if not self._busy:
            self._react(self._connection.events())

    def _react(self, events: list[Event]) -> None:
        self._busy = True
        while events:
            for event in events:
                if type(event) is RequestAnswered:
                    self._call(event.context, event.answer)
                else:
                    self._tell(event)
            events = self._connection.events()
        self._busy = False
        self._flush()

    def _tell(self, event: Event) -> None:
        application = self._application
        match event:
            case RequestReceived(pdu=pdu):
                self._call(application.received, pdu)
            case AnsweredLate(request=request, response=response):
                self._call(application.answered_late, request, response)
            case PeerErred(error=error):
                self._call(application.malformed, error)
            case UnbindReceived():
                self._call(application.unbinding)
            case Ended(reason=reason):
                self._reason = reason

    def _call(self, tell: Callable[..., None], *arguments: object) -> None:
        """The outermost edge: one message's failure must not take the others' answers with it."""
        try:
            tell(*arguments)
        except Exception:  # noqa: BLE001
            self.log.failure("an SMPP application failed in {call}", call=tell)
            if self._errors is not None:
                self._errors.inc()

    def _flush(self) -> None:
        wire, connection = self._wire, self._connection
        if wire is None:
            return
        data = connection.data_to_send()
        if data:
            wire.write(data)
        if self._reason is not None:
            self._hang_up(wire)
            return
        deadline = connection.deadline()
        if deadline is not None and deadline < self._wake:
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
        self._react(self._connection.tick(self._clock.seconds()))

    def _hang_up(self, wire: Wire) -> None:
        if self._hung_up:
            return
        self._hung_up = True
        self._stop_timer()
        self._timer = self._clock.callLater(LINGER, wire.abortConnection)
        if self._heeding:
            wire.unregisterProducer()
        wire.loseConnection()


class SmppFactory(Factory):
    """Makes a protocol, with its connection and its application, for `connect` and for `listen`."""

    noisy = False

    def __init__(
        self,
        role: Role,
        timers: Timers,
        window: int,
        application_factory: Callable[[IAddress | None], Application],
        clock: IReactorTime,
        *,
        interface_version: int = 0x34,
        peer_window: int = 1000,
        errors: Counter | None = None,
    ) -> None:
        self._role: Role = role
        self._timers = timers
        self._window = window
        self._application_factory = application_factory
        self._clock = clock
        self._interface_version = interface_version
        self._peer_window = peer_window
        self._errors = errors

    def buildProtocol(self, addr: IAddress | None) -> SmppProtocol:
        connection = Connection(
            self._role,
            self._timers,
            self._window,
            interface_version=self._interface_version,
            peer_window=self._peer_window,
        )
        application = self._application_factory(addr)
        return SmppProtocol(connection, application, self._clock, self._errors)
