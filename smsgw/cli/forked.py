"""The other processes of `smsgw bench`: the gateway, and a message centre where one is simulated.

They are forked before anything has imported a reactor, since a reactor does not survive a fork, and so
that no configuration has to be written down with its secrets. Each ends at SIGTERM, or when whoever
forked it is gone.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)

from smsgw.cli.common import forgotten
from smsgw.clock import follow_monotonic_time
from smsgw.config import Configuration
from smsgw.errors import SmsgwError
from smsgw.simulator.behaviour import Behaviour

LOOK = 0.5
"""Seconds between looks at whether the others are still there."""


def trouble(configuration: Configuration) -> str:
    """The last warning of the gateway's log, if there is one."""
    lines = log_of(configuration).read_text("utf-8").splitlines() if log_of(configuration).exists() else []
    return f": {lines[-1]}" if lines else ""


def log_of(configuration: Configuration) -> Path:
    return Path(configuration.state_dir) / "bench.log"


def cpu_seconds(pid: int) -> float | None:
    """User and system time of a process and its threads so far; None where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve_gateway(configuration: Configuration) -> None:
    """The gateway, until SIGTERM."""
    from smsgw.gateway.assembly import check_stores, gateway_of  # noqa: PLC0415  imports all of the gateway

    observer = FilteringLogObserver(
        textFileLogObserver(log_of(configuration).open("w")), [LogLevelFilterPredicate(LogLevel.warn)]
    )
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    reactor = _reactor()
    try:
        check_stores(configuration)
        gateway = gateway_of(configuration, reactor)
    except SmsgwError as error:
        log_of(configuration).write_text(f"{error}\n")
        return
    reactor.callWhenRunning(gateway.startService)
    reactor.addSystemEventTrigger("before", "shutdown", gateway.stopService)
    reactor.run()


def simulate(port: int, response_delay: float) -> None:
    """A message centre that takes everybody, until SIGTERM."""
    from smsgw.simulator.smsc import serve  # noqa: PLC0415

    globalLogBeginner.beginLoggingTo([forgotten], redirectStandardIO=False)
    reactor = _reactor()
    where = f"tcp:{port}:interface=127.0.0.1"
    serve(reactor, where, Behaviour(response_delay=response_delay))
    reactor.run()


def _reactor() -> Any:
    """This process's own reactor, which also ends when the bench itself was killed."""
    from twisted.internet import reactor  # noqa: PLC0415  importing it installs one

    follow_monotonic_time(reactor)
    parent = os.getppid()

    def look() -> None:
        if os.getppid() != parent:
            reactor.stop()

    LoopingCall(look).start(LOOK, now=False)
    return reactor
