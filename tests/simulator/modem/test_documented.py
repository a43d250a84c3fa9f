"""docs/simulators.md names every family and every control; what it names as a field is one."""

from __future__ import annotations

import json
import re
from pathlib import Path

from msgspec.structs import fields

from smsgw.simulator.modem.behaviour import Behaviour
from smsgw.simulator.modem.families import FAMILIES
from smsgw.simulator.modem.shared import Report
from tests.simulator.modem.typist import Typist

PAGE = (Path(__file__).parents[3] / "docs" / "simulators.md").read_text()


def test_every_family_has_its_row() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)[: len(FAMILIES)] == list(FAMILIES)


def test_fields_that_are_named_exist() -> None:
    table = PAGE[PAGE.index("### What goes wrong") : PAGE.index("### While it runs")]
    named = {name for row in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE) for name in row.split()}
    assert {name.strip("`") for name in named} <= {field.name for field in fields(Behaviour)}
    counts = PAGE[PAGE.index("The counts tell") :]
    assert set(re.findall(r"`(\w+)`", counts)) <= {field.name for field in fields(Report)}


def test_controls_that_are_shown_are_obeyed() -> None:
    shown = re.findall(r'^\{"do".*\}$', PAGE, re.MULTILINE)
    assert len(shown) == 9
    for line in shown:
        wish = json.loads(line)
        if "order" in wish:
            wish["text"] = "x" * 200
        Typist().control(wish.pop("do"), **wish)
