"""The SMPP channel: an account at a message centre, with one or more binds.

Each bind is a `SmppSession`: it has a `Link` that keeps it up, takes messages while it is bound for
sending, and hands on the receipts and the messages from phones that come. The binds of a channel share
its pace, and what has been learned of the account's message ids.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger

from smsgw.channel.base import Tell, Upstream
from smsgw.channel.cut import Cut, SmppCutter
from smsgw.channel.late import Interrupted, Unanswered
from smsgw.channel.link import Backoff, Ended, Link, Progress, Serve
from smsgw.channel.pace import Pace
from smsgw.channel.receiving import Receiving
from smsgw.channel.sending import Sending
from smsgw.channel.status import status_of
from smsgw.channel.taking import Taking
from smsgw.channel_settings import SmppSettings, account_of, queue_of
from smsgw.clock import Seldom
from smsgw.errors import PeerError
from smsgw.message import Submission
from smsgw.metrics import Metrics
from smsgw.outcome import Broken, Later, Outcome, Part, Refused, Unknown, Unsent
from smsgw.smpp.constants import CommandStatus, status_name
from smsgw.smpp.dialect import index_key
from smsgw.smpp.events import Answer, Answered, LinkLost, TimedOut
from smsgw.smpp.pdu import (
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    DataSm,
    DeliverSm,
    Pdu,
    SubmitSmResp,
)
from smsgw.smpp.protocol import LinkClosed, SmppFactory, SmppProtocol
from smsgw.smpp.receipt import LONGEST

BINDS: dict[str, tuple[type[BindTransceiver | BindTransmitter | BindReceiver], ...]] = {
    "transceiver": (BindTransceiver,),
    "transmitter": (BindTransmitter,),
    "receiver": (BindReceiver,),
    "pair": (BindTransmitter, BindReceiver),
}
UNKNOWN_ATTEMPTS = 3
"""Attempts that a message is worth whose status is in no table: it may pass, but don't count on it."""

VERSIONS = {"3.3": 0x33, "3.4": 0x34, "5.0": 0x50}


