"""The reset command: how often it runs, and what becomes of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from smsgw.channel.reset import FIRST_PAUSE, LONGEST_PAUSE, Reset


class Bench:
    def __init__(self, *command: str) -> None:
        self.clock = Clock()
        self.ran: list[Sequence[str]] = []
        self.reset = Reset("sim1", command, self._run, self.clock)

    def _run(self, command: Sequence[str]) -> Deferred[str]:
        self.ran.append(command)
        return succeed("is done")

    def call(self) -> bool:
        due = self.reset.due
        if due:
            Deferred.fromCoroutine(self.reset())
        return due


def test_without_a_command_it_is_never_due() -> None:
    assert not Bench().reset.due


def test_each_run_in_vain_doubles_the_pause_up_to_a_limit() -> None:
    bench = Bench("off", "and", "on")
    pauses, last = [], 0.0
    for _ in range(100_000):
        if bench.call():
            pauses.append(bench.clock.seconds() - last)
            last = bench.clock.seconds()
        bench.clock.advance(30)
    assert pauses[:5] == [0, FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, 8 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    assert set(map(tuple, bench.ran)) == {("off", "and", "on")}


def test_a_modem_that_was_ready_begins_anew_but_not_at_once() -> None:
    bench = Bench("off")
    for _ in range(5):
        bench.call()
        bench.clock.advance(LONGEST_PAUSE)
    bench.reset.forget()
    assert bench.call()
    assert not bench.call()
    bench.clock.advance(FIRST_PAUSE)
    assert bench.call()


RUN = """
import json, sys
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from smsgw.channel import reset

async def main(reactor):
    for command in json.loads(sys.argv[1]):
        reset.TIMEOUT = 0.5 if "sleep" in command[-1] else 60.0
        print(await reset.runner(reactor)(command))

react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
"""


@pytest.mark.integration
def test_what_becomes_of_commands() -> None:
    """In a process of its own: only there does the reactor hear of children that end."""
    python = [sys.executable, "-c"]
    commands = [
        [*python, "print('x' * 100000)"],
        [*python, "raise SystemExit(3)"],
        ["/nowhere/at/all"],
        [*python, "import time; time.sleep(60)"],
    ]
    done = subprocess.run(
        [*python, RUN, json.dumps(commands)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines() == [
        "is done",
        "failed with status 3",
        "failed with status 1",
        "took longer than 0.5 s and was killed",
    ]
