"""`smsgw simulate smsc`: the message centre as a process of its own."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import click
import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, react

from smsgw.clock import MonotonicClock
from smsgw.errors import ConfigError
from smsgw.simulator.behaviour import Behaviour, convert, read_fields
from smsgw.simulator.smsc import MessageCentre, listen


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
@click.option("--report-each", type=float, default=0.0, help="Print the counts so often, in seconds.")
@click.option("--seed", type=int, help="Where chance starts.")
@click.option("--response-delay", type=float, help="Seconds to a submit_sm_resp.")
@click.option("--response-jitter", type=float, help="Up to so many seconds more.")
@click.option("--receipt-delay", type=float, help="Seconds to a receipt.")
@click.option("--receipt-form", type=click.Choice(["text", "tlv", "both", "variants"]))
@click.option(
    "--message-id",
    type=click.Choice(
        [
            "decimal",
            "hex",
            "hex-in-response",
            "hex-in-receipt",
            "leading-zeros",
            "upper-in-receipt",
            "uuid",
            "long",
        ]
    ),
)
@click.option("--throttle", type=float, help="Submits a second; above it ESME_RTHROTTLED.")
@click.option("--queue-full", type=int, help="Unanswered submits; above it ESME_RMSGQFUL.")
@click.option("--refuse-binds", type=int, help="The first so many; -1 for every one.")
@click.option("--early-receipts", type=float, help="The share of receipts before their response.")
@click.option("--malformed", type=float, help="The share of responses that are spoilt.")
@click.option("--drop-every", type=float, help="Cut each session after so many seconds.")
@click.option("--unbind-every", type=float, help="Unbind each session after so many seconds.")
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
    try:
        given = {name: value for name, value in fields.items() if value is not None}
        written = read_fields(file) if file else {}
        behaviour = convert({**written, **given}, str(file or "options"))
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    accounts = {system_id: password} if system_id else {}
    try:
        react(
            lambda reactor: Deferred.fromCoroutine(
                _serve(reactor, where, behaviour, accounts, log, report_each)
            )
        )
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None


async def _serve(
    reactor: Any,
    where: str,
    behaviour: Behaviour,
    accounts: dict[str, str],
    log: Path | None,
    report_each: float,
) -> None:
    centre = MessageCentre(behaviour, MonotonicClock(reactor), accounts, log)
    port = await listen(reactor, where, centre)
    host: Any = port.getHost()
    click.echo(f"listening on {host.host}:{host.port}" if hasattr(host, "port") else f"listening on {where}")
    reports = LoopingCall(lambda: click.echo(json.dumps(msgspec.to_builtins(centre.counts))))
    if report_each:
        reports.start(report_each, now=False)
    ended: Deferred[None] = Deferred()
    reactor.callWhenRunning(_take_signals, reactor, ended)  # after the reactor has set its own
    await ended
    if reports.running:
        reports.stop()
    await port.stopListening()  # type: ignore[misc]
    await centre.unbind_all()
    centre.close()
    click.echo(json.dumps(msgspec.to_builtins(centre.report())))


def _take_signals(reactor: Any, ended: Deferred[None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: reactor.callFromThread(_end, ended))


def _end(ended: Deferred[None]) -> None:
    if not ended.called:
        ended.callback(None)
