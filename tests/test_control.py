"""The control socket: requests, answers, and what is wrong with either."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from smsgw.control import MAX_CONNECTIONS, MAX_LINE, NAME, PATIENCE, Control, Request, _Factory, request
from smsgw.gateway.modems import NotAnswered
from tests.channel.modem_rig import Rig
from tests.gsm.modem import lines


class Gateway:
    def __init__(self, **channels: object) -> None:
        self.channels = channels


class Transport(StringTransport):
    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


class Stand:
    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.rig = Rig(folder, clock=self.clock)
        self.rig.start()
        gateway: Any = Gateway(sim1=self.rig.channel, dry=object())
        self.factory = _Factory(gateway, self.clock)

    def connect(self) -> tuple[Any, Transport]:
        protocol: Any = self.factory.buildProtocol(None)
        transport = Transport()
        protocol.makeConnection(transport)
        return protocol, transport

    def ask(self, line: bytes) -> Any:
        protocol, transport = self.connect()
        protocol.dataReceived(line + b"\n")
        self.rig.flow()
        assert transport.disconnecting
        protocol.connectionLost(Failure(ConnectionDone()))
        return json.loads(transport.value())


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path)


def test_info_and_probe(stand: Stand) -> None:
    for what in ("info", "probe"):
        reply = stand.ask(json.dumps({"v": 1, "modem": "sim1", "ask": what}).encode())
        assert reply["ok"] is True
        assert reply["answer"]["state"] == "ready"


def test_ussd(stand: Stand) -> None:
    protocol, transport = stand.connect()
    protocol.dataReceived(b'{"modem": "sim1", "ask": "ussd", "code": "*100#"}\n')
    stand.rig.flow()
    assert transport.value() == b""
    stand.rig.hear(lines('+CUSD: 0,"Balance: 12.50",15'))
    assert json.loads(transport.value())["answer"]["text"] == "Balance: 12.50"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"", "truncated"),
        (b"{}", "missing required field `modem`"),
        (b'{"modem": "sim1", "ask": "dance"}', "dance"),
        (b'{"modem": "sim1", "ask": "info", "more": 1}', "unknown field `more`"),
        (b'{"modem": "sim9", "ask": "info"}', "no modem is called sim9; there are: sim1"),
        (b'{"modem": "dry", "ask": "info"}', "no modem is called dry"),
        (b'{"modem": "sim1", "ask": "ussd"}', "a code is needed"),
        (b'{"modem": "sim1", "ask": "ussd", "code": "\\u00e5"}', "default alphabet"),
        (b'{"modem": "sim1", "ask": "ussd", "code": "1\\"\\r"}', "expected printable ASCII"),
    ],
)
def test_what_is_wrong_is_answered(stand: Stand, line: bytes, problem: str) -> None:
    reply = stand.ask(line)
    assert reply["ok"] is False
    assert problem in reply["error"] or "printable" in reply["error"]


def test_a_modem_that_is_not_ready(stand: Stand) -> None:
    stand.rig.port.missing = True
    stand.rig.wire.lose()
    assert "sim1#1 is waiting" in stand.ask(b'{"modem": "sim1", "ask": "probe"}')["error"]
    assert stand.ask(b'{"modem": "sim1", "ask": "info"}')["answer"]["state"] == "closed"


def test_nothing_is_held_for_ever(stand: Stand) -> None:
    protocol, transport = stand.connect()
    stand.clock.advance(PATIENCE)
    assert transport.aborted
    protocol, transport = stand.connect()
    protocol.dataReceived(b"x" * (MAX_LINE + 1))
    assert transport.disconnecting
    _, *_ = [stand.connect() for _ in range(MAX_CONNECTIONS - 2)]
    assert stand.factory.buildProtocol(None) is None


def test_whoever_hangs_up_is_not_waited_for(stand: Stand) -> None:
    protocol, transport = stand.connect()
    protocol.dataReceived(b'{"modem": "sim1", "ask": "ussd", "code": "*100#"}\n')
    stand.rig.flow()
    protocol.connectionLost(Failure(ConnectionDone()))
    stand.rig.hear(lines('+CUSD: 0,"Balance: 12.50",15'))
    assert transport.value() == b""
    assert stand.clock.getDelayedCalls()


@pytest.mark.integration
def test_over_a_real_socket(in_reactor: Any, reactor_thread: Any, tmp_path: Path) -> None:
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / NAME))
    stale.close()

    async def story() -> None:
        gateway: Any = Gateway()
        first, second = (Control(gateway, str(tmp_path), reactor_thread) for _ in range(2))
        first.startService()
        assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
        second.startService()
        with pytest.raises(NotAnswered, match="no modem is called sim1"):
            await request(reactor_thread, str(tmp_path), Request("sim1", "info"))
        second.stopService()
        stopped = first.stopService()
        assert stopped is not None
        await stopped
        assert not (tmp_path / NAME).exists()

    in_reactor(story)


@pytest.mark.integration
def test_a_path_that_is_too_long_costs_the_socket_and_nothing_else(
    in_reactor: Any, reactor_thread: Any, tmp_path: Path
) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()

    async def story() -> None:
        gateway: Any = Gateway()
        control = Control(gateway, str(folder), reactor_thread)
        control.startService()
        assert control.stopService() is None

    in_reactor(story)
