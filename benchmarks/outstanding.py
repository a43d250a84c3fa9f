"""What a ledger that holds a million messages without their receipts costs, against one that is empty.

The work is that of the stage with receipts in [cost](cost.md): each message is remembered, found again by its
receipt, and told twice. All ids, the producer's and the message centre's, look as if drawn at random, so that
each row goes anywhere in its indexes: the hardest that can be asked of them. The ledger is filled before, by
its own code; a gateway with an empty one and one with this take turns.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred, execute

from benchmarks.bed import Bed, Run
from benchmarks.figures import Figure, figure, table
from benchmarks.pages import Headline, Page
from benchmarks.plots import bars
from smsgw.folding import Record
from smsgw.ledger.base import Acceptance, Key, Owed
from smsgw.ledger.sqlite import SCHEMA, SqliteLedger
from smsgw.sqlite import Database

T = TypeVar("T")

MESSAGES = 1_000_000
GROUP = 1000
WIDTH = 500
SECONDS = 0.6
ROUNDS = 3
TARGET = 0.8


def measure(bed: Bed) -> Page:
    full = bed.folder / "outstanding.db"
    messages = round(MESSAGES * bed.pace)
    fill(full, messages)
    empty_runs, full_runs = [], []
    for _ in range(ROUNDS):
        empty_runs.append(_run(bed, None))
        full_runs.append(_run(bed, full))
    return _page(messages, full.stat().st_size, empty_runs, full_runs, bed.plots / "outstanding.svg")


def fill(path: Path, messages: int) -> None:
    """A ledger with so many messages that wait for a receipt, their events told."""
    drawn = random.Random(1)
    now = time.time()
    ledger = SqliteLedger(Database(path, SCHEMA, synchronous="NORMAL", run_in_thread=_at_once))
    ledger.start()
    for _ in range(0, messages, GROUP):
        remembered = ledger.remember([_acceptance(drawn, now) for _ in range(GROUP)])
        remembered.addCallback(_clear, ledger)
    ledger.stop()


def _clear(owed: Sequence[Sequence[Owed]], ledger: SqliteLedger) -> Deferred[None]:
    return ledger.clear([each.number for events in owed for each in events])


def _acceptance(drawn: random.Random, now: float) -> Acceptance:
    smsc_id = str(drawn.randrange(10**11, 10**12))
    record = Record(
        id=f"m-{drawn.randrange(10**12):012}",
        to=f"+4670{drawn.randrange(10**7):07}",
        channel="acme",
        parts=1,
        receipt="final",
        awaits=1,
        attempt=1,
        accepted=now,
        smsc_id=smsc_id,
    )
    return Acceptance("acme", record, [Key(1, smsc_id, smsc_id)])


def _at_once(function: Callable[[], T]) -> Deferred[T]:
    return execute(function)


def _run(bed: Bed, ledger: Path | None) -> Run:
    with bed.place() as place:
        place.configure("source", width=WIDTH, receipts=True, scattered=True)
        if ledger is not None:
            (place.folder / "state").mkdir()
            shutil.copy(ledger, place.folder / "state" / "ledger.db")
        return place.measure(place.gateway(), SECONDS * bed.pace)


def _page(messages: int, octets: int, empty: list[Run], full: list[Run], plot: Path) -> Page:
    names = ["an empty one", f"{messages:,} outstanding"]
    runs = dict(zip(names, [empty, full], strict=True))
    rates = {name: _medians([run.rate for run in found]) for name, found in runs.items()}
    cpus = {name: _medians([run.cpu for run in found]) for name, found in runs.items()}
    others = {name: _medians([run.others for run in found]) for name, found in runs.items()}
    bars(
        plot,
        "CPU microseconds a message",
        {
            name: {
                "reactor": cpus[name].median - others[name].median,
                "SQLite's threads": others[name].median,
            }
            for name in names
        },
    )
    head = ["ledger", "messages a second", "CPU us a message", "of it SQLite's threads"]
    rows = [[n, rates[n].told(), cpus[n].told(), f"{others[n].median:,.0f}"] for n in names]
    share = rates[names[1]].median / rates[names[0]].median
    parts = [
        (__doc__ or "").strip(),
        f'Width {WIDTH}, a broker and a message centre that cost nothing, `synchronous = "normal"`. The full '
        f"ledger's file has {octets / 1e6:,.0f} MB.",
        "![CPU a message](outstanding.svg)",
        table(head, rows),
    ]
    headline = Headline(
        f"with receipts, {messages:,} of them outstanding, against an empty ledger",
        f"{rates[names[1]].median:,.0f} a second, {share:.0%} of {rates[names[0]].median:,.0f}",
        f"{TARGET:.0%}",
        share >= TARGET,
    )
    ranges = f"A figure with a range is the median of {ROUNDS} runs, with the least and the most."
    return Page("outstanding", "A million receipts outstanding", "\n\n".join(parts), [headline], ranges)


def _medians(figures: list[Figure]) -> Figure:
    return figure(each.median for each in figures)
