"""`smsgw simulate smsc`: the message centre as a process of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import click
import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.error import BindError
from twisted.internet.task import LoopingCall, react

from smsgw.clock import MonotonicClock
from smsgw.errors import ConfigError, SmsgwError
from smsgw.simulator.behaviour import IdForm, ReceiptForm, convert, read_fields
from smsgw.simulator.signals import signalled
from smsgw.simulator.smsc import MessageCentre, listen
from smsgw.simulator.tally import Report, summary

DESTINATIONS = 10_000
"""With more destinations than these, the printed report leaves them out; the journal has them all."""


@click.command()
@click.option(
    "--listen",
    "where",
    default="tcp:2775:interface=127.0.0.1",
    show_default=True,
    help="A Twisted server endpoint string; port 0 takes a free one.",
)
@click.option(
    "--behaviour",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A TOML file with any fields of the behaviour; options given here win.",
)
@click.option("--system-id", help="The one account; default: everyone may bind.")
@click.option("--password", default="", help="Its password.")
@click.option(
    "--log",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Every message as a JSON line in this file.",
)
@click.option("--report-each", type=float, default=0.0, help="Print a line of counts so often, in seconds.")
@click.option("--seed", type=int, help="Where chance starts.")
@click.option("--response-delay", type=float, help="Seconds to a submit_sm_resp.")
@click.option("--response-jitter", type=float, help="Up to so many seconds more.")
@click.option("--never-answer", type=float, help="The share of submits that get no response.")
@click.option("--receipts", type=float, help="The share of receipts that come, of those asked for.")
@click.option("--receipt-delay", type=float, help="Seconds to a receipt.")
@click.option("--receipt-form", type=click.Choice(get_args(ReceiptForm)))
@click.option("--early-receipts", type=float, help="The share of receipts before their response.")
@click.option("--message-id", type=click.Choice(get_args(IdForm)))
@click.option("--throttle", type=float, help="Submits a second; above it ESME_RTHROTTLED.")
@click.option("--queue-full", type=int, help="Unanswered submits; above it ESME_RMSGQFUL.")
@click.option("--refuse-binds", type=int, help="The first so many; -1 for every one.")
@click.option("--bind-limit", type=int, help="Sessions of an account; above it ESME_RALYBND.")
@click.option("--malformed", type=float, help="The share of responses that are spoilt.")
@click.option("--segment", type=int, help="Octets in a TCP segment; 1 is octet by octet.")
@click.option("--drop-after", type=int, help="Cut each session at its so many-th submit.")
@click.option("--drop-every", type=float, help="Cut each session after so many seconds.")
@click.option("--unbind-every", type=float, help="Unbind each session after so many seconds.")
@click.option("--inbound-rate", type=float, help="Inbound messages a second and account.")
@click.option("--inbound-limit", type=int, help="At most so many inbound messages an account.")
def smsc(
    where: str,
    file: Path | None,
    system_id: str | None,
    password: str,
    log: Path | None,
    report_each: float,
    **fields: Any,
) -> None:
    """A simulated SMPP message centre, as nasty as asked for.

    Prints `listening on HOST:PORT` when it is ready, and at SIGTERM or Ctrl-C, when its sessions are unbound,
    its counts as one JSON object.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        behaviour = convert({**(read_fields(file) if file else {}), **given}, str(file or "options"))
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    problems: list[str] = []

    async def guarded(reactor: Any) -> None:
        try:
            accounts = {system_id: password} if system_id else {}
            centre = MessageCentre(behaviour, MonotonicClock(reactor), accounts, log)
            await _serve(reactor, where, centre, report_each)
        except (OSError, ValueError, BindError, SmsgwError) as error:
            problems.append(str(error).rstrip("."))

    try:
        react(lambda reactor: Deferred.fromCoroutine(guarded(reactor)))
    except SystemExit as ended:
        if ended.code:
            raise
    if problems:
        raise click.ClickException(problems[0])


async def _serve(reactor: Any, where: str, centre: MessageCentre, report_each: float) -> None:
    port = await listen(reactor, where, centre)
    host: Any = port.getHost()
    click.echo(f"listening on {host.host}:{host.port}" if hasattr(host, "port") else f"listening on {where}")
    summaries = LoopingCall(_Summary(centre, report_each))
    if report_each:
        summaries.start(report_each, now=False)
    await signalled(reactor)
    if summaries.running:
        summaries.stop()
    await port.stopListening()  # type: ignore[misc]
    await centre.unbind_all()
    centre.close()
    click.echo(json.dumps(msgspec.to_builtins(_printable(centre.report()))))


def _printable(report: Report) -> Report:
    few = len(report.destinations) <= DESTINATIONS
    return report if few else msgspec.structs.replace(report, destinations={})


class _Summary:
    """Prints, each time it is called, what happened since the last time."""

    def __init__(self, centre: MessageCentre, seconds: float) -> None:
        self._centre = centre
        self._seconds = seconds
        self._before = Report()

    def __call__(self) -> None:
        now = msgspec.structs.replace(self._centre.counts)
        click.echo(summary(self._before, now, self._seconds))
        self._before = now
