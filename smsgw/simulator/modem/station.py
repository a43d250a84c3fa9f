"""A simulated modem on a pseudo terminal, under one timer: the edge.

The client opens `link`, which points to the terminal of the day. When the modem is unplugged the terminal
is closed, so that the client's file is dead, and the link is gone; later the link points to another one.
"""

from __future__ import annotations

import os
import tty
from collections.abc import Callable
from contextlib import suppress
from errno import EEXIST
from math import inf
from pathlib import Path
from typing import Any, Protocol

import msgspec
from twisted.internet import fdesc
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.protocols.basic import LineOnlyReceiver

from smsgw.simulator.modem.control import Reply, obey
from smsgw.simulator.modem.modem import Modem

UNREAD = 1 << 16
"""Octets for a client that does not read; more are lost, as on a line without flow control."""


class Terminal(Protocol):
    """Where the client is."""

    name: str

    def say(self, data: bytes) -> None: ...

    def unplug(self) -> None: ...


class PseudoTerminal(FileDescriptor):
    """The master side; the slave stays open, so that clients may come and go.

    Raises:
        OSError: there is none to be had.
    """

    def __init__(self, reactor: Any, heard: Callable[[bytes], None]) -> None:
        super().__init__(reactor)
        self._heard = heard
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.name = os.ttyname(self._slave)
        self._unwritten = 0
        self.connected = 1
        self.startReading()  # type: ignore[no-untyped-call]

    def fileno(self) -> int:
        return self._master

    def doRead(self) -> Any:
        return fdesc.readFromFD(self._master, self._heard)  # type: ignore[no-untyped-call]

    def writeSomeData(self, data: bytes) -> Any:
        written = fdesc.writeToFD(self._master, data)  # type: ignore[no-untyped-call]
        if isinstance(written, int) and written > 0:
            self._unwritten -= written
        return written

    def say(self, data: bytes) -> None:
        data = data[: UNREAD - self._unwritten]
        self._unwritten += len(data)
        self.write(data)

    def unplug(self) -> None:
        """Whoever has it open reads an end, or an error."""
        self.stopReading()  # type: ignore[no-untyped-call]
        self.stopWriting()  # type: ignore[no-untyped-call]
        self.disconnected = True
        for file in (self._slave, self._master):
            with suppress(OSError):
                os.close(file)


class Station:
    """One modem, its terminal and its timer. `plug` begins; `close` ends."""

    def __init__(
        self,
        modem: Modem,
        clock: IReactorTime,
        plug_in: Callable[[Callable[[bytes], None]], Terminal],
        link: Path | None = None,
    ) -> None:
        self.modem = modem
        self._clock = clock
        self._plug_in = plug_in
        self._link = link
        self._terminal: Terminal | None = None
        self._timer: IDelayedCall | None = None
        self._back: IDelayedCall | None = None

    @property
    def name(self) -> str:
        """What a client opens."""
        return str(self._link) if self._link is not None else self._terminal.name if self._terminal else ""

    def plug(self) -> None:
        """Open a terminal, and let the link point to it.

        Raises:
            OSError: no terminal, or no link can be made.
        """
        self._back = None
        if self._link is not None and self._link.exists() and not self._link.is_symlink():
            raise FileExistsError(EEXIST, "is no symbolic link", str(self._link))
        self._terminal = self._plug_in(self._heard)
        if self._link is not None:
            fresh = self._link.with_name(f"{self._link.name}.{os.getpid()}")
            fresh.symlink_to(self._terminal.name)
            fresh.replace(self._link)
        self.go_on()

    def close(self) -> None:
        self._pull_out()
        for call in (self._timer, self._back):
            if call is not None and call.active():
                call.cancel()
        self._timer = self._back = None

    def obey(self, line: bytes) -> Reply:
        """A line of the control connection."""
        reply = obey(self.modem, line, self._clock.seconds())
        self.go_on()
        return reply

    def _heard(self, data: bytes) -> None:
        self.modem.receive(data, self._clock.seconds())
        self.go_on()

    def _ring(self) -> None:
        self._timer = None
        self.modem.tick(self._clock.seconds())
        self.go_on()

    def go_on(self) -> None:
        """Whatever the modem has to say or wants, after each call of it."""
        data = self.modem.data_to_send()
        if data and self._terminal is not None:
            self._terminal.say(data)
        away = self.modem.unplugged()
        if away is not None:
            self._pull_out()
            if self._back is not None and self._back.active():
                self._back.cancel()
            self._back = self._clock.callLater(away, self.plug)
        self._set_timer(self.modem.deadline())

    def _set_timer(self, deadline: float) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if deadline < inf:
            self._timer = self._clock.callLater(max(0.0, deadline - self._clock.seconds()), self._ring)

    def _pull_out(self) -> None:
        if self._terminal is None:
            return
        if self._link is not None:
            self._link.unlink(missing_ok=True)
        self._terminal.unplug()
        self._terminal = None


class Control(LineOnlyReceiver):
    """JSON lines; see `smsgw.simulator.modem.control`."""

    delimiter = b"\n"
    MAX_LENGTH = 1 << 16

    def __init__(self, station: Station) -> None:
        self._station = station

    def lineReceived(self, line: bytes) -> None:
        self.sendLine(msgspec.json.encode(self._station.obey(line)))  # type: ignore[no-untyped-call]


class ControlFactory(ServerFactory):
    noisy = False

    def __init__(self, station: Station) -> None:
        self._station = station

    def buildProtocol(self, addr: Any) -> Control:
        return Control(self._station)
