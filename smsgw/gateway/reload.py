"""A new configuration for a gateway that runs: read, checked, compared, declared, and only then applied.

Whatever is wrong is found before anything changes, so a reload is refused as a whole. What can't
change live is said and waits for a restart. Reloads follow one another: one that is asked for
while another is under way is done after it, however often it was asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.broker.base import BrokerError
from smsgw.channel.base import Channel
from smsgw.config import Configuration
from smsgw.errors import ConfigError, Wrong
from smsgw.gateway.assembly import broker_of, channels_of, rules_of, topology_of
from smsgw.gateway.changes import Changes, compare, live
from smsgw.gateway.service import Gateway

PATIENCE = 5.0
"""Seconds that a reload waits to hear how much is in a queue that it only wants to tell of."""


class Reload:
    """Brings `gateway`, made from `configuration`, to what `read` gives; `read` raises `ConfigError`."""

    log = Logger()

    def __init__(
        self, gateway: Gateway, configuration: Configuration, read: Callable[[], Configuration], reactor: Any
    ) -> None:
        self.configuration = configuration
        self._gateway = gateway
        self._read = read
        self._reactor = reactor
        self._asked = False
        self._under_way = False

    def __repr__(self) -> str:
        return (
            "<reload: under way>" if self._under_way else "<reload: call it to read the configuration anew>"
        )

    def __call__(self) -> None:
        """Reload, now or after the one that is under way; the log says what became of it."""
        self._asked = True
        if not self._under_way:
            self._under_way = True
            Deferred.fromCoroutine(self._run())

    async def _run(self) -> None:
        while self._asked and self._gateway.running:
            self._asked = False
            await Deferred.fromCoroutine(self._once()).addErrback(self._failed)
        self._under_way = False

    def _failed(self, failure: Failure) -> None:
        if not isinstance(failure.value, CancelledError):
            self.log.failure("the configuration could not be reloaded", failure=failure)
            self._gateway.metrics.errors.labels("reload").inc()

    async def _once(self) -> None:
        try:
            new = self._read()
            changes = compare(self.configuration, new)
            wrong = Wrong()
            channels = wrong.attempt(partial(channels_of, new, self._gateway, self._reactor)) or {}
            if any(path.startswith("broker.") for path in changes.restart):
                wrong.attempt(partial(broker_of, new, self._reactor))  # it is needed at the next start
            wrong.tell()
            after = live(self.configuration, new)
            if changes.queues or changes.steps:
                await self._gateway.broker.declare(topology_of(after))
        except (ConfigError, BrokerError) as error:
            self._refuse(error)
        else:
            await self._apply(after, changes, channels)

    def _refuse(self, error: Exception) -> None:
        for line in str(error).splitlines():
            self.log.error("not reloaded: {problem}", problem=line)
        self._gateway.metrics.reloads.labels("refused").inc()

    async def _apply(self, after: Configuration, changes: Changes, channels: dict[str, Channel]) -> None:
        gateway = self._gateway
        if not gateway.running:
            return
        self.log.info("reloading: {changes}", changes=str(changes))
        gateway.router.rules = tuple(rules_of(after))
        gateway.outgoing.limited = after.limited_queues
        gateway.receipts.keep, gateway.receipts.park = after.ledger.keep, after.receipts.park
        gateway.incoming.assembly_timeout = after.inbound.assembly_timeout
        gateway.incoming.max_parts = after.inbound.max_parts
        gateway.stop_timeout = after.stop_timeout
        touched = {*changes.added, *changes.changed}
        await gateway.change(
            {name: made if name in touched else gateway.channels[name] for name, made in channels.items()}
        )
        if not gateway.running:
            return
        self.configuration = after
        for path in changes.restart:
            self.log.warn("{path} has changed; that needs a restart", path=path)
        for queue in changes.unfed:
            await self._tell_unfed(queue)
        gateway.metrics.reloads.labels("done").inc()
        self.log.info("reloaded")

    async def _tell_unfed(self, queue: str) -> None:
        """What waits there is not lost; somebody should know of it."""
        full = self._gateway.names.queue(queue)
        try:
            waiting: object = await self._gateway.broker.depth(full).addTimeout(PATIENCE, self._reactor)
        except (BrokerError, TimedOut):
            waiting = "an unknown number of"
        self.log.warn(
            "no channel takes from {queue} any more; it stays, with {waiting} messages in it",
            queue=full,
            waiting=waiting,
        )
