"""Many wishes, one piece of work at a time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

log = Logger()


class Coalesced:
    """Calling it starts the work; calling it while the work runs makes it run once more afterwards."""

    def __init__(self, work: Callable[[], Coroutine[Deferred[Any], Any, None]]) -> None:
        self._work = work
        self._wanted = False
        self._running = False

    def __call__(self) -> None:
        self._wanted = True
        if not self._running:
            self._running = True
            Deferred.fromCoroutine(self._run()).addErrback(self._report)

    async def _run(self) -> None:
        try:
            while self._wanted:
                self._wanted = False
                await self._work()
        finally:
            self._running = False

    def _report(self, failure: Any) -> None:
        log.failure("the spool's {work} failed", failure, work=self._work.__name__)
