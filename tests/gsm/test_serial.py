"""`serial:` endpoint strings, and ports that are opened by them: pseudo terminals stand for devices."""

from __future__ import annotations

import os
import pty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactor
from twisted.python.failure import Failure

from smsgw.gsm.port import Port, port_of
from smsgw.gsm.serial import SerialEndpoint

DEVICE = "/dev/serial/by-id/usb-X"


@pytest.mark.parametrize(
    ("text", "port"),
    [
        (f"serial:{DEVICE}", Port(device=DEVICE)),
        (f"serial:{DEVICE}:baudrate=9600", Port(device=DEVICE, baudrate=9600)),
        (
            r"serial:/dev/serial/by-path/pci-0000\:00\:14.0",
            Port(device="/dev/serial/by-path/pci-0000:00:14.0"),
        ),
        (
            f"serial:{DEVICE}:bytesize=7:parity=E:stopbits=2:rtscts=1:xonxoff=0",
            Port(device=DEVICE, bytesize=7, parity="E", stopbits=2, rtscts=True),
        ),
    ],
)
def test_strings_are_read_as_twisted_reads_them(text: str, port: Port) -> None:
    assert port_of(text) == port
    endpoint = clientFromString(MemoryReactor(), text)
    assert isinstance(endpoint, SerialEndpoint)
    assert endpoint.settings == port


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("serial:", "serial: expected the path of a device"),
        ("serial:ttyUSB0", "serial: expected the path of a device"),
        ("serial:baudrate=9600", "serial: expected the path of a device"),
        (f"serial:{DEVICE}:boudrate=9600", 'serial: unknown key boudrate; did you mean "baudrate"?'),
        (f"serial:{DEVICE}:speed=9600", "serial: unknown key speed; known here: baudrate, bytesize"),
        (f"serial:{DEVICE}:baudrate=fast", 'baudrate: expected a number such as 115200, found "fast"'),
        (f"serial:{DEVICE}:baudrate=0", 'found "0"'),
        (f"serial:{DEVICE}:parity=X", 'parity: expected one of N, E, O, M, S, found "X"'),
        (f"serial:{DEVICE}:rtscts=yes", 'rtscts: expected one of 0, 1, false, true, found "yes"'),
        ("serial:/dev/pci-0000:00:14.0", r'"00" is no KEY=VALUE; a colon within the device is written \:'),
    ],
)
def test_what_is_wrong_is_told_with_its_key(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as raised:
        port_of(text)
    assert problem in str(raised.value)
    with pytest.raises(ValueError) as raised:
        clientFromString(MemoryReactor(), text)
    assert problem in str(raised.value)


class Heard(Protocol):
    """Keeps what comes; `lost` fires at the end."""

    def __init__(self) -> None:
        self.data = b""
        self.lost: Deferred[None] = Deferred()
        self.came: Deferred[None] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        came, self.came = self.came, None
        if came is not None:
            came.callback(None)

    def connectionLost(self, reason: Failure = Failure(ConnectError())) -> None:  # noqa: B008
        self.lost.callback(None)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The master's descriptor, and a link that stays."""
    master, slave = pty.openpty()
    link = tmp_path / "modem"
    link.symlink_to(os.ttyname(slave))
    os.close(slave)
    yield master, link
    os.close(master)


@pytest.mark.integration
def test_a_port_is_opened_exclusively_read_and_lost(
    in_reactor: Any, reactor_thread: Any, terminal: tuple[int, Path]
) -> None:
    master, link = terminal

    async def story() -> None:
        endpoint: Any = clientFromString(reactor_thread, f"serial:{link}:baudrate=115200")
        heard = await endpoint.connect(Factory.forProtocol(Heard))
        heard.came = Deferred()
        os.write(master, b"RDY\r\n")
        await heard.came
        assert heard.data.startswith(b"RDY")
        heard.transport.write(b"AT\r")
        with pytest.raises(ConnectError, match="another program has it open"):
            await endpoint.connect(Factory.forProtocol(Heard))
        heard.transport.loseConnection()
        await heard.lost
        again = await endpoint.connect(Factory.forProtocol(Heard))
        again.transport.abortConnection()
        await again.lost

    in_reactor(story)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: None, "No such file or directory; is the modem plugged in"),
        (lambda path: path.write_text("no terminal"), "Could not configure port"),
        (lambda path: path.mkdir(), "Is a directory"),
    ],
)
def test_a_port_that_can_t_be_opened_is_a_failed_connection(
    in_reactor: Any, reactor_thread: Any, tmp_path: Path, make: Any, problem: str
) -> None:
    path = tmp_path / "modem"
    make(path)

    async def story() -> None:
        with pytest.raises(ConnectError, match=problem):
            endpoint: Any = clientFromString(reactor_thread, f"serial:{path}")
            await endpoint.connect(Factory.forProtocol(Heard))

    in_reactor(story)
