"""The message centre of every run: `native/sink.c`, so that no program waits for it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.peers.load import Load
from benchmarks.peers.program import Program, Unfit

TICK = 5
"""Milliseconds between two lines."""

STALLED = 30.0
"""Seconds without a message after which a run is given up. Bearerbox takes some to dial again."""


class Line(NamedTuple):
    """Microseconds of CLOCK_MONOTONIC, and counts so far."""

    now: int
    submits: int
    last_submit: int
    receipts: int
    """Those that were answered."""
    responses: int

    def done(self, load: Load) -> int:
        """Messages of which all is told."""
        return self.receipts if load.receipts else self.responses


def rate(lines: list[Line], load: Load) -> float:
    """Messages a second, from the first that a line tells of to the last submit or receipt answered."""
    first = next(line for line in lines if line.submits)
    last = next(line for line in lines if line.done(load) >= load.count)
    end = last.now if load.receipts else last.last_submit
    return (load.count - first.submits) / (end - first.last_submit) * 1e6


class Sink:
    """Answers after `delay` milliseconds, with a receipt behind it where one was asked for."""

    def __init__(self, program: Path, log: Path, port: int, *, delay: int, load: Load) -> None:
        self._load = load
        receipts = ["-r"] if load.receipts else []
        self._program = Program(log, program, "-d", delay * 1000, *receipts, "-t", TICK, port)

    def wait(self) -> float:
        """Until all messages are answered, and all receipts by the program; messages a second."""
        done, since = 0, time.monotonic()
        while True:
            lines = self._lines()
            now = lines[-1].done(self._load) if lines else 0
            if now >= self._load.count:
                return rate(lines, self._load)
            if now > done:
                done, since = now, time.monotonic()
            if time.monotonic() - since > STALLED:
                raise Unfit(f"stood still at {now} of {self._load.count} messages")
            time.sleep(0.1)

    def _lines(self) -> list[Line]:
        text = self._program.output
        rows = text[: text.rfind("\n") + 1].splitlines()
        return [Line(*(int(number) for number in row.split()[:5])) for row in rows]

    def close(self) -> None:
        self._program.end()
