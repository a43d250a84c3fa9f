"""`smsgw send`: publish one message, as any producer would."""

from __future__ import annotations

import base64
import json
import os
import time
from typing import Any
from uuid import uuid4

import click
from twisted.internet.defer import Deferred

from smsgw.broker.base import Broker, Properties
from smsgw.broker.topology import ROUTE_KEY
from smsgw.cli.common import Failed, TextCommand, config_option, configured, with_broker
from smsgw.config import Configuration
from smsgw.errors import Undecodable
from smsgw.gateway.assembly import names_of
from smsgw.message import Event, decode, decode_event


@click.command(cls=TextCommand)
@config_option
@click.option("--to", required=True, help="The recipient, E.164 with or without +.")
@click.option("--from", "sender", help="The sender; default: the channel's.")
@click.option(
    "--queue", help="The queue, or `route`; default: the only one, or `route` where there are rules."
)
@click.option(
    "--encoding", type=click.Choice(["auto", "gsm7", "ucs2", "latin1"]), default="auto", show_default=True
)
@click.option("--receipt", type=click.Choice(["none", "final", "all"]), default="final", show_default=True)
@click.option("--deadline", help="Seconds from now, or ISO 8601: never sent after it.")
@click.option(
    "--priority", type=click.IntRange(0, 3), default=1, show_default=True, help="0 bulk ... 3 urgent."
)
@click.option("--id", "message_id", help="The message's id (idempotency key); default: a new one.")
@click.option("--data", "as_data", is_flag=True, help="TEXT is hexadecimal octets.")
@click.option("--flash", is_flag=True, help="Shown at once, not stored (class 0).")
@click.option(
    "--wait", type=float, help="Wait so many seconds for the final event; fails without `delivered`."
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.argument("text")
def send(
    file: str,
    queue: str | None,
    message_id: str | None,
    priority: int,
    wait: float | None,
    as_json: bool,
    **fields: Any,
) -> None:
    """Publish TEXT as one message and print its id once the broker has stored it."""
    configuration = configured(file, os.environ)
    key = chosen_queue(configuration, queue)
    body = json.dumps(message_of(**fields), ensure_ascii=False).encode()
    try:
        decode(body, now=time.time())
    except Undecodable as error:
        raise click.UsageError(str(error)) from None
    properties = Properties(
        message_id=message_id or uuid4().hex, priority=priority, timestamp=int(time.time())
    )

    async def work(reactor: Any, broker: Broker) -> int:
        final = await _final_event(configuration, broker, properties.message_id or "") if wait else None
        names = names_of(configuration)
        await broker.publish(names.submit, key, body, properties, mandatory=True)
        _say(as_json, properties.message_id, key)
        if final is None:
            return 0
        event = await final.addTimeout(wait or 0, reactor, lambda *_: None)
        if event is None:
            raise Failed(f"no final event within {wait:g} s")
        click.echo(json.dumps({"event": event.event}) if as_json else event.event)
        return 0 if event.event in ("delivered", "accepted") else 1

    with_broker(configuration, work)


def message_of(
    *,
    to: str,
    sender: str | None,
    text: str,
    as_data: bool,
    deadline: str | None,
    flash: bool,
    encoding: str,
    receipt: str,
) -> dict[str, Any]:
    """The body of a publish, without what is the default."""
    message: dict[str, Any] = {"to": to}
    if as_data:
        try:
            message["data"] = base64.b64encode(bytes.fromhex(text)).decode()
        except ValueError:
            raise click.UsageError("TEXT: expected hexadecimal octets") from None
    else:
        message["text"] = text
    given = {"from": sender, "deadline": _deadline(deadline), "flash": flash or None}
    message |= {name: value for name, value in given.items() if value is not None}
    message |= {"encoding": encoding} if encoding != "auto" else {}
    message |= {"receipt": receipt} if receipt != "final" else {}
    return message


def _deadline(value: str | None) -> str | float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return value


def chosen_queue(configuration: Configuration, queue: str | None) -> str:
    """The routing key: what was asked for, else what can only be meant."""
    known = configuration.queue_names
    if queue is None:
        if configuration.routes:
            return ROUTE_KEY
        if len(known) == 1:
            return known[0]
        raise click.UsageError(f"--queue is needed: one of {', '.join(known)}")
    if queue != ROUTE_KEY and queue not in known:
        raise click.UsageError(
            f'--queue: there is no queue "{queue}"; known: {", ".join((*known, ROUTE_KEY))}'
        )
    return queue


async def _final_event(
    configuration: Configuration, broker: Broker, message_id: str
) -> Deferred[Event | None]:
    """A Deferred for a message's final event, watched for from before it is published."""
    found: Deferred[Event | None] = Deferred()

    def heard(_: str, body: bytes) -> None:
        event = decode_event(body)
        if event.id == message_id and event.final and not found.called:
            found.callback(event)

    await broker.watch(names_of(configuration).events, "#", heard)
    return found


def _say(as_json: bool, message_id: str | None, queue: str) -> None:
    click.echo(json.dumps({"id": message_id, "queue": queue}) if as_json else message_id)
