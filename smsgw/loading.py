"""The configuration file: TOML into the structs of `smsgw.config`, strictly, before anything starts.

`load` reads a file; `parse` does the work on a table, an environment and ways to read and to find
files, so that it needs none of them. Every error names the file, the path of the key, what was found
and what is expected (contract, section 6). All are told at once: of each table all that is wrong,
and of those that are right all that can't work together.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec
from msgspec.structs import replace

from smsgw.broker.topology import ROUTE_KEY
from smsgw.channel_settings import (
    CHANNEL_TYPES,
    ChannelSettings,
    GsmSettings,
    NullSettings,
    impossible,
    queue_of,
)
from smsgw.config import (
    Broker,
    Configuration,
    Inbound,
    LedgerSettings,
    Log,
    Manhole,
    QueueSettings,
    Receipts,
    Route,
)
from smsgw.errors import ConfigError
from smsgw.strict import Duration, Fetch, Problem, Read, convert, join, nearest, shown

MAX_HEARTBEAT = 65_535
"""Seconds; 16 bits of connection.tune (AMQP 0-9-1, 1.4.2.6)."""

UNSETTLED = 1800.0
"""Seconds for which RabbitMQ leaves a delivery without an acknowledgement, as it comes."""


_TABLES: dict[str, type[msgspec.Struct]] = {
    "broker": Broker,
    "ledger": LedgerSettings,
    "receipts": Receipts,
    "inbound": Inbound,
    "manhole": Manhole,
    "log": Log,
}
_TOP = ("state_dir", "stop_timeout", "queues", "channels", "routes", *_TABLES)
_LATER = {"http": "the HTTP interface is not in this version"}

Locate: TypeAlias = Callable[[str], str]
SecretTable: TypeAlias = Literal["broker", "ledger", "channels"]
K = TypeVar("K")
V = TypeVar("V")

ALL_SECRETS: tuple[SecretTable, ...] = ("broker", "ledger", "channels")


def load(
    path: str | Path, environ: Mapping[str, str], secrets: Collection[SecretTable] = ALL_SECRETS
) -> Configuration:
    """The configuration in a file. Relative paths in it are relative to its folder, `~` is a home.

    `secrets` are the tables whose secrets are needed: only those are fetched from where they are, the
    others have their defaults.

    Raises:
        ConfigError: the file can't be read, is no TOML, or says something wrong; `str()` has one line
            for each problem.
    """
    configuration, problems = look_into(path, environ, secrets)
    if problems:
        raise ConfigError.of(f"{problem.path}: {problem.text}" for problem in problems).within(path)
    return configuration


def look_into(
    path: str | Path, environ: Mapping[str, str], secrets: Collection[SecretTable] = ALL_SECRETS
) -> tuple[Configuration, list[Problem]]:
    """As `load`, for those who can do something with what is right of a configuration that is wrong.

    Raises:
        ConfigError: the file can't be read or is no TOML.
    """
    try:
        table = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise ConfigError(str(path), error.strerror or str(error)) from None
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), f"not UTF-8 at octet {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), f"not TOML: {error}") from None

    def locate(name: str) -> str:
        return str(Path(path).absolute().parent / _at_home(name))

    return _parse(table, environ, lambda name: Path(locate(name)).read_text("utf-8"), locate, secrets)


def _at_home(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:  # nobody of that name: whoever opens the file says that there is none
        return Path(name)


def parse(
    table: dict[str, Any],
    environ: Mapping[str, str],
    read: Read,
    locate: Locate = str,
    secrets: Collection[SecretTable] = ALL_SECRETS,
) -> Configuration | list[Problem]:
    """A TOML table as a configuration, or all that is wrong with it.

    `read` gives a secret file's text; `locate` makes a path absolute. `secrets` as for `load`.
    """
    configuration, problems = _parse(table, environ, read, locate, secrets)
    return problems or configuration


def _parse(
    table: dict[str, Any],
    environ: Mapping[str, str],
    read: Read,
    locate: Locate,
    secrets: Collection[SecretTable],
) -> tuple[Configuration, list[Problem]]:
    problems = [*_unknown(table), *_unnamed(table)]
    fetch = Fetch(environ, read, secrets, problems)
    values = _right(_values(table, fetch), problems)
    queues = _right(_each(table, "queues", _queue), problems)
    channels: dict[str, ChannelSettings] = _right(
        _each(table, "channels", partial(_channel, fetch)), problems
    )
    routes = _right(enumerate(_routes(table)), problems)
    configuration = Configuration(**values, queues=queues, channels=channels, routes=tuple(routes.values()))
    configuration = _located(configuration, locate)
    problems += _impossible(configuration)
    problems += _unfed(table, routes)
    if not problems and not channels:
        problems.append(Problem("channels", "at least one channel is needed"))
    return configuration, problems


def _right(found: Iterable[tuple[K, V | list[Problem]]], problems: list[Problem]) -> dict[K, V]:
    """What could be made; `problems` gets what is wrong with the others."""
    made: dict[K, V] = {}
    for key, each in found:
        if isinstance(each, list):
            problems.extend(each)
        else:
            made[key] = each
    return made


# -- tables one by one


def _unknown(table: Mapping[str, Any]) -> Iterator[Problem]:
    for key in table:
        if key in _LATER:
            yield Problem(key, _LATER[key])
        elif key not in _TOP:
            yield Problem(key, f"unknown key{nearest(key, list(_TOP))}")


def _unnamed(table: Mapping[str, Any]) -> Iterator[Problem]:
    """Tables of tables, and lists of them, that are none; and names that are none."""
    for key in ("queues", "channels"):
        tables = table.get(key, {})
        if not isinstance(tables, dict):
            yield Problem(key, f"expected a table of tables, found {shown(tables)}")
            continue
        for name in tables:
            if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
                yield Problem(f'{key}."{name}"', "a name has 1 to 64 ASCII letters, digits, _ and -")
    routes = table.get("routes", [])
    if not isinstance(routes, list):
        yield Problem("routes", f"expected a list of tables, found {shown(routes)}")


def _tables(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = table.get(key)
    return found if isinstance(found, dict) else {}


def _values(table: Mapping[str, Any], fetch: Fetch) -> Iterator[tuple[str, Any]]:
    for name, kind in _TABLES.items():
        if name in table:
            yield name, convert(fetch.into(table[name], name), kind, name)
    for name, scalar in _SCALARS.items():
        if name in table:
            found = convert({name: table[name]}, scalar, "")
            yield name, found if isinstance(found, list) else getattr(found, name)


class _StateDir(msgspec.Struct):
    state_dir: str


class _StopTimeout(msgspec.Struct):
    stop_timeout: Duration


_SCALARS: dict[str, type[msgspec.Struct]] = {"state_dir": _StateDir, "stop_timeout": _StopTimeout}


def _each(
    table: Mapping[str, Any], key: str, make: Callable[[Any, str], V | list[Problem]]
) -> Iterator[tuple[str, V | list[Problem]]]:
    for name, inner in _tables(table, key).items():
        yield name, make(inner, f"{key}.{name}")


def _queue(table: object, path: str) -> QueueSettings | list[Problem]:
    return convert(table, QueueSettings, path)


def _routes(table: Mapping[str, Any]) -> Iterator[Route | list[Problem]]:
    routes = table.get("routes")
    for number, route in enumerate(routes if isinstance(routes, list) else []):
        yield convert(route, Route, f"routes[{number}]")


def _channel(fetch: Fetch, table: object, path: str) -> ChannelSettings | list[Problem]:
    if not isinstance(table, dict):
        return [Problem(path, f"expected a table, found {shown(table)}")]
    settings = {key: value for key, value in table.items() if key != "type"}
    kind = table.get("type")
    if kind is None:
        return [Problem(join(path, "type"), f"required, but missing; one of {', '.join(CHANNEL_TYPES)}")]
    if not isinstance(kind, str) or kind not in CHANNEL_TYPES:
        return [
            Problem(join(path, "type"), f"found {shown(kind)}, expected one of {', '.join(CHANNEL_TYPES)}")
        ]
    return convert(fetch.into(settings, path), CHANNEL_TYPES[kind], path)


# -- paths


def _located(configuration: Configuration, locate: Locate) -> Configuration:
    """With every path from the root."""
    broker, manhole = configuration.broker, configuration.manhole
    return replace(
        configuration,
        state_dir=locate(configuration.state_dir),
        broker=replace(broker, ca=broker.ca and locate(broker.ca)),
        manhole=manhole
        and replace(
            manhole,
            listen=_located_socket(manhole.listen, locate),
            authorized_keys=locate(manhole.authorized_keys),
            host_key=manhole.host_key and locate(manhole.host_key),
        ),
        channels={
            name: channel
            if isinstance(channel, NullSettings)
            else replace(channel, endpoint=_located_socket(channel.endpoint, locate))
            for name, channel in configuration.channels.items()
        },
    )


def _located_socket(endpoint: str, locate: Locate) -> str:
    """The path of `unix:PATH` from the root, whatever else the endpoint says."""
    found = re.match(r"unix:([^/:\\=]+)(?!=)", endpoint)
    if found is None:
        return endpoint
    first = re.sub(r"([:\\])", r"\\\1", locate(found[1]))
    return f"unix:{first}{endpoint[found.end() :]}"


# -- tables together


def _impossible(configuration: Configuration) -> Iterator[Problem]:
    """Settings that are fine one by one and can't work together."""
    yield from _impossible_broker(configuration)
    if not _is_file(configuration.ledger_url, "sqlite"):
        yield Problem("ledger.url", "expected sqlite:///PATH")
    if ROUTE_KEY in configuration.queue_names:
        yield Problem("channels", f'no queue can be named "{ROUTE_KEY}": that key goes to the routing rules')
    for name, channel in configuration.channels.items():
        yield from impossible(f"channels.{name}", channel)
    yield from _one_modem_twice(configuration)


