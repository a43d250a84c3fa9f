"""What can go wrong: one row for each fault, with how it begins and how it ends.

`hits` is what a fault takes away; two faults that hit the same thing never overlap. `repeats` says
whether a fault can leave the outcome of messages unknown: sent, and no answer came. Those are sent
again, and the SMSC may have taken them before: at most `width` of them on each session, since no more
are unanswered at any time. After every other fault there is no repeat at all: what was answered is in
the ledger, whatever the broker hands out again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from signal import SIGKILL

from faults.bed import Bed
from faults.proxy import Way

HOUR = 3600.0


def _nothing(_: Bed) -> None:
    """The end of a fault that is over when it has happened."""


def _present(_: Bed) -> str | None:
    """Nothing is missing for this fault."""
    return None


@dataclass(frozen=True)
class Fault:
    """`seconds` are the shortest and the longest time from its beginning to its end.

    `missing` says why this machine can't have it. `when_drained`: only when no message is under way.
    """

    name: str
    hits: str
    seconds: tuple[float, float]
    begin: Callable[[Bed], None]
    end: Callable[[Bed], None] = _nothing
    repeats: bool = False
    when_drained: bool = False
    missing: Callable[[Bed], str | None] = _present


def smsc_link(way: Way) -> Callable[[Bed], None]:
    return lambda bed: bed.smsc_link.behave(way)


def broker_link(way: Way) -> Callable[[Bed], None]:
    return lambda bed: bed.broker_link.behave(way)


GATEWAY = (
    Fault(
        "gateway killed", "gateway", (0.2, 2),
        Bed.kill_gateway, Bed.start_gateway, repeats=True,
    ),
    Fault("gateway ended by SIGTERM", "gateway", (0.2, 1), Bed.end_gateway, Bed.start_gateway),
    Fault(
        "gateway stands still", "gateway", (6, 8),
        lambda bed: bed.gateway.suspend(), lambda bed: bed.gateway.resume(), repeats=True,
    ),
    Fault(
        "wall clock an hour ahead", "clock", (3, 5),
        lambda bed: bed.clock.set(HOUR), lambda bed: bed.clock.set(0), missing=lambda bed: bed.clock.missing,
    ),
    Fault(
        "wall clock an hour back", "clock", (3, 5),
        lambda bed: bed.clock.set(-HOUR), lambda bed: bed.clock.set(0), missing=lambda bed: bed.clock.missing,
    ),
    Fault(
        "ledger's disk full", "ledger", (3, 5),
        lambda bed: bed.ledger_disk.fill(), lambda bed: bed.ledger_disk.clear(),
        missing=lambda bed: bed.ledger_disk.missing,
    ),
)  # fmt: skip
SMSC = (
    Fault("SMSC killed", "smsc", (0.2, 2), lambda bed: bed.smsc.end(SIGKILL), Bed.start_smsc, repeats=True),
    Fault(
        "SMSC stands still", "smsc", (5, 6),
        lambda bed: bed.smsc.suspend(), lambda bed: bed.smsc.resume(), repeats=True,
    ),
    Fault("SMSC link cut", "smsc link", (0, 0), lambda bed: bed.smsc_link.cut(), repeats=True),
    Fault("SMSC link half-open", "smsc link", (4, 6), smsc_link("swallow"), smsc_link("pass"), repeats=True),
    Fault("SMSC link mute", "smsc link", (4, 6), smsc_link("mute"), smsc_link("pass"), repeats=True),
    Fault("SMSC link slow", "smsc link", (2, 4), smsc_link("delay"), smsc_link("pass")),
    Fault("SMSC link trickles", "smsc link", (2, 4), smsc_link("trickle"), smsc_link("pass")),
)  # fmt: skip
RABBITMQ = (
    Fault(
        "RabbitMQ killed", "broker", (0.2, 2),
        lambda bed: bed.rabbit.kill(), lambda bed: bed.rabbit.start(),
    ),
    Fault(
        "RabbitMQ stands still", "broker", (6, 8),
        lambda bed: bed.rabbit.suspend(), lambda bed: bed.rabbit.resume(),
    ),
    Fault(
        "RabbitMQ short of memory", "broker", (2, 4),
        lambda bed: bed.rabbit.raise_memory_alarm(), lambda bed: bed.rabbit.clear_memory_alarm(),
    ),
    Fault("queue deleted", "broker", (0, 0), Bed.delete_queue, when_drained=True),
    Fault("broker link cut", "broker link", (0, 0), lambda bed: bed.broker_link.cut()),
    Fault("broker link half-open", "broker link", (5, 7), broker_link("swallow"), broker_link("pass")),
    Fault("broker link mute", "broker link", (5, 7), broker_link("mute"), broker_link("pass")),
    Fault("broker link slow", "broker link", (2, 4), broker_link("delay"), broker_link("pass")),
    Fault("broker link trickles", "broker link", (2, 4), broker_link("trickle"), broker_link("pass")),
)  # fmt: skip
SPOOL = (
    Fault(
        "spool's disk full", "broker", (3, 5),
        lambda bed: bed.spool_disk.fill(), lambda bed: bed.spool_disk.clear(),
        missing=lambda bed: bed.spool_disk.missing,
    ),
)  # fmt: skip
FORGETFUL = ("SMSC killed",)
"""A simulated SMSC that is killed forgets the receipts that it had not yet sent."""

FAULTS = {"rabbitmq": (*GATEWAY, *SMSC, *RABBITMQ), "spool": (*GATEWAY, *SMSC, *SPOOL)}
