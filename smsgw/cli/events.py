"""`smsgw events`: what became of the messages, as producers hear it; or what phones have sent."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from smsgw.broker.base import Broker, Delivery
from smsgw.cli.common import config_option, configured, with_broker
from smsgw.errors import Undecodable
from smsgw.gateway.assembly import names_of
from smsgw.message import Event, decode_event, decode_inbound

TAKE = 100
QUIET = 0.5
"""Seconds without a further event after which a queue counts as empty."""


@click.command()
@config_option
@click.option("--follow", "-f", is_flag=True, help="Watch events as they come, taking them from nobody.")
@click.option("--inbound", is_flag=True, help="Messages from phones, in place of events.")
@click.option("--json", "as_json", is_flag=True, help="The events as they are, one JSON object a line.")
def events(file: str, follow: bool, inbound: bool, as_json: bool) -> None:
    """Take the events that wait in the default queue, print them, and end; or --follow.

    Without --follow the events are taken from the queue `smsgw.events`: a second call prints only what has
    come since. With it nothing is taken: whoever reads the queue still gets every event. With --inbound the
    same is done with messages from phones and the queue `smsgw.inbound`.
    """
    configuration = configured(file, os.environ)
    names = names_of(configuration)
    # exchange and default queue have the same name
    source, shown = (names.inbound, message_line) if inbound else (names.events, event_line)

    async def work(reactor: Any, broker: Broker) -> int:
        if follow:
            await broker.watch(source, "#", lambda _, body: show(body, shown, as_json))
            await Deferred()
        else:
            await _take(reactor, broker, source, lambda body: show(body, shown, as_json))
        return 0

    with_broker(configuration, work, interrupted=0)


async def _take(reactor: Any, broker: Broker, queue: str, shown: Callable[[bytes], None]) -> None:
    taken = [0]

    def deliver(delivery: Delivery) -> None:
        shown(delivery.body)
        taken[0] += 1
        delivery.ack()

    consumer = broker.consume(queue, TAKE, deliver)
    before = -1
    while before != taken[0]:
        before = taken[0]
        await deferLater(reactor, QUIET)
    await consumer.cancel()
    consumer.release()


def show(body: bytes, shown: Callable[[bytes], str], as_json: bool) -> None:
    """One event, or one message from a phone, as one line."""
    if as_json:
        click.echo(body.decode())
        return
    try:
        click.echo(shown(body))
    except Undecodable as error:
        click.echo(f"not readable: {error}", err=True)


def message_line(body: bytes) -> str:
    """A message from a phone, for people."""
    message = decode_inbound(body)
    what = message.text if message.text is not None else f"data {(message.data or b'').hex()}"
    lacks = "" if message.complete else " (incomplete)"
    return f"{message.at} {message.channel} {message.from_} to {message.to}: {what!r}{lacks}"


def event_line(body: bytes) -> str:
    """An event for people."""
    return line(decode_event(body))


def line(event: Event) -> str:
    """The recipient is shown: this is the producers' own view, not a log."""
    words = [event.at, f"{event.event:<11}", event.id or "-", event.channel, event.to]
    if event.status is not None and event.status.code:
        words.append(event.status.name)
    details = (event.error, event.stat, f"retry in {event.delay:g} s" if event.delay else None)
    return " ".join(
        [*words, *(detail for detail in details if detail), "(final)" if event.final else ""]
    ).rstrip()
