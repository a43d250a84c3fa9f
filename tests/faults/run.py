"""One run of a schedule, and what it must hold.

Each message that its producer was promised to be stored ends in exactly one final event, and the SMSC
has taken it unless that event says otherwise. The SMSC takes it once, but for what a fault that leaves
outcomes unknown may repeat. No log has a trace of a surprise, and the gateway ends when it is told to.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import SubprocessError

from faults.bed import SESSIONS, WIDTH, Bed
from faults.schedule import Schedule, Step
from processes import troubles
from rabbitmq import RabbitNode

BATCHES = 5
"""Messages are published in so many parts, so that a producer is at work throughout the run."""

TICK = 0.05
STUCK = 15.0
"""Seconds without a message taken after which the next fault begins all the same."""

PATIENCE = 90.0
"""Seconds without anything new, after which a run is over and what is missing is lost."""


@dataclass
class Result:
    """What a run came to. `problems` is empty where everything held, one line each where not."""

    schedule: Schedule
    seconds: float = 0.0
    ends: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    bound: int = 0
    skipped: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        schedule = self.schedule
        ends = ", ".join(f"{count} {kind}" for kind, count in self.ends.most_common())
        faults = "; ".join(step.fault.name for step in schedule.steps)
        verdict = "held" if not self.problems else "FAILED"
        skipped = "".join(f" (skipped: {reason})" for reason in self.skipped)
        return (
            f"seed {schedule.seed:3} {schedule.broker:8} {schedule.messages} messages: {verdict}; {ends}; "
            f"{self.repeats} repeats of at most {self.bound}; {self.seconds:.0f} s; {faults}{skipped}"
        )


class Run:
    """Lets the faults of a schedule happen while messages flow."""

    def __init__(self, schedule: Schedule, bed: Bed) -> None:
        self._schedule = schedule
        self._bed = bed
        self._result = Result(schedule)
        self._coming = list(schedule.steps)
        self._under_way: list[tuple[float, Step]] = []
        self._published = 0
        self._last_news = time.monotonic()
        self._last_taken = time.monotonic()
        self._seen = (0, 0, 0)

    def __call__(self) -> Result:
        began = time.monotonic()
        try:
            self._live()
        except (AssertionError, OSError, RuntimeError, SubprocessError) as error:
            self._result.problems.append(f"the run came to an end: {error}")
        self._bed.tally.read()
        self._judge()
        self._result.seconds = time.monotonic() - began
        return self._result

    def _live(self) -> None:
        while not self._over():
            self._look()
            self._publish()
            self._end_faults()
            self._begin_faults()
            self._bed.supervise()
            time.sleep(TICK)
        self._bed.end_gateway()

    # -- under way

    def _over(self) -> bool:
        if self._coming or self._under_way:
            return False
        tally = self._bed.tally
        done = len(tally.confirmed) == self._schedule.messages and not tally.missing
        return done or time.monotonic() - self._last_news > PATIENCE

    def _look(self) -> None:
        tally = self._bed.tally
        tally.read()
        seen = (len(tally.taken), len(tally.confirmed), len(tally.finals))
        if seen[0] != self._seen[0]:
            self._last_taken = time.monotonic()
        if seen != self._seen:
            self._last_news = time.monotonic()
        self._seen = seen

    def _publish(self) -> None:
        """The next batch when half of the one before is taken, so that the queue is never empty."""
        total = self._schedule.messages
        size = -(-total // BATCHES)
        waiting = self._published - len(self._bed.tally.taken)
        if self._published < total and waiting <= size / 2 and not self._draining:
            self._publish_more(min(size, total - self._published))

    def _publish_more(self, count: int) -> None:
        self._bed.publish(self._published, count)
        self._published += count

    @property
    def _draining(self) -> bool:
        """The next fault wants an empty queue, and is due."""
        return bool(self._coming) and self._coming[0].fault.when_drained and self._due(self._coming[0])

    @property
    def _drained(self) -> bool:
        return self._published == len(self._bed.tally.told)

    def _due(self, step: Step) -> bool:
        stuck = not self._under_way and time.monotonic() - self._last_taken > STUCK
        return stuck or len(self._bed.tally.taken) >= step.at * self._schedule.messages

    def _begin_faults(self) -> None:
        while self._coming and self._due(self._coming[0]) and self._free_for(self._coming[0]):
            step = self._coming.pop(0)
            reason = step.fault.missing(self._bed)
            if reason is not None:
                self._result.skipped.append(f"{step.fault.name}: {reason}")
                continue
            if self._may_repeat(step):
                self._result.bound += WIDTH * SESSIONS
            step.fault.begin(self._bed)
            self._last_taken = self._last_news = time.monotonic()
            self._under_way.append((time.monotonic() + step.seconds, step))

    def _may_repeat(self, step: Step) -> bool:
        """A gateway that is to stop while the ledger's disk is full can't wait for ever for room."""
        forgetting = any(other.fault.hits == "ledger" for _, other in self._under_way)
        return step.fault.repeats or (step.fault.hits == "gateway" and forgetting)

    def _free_for(self, step: Step) -> bool:
        if step.fault.when_drained:
            return self._drained and not self._under_way
        return all(other.fault.hits != step.fault.hits for _, other in self._under_way)

    def _end_faults(self) -> None:
        for due, step in list(self._under_way):
            if time.monotonic() >= due:
                step.fault.end(self._bed)
                self._under_way.remove((due, step))
                self._last_taken = self._last_news = time.monotonic()

    # -- the invariants

    def _judge(self) -> None:
        result, tally = self._result, self._bed.tally
        result.ends, result.repeats = tally.ends, tally.repeats
        self._demand(len(tally.confirmed) == self._schedule.messages, f"{len(tally.confirmed)} confirmed")
        for what, numbers in (
            ("without a final event", tally.missing),
            ("with more than one final event", tally.twofold),
            ("never seen by the SMSC", tally.never_taken),
        ):
            self._demand(not numbers, f"{len(numbers)} messages {what}: {numbers[:10]}")
        self._demand(result.repeats <= result.bound, f"{result.repeats} repeats, {result.bound} allowed")
        self._demand(not any(self._bed.statuses), f"the gateway ended with {self._bed.statuses}")
        for name, log in self._bed.logs.items():
            lines = troubles(log)
            self._demand(not lines, f"{name}: {lines[:3]}")
        if result.problems:
            result.problems.append(f"left in the queues: {self._bed.depths()}")

    def _demand(self, true: bool, otherwise: str) -> None:
        if not true:
            self._result.problems.append(otherwise)


def run(schedule: Schedule, folder: Path, rabbit: RabbitNode) -> Result:
    """Run a schedule in an empty folder, where its logs and counts stay."""
    broker = rabbit if schedule.broker == "rabbitmq" else None
    bed = Bed(
        folder,
        broker,
        keep=schedule.keep,
        linked=schedule.linked,
        response_delay=schedule.response_delay,
    )
    try:
        return Run(schedule, bed)()
    finally:
        bed.close()
