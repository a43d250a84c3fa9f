"""How many messages are under way between a delivery and its settlement, and when there are none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from twisted.internet.defer import Deferred


class Carrying:
    """A count of messages that are being carried; `idle` waits for zero."""

    def __init__(self) -> None:
        self.carrying = 0
        self._waiting_for_idle: list[Deferred[None]] = []

    def began(self) -> None:
        self.carrying += 1

    def ended(self) -> None:
        self.carrying -= 1
        if not self.carrying:
            self._now_idle()

    def idle(self) -> Deferred[None]:
        """Fires when nothing is carried any more."""
        waiting: Deferred[None] = Deferred(self._waiting_for_idle.remove)
        self._waiting_for_idle.append(waiting)
        if not self.carrying:
            self._now_idle()
        return waiting

    def _now_idle(self) -> None:
        waiting, self._waiting_for_idle = self._waiting_for_idle, []
        for each in waiting:
            each.callback(None)


class UnderWay:
    """Which message ids are being carried. Of one id there may be several: they are not ours to make."""

    def __init__(self) -> None:
        self._by_id: dict[str, Carrying] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    @contextmanager
    def carrying(self, message_id: str) -> Iterator[None]:
        """While the body of the `with` runs."""
        mine = self._by_id.setdefault(message_id, Carrying())
        mine.began()
        try:
            yield
        finally:
            if mine.carrying == 1:
                del self._by_id[message_id]  # before others hear of it, who ask at once
            mine.ended()

    async def gone(self, message_id: str) -> None:
        """Wait until this id is not being carried."""
        while message_id in self._by_id:
            await self._by_id[message_id].idle()
