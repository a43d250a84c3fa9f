"""What came from the message centre and is not answered yet, so that a session can part in good order.

What is stored and not answered would come again, and a message from a phone under another id.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

MOST = 2000
"""Requests that may be unanswered: twice what a link may owe, for it forgets the oldest ones."""


class Taking:
    """The unanswered requests of one session, over all its links; once it is `over` it takes no more."""

    def __init__(self, clock: IReactorTime, most: int = MOST) -> None:
        self.over = False
        self._clock = clock
        self._most = most
        self._unanswered = 0
        self._finished: list[Deferred[None]] = []

    @property
    def full(self) -> bool:
        """Whether nothing is to be taken now: it is over, or a store has stood still for long."""
        return self.over or self._unanswered >= self._most

    def add(self, answered: Deferred[Any]) -> None:
        """A request was taken; `answered` fires when its answer is written."""
        self.began()
        answered.addBoth(self._settled)

    def _settled(self, result: Any) -> Any:
        self.ended()
        return result

    def began(self) -> None:
        """A request was taken; `ended` is to be called when its answer is written."""
        self._unanswered += 1

    def ended(self) -> None:
        self._unanswered -= 1
        if self.over and not self._unanswered:
            self._tell_finished()

    def finish(self, patience: float) -> Deferred[None]:
        """Take no more; fires when all is answered, or after so many seconds."""
        self.over = True
        finished: Deferred[None] = Deferred(self._finished.remove)
        self._finished.append(finished)
        if not self._unanswered:
            self._tell_finished()
        return finished.addTimeout(patience, self._clock, onTimeoutCancel=lambda *_: None)

    def _tell_finished(self) -> None:
        finished, self._finished = self._finished, []
        for each in finished:
            each.callback(None)
