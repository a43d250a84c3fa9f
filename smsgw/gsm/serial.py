"""Serial ports as Twisted client endpoints: `serial:/dev/serial/by-id/usb-X:baudrate=115200`.

The port is opened anew by its name for each connection, so a modem that comes back under another number is
found again behind the same link in /dev/serial/by-id. It is opened exclusively: a second program, or a second
channel, that wants it is told so instead of taking half of the answers.

pyserial is imported when a port is opened: who has no modem does not pay for it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectError, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamClientEndpointStringParserWithReactor,
)
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.gsm.port import PREFIX, Port, port

Open = Callable[[IProtocol, Port, Any], object]

_HINTS = {
    errno.ENOENT: "is the modem plugged in?",
    errno.EACCES: "is the user in the device's group, often dialout?",
    errno.EAGAIN: "another program has it open",
}


@implementer(IAddress)
class SerialAddress:
    """Where a modem is."""

    def __init__(self, device: str) -> None:
        self.device = device

    def __repr__(self) -> str:
        return f"SerialAddress({self.device!r})"


@implementer(IStreamClientEndpoint)
class SerialEndpoint:
    """Opens one port; each `connect` is an opening of its own. `open_port` is for tests."""

    def __init__(self, reactor: Any, settings: Port, open_port: Open | None = None) -> None:
        self.settings = settings
        self._reactor = reactor
        self._open = open_port or open_serial

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """Fires with the protocol at once, or fails with `ConnectError`: absent, not allowed, in use."""
        protocol = protocolFactory.buildProtocol(SerialAddress(self.settings.device))
        if protocol is None:
            return fail(ConnectError(string="the factory made no protocol"))  # type: ignore[no-untyped-call]
        try:
            self._open(protocol, self.settings, self._reactor)
        except (OSError, ValueError) as error:
            return fail(_connect_error(self.settings.device, error))
        return succeed(protocol)


def _connect_error(device: str, error: OSError | ValueError) -> ConnectError:
    number = error.errno if isinstance(error, OSError) else None
    said = os.strerror(number) if number else str(error)
    hint = f"; {_HINTS[number]}" if number in _HINTS else ""
    return ConnectError(osError=number, string=f"{device}: {said}{hint}")  # type: ignore[no-untyped-call]


def open_serial(protocol: IProtocol, settings: Port, reactor: Any) -> object:
    """The open port as a transport. Raises `OSError` or `ValueError`."""
    import termios  # noqa: PLC0415  not on every platform

    import serial  # noqa: PLC0415
    from twisted.internet.serialport import SerialPort  # noqa: PLC0415

    class ExclusivePort(SerialPort):
        """Nobody else may open it while it is ours, and it can be dropped without waiting for its device."""

        _serialFactory = partial(serial.Serial, exclusive=True)  # noqa: N815

        def abortConnection(self) -> None:
            if self.connected:
                self.stopReading()  # type: ignore[no-untyped-call]
                self.stopWriting()  # type: ignore[no-untyped-call]
                self.connectionLost(Failure(ConnectionLost("the port did not drain")))  # type: ignore[no-untyped-call]

    options = {name: getattr(settings, name) for name in settings.__struct_fields__ if name != "device"}
    try:
        return ExclusivePort(protocol, settings.device, reactor, **options)  # type: ignore[no-untyped-call]
    except termios.error as error:
        raise OSError(*error.args) from error


@implementer(IPlugin, IStreamClientEndpointStringParserWithReactor)
class SerialParser:
    """What makes `clientFromString(reactor, "serial:...")` work."""

    prefix = PREFIX

    def parseStreamClient(self, reactor: Any, *args: Any, **kwargs: Any) -> SerialEndpoint:
        """Raises `ValueError` for what is wrong in the string."""
        return SerialEndpoint(reactor, port(args, kwargs))
