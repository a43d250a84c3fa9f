"""`smsgw demo`: a gateway, its broker and a simulated message centre in one process.

Ten messages of different kinds are published by a producer with a broker connection of its own; their
events are shown as they come. Without `--once` it stays up, and says how to talk to it from another
terminal.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
from twisted.internet.defer import Deferred

from smsgw.broker.base import Broker, Properties
from smsgw.cli.common import run_reactor
from smsgw.cli.events import line
from smsgw.gateway.assembly import broker_of, gateway_of, names_of
from smsgw.loading import load
from smsgw.message import decode_event
from smsgw.simulator.behaviour import Behaviour
from smsgw.simulator.smsc import serve

QUEUE = "demo"
PATIENCE = 60.0
"""Seconds for all ten to be delivered."""

TEN: tuple[tuple[str, dict[str, Any]], ...] = (
    ("plain text", {"text": "Hello from smsgw"}),
    ("accents and the euro sign, still GSM 7-bit", {"text": "Café à Malmö: 5 € [ok]"}),
    ("UCS-2, because of one character", {"text": "Привет"}),
    ("emoji: surrogate pairs", {"text": "On our way 🚚"}),
    ("three parts, which the phone joins", {"text": "0123456789" * 40}),
    ("from a name", {"text": "Your code is 4711", "from": "ACME"}),
    ("from a short code", {"text": "Reply STOP to stop", "from": "72123"}),
    ("only worth it for ten minutes", {"text": "Your taxi is here", "deadline": 600}),
    ("flash: shown at once, not stored", {"text": "Storm warning", "flash": True}),
    ("with the producer's own data", {"text": "Order shipped", "meta": {"order": 1234}}),
)

CONFIGURATION = """\
state_dir = {state_dir}

[broker]
url = {broker}
prefix = "smsgw-demo"

[channels.demo]
type = "smpp"
endpoint = "tcp:127.0.0.1:{port}"
system_id = "demo"
password = "demo"
width = 4
"""


@click.command()
@click.option("--once", is_flag=True, help="End by itself; status 0 only if all ten were delivered.")
@click.option("--broker", "url", help="amqp://... instead of the embedded broker.")
def demo(once: bool, url: str | None) -> None:
    """Ten messages through a simulated message centre, and what became of them."""
    with tempfile.TemporaryDirectory(prefix="smsgw-demo-") as folder:
        run_reactor(lambda reactor: _demo(reactor, Path(folder), once, url), interrupted=0)


async def _demo(reactor: Any, folder: Path, once: bool, url: str | None) -> int:
    behaviour = Behaviour(response_delay=0.05, receipt_delay=0.3, receipt_jitter=0.4)
    port: Any = await serve(reactor, "tcp:0:interface=127.0.0.1", behaviour, {"demo": "demo"})
    path = folder / "demo.toml"
    path.write_text(
        CONFIGURATION.format(
            state_dir=json.dumps(str(folder)),
            broker=json.dumps(url or f"spool://{folder}/spool.db"),
            port=port.getHost().port,
        )
    )
    configuration = load(path, os.environ)
    gateway = gateway_of(configuration, reactor)
    producer = broker_of(configuration, reactor)
    gateway.startService()
    producer.start()
    try:
        await producer.ready().addTimeout(PATIENCE, reactor)
        show = Show(len(TEN))
        await producer.watch(names_of(configuration).events, "#", show.heard)
        await _publish(producer, names_of(configuration).submit, show)
        await show.done.addTimeout(PATIENCE, reactor, lambda *_: None)
        show.summary()
        if not once:
            click.echo(
                f"\nStill running. From another terminal: smsgw send -c {path} --to +46700000011 Hello"
            )
            await Deferred()
    finally:
        await producer.stop()
        await gateway.stopService()
        await port.stopListening()
    return 0 if show.delivered == len(TEN) else 1


async def _publish(producer: Broker, exchange: str, show: Show) -> None:
    for number, (kind, message) in enumerate(TEN, 1):
        properties = Properties(message_id=uuid4().hex, timestamp=int(time.time()))
        show.expect(properties.message_id or "", kind)
        body = json.dumps({"to": f"+467000000{number:02}", "from": "smsgw", **message}).encode()
        await producer.publish(exchange, QUEUE, body, properties, mandatory=True)


class Show:
    """Prints events as they come, and knows when the last final one is there."""

    def __init__(self, count: int) -> None:
        self.done: Deferred[None] = Deferred()
        self._count = count
        self._kinds: dict[str, str] = {}
        self._finals: dict[str, str] = {}
        self._began = time.monotonic()

    @property
    def delivered(self) -> int:
        return list(self._finals.values()).count("delivered")

    def expect(self, message_id: str, kind: str) -> None:
        self._kinds[message_id] = kind

    def heard(self, _: str, body: bytes) -> None:
        event = decode_event(body)
        kind = self._kinds.get(event.id)
        click.echo(line(event) + (f"  -- {kind}" if kind else ""))
        if event.final and kind:
            self._finals[event.id] = event.event
            if len(self._finals) == self._count and not self.done.called:
                self.done.callback(None)

    def summary(self) -> None:
        seconds = time.monotonic() - self._began
        click.echo(f"\n{self.delivered} of {self._count} delivered in {seconds:.1f} s")
        for message_id, kind in self._kinds.items():
            if self._finals.get(message_id) != "delivered":
                click.echo(f"  {self._finals.get(message_id, 'no final event')}: {kind}")
