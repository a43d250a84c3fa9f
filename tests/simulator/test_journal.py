"""The record of every message."""

import json
from pathlib import Path

from twisted.internet.task import Clock

from smsgw.simulator.agenda import Agenda
from smsgw.simulator.journal import FLUSH, Entry, Journal


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_entries_of_a_turn_reach_the_file_together_before_its_writes_leave(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "log"
    journal = Journal(path, Agenda(clock))
    for number in range(3):
        journal.write(Entry(at=1.5, event="accepted", session=1, id=str(number), text="å"))
    assert path.read_text() == ""
    clock.advance(FLUSH)
    assert [line["id"] for line in lines(path)] == ["0", "1", "2"]
    assert lines(path)[0] == {"at": 1.5, "event": "accepted", "session": 1, "id": "0", "text": "å"}


def test_closing_writes_the_rest_and_a_second_run_appends(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for number in range(2):
        journal = Journal(path, Agenda(Clock()))
        journal.write(Entry(at=number, event="bound", session=1))
        journal.close()
        journal.write(Entry(at=9, event="bound", session=1))
    assert [line["at"] for line in lines(path)] == [0, 1]


def test_without_a_path_nothing_is_recorded() -> None:
    clock = Clock()
    journal = Journal(None, Agenda(clock))
    journal.write(Entry(at=0, event="bound", session=1))
    assert not journal
    assert not clock.getDelayedCalls()
