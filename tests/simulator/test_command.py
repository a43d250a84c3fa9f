"""The command: what is wrong is one line and status 1, before anything listens."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from smsgw.simulator.command import DESTINATIONS, _printable, smsc
from smsgw.simulator.tally import Report, summary


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--malformed", "2"], "malformed"),
        (["--behaviour", "/nowhere.toml"], "/nowhere.toml: No such file"),
    ],
)
def test_a_wrong_behaviour_is_one_line(options: list[str], said: str) -> None:
    result = CliRunner().invoke(smsc, options)
    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output


def test_a_file_that_asks_for_what_does_not_exist_names_the_field(tmp_path: Path) -> None:
    file = tmp_path / "b.toml"
    file.write_text("receipt_from = 'text'\n")
    result = CliRunner().invoke(smsc, ["--behaviour", str(file)])
    assert "receipt_from" in result.output


def test_an_unknown_option_is_wrong_usage() -> None:
    assert CliRunner().invoke(smsc, ["--rate", "1"]).exit_code == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--listen", "foo:0"], "Unknown endpoint type"),
        (["--listen", "tcp:0", "--log", "/nowhere/log"], "/nowhere/log"),
        (["--listen", "tcp:1:interface=203.0.113.1"], "Couldn't listen on 203.0.113.1:1"),
    ],
)
def test_what_only_the_reactor_finds_is_one_line_too(options: list[str], said: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "smsgw.simulator", *options],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 1
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_report_on_very_many_destinations_leaves_them_out() -> None:
    few = Report(destinations={"1": 1})
    many = Report(destinations={str(n): 1 for n in range(DESTINATIONS + 1)}, accepted=7)
    assert _printable(few) is few
    assert (_printable(many).destinations, _printable(many).accepted) == ({}, 7)


def test_a_summary_is_what_happened_meanwhile() -> None:
    before = Report(submits=100, receipts_answered=10)
    now = Report(submits=300, accepted=290, refused={"0x00000058": 10}, receipts_answered=60, bound=2)
    line = summary(before, now, 2.0)
    assert line.startswith("submits 100/s of 300, accepted 290, refused 10,")
    assert "receipts 25/s of 60" in line
    assert line.endswith("sessions 2")
