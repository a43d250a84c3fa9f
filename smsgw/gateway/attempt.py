"""One try at one message, and how it ended: pure. What the ledger keeps of it and what producers hear."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from smsgw.channel.base import Channel
from smsgw.folding import Record
from smsgw.gateway.events import about
from smsgw.ledger.base import Acceptance, Key
from smsgw.message import Event, EventKind, Submission
from smsgw.outcome import Accepted, Outcome, Progress, Status


class Attempt(msgspec.Struct, frozen=True):
    """The channel that tried, the message, and the outcome."""

    channel: Channel
    submission: Submission
    outcome: Outcome

    @property
    def progress(self) -> Progress | None:
        """How far it got, where some parts were taken and not all."""
        return None if isinstance(self.outcome, Accepted) else self.outcome.progress

    @property
    def ids(self) -> Sequence[str]:
        """The SMSC ids of the parts taken so far, in order, earlier attempts included."""
        if isinstance(self.outcome, Accepted):
            return [part.smsc_id for part in self.outcome.parts]
        return self.outcome.progress.ids if self.outcome.progress else ()

    @property
    def resumed(self) -> bool:
        """Whether it went on behind the parts that an earlier attempt had sent."""
        before = self.submission.progress
        return before is not None and tuple(self.ids[: len(before.ids)]) == before.ids

    def delay(self, budget: int | None = None) -> float | None:
        """Seconds to the next attempt; None where there is none.

        `budget` is how many attempts it is worth altogether, if that is fewer than the channel makes.
        """
        made, retry = self.submission.attempt, self.channel.retry
        if made > len(retry) or (budget is not None and made >= budget):
            return None
        return float(retry[made - 1])

    def in_time(self, at: float) -> bool:
        """Whether the deadline has not passed by then."""
        return self.submission.deadline is None or at < self.submission.deadline

    def acceptance(self, now: float) -> Acceptance:
        """What the ledger is told; at least one part was taken."""
        ids = self.ids
        receipted = self._receipted(ids)
        keys = self._keys(ids, receipted) if receipted else ()
        return Acceptance(self.channel.account, self._record(now, ids, receipted), keys, self.resumed)

    def _record(self, now: float, ids: Sequence[str], receipted: Sequence[int]) -> Record:
        """What the ledger keeps."""
        message, outcome = self.submission.message, self.outcome
        return Record(
            id=self.submission.id,
            to=message.to,
            channel=self.channel.name,
            parts=outcome.on_air,
            receipt=message.receipt if receipted else "none",
            awaits=len(receipted),
            attempt=self.submission.attempt,
            accepted=now,
            smsc_id=ids[0],
            transliterated=outcome.transliterated if isinstance(outcome, Accepted) else 0,
            progress=self.progress,
            meta=message.meta,
            correlation_id=self.submission.correlation_id,
            reply_to=self.submission.reply_to,
        )

    def _keys(self, ids: Sequence[str], receipted: Sequence[int]) -> list[Key]:
        """Under which ids receipts will come for the parts taken so far; none where a part was given none."""
        key = self.channel.index_key
        return [
            Key(number, key(ids[number - 1]), ids[number - 1])
            for number in receipted
            if number <= len(ids) and ids[number - 1].strip()
        ]

    def _receipted(self, ids: Sequence[str]) -> Sequence[int]:
        if self.submission.message.receipt == "none":
            return ()
        return self.channel.receipted(self.progress.parts if self.progress else len(ids))

    def event(
        self,
        kind: EventKind,
        now: float,
        *,
        final: bool,
        error: str,
        status: Status | None = None,
        delay: float | None = None,
    ) -> Event:
        """What producers hear of a message that was not taken, or not all of it."""
        return about(
            self.submission,
            kind,
            self.channel.name,
            now,
            final=final,
            error=error,
            status=status,
            delay=delay,
            parts=self.outcome.on_air,
        )
