"""What is counted, and what counts as wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from faults.tally import Growing, Tally


class Files:
    """What a run leaves, and its tally."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.tally = Tally(folder / "journal", folder / "publishes", folder / "events")

    def published(self, *lines: str) -> None:
        self._add("publishes", *lines)

    def took(self, *texts: str) -> None:
        self._add("journal", *(json.dumps({"at": 1, "event": "accepted", "text": text}) for text in texts))

    def told(self, number: int, kind: str, *, final: bool = True, **more: Any) -> None:
        event = {"event": kind, "id": f"m-{number}", "event_id": f"m-{number}/{kind}", "final": final, **more}
        self._add("events", json.dumps(event))

    def _add(self, name: str, *lines: str) -> None:
        with (self._folder / name).open("a") as file:
            file.writelines(f"{line}\n" for line in lines)
        self.tally.read()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_a_message_that_went_well(files: Files) -> None:
    files.published("confirmed 7")
    files.took("message 7/0")
    files.told(7, "accepted", final=False)
    files.told(7, "delivered")
    tally = files.tally
    assert (tally.confirmed, tally.taken, tally.told) == ({7}, {7}, {7})
    assert tally.ends == {"delivered": 1}
    assert (tally.missing, tally.twofold, tally.never_taken, tally.repeats) == ([], [], [], 0)


def test_a_promise_without_an_end_is_missing(files: Files) -> None:
    files.published("confirmed 7", "doubted 8")
    files.told(7, "accepted", final=False)
    assert files.tally.missing == [7]


def test_two_ends_are_one_too_many_unless_they_are_the_same_event(files: Files) -> None:
    files.told(7, "delivered")
    files.told(7, "delivered")
    assert files.tally.twofold == []
    files.told(7, "unknown", error="no receipt")
    assert files.tally.twofold == [7]


def test_what_may_have_been_stored_twice_may_end_twice(files: Files) -> None:
    files.published("doubted 7", "confirmed 7")
    files.told(7, "delivered")
    files.told(7, "unknown", error="no receipt")
    assert files.tally.twofold == []


def test_the_same_text_again_is_a_repeat_and_another_copy_is_not(files: Files) -> None:
    files.took("message 7/0", "message 7/1")
    assert files.tally.repeats == 0
    files.took("message 7/1", "message 7/1")
    assert (files.tally.repeats, files.tally.taken) == (2, {7})


@pytest.mark.parametrize(
    ("kind", "more", "excused"),
    [
        ("delivered", {}, False),
        ("unknown", {"error": "no receipt"}, False),
        ("unknown", {"error": "no response in time"}, True),
        ("rejected", {}, True),
        ("expired", {}, True),
    ],
)
def test_what_ended_was_taken_unless_its_end_says_otherwise(
    files: Files, kind: str, more: dict[str, str], excused: bool
) -> None:
    files.told(7, kind, **more)
    assert files.tally.never_taken == ([] if excused else [7])


def test_a_growing_file_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "file"
    growing = Growing(path)
    assert list(growing) == []
    for octets, lines in ((b"one\ntw", ["one"]), (b"o", []), (b"\n\xc3", ["two"]), (b"\xa5\n", ["å"])):
        with path.open("ab") as file:
            file.write(octets)
        assert list(growing) == lines


def test_a_line_that_a_kill_cut_off_does_not_hide_the_next(tmp_path: Path) -> None:
    tally = Tally(tmp_path / "journal", tmp_path / "publishes", tmp_path / "events")
    whole = '{"at":2,"event":"accepted","text":"message 8/0"}'
    (tmp_path / "journal").write_text('{"at":1,"event":"acc' + whole + "\n")
    tally.read()
    assert tally.taken == {8}
