"""The routing rules, for messages that are published with the key `route`.

A rule is a set of prefixes and a list of queues; the first rule that matches the recipient decides,
and of its queues the first that some channel is up for and that is not too long. `match` and `choose`
are the pure part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.broker.base import Broker, BrokerError, Consumer, Delivery
from smsgw.channel.base import Channel
from smsgw.errors import Undecodable
from smsgw.gateway.carrying import Carrying
from smsgw.gateway.durable import AGAIN, PAUSE, Durable, TakenBack, kept_headers, submission_of
from smsgw.gateway.events import about
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


def choose(rule: Rule, up: Mapping[str, bool], backlog: Mapping[str, int]) -> str:
    """The first queue that is up and shorter than `spill`, else the first that is up, else the first."""
    fit = [queue for queue in rule.queues if up.get(queue)]
    short = [queue for queue in fit if backlog.get(queue, 0) < rule.spill]
    return (short or fit or list(rule.queues))[0]


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
        metrics: Metrics,
        clock: IReactorTime,
    ) -> None:
        self.rules = tuple(rules)
        self._broker = broker
        self._durable = durable
        self._channels = channels
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
        rule = match(self.rules, submission.message.to)
        if rule is None:
            await self._durable.dead_letter(delivery, "no route", "route")
            at = self._durable.now()
            await self._durable.tell(
                delivery, about(submission, "rejected", ROUTE, at, final=True, error="no route")
            )
        else:
            # One that was handed out before may have been routed before, and be in its queue already.
            again = {AGAIN: 1} if delivery.redelivered else {}
            properties = msgspec.structs.replace(
                delivery.properties, headers={**kept_headers(delivery), **again}, message_id=submission.id
            )
            submit = self._durable.names.submit
            await self._durable.publish(delivery, submit, await self._queue(rule), properties)
        return delivery.ack()

    async def _queue(self, rule: Rule) -> str:
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
        return choose(rule, up, backlog)
