"""A gateway under measurement and its peers, each a process: what feeds it, and the message centre.

Three things feed a gateway. `source`: a broker in C that costs nothing, so that the gateway is the only busy
process. `rabbitmq`: a node of our own. `spool`: the embedded broker, filled by another process. The message
centre is `sink`, in C too. Rates come from the peers' own lines (by CLOCK_MONOTONIC), CPU from /proc.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

from processes import BIN, Gateway, Process, free_port
from rabbitmq import RabbitNode

from benchmarks.figures import Figure, figure

Feed = Literal["source", "rabbitmq", "spool"]

WINDOWS = 5
WARM = 0.7
"""Seconds from the first message to the first window."""

TICK = 10
"""Milliseconds between two lines of a peer."""

UP_SECONDS = 30.0


class Line(NamedTuple):
    """What a peer says each tick: messages so far, and when the last one was; times in seconds.

    `also` is what a source has had settled, and a sink had answered of its receipts. A sink's `waited` is how
    long all its `responses` so far took together.
    """

    now: float
    count: int
    last: float
    also: int
    responses: int = 0
    waited: float = 0.0


class Spent(NamedTuple):
    """CPU seconds of a process so far, those of its first thread, and those of its others."""

    now: float
    reactor: float
    others: float


class Run(NamedTuple):
    """What was measured of one gateway: messages a second, and CPU microseconds a message.

    `others` is the part of `cpu` that was spent in other threads than the reactor's. `delay` is how long the
    message centre took for a response, in seconds.
    """

    rate: Figure
    cpu: Figure
    others: Figure
    delay: float


class Peer(Process):
    """One of the programs in C, on a port of its own."""

    def __init__(self, folder: Path, program: Path, *options: str, port: int | None = None) -> None:
        """`port` is where a client finds its server; others listen on one of their own."""
        self.port = free_port() if port is None else port
        log = folder / f"{program.name}.out"
        super().__init__(log, str(program), "-t", str(TICK), *options, str(self.port))
        _until(lambda: bool(self.lines()), f"{program.name} runs")

    def lines(self) -> list[Line]:
        text = self.log.read_text()
        found = [line.split() for line in text[: text.rfind("\n") + 1].splitlines()]
        return [
            Line(int(now) / 1e6, int(count), int(last) / 1e6, int(also), int(responses), int(waited) / 1e6)
            for now, count, last, also, responses, waited in found
        ]


class Bed:
    """Starts what one measurement needs, in a folder of its own, and ends it."""

    def __init__(
        self, folder: Path, programs: dict[str, Path], node: RabbitNode | None, pace: float, plots: Path
    ) -> None:
        """`pace` is the share of the usual time that each measurement gets; `plots` is where theirs go."""
        self.folder = folder
        self.plots = plots
        self.programs = programs
        self.node = node
        self.pace = pace
        self._number = 0

    @property
    def feeds(self) -> list[Feed]:
        return ["source", "rabbitmq", "spool"] if self.node else ["source", "spool"]

    @contextmanager
    def place(self) -> Iterator[Place]:
        self._number += 1
        folder = self.folder / f"{self._number:03}"
        folder.mkdir()
        place = Place(folder, self)
        try:
            yield place
        finally:
            place.close()


class Place:
    """One measurement: at most one gateway, one message centre and one feed."""

    def __init__(self, folder: Path, bed: Bed) -> None:
        self.folder = folder
        self.bed = bed
        self.prefix = f"b{secrets.token_hex(4)}"
        self.sink: Peer | None = None
        self.source: Peer | None = None
        self.config = folder / "gateway.toml"
        self._started: list[Process] = []

    def configure(
        self,
        feed: Feed,
        *,
        width: int,
        delay: float = 0.0,
        receipts: bool = False,
        null: bool = False,
        scattered: bool = False,
    ) -> None:
        """Start the peers and write the gateway's configuration. `delay` is until a response, in seconds.

        `scattered` ids of peers in C look as if drawn at random; others count up.
        """
        log = str(self.folder / "submits")
        both = [*(["-r"] if receipts else []), *(["-x"] if scattered else [])]
        if feed == "source":
            self.source = self.start(Peer(self.folder, self.bed.programs["source"], *both))
        if not null:
            more = ["-d", str(round(delay * 1e6)), "-l", log, *both]
            self.sink = self.start(Peer(self.folder, self.bed.programs["sink"], *more))
        channel = (
            'type = "null"'
            if null
            else f'type = "smpp"\nendpoint = "tcp:127.0.0.1:{self.sink.port}"\nsystem_id = "acme"'  # type: ignore[union-attr]
        )
        self.config.write_text(
            f'state_dir = "state"\nstop_timeout = "2s"\n[broker]\nurl = {json.dumps(self._url(feed))}\n'
            f'prefix = "{self.prefix}"\nfeeds = false\n[ledger]\nsynchronous = "normal"\n'
            f"[channels.acme]\n{channel}\nwidth = {width}\n"
        )

    def _url(self, feed: Feed) -> str:
        if feed == "spool":
            return f"spool://{self.folder}/state/spool.db"
        if feed == "source":
            assert self.source is not None  # noqa: S101
            return f"amqp://guest:guest@127.0.0.1:{self.source.port}/%2F"
        assert self.bed.node is not None  # noqa: S101
        return self.bed.node.url

    def produce(self, count: int, *options: str) -> subprocess.Popen[bytes]:
        """A producer that publishes meanwhile; whoever asks for it waits for it."""
        (self.folder / "state").mkdir(exist_ok=True)
        command = [sys.executable, str(Path(__file__).with_name("produce.py")), str(self.config), str(count)]
        return subprocess.Popen([*command, *options], stdin=subprocess.DEVNULL)

    def fill(self, count: int, *options: str) -> None:
        if self.produce(count, *options).wait():
            raise RuntimeError("the producer failed")

    def gateway(self) -> Gateway:
        gateway = self.start(Gateway(self.folder, self.config.read_text()))
        _until(lambda: " is up" in gateway.output or self.sink is None, "the gateway is up")
        return gateway

    def measure(self, gateway: Process, seconds: float, supply: int | None = None) -> Run:
        """`WINDOWS` windows of so many seconds. Where `supply` messages run out before, shorter ones."""
        counter = self.sink or self.source
        assert counter is not None  # noqa: S101
        _until(lambda: counter.lines()[-1].count > 0, "the first message")
        began = time.monotonic()
        end = began + WARM + WINDOWS * seconds + 0.1
        spent = [cpu(gateway.popen.pid)]
        while (now := time.monotonic()) < end and (supply is None or counter.lines()[-1].count < supply):
            time.sleep(min(0.1, end - now))
            spent.append(cpu(gateway.popen.pid))
        lines = counter.lines()
        last = min(lines[-1].last, spent[-1].now)
        first = min(began + WARM, (began + last) / 2)
        width = min(seconds, (last - first) / WINDOWS)
        return _run([first + width * each for each in range(WINDOWS + 1)], lines, spent)

    def submits(self) -> dict[int, int]:
        """When each message came to the message centre, in ns of CLOCK_MONOTONIC, by its number."""
        rows = array("q", (self.folder / "submits").read_bytes())
        return dict(zip(rows[1::2], rows[::2], strict=True))

    def close(self) -> None:
        for process in reversed(self._started):
            process.close()

    def start(self, process: Process) -> Process:
        self._started.append(process)
        return process


def _run(edges: list[float], lines: list[Line], spent: list[Spent]) -> Run:
    rates, cpus, others = [], [], []
    for a, b in pairwise(edges):
        before, after = (
            lines[max(0, bisect_right(lines, at, key=lambda line: line.now) - 1)] for at in (a, b)
        )
        count = after.count - before.count
        if not count:
            continue
        rates.append(count / (after.last - before.last))
        reactor, other = (_between(spent, a, b, field) for field in ("reactor", "others"))
        scale = 1e6 / (rates[-1] * (b - a))
        cpus.append((reactor + other) * scale)
        others.append(other * scale)
    if not rates:
        raise RuntimeError("no message in any window")
    end = lines[-1]
    return Run(
        figure(rates), figure(cpus), figure(others), end.waited / end.responses if end.responses else 0.0
    )


def _between(spent: list[Spent], a: float, b: float, field: str) -> float:
    """CPU seconds between two moments, straight lines drawn between the samples."""

    def at(moment: float) -> float:
        after = min(max(1, bisect_right(spent, moment, key=lambda each: each.now)), len(spent) - 1)
        left, right = spent[after - 1], spent[after]
        share = (moment - left.now) / max(right.now - left.now, 1e-9)
        low, high = getattr(left, field), getattr(right, field)
        return float(low + (high - low) * share)

    return at(b) - at(a)


def cpu(pid: int) -> Spent:
    """From /proc/PID/task/*/stat: a gateway's first thread is its reactor, the others wait for SQLite."""
    ticks = os.sysconf("SC_CLK_TCK")
    by_thread: dict[int, float] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        by_thread[int(task.name)] = (int(fields[11]) + int(fields[12])) / ticks
    reactor = by_thread.pop(pid, 0.0)
    return Spent(time.monotonic(), reactor, sum(by_thread.values()))


def _until(true: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + UP_SECONDS
    while not true():
        if time.monotonic() > give_up:
            raise RuntimeError(f"not within {UP_SECONDS:g} s: {what}")
        time.sleep(0.02)


__all__ = ["BIN", "Bed", "Feed", "Place", "Run"]
