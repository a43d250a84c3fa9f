"""`smsgw events`: what became of the messages, as producers hear it."""

from __future__ import annotations

import os
from typing import Any

import click
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from smsgw.broker.base import Broker, Delivery
from smsgw.cli.common import config_option, configured, with_broker
from smsgw.config import Configuration
from smsgw.errors import Undecodable
from smsgw.gateway.assembly import names_of
from smsgw.message import Event, decode_event

TAKE = 100
QUIET = 0.5
"""Seconds without a further event after which a queue counts as empty."""


@click.command()
@config_option
@click.option("--follow", "-f", is_flag=True, help="Watch events as they come, taking them from nobody.")
@click.option("--json", "as_json", is_flag=True, help="The events as they are, one JSON object a line.")
def events(file: str, follow: bool, as_json: bool) -> None:
    """Take the events that wait in the default queue, print them, and end; or --follow.

    Without --follow the events are taken from the queue `smsgw.events`: a second call prints only what has
    come since. With it nothing is taken: whoever reads the queue still gets every event.
    """
    configuration = configured(file, os.environ)

    async def work(reactor: Any, broker: Broker) -> int:
        if follow:
            await broker.watch(names_of(configuration).events, "#", lambda _, body: show(body, as_json))
            await Deferred()
        else:
            await _take(reactor, broker, configuration, as_json)
        return 0

    with_broker(configuration, work, interrupted=0)


async def _take(reactor: Any, broker: Broker, configuration: Configuration, as_json: bool) -> None:
    taken = [0]

    def deliver(delivery: Delivery) -> None:
        show(delivery.body, as_json)
        taken[0] += 1
        delivery.ack()

    consumer = broker.consume(names_of(configuration).events, TAKE, deliver)
    before = -1
    while before != taken[0]:
        before = taken[0]
        await deferLater(reactor, QUIET)
    await consumer.cancel()
    consumer.release()


def show(body: bytes, as_json: bool) -> None:
    """One event as one line."""
    if as_json:
        click.echo(body.decode())
        return
    try:
        click.echo(line(decode_event(body)))
    except Undecodable as error:
        click.echo(f"not an event: {error}", err=True)


def line(event: Event) -> str:
    """An event for people. The recipient is shown: this is the producers' own view, not a log."""
    words = [event.at, f"{event.event:<11}", event.id or "-", event.channel, event.to]
    if event.status is not None and event.status.code:
        words.append(event.status.name)
    details = (event.error, event.stat, f"retry in {event.delay:g} s" if event.delay else None)
    return " ".join(
        [*words, *(detail for detail in details if detail), "(final)" if event.final else ""]
    ).rstrip()
