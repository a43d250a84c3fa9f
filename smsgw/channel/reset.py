"""The operator's command that cuts a modem's power: the last rung, where nothing on the port has helped.

Run without a shell, at most once in a while: each run that has not led to a ready modem doubles the pause.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

FIRST_PAUSE = 60.0
LONGEST_PAUSE = 6 * 3600.0
TIMEOUT = 60.0
"""Seconds that the command may take before it is killed."""

Run = Callable[[Sequence[str]], Deferred[str]]
"""Runs a command; fires with how it ended, in words. Never fails."""


class Reset:
    """When to run the command, and what became of it. `run` is what `runner` gives."""

    log = Logger()

    def __init__(self, name: str, command: Sequence[str], run: Run, clock: IReactorTime) -> None:
        self._name = name
        self._command = command
        self._run = run
        self._clock = clock
        self._pause = FIRST_PAUSE
        self._next = clock.seconds()

    @property
    def due(self) -> bool:
        """Whether there is a command, and it was not run lately."""
        return bool(self._command) and self._clock.seconds() >= self._next

    async def __call__(self) -> None:
        self._next = self._clock.seconds() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self.log.warn("{channel}: runs the reset command", channel=self._name)
        ended = await self._run(self._command)
        self.log.warn("{channel}: the reset command {ended}", channel=self._name, ended=ended)

    def forget(self) -> None:
        """The modem is ready: the next trouble is another one."""
        self._pause = FIRST_PAUSE


def runner(reactor: Any) -> Run:
    """Runs commands in a reactor, with its environment and in `/`."""

    def run(command: Sequence[str]) -> Deferred[str]:
        ended: Deferred[str] = Deferred()
        process = _Process(ended)
        try:
            reactor.spawnProcess(process, command[0], list(command), env=None, path="/")
        except OSError as error:
            ended.callback(f"could not be run: {error.strerror}")
            return ended
        timer = reactor.callLater(TIMEOUT, process.kill)
        return ended.addBoth(_stop, timer)

    return run


def _stop(result: str, timer: Any) -> str:
    if timer.active():
        timer.cancel()
    return result


class _Process(ProcessProtocol):
    """Its output is of no interest to us, and read so that it does not block."""

    def __init__(self, ended: Deferred[str]) -> None:
        self._ended = ended
        self._killed = False

    def kill(self) -> None:
        self._killed = True
        self.transport.signalProcess("KILL")  # type: ignore[union-attr]

    def processEnded(self, reason: Failure) -> None:
        found = reason.value
        if self._killed:
            self._ended.callback(f"took longer than {TIMEOUT:g} s and was killed")
        elif isinstance(found, ProcessDone):
            self._ended.callback("is done")
        else:
            status = found.exitCode if isinstance(found, ProcessTerminated) else None
            self._ended.callback(f"failed with status {status}")
