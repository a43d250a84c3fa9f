"""What a message costs the gateway, stage by stage: CPU of its process, and messages a second.

*Client-bound*: broker and message centre are small C programs that cost next to nothing
(`benchmarks/native/`), so that the gateway is the only busy process and its rate is what one core gives. The
ledger is written in each stage (one row a message); SQLite runs on a thread of its own, which has a column.
With receipts a message ends with its receipt and has two events. RabbitMQ and the spool are filled before.
"""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.bed import WARM, WINDOWS, Bed, Feed, Run
from benchmarks.figures import table
from benchmarks.pages import FOLDER, Headline, Page
from benchmarks.plots import bars

WIDTH = 500
SECONDS = 1.0
MOST = 20_000


class Stage(NamedTuple):
    """`target` is in messages a second."""

    name: str
    feed: Feed
    null: bool = False
    receipts: bool = False
    target: int | None = None


STAGES = (
    Stage("AMQP in, nothing sent, event out", "source", null=True),
    Stage("AMQP in, SMPP, event out", "source", target=25_000),
    Stage("AMQP in, SMPP, receipts, two events out", "source", receipts=True, target=12_000),
    Stage("spool in, SMPP, event into the spool", "spool", target=20_000),
    Stage("spool in, SMPP, receipts, two events into the spool", "spool", receipts=True),
    Stage("RabbitMQ in, SMPP, event out", "rabbitmq", target=12_000),
    Stage("RabbitMQ in, SMPP, receipts, two events out", "rabbitmq", receipts=True),
)


def spent(bed: Bed, stage: Stage) -> Run:
    seconds = SECONDS * bed.pace
    with bed.place() as place:
        place.configure(stage.feed, width=WIDTH, receipts=stage.receipts, null=stage.null)
        supply = None
        if stage.feed != "source":
            supply = round(MOST * (WARM + WINDOWS * seconds))
            place.fill(supply, *(["--receipt", "final"] if stage.receipts else []))
        return place.measure(place.gateway(), seconds, supply)


def measure(bed: Bed) -> Page:
    runs = {stage: spent(bed, stage) for stage in STAGES if stage.feed in bed.feeds}
    bars(
        FOLDER / "cost.svg",
        "CPU microseconds a message",
        {
            stage.name: {
                "reactor": run.cpu.median - run.others.median,
                "SQLite's threads": run.others.median,
            }
            for stage, run in runs.items()
        },
    )
    head = ["stage", "messages a second", "CPU us a message", "of it SQLite's threads"]
    rows = [
        [stage.name, run.rate.told(), run.cpu.told(), f"{run.others.median:,.0f}"]
        for stage, run in runs.items()
    ]
    parts = [
        (__doc__ or "").strip(),
        f'Width {WIDTH}, a message centre that answers at once, `synchronous = "normal"` in the ledger.',
        "![CPU by stage](cost.svg)",
        table(head, rows),
    ]
    return Page("cost", "CPU per message, by stage", "\n\n".join(parts), _headlines(runs))


def _headlines(runs: dict[Stage, Run]) -> list[Headline]:
    return [
        Headline(
            stage.name + (", client-bound" if stage.feed == "source" else ""),
            f"{run.rate.median:,.0f} a second, {run.cpu.median:,.0f} us CPU each",
            f"{stage.target:,}" if stage.target else "",
            run.rate.median >= stage.target if stage.target else None,
            readme=True,
        )
        for stage, run in runs.items()
    ]
