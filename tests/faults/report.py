"""The table of results in a Markdown page: between two marks, so that the rest is written by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from faults.run import Result

BEGIN = "<!-- results -->"
END = "<!-- end of results -->"


def write(page: Path, results: Sequence[Result]) -> None:
    """Put the results between the page's marks."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{table(results)}\n{END}{after}")


def table(results: Sequence[Result]) -> str:
    head = ("seed", "broker", "faults", "messages", "final events", "repeats", "at most", "s", "")
    rows = [head, ("---",) * len(head), *(_row(result) for result in results)]
    return "\n".join([*("| " + " | ".join(row) + " |" for row in rows), "", _sum(results)])


def _row(result: Result) -> tuple[str, ...]:
    schedule = result.schedule
    return (
        str(schedule.seed),
        schedule.broker,
        ", ".join(step.fault.name for step in schedule.steps),
        str(schedule.messages),
        _ends(result.ends),
        str(result.repeats),
        str(result.bound),
        f"{result.seconds:.0f}",
        "; ".join(result.problems) or "held" + "".join(f" (skipped: {each})" for each in result.skipped),
    )


def _ends(ends: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in ends.most_common())


def _sum(results: Sequence[Result]) -> str:
    held = sum(1 for result in results if not result.problems)
    messages = sum(result.schedule.messages for result in results)
    repeats = sum(result.repeats for result in results)
    faults = sum(len(result.schedule.steps) - len(result.skipped) for result in results)
    return f"{held} of {len(results)} runs held; {messages} messages, {faults} faults, {repeats} repeats."
