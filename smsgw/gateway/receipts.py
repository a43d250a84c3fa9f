"""Receipts on their way back: claimed in the ledger, told as events, and only then answered.

The ledger writes what a receipt means and the event it causes in one transaction, so an event is
*owed* from then on until the broker has confirmed it. `Receipts` pays (`smsgw.gateway.outbox`): at once
for the receipt at hand, and by a sweep for what a crash or a broker outage left behind. A sweep also
forgets what is older than the ledger keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.broker.base import Broker
from smsgw.channel.base import Channel, Claimed
from smsgw.errors import StorageError
from smsgw.folding import Report
from smsgw.gateway.events import Events
from smsgw.gateway.outbox import Outbox
from smsgw.ledger.base import Claim, Ledger, Owed, Receipt
from smsgw.metrics import Metrics

SWEEP = 5.0
"""Seconds between two looks at what is owed or too old."""

STEP = 500
"""Rows that one step of a sweep takes at most."""

PATIENCE = 1.0
"""Seconds that receipts wait for messages to be remembered: a ledger that can't write fails them too."""

GROUP = 1000
"""Receipts that are claimed together at most."""

_Came: TypeAlias = tuple[Receipt, Claimed]
_Found: TypeAlias = tuple[Receipt, Claimed, Claim]


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
        self.settled: Callable[[], Deferred[None]] = lambda: succeed(None)
        """Fires when the ledger has been asked for all messages that were taken so far."""
        self._timers = clock
        self._gathered: list[_Came] = []
        self._claiming = False
        self._clock = LoopingCall(self._sweep)
        self._clock.clock = clock

    def start(self) -> None:
        self._clock.start(SWEEP, now=True)

    def stop(self) -> None:
        """Sweep no more. What is still owed stays in the ledger."""
        if self._clock.running:
            self._clock.stop()

    def receipt(
        self,
        channel: Channel,
        candidates: Sequence[tuple[str, str]],
        recipient: str,
        report: Report,
        claimed: Claimed,
    ) -> None:
        """See `smsgw.channel.base.Upstream.receipt`."""
        came = Receipt(channel.account, channel.name, candidates, recipient, report, self._now())
        self._gathered.append((came, claimed))
        if not self._claiming:
            self._claiming = True
            self._timers.callLater(0, self._begin)

    def _begin(self) -> None:
        Deferred.fromCoroutine(self._claim_gathered())

    async def _claim_gathered(self) -> None:
        """A group begins at the end of a turn; while the ledger writes it the next one gathers."""
        while self._gathered:
            # those that come while these wait may be for messages that these don't wait for
            group, self._gathered = self._gathered[:GROUP], self._gathered[GROUP:]
            await self.settled().addTimeout(PATIENCE, self._timers, onTimeoutCancel=lambda *_: None)
            found = await self._claim(group)
            # while these are told, the next ones are claimed
            Deferred.fromCoroutine(self._conclude(found))
        self._claiming = False

    async def _claim(self, group: Sequence[_Came]) -> list[_Found]:
        """What was found out about each; those of which nothing can be are told why."""
        try:
            claims = await self._ledger.claim([receipt for receipt, _ in group])
        except Exception as error:  # noqa: BLE001  goes to whoever waits for the answer
            if len(group) == 1 or isinstance(error, StorageError):
                for _, claimed in group:
                    self._answer(claimed, Failure(error))  # type: ignore[no-untyped-call]
                return []
            return [found for each in group for found in await self._claim([each])]
        return [(*each, claim) for each, claim in zip(group, claims, strict=True)]

    async def _conclude(self, found: Sequence[_Found]) -> None:
        """Pay what is owed for receipts, and let those be answered whose events are confirmed."""
        owed = {each.number: each for *_, claim in found for each in claim.owed}
        try:
            errors = await self._outbox.pay(list(owed.values()))
        except Exception as error:  # noqa: BLE001  goes to whoever waits for the answer
            errors = [error] * len(owed)
        untold = {number: error for number, error in zip(owed, errors, strict=True) if error is not None}
        for receipt, claimed, claim in found:
            self._metrics.receipts.count(receipt.channel, "parked" if claim.codec is None else "matched")
            mine = [untold[each.number] for each in claim.owed if each.number in untold] if untold else ()
            self._answer(claimed, Failure(mine[0]) if mine else claim.codec)  # type: ignore[no-untyped-call]

    def _answer(self, claimed: Claimed, codec: str | Failure | None) -> None:
        """The outermost edge: one answer that can't be given must not take the others with it."""
        try:
            claimed(codec)
        except Exception:  # noqa: BLE001
            self.log.failure("a receipt could not be answered")
            self._metrics.errors.labels("receipts").inc()

    def pay(self, owed: Sequence[Owed]) -> Deferred[bool]:
        """Tell these events; what fails stays owed and is swept up later. Never fails."""
        return self._outbox.paid(owed)

    async def _tell(self, owed: Sequence[Owed]) -> list[Exception | None]:
        return await self._events.tell_all(
            [(each.event, each.correlation_id, each.reply_to) for each in owed]
        )

    def _sweep(self) -> Deferred[bool | None]:
        return Deferred.fromCoroutine(self._sweep_once()).addErrback(self._outbox.postponed)

    async def _sweep_once(self) -> None:
        more = True
        while more and self._clock.running:
            expiry = await self._ledger.expire(self._now(), keep=self.keep, park=self.park, limit=STEP)
            more = expiry.more
            if expiry.orphans:
                self._metrics.receipts.count("", "orphan", by=expiry.orphans)
                self.log.warn("{count} receipts belong to no message we know", count=expiry.orphans)
        if self._broker.state.name == "up":
            await self._outbox.sweep(STEP, lambda: bool(self._clock.running))
