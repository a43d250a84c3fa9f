"""`smsgw bench`: how many messages a second, how late, and for how much CPU.

Three processes, forked before any of them has a reactor: the gateway, with one channel and its queues in a
folder or a broker of the bench's own; with --simulated a message centre; and this one, which publishes and
hears the events as any producer would. So the gateway's CPU is the gateway's alone.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import tempfile
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import click
import msgspec
from twisted.internet.task import LoopingCall

from smsgw.channel_settings import ChannelSettings, NullSettings, SmppSettings, queue_of
from smsgw.cli.common import configured, ready, run_reactor
from smsgw.cli.forked import LOOK, cpu_seconds, free_port, serve_gateway, simulate, trouble
from smsgw.cli.load import Load, Percentiles, percentiles
from smsgw.clock import MonotonicClock
from smsgw.config import Broker as BrokerSettings
from smsgw.config import Configuration
from smsgw.strict import Secret

PREFIX = "smsgw-bench"
NULL = "null"
SIMULATED = "simulated"
PATIENCE = 20.0
"""Seconds without an event after which nothing is expected any more."""

NUMBERS = "+447700900000-+447700900999"
"""Which Ofcom keeps free for drama: no phone has one of them."""

TEXT = "A message of ordinary length, as shops send them to say that a parcel has come."


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """`rate` is in messages a second, `offered` what it was asked to be; `cpu` in microseconds a message."""

    channel: str
    broker: str
    width: int
    messages: int
    ends: dict[str, int]
    seconds: float
    rate: float
    offered: float | None
    waiting: int | None
    latency: Percentiles
    cpu: float | None


@click.command()
@click.option(
    "--config", "-c", "file", type=click.Path(dir_okay=False), help="A configuration, for --channel."
)
@click.option("--channel", "name", help="One of its channels; default: a null channel, which sends nothing.")
@click.option("--simulated", is_flag=True, help="A simulated message centre in place of the channel's own.")
@click.option("--response-delay", type=float, default=0.0, help="Seconds until that one answers.")
@click.option(
    "--yes", is_flag=True, help="Really send, through a channel of --config, to its message centre."
)
@click.option("--messages", "-n", type=click.IntRange(1, 10_000_000), default=20_000, show_default=True)
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Messages offered a second.")
@click.option(
    "--waiting",
    type=click.IntRange(1, 50_000),
    default=500,
    show_default=True,
    help="Without --rate: how many are published and not ended at any time.",
)
@click.option("--width", type=click.IntRange(1, 10_000), help="Instead of the channel's own.  [null: 100]")
@click.option("--to", "numbers", default=NUMBERS, show_default=True, help="NUMBER or FIRST-LAST, in turn.")
@click.option("--text", default=TEXT, help="What they say.")
@click.option("--receipts", is_flag=True, help="Ask for receipts: a message ends with its own.")
@click.option("--broker", "url", help="amqp://... instead of the embedded spool.")
@click.option(
    "--folder", type=click.Path(file_okay=False), help="For spool and ledger, on the disk of interest."
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def bench(
    file: str | None,
    name: str | None,
    simulated: bool,
    response_delay: float,
    yes: bool,
    width: int | None,
    url: str | None,
    folder: str | None,
    numbers: str,
    text: str,
    receipts: bool,
    **load: Any,
) -> None:
    """Measure messages a second, the time until a message's final event, and the gateway's CPU.

    Without options: what the gateway itself can do, into a channel that sends nothing. The queues are a spool
    in a temporary folder, or a broker's own under the prefix smsgw-bench.
    """
    name, channel, base = chosen(file, name, simulated)
    if not (simulated or yes or isinstance(channel, NullSettings)):
        raise click.UsageError(
            f'channel "{name}" may send to real phones: {load["messages"]} messages that someone pays for. '
            "--yes if that is what you want; else --simulated, or no --channel"
        )
    channel = msgspec.structs.replace(channel, width=width or channel.width)
    load["body"] = bodies(numbers, text, receipts)
    context = multiprocessing.get_context("fork")
    children: list[Any] = []
    with tempfile.TemporaryDirectory(prefix="smsgw-bench-", dir=folder) as place:
        if simulated and isinstance(channel, SmppSettings):
            port = free_port()
            channel = msgspec.structs.replace(channel, endpoint=f"tcp:127.0.0.1:{port}")
            children.append(context.Process(target=simulate, args=(port, response_delay), daemon=True))
        configuration = alone(base, name, channel, url, place)
        gateway = context.Process(target=serve_gateway, args=(configuration,), daemon=True)
        children.append(gateway)
        for child in children:
            child.start()
        try:
            run_reactor(lambda reactor: _bench(reactor, configuration, gateway, **load))
        finally:
            for child in reversed(children):
                child.terminate()
                child.join()


def chosen(file: str | None, name: str | None, simulated: bool) -> tuple[str, ChannelSettings, Configuration]:
    """The channel to measure, under its name, and the configuration that it is from.

    Raises:
        UsageError: there is no such channel, or nothing that could be simulated.
    """
    if file is None or name is None:
        if name is not None or file is not None:
            raise click.UsageError("--config and --channel go together")
        if simulated:
            return SIMULATED, SmppSettings(endpoint="", system_id="bench", width=100), Configuration()
        return NULL, NullSettings(width=100), Configuration()
    configuration = configured(file, os.environ)
    channel = configuration.channels.get(name)
    if channel is None:
        known = ", ".join(configuration.channels)
        raise click.UsageError(f'--channel: there is no channel "{name}"; known: {known}')
    if simulated and not isinstance(channel, SmppSettings):
        raise click.UsageError(f'--simulated: channel "{name}" has no message centre')
    return name, channel, configuration


def alone(
    base: Configuration, name: str, channel: ChannelSettings, url: str | None, folder: str
) -> Configuration:
    """That channel and no other, with a broker and a ledger of the bench's own."""
    return msgspec.structs.replace(
        base,
        state_dir=folder,
        broker=BrokerSettings(url=Secret(url) if url else None, prefix=PREFIX, feeds=False),
        ledger=msgspec.structs.replace(base.ledger, url=None),
        channels={name: channel},
        queues={},
        routes=(),
        manhole=None,
    )


