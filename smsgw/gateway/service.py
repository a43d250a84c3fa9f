"""The gateway as a Twisted service: what it is made of, how it starts, and in which order it stops.

A MultiService stops its children all at once and can't drain, so the order is written out here:
stop taking messages, wait (bounded) until those in flight are settled, unbind, wait for the confirms
of what was published, close the ledger and the broker. A channel that a new configuration takes away
goes the first half of that way while all others work on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Container, Mapping, Sequence

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from smsgw.broker.base import Broker
from smsgw.broker.topology import RETRY_STEPS, Names
from smsgw.channel.base import Channel, Claimed, Session
from smsgw.config import Dedupe
from smsgw.folding import Report
from smsgw.gateway.carrying import Carrying
from smsgw.gateway.durable import Durable
from smsgw.gateway.events import Events
from smsgw.gateway.incoming import Incoming
from smsgw.gateway.outgoing import Outgoing
from smsgw.gateway.overview import Overview
from smsgw.gateway.receipts import Receipts
from smsgw.gateway.routing import Router, Rule
from smsgw.ledger.base import Ledger
from smsgw.message import Submission
from smsgw.metrics import Metrics
from smsgw.outcome import Outcome
from smsgw.sms.join import Fragment


class Gateway(Service):
    """Queues on one side, channels on the other. The `Upstream` of its channels."""

    log = Logger()

    def __init__(
        self,
        broker: Broker,
        ledger: Ledger,
        *,
        names: Names,
        rules: Sequence[Rule],
        keep: float,
        park: float,
        assembly_timeout: float,
        max_parts: int,
        stop_timeout: float,
        dedupe: Dedupe = "redelivered",
        route_delay: float = RETRY_STEPS[0],
        limited: Container[str] = (),
        clock: IReactorTime,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.setName("smsgw")  # type: ignore[no-untyped-call]
        self.broker = broker
        self.ledger = ledger
        self.metrics = Metrics()
        self.channels: dict[str, Channel] = {}
        self.names = names
        self.started: float | None = None
        self._clock = clock
        self.now = now
        self.stop_timeout = stop_timeout
        self._leaving: set[Channel] = set()
        self._dismissals = Carrying()
        events = Events(broker, names, self.metrics, now)
        self.durable = Durable(broker, events, names=names, metrics=self.metrics, clock=clock, now=now)
        self.receipts = Receipts(
            broker, ledger, events, metrics=self.metrics, clock=clock, now=now, keep=keep, park=park
        )
        self.incoming = Incoming(
            broker,
            ledger,
            names=names,
            metrics=self.metrics,
            clock=clock,
            now=now,
            assembly_timeout=assembly_timeout,
            max_parts=max_parts,
        )
        self.outgoing = Outgoing(
            broker,
            ledger,
            self.durable,
            metrics=self.metrics,
            clock=clock,
            pay=self.receipts.pay,
            dedupe=dedupe,
            limited=limited,
        )
        self.receipts.settled = self.outgoing.asked
        self.router = Router(
            broker, self.durable, rules, self.channels, delay=route_delay, metrics=self.metrics, clock=clock
        )
        self.overview = Overview(
            broker, self.outgoing, self.channels, names=names, metrics=self.metrics, clock=clock
        )

    def __repr__(self) -> str:
        up = sum(1 for channel in self.channels.values() if channel.sessions_up)
        trouble = f", trouble: {self.durable.trouble}" if self.durable.trouble else ""
        return (
            f"<smsgw gateway: {'running' if self.running else 'stopped'}, broker {self.broker.state.name}, "
            f"{up} of {len(self.channels)} channels up{trouble}>"
        )

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        self.started = self.now()
        self.ledger.start()
        self.broker.start()
        self.receipts.start()
        self.incoming.start()
        self.overview.start()
        self.router.start()
        for channel in self.channels.values():
            channel.start()

    def stopService(self) -> Deferred[None]:
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def change(self, channels: Mapping[str, Channel]) -> None:
        """Have these channels and no others: those that are to go are drained before new ones start.

        Channels that are among them already are left alone. Where the gateway stops meanwhile, the
        stop takes over, and no new one starts.
        """
        stay = set(channels.values())
        await self._dismiss([channel for channel in self.channels.values() if channel not in stay])
        if not self.running:
            return
        coming = stay.difference(self.channels.values())
        self.channels.clear()
        self.channels.update(channels)
        self.overview.forget_gone()
        for channel in channels.values():
            if channel in coming:
                channel.start()

    async def _dismiss(self, channels: Collection[Channel]) -> None:
        self._leaving.update(channels)
        self._dismissals.began()
        try:
            await self._drain(channels)
        finally:
            self._dismissals.ended()
            self._leaving.difference_update(channels)

    async def _stop(self) -> None:
        self.log.info("stopping: {count} messages in flight", count=self.in_flight)
        await self._drain(self.channels.values(), self.router.stop())
        await self._bounded([self._dismissals.idle()])
        self.receipts.stop()
        self.incoming.stop()
        self.overview.stop()
        await self.broker.stop()
        await self.ledger.stop()
        self.log.info("stopped")

    @property
    def in_flight(self) -> int:
        """Messages taken and not yet settled."""
        return self.outgoing.carrying()

    async def _drain(self, channels: Collection[Channel], *also: Deferred[None]) -> None:
        """Take no more messages for these channels, settle what is in flight, unbind; each bounded.

        `also` is waited for together with what is in flight.
        """
        await self._bounded([*also, *self._retire(channels)])
        left = sum(self.overview.in_flight(channel) for channel in channels)
        if left:
            self.log.warn("{count} messages did not settle in time; they come again", count=left)
        await self._bounded([channel.stop() for channel in channels])

    def _retire(self, channels: Collection[Channel]) -> list[Deferred[None]]:
        sessions = [session for session in self.outgoing.feeds if session.channel in channels]
        settled = [self.outgoing.closed(session) for session in sessions]
        for session in sessions:
            session.yield_waiting()
        return settled

    async def _bounded(self, waiting: list[Deferred[None]]) -> None:
        """Wait for all of them, but no longer than `stop_timeout`; what is unsettled then comes again."""
        await DeferredList(waiting, consumeErrors=True).addTimeout(self.stop_timeout, self._clock)

    # -- what its channels tell it: `Upstream` --------------------------------------------------

    def opened(self, session: Session) -> None:
        if self.running and session.channel not in self._leaving:
            self.outgoing.opened(session)

    def closed(self, session: Session) -> Deferred[None]:
        return self.outgoing.closed(session)

    def receipt(
        self,
        channel: Channel,
        candidates: Sequence[tuple[str, str]],
        recipient: str,
        report: Report,
        claimed: Claimed,
    ) -> None:
        self.receipts.receipt(channel, candidates, recipient, report, claimed)

    def taken_late(self, channel: Channel, submission: Submission, outcome: Outcome) -> Deferred[None]:
        return self.outgoing.taken_late(channel, submission, outcome)

    def inbound(self, channel: Channel, source: str, destination: str, fragment: Fragment) -> Deferred[None]:
        return self.incoming.inbound(channel, source, destination, fragment)
