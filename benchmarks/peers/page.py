"""docs/benchmarks/peers.md: who was how fast, what it took, and what each does not do for it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

from benchmarks.figures import Figure, figure, table
from benchmarks.pages import Headline, Page
from benchmarks.peers import gateway, jasmin, kannel
from benchmarks.peers.contest import FEWER, NARROW, SCENARIOS, WIDE, Result, Scenario
from benchmarks.peers.install import JASMIN

Results: TypeAlias = dict[tuple[str, str], list[Result]]
"""By scenario and program, in the order of the runs."""

INTRODUCTION = """\
The same drain with other gateways in the place of smsgw, in one run on one machine. Each program is filled
while no message centre is there; then one starts, and the rate is counted there, between the first submit_sm
and the last (with receipts: until the program has answered the last receipt). The message centre is
`benchmarks/native/sink.c`, which costs next to nothing; a receipt that is refused it sends again. All run
with one session and a window of {narrow}, or where it says so {wide}, save Jasmin, which has no such setting.
{count:,} messages of one part and 79 characters, each to another number; with the wide window three times as
many, and Jasmin, to be done in time, gets {fewer}. CPU is user and system time from `/proc/PID/stat`, from
before the message centre starts, so that loading or filling a store is in nobody's figure. After each run
the program's own count has to agree: Kannel's status page, the events that smsgw has stored, Jasmin's empty
queue.
"""

DOES = (
    ("", "Kannel, file", "Kannel, spool", "Jasmin", "smsgw, spool", "smsgw, RabbitMQ"),
    (
        "what waits survives a dying process",
        "yes",
        "yes",
        "in RabbitMQ",
        "yes",
        "yes",
    ),
    (
        "what waits survives a power cut",
        "not certain: never calls fsync",
        "not certain: never calls fsync",
        "no, nor RabbitMQ's restart: the queue is not durable, the messages are not persistent",
        "yes: fdatasync before a publish is confirmed",
        "yes: durable queues, persistent messages, confirms",
    ),
    ("the backlog in memory", "all of it", "all of it", "in RabbitMQ", "no", "in RabbitMQ"),
    (
        "an event for each accepted message",
        "no; where asked, a report (not measured)",
        "no; where asked, a report (not measured)",
        "no; where asked, over HTTP (not measured)",
        "yes, stored before the message is forgotten",
        "yes, confirmed before the message is forgotten",
    ),
    (
        "a final event by receipt",
        "a report in its store",
        "a report in its store",
        "over HTTP (not measured)",
        "yes, durable",
        "yes, confirmed",
    ),
    (
        "receipts that come after a restart",
        "unknown: `dlr-storage = internal`",
        "unknown: `dlr-storage = internal`",
        "Redis (not measured)",
        "the ledger, fdatasync",
        "the ledger, fdatasync",
    ),
    (
        "answers a receipt",
        "when it has taken it, without fsync",
        "when it has taken it, without fsync",
        "(not measured)",
        "when its event is stored",
        "when its event is confirmed",
    ),
    (
        "a message that its broker hands out again is not sent again where it was accepted",
        "no",
        "no",
        "no",
        "yes, by its id in the ledger",
        "yes, by its id in the ledger",
    ),
)


class Target(NamedTuple):
    """`ours` is to be so many times as fast as `theirs`."""

    scenario: str
    ours: str
    theirs: str
    times: float


TARGETS = (
    Target("at once", "smsgw, spool", "Kannel, file", 1),
    Target("at once", "smsgw, spool", "Kannel, spool", 1),
    Target("at once", "smsgw, RabbitMQ", "Jasmin", 20),
    Target("wide", "smsgw, spool", "Kannel, file", 1),
    Target("wide", "smsgw, spool", "Kannel, spool", 1),
    Target("20 ms", "smsgw, spool", "Kannel, file", 2),
    Target("20 ms", "smsgw, RabbitMQ", "Kannel, file", 2),
    Target("20 ms", "smsgw, RabbitMQ", "Jasmin", 20),
    Target("receipts", "smsgw, RabbitMQ", "Kannel, file", 2),
)


def page(results: Results, absent: Mapping[str, str], count: int, runs: int) -> Page:
    fewer = " and ".join(
        f"{count // share:,} ({scenario})" for (scenario, name), share in FEWER.items() if name == "Jasmin"
    )
    parts = [INTRODUCTION.format(narrow=NARROW, wide=WIDE, count=count, fewer=fewer).strip()]
    parts += [f"{name} did not take part: {reason}" for name, reason in sorted(absent.items())]
    parts += [_scenario(scenario, results) for scenario in SCENARIOS]
    parts.append("## What each does, and does not\n\n" + table(DOES[0], DOES[1:]).replace("--:", "---"))
    parts += _settings()
    return Page(
        "peers",
        "smsgw and its peers",
        "\n\n".join(parts),
        list(_headlines(results)),
        f"A figure with a range is the median of {runs} runs, with the least and the most.",
    )


def rate(results: Results, scenario: str, name: str) -> Figure:
    return figure(result.rate for result in results[scenario, name])


def _scenario(scenario: Scenario, results: Results) -> str:
    rows = [
        [
            name,
            rate(results, scenario.key, name).told(),
            f"{_cpu(found, 'program'):,.0f}",
            ", ".join(f"{what} {_cpu(found, what):,.0f}" for what in found[0].cpu if what != "program") or "",
        ]
        for name in scenario.names
        if (found := results.get((scenario.key, name)))
    ]
    head = ["", "messages a second", "CPU us a message", "of others"]
    return f"## {scenario.title}\n\n{table(head, rows)}"


def _cpu(found: list[Result], what: str) -> float:
    return statistics.median(result.cpu[what] for result in found)


def _headlines(results: Results) -> Iterator[Headline]:
    for target in TARGETS:
        if {(target.scenario, target.ours), (target.scenario, target.theirs)} - set(results):
            continue
        ours, theirs = (rate(results, target.scenario, name) for name in (target.ours, target.theirs))
        times = ours.median / theirs.median
        title = next(scenario.title for scenario in SCENARIOS if scenario.key == target.scenario)
        yield Headline(
            f"{title}: {target.ours}, against {target.theirs}",
            f"{ours.median:,.0f} a second, {times:.1f} times {theirs.median:,.0f}",
            f"{target.times:g} times",
            times >= target.times,
            readme=True,
        )


def _settings() -> Iterator[str]:
    yield "## Set up\n\nNothing holds anybody back: no limits, no delays of its own, logs at errors only."
    for name, module, text in (
        ("Kannel", kannel, kannel.SETTINGS),
        (f"Jasmin {JASMIN}", jasmin, jasmin.settings({})),
        ("smsgw", gateway, gateway.SETTINGS),
    ):
        yield f"### {name}\n\n{(module.__doc__ or '').strip()}\n\n```\n{text.strip()}\n```"
