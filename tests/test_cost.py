"""What a message costs must not grow unnoticed: its CPU as a ratio to a fixed loop, measured in turns.

A ratio, because machines differ; in turns and the least of many rounds each, because whatever else runs on
the machine only ever adds. Beside three busy processes for each core the ratio stays within five in a hundred
of what it is on a quiet machine. Each Python has its own, since interpreters speed up different things.

Where this fails, the path has become dearer: see what `git bisect` and a profile of `message_path.py` say.
Where that is worth it, or the path has become cheaper, record the new ratio, which
`python tests/test_cost.py` tells.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from message_path import MessagePath

Interpreter = tuple[int, int, str]

RECORDED: dict[Interpreter, float] = {
    (3, 11, "static"): 0.82,
    (3, 11, "shared"): 0.72,
    (3, 12, "shared"): 0.62,
    (3, 13, "shared"): 0.64,
}
"""CPU of `WIDTH` messages, as a multiple of `yardstick`, by CPython and how it was built: Debian's has no
libpython and is optimised, which gains the yardstick more than us; what pyenv builds is neither."""

MARGIN = 1.2
ROUNDS = 200
WARM = 20
TRIES = 3

Work = Callable[[], object]


class Row:
    __slots__ = ("kept", "number", "text")

    def __init__(self, number: int, text: str) -> None:
        self.number = number
        self.text = text
        self.kept: dict[str, int] = {}

    def octets(self) -> bytes:
        return b"%d:%b" % (self.number, self.text.encode())


def yardstick(count: int = 4800) -> int:
    """What a gateway does all day: objects, dictionaries, strings to octets, calls."""
    rows = {}
    for number in range(count):
        row = Row(number, f"row {number}")
        row.kept["number"] = number
        row.kept["length"] = len(row.text)
        rows[row.text] = row
    return len(b"".join([rows.pop(text).octets() for text in list(rows)]))


def interpreter() -> Interpreter:
    mapped = Path("/proc/self/maps")
    shared = mapped.exists() and "libpython" in mapped.read_text()
    return *sys.version_info[:2], "shared" if shared else "static"


def spent(work: Work) -> int:
    began = time.process_time_ns()
    work()
    return time.process_time_ns() - began


def ratio(rounds: Sequence[Work]) -> float:
    """The least that a round took, over the least that the yardstick took between the rounds."""
    gc.collect()
    gc.disable()
    try:
        pairs = [(spent(work), spent(yardstick)) for work in rounds][WARM:]
    finally:
        gc.enable()
    return min(ours for ours, _ in pairs) / min(theirs for _, theirs in pairs)


def measured(folder: Path, more: Work = lambda: None, tries: int = TRIES, enough: float = 0.0) -> float:
    """The least ratio of some tries, of which one at or below `enough` is the last."""
    found = float("inf")
    for number in range(tries):
        place = folder / str(number)
        place.mkdir()
        found = min(found, ratio([_both(work, more) for work in MessagePath(place).prepare(ROUNDS)]))
        if found <= enough:
            break
    return found


def _both(work: Work, more: Work) -> Work:
    def both() -> None:
        work()
        more()

    return both


@pytest.mark.skipif(interpreter() not in RECORDED, reason="no ratio was recorded for this Python")
def test_a_message_costs_no_more_than_it_did(tmp_path: Path) -> None:
    most = RECORDED[interpreter()] * MARGIN
    assert measured(tmp_path, enough=most) <= most


def test_half_as_much_again_would_be_noticed(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    usual = measured(tmp_path, tries=1)
    more = round(4800 * usual / 2)
    assert measured(tmp_path / "more", lambda: yardstick(more), tries=1) > usual * MARGIN


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(f"{interpreter()}: {measured(Path(folder)):.3f}")  # noqa: T201
