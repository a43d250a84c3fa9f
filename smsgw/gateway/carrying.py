"""How many messages are under way between a delivery and its settlement, and when there are none."""

from __future__ import annotations

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
