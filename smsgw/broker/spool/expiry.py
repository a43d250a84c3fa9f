"""Messages whose time is over: one timer for the next of them, whatever their number.

A delay queue is nothing but a queue whose messages all expire, and whose dead letters go back to the
submit exchange.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from functools import partial

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from smsgw.broker.spool.coalesce import Coalesced
from smsgw.broker.spool.store import Store
from smsgw.errors import StorageError
from smsgw.sqlite import Database

log = Logger()

PAUSE = 1.0
"""Seconds until another look at what another process should have expired, or after an error."""


class Expiry:
    """Sweeps when something is due. `moved` hears which queues got dead letters."""

    def __init__(
        self,
        reactor: IReactorTime,
        database: Database,
        store: Store,
        *,
        wall: Callable[[], float],
        in_flight: Callable[[], Mapping[str, Set[int]]],
        consumed_elsewhere: Callable[[str], bool],
        moved: Callable[[Set[str]], None],
    ) -> None:
        self._reactor = reactor
        self._wall = wall
        self._database = database
        self._store = store
        self._in_flight = in_flight
        self._consumed_elsewhere = consumed_elsewhere
        self._moved = moved
        self._timer: IDelayedCall | None = None
        self._swept = 0.0
        self._at_least = 0.0
        self._closed = False
        self.sweep = Coalesced(self._sweep)
        self.look = Coalesced(self._look)
        """To be called whenever a message may have come that expires sooner than all others."""

    def close(self) -> None:
        self._closed = True
        self._disarm()

    async def _sweep(self) -> None:
        now = self._wall()
        operation = partial(
            self._store.expire,
            now=now,
            spared=self._in_flight(),
            consumed_elsewhere=self._consumed_elsewhere,
        )
        try:
            swept = await self._database.run(operation)
        except StorageError as error:
            self._failed(error)
            return
        if swept.queues:
            self._moved(swept.queues)
        if swept.again:
            self.sweep()
        self._at_least = PAUSE if swept.skipped else 0.0
        if not swept.skipped:
            self._swept = now
        self.look()

    async def _look(self) -> None:
        try:
            due = await self._database.run(partial(self._store.next_expiry, after=self._swept), write=False)
        except StorageError as error:
            self._failed(error)
            return
        self._disarm()
        if due is not None:
            self._arm(max(due - self._wall(), self._at_least))

    def _failed(self, error: StorageError) -> None:
        if not self._closed:
            log.warn("expired messages wait: {error}", error=error)
            self._disarm()
            self._arm(PAUSE)

    def _arm(self, delay: float) -> None:
        if not self._closed:
            self._timer = self._reactor.callLater(delay, self._expired)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expired(self) -> None:
        self._timer = None
        self.sweep()
