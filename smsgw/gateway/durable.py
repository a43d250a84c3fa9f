"""The durable steps of a delivery: publish, tell, dead-letter, remember.

Each is tried until it is stored. What can't be stored keeps its place: a delivery that waits for a
full disk holds its slot of the width, so consumption stops by itself, and goes on by itself when
there is room. Only where the broker has taken the delivery back meanwhile does a step give up, with
`TakenBack`: whoever gets the message next settles it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from smsgw.broker.base import Broker, BrokerError, Delivery, Properties, QueueFull, Unroutable
from smsgw.broker.topology import Names
from smsgw.errors import SmsgwError, StorageError, Undecodable
from smsgw.gateway.events import Events, Told, undecodable
from smsgw.message import Event, Submission, decode
from smsgw.metrics import Metrics
from smsgw.outcome import Progress

T = TypeVar("T")

ATTEMPT = "x-smsgw-attempt"
DEADLINE = "x-smsgw-deadline"
PROGRESS = "x-smsgw-progress"
REASON = "x-smsgw-reason"
QUEUE = "x-smsgw-queue"
AGAIN = "x-smsgw-again"
HOME = "x-smsgw-home"
"""Headers that a message carries from one attempt to the next, and into the dead letters."""

PAUSE = 1.0
"""Seconds before a store that failed is tried again."""


class TakenBack(SmsgwError):
    """The broker took the delivery back meanwhile; whoever gets it next settles it."""


def submission_of(delivery: Delivery, now: float) -> Submission:
    """A delivery as the submission that it carries.

    Raises:
        Undecodable: with the path of the field at fault.
    """
    properties = delivery.properties
    attempt, deadline = properties.headers.get(ATTEMPT), properties.headers.get(DEADLINE)
    return decode(
        delivery.body,
        now=now,
        message_id=properties.message_id,
        correlation_id=properties.correlation_id,
        reply_to=properties.reply_to,
        priority=properties.priority,
        timestamp=properties.timestamp,
        attempt=attempt if isinstance(attempt, int) and attempt > 0 else 1,
        deadline=deadline / 1000 if isinstance(deadline, int) else None,
        progress=_progress(properties.headers.get(PROGRESS)),
    )


def repeated(delivery: Delivery, submission: Submission) -> bool:
    """Whether the message may have been sent before: handed out, routed or attempted."""
    return delivery.redelivered or submission.attempt > 1 or AGAIN in delivery.properties.headers


_progress_decoder = msgspec.json.Decoder(Progress)


def _progress(header: object) -> Progress | None:
    """What an earlier attempt wrote; a header that is not ours means that there was none."""
    try:
        return _progress_decoder.decode(header) if isinstance(header, str) else None
    except msgspec.DecodeError:
        return None


def next_attempt(
    delivery: Delivery,
    submission: Submission,
    reason: str,
    progress: Progress | None = None,
    home: str | None = None,
) -> Properties:
    """The properties with which a message goes to a delay queue.

    `progress` is how far the attempt got that is over; `home` the queue that the router is to put it in.
    """
    properties = continued(delivery, submission, progress)
    headers = {**properties.headers, ATTEMPT: submission.attempt + 1, REASON: reason, QUEUE: delivery.queue}
    if home is not None:
        headers[HOME] = home
    return msgspec.structs.replace(properties, headers=headers)


def continued(delivery: Delivery, submission: Submission, progress: Progress | None) -> Properties:
    """The properties of a message that is published again: what was fixed at first stays fixed."""
    headers = kept_headers(delivery)
    headers.pop(PROGRESS, None)
    if submission.deadline is not None:
        headers[DEADLINE] = round(submission.deadline * 1000)
    if progress is not None:
        headers[PROGRESS] = msgspec.json.encode(progress).decode()
    return msgspec.structs.replace(
        delivery.properties,
        headers=headers,
        message_id=submission.id,
        timestamp=int(submission.made),
        expiration=None,
    )


def marked(delivery: Delivery, reason: str) -> Properties:
    """The message's properties with why it goes where it goes; without the broker's own records."""
    headers = kept_headers(delivery)
    return msgspec.structs.replace(
        delivery.properties, headers={**headers, REASON: reason, QUEUE: delivery.queue}, expiration=None
    )


def kept_headers(delivery: Delivery) -> dict[str, object]:
    """The headers without those for the way here: a broker's of where a message has died, and `HOME`."""
    return {name: value for name, value in delivery.properties.headers.items() if not _passing(name)}


