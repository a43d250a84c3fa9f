"""Throughput and latency against offered load, to twice what the channel can carry.

A well-conditioned service (Welsh et al.) carries as much under overload as at its best, and its latency grows
with the backlog and nothing else. The channel is 20 wide at a message centre that answers in 20 ms, so it
saturates at 1,000 messages a second by its width, not by the machine. Load is offered for some seconds, then
what has piled up drains. Latency is from a message's publish to its submit_sm at the message centre. The
dashed line is the mean latency of a queue by arithmetic: what is offered over the best that was carried, less
one, times half of the time for which it is offered.
"""

from __future__ import annotations

import time
from array import array
from itertools import pairwise
from typing import NamedTuple

from benchmarks.bed import Bed, Feed
from benchmarks.drain import NAMES
from benchmarks.figures import Figure, figure, percentile, table
from benchmarks.pages import Headline, Page
from benchmarks.plots import Panel, plot

WIDTH = 20
DELAY = 0.02
SATURATION = WIDTH / DELAY
LOADS = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)
SECONDS = 4.0
WINDOWS = 5
PATIENCE = 30.0


class Point(NamedTuple):
    """Messages a second while load was offered; latencies in ms."""

    throughput: Figure
    mean: float
    p50: float
    p99: float


def offered(bed: Bed, feed: Feed, load: float, seconds: float) -> Point:
    count = round(load * SATURATION * seconds)
    times = "times"
    with bed.place() as place:
        place.configure(feed, width=WIDTH, delay=DELAY)
        place.gateway()
        path = place.folder / times
        producer = place.produce(count, "--rate", str(load * SATURATION), "--times", str(path))
        if producer.wait():
            raise RuntimeError("the producer failed")
        give_up = time.monotonic() + PATIENCE + count / SATURATION
        while len(arrived := place.submits()) < count and time.monotonic() < give_up:
            time.sleep(0.1)
        published = array("q", path.read_bytes())
    took = [(arrived[number] - published[number]) / 1e6 for number in range(count) if number in arrived]
    if len(took) < count:
        raise RuntimeError(f"{count - len(took)} of {count} messages never came to the message centre")
    return Point(
        _throughput(sorted(arrived.values()), published[0], seconds),
        sum(took) / len(took),
        percentile(took, 0.5),
        percentile(took, 0.99),
    )


def _throughput(arrivals: list[int], began: int, seconds: float) -> Figure:
    """Of windows within the time in which load was offered; its first tenth is for warming up."""
    edges = [began + int(seconds * 1e9 * (0.1 + 0.9 * each / WINDOWS)) for each in range(WINDOWS + 1)]
    inside = [sum(a <= at < b for at in arrivals) for a, b in pairwise(edges)]
    return figure(count / (seconds * 0.9 / WINDOWS) for count in inside)


def measure(bed: Bed) -> Page:
    seconds = max(1.0, SECONDS * bed.pace)
    feeds: list[Feed] = [feed for feed in bed.feeds if feed != "source"]
    points = {feed: {load: offered(bed, feed, load, seconds) for load in LOADS} for feed in feeds}
    best = max(at.throughput.median for curve in points.values() for at in curve.values())
    plot(
        bed.plots / "load.svg",
        [
            Panel(
                "offered load, of saturation",
                "messages a second while it is offered",
                {
                    NAMES[feed]: [(load, at.throughput.median) for load, at in points[feed].items()]
                    for feed in feeds
                },
                {
                    "offered, to saturation": [
                        (LOADS[0], LOADS[0] * SATURATION),
                        (1, SATURATION),
                        (2, SATURATION),
                    ]
                },
            ),
            Panel(
                "offered load, of saturation",
                "mean latency, s",
                {
                    NAMES[feed]: [(load, at.mean / 1000) for load, at in points[feed].items()]
                    for feed in feeds
                },
                {"by arithmetic": [(load, _arithmetic(load * SATURATION / best, seconds)) for load in LOADS]},
            ),
        ],
    )
    parts = [(__doc__ or "").strip(), "![throughput and latency against offered load](load.svg)"]
    for feed in feeds:
        head = ["load", "offered /s", "carried /s", "mean ms", "p50 ms", "p99 ms"]
        rows = [
            [
                f"{load:g}", f"{load * SATURATION:,.0f}", at.throughput.told(),
                f"{at.mean:,.1f}", f"{at.p50:,.1f}", f"{at.p99:,.1f}",
            ]
            for load, at in points[feed].items()
        ]  # fmt: skip
        parts.append(f"## Fed by {NAMES[feed]}, for {seconds:g} s\n\n{table(head, rows)}")
    return Page("load", "Throughput and latency against offered load", "\n\n".join(parts), _headlines(points))


def _arithmetic(load: float, seconds: float) -> float:
    """The mean latency in seconds where so much is offered for so long, as shares of what can be carried."""
    return max(0.0, load - 1) * seconds / 2


def _headlines(points: dict[Feed, dict[float, Point]]) -> list[Headline]:
    found = []
    for feed, curve in points.items():
        kept = curve[2.0].throughput.median / max(at.throughput.median for at in curve.values())
        found.append(
            Headline(
                f"throughput at twice the load that saturates the channel, from {NAMES[feed]}",
                f"{kept:.1%} of the best",
                readme=feed == "rabbitmq",
            )
        )
        found.append(
            Headline(
                f"latency p50 / p99 at half load, from {NAMES[feed]}",
                f"{curve[0.5].p50:.1f} / {curve[0.5].p99:.1f} ms",
            )
        )
    return found
