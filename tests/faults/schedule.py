"""Which faults a run meets, and when: drawn from a seed, so that a run can be had again.

A moment is a share of the messages, namely of those that the SMSC has taken: not a time, so that a
schedule means the same on a slow machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

from faults.faults import FAULTS, FORGETFUL, Fault

SPOOL_EACH = 4
"""Every so many-th seed runs with the spool."""

SHORT_KEEP = 20.0
"""Seconds that the ledger waits for receipts where some are forgotten. Longer than what any delivery can
stay unacknowledged: a message that the ledger forgets before its queue does would be sent again."""

LONG_KEEP = 3 * 86_400.0
RESPONSE_DELAYS = (0.01, 0.05, 0.2)
"""Seconds to the SMSC's answer, from quicker than anything else to slower than a reconnection."""

TOGETHER = 0.3
"""The chance that a fault begins with the one before it."""


@dataclass(frozen=True)
class Step:
    """A fault that begins when the SMSC has taken the share `at` of the messages, and lasts `seconds`."""

    at: float
    fault: Fault
    seconds: float

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"at {self.at:4.0%}  {self.fault.name}{lasting}"


@dataclass(frozen=True)
class Schedule:
    """`linked` of ten messages ask for a receipt; the SMSC answers after `response_delay` seconds."""

    seed: int
    broker: Literal["rabbitmq", "spool"]
    messages: int
    keep: float
    linked: int
    response_delay: float
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        head = (
            f"seed {self.seed}, {self.broker}, {self.messages} messages, {self.linked} of 10 with a receipt, "
            f"which the ledger waits {self.keep:g} s for, answers after {self.response_delay:g} s"
        )
        return "\n".join([head, *(f"  {step}" for step in self.steps)])


def draw(seed: int, messages: int) -> Schedule:
    """The schedule of a seed. Three faults, and one more for each 2,000 messages."""
    random = Random(seed)
    broker: Literal["rabbitmq", "spool"] = "spool" if seed % SPOOL_EACH == 0 else "rabbitmq"
    forgetful = random.random() < 0.5
    kinds = [fault for fault in FAULTS[broker] if _fits(fault, forgetful)]
    chosen = random.sample(kinds, min(len(kinds), 3 + messages // 2000))
    return Schedule(
        seed,
        broker,
        messages,
        keep=SHORT_KEEP if forgetful else LONG_KEEP,
        linked=5 if forgetful else 10,
        response_delay=random.choice(RESPONSE_DELAYS),
        steps=tuple(_steps(random, chosen)),
    )


def _fits(fault: Fault, forgetful: bool) -> bool:
    """Receipts are forgotten, or the clock jumps, but not both.

    Where receipts are forgotten the ledger must be impatient. A clock that is set an hour ahead makes
    an impatient ledger forget all that is under way, and what it has forgotten is sent again.
    """
    return fault.hits != "clock" if forgetful else fault.name not in FORGETFUL


def _steps(random: Random, faults: list[Fault]) -> list[Step]:
    steps: list[Step] = []
    for at, fault in zip(sorted(random.uniform(0.03, 0.75) for _ in faults), faults, strict=True):
        before = steps[-1] if steps else None
        together = random.random() < TOGETHER and before is not None and before.fault.hits != fault.hits
        seconds = round(random.uniform(*fault.seconds), 1)
        steps.append(Step(before.at if together and before else round(at, 2), fault, seconds))
    return steps
