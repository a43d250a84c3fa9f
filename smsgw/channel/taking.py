"""What came from the message centre and is not answered yet, so that a session can part in good order.

What is stored and not answered would come again, and a message from a phone under another id.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime

MOST = 2000
"""Requests that may be unanswered: twice what a link may owe, for it forgets the oldest ones."""


class Taking:
    """The unanswered requests of one session, over all its links; once it is `over` it takes no more."""

    def __init__(self, clock: IReactorTime, most: int = MOST) -> None:
        self.over = False
        self._clock = clock
        self._most = most
        self._unanswered: set[Deferred[Any]] = set()

    @property
    def full(self) -> bool:
        """Whether nothing is to be taken now: it is over, or a store has stood still for long."""
        return self.over or len(self._unanswered) >= self._most

    def add(self, answered: Deferred[Any]) -> None:
        """A request was taken; `answered` fires when its answer is written."""
        self._unanswered.add(answered)
        answered.addBoth(self._settled, answered)

    def _settled(self, result: Any, answered: Deferred[Any]) -> Any:
        self._unanswered.discard(answered)
        return result

    def finish(self, patience: float) -> Deferred[None]:
        """Take no more; fires when all is answered, or after so many seconds."""
        self.over = True
        finished: Deferred[None] = Deferred()

        def all_answered(_: object) -> None:
            if not finished.called:
                finished.callback(None)

        DeferredList(list(self._unanswered)).addCallback(all_answered)
        return finished.addTimeout(patience, self._clock, onTimeoutCancel=lambda *_: None)
