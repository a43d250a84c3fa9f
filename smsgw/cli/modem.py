"""`smsgw modem NAME info|probe|ussd CODE`: what a modem says, with the gateway running or without it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any, cast, get_args

import click
import msgspec
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from smsgw.broker.base import Unavailable
from smsgw.channel.base import Channel, Claimed, Session
from smsgw.channel_settings import GsmSettings
from smsgw.cli.common import Failed, config_option, configured, run_reactor
from smsgw.clock import MonotonicClock
from smsgw.config import Configuration
from smsgw.control import NoGateway, Request, request
from smsgw.folding import Report
from smsgw.gateway.assembly import gsm_channel
from smsgw.gateway.modems import Asked, ask
from smsgw.loading import SecretTable
from smsgw.message import Submission
from smsgw.metrics import Metrics
from smsgw.outcome import Outcome
from smsgw.sms.join import Fragment

SECRETS: tuple[SecretTable, ...] = ("channels",)
"""A modem that is opened here wants its PIN."""

STEP = 0.1
"""Seconds between two looks at a modem that gets ready."""


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
@click.option("--patience", type=float, default=60.0, show_default=True, help="Seconds for it to get ready.")
@click.argument("name")
@click.argument("what", type=click.Choice(get_args(Asked)))
@click.argument("code", required=False)
def modem(file: str, as_json: bool, patience: float, name: str, what: str, code: str | None) -> None:
    """Ask the modem of channel NAME: info (what is known), probe (look now), or ussd CODE.

    The running gateway is asked where there is one. Else the modem is opened for as long as this takes; it is
    left with all that it has received.
    """
    configuration = configured(file, os.environ, SECRETS)
    settings = configuration.channels.get(name)
    if not isinstance(settings, GsmSettings):
        raise Failed(f"channels.{name}: no modem has that name")
    if what == "ussd" and not code:
        raise click.UsageError("ussd needs a CODE, such as '*100#'")
    if what != "ussd" and code:
        raise click.UsageError(f"{what} takes no CODE")
    asked = cast(Asked, what)

    async def work(reactor: Any) -> int:
        try:
            answer = await request(reactor, configuration.state_dir, Request(name, asked, code))
        except NoGateway:
            answer = await _alone(reactor, configuration, name, asked, code, patience)
        _show(answer, as_json)
        return 1 if answer.get("problem") else 0

    run_reactor(work)


def _show(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(answer))
        return
    for key, value in answer.items():
        if value not in (None, "", [], {}):
            click.echo(f"{key}: {_plain(value)}")


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {found}" for name, found in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


async def _alone(
    reactor: Any, configuration: Configuration, name: str, what: Asked, code: str | None, patience: float
) -> dict[str, object]:
    """With the modem opened here. One that does not get ready tells what is known of it."""
    clock = MonotonicClock(reactor)
    # what comes while nobody takes it is to lie in the modem's storage
    settings = msgspec.structs.replace(configuration.channels[name], receive="stored")
    configuration = msgspec.structs.replace(configuration, channels={name: settings})
    channel = gsm_channel(name, configuration, Nobody(), Metrics(), reactor)
    channel.start()
    try:
        until = clock.seconds() + patience
        while not channel.session.ready and clock.seconds() < until and not channel.session.hopeless:
            await deferLater(reactor, STEP)
        if what == "probe" and not channel.session.ready:
            what = "info"
        answer = await ask({name: channel}, name, what, code)
        if channel.session.ready:
            return answer
        return {**answer, "problem": channel.session.link.state.error or "it does not get ready"}
    finally:
        await channel.stop()


class Nobody:
    """The upstream of a modem that is only looked at: what it has received stays with it."""

    def opened(self, session: Session) -> None:
        pass

    def closed(self, session: Session) -> Deferred[None]:
        return succeed(None)

    def receipt(
        self,
        channel: Channel,
        candidates: Sequence[tuple[str, str]],
        recipient: str,
        report: Report,
        claimed: Claimed,
    ) -> None:
        claimed(Failure(Unavailable("nobody takes it")))  # type: ignore[no-untyped-call]

    def taken_late(self, channel: Channel, submission: Submission, outcome: Outcome) -> Deferred[None]:
        return succeed(None)

    def inbound(self, channel: Channel, source: str, destination: str, fragment: Fragment) -> Deferred[None]:
        return fail(Unavailable("nobody takes it"))
