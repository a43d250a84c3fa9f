"""What a message costs the gateway, stage by stage: CPU of its process, and messages a second.

*Client-bound*: broker and message centre are small C programs that cost next to nothing
(`benchmarks/native/`), so that the gateway is the only busy process and its rate is what one core gives. The
ledger is written in each stage (one row a message); SQLite runs on a thread of its own, which has a column.
With receipts a message ends with its receipt and has two events. RabbitMQ and the spool are filled before.

*The least client* is `benchmarks/native/client.c`, which takes a message from RabbitMQ, publishes one event
for it and acknowledges it when that is confirmed, each by itself, and does nothing else: what RabbitMQ gives
a client that asks for these operations, on the cores that they share.
"""

from __future__ import annotations

from typing import NamedTuple

from benchmarks import native
from benchmarks.bed import WARM, WINDOWS, Bed, Feed, Peer, Run
from benchmarks.figures import table
from benchmarks.pages import Headline, Page
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


LEAST_CLIENT = "RabbitMQ and the least client"
SHARE = 0.8
"""Of the rate of the least client."""


def least_client(bed: Bed) -> Run | None:
    """The same messages from the same node; None where it can't be built or there is no RabbitMQ."""
    program = native.client(bed.folder)
    if program is None or bed.node is None:
        return None
    seconds = SECONDS * bed.pace
    with bed.place() as place:
        place.configure("rabbitmq", width=WIDTH, null=True)
        supply = round(MOST * (WARM + WINDOWS * seconds))
        place.fill(supply)
        queue, exchange = f"{place.prefix}.submit.acme", f"{place.prefix}.events"
        options = ["-w", str(WIDTH), queue, exchange]
        place.source = client = place.start(Peer(place.folder, program, *options, port=bed.node.port))
        return place.measure(client, seconds, supply)


def measure(bed: Bed) -> Page:
    least = least_client(bed)
    runs = {stage: spent(bed, stage) for stage in STAGES if stage.feed in bed.feeds}
    bars(
        bed.plots / "cost.svg",
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
    stages = {stage.name: run for stage, run in runs.items()} | ({LEAST_CLIENT: least} if least else {})
    rows = [
        [name, run.rate.told(), run.cpu.told(), f"{run.others.median:,.0f}"] for name, run in stages.items()
    ]
    parts = [
        (__doc__ or "").strip(),
        f'Width {WIDTH}, a message centre that answers at once, `synchronous = "normal"` in the ledger.',
        "![CPU by stage](cost.svg)",
        table(head, rows),
    ]
    return Page("cost", "CPU per message, by stage", "\n\n".join(parts), _headlines(runs, least))


def _headlines(runs: dict[Stage, Run], least: Run | None) -> list[Headline]:
    found = [
        Headline(
            stage.name + (", client-bound" if stage.feed == "source" else ""),
            f"{run.rate.median:,.0f} a second, {run.cpu.median:,.0f} us CPU each",
            f"{stage.target:,}" if stage.target else "",
            run.rate.median >= stage.target if stage.target else None,
            readme=True,
        )
        for stage, run in runs.items()
    ]
    ours = next((run for stage, run in runs.items() if stage.feed == "rabbitmq" and not stage.receipts), None)
    if least is not None and ours is not None:
        share = ours.rate.median / least.rate.median
        told = f"{ours.rate.median:,.0f} a second, {share:.0%} of {least.rate.median:,.0f}"
        what = "RabbitMQ in, SMPP, event out, against a client in C that sends nothing"
        found.append(Headline(what, told, f"{SHARE:.0%}", share >= SHARE))
    return found
