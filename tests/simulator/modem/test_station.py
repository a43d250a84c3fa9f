"""The edge: a terminal that goes and comes behind its link, one timer, the control connection."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from smsgw.simulator.modem.behaviour import Behaviour
from smsgw.simulator.modem.command import modem as command
from smsgw.simulator.modem.modem import Modem
from smsgw.simulator.modem.station import ControlFactory, Station


class Terminal:
    def __init__(self, name: str, heard: Callable[[bytes], None]) -> None:
        self.name = name
        self.heard = heard
        self.said = b""
        self.open = True

    def say(self, data: bytes) -> None:
        assert self.open
        self.said += data

    def unplug(self) -> None:
        self.open = False


class Desk:
    """A station with terminals that are none."""

    def __init__(self, folder: Path, **fields: Any) -> None:
        self.clock = Clock()
        self.link = folder / "modem"
        self.terminals: list[Terminal] = []
        self.station = Station(Modem(Behaviour(**fields)), self.clock, self._plug_in, self.link)
        self.station.plug()

    def _plug_in(self, heard: Callable[[bytes], None]) -> Terminal:
        self.terminals.append(Terminal(f"/dev/pts/{100 + len(self.terminals)}", heard))
        return self.terminals[-1]

    @property
    def terminal(self) -> Terminal:
        return self.terminals[-1]

    @property
    def target(self) -> str:
        return str(self.link.readlink())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, latency=0.5)


def test_answers_come_when_they_are_due(desk: Desk) -> None:
    desk.terminal.heard(b"ATE0\r")
    assert desk.terminal.said == b"ATE0\r"
    desk.clock.advance(0.5)
    assert desk.terminal.said == b"ATE0\r\r\nOK\r\n"
    assert len(desk.clock.getDelayedCalls()) <= 1


def test_unplugged_it_comes_back_under_another_name(desk: Desk) -> None:
    assert desk.target == "/dev/pts/100"
    assert desk.station.obey(b'{"do": "unplug", "seconds": 3}').ok
    assert not desk.terminal.open
    assert not desk.link.is_symlink()
    desk.clock.advance(3.0)
    assert desk.target == "/dev/pts/101"
    desk.terminal.heard(b"AT\r")
    desk.clock.advance(0.5)
    assert desk.terminal.said.endswith(b"\r\nOK\r\n")
    assert desk.station.modem.report().restarts == 1


def test_unplugged_twice_it_comes_back_once(desk: Desk) -> None:
    desk.station.obey(b'{"do": "unplug", "seconds": 3}')
    desk.station.obey(b'{"do": "unplug", "seconds": 5}')
    desk.clock.advance(60.0)
    assert len(desk.terminals) == 2


def test_closed_nothing_is_left(desk: Desk) -> None:
    desk.terminal.heard(b"AT\r")
    desk.station.close()
    assert not desk.link.is_symlink()
    assert not desk.clock.getDelayedCalls()


def test_a_file_that_is_no_link_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "modem").write_text("precious")
    with pytest.raises(FileExistsError):
        Desk(tmp_path)
    assert (tmp_path / "modem").read_text() == "precious"


def test_an_old_link_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "modem").symlink_to("/dev/pts/999")
    assert Desk(tmp_path).target == "/dev/pts/100"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ({"do": "dance"}, "dance"),
        ({"do": "inbound", "txt": "x"}, "txt"),
        ({"do": "inbound", "from": "a name that is too long"}, "from"),
        ({"do": "report", "to": "a name that is too long", "reference": 1}, "address"),
        ({"do": "behave", "set": {"hang": 2}}, "hang"),
        ({"do": "behave", "set": {"family": "huawei"}}, "family"),
        ({}, "do"),
    ],
)
def test_wrong_wishes_are_told(desk: Desk, line: dict[str, Any], error: str) -> None:
    reply = desk.station.obey(json.dumps(line).encode())
    assert not reply.ok
    assert error in (reply.error or "")


def test_a_control_connection(desk: Desk) -> None:
    transport = StringTransport()
    protocol = ControlFactory(desk.station).buildProtocol(None)
    protocol.makeConnection(transport)
    protocol.dataReceived(b'{"do": "inbound", "from": "+46700000002"}\n{"do": "cou')
    protocol.dataReceived(b'nts"}\nnonsense\n')
    first, counts, wrong = map(json.loads, transport.value().splitlines())
    assert first == {"ok": True}
    assert counts["counts"]["inbound_delivered"] == 1
    assert not wrong["ok"]
    assert b'+CMTI: "SM",1' in desk.terminal.said


def test_a_report_that_nobody_made(desk: Desk) -> None:
    desk.terminal.heard(b"AT+CNMI=2,1,0,1,0\r")
    desk.clock.advance(1.0)
    assert desk.station.obey(b'{"do": "report", "to": "+46700000001", "reference": 9, "status": 70}').ok
    assert b"+CDS: 25\r\n" in desk.terminal.said


@pytest.mark.parametrize(
    ("options", "said", "status"),
    [
        (["--family", "motorola"], "simcom", 2),
        (["--hang", "2"], "hang", 1),
        (["--pin", "12"], "pin", 1),
        (["--behaviour", "/nowhere.toml"], "/nowhere.toml: No such file", 1),
    ],
)
def test_a_wrong_behaviour_is_one_line(options: list[str], said: str, status: int) -> None:
    result = CliRunner().invoke(command, options)
    assert result.exit_code == status
    assert said in result.output
    assert "Traceback" not in result.output
