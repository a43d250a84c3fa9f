"""Looking on at a topic exchange, from any process.

Publishers keep a copy of what goes to a topic exchange only while somebody watches, so that it costs
nothing otherwise. That somebody watches is said by a shared lock, which ends with its process. The
copies are a bounded table; each watching process has its own place in it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from attrs import frozen
from twisted.logger import Logger

from smsgw.broker.spool import published
from smsgw.broker.spool.coalesce import Coalesced
from smsgw.broker.spool.lock import FileLock
from smsgw.broker.spool.routing import topic_matches
from smsgw.broker.spool.rows import Published
from smsgw.errors import StorageError
from smsgw.sqlite import Database

log = Logger()

Hear = Callable[[str, bytes], None]


@frozen
class _Watcher:
    exchange: str
    pattern: str
    hear: Hear
    since: int

    def tell(self, seen: Published) -> None:
        if seen.id <= self.since or seen.exchange != self.exchange:
            return
        if not topic_matches(self.pattern, seen.key):
            return
        try:
            self.hear(seen.key, seen.body)
        except Exception:  # noqa: BLE001  an onlooker's defect is nobody else's trouble
            log.failure("a watcher of {exchange} raised", exchange=self.exchange)


class Watchers:
    """The watchers of this process."""

    def __init__(self, lock: FileLock, database: Database) -> None:
        self._lock = lock
        self._database = database
        self._watchers: list[_Watcher] = []
        self._last = 0
        self.look = Coalesced(self._look)
        """To be called whenever something may have been published."""

    def anywhere(self) -> bool:
        """Whether a watcher exists, here or in another process."""
        return self._lock.held or self._lock.is_taken()

    def share(self) -> bool:
        """Ask publishers for copies from now on; False where a publisher looks at the lock just now."""
        return self._lock.share()

    async def add(self, exchange: str, pattern: str, hear: Hear) -> None:
        """Hear what comes from now on. After `share`."""
        since = await self._database.run(published.last_published, write=False)
        if not self._watchers:
            self._last = since
        self._watchers.append(_Watcher(exchange, pattern, hear, since))

    def close(self) -> None:
        self._watchers.clear()
        self._lock.drop()

    async def _look(self) -> None:
        if not self._watchers:
            return
        try:
            seen = await self._database.run(partial(published.published_since, last=self._last), write=False)
        except StorageError as error:  # the next publish, or the next look, tries again
            log.warn("could not look for what was published: {error}", error=error)
            return
        for one in seen:
            self._last = one.id
            for watcher in tuple(self._watchers):
                watcher.tell(one)
        if seen:
            self.look()
