"""One message through an idle gateway: the time from its publish to its submit_sm at the message centre.

Messages are published one by one by another process, 40 a second at moments that keep no step with any timer.
The time begins before the publish and ends when the message centre has read the submit_sm, so it holds the
broker's own share, and the producer's, too.
"""

from __future__ import annotations

from array import array

from benchmarks.bed import Bed, Feed
from benchmarks.drain import NAMES
from benchmarks.figures import percentile, table
from benchmarks.pages import Headline, Page

RATE = 40
COUNT = 400
WARM = 20
"""Messages that do not count."""

TARGETS = {0.5: 3.0, 0.99: 10.0}
"""Milliseconds."""


def latencies(bed: Bed, feed: Feed, count: int) -> list[float]:
    """In ms, of each message."""
    with bed.place() as place:
        place.configure(feed, width=10)
        place.gateway()
        path = place.folder / "times"
        if place.produce(count, "--rate", str(RATE), "--times", str(path)).wait():
            raise RuntimeError("the producer failed")
        arrived, published = place.submits(), array("q", path.read_bytes())
    return [(arrived[n] - published[n]) / 1e6 for n in range(WARM, count) if n in arrived]


def measure(bed: Bed) -> Page:
    count = max(100, round(COUNT * bed.pace))
    feeds: list[Feed] = [feed for feed in bed.feeds if feed != "source"]
    took = {feed: latencies(bed, feed, count) for feed in feeds}
    shares = (0.1, 0.5, 0.9, 0.99, 1.0)
    rows = [
        [NAMES[feed], str(len(found)), *(f"{percentile(found, share):.2f}" for share in shares)]
        for feed, found in took.items()
    ]
    head = ["fed by", "messages", "p10", "p50", "p90", "p99", "most"]
    text = f"{(__doc__ or '').strip()}\n\nMilliseconds.\n\n{table(head, rows)}"
    headlines = [_headline(feed, found) for feed, found in took.items()]
    return Page("idle", "Latency of an idle gateway", text, headlines)


def _headline(feed: Feed, took: list[float]) -> Headline:
    reached = {share: percentile(took, share) for share in TARGETS}
    return Headline(
        f"one message through an idle gateway, from {NAMES[feed]}: p50 / p99",
        " / ".join(f"{found:.1f}" for found in reached.values()) + " ms",
        " / ".join(f"{most:g}" for most in TARGETS.values()) + " ms",
        all(reached[share] < most for share, most in TARGETS.items()),
        readme=True,
    )
