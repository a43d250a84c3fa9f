"""The straight line of a message: queue, channel, outcome, ledger, acknowledgement, event.

`carry` is the whole story of one delivery. Each step must be durable before the next. Nearly all messages
are accepted: the ledger remembers that and owes the event, in one transaction, then the delivery is
acknowledged and the event published (`smsgw.gateway.settling`, for many messages together). What else a
message can come to is told first and then acknowledged. A crash anywhere repeats a step and loses nothing;
what was accepted by a message centre is found in the ledger when the delivery comes again, and is not sent
twice. Of a long message that was broken off the ledger knows the parts that were taken: the next attempt
goes on behind them.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Container, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw import folding
from smsgw.broker.base import Broker, Delivery
from smsgw.broker.topology import ROUTE_KEY
from smsgw.channel.base import Channel, Session
from smsgw.config import Dedupe
from smsgw.errors import StorageError, Undecodable
from smsgw.gateway.attempt import Attempt
from smsgw.gateway.carrying import Carried, Feed, UnderWay
from smsgw.gateway.durable import PAUSE, Durable, TakenBack, continued, next_attempt, repeated, submission_of
from smsgw.gateway.settling import Settling
from smsgw.ledger.base import Ledger, Owed, Recalled
from smsgw.message import EventKind, Submission
from smsgw.metrics import Metrics
from smsgw.outcome import Accepted, Expired, Later, Outcome, Refused, Status, Unknown, Unsent

SLICE = 16
"""Messages that are begun in one turn of the reactor, or half of those that wait. What is written in a turn
leaves at its end, so of hundreds that are handed out together the first ones need not wait for the last; and
their answers come apart, so that places in the width are free one after the other instead of all together."""

ENDED = 10_000
"""Ids that are remembered of messages whose last attempt has ended, and was not the first."""


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
        pay: Callable[[Sequence[Owed]], Deferred[bool]],
        dedupe: Dedupe = "redelivered",
        limited: Container[str] = (),
    ) -> None:
        """`limited` are the short names of queues that refuse when they are full."""
        self.feeds: dict[Session, Feed] = {}
        self._draining: set[Feed] = set()
        self.accepted: Counter[str] = Counter()
        self._broker = broker
        self._ledger = ledger
        self._durable = durable
        self._metrics = metrics
        self._clock = clock
        self._pay = pay
        self._settling = Settling(ledger, durable, clock=clock, pay=pay, over=self._over)
        self._under_way = UnderWay()
        self._begun = self._half = 0
        self._next_turn: list[tuple[Feed, Delivery]] = []
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._dedupe = dedupe
        self.limited = limited

    # -- sessions come and go -------------------------------------------------------------------

    def opened(self, session: Session) -> None:
        """A session is up: consume for it."""
        if session in self.feeds:
            self._draining.add(self.feeds[session])
        feed = self.feeds[session] = Feed(session)
        queue = self._durable.names.queue(session.channel.queue)
        feed.consumer = self._broker.consume(queue, session.width, partial(self._take, feed))

    def closed(self, session: Session) -> Deferred[None]:
        """A session is down, or is to stop: take no more; fires when what it carried is settled."""
        return Deferred.fromCoroutine(self._drain([feed for feed in self._all() if feed.session is session]))

    def carrying(self, channel: Channel | None = None) -> int:
        """Messages taken and not yet settled, of one channel or of all."""
        return sum(feed.carrying for feed in self._all() if channel in (None, feed.session.channel))

    def asked(self) -> Deferred[None]:
        """Fires when the ledger has been asked to remember all messages that were taken so far."""
        return self._settling.asked()

    def _all(self) -> Iterator[Feed]:
        """The feeds of all sessions, those included that a session had before its link was lost."""
        yield from self.feeds.values()
        yield from self._draining

    async def _drain(self, feeds: Sequence[Feed]) -> None:
        cancelled = [feed.consumer.cancel() for feed in feeds if feed.consumer is not None]
        for each in cancelled:
            await each
        for feed in feeds:
            await feed.idle()
            self._drained(feed)

    def _drained(self, feed: Feed) -> None:
        if feed.consumer is not None:
            feed.consumer.release()
        self._draining.discard(feed)
        if self.feeds.get(feed.session) is feed:
            del self.feeds[feed.session]

    def _take(self, feed: Feed, delivery: Delivery) -> None:
        """A delivery arrived."""
        feed.began()
        if feed.free < 0:
            feed.waiting.append(delivery)
        else:
            self._start(feed, delivery)

    def _start(self, feed: Feed, delivery: Delivery) -> None:
        """Begin with it, or in the next turn of the reactor if this one has begun with enough already."""
        if self._begun >= max(SLICE, self._half):
            self._next_turn.append((feed, delivery))
            return
        if not self._begun:
            self._clock.callLater(0, self._turn)
        self._begun += 1
        one = Carried(feed, delivery)
        self._guarded(one, self.carry, one)

    def _turn(self) -> None:
        waiting, self._next_turn = self._next_turn, []
        self._begun, self._half = 0, len(waiting) // 2
        for feed, delivery in waiting:
            if delivery.stale:
                self._free(feed)
            else:
                self._start(feed, delivery)

    def _guarded(self, one: Carried, step: Callable[..., None], *arguments: object) -> None:
        """Whatever goes wrong in a way that nobody expected ends here."""
        try:
            step(*arguments)
        except Exception:  # noqa: BLE001  the outermost edge
            self._over(one, Failure())  # type: ignore[no-untyped-call]

    def _until_over(self, one: Carried, steps: Coroutine[Deferred[Any], Any, None]) -> None:
        """Steps that wait for something, and after which the message is settled."""
        settled = Deferred.fromCoroutine(steps)
        settled.addCallbacks(lambda _: self._over(one, None), lambda failure: self._over(one, failure))

    def _over(self, one: Carried, failure: Failure | None) -> None:
        """A message is settled, or nothing more can be done for it: its place is free."""
        if one.submission is not None:
            self._under_way.ended(one.submission.id)
        if failure is not None:
            self._failed(failure, one)
        self._free(one.feed)

    def _free(self, feed: Feed) -> None:
        """A place of a feed is free: for the next one that waits for it."""
        feed.ended()
        while feed.waiting and feed.free > 0:
            delivery = feed.waiting.popleft()
            if delivery.stale:
                feed.ended()
            else:
                self._start(feed, delivery)

    def _failed(self, failure: Failure, one: Carried) -> None:
        delivery = one.delivery
        if isinstance(failure.value, TakenBack):
            return
        if isinstance(failure.value, CancelledError):
            delivery.nack()
            return
        self._metrics.errors.labels("outgoing").inc()
        if one.taken:
            # back in its queue it would be sent again, and fail again, each second
            self.log.failure("a message that was taken could not be settled; to the dead", failure=failure)
            one.taken = False
            Deferred.fromCoroutine(self._bury(delivery)).addErrback(self._failed, one)
            return
        self.log.failure("a message could not be carried; it goes back to its queue", failure=failure)
        self._clock.callLater(PAUSE, delivery.nack)

    async def _bury(self, delivery: Delivery) -> None:
        await self._durable.dead_letter(
            delivery, "taken by the message centre, then an error of ours", "error"
        )
        delivery.ack()

    # -- one message ------------------------------------------------------------------------------

    def carry(self, one: Carried) -> None:
        """One message, from its queue to the air; `_concluded` goes on when it is known what became of it."""
        delivery, channel = one.delivery, one.feed.session.channel.name
        self._metrics.taken.count(channel)
        try:
            submission = submission_of(delivery, self._durable.now())
        except Undecodable as error:
            self._until_over(one, self._durable.bury(delivery, channel, error))
            return
        if self._repeated(delivery, submission):
            looked_up = Deferred.fromCoroutine(self._still_to_send(one, submission))
            looked_up.addCallback(self._send_rest, one)
            looked_up.addErrback(partial(self._over, one))
        else:
            self._under_way.began(submission.id)
            self._send(one, submission)

    def _send(self, one: Carried, submission: Submission) -> None:
        one.submission = submission
        one.feed.session.deliver(submission, partial(self._guarded, one, self._concluded, one, submission))

    def _concluded(self, one: Carried, submission: Submission, outcome: Outcome | Failure) -> None:
        """What became of it."""
        if isinstance(outcome, Failure):
            self._over(one, outcome)
            return
        channel = one.feed.session.channel
        self._metrics.outcomes.count(channel.name, type(outcome).__name__.lower())
        attempt = Attempt(channel, submission, outcome)
        if isinstance(outcome, Accepted):
            self._accepted(one, attempt)
        else:
            self._until_over(one, self._settle(one.delivery, attempt))

    def _repeated(self, delivery: Delivery, submission: Submission) -> bool:
        return self._dedupe == "always" or repeated(delivery, submission)

    async def _still_to_send(self, one: Carried, submission: Submission) -> Submission | None:
        """Of a message that may have been sent before, or some of its parts. None: nothing, it is settled."""
        await self._under_way.gone(submission.id)  # its answer is still to come, and to be remembered
        if one.delivery.stale:
            raise TakenBack("taken back before its turn came")
        self._under_way.began(submission.id)
        one.submission = submission
        if not submission.identified:
            return submission
        known = await self._durable.stored(lambda: self._ledger.recall(submission.id))
        if known is None:
            return submission
        if known.record.progress is None:
            self._metrics.redelivered.labels(one.feed.session.channel.name).inc()
            await self._told_again(one.delivery, known)
            return None
        return msgspec.structs.replace(submission, progress=known.record.progress)

    def _send_rest(self, rest: Submission | None, one: Carried) -> None:
        if rest is None:
            self._over(one, None)
        else:
            self._send(one, rest)

    async def _told_again(self, delivery: Delivery, known: Recalled) -> None:
        """What its producer has not heard yet is owed; who has heard it, and asks again, hears it again."""
        if known.owed:
            self._pay(known.owed)
        else:
            await self._durable.tell(delivery, folding.accepted(known.record))
            if known.final is not None:
                await self._durable.tell(delivery, known.final)
        delivery.ack()

    async def _settle(self, delivery: Delivery, attempt: Attempt) -> None:
        """The one table of what each outcome means that is not `Accepted`."""
        if attempt.progress is not None:
            # parts were taken: their receipts will come, and they are not to be sent again
            await self._durable.stored(lambda: self._remember(attempt))
        match attempt.outcome:
            case Refused(error, status):
                await self._end(delivery, attempt, "rejected", error, status)
            case Expired():
                await self._end(delivery, attempt, "expired", "deadline passed")
            case Unknown(error) if attempt.submission.message.retry == "never":
                await self._end(delivery, attempt, "unknown", error)
            case Unsent():
                await self._back(delivery, attempt)
            case Unknown(_, True) if not delivery.redelivered:
                # at once, but not a second time: a message may be what breaks the link
                await self._back(delivery, attempt)
            case Later(error, status, budget):
                await self._again(delivery, attempt, error, status, budget=budget)
            case Unknown(error):
                await self._again(delivery, attempt, error, end="unknown")

    def taken_late(self, channel: Channel, submission: Submission, outcome: Outcome) -> Deferred[None]:
        """A part whose attempt is over was taken after all: the next attempt will find it."""
        late = Deferred.fromCoroutine(self._taken_late(Attempt(channel, submission, outcome)))
        return late.addErrback(self._late_failed)

    async def _taken_late(self, attempt: Attempt) -> None:
        """Of use as long as the message has no final event, and no later attempt was taken."""
        submission, now = attempt.submission, self._durable.now()
        delay = attempt.delay()
        if submission.message.retry == "never" or delay is None or not attempt.in_time(now + delay):
            return
        known = await self._ledger.recall(submission.id)
        before = None if known is None else known.record.progress
        if submission.id in self._ended or (known is not None and before is None):
            return
        if before is None or len(before.ids) < len(attempt.ids):
            behind = msgspec.structs.replace(submission, progress=before)  # its receipts may be in already
            late = msgspec.structs.replace(attempt, submission=behind)
            await self._durable.stored(lambda: self._remember(late))

    def _late_failed(self, failure: Failure) -> None:
        """Then the message is sent again, as if no answer had come."""
        if not isinstance(failure.value, StorageError | CancelledError):
            self.log.failure("a late answer could not be used", failure=failure)
            self._metrics.errors.labels("outgoing").inc()

    def _accepted(self, one: Carried, attempt: Attempt) -> None:
        self.accepted[attempt.channel.name] += 1
        one.taken = True
        one.acceptance = attempt.acceptance(self._durable.now())
        self._settling.add(one)

    def _remember(self, attempt: Attempt) -> Deferred[None]:
        """Parts of a message were taken, and not all."""
        remembered = self._ledger.remember([attempt.acceptance(self._durable.now())])
        return remembered.addCallback(lambda owed: self._tell(owed[0]))

    def _tell(self, owed: Sequence[Owed]) -> None:
        self._pay(owed)

    async def _end(
        self,
        delivery: Delivery,
        attempt: Attempt,
        kind: EventKind,
        error: str,
        status: Status | None = None,
        *,
        dead: bool = False,
    ) -> None:
        """The last word, unless an earlier attempt was taken after all: then its receipt has it."""
        known = await self._taken_before(delivery, attempt.submission)
        if known is not None:
            return await self._told_again(delivery, known)
        if dead:
            await self._durable.dead_letter(delivery, error, "attempts")
        event = attempt.event(kind, self._durable.now(), final=True, error=error, status=status)
        await self._durable.tell(delivery, event)
        return delivery.ack()

    async def _taken_before(self, delivery: Delivery, submission: Submission) -> Recalled | None:
        """From here on a late answer comes too late: what the ledger knows now counts."""
        if not self._repeated(delivery, submission):
            return None
        self._ended[submission.id] = None
        if len(self._ended) > ENDED:
            self._ended.popitem(last=False)
        known = await self._durable.stored(lambda: self._ledger.recall(submission.id))
        return known if known is not None and known.record.progress is None else None

    async def _back(self, delivery: Delivery, attempt: Attempt) -> None:
        """To its queue, at once and without an attempt burned.

        The ledger knows what was taken of it by its id; a message that its producer gave none takes along
        the one that we gave it.
        """
        submission, progress = attempt.submission, attempt.progress
        if progress is None or submission.identified:
            return delivery.nack()
        properties = continued(delivery, submission, progress)
        await self._durable.publish(delivery, self._durable.names.submit, attempt.channel.queue, properties)
        return delivery.ack()

    async def _again(
        self,
        delivery: Delivery,
        attempt: Attempt,
        error: str,
        status: Status | None = None,
        *,
        budget: int | None = None,
        end: EventKind | None = None,
    ) -> None:
        """Another attempt after a pause: a new publish to a delay queue, so that no slot is held.

        It is told before it is published: what fails in between is then repeated, and not doubled.
        `end` is what to say where there is no other attempt; by default that depends on why.
        """
        if delivery.stale:
            raise TakenBack("taken back meanwhile: whoever gets it next makes the next attempt")
        submission, channel = attempt.submission, attempt.channel
        now = self._durable.now()
        delay = attempt.delay(budget)
        if delay is None:
            return await self._end(delivery, attempt, end or "rejected", error, status, dead=True)
        if not attempt.in_time(now + delay):
            return await self._end(delivery, attempt, end or "expired", error, status)
        event = attempt.event("retrying", now, final=False, error=error, status=status, delay=delay)
        await self._durable.tell(delivery, event)
        # from a delay queue the broker moves a message without asking: a full queue would lose it. So it
        # comes back by way of the router, which is told when the queue is full.
        home = channel.queue if channel.queue in self.limited else None
        properties = next_attempt(delivery, submission, error, attempt.progress, home)
        key = channel.queue if home is None else ROUTE_KEY
        await self._durable.publish(delivery, self._durable.names.retry(delay), key, properties)
        return delivery.ack()
