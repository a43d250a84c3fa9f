"""The routing rules, for messages that are published with the key `route`.

A rule is a set of prefixes and a list of queues; the first rule that matches the recipient decides,
and of its queues the first that some channel is up for and that is not too long. `match` and `ranked`
are the pure part.

A queue that is full refuses; then the next one is tried. When all are full the message waits in a delay
queue and is routed anew, so that those behind it, which may go elsewhere, need not wait with it.

Retries of a queue with `max_length` come this way too, marked with the queue that is theirs: straight from
the delay queue the broker would move them without asking, and lose them where the queue is full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.broker.base import Broker, BrokerError, Consumer, Delivery, QueueFull, Unroutable
from smsgw.broker.topology import ROUTE_KEY
from smsgw.channel.base import Channel
from smsgw.errors import Undecodable
from smsgw.gateway.carrying import Carrying
from smsgw.gateway.durable import AGAIN, HOME, PAUSE, Durable, TakenBack, kept_headers, submission_of
from smsgw.gateway.events import about
from smsgw.message import Submission
from smsgw.metrics import Metrics

WIDTH = 100
"""Messages that are being routed at once."""

ROUTE = "route"
"""What stands for the channel in events about messages that no channel has seen."""


class Rule(msgspec.Struct, frozen=True):
    """`to` are prefixes of the recipient's digits, `queues` short names in order of preference."""

    to: tuple[str, ...]
    queues: tuple[str, ...]
    spill: int


def match(rules: Sequence[Rule], recipient: str) -> Rule | None:
    """The first rule of whose prefixes one begins the recipient's digits."""
    digits = recipient.lstrip("+")
    return next(
        (rule for rule in rules if digits.startswith(tuple(each.lstrip("+") for each in rule.to))), None
    )


def ranked(rule: Rule, up: Mapping[str, bool], backlog: Mapping[str, int]) -> list[str]:
    """The queues of a rule: those that are up and shorter than `spill`, then those up, then the others.

    Each in the order that the rule gives them.
    """
    fit = [queue for queue in rule.queues if up.get(queue)]
    short = [queue for queue in fit if backlog.get(queue, 0) < rule.spill]
    return list(dict.fromkeys((*short, *fit, *rule.queues)))


class Router:
    """Moves messages from the route queue to the queue that the rules say."""

    log = Logger()

    def __init__(
        self,
        broker: Broker,
        durable: Durable,
        rules: Sequence[Rule],
        channels: Mapping[str, Channel],
        *,
        delay: float,
        metrics: Metrics,
        clock: IReactorTime,
    ) -> None:
        """`delay` is that of a delay queue, in seconds: for messages whose queues are all full."""
        self.rules = tuple(rules)
        self._broker = broker
        self._durable = durable
        self._channels = channels
        self._delay = delay
        self._metrics = metrics
        self._clock = clock
        self._consumer: Consumer | None = None
        self._under_way = Carrying()

    def start(self) -> None:
        self._consumer = self._broker.consume(self._durable.names.route, WIDTH, self._take)

    def stop(self) -> Deferred[None]:
        """Take no more; fires when what was under way is settled, lest it be routed twice."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._consumer is not None:
            await self._consumer.cancel()
            await self._under_way.idle()

    def _take(self, delivery: Delivery) -> None:
        self._under_way.began()
        routed = Deferred.fromCoroutine(self._route(delivery)).addErrback(self._failed, delivery)
        routed.addBoth(lambda _: self._under_way.ended())

    def _failed(self, failure: Failure, delivery: Delivery) -> None:
        if isinstance(failure.value, TakenBack):
            return
        if isinstance(failure.value, CancelledError):
            delivery.nack()
            return
        self.log.failure("a message could not be routed; it goes back", failure=failure)
        self._metrics.errors.labels("router").inc()
        self._clock.callLater(PAUSE, delivery.nack)

    async def _route(self, delivery: Delivery) -> None:
        try:
            submission = submission_of(delivery, self._durable.now())
        except Undecodable as error:
            return await self._durable.bury(delivery, ROUTE, error)
        home = delivery.properties.headers.get(HOME)
        rule = match(self.rules, submission.message.to)
        if isinstance(home, str):
            await self._move(delivery, submission, [home], {HOME: home})
        elif rule is not None:
            await self._move(delivery, submission, await self._queues(rule), {})
        else:
            await self._durable.dead_letter(delivery, "no route", "route")
            at = self._durable.now()
            await self._durable.tell(
                delivery, about(submission, "rejected", ROUTE, at, final=True, error="no route")
            )
        return delivery.ack()

    async def _move(
        self, delivery: Delivery, submission: Submission, queues: Sequence[str], back: Mapping[str, str]
    ) -> None:
        """To the first of the queues that takes it, else to a delay queue that leads back here.

        `back` are headers that it needs then.
        """
        names = self._durable.names
        # one that was handed out before may have been routed before, and be in its queue already
        again = {AGAIN: 1} if delivery.redelivered else {}
        headers = {**kept_headers(delivery), **again}
        properties = msgspec.structs.replace(delivery.properties, headers=headers, message_id=submission.id)
        for queue in queues:
            try:
                return await self._durable.offer(delivery, names.submit, queue, properties)
            except (QueueFull, Unroutable):
                continue
        properties = msgspec.structs.replace(properties, headers={**headers, **back})
        return await self._durable.publish(delivery, names.retry(self._delay), ROUTE_KEY, properties)

    async def _queues(self, rule: Rule) -> list[str]:
        up = dict.fromkeys(rule.queues, False)
        for channel in self._channels.values():
            if channel.queue in up and channel.sessions_up:
                up[channel.queue] = True
        backlog = {}
        for queue in rule.queues if len(rule.queues) > 1 else ():
            try:
                backlog[queue] = await self._broker.depth(self._durable.names.queue(queue))
            except BrokerError:
                backlog[queue] = 0
        return ranked(rule, up, backlog)
