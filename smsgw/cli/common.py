"""What the commands share: reading the configuration, and a broker for the time of a command."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import click
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.logger import ILogObserver, LogEvent, globalLogBeginner
from zope.interface import implementer

from smsgw.broker.base import Broker
from smsgw.config import Configuration
from smsgw.errors import ConfigError, SmsgwError
from smsgw.loading import load

CONNECT_SECONDS = 10.0
"""How long a command waits for its broker."""

config_option = click.option(
    "--config",
    "-c",
    "file",
    type=click.Path(dir_okay=False),
    envvar="SMSGW_CONFIG",
    required=True,
    help="The gateway's configuration file; also from the environment variable SMSGW_CONFIG.",
)


def configured(file: str, environ: Mapping[str, str]) -> Configuration:
    """The configuration in a file; ends the command with status 1 and a line for each problem."""
    try:
        return load(file, environ)
    except ConfigError as error:
        raise Failed(str(error)) from None


class Failed(click.ClickException):
    """Ends a command with status 1 and one line on stderr."""

    def show(self, file: Any = None) -> None:
        click.echo(f"smsgw: {self.message}", err=True, file=file)


Work = Callable[[Any, Broker], Awaitable[int]]


def with_broker(configuration: Configuration, work: Work, *, interrupted: int = 130) -> None:
    """Run `work(reactor, broker)` with a broker that is up; its result is the exit status."""
    from smsgw.gateway.assembly import broker_of  # noqa: PLC0415  imports all of the gateway

    async def run(reactor: Any) -> int:
        broker = broker_of(configuration, reactor)
        broker.start()
        try:
            await broker.ready().addTimeout(CONNECT_SECONDS, reactor, _unreachable(broker))
            return await work(reactor, broker)
        finally:
            await broker.stop()

    run_reactor(run, interrupted=interrupted)


def _unreachable(broker: Broker) -> Callable[[object, float], None]:
    def say(_: object, seconds: float) -> None:
        raise SmsgwError(f"no broker within {seconds:g} s: {broker.state.error or broker.state.name}")

    return say


def run_reactor(work: Callable[[Any], Awaitable[int]], *, interrupted: int = 130) -> None:
    """Run a coroutine in the reactor and exit with the status that it returns.

    Our own errors are one line on stderr and status 1; `interrupted` is the status after Ctrl-C.
    """
    # Without an observer Twisted would print every log line of a short command to stderr.
    globalLogBeginner.beginLoggingTo([_forget], redirectStandardIO=False)
    status = [interrupted]

    async def guarded(reactor: Any) -> None:
        try:
            status[0] = await work(reactor)
        except click.ClickException as error:
            status[0] = error.exit_code
            error.show()
        except (SmsgwError, OSError) as error:
            status[0] = 1
            click.echo(f"smsgw: {error}", err=True)

    try:
        react(lambda reactor: Deferred.fromCoroutine(guarded(reactor)))
    except SystemExit as ended:
        if ended.code:
            raise
    sys.exit(status[0])


@implementer(ILogObserver)
def _forget(_: LogEvent) -> None:
    """The log of a short command: what matters is printed."""
