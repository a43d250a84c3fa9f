"""How fast a full queue drains, against the channel's width and the message centre's delay.

A channel of width w at a message centre that answers in d seconds can carry w / d messages a second, and no
more. How much of that is reached says what the gateway adds: the answer has to come in, the message has to be
settled at the broker and the next one to be fetched, and all that while the place in the width is taken. The
delay is the one that the message centre really had, some hundredths of a millisecond longer. *Busy* is the
gateway's CPU, of one core.
"""

from __future__ import annotations

from benchmarks.bed import WARM, WINDOWS, Bed, Feed, Run
from benchmarks.figures import table
from benchmarks.pages import Headline, Page
from benchmarks.plots import Panel, plot

WIDTHS = (1, 10, 100, 500)
DELAYS = (0.0, 0.02, 0.1)
SECONDS = 0.8
TARGET = 0.98
MOST = {1: 3_000, 10: 8_000, 100: 15_000, 500: 20_000}
"""Messages a second that no machine is expected to exceed: so many are put into a queue beforehand."""

NAMES = {"source": "a broker that costs nothing", "rabbitmq": "RabbitMQ", "spool": "the spool"}

Runs = dict[tuple[Feed, int, float], Run]


def drained(bed: Bed, feed: Feed, width: int, delay: float, seconds: float) -> Run:
    with bed.place() as place:
        place.configure(feed, width=width, delay=delay)
        supply = None
        if feed != "source":
            fastest = min(MOST[width], width / delay) if delay else MOST[width]
            supply = round(fastest * (WARM + WINDOWS * seconds + 1)) + width
            place.fill(supply)
        return place.measure(place.gateway(), seconds, supply)


def measure(bed: Bed) -> Page:
    runs: Runs = {}
    for feed in bed.feeds:
        for delay in DELAYS if feed == "source" else DELAYS[:2]:
            for width in WIDTHS:
                runs[feed, width, delay] = drained(bed, feed, width, delay, SECONDS * bed.pace)
    plot(bed.plots / "drain.svg", [_panel(runs)])
    return Page("drain", "Drain rate against width and delay", _text(bed, runs), _headlines(bed, runs))


def share(runs: Runs, feed: Feed, width: int, delay: float) -> float:
    """Of width / delay, by the delay as it was: the message centre's timer is a little late, too."""
    run = runs[feed, width, delay]
    return run.rate.median * run.delay / width


def _busy(run: Run) -> float:
    """The gateway's CPU as a share of one core."""
    return run.rate.median * run.cpu.median / 1e6


def _panel(runs: Runs) -> Panel:
    lines = {
        f"{NAMES[feed]}, {delay * 1000:.0f} ms": [
            (width, runs[feed, width, delay].rate.median) for width in WIDTHS
        ]
        for feed, delay in dict.fromkeys((feed, delay) for feed, _, delay in runs)
    }
    ideals = {f"width / {d * 1000:.0f} ms": [(w, w / d) for w in (WIDTHS[0], WIDTHS[-1])] for d in DELAYS[1:]}
    return Panel("width", "messages a second", lines, ideals, log=True)


def _text(bed: Bed, runs: Runs) -> str:
    parts = [(__doc__ or "").strip(), "![drain rate against width](drain.svg)"]
    for feed in bed.feeds:
        delays = [delay for delay in DELAYS if (feed, WIDTHS[0], delay) in runs]
        head = ["width", *(f"answer in {delay * 1000:.0f} ms" for delay in delays)]
        head += [f"of width / {delay * 1000:.0f} ms" for delay in delays if delay]
        head += [f"busy at {delay * 1000:.0f} ms" for delay in delays if delay]
        rows = [
            [
                str(width),
                *(runs[feed, width, delay].rate.told() for delay in delays),
                *(f"{share(runs, feed, width, delay):.1%}" for delay in delays if delay),
                *(f"{_busy(runs[feed, width, delay]):.0%}" for delay in delays if delay),
            ]
            for width in WIDTHS
        ]
        parts.append(f"## Fed by {NAMES[feed]}\n\nMessages a second.\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def _headlines(bed: Bed, runs: Runs) -> list[Headline]:
    found = []
    for feed in bed.feeds:
        for width in WIDTHS:
            run, reached = runs[feed, width, 0.02], share(runs, feed, width, 0.02)
            found.append(
                Headline(
                    f"width {width}, an SMSC that answers in 20 ms, from {NAMES[feed]}",
                    f"{run.rate.median:,.0f} a second, {reached:.1%} of width / delay",
                    f"{TARGET:.0%}" if feed == "source" else "",
                    reached >= TARGET if feed == "source" else None,
                    readme=width == 100 and feed != "source",
                )
            )
    return found
