"""What the durable memory is.

It answers these questions: was this message id accepted already, whose receipt is this, which parts of
a long inbound message are there, and what is owed. Every event that no unacknowledged delivery protects
is *owed*: it is written in the same transaction as the fact it tells, and cleared once the broker has
confirmed it. So is an inbound message that was joined from its parts. A crash between the two repeats
what is owed (with the same id) and never loses it.

All methods are durable when their Deferred fires and fail with `StorageError` when they are not;
what failed can be called again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

import msgspec
from twisted.internet.defer import Deferred

from smsgw.folding import Record, Report
from smsgw.message import Event, Inbound
from smsgw.sms import join
from smsgw.sms.inbound import Arrival


class Owed(msgspec.Struct, frozen=True):
    """An event that must still be published; `number` is what `clear` takes."""

    number: int
    event: Event
    correlation_id: str | None = None
    reply_to: str | None = None


class Receipt(msgspec.Struct, frozen=True):
    """A receipt that came `at`, in seconds since the epoch, over a channel.

    `candidates` are (codec, index key) readings of its id within the account, best first. `recipient` is the
    number it is about as far as the receipt says, digits, or empty.
    """

    account: str
    channel: str
    candidates: Sequence[tuple[str, str]]
    recipient: str
    report: Report
    at: float


class Claim(msgspec.Struct, frozen=True):
    """Whose receipt it is. `codec` is the reading of the id that matched; None: nobody's yet, parked."""

    owed: tuple[Owed, ...] = ()
    codec: str | None = None


class Expiry(msgspec.Struct, frozen=True):
    """What `expire` found: events now owed, and whether there is more to do at once."""

    owed: tuple[Owed, ...] = ()
    orphans: int = 0
    more: bool = False


class Recalled(msgspec.Struct, frozen=True):
    """What is known of a message id: the newest acceptance, its final event where it has one, and what of
    its events is not published yet.
    """

    record: Record
    final: Event | None = None
    owed: tuple[Owed, ...] = ()


class Key(msgspec.Struct, frozen=True):
    """A part whose receipt is expected: its number from 1, and its SMSC id as a key and as it came."""

    part: int
    key: str
    smsc_id: str


class Acceptance(msgspec.Struct, frozen=True):
    """A message was taken, or some of its parts were (`record.progress`).

    `keys` are of the parts taken so far whose receipts are expected; `resumed` says that an earlier
    attempt has taken the first of them.
    """

    account: str
    record: Record
    keys: Sequence[Key] = ()
    resumed: bool = False


class OwedInbound(msgspec.Struct, frozen=True):
    """An inbound message that must still be published; `number` is what `clear_inbound` takes."""

    number: int
    inbound: Inbound


Keeping: TypeAlias = Literal["placed", "completing", "duplicate", "conflict", "full"]


class Kept(msgspec.Struct, frozen=True):
    """What became of a part, and the messages that are owed for it.

    As `smsgw.sms.join.Placement`, but a `duplicate` may also be of a message that was closed before, and
    after a `conflict` the older message is owed, incomplete, and the part has begun a new one. `full`: it
    was not kept.
    """

    what: Keeping
    owed: tuple[OwedInbound, ...] = ()


class Overdue(msgspec.Struct, frozen=True):
    """Messages that were given up incomplete and are now owed; whether there is more to do at once."""

    owed: tuple[OwedInbound, ...] = ()
    more: bool = False


class Ledger(Protocol):
    def start(self) -> None:
        """Open the store; raises `StorageError` with the path and the reason."""

    def stop(self) -> Deferred[None]:
        """Close it after what is under way."""

    def remember(self, accepted: Sequence[Acceptance]) -> Deferred[Sequence[Sequence[Owed]]]:
        """Messages were taken: all of them are remembered, or none.

        Where an earlier attempt was taken after all, and this one too, the later one's receipts count.
        Returns for each the events that are owed from now on: `accepted`, unless there is more to take, and
        those of receipts that had come already.
        """

    def recall(self, message_id: str) -> Deferred[Recalled | None]:
        """The newest acceptance under this id, whole or in part, if there is one."""

    def claim(self, came: Sequence[Receipt]) -> Deferred[Sequence[Claim]]:
        """Receipts came: whose each is, and what is owed for it.

        A part of the receipt's recipient is preferred where readings of the id compete. Where none matches
        the receipt is parked.
        """

    def owed(self, limit: int) -> Deferred[Sequence[Owed]]:
        """The oldest events still owed."""

    def clear(self, numbers: Sequence[int]) -> Deferred[None]:
        """These events are published and confirmed."""

    def expire(self, now: float, *, keep: float, park: float, limit: int) -> Deferred[Expiry]:
        """Forget what is older than `keep`, in steps of at most `limit` rows.

        A message that still waits for its receipt becomes an `unknown` event owed; a parked receipt
        older than `park` seconds becomes an `orphan` event owed.
        """

    def keep(self, key: join.Key, fragment: join.Fragment, arrival: Arrival, *, limit: int) -> Deferred[Kept]:
        """A part of a long inbound message came, with what its message will be if it is the first.

        With the part that completes it the message is owed. At most `limit` parts of incomplete
        messages are kept for each `key.channel`.
        """

    def owed_inbound(self, before: float, limit: int) -> Deferred[Sequence[OwedInbound]]:
        """The oldest messages still owed, of those that are since `before`: a younger one is being paid."""

    def clear_inbound(self, numbers: Sequence[int]) -> Deferred[None]:
        """These messages are published and confirmed."""

    def expire_inbound(self, before: float, now: float, limit: int) -> Deferred[Overdue]:
        """Give up messages whose last part came before `before`, in steps of at most `limit`.

        Those that were closed before are forgotten: their parts are not known as repeats any more.
        """