def _passing(header: str) -> bool:
    return header in ("x-death", HOME) or header.startswith(("x-first-death-", "x-last-death-"))


def _addressed(delivery: Delivery, event: Event) -> Told:
    properties = delivery.properties
    return event, properties.correlation_id, properties.reply_to


class Durable:
    """Does the durable steps."""

    log = Logger()

    def __init__(
        self,
        broker: Broker,
        events: Events,
        *,
        names: Names,
        metrics: Metrics,
        clock: IReactorTime,
        now: Callable[[], float],
    ) -> None:
        self.names = names
        self.now = now
        self._broker = broker
        self._events = events
        self._metrics = metrics
        self._clock = clock
        self._troubles: dict[str, str] = {}

    @property
    def trouble(self) -> str | None:
        """For operators: what can't be stored at the moment."""
        return "; ".join(f"{store}: {error}" for store, error in self._troubles.items()) or None

    async def publish(self, delivery: Delivery, exchange: str, key: str, properties: Properties) -> None:
        """Send a delivery's message on; the delivery itself stays to be settled."""
        await self._insist(
            delivery,
            lambda: self._broker.publish(exchange, key, delivery.body, properties, mandatory=True),
        )

    async def offer(self, delivery: Delivery, exchange: str, key: str, properties: Properties) -> None:
        """As `publish`, but not to a queue that is full, or that is not there.

        Raises:
            QueueFull: it is, or the broker can't store it.
            Unroutable: there is none.
        """
        await self._insist(
            delivery,
            lambda: self._broker.publish(exchange, key, delivery.body, properties, mandatory=True),
            but=(QueueFull, Unroutable),
        )

    async def tell(self, delivery: Delivery, event: Event) -> None:
        """Publish an event about a delivery's message."""
        await self._insist(delivery, lambda: self._events.tell(*_addressed(delivery, event)))

    async def dead_letter(self, delivery: Delivery, reason: str, kind: str) -> None:
        """Copy a message to the dead letters; `kind` is for the count."""
        await self.publish(delivery, self.names.dead, "", marked(delivery, reason))
        self._metrics.dead.labels(kind).inc()

    async def bury(self, delivery: Delivery, channel: str, error: Undecodable) -> None:
        """A body that can't be decoded: dead letters, and an event if it has an id."""
        await self.dead_letter(delivery, str(error), "undecodable")
        if delivery.properties.message_id:
            await self.tell(
                delivery, undecodable(delivery.properties.message_id, channel, self.now(), str(error))
            )
        delivery.ack()

    async def stored(self, ask: Callable[[], Deferred[T]]) -> T:
        """Ask the ledger until it answers, even where the delivery is not ours any more."""
        while True:
            try:
                found = await ask()
            except StorageError as error:
                await self._failed("ledger", error)
            else:
                self._recovered("ledger")
                return found

    async def _insist(
        self,
        delivery: Delivery,
        publish: Callable[[], Awaitable[None]],
        but: tuple[type[BrokerError], ...] = (),
    ) -> None:
        """Until it is stored; `but` are errors that another try would not mend."""
        while True:
            try:
                await publish()
            except BrokerError as error:
                if isinstance(error, but):
                    raise
                if not delivery.stale:
                    await self._failed("broker", error)
                if delivery.stale:  # or has become so during the pause: to publish now would double it
                    raise TakenBack(str(error)) from error
            else:
                self._recovered("broker")
                return

    async def _failed(self, store: str, error: Exception) -> None:
        if store not in self._troubles:
            self.log.error(
                "{store}: {error}; messages keep their place until it works", store=store, error=str(error)
            )
        self._troubles[store] = str(error)
        self._metrics.storage_errors.labels(store).inc()
        await deferLater(self._clock, PAUSE)

    def _recovered(self, store: str) -> None:
        if store in self._troubles:
            error = self._troubles.pop(store)
            self.log.info("{store}: works again, after: {error}", store=store, error=error)
