"""The null channel: takes everything, at once or after a delay, and sends nothing.

For the question "if you disable the actual transmission, how many can you generate?", and for trying
out a producer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from smsgw.channel.base import Tell, Upstream
from smsgw.channel.pace import Pace
from smsgw.message import Submission
from smsgw.outcome import Accepted, Expired, Outcome, Part, Unsent


class NullSession:
    """The one session of a null channel; up as long as the channel is started."""

    def __init__(self, channel: NullChannel, width: int) -> None:
        self.channel = channel
        self.width = width
        self.name = f"{channel.name}#1"

    def __repr__(self) -> str:
        return f"<session {self.name} width {self.width}>"

    def deliver(self, submission: Submission, tell: Tell) -> None:
        """See `smsgw.channel.base.Session.deliver`."""
        Deferred.fromCoroutine(self._deliver(submission)).addBoth(tell)

    async def _deliver(self, submission: Submission) -> Outcome:
        if not (self.channel.pace.take() or await self.channel.pace.wait(self)):
            return Unsent("stopping")
        return await self.channel.take(submission)

    def yield_waiting(self) -> None:
        self.channel.pace.release(self)


class NullChannel:
    """Accepts every message under the id `null-<n>`; asks for no receipts, so `accepted` is final."""

    retry: Sequence[float] = ()

    def __init__(
        self,
        name: str,
        *,
        queue: str,
        width: int,
        rate: float,
        delay: float,
        upstream: Upstream,
        clock: IReactorTime,
        now: Callable[[], float],
    ) -> None:
        self.name = self.account = name
        self.queue = queue
        self.pace = Pace(rate, clock)
        self.session = NullSession(self, width)
        self.sessions = [self.session]
        self.sessions_up = 0
        self._delay = delay
        self._clock = clock
        self._now = now
        self._upstream = upstream
        self._taken = 0

    def __repr__(self) -> str:
        return f"<null channel {self.name}: {'up' if self.sessions_up else 'stopped'}, {self._taken} taken>"

    def receipted(self, parts: int) -> Sequence[int]:
        return ()

    def index_key(self, smsc_id: str) -> str:
        return smsc_id

    async def take(self, submission: Submission) -> Outcome:
        if self._delay:
            await deferLater(self._clock, self._delay)
        if submission.deadline is not None and self._now() >= submission.deadline:
            return Expired()
        self._taken += 1
        return Accepted((Part(f"null-{self._taken}"),))

    def start(self) -> None:
        self.sessions_up = 1
        self._upstream.opened(self.session)

    def stop(self) -> Deferred[None]:
        self.sessions_up = 0
        self._upstream.closed(self.session)
        return succeed(None)
