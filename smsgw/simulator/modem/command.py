"""`smsgw simulate modem`: the modem as a process of its own."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click
import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import BindError
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.task import react

from smsgw.clock import MonotonicClock
from smsgw.errors import ConfigError, SmsgwError
from smsgw.simulator.agenda import Agenda
from smsgw.simulator.behaviour import read_fields
from smsgw.simulator.journal import Journal
from smsgw.simulator.modem.behaviour import Behaviour, convert
from smsgw.simulator.modem.families import FAMILIES
from smsgw.simulator.modem.modem import Modem
from smsgw.simulator.modem.station import ControlFactory, PseudoTerminal, Station
from smsgw.simulator.signals import signalled


@click.command()
@click.option(
    "--link",
    type=click.Path(path_type=Path),
    help="A symbolic link to the pseudo terminal; it stays when the terminal changes.",
)
@click.option("--control", help="Where JSON lines are taken: a Twisted server endpoint, unix:PATH.")
@click.option(
    "--behaviour",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A TOML file with any fields of the behaviour; options given here win.",
)
@click.option(
    "--log",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Every message as a JSON line in this file.",
)
@click.option("--family", type=click.Choice(list(FAMILIES)), help="Whose modem it is.")
@click.option("--seed", type=int, help="Where chance starts.")
@click.option("--imei", help="Its own number.")
@click.option("--imsi", help="The SIM's.")
@click.option("--pin", help="The SIM wants it.")
@click.option("--latency", type=float, help="Seconds to every answer.")
@click.option("--submit-delay", type=float, help="Seconds to the network's answer.")
@click.option("--report-delay", type=float, help="Seconds to a status report.")
@click.option("--registration", type=float, help="Seconds until it is registered.")
@click.option("--noise", type=float, help="The share of answers with unsolicited lines in their midst.")
@click.option("--lost", type=float, help="The share of octets that are lost.")
@click.option("--garbled", type=float, help="The share of octets that become others.")
@click.option("--hang", type=float, help="The share of commands after which it hangs.")
@click.option("--hang-in-send", type=float, help="The share of messages after whose PDU it hangs.")
@click.option("--reset-every", type=float, help="Restarts by itself after so many seconds.")
def modem(link: Path | None, control: str | None, file: Path | None, log: Path | None, **fields: Any) -> None:
    """A simulated GSM modem on a pseudo terminal, as nasty as asked for.

    Prints `modem at PATH` when it is ready, and at SIGTERM or Ctrl-C its counts as one JSON object.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        behaviour = convert({**(read_fields(file) if file else {}), **given}, str(file or "options"))
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    problems: list[str] = []

    async def guarded(reactor: Any) -> None:
        try:
            await _serve(reactor, behaviour, link, control, log)
        except (OSError, ValueError, BindError, SmsgwError) as error:
            problems.append(str(error).rstrip("."))

    try:
        react(lambda reactor: Deferred.fromCoroutine(guarded(reactor)))
    except SystemExit as ended:
        if ended.code:
            raise
    if problems:
        raise click.ClickException(problems[0])


async def _serve(
    reactor: Any, behaviour: Behaviour, link: Path | None, control: str | None, log: Path | None
) -> None:
    clock = MonotonicClock(reactor)
    journal = Journal(log, Agenda(clock))
    simulated = Modem(behaviour, clock.seconds(), time.time(), journal.write if journal else None)
    station = Station(simulated, clock, lambda heard: PseudoTerminal(reactor, heard), link)
    port: Any = None
    if control is not None:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, control)  # type: ignore[no-untyped-call]
        port = await endpoint.listen(ControlFactory(station))
    station.plug()
    click.echo(f"modem at {station.name}")
    await signalled(reactor)
    station.close()
    if port is not None:
        await port.stopListening()
    journal.close()
    click.echo(json.dumps(msgspec.to_builtins(simulated.report())))
