"""Messages from phones: published, confirmed, and only then answered.

One that is whole goes straight to the broker. A part of a long one goes to the ledger and is answered; the
part that completes it makes the message *owed* in the same transaction, and is answered when the message
is published. So the SMSC keeps what nobody has stored yet, and sends it again: nothing is lost, whatever
fails and whenever. `Incoming` sweeps up what stayed owed (`smsgw.gateway.outbox`), and gives up, incomplete,
what was never completed.

An assembly's time runs only where parts can come: after a start everything waits for a full timeout, since
the rest of a message may have waited at the SMSC for as long as we were away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import uuid4

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from smsgw.broker.base import Broker, Properties, Publish, Unavailable, the_only
from smsgw.broker.topology import Names
from smsgw.channel.base import Channel
from smsgw.clock import Seldom
from smsgw.errors import StorageError
from smsgw.gateway.outbox import Outbox
from smsgw.ledger.base import Kept, Ledger, OwedInbound
from smsgw.message import Inbound, encode, masked
from smsgw.metrics import Metrics
from smsgw.sms import join
from smsgw.sms.inbound import Arrival, inbound
from smsgw.sms.join import Fragment

SWEEP = 5.0
"""Seconds between two looks at what is owed or will never be whole; what is owed for less is being paid."""

STEP = 500
"""Messages that one step of a sweep takes at most."""


class Incoming:
    """Hands messages from phones to the broker. `max_parts` bounds the parts that wait, per account."""

    log = Logger()

    def __init__(
        self,
        broker: Broker,
        ledger: Ledger,
        *,
        names: Names,
        metrics: Metrics,
        clock: IReactorTime,
        now: Callable[[], float],
        assembly_timeout: float,
        max_parts: int,
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._names = names
        self._metrics = metrics
        self._now = now
        self.assembly_timeout = assembly_timeout
        self.max_parts = max_parts
        self._full: set[str] = set()
        self._unread, self._conflicts = Seldom(clock), Seldom(clock)
        self._started = clock.seconds()
        self._outbox: Outbox[OwedInbound] = Outbox(
            owed=self._owed,
            publish=self._pay,
            clear=ledger.clear_inbound,
            errors=metrics.errors.labels("inbound"),
        )
        self._clock = clock
        self._loop = LoopingCall(self._sweep)
        self._loop.clock = clock

    def start(self) -> None:
        self._started = self._clock.seconds()
        self._loop.start(SWEEP, now=True)

    def stop(self) -> None:
        """Sweep no more. What is owed, and what is not whole yet, stays in the ledger."""
        if self._loop.running:
            self._loop.stop()

    def inbound(self, channel: Channel, source: str, destination: str, fragment: Fragment) -> Deferred[None]:
        """See `smsgw.channel.base.Upstream.inbound`."""
        return Deferred.fromCoroutine(self._inbound(channel, source, destination, fragment))

    async def _inbound(self, channel: Channel, source: str, destination: str, fragment: Fragment) -> None:
        arrival = Arrival(uuid4().hex, self._now(), channel.name, source, destination)
        # numbers mean one phone within an account: its parts may come over any of its channels
        key = join.key(fragment, channel.account, source.lstrip("+"), destination.lstrip("+"))
        if key is None:
            the_only(await self._publish([inbound(arrival, [fragment])]))
            return
        kept = await self._ledger.keep(key, fragment, arrival, limit=self.max_parts)
        self._note(channel, source, kept)
        for error in await self._outbox.pay(kept.owed):
            if error is not None:
                raise error
        if kept.what == "full":
            raise StorageError(f"{channel.name}: {self.max_parts} parts of incomplete messages wait already")

    def _note(self, channel: Channel, source: str, kept: Kept) -> None:
        self._metrics.inbound_parts.labels(channel.name, kept.what).inc()
        if kept.what == "conflict" and self._conflicts.due() is not None:
            self.log.info(
                "{channel}: {source} used a reference again before its message was whole",
                channel=channel.name,
                source=masked(source),
            )
        if kept.what == "full" and channel.account not in self._full:
            self._full.add(channel.account)
            self.log.warn(
                "{channel}: {count} parts of incomplete messages wait already; more are not taken for now",
                channel=channel.name,
                count=self.max_parts,
            )
        elif kept.what == "placed" and channel.account in self._full:
            self._full.discard(channel.account)
            self.log.info("{channel}: parts of long messages are taken again", channel=channel.name)

    async def _pay(self, owed: Sequence[OwedInbound]) -> list[Exception | None]:
        return await self._publish([each.inbound for each in owed])

    async def _publish(self, messages: Sequence[Inbound]) -> list[Exception | None]:
        """For each None once it is stored, or why it is not."""
        if self._broker.state.name == "blocked":
            # a confirm might take hours, and the SMSC would send the message again and again meanwhile
            return [Unavailable("the broker takes no publishes at the moment") for _ in messages]
        errors = await self._broker.publish_all([self._publish_of(each) for each in messages])
        for message, error in zip(messages, errors, strict=True):
            if error is None:
                self._count(message)
        return errors

    def _publish_of(self, message: Inbound) -> Publish:
        properties = Properties(message_id=message.id, timestamp=int(self._now()))
        return Publish(self._names.inbound, message.key, encode(message), properties)

    def _count(self, message: Inbound) -> None:
        result = "complete" if message.complete else "incomplete"
        self._metrics.inbound.labels(message.channel, result).inc()
        if message.error is not None and self._unread.due() is not None:
            self.log.info(
                "{channel}: a message from {source} can't be read: {error}",
                channel=message.channel,
                source=masked(message.from_),
                error=message.error,
            )

    # -- what stayed behind -----------------------------------------------------------------------

    def _owed(self, limit: int) -> Deferred[Sequence[OwedInbound]]:
        return self._ledger.owed_inbound(self._now() - SWEEP, limit)

    def _sweep(self) -> Deferred[bool | None]:
        return Deferred.fromCoroutine(self._sweep_once()).addErrback(self._outbox.postponed)

    async def _sweep_once(self) -> None:
        if self._clock.seconds() - self._started >= self.assembly_timeout:
            await self._give_up()
        if self._broker.state.name == "up":
            await self._outbox.sweep(STEP, lambda: bool(self._loop.running))

    async def _give_up(self) -> None:
        more = True
        while more and self._loop.running:
            now = self._now()
            overdue = await self._ledger.expire_inbound(now - self.assembly_timeout, now, STEP)
            more = overdue.more
            if overdue.owed:
                self.log.warn(
                    "{count} messages from phones lack parts after {timeout:g} s; published incomplete",
                    count=len(overdue.owed),
                    timeout=self.assembly_timeout,
                )
            await self._outbox.paid(overdue.owed)
