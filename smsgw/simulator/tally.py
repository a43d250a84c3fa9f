"""What a simulated message centre has seen, counted exactly, in bounded memory.

`Report` holds the running counts and is what `MessageCentre.report()` copies out. Which messages
were taken before is known to `Remembered` tables; they forget their oldest entries beyond their
limit, and `Report.forgotten` says how many, so that a count of duplicates is exact where it is 0.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from hashlib import blake2b
from typing import Generic, TypeVar

import msgspec

Key = TypeVar("Key", bound=Hashable)

SESSIONS_KEPT = 1000
"""How many ended sessions a report lists."""


class SessionReport(msgspec.Struct, kw_only=True):
    """One bind. `peak_in_flight` counts submits from their arrival to their response."""

    number: int
    system_id: str
    bind: str
    submits: int = 0
    accepted: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0
    delivered: int = 0
    """deliver_sm and data_sm that we sent there."""
    unbinds_received: int = 0
    unbinds_sent: int = 0
    ended: str | None = None


class Report(msgspec.Struct, kw_only=True):
    """Everything that is counted; statuses are keyed `0x00000058`.

    `in_flight` counts submits from their arrival to the sending of the response; those that will
    never be answered are in `never_answered` instead. Of receipts and inbound messages, `made` are
    the distinct ones, `sent` counts every PDU, `answered` the final yes, `refused` the final no,
    `lost` those given up (`receipt_attempts`, `mailbox`), `pending` the rest.
    """

    submits: int = 0
    accepted: int = 0
    distinct: int = 0
    duplicates: int = 0
    forgotten: int = 0
    refused: dict[str, int] = {}
    in_flight: int = 0
    peak_in_flight: int = 0
    peak_in_flight_of_a_session: int = 0
    never_answered: int = 0
    cut_unanswered: int = 0
    """Submits, taken or not, whose link went before the response."""
    spoilt: dict[str, int] = {}
    """Responses, by disguise; those that refuse in disguise are not in `refused`."""
    other_requests: dict[str, int] = {}

    receipts_made: int = 0
    receipts_sent: int = 0
    receipts_answered: int = 0
    receipts_refused: int = 0
    receipts_repeated: int = 0
    receipts_lost: int = 0
    receipts_by_stat: dict[str, int] = {}

    inbound_made: int = 0
    inbound_sent: int = 0
    inbound_answered: int = 0
    inbound_refused: int = 0
    inbound_lost: int = 0
    pending: int = 0
    peak_unanswered_deliveries: int = 0

    connections: int = 0
    bound: int = 0
    binds: int = 0
    binds_refused: dict[str, int] = {}
    unbinds_received: int = 0
    unbinds_sent: int = 0
    links_cut: int = 0
    links_lost: int = 0
    """Bound sessions that ended without an unbind, those that we cut included."""
    malformed_received: int = 0
    answered_late: int = 0

    destinations: dict[str, int] = {}
    """Accepted, by destination."""
    sessions: list[SessionReport] = []


class Remembered(Generic[Key]):
    """Counts per key, of at most `limit` keys; the oldest key is forgotten first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.counts: dict[Key, int] = {}
        self.forgotten = 0

    def add(self, key: Key) -> int:
        """Count it; how often it was seen, this time included."""
        count = self.counts.get(key, 0) + 1
        self.counts[key] = count
        if len(self.counts) > self._limit:
            del self.counts[next(iter(self.counts))]
            self.forgotten += 1
        return count


class Tally:
    """The running counts. `limit` is how many distinct messages are remembered."""

    def __init__(self, limit: int) -> None:
        self.counts = Report()
        self._messages: Remembered[bytes] = Remembered(limit)
        self._destinations: Remembered[str] = Remembered(limit)
        self._attempts: Remembered[str] = Remembered(limit)
        self._sessions: deque[SessionReport] = deque(maxlen=SESSIONS_KEPT)

    def submitted(self, session: SessionReport) -> None:
        """A submit arrived; it is in flight until `settled`."""
        counts = self.counts
        counts.submits += 1
        counts.in_flight += 1
        counts.peak_in_flight = max(counts.peak_in_flight, counts.in_flight)
        session.submits += 1
        session.in_flight += 1
        session.peak_in_flight = max(session.peak_in_flight, session.in_flight)
        counts.peak_in_flight_of_a_session = max(counts.peak_in_flight_of_a_session, session.in_flight)

    def settled(self, session: SessionReport, submits: int = 1) -> None:
        """So many are in flight no more."""
        self.counts.in_flight -= submits
        session.in_flight -= submits

    def accepted(self, session: SessionReport, destination: str, octets: bytes) -> int:
        """A message was taken; how often this one was, this time included."""
        self.counts.accepted += 1
        session.accepted += 1
        self._destinations.add(destination)
        times = self._messages.add(_digest(destination, octets))
        if times > 1:
            self.counts.duplicates += 1
        else:
            self.counts.distinct += 1
        return times

    def attempted(self, destination: str) -> int:
        """Count a submit to a destination that is refused its first few; how many there were."""
        return self._attempts.add(destination)

    def times_accepted(self, destination: str, octets: bytes) -> int:
        """How often a message was taken, by its short_message or message_payload."""
        return self._messages.counts.get(_digest(destination, octets), 0)

    def opened(self, session: SessionReport) -> None:
        """A session was bound."""
        self._sessions.append(session)

    def report(self) -> Report:
        """A copy of the counts as they are now."""
        return msgspec.structs.replace(
            self.counts,
            forgotten=self._messages.forgotten,
            refused=dict(self.counts.refused),
            spoilt=dict(self.counts.spoilt),
            other_requests=dict(self.counts.other_requests),
            receipts_by_stat=dict(self.counts.receipts_by_stat),
            binds_refused=dict(self.counts.binds_refused),
            destinations=dict(self._destinations.counts),
            sessions=[msgspec.structs.replace(session) for session in self._sessions],
        )


def summary(before: Report, now: Report, seconds: float) -> str:
    """One line on what happened between two reports that many seconds apart, and how things stand."""

    def rate(name: str) -> str:
        return f"{(getattr(now, name) - getattr(before, name)) / seconds:.0f}/s"

    refused = sum(now.refused.values())
    return (
        f"submits {rate('submits')} of {now.submits}, accepted {now.accepted}, refused {refused},"
        f" duplicates {now.duplicates}, in flight {now.in_flight} (peak {now.peak_in_flight}),"
        f" receipts {rate('receipts_answered')} of {now.receipts_answered},"
        f" inbound {now.inbound_answered}, pending {now.pending}, sessions {now.bound}"
    )


def _digest(destination: str, octets: bytes) -> bytes:
    """Twelve octets stand for a message: a million of them fit in memory, and none collide."""
    return blake2b(b"%b\0%b" % (destination.encode(), octets), digest_size=12).digest()


def count(table: dict[str, int], key: str) -> None:
    """One more of `key`. The keys are names of ours or statuses that the peer or we have sent."""
    table[key] = table.get(key, 0) + 1


def status_key(status: int) -> str:
    """A status as reports key it."""
    return f"0x{status:08x}"
