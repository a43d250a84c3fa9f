"""Receipts on their way back: claimed in the ledger, told as events, and only then answered.

The ledger writes what a receipt means and the event it causes in one transaction, so an event is
*owed* from then on until the broker has confirmed it. `Receipts` pays (`smsgw.gateway.outbox`): at once
for the receipt at hand, and by a sweep for what a crash or a broker outage left behind. A sweep also
forgets what is older than the ledger keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from smsgw.broker.base import Broker
from smsgw.channel.base import Channel
from smsgw.folding import Report
from smsgw.gateway.events import Events
from smsgw.gateway.outbox import Outbox
from smsgw.ledger.base import Ledger, Owed
from smsgw.metrics import Metrics

SWEEP = 5.0
"""Seconds between two looks at what is owed or too old."""

STEP = 500
"""Rows that one step of a sweep takes at most."""


class Receipts:
    """Pays what the ledger says is owed."""

    log = Logger()

    def __init__(
        self,
        broker: Broker,
        ledger: Ledger,
        events: Events,
        *,
        metrics: Metrics,
        clock: IReactorTime,
        now: Callable[[], float],
        keep: float,
        park: float,
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._events = events
        self._metrics = metrics
        self._now = now
        self.keep = keep
        self.park = park
        self._outbox: Outbox[Owed] = Outbox(
            owed=ledger.owed, publish=self._tell, clear=ledger.clear, errors=metrics.errors.labels("receipts")
        )
        self._clock = LoopingCall(self._sweep)
        self._clock.clock = clock

    def start(self) -> None:
        self._clock.start(SWEEP, now=True)

    def stop(self) -> None:
        """Sweep no more. What is still owed stays in the ledger."""
        if self._clock.running:
            self._clock.stop()

    def receipt(
        self, channel: Channel, candidates: Sequence[tuple[str, str]], recipient: str, report: Report
    ) -> Deferred[str | None]:
        """See `smsgw.channel.base.Upstream.receipt`."""
        return Deferred.fromCoroutine(self._receipt(channel, candidates, recipient, report))

    async def _receipt(
        self, channel: Channel, candidates: Sequence[tuple[str, str]], recipient: str, report: Report
    ) -> str | None:
        claim = await self._ledger.claim(
            channel.account, channel.name, candidates, recipient, report, self._now()
        )
        result = "parked" if claim.codec is None else "matched"
        self._metrics.receipts.labels(channel.name, result).inc()
        for owed in claim.owed:
            await self._outbox.pay(owed)
        return claim.codec

    def pay(self, owed: Sequence[Owed]) -> None:
        """Tell these events; what fails stays owed and is swept up later."""
        for each in owed:
            self._outbox.paid(each)

    async def _tell(self, owed: Owed) -> None:
        await self._events.tell(owed.event, owed.correlation_id, owed.reply_to)

    def _sweep(self) -> Deferred[bool | None]:
        return Deferred.fromCoroutine(self._sweep_once()).addErrback(self._outbox.postponed)

    async def _sweep_once(self) -> None:
        more = True
        while more and self._clock.running:
            expiry = await self._ledger.expire(self._now(), keep=self.keep, park=self.park, limit=STEP)
            more = expiry.more
            if expiry.orphans:
                self._metrics.receipts.labels("", "orphan").inc(expiry.orphans)
                self.log.warn("{count} receipts belong to no message we know", count=expiry.orphans)
        if self._broker.state.name == "up":
            await self._outbox.sweep(STEP, lambda: bool(self._clock.running))
