"""Who takes part in what, and one run of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from processes import free_port
from rabbitmq import RabbitNode

from benchmarks.peers.gateway import Gateway
from benchmarks.peers.install import JASMIN_PYTHON
from benchmarks.peers.jasmin import Jasmin
from benchmarks.peers.kannel import Kannel
from benchmarks.peers.load import Load
from benchmarks.peers.program import Peer, cpu_seconds
from benchmarks.peers.sink import Sink

NARROW, WIDE = 100, 500
"""Messages that may be in flight; only with many is a store what limits, and not the window."""


class Bed(NamedTuple):
    """`node` runs, where there is a RabbitMQ. `sink` is the message centre's program."""

    folder: Path
    sink: Path
    node: RabbitNode | None


class Scenario(NamedTuple):
    """`delay` is the message centre's, in milliseconds; `names` are those who take part.

    `times` is how many times the usual number of messages they get: a drain of a second is mostly its start.
    """

    key: str
    title: str
    names: tuple[str, ...]
    delay: int = 0
    receipts: bool = False
    window: int = NARROW
    times: int = 1


class Result(NamedTuple):
    """Messages a second, and microseconds of CPU a message by process."""

    rate: float
    cpu: dict[str, float]


SCENARIOS = (
    Scenario(
        "at once",
        "A message centre that answers at once",
        ("Kannel, file", "Kannel, spool", "smsgw, spool", "smsgw, RabbitMQ", "Jasmin"),
    ),
    Scenario(
        "wide",
        f"A message centre that answers at once, a window of {WIDE}",
        ("Kannel, file", "Kannel, spool", "smsgw, spool"),
        window=WIDE,
        times=3,
    ),
    Scenario(
        "20 ms",
        "A message centre that answers in 20 ms",
        ("Kannel, file", "smsgw, spool", "smsgw, RabbitMQ", "Jasmin"),
        delay=20,
    ),
    Scenario(
        "receipts",
        "A message centre that answers at once and sends receipts",
        ("Kannel, file", "smsgw, spool", "smsgw, RabbitMQ"),
        receipts=True,
    ),
)

FEWER = {("at once", "Jasmin"): 10, ("20 ms", "Jasmin"): 100}
"""Gets one message of so many: it would take minutes."""


def contender(name: str, folder: Path, port: int, load: Load, node: RabbitNode | None) -> Peer:
    if node is None and name in ("smsgw, RabbitMQ", "Jasmin"):
        raise ValueError(f"{name} without a RabbitMQ")
    makers: dict[str, Callable[[], Peer]] = {
        "Kannel, file": lambda: Kannel(folder, port, load, "file"),
        "Kannel, spool": lambda: Kannel(folder, port, load, "spool"),
        "smsgw, spool": lambda: Gateway(folder, port, load, None),
        "smsgw, RabbitMQ": lambda: Gateway(folder, port, load, node),
        "Jasmin": lambda: Jasmin(folder, port, load, node, JASMIN_PYTHON),  # type: ignore[arg-type]
    }
    return makers[name]()


def run(bed: Bed, scenario: Scenario, name: str, number: int, count: int) -> Result:
    """Fill while no message centre is there, then start one, until it has seen all."""
    folder = bed.folder / f"{scenario.key}-{name}-{number}".replace(",", "").replace(" ", "-")
    folder.mkdir()
    count = count * scenario.times // FEWER.get((scenario.key, name), 1)
    load = Load(count=count, window=scenario.window, receipts=scenario.receipts)
    port = free_port()
    peer = contender(name, folder, port, load, bed.node)
    sink: Sink | None = None
    try:
        peer.open()
        peer.fill()
        time.sleep(0.5)  # what the fill left to do is not the drain's
        before = {what: cpu_seconds(pid) for what, pid in peer.pids.items()}
        sink = Sink(bed.sink, folder / "sink.out", port, delay=scenario.delay, load=load)
        peer.go()
        rate = sink.wait()
        spent = {what: cpu_seconds(pid) - before[what] for what, pid in peer.pids.items()}
        peer.check()
    finally:
        peer.close()
        if sink is not None:
            sink.close()
    return Result(rate, {what: seconds / load.count * 1e6 for what, seconds in spent.items()})
