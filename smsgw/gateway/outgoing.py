"""The straight line of a message: queue, channel, outcome, ledger, event, acknowledgement.

`carry` is the whole story of one delivery. Each step must be durable before the next: the outcome is
remembered in the ledger, then the event is confirmed by the broker, and only then is the delivery
acknowledged. A crash anywhere repeats a step and loses nothing; what was accepted by a message centre
is found in the ledger when the delivery comes again, and is not sent twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw import folding
from smsgw.broker.base import Broker, Consumer, Delivery
from smsgw.channel.base import Session
from smsgw.errors import Undecodable
from smsgw.folding import Record
from smsgw.gateway.carrying import Carrying, UnderWay
from smsgw.gateway.durable import PAUSE, Durable, TakenBack, next_attempt, repeated, submission_of
from smsgw.gateway.events import about
from smsgw.ledger.base import Ledger, Owed
from smsgw.message import EventKind, Submission
from smsgw.metrics import Metrics
from smsgw.outcome import Accepted, Expired, Later, Outcome, Refused, Status, Unknown, Unsent


class Feed(Carrying):
    """The consumer that feeds one session, and how much of what it gave is being carried.

    When the broker's connection is lost it takes everything back and hands it out again, while the
    session still waits for answers. So more than the width may be out for a while; what is over it
    waits for a place.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.consumer: Consumer | None = None
        self.places = DeferredSemaphore(session.width)

    def __repr__(self) -> str:
        return f"<feed {self.session.name}: {self.carrying}/{self.session.width}>"


