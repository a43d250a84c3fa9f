"""From a configuration to a gateway: the one place that knows every part's class."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from twisted.internet.defer import execute
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IStreamClientEndpoint

from smsgw.broker.base import Broker
from smsgw.broker.spool import Spool
from smsgw.broker.topology import Names, Topology, topology
from smsgw.channel.base import Channel, Upstream
from smsgw.channel.gsm import GsmChannel
from smsgw.channel.null import NullChannel
from smsgw.channel.reset import runner
from smsgw.channel.smpp import SmppChannel
from smsgw.channel_settings import ChannelSettings, GsmSettings, NullSettings, SmppSettings, queue_of
from smsgw.clock import MonotonicClock
from smsgw.config import Configuration
from smsgw.errors import ConfigError, Misuse, StorageError
from smsgw.gateway.routing import Rule
from smsgw.gateway.service import Gateway
from smsgw.ledger.sqlite import SCHEMA, SqliteLedger
from smsgw.metrics import Metrics
from smsgw.sqlite import Database, WorkerThread


def names_of(configuration: Configuration) -> Names:
    return Names(configuration.broker.prefix)


def topology_of(configuration: Configuration) -> Topology:
    """What the configured queues and channels need of a broker."""
    limits = {name: queue.max_length for name, queue in configuration.queues.items() if queue.max_length}
    return topology(
        configuration.queue_names,
        names=names_of(configuration),
        queue_type=configuration.broker.queue_type,
        max_length=limits,
        retry_steps=configuration.retry_steps,
        feeds=configuration.broker.feeds,
    )


def broker_of(configuration: Configuration, reactor: Any) -> Broker:
    """The broker that the URL says, not yet started.

    Raises:
        ConfigError: the URL or the CA file is wrong.
    """
    url = configuration.broker_url
    wanted = topology_of(configuration)
    if url.startswith("spool:"):
        return Spool(_path(url), wanted, reactor, wall=time.time)
    from smsgw.broker.amqp import AmqpBroker  # noqa: PLC0415  2 MB that a spool has no use for

    settings = configuration.broker
    return AmqpBroker(url, wanted, reactor, ca_file=settings.ca, heartbeat=settings.heartbeat)


def ledger_of(configuration: Configuration, reactor: Any) -> SqliteLedger:
    """The ledger, not yet open."""
    worker = WorkerThread(reactor, "ledger")
    database = Database(
        _path(configuration.ledger_url),
        SCHEMA,
        synchronous="FULL" if configuration.ledger.synchronous == "full" else "NORMAL",
        run_in_thread=worker,
    )
    return SqliteLedger(database, worker.stop)


def gateway_of(configuration: Configuration, reactor: Any) -> Gateway:
    """The whole gateway, not yet started.

    Raises:
        ConfigError: an endpoint or a URL that no part understands.
    """
    gateway = Gateway(
        broker_of(configuration, reactor),
        ledger_of(configuration, reactor),
        names=names_of(configuration),
        rules=rules_of(configuration),
        keep=configuration.ledger.keep,
        park=configuration.receipts.park,
        assembly_timeout=configuration.inbound.assembly_timeout,
        max_parts=configuration.inbound.max_parts,
        stop_timeout=configuration.stop_timeout,
        dedupe=configuration.ledger.dedupe,
        route_delay=configuration.retry_steps[0],
        limited=configuration.limited_queues,
        clock=MonotonicClock(reactor),
    )
    gateway.channels.update(channels_of(configuration, gateway, reactor))
    return gateway


def rules_of(configuration: Configuration) -> list[Rule]:
    return [Rule(route.to, route.queue, route.spill) for route in configuration.routes]


def channels_of(configuration: Configuration, gateway: Gateway, reactor: Any) -> dict[str, Channel]:
    """Every configured channel, not yet started; `gateway` is what they work for.

    Raises:
        ConfigError: endpoints that Twisted does not understand, a line for each.
    """
    clock = MonotonicClock(reactor)
    made: dict[str, Channel] = {}
    wrong = []
    for name, settings in configuration.channels.items():
        try:
            made[name] = _channel(name, settings, configuration, gateway, reactor, clock)
        except ConfigError as error:
            wrong.append(str(error))
    if wrong:
        place, _, problem = "\n".join(wrong).partition(": ")
        raise ConfigError(place, problem)
    return made


def _channel(
    name: str,
    settings: ChannelSettings,
    configuration: Configuration,
    gateway: Gateway,
    reactor: Any,
    clock: MonotonicClock,
) -> Channel:
    if isinstance(settings, NullSettings):
        return NullChannel(
            name,
            queue=queue_of(name, settings),
            width=settings.width,
            rate=settings.rate,
            delay=settings.delay,
            upstream=gateway,
            clock=clock,
            now=gateway.now,
        )
    if isinstance(settings, GsmSettings):
        return gsm_channel(name, configuration, gateway, gateway.metrics, reactor)
    return SmppChannel(
        name,
        settings,
        endpoint(settings, f"channels.{name}.endpoint", reactor),
        upstream=gateway,
        metrics=gateway.metrics,
        clock=clock,
        now=gateway.now,
    )


def gsm_channel(
    name: str, configuration: Configuration, upstream: Upstream, metrics: Metrics, reactor: Any
) -> GsmChannel:
    """The channel of a modem, not yet started; `configuration` has it under this name.

    Raises:
        ConfigError: an endpoint that Twisted does not understand.
    """
    settings = configuration.channels[name]
    if not isinstance(settings, GsmSettings):
        raise Misuse(f"{name} is no modem")
    return GsmChannel(
        name,
        settings,
        endpoint(settings, f"channels.{name}.endpoint", reactor),
        state=Path(configuration.state_dir) / "modems",
        run=runner(reactor),
        upstream=upstream,
        metrics=metrics,
        clock=MonotonicClock(reactor),
        now=time.time,
    )


def endpoint(settings: SmppSettings | GsmSettings, place: str, reactor: Any) -> IStreamClientEndpoint:
    """The endpoint that a string describes.

    Raises:
        ConfigError: Twisted does not understand it, or a certificate that it names can't be read.
    """
    try:
        found: IStreamClientEndpoint = clientFromString(reactor, settings.endpoint)  # type: ignore[no-untyped-call]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ConfigError(place, f"not an endpoint: {error}") from error
    except OSError as error:
        raise ConfigError(place, f"{error.filename}: {error.strerror}") from error
    return found


def _path(url: str) -> Path:
    """The path of `spool:///var/lib/...` or `sqlite:///var/lib/...`."""
    return Path(url.split("://", 1)[1])


def check_stores(configuration: Configuration) -> None:
    """Open the ledger's file and close it again, before anything starts and before a daemon forks.

    Makes `state_dir` where it is missing, since its default stores live there.

    Raises:
        StorageError: one line with the path and the reason.
    """
    state_dir = Path(configuration.state_dir)
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"state_dir {state_dir}: {error.strerror}") from error
    ledger = Database(_path(configuration.ledger_url), SCHEMA, run_in_thread=execute)
    ledger.open()
    ledger.close()
