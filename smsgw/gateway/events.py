"""Telling the producers: events to the topic exchange, and to the queue a message asked to be answered at."""

from __future__ import annotations

from collections.abc import Callable

from smsgw.broker.base import Broker, Properties
from smsgw.broker.topology import Names
from smsgw.message import Event, EventKind, Submission, encode, event_id, timestamp
from smsgw.metrics import Metrics
from smsgw.outcome import Status


class Events:
    """Publishes events, each confirmed by the broker before it counts as told."""

    def __init__(self, broker: Broker, names: Names, metrics: Metrics, now: Callable[[], float]) -> None:
        self._broker = broker
        self._names = names
        self._now = now
        self._count = metrics.events

    async def tell(self, event: Event, correlation_id: str | None, reply_to: str | None) -> None:
        """Publish an event and wait until it is stored.

        Raises:
            BrokerError: it may not be stored; telling it again is harmless, its `event_id` stays.
        """
        body = encode(event)
        properties = Properties(
            message_id=event.event_id, correlation_id=correlation_id, timestamp=int(self._now())
        )
        await self._broker.publish(self._names.events, event.key, body, properties)
        if reply_to:
            await self._broker.publish("", reply_to, body, properties)
        self._count.labels(event.event).inc()


def about(
    submission: Submission,
    kind: EventKind,
    channel: str,
    at: float,
    *,
    final: bool,
    error: str | None = None,
    status: Status | None = None,
    delay: float | None = None,
    parts: int = 1,
) -> Event:
    """An event about a message that no message centre has taken, or not all `parts` of it."""
    return Event(
        event=kind,
        id=submission.id,
        event_id=event_id(submission.id, kind, attempt=None if final else submission.attempt),
        at=timestamp(at),
        channel=channel,
        to=submission.message.to,
        parts=parts,
        status=status,
        error=error,
        delay=delay,
        final=final,
        attempt=submission.attempt,
        meta=submission.message.meta,
    )


def undecodable(message_id: str, channel: str, at: float, error: str) -> Event:
    """A publish with an id whose body is no message: nothing more is known of it."""
    return Event(
        event="rejected",
        id=message_id,
        event_id=event_id(message_id, "rejected"),
        at=timestamp(at),
        channel=channel,
        to="",
        parts=0,
        error=error,
        final=True,
        attempt=1,
        meta={},
    )