def bodies(numbers: str, text: str, receipts: bool) -> Callable[[int], bytes]:
    """The body of each message from its number: the recipients in turn.

    Raises:
        UsageError: no number, or a range that runs backwards.
    """
    found = re.fullmatch(r"(\+?)([0-9]{3,15})(?:-\+?([0-9]{3,15}))?", numbers.replace(" ", ""))
    if found is None or int(found[3] or found[2]) < int(found[2]):
        raise click.UsageError(f"--to: expected NUMBER or FIRST-LAST, found {numbers!r}")
    plus, first = found[1], int(found[2])
    count, digits = int(found[3] or first) - first + 1, len(found[2])
    receipt = "final" if receipts else "none"

    def body(number: int) -> bytes:
        to = f"{plus}{first + number % count:0{digits}}"
        return _encode({"to": to, "from": "smsgw", "text": text, "receipt": receipt})

    return body


_encode = msgspec.json.Encoder().encode


async def _bench(
    reactor: Any,
    configuration: Configuration,
    gateway: Any,
    *,
    messages: int,
    rate: float | None,
    waiting: int,
    body: Callable[[int], bytes],
    as_json: bool,
) -> int:
    from smsgw.gateway.assembly import broker_of, names_of  # noqa: PLC0415  imports all of the gateway

    ((name, channel),) = configuration.channels.items()
    names = names_of(configuration)
    clock = MonotonicClock(reactor)
    broker = broker_of(configuration, reactor)

    async def run(count: int, start: Callable[[Load], None]) -> Load:
        load = Load(
            broker,
            names.submit,
            queue_of(name, channel),
            body,
            count=count,
            run=uuid4().hex,
            clock=clock,
        )
        loads.append(load)
        start(load)
        await _over(load, gateway, configuration, clock)
        return load

    def heard(key: str, octets: bytes) -> None:
        for load in loads[-1:]:  # an earlier bench's messages may end before ours begin
            load.heard(key, octets)

    loads: list[Load] = []
    broker.start()
    try:
        await ready(broker, reactor)
        await broker.watch(names.events, "#", heard)
        await run(1, lambda first: first.start_closed(1))  # so long the gateway may be starting
        before = cpu_seconds(gateway.pid)
        load = await run(messages, lambda load: load.start_open(rate) if rate else load.start_closed(waiting))
        after = cpu_seconds(gateway.pid)
    finally:
        await broker.stop()
    cpu = None if before is None or after is None else round((after - before) / messages * 1e6, 1)
    result = result_of(configuration, load, rate, None if rate else waiting, cpu)
    click.echo(json.dumps(msgspec.to_builtins(result)) if as_json else told(result))
    return 0 if set(result.ends) <= {"accepted", "delivered"} else 1


def result_of(
    configuration: Configuration, load: Load, rate: float | None, waiting: int | None, cpu: float | None
) -> Result:
    ((name, channel),) = configuration.channels.items()
    return Result(
        channel=name,
        broker=configuration.broker_url.partition(":")[0],
        width=channel.width,
        messages=load.ended,
        ends=dict(load.ends),
        seconds=round(load.seconds, 3),
        rate=round(load.ended / load.seconds, 1),
        offered=rate,
        waiting=waiting,
        latency=percentiles(load.took),
        cpu=cpu,
    )


def told(result: Result) -> str:
    """A result for people."""
    offered = f"{result.offered:,g} a second offered" if result.offered else f"{result.waiting:,} at any time"
    latency, cpu = (
        result.latency,
        "not known here" if result.cpu is None else f"{result.cpu:,.0f} us a message",
    )
    ends = ", ".join(f"{count:,} {kind}" for kind, count in sorted(result.ends.items()))
    return (
        f"channel {result.channel}, width {result.width}, {result.broker}: {offered}\n"
        f"  {ends} in {result.seconds:.1f} s\n"
        f"  messages/s  {result.rate:,.0f}\n"
        f"  latency     p50 {latency.p50:.1f} ms, p90 {latency.p90:.1f}, p99 {latency.p99:.1f}, "
        f"max {latency.max:.1f}: from the publish to the final event\n"
        f"  gateway CPU {cpu}"
    )


async def _over(load: Load, gateway: Any, configuration: Configuration, clock: MonotonicClock) -> None:
    """Wait until a load has ended; not for ever."""
    began = clock.seconds()

    def look() -> None:
        idle = clock.seconds() - max(load.last, began)
        if not gateway.is_alive():
            load.fail(f"the gateway ended{trouble(configuration)}")
        elif idle > PATIENCE:
            load.fail(f"nothing ended for {PATIENCE:g} s, {load.ended} had before{trouble(configuration)}")

    looking = LoopingCall(look)
    looking.clock = clock
    looking.start(LOOK, now=False)
    try:
        await load.done
    finally:
        looking.stop()
        load.stop()
