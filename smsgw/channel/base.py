"""What a channel is, and what it needs from the gateway above it.

A channel holds one or more sessions. Each session that is up takes messages from the channel's
queue, at most its width unsettled, and says of each what became of it. A session that is not up
takes none: *not bound means not consuming*.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal, Protocol, TypeAlias

import msgspec
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from smsgw.folding import Report
from smsgw.message import Submission
from smsgw.outcome import Outcome
from smsgw.sms.join import Fragment

LinkName: TypeAlias = Literal["stopped", "dialing", "binding", "up", "waiting", "closing"]


class LinkState(msgspec.Struct, frozen=True):
    """For operators: `since` in seconds since the epoch, `error` the last one in one line.

    `retry_in` is the pause before the next try, where the link waits.
    """

    name: LinkName
    since: float
    error: str | None = None
    tries: int = 0
    retry_in: float | None = None

    def __str__(self) -> str:
        """In words: `up since 2026-11-23 20:15:03Z`."""
        since = datetime.fromtimestamp(self.since, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        retry = f", next try {self.retry_in:.1f} s later ({self.tries} failed)" if self.retry_in else ""
        error = f", last error: {self.error}" if self.error else ""
        return f"{self.name} since {since}{retry}{error}"


Tell: TypeAlias = Callable[[Outcome | Failure], None]
"""Hears what became of a message: a value, however it went. A Failure is a defect of ours."""

Claimed: TypeAlias = Callable[[str | Failure | None], None]
"""Hears what became of a receipt."""


class Session(Protocol):
    """One bind, or one modem, that is up."""

    @property
    def name(self) -> str:
        """For logs and operators, `acme#1`."""

    @property
    def channel(self) -> Channel: ...

    @property
    def width(self) -> int: ...

    def deliver(self, submission: Submission, tell: Tell) -> None:
        """Send one message; `tell` is called once, at once or later. It never waits for a lost link.

        Raises what nobody expected, and then tells nothing.
        """

    def yield_waiting(self) -> None:
        """Let go of what has not left yet: those deliveries end `Unsent` at once."""


class Channel(Protocol):
    """An SMPP account, a modem, or the null channel."""

    @property
    def name(self) -> str: ...

    @property
    def queue(self) -> str:
        """The short name of the queue that feeds it."""

    @property
    def account(self) -> str:
        """The scope of its SMSC message ids."""

    @property
    def retry(self) -> Sequence[float]:
        """Seconds to wait before each further attempt after a temporary failure."""

    @property
    def sessions(self) -> Sequence[object]:
        """All its sessions, up or not; their reprs tell an operator how they are."""

    @property
    def sessions_up(self) -> int: ...

    def receipted(self, parts: int) -> Sequence[int]:
        """Which parts of a message of so many get a receipt, by their numbers from 1.

        Empty where receipts can't come for what it sends: then `accepted` is the last word.
        """

    def index_key(self, smsc_id: str) -> str:
        """The form of a message id under which the ledger files a part."""

    def start(self) -> None: ...

    def stop(self) -> Deferred[None]:
        """Unbind and close, bounded; nothing is taken any more before this is called."""


class Upstream(Protocol):
    """What a channel tells the gateway."""

    def opened(self, session: Session) -> None:
        """A session is up and wants messages."""

    def closed(self, session: Session) -> Deferred[None]:
        """It is down, or about to be: no more messages for it. Fires when what it carried is settled."""

    def receipt(
        self,
        channel: Channel,
        candidates: Sequence[tuple[str, str]],
        recipient: str,
        report: Report,
        claimed: Claimed,
    ) -> None:
        """A receipt came; `candidates` are (codec, index key) readings of its id.

        `claimed` is called once, when it may be answered: it is durable and its event confirmed. Where this
        raises, it is not called. It is told the codec that matched, None if the receipt is parked, or the
        failure, of `BrokerError` or `StorageError`: answer a temporary status, so that the message centre
        sends it again.
        """

    def taken_late(self, channel: Channel, submission: Submission, outcome: Outcome) -> Deferred[None]:
        """A part whose attempt ended `Unknown` was taken after all.

        `outcome` is `Accepted`, or what says how far the message got with it. Never fails.
        """

    def inbound(self, channel: Channel, source: str, destination: str, fragment: Fragment) -> Deferred[None]:
        """A short message came from a phone: a message, or a part of one.

        Fires when it may be answered: it is durable, and if it makes a message whole, that is confirmed.
        Fails with what `receipt` tells, and means the same.
        """