class SmppSession:
    """One bind of a channel: the application of its `SmppProtocol`."""

    log = Logger()

    def __init__(
        self, channel: SmppChannel, name: str, bind: type[BindTransceiver | BindTransmitter | BindReceiver]
    ) -> None:
        self.channel = channel
        self.name = name
        self.width = channel.settings.width
        self.sends = bind is not BindReceiver
        self.link = channel.link(name, self._serve)
        self._bind = bind
        self.protocol: SmppProtocol | None = None
        self._lost: Deferred[str] | None = None
        self.leaving = False
        self._unanswered = Unanswered()
        self._unwanted: str | None = None
        self._taking = Taking(channel.clock)
        self._complaints = Seldom(channel.clock)

    def __repr__(self) -> str:
        used = f", {self.in_flight}/{self.width} unanswered" if self.sends else ""
        return f"<session {self.name} {self._bind.__name__}: {self.link.state}{used}>"

    @property
    def in_flight(self) -> int:
        """Unanswered submit_sm of this bind."""
        return self.protocol.in_flight if self.protocol else 0

    # -- the life of the link -----------------------------------------------------------------

    async def _serve(self, progress: Progress) -> Ended:
        """One try: connect, bind, and serve until the link is lost."""
        try:
            protocol: SmppProtocol = await self.channel.connect(self)
        except (ConnectError, DNSLookupError) as error:
            self._count_try("unreachable")
            return Ended(f"can't connect: {error}")
        progress("binding")
        lost: Deferred[str] = Deferred()
        self._lost = lost
        try:
            response = await protocol.bind(self._bind_request())
            if response.command_status:
                self._count_try("refused")
                return self._refused(response.command_status)
            self._count_try("up")
            progress("up")
            reason = await self._bound(protocol, lost)
            return Ended(self._unwanted or reason, refused=self._unwanted is not None)
        except LinkClosed as error:
            self._count_try("lost")
            return Ended(str(error))
        finally:
            protocol.close("given up")

    async def _bound(self, protocol: SmppProtocol, lost: Deferred[str]) -> str:
        self.protocol = protocol
        self.leaving = self._taking.over = False
        self._unwanted = None
        self.channel.came_up(self)
        try:
            return await lost
        except CancelledError:
            await self._finish()
            await protocol.unbind()
            raise
        finally:
            self.protocol = None
            self.channel.went_down(self)

    def _refused(self, status: int) -> Ended:
        reason = f"bind refused: {status_name(status)}"
        return Ended(reason, refused=True, occupied=status == CommandStatus.ESME_RALYBND)

    def part(self, reason: str) -> None:
        """The message centre wants nothing from this bind: settle what is out, unbind, and back off."""
        protocol = self.protocol
        if protocol is not None and self._unwanted is None:
            self._unwanted = reason
            self._settled().addBoth(lambda _: protocol.unbind())

    def _count_try(self, result: str) -> None:
        self.channel.metrics.binds.labels(self.channel.name, result).inc()

    def _bind_request(self) -> Pdu:
        settings = self.channel.settings
        return self._bind(
            system_id=settings.system_id,
            password=settings.password.reveal(),
            system_type=settings.system_type,
            interface_version=VERSIONS[settings.interface_version],
            address_range=settings.address_range,
        )

    # -- outgoing -----------------------------------------------------------------------------

    def deliver(self, submission: Submission, tell: Tell) -> None:
        """See `smsgw.channel.base.Session.deliver`."""
        cut = self.channel.cutter.cut(submission)
        if isinstance(cut, Cut):
            Sending(self, submission, cut, tell).start()
        else:
            tell(cut)

    def broke_off(self, outcome: Broken, part: Interrupted) -> None:
        """A part was not taken: whether it was after all, an answer may say that comes late."""
        if isinstance(outcome, Unknown) and not outcome.link_lost:
            self._unanswered.add(part)

    def yield_waiting(self) -> None:
        """See `smsgw.channel.base.Session.yield_waiting`. Who is throttled from now on waits no more."""
        self.leaving = True
        self.channel.pace.release(self)

    # -- what the protocol tells its application ------------------------------------------------

    def connected(self, protocol: SmppProtocol) -> None:
        pass

    def received(self, pdu: Pdu) -> None:
        protocol = self.protocol
        if protocol is not None and isinstance(pdu, DeliverSm | DataSm):
            if self._taking.full:
                protocol.respond(self.channel.receiving.refusal(pdu))
            else:
                # on this link or not at all: on the next one its number would answer another request
                self._taking.began()
                self.channel.receiving.took(pdu, partial(self._respond, protocol))
        else:
            self._complain(f"{type(pdu).__name__} is of no use here")

    def _respond(self, protocol: SmppProtocol, response: Pdu) -> None:
        try:
            protocol.respond(response)
        finally:
            self._taking.ended()

    def answered_late(self, request: Pdu, response: Pdu) -> None:
        self.channel.metrics.late_responses.labels(self.channel.name).inc()
        found = self._unanswered.answered(request, response)
        if found is not None:
            part, smsc_id = found
            self.channel.taken_late(part.submission, part.taken_after_all(smsc_id, self.channel.account))

    def malformed(self, error: PeerError) -> None:
        self.channel.metrics.malformed.labels(self.channel.name).inc()
        self._complain(str(error))

    def _complain(self, error: str) -> None:
        unsaid = self._complaints.due()
        if unsaid is not None:
            more = f" (and {unsaid} more before)" if unsaid else ""
            self.log.warn("{session}: {error}{more}", session=self.name, error=error, more=more)

    def unbinding(self) -> None:
        """The message centre said goodbye: settle what is in flight, then answer."""
        protocol = self.protocol
        settled = self._settled()
        if protocol is not None:
            settled.addBoth(lambda _: protocol.finish_unbind())

    def _settled(self) -> Deferred[Any]:
        """No more either way; fires when what was taken is settled and what came is answered."""
        return DeferredList([self.channel.retire(self), self._finish()])

    def _finish(self) -> Deferred[None]:
        return self._taking.finish(self.channel.settings.timers.unbind)

    def lost(self, reason: str) -> None:
        self._unanswered.clear()
        lost, self._lost = self._lost, None
        if lost is not None and not lost.called:
            lost.callback(reason)