class Outgoing:
    """Carries messages from queues to sessions, at most a session's width at a time."""

    log = Logger()

    def __init__(
        self,
        broker: Broker,
        ledger: Ledger,
        durable: Durable,
        *,
        metrics: Metrics,
        clock: IReactorTime,
        pay: Callable[[Sequence[Owed]], None],
    ) -> None:
        self.feeds: dict[Session, Feed] = {}
        self.accepted: Counter[str] = Counter()
        self._broker = broker
        self._ledger = ledger
        self._durable = durable
        self._metrics = metrics
        self._clock = clock
        self._pay = pay
        self._under_way = UnderWay()

    # -- sessions come and go -------------------------------------------------------------------

    def opened(self, session: Session) -> None:
        """A session is up: consume for it."""
        feed = self.feeds[session] = Feed(session)
        queue = self._durable.names.queue(session.channel.queue)
        feed.consumer = self._broker.consume(queue, session.width, partial(self._take, feed))

    def closed(self, session: Session) -> Deferred[None]:
        """A session is down, or is to stop: take no more; fires when what it carried is settled."""
        feed = self.feeds.get(session)
        return Deferred.fromCoroutine(self._drain(feed) if feed else _nothing())

    async def _drain(self, feed: Feed) -> None:
        assert feed.consumer is not None  # noqa: S101  set by `opened`
        await feed.consumer.cancel()
        await feed.idle()
        feed.consumer.release()
        if self.feeds.get(feed.session) is feed:
            del self.feeds[feed.session]

    def _take(self, feed: Feed, delivery: Delivery) -> None:
        """A delivery arrived. Whatever goes wrong in a way that nobody expected ends here."""
        feed.began()
        carried = Deferred.fromCoroutine(self._in_place(feed, delivery))
        carried.addErrback(self._failed, delivery)
        carried.addBoth(lambda _: feed.ended())

    async def _in_place(self, feed: Feed, delivery: Delivery) -> None:
        async with feed.places:
            await self.carry(delivery, feed.session)

    def _failed(self, failure: Failure, delivery: Delivery) -> None:
        if isinstance(failure.value, TakenBack):
            return
        if isinstance(failure.value, CancelledError):
            delivery.nack()
            return
        self.log.failure("a message could not be carried; it goes back to its queue", failure=failure)
        self._metrics.errors.labels("outgoing").inc()
        self._clock.callLater(PAUSE, delivery.nack)

    # -- one message ------------------------------------------------------------------------------

    async def carry(self, delivery: Delivery, session: Session) -> None:
        """One message, from its queue to the air and to what its producer hears."""
        channel = session.channel.name
        self._metrics.taken.labels(channel).inc()
        try:
            submission = submission_of(delivery, self._durable.now())
        except Undecodable as error:
            return await self._durable.bury(delivery, channel, error)
        if repeated(delivery, submission):
            await self._under_way.gone(submission.id)  # its answer is still to come, and to be remembered
        if delivery.stale:
            raise TakenBack("taken back before its turn came")
        with self._under_way.carrying(submission.id):
            return await self._carry(delivery, session, submission)

    async def _carry(self, delivery: Delivery, session: Session, submission: Submission) -> None:
        channel = session.channel.name
        known = await self._known(delivery, submission)
        if known is not None:
            self._metrics.redelivered.labels(channel).inc()
            await self._durable.tell(delivery, folding.accepted(known))
            return delivery.ack()
        outcome = await session.deliver(submission)
        self._metrics.outcomes.labels(channel, type(outcome).__name__.lower()).inc()
        return await self._settle(delivery, session, submission, outcome)

    async def _known(self, delivery: Delivery, submission: Submission) -> Record | None:
        """What the ledger says of a message that may have been accepted before."""
        if not submission.identified or not repeated(delivery, submission):
            return None
        return await self._durable.stored(lambda: self._ledger.recall(submission.id))

    async def _settle(
        self, delivery: Delivery, session: Session, submission: Submission, outcome: Outcome
    ) -> None:
        """The one table of what each outcome means."""
        match outcome:
            case Accepted():
                await self._accepted(delivery, session, submission, outcome)
            case Refused(error, status):
                await self._end(delivery, session, submission, "rejected", error, status)
            case Expired():
                await self._end(delivery, session, submission, "expired", "deadline passed")
            case Unknown(error) if submission.message.retry == "never":
                await self._end(delivery, session, submission, "unknown", error)
            case Unsent() | Unknown(_, True):
                delivery.nack()
            case Later(error, status):
                await self._again(delivery, session, submission, error, status)
            case Unknown(error):
                await self._again(delivery, session, submission, error, end="unknown")

    async def _accepted(
        self, delivery: Delivery, session: Session, submission: Submission, outcome: Accepted
    ) -> None:
        channel, message = session.channel, submission.message
        self.accepted[channel.name] += 1
        ids = [part.smsc_id for part in outcome.parts]
        record = Record(
            id=submission.id,
            to=message.to,
            channel=channel.name,
            parts=len(ids),
            receipt=message.receipt if channel.receipts else "none",
            attempt=submission.attempt,
            accepted=self._durable.now(),
            smsc_id=ids[0],
            meta=message.meta,
            correlation_id=submission.correlation_id,
            reply_to=submission.reply_to,
        )
        keys = [(channel.index_key(smsc_id), smsc_id) for smsc_id in ids]
        early = await self._durable.stored(lambda: self._ledger.remember(channel.account, record, keys))
        await self._durable.tell(delivery, folding.accepted(record))
        self._pay(early)
        delivery.ack()

    async def _end(
        self,
        delivery: Delivery,
        session: Session,
        submission: Submission,
        kind: EventKind,
        error: str,
        status: Status | None = None,
    ) -> None:
        at = self._durable.now()
        event = about(submission, kind, session.channel.name, at, final=True, error=error, status=status)
        await self._durable.tell(delivery, event)
        delivery.ack()

    async def _again(
        self,
        delivery: Delivery,
        session: Session,
        submission: Submission,
        error: str,
        status: Status | None = None,
        *,
        end: EventKind | None = None,
    ) -> None:
        """Another attempt after a pause: a new publish to a delay queue, so that no slot is held.

        It is told before it is published: what fails in between is then repeated, and not doubled.
        `end` is what to say where there is no other attempt; by default that depends on why.
        """
        if delivery.stale:
            raise TakenBack("taken back meanwhile: whoever gets it next makes the next attempt")
        channel, now = session.channel, self._durable.now()
        if submission.attempt > len(channel.retry):
            await self._durable.dead_letter(delivery, error, "attempts")
            return await self._end(delivery, session, submission, end or "rejected", error, status)
        delay = float(channel.retry[submission.attempt - 1])
        if submission.deadline is not None and now + delay >= submission.deadline:
            return await self._end(delivery, session, submission, end or "expired", error, status)
        event = about(
            submission, "retrying", channel.name, now, final=False, error=error, status=status, delay=delay
        )
        await self._durable.tell(delivery, event)
        properties = next_attempt(delivery, submission, error)
        await self._durable.publish(delivery, self._durable.names.retry(delay), channel.queue, properties)
        return delivery.ack()


async def _nothing() -> None:
    """What a session that carries nothing has to settle."""
