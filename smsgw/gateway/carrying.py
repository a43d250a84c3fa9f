"""Messages under way between a delivery and its settlement: each, how many, and when there are none."""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred

from smsgw.broker.base import Consumer, Delivery
from smsgw.channel.base import Session
from smsgw.ledger.base import Acceptance
from smsgw.message import Submission


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
        self._count: dict[str, int] = {}
        self._waiting: dict[str, list[Deferred[None]]] = {}

    def __len__(self) -> int:
        return len(self._count)

    def began(self, message_id: str) -> None:
        """One of this id is being carried from now on."""
        self._count[message_id] = self._count.get(message_id, 0) + 1

    def ended(self, message_id: str) -> None:
        """It is no more; those who wait for the last one go on, one after the other."""
        left = self._count.pop(message_id, 1) - 1
        if left:
            self._count[message_id] = left
        elif self._waiting:
            for each in self._waiting.pop(message_id, ()):
                each.callback(None)

    async def gone(self, message_id: str) -> None:
        """Wait until this id is not being carried."""
        while message_id in self._count:
            waiting: Deferred[None] = Deferred()
            self._waiting.setdefault(message_id, []).append(waiting)
            await waiting


class Feed(Carrying):
    """The consumer that feeds one session, and how much of what it gave is being carried.

    When the broker's connection is lost it takes everything back and hands it out again, while the
    session still waits for answers. So more than the width may be out for a while; what is over it
    waits for a place.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.consumer: Consumer | None = None
        self.waiting: deque[Delivery] = deque()

    @property
    def free(self) -> int:
        """Places for those that wait; below 0 where the last that came has none."""
        return self.session.width - (self.carrying - len(self.waiting))

    def __repr__(self) -> str:
        return f"<feed {self.session.name}: {self.carrying}/{self.session.width}>"


class Carried:
    """One message between its delivery and its settlement, and what is known of it so far.

    `submission` is there once it is decoded, `acceptance` once it was `taken`.
    """

    __slots__ = ("acceptance", "delivery", "feed", "submission", "taken")

    acceptance: Acceptance

    def __init__(self, feed: Feed, delivery: Delivery) -> None:
        self.feed = feed
        self.delivery = delivery
        self.submission: Submission | None = None
        self.taken = False
