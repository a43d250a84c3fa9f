"""From a configuration to a gateway: the one place that knows every part's class.

What can be found wrong without connecting anywhere is found here, and all of it at once.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from OpenSSL.crypto import Error as CryptoError
from OpenSSL.SSL import Error as TlsError
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
from smsgw.config import Broker as BrokerSettings
from smsgw.config import Configuration
from smsgw.errors import ConfigError, Misuse, StorageError, Wrong
from smsgw.gateway.routing import Rule
from smsgw.gateway.service import Gateway
from smsgw.ledger.sqlite import SCHEMA, SqliteLedger
from smsgw.metrics import Metrics
from smsgw.sqlite import Database, WorkerThread
from smsgw.strict import shown

T = TypeVar("T")


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
    if url.startswith("spool:///") and _path(url).name:
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
        ConfigError: URLs, endpoints and files that no part can use, a line for each.
    """
    wrong = Wrong()
    broker = wrong.attempt(partial(broker_of, configuration, reactor)) or _stand_in(configuration, reactor)
    gateway = Gateway(
        broker,
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
    gateway.channels.update(wrong.attempt(partial(channels_of, configuration, gateway, reactor)) or {})
    wrong.tell()
    return gateway


def _stand_in(configuration: Configuration, reactor: Any) -> Broker:
    """A broker that is never started: so the channels of a configuration can be tried without its own."""
    return broker_of(msgspec.structs.replace(configuration, broker=BrokerSettings()), reactor)


def rules_of(configuration: Configuration) -> list[Rule]:
    return [Rule(route.to, route.queue, route.spill) for route in configuration.routes]


def channels_of(configuration: Configuration, gateway: Gateway, reactor: Any) -> dict[str, Channel]:
    """Every configured channel, not yet started; `gateway` is what they work for.

    Raises:
        ConfigError: endpoints that Twisted does not understand, a line for each.
    """
    clock = MonotonicClock(reactor)
    wrong = Wrong()
    made = {
        name: wrong.attempt(partial(_channel, name, settings, configuration, gateway, reactor, clock))
        for name, settings in configuration.channels.items()
    }
    wrong.tell()
    return {name: channel for name, channel in made.items() if channel is not None}


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
        ConfigError: Twisted does not understand it, or a certificate that it names can't be used.
    """
    made: Callable[[str], IStreamClientEndpoint] = partial(clientFromString, reactor)
    return understood(settings.endpoint, place, made)


def understood(text: str, place: str, make: Callable[[str], T]) -> T:
    """What Twisted makes of the string of an endpoint.

    Raises:
        ConfigError: it does not understand it, or a file that the string names can't be used.
    """
    try:
        return make(text)
    except (ValueError, KeyError, TypeError, IndexError, RuntimeError) as error:
        reason = re.sub(r"^[\w.]+\(\) ", "", str(error))  # which function of Twisted's says so
        raise ConfigError(place, f"not an endpoint: {reason}; found {shown(text)}") from error
    except OSError as error:
        cause = getattr(error, "originalException", error)  # FilePath has the real one in it
        raise ConfigError(place, f"{cause.filename}: {cause.strerror}") from error
    except (CryptoError, TlsError) as error:
        raise ConfigError(place, f"no certificate and key that go together: {shown(text)}") from error


def _path(url: str) -> Path:
    """The path of `spool:///var/lib/...` or `sqlite:///var/lib/...`."""
    return Path(url.partition("://")[2])


def check_folders(configuration: Configuration) -> None:
    """See that the files of the ledger and the spool have folders; makes none.

    Raises:
        ConfigError: one line for each that could not be made where it is wanted.
    """
    wrong = Wrong()
    for place, folder, path in _stores(configuration):
        wrong.attempt(partial(_check_folder, place, folder, path))
    wrong.tell()


def _stores(configuration: Configuration) -> Iterator[tuple[str, Path, Path]]:
    """The setting, the folder that must be there, and the file or folder that is to be in it."""
    state_dir = Path(configuration.state_dir)
    there = next(folder for folder in (state_dir, *state_dir.parents) if os.path.lexists(folder))
    yield "state_dir", there, state_dir
    urls = {"ledger.url": configuration.ledger_url, "broker.url": configuration.broker_url}
    for place, url in urls.items():
        if url.startswith(("sqlite:///", "spool:///")) and _path(url).parent != state_dir:
            yield place, _path(url).parent, _path(url)


def _check_folder(place: str, folder: Path, path: Path) -> None:
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise ConfigError(place, f"{path}: {error.strerror}") from error


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
