"""Looking on: an exclusive queue of our own on a topic exchange, gone with its channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from smsgw.broker.amqp.channel import Channel, Quiet, reason_text
from smsgw.broker.amqp.client import Client
from smsgw.broker.amqp.standing import Standing

BACKLOG = 10_000
"""Messages that wait at most for a watcher who reads slowly; older ones are dropped."""

log = Logger()


class Watch(Standing):
    """`placed` fires when the first queue is bound."""

    def __init__(
        self, exchange: str, pattern: str, deliver: Callable[[str, bytes], None], **standing: Any
    ) -> None:
        super().__init__(f"watch of {exchange}", **standing)
        self.placed: Deferred[None] = Deferred()
        self._exchange = exchange
        self._pattern = pattern
        self._deliver = deliver

    def begin(self, client: Client) -> None:
        view = _View(self._deliver, self.ended)
        channel = client.open_channel(view)
        placing = Deferred.fromCoroutine(self._place(channel))
        placing.addCallbacks(self._tell_placed, lambda failure: self._failed(failure.value))

    async def _place(self, channel: Channel) -> None:
        declared = await channel.queue_declare(
            exclusive=True, auto_delete=True, arguments={"x-max-length": BACKLOG}
        )
        await channel.queue_bind(queue=declared.queue, exchange=self._exchange, routing_key=self._pattern)
        await channel.basic_consume(queue=declared.queue, no_ack=True, exclusive=True)

    def _tell_placed(self, _: None) -> None:
        self.succeeded()
        if not self.placed.called:
            self.placed.callback(None)

    def _failed(self, error: Exception) -> None:
        """The channel's end has been told to `ended`; this is for the log only."""
        log.debug("a watch of {exchange}: {error}", exchange=self._exchange, error=reason_text(error))


class _View(Quiet):
    """One channel of a watch."""

    def __init__(self, deliver: Callable[[str, bytes], None], ended: Callable[[int, str], None]) -> None:
        self._deliver = deliver
        self._ended = ended

    def delivered(
        self, consumer: str, tag: int, redelivered: bool, key: str, header: bytes, body: bytes
    ) -> None:
        try:
            self._deliver(key, body)
        except Exception:  # noqa: BLE001  the application's; the connection must outlive it
            log.failure("a watcher failed to take a message")

    def cancelled(self, consumer: str) -> None:
        self.closed(0, "the broker cancelled the watch")

    def closed(self, code: int, reason: str) -> None:
        self._ended(code, reason)
