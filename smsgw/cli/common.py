"""What the commands share: reading the configuration, and a broker for the time of a command."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import click
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.logger import ILogObserver, LogEvent, globalLogBeginner
from zope.interface import implementer

from smsgw.broker.base import Broker
from smsgw.config import Configuration
from smsgw.errors import ConfigError, SmsgwError
from smsgw.loading import SecretTable, load

CONNECT_SECONDS = 10.0
"""How long a command waits for its broker."""

PRODUCERS_SECRETS: tuple[SecretTable, ...] = ("broker",)

config_option = click.option(
    "--config",
    "-c",
    "file",
    type=click.Path(dir_okay=False),
    envvar="SMSGW_CONFIG",
    required=True,
    help="The gateway's configuration file; also from the environment variable SMSGW_CONFIG.",
)


def configured(
    file: str, environ: Mapping[str, str], secrets: Collection[SecretTable] = PRODUCERS_SECRETS
) -> Configuration:
    """The configuration in a file; ends the command with status 1 and a line for each problem.

    `secrets` are the tables whose secrets the command needs: a producer has none of a channel's.
    """
    try:
        return load(file, environ, secrets)
    except ConfigError as error:
        raise Failed(str(error)) from None


class Failed(click.ClickException):
    """Ends a command with status 1 and a line on stderr for each of its message."""

    def show(self, file: Any = None) -> None:
        for line in self.message.splitlines():
            click.echo(f"smsgw: {line}", err=True, file=file)


class TextCommand(click.Command):
    """One with a TEXT that may begin with a hyphen, and then looks like an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            hint = 'A TEXT that begins with "-" goes last, after "--".'
            raise click.UsageError(f"{error.format_message()} {hint}", ctx) from None


Work = Callable[[Any, Broker], Awaitable[int]]


def with_broker(configuration: Configuration, work: Work, *, interrupted: int = 130) -> None:
    """Run `work(reactor, broker)` with a broker that is up; its result is the exit status."""
    from smsgw.gateway.assembly import broker_of  # noqa: PLC0415  imports all of the gateway

    async def run(reactor: Any) -> int:
        broker = broker_of(configuration, reactor)
        broker.start()
        try:
            await ready(broker, reactor)
            return await work(reactor, broker)
        finally:
            await broker.stop()

    run_reactor(run, interrupted=interrupted)


async def ready(broker: Broker, reactor: Any) -> None:
    """Wait for a broker that was started, but not for ever. Raises SmsgwError."""
    await broker.ready().addTimeout(CONNECT_SECONDS, reactor, _unreachable(broker))


def _unreachable(broker: Broker) -> Callable[[object, float], None]:
    def say(_: object, seconds: float) -> None:
        raise SmsgwError(f"no broker within {seconds:g} s: {broker.state.error or broker.state.name}")

    return say


def run_reactor(work: Callable[[Any], Awaitable[int]], *, interrupted: int = 130) -> None:
    """Run a coroutine in the reactor and exit with the status that it returns.

    Our own errors are one line on stderr and status 1; `interrupted` is the status after Ctrl-C.
    """
    # Without an observer Twisted would print every log line of a short command to stderr.
    globalLogBeginner.beginLoggingTo([forgotten], redirectStandardIO=False)
    status = [interrupted]

    async def guarded(reactor: Any) -> None:
        try:
            status[0] = await work(reactor)
        except click.ClickException as error:
            status[0] = error.exit_code
            error.show()
        except (SmsgwError, OSError) as error:
            Failed(str(error)).show()
            status[0] = 1

    try:
        react(lambda reactor: Deferred.fromCoroutine(guarded(reactor)))
    except SystemExit as ended:
        if ended.code:
            raise
    sys.exit(status[0])


@implementer(ILogObserver)
def forgotten(_: LogEvent) -> None:
    """The log of a short command: what matters is printed."""