def _one_modem_twice(configuration: Configuration) -> Iterator[Problem]:
    ports: dict[str, str] = {}
    for name, channel in configuration.channels.items():
        if isinstance(channel, GsmSettings):
            other = ports.setdefault(channel.endpoint.partition(":baudrate")[0], name)
            if other != name:
                yield Problem(f"channels.{name}.endpoint", f'the port of channel "{other}" already')


def _impossible_broker(configuration: Configuration) -> Iterator[Problem]:
    url = configuration.broker_url
    if not url.startswith(("amqp://", "amqps://")) and not _is_file(url, "spool"):
        yield Problem("broker.url", "expected amqp://..., amqps://... or spool:///PATH")
    elif url.startswith("amqp") and not _host(url):
        yield Problem("broker.url", "no host: expected amqp://USER:PASSWORD@HOST:PORT/VHOST")
    if configuration.broker.heartbeat > MAX_HEARTBEAT:
        yield Problem("broker.heartbeat", f"AMQP has room for {MAX_HEARTBEAT} s")


def _is_file(url: str, scheme: str) -> bool:
    return url.startswith(f"{scheme}:///") and not url.endswith("/")


def _host(url: str) -> str:
    """As far as it is one; what else is wrong with a URL says whoever reads it."""
    authority = re.split("[/?#]", url.partition("://")[2])[0]
    return authority.rpartition("@")[2].partition(":")[0]


def _unfed(table: Mapping[str, Any], routes: Mapping[int, Route]) -> Iterator[Problem]:
    """Routes that lead nowhere. `table` has the channels, also those that are wrong in other ways."""
    channels = _tables(table, "channels").items()
    fed = {str(each.get("queue", name) if isinstance(each, dict) else name) for name, each in channels}
    for number, route in routes.items():
        for queue in route.queue:
            if queue not in fed:
                yield Problem(
                    f"routes[{number}].queue",
                    f'no channel is fed from "{queue}"{nearest(queue, sorted(fed))}',
                )


def remarks(configuration: Configuration) -> Iterator[Problem]:
    """What works, and is hardly meant."""
    fed = {queue_of(name, channel) for name, channel in configuration.channels.items()}
    for queue in configuration.queues:
        if queue not in fed:
            yield Problem(f"queues.{queue}", f"no channel is fed from it{nearest(queue, sorted(fed))}")
    keep, least = configuration.ledger.keep, max(UNSETTLED, *configuration.retry_steps)
    if keep <= least:
        yield Problem(
            "ledger.keep",
            f"{keep:g} s are not longer than a message can wait between two attempts or for its "
            f"acknowledgement, {least:g} s: what was sent could be forgotten, and sent again",
        )
