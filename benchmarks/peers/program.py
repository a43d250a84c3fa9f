"""A program under measurement: a process whose CPU time is counted, and what all of them are asked to do."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

PATIENCE = 60.0
TICKS = os.sysconf("SC_CLK_TCK")


class Unfit(Exception):
    """A program can't be installed or did not do what was asked of it; one line."""


def until(true: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait until something holds, and say so where it does not."""
    give_up = time.monotonic() + seconds
    while not true():
        if time.monotonic() > give_up:
            raise Unfit(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all its threads, those that ended too (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Peer(Protocol):
    """A program, with a place of its own to put its files."""

    def open(self) -> None:
        """Start it while no message centre is there."""

    def fill(self) -> None:
        """Give it all messages of its load; returns when it has stored them."""

    def go(self) -> None:
        """The message centre is there now: begin, where that does not happen by itself."""

    @property
    def pids(self) -> dict[str, int]:
        """Whose CPU is counted: `program`, and what it can't work without."""

    def check(self) -> None:
        """Raises Unfit unless it counts as the message centre does."""

    def close(self) -> None:
        """End whatever was started."""


class Program:
    """One child process, with its output in a file."""

    def __init__(self, log: Path, *command: object, env: Mapping[str, str] | None = None) -> None:
        self.log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                [str(word) for word in command],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=log.parent,
                env={**os.environ, **(env or {})},
            )
        self.pid = self._popen.pid

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_listening(self, *ports: int) -> None:
        def ready() -> bool:
            if self._popen.poll() is not None:
                last = (self.output.strip().splitlines() or ["nothing said"])[-1]
                raise Unfit(f"{self.log.stem} ended with {self._popen.returncode}: {last}")
            return all(listens(port) for port in ports)

        until(ready, f"{self.log.stem} listens")

    def end(self, seconds: float = 10) -> None:
        """SIGTERM, and SIGKILL if that does not help."""
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(seconds)
        self._popen.kill()
        self._popen.wait()


def run(*command: object, env: Mapping[str, str] | None = None, seconds: float = 300) -> str:
    """A command's output; what it said last where it failed."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=seconds, check=False
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing said"]
        raise Unfit(f"{Path(words[0]).name} ended with {done.returncode}: {said[-1]}")
    return done.stdout