class SmppChannel:
    """An account at a message centre."""

    log = Logger()

    def __init__(
        self,
        name: str,
        settings: SmppSettings,
        endpoint: IStreamClientEndpoint,
        *,
        upstream: Upstream,
        metrics: Metrics,
        clock: IReactorTime,
        now: Callable[[], float],
    ) -> None:
        self.name = name
        self.settings = settings
        self.queue = queue_of(name, settings)
        self.account = account_of(name, settings)
        self.retry: Sequence[float] = settings.retry
        self.cutter = SmppCutter(settings, self.account)
        self.pace = Pace(settings.rate, clock)
        self.metrics = metrics
        self.now = now
        self.last_error: str | None = None
        self._endpoint = endpoint
        self._upstream = upstream
        self.clock = clock
        self.receiving = Receiving(self, settings.dialect, upstream, metrics, clock)
        self._up: set[SmppSession] = set()
        self.sessions = [
            SmppSession(self, f"{name}#{number}{suffix}", bind)
            for number in range(1, settings.sessions + 1)
            for bind, suffix in zip(BINDS[settings.bind], ("", "r"), strict=False)
        ]

    def __repr__(self) -> str:
        return (
            f"<smpp channel {self.name}: {self.sessions_up} of {len(self.sessions)} sessions up, "
            f"queue {self.queue}, width {self.settings.width}, {self.pace}>"
        )

    @property
    def sessions_up(self) -> int:
        return len(self._up)

    def receipted(self, parts: int) -> Sequence[int]:
        which = self.settings.dialect.receipt_part
        return range(1, parts + 1) if which == "all" else (1,) if which == "first" else (parts,)

    def index_key(self, smsc_id: str) -> str:
        return index_key(smsc_id)

    def start(self) -> None:
        # a reload makes channels that it does not start: the one that works is to be seen
        self.metrics.pace.labels(self.name).set_function(lambda: self.pace.rate)
        self.metrics.paused.labels(self.name).set_function(lambda: self.pace.paused)
        for session in self.sessions:
            session.link.start()

    def stop(self) -> Deferred[None]:
        stopped: Deferred[None] = Deferred()
        DeferredList([session.link.stop() for session in self.sessions]).addBoth(
            lambda _: stopped.callback(None)
        )
        return stopped

    # -- for its sessions -----------------------------------------------------------------------

    def link(self, name: str, serve: Serve) -> Link:
        backoff = Backoff(dial=self.settings.reconnect, refused=self.settings.rebind)
        return Link(
            name, serve, self.clock, backoff=backoff, now=self.now, errors=self.metrics.errors.labels("link")
        )

    def connect(self, session: SmppSession) -> Deferred[Any]:
        """Fires with the `SmppProtocol` once the transport is up."""
        settings = self.settings
        factory = SmppFactory(
            "esme",
            settings.timers.seconds,
            settings.width,
            lambda _: session,
            self.clock,
            interface_version=VERSIONS[settings.interface_version],
            errors=self.metrics.errors.labels("smpp"),
        )
        connected: Deferred[Any] = self._endpoint.connect(factory)
        return connected

    def came_up(self, session: SmppSession) -> None:
        self._up.add(session)
        self.metrics.sessions_up.labels(self.name).set(len(self._up))
        if session.sends:
            self._upstream.opened(session)

    def went_down(self, session: SmppSession) -> None:
        self._up.discard(session)
        self.metrics.sessions_up.labels(self.name).set(len(self._up))
        self.retire(session)

    def retire(self, session: SmppSession) -> Deferred[None]:
        """No more messages for a session; fires when what it carried is settled."""
        session.yield_waiting()
        return self._upstream.closed(session)

    def taken_late(self, submission: Submission, outcome: Outcome) -> None:
        """A part was taken after its attempt had ended."""
        self._upstream.taken_late(self, submission, outcome)

    def read(self, answer: Answer, session: SmppSession, sent: float) -> Part | Broken | None:
        """What an answer means for the message; None where the whole channel is to wait and send it again.

        A `Part` was taken. `sent` is when the part left, as `Pace.now` had it.
        """
        if not isinstance(answer, Answered):
            return _unanswered(answer)
        response = answer.response
        status = status_of(response.command_status)
        meaning = self.settings.dialect.classify(status.code)
        if meaning == "throttled":
            self._slow_down(status.name, sent)
            return None
        if meaning == "link":
            session.part(f"submit refused: {status.name}")
            return Unsent(status.name)
        self._took(sent)
        if meaning == "ok" and isinstance(response, SubmitSmResp):
            return Part(response.message_id[:LONGEST])
        if meaning == "permanent":
            return Refused(status.name, status)
        return Later(status.name, status, budget=UNKNOWN_ATTEMPTS if meaning == "unknown" else None)

    def _slow_down(self, status: str, sent: float) -> None:
        """The message centre speaks about the link, not about the message, which keeps its place."""
        self.metrics.throttled.labels(self.name).inc()
        self.last_error = status
        if self.pace.throttled(sent):
            self.log.warn(
                "{channel}: {status}; goes on at {rate:.1f} parts a second and finds its rate from there",
                channel=self.name,
                status=status,
                rate=self.pace.rate,
            )

    def _took(self, sent: float) -> None:
        if self.pace.took(sent):
            self.log.info("{channel}: no longer throttled", channel=self.name)


def _unanswered(answer: TimedOut | LinkLost) -> Broken:
    if isinstance(answer, TimedOut):
        return Unknown("no response in time")
    return Unknown(answer.reason, link_lost=True) if answer.sent else Unsent(answer.reason)
