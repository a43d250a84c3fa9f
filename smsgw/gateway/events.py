"""Telling the producers: events to the topic exchange, and to the queue a message asked to be answered at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from smsgw.broker.base import Broker, Properties, Publish, the_only
from smsgw.broker.topology import Names
from smsgw.message import Event, EventKind, Submission, encode, event_id, timestamp
from smsgw.metrics import Metrics
from smsgw.outcome import Status

Told: TypeAlias = tuple[Event, str | None, str | None]
"""An event, its message's correlation_id, and the queue at which its message asked to be answered."""


class Events:
    """Publishes events, each confirmed by the broker before it counts as told."""

    def __init__(self, broker: Broker, names: Names, metrics: Metrics, now: Callable[[], float]) -> None:
        self._broker = broker
        self._names = names
        self._now = now
        self._events = metrics.events

    async def tell(self, event: Event, correlation_id: str | None, reply_to: str | None) -> None:
        """Publish an event and wait until it is stored.

        Raises:
            BrokerError: it may not be stored; telling it again is harmless, its `event_id` stays.
        """
        the_only(await self.tell_all([(event, correlation_id, reply_to)]))

    async def tell_all(self, told: Sequence[Told]) -> list[Exception | None]:
        """Publish events together; once the fate of each is known, None for what is stored, else an error."""
        at = int(self._now())
        publishes = [self._publish(event, correlation_id, at) for event, correlation_id, _ in told]
        answers = {
            index: msgspec.structs.replace(publishes[index], exchange="", key=reply_to)
            for index, (_, _, reply_to) in enumerate(told)
            if reply_to
        }
        errors = await self._broker.publish_all([*publishes, *answers.values()])
        for index, error in zip(answers, errors[len(told) :], strict=True):
            errors[index] = errors[index] or error
        errors = errors[: len(told)]
        for (event, _, _), error in zip(told, errors, strict=True):
            if error is None:
                self._events.count(event.event)
        return errors

    def _publish(self, event: Event, correlation_id: str | None, at: int) -> Publish:
        properties = Properties(message_id=event.event_id, correlation_id=correlation_id, timestamp=at)
        return Publish(self._names.events, event.key, encode(event), properties)


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
