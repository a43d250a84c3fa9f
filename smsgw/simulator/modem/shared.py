"""What all parts of one simulated modem share: its behaviour, chance, time, and the books."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Literal

import msgspec

from smsgw.simulator.dice import Dice
from smsgw.simulator.modem.behaviour import Behaviour
from smsgw.simulator.modem.families import FAMILIES, Family
from smsgw.simulator.tally import Remembered

REMEMBERED = 1_000_000
"""Messages that duplicates are recognised among."""


class Entry(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One line of the journal. `at` is in seconds since the epoch.

    `submitted` is what reached the network, `refused` what the network or the modem refused. `data` is the
    user data behind its header in hex, `text` its text where it is one. `reference` is TP-MR, `long` the
    concatenation's. `times` says how often this part was submitted to this number, 2 being a duplicate.
    Of what goes the other way, `route` is `direct` or the memory; `outcome` what became of it.
    """

    at: float
    event: Literal[
        "submitted",
        "refused",
        "report",
        "inbound",
        "read",
        "deleted",
        "restarted",
        "hung",
        "unplugged",
        "pin",
        "ussd",
    ]
    number: str | None = None
    text: str | None = None
    data: str | None = None
    coding: int | None = None
    reference: int | None = None
    long: int | None = None
    part: int | None = None
    parts: int | None = None
    times: int | None = None
    answered: bool | None = None
    error: str | None = None
    status: int | None = None
    route: str | None = None
    outcome: str | None = None
    memory: str | None = None
    index: int | None = None
    reason: str | None = None


class Report(msgspec.Struct, kw_only=True):
    """Everything that is counted. `typed_while_busy` are octets of a client that did not wait.

    `submitted` counts parts that reached the network, `unanswered` those of them that the client got no
    answer for. `peak_in_flight` counts messages between their Ctrl-Z and their answer.
    """

    submitted: int = 0
    distinct: int = 0
    duplicates: int = 0
    unanswered: int = 0
    refused: dict[str, int] = {}
    in_flight: int = 0
    peak_in_flight: int = 0
    escaped: int = 0
    bad_pdus: int = 0

    reports_made: int = 0
    reports_delivered: int = 0
    inbound_made: int = 0
    inbound_delivered: int = 0
    unacknowledged: int = 0
    lost: int = 0
    """Of reports and inbound messages: the mailbox was full, or nobody had asked for reports."""
    waiting: int = 0
    """Reports and inbound messages that the network still keeps."""

    commands: int = 0
    unknown_commands: dict[str, int] = {}
    typed_while_busy: int = 0
    restarts: int = 0
    hangs: int = 0
    pins_wrong: int = 0
    ussd: int = 0
    destinations: dict[str, int] = {}


class Shared:
    """`now` is set by whoever calls in; `wall` adds the epoch to it."""

    def __init__(
        self, behaviour: Behaviour, now: float, epoch: float, record: Callable[[Entry], None] | None
    ) -> None:
        self.now = now
        self._offset = epoch - now
        self._record = record
        self.counts = Report()
        self._seen: Remembered[bytes] = Remembered(REMEMBERED)
        self._destinations: Remembered[str] = Remembered(REMEMBERED)
        self.behave(behaviour)

    def behave(self, behaviour: Behaviour) -> None:
        """Otherwise from now on; chance starts anew."""
        self.behaviour = behaviour
        self.dice = Dice(behaviour.seed)
        self.family: Family = FAMILIES[behaviour.family]

    @property
    def wall(self) -> float:
        return self.now + self._offset

    def record(self, entry: Entry) -> None:
        if self._record is not None:
            self._record(entry)

    def seen(self, number: str, octets: bytes) -> int:
        """Count a part that was submitted; how often it was, this time included."""
        self.counts.submitted += 1
        self._destinations.add(number)
        digest = blake2b(b"%b\0%b" % (number.encode(), octets), digest_size=12).digest()
        times = self._seen.add(digest)
        if times > 1:
            self.counts.duplicates += 1
        else:
            self.counts.distinct += 1
        return times

    def report(self) -> Report:
        """A copy of the counts as they are now."""
        return msgspec.structs.replace(
            self.counts,
            refused=dict(self.counts.refused),
            unknown_commands=dict(self.counts.unknown_commands),
            destinations=dict(self._destinations.counts),
        )
