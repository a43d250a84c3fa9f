"""The configuration: TOML into frozen structs, strictly, before anything starts.

`load` reads a file; `parse` does the work on a table, an environment and a way to read secret files,
so that it needs none of them. Every error names the file, the path of the key, what was found and
what is expected (contract, section 6); all that are found are told at once.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath, PurePosixPath
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec

from smsgw.broker.topology import RETRY_STEPS, ROUTE_KEY, QueueType
from smsgw.channel_settings import CHANNEL_TYPES, ChannelSettings, Name, Positive, impossible, queue_of
from smsgw.errors import ConfigError
from smsgw.strict import Duration, Problem, Secret, Source, convert, join, nearest, shown

Fallible: TypeAlias = "Secret | Source"
Dedupe: TypeAlias = Literal["redelivered", "always"]

STATE_DIR = "/var/lib/smsgw"
MAX_HEARTBEAT = 65_535
"""Seconds; 16 bits of connection.tune (AMQP 0-9-1, 1.4.2.6)."""
ROOT = PurePosixPath("/")


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """`[broker]`. `ca` is a PEM file of the authorities to trust instead of the system's, for amqps."""

    url: Secret | None = None
    prefix: Name = "smsgw"
    queue_type: QueueType = "classic"
    heartbeat: Duration = Duration(10)
    ca: str | None = None
    feeds: bool = True


class LedgerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[ledger]`. `synchronous` full survives a power cut, normal a dying process.

    `dedupe` says when a message id is looked up before it is sent: `redelivered`, where the broker may have
    handed the message out before; `always`, so that a producer may publish an id twice.
    """

    url: Secret | None = None
    keep: Duration = Duration(3 * 86400)
    dedupe: Dedupe = "redelivered"
    synchronous: Literal["full", "normal"] = "full"


class Receipts(msgspec.Struct, frozen=True, kw_only=True):
    """`[receipts]`. How long a receipt waits for the message it is about, before it is an orphan."""

    park: Duration = Duration(60)


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """`[inbound]`: long messages from phones, of which parts are missing.

    `assembly_timeout` after its last part came such a message is published as it is. SMSCs try again
    after some minutes at most, so that ten are enough for a part that was refused or lost once; and whoever
    waits for a message that will never be whole should not wait for hours. `max_parts` bounds the parts
    that are kept for an account.
    """

    assembly_timeout: Duration = Duration(600)
    max_parts: Positive = 100_000


class QueueSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[queues.NAME]`. More than `max_length` messages are refused: the producer sees it in its confirm."""

    max_length: Positive | None = None


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """`[[routes]]`: prefixes of the recipient's digits, and the queues to choose from."""

    to: tuple[Annotated[str, msgspec.Meta(pattern=r"^\+?[0-9]*$")], ...]
    queue: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1)]
    spill: Positive = 10_000


class Manhole(msgspec.Struct, frozen=True, kw_only=True):
    """`[manhole]`: a debug shell over SSH, public keys only."""

    listen: str = "tcp:2222:interface=127.0.0.1"
    authorized_keys: str = "~/.ssh/authorized_keys"
    host_key: str | None = None


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """`[log]`. `privacy = "full"` lets numbers and texts into the log; masked is the default."""

    format: Literal["text", "json"] = "text"
    privacy: Literal["masked", "full"] = "masked"


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """A whole, valid configuration. Secrets are resolved, defaults that depend on others filled in."""

    state_dir: str = STATE_DIR
    stop_timeout: float = 30.0
    broker: Broker = Broker()
    ledger: LedgerSettings = LedgerSettings()
    receipts: Receipts = Receipts()
    inbound: Inbound = Inbound()
    queues: dict[str, QueueSettings] = {}
    channels: dict[str, ChannelSettings] = {}
    routes: tuple[Route, ...] = ()
    manhole: Manhole | None = None
    log: Log = Log()

    @property
    def broker_url(self) -> str:
        return self.broker.url.reveal() if self.broker.url else f"spool://{self.state_dir}/spool.db"

    @property
    def ledger_url(self) -> str:
        return self.ledger.url.reveal() if self.ledger.url else f"sqlite://{self.state_dir}/ledger.db"

    @property
    def queue_names(self) -> tuple[str, ...]:
        """Every configured queue, by its short name, once."""
        fed = [queue_of(name, channel) for name, channel in self.channels.items()]
        return tuple(
            dict.fromkeys([*fed, *(queue for route in self.routes for queue in route.queue), *self.queues])
        )

    @property
    def limited_queues(self) -> frozenset[str]:
        """The short names of those that refuse when they are full."""
        return frozenset(name for name, queue in self.queues.items() if queue.max_length)

    @property
    def retry_steps(self) -> tuple[float, ...]:
        """Every delay that some channel uses; one at least, for routing when all queues are full."""
        steps = {float(step) for channel in self.channels.values() for step in channel.retry}
        return tuple(sorted(steps or {RETRY_STEPS[0]}))


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

Read: TypeAlias = Callable[[str], str]
V = TypeVar("V")


def load(path: str | Path, environ: Mapping[str, str]) -> Configuration:
    """The configuration in a file. Relative paths in it are relative to its folder.

    Raises:
        ConfigError: the file can't be read, is no TOML, or says something wrong; `str()` has one line
            for each problem.
    """
    try:
        table = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise ConfigError(str(path), error.strerror or str(error)) from None
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), f"not UTF-8 at octet {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), f"not TOML: {error}") from None
    folder = Path(path).absolute().parent
    found = parse(table, environ, lambda name: (folder / Path(name).expanduser()).read_text("utf-8"), folder)
    if isinstance(found, Configuration):
        return found
    lines = [f"{path}: {problem.path}: {problem.text}" for problem in found]
    place, _, problem = "\n".join(lines).partition(": ")
    raise ConfigError(place, problem)


def parse(
    table: dict[str, Any], environ: Mapping[str, str], read: Read, folder: PurePath = ROOT
) -> Configuration | list[Problem]:
    """A TOML table as a configuration, or all that is wrong with it.

    `read` gives a secret file's text; `folder` is what a relative `state_dir` is relative to.
    """
    problems: list[Problem] = []
    secrets = _Secrets(environ, read, problems)

    def take(found: V | list[Problem]) -> V | None:
        if isinstance(found, list):
            problems.extend(found)
            return None
        return found

    for key in table:
        if key in _LATER:
            problems.append(Problem(key, _LATER[key]))
        elif key not in _TOP:
            problems.append(Problem(key, f"unknown key{nearest(key, list(_TOP))}"))
    values: dict[str, Any] = {
        name: take(convert(secrets.resolve(table[name], name), kind, name))
        for name, kind in _TABLES.items()
        if name in table
    }
    values |= {key: take(_scalar(table[key], key, kind)) for key, kind in _SCALARS.items() if key in table}
    values["queues"] = {
        name: take(convert(queue, QueueSettings, f"queues.{name}"))
        for name, queue in _tables(table, "queues", problems)
    }
    values["channels"] = {
        name: take(_channel(secrets.resolve(channel, f"channels.{name}"), f"channels.{name}"))
        for name, channel in _tables(table, "channels", problems)
    }
    values["routes"] = tuple(
        take(convert(route, Route, f"routes[{number}]"))
        for number, route in enumerate(_list(table, "routes", problems))
    )
    if problems:
        return problems
    values["state_dir"] = str(folder / values.get("state_dir", STATE_DIR))
    configuration = Configuration(**values)
    return list(_impossible(configuration)) or configuration


class _StateDir(msgspec.Struct):
    value: str


class _StopTimeout(msgspec.Struct):
    value: Duration


_SCALARS: dict[str, type[msgspec.Struct]] = {"state_dir": _StateDir, "stop_timeout": _StopTimeout}


def _scalar(value: object, key: str, kind: type[msgspec.Struct]) -> Any:
    found = convert({"value": value}, kind, "")
    if isinstance(found, list):
        return [Problem(key, problem.text) for problem in found]
    return found.value  # type: ignore[attr-defined]


def _tables(table: dict[str, Any], key: str, problems: list[Problem]) -> list[tuple[str, Any]]:
    tables = table.get(key, {})
    if not isinstance(tables, dict):
        problems.append(Problem(key, f"expected a table of tables, found {shown(tables)}"))
        return []
    for name in tables:
        if not all(char.isalnum() or char in "_-" for char in name) or not name.isascii() or len(name) > 64:
            problems.append(Problem(f'{key}."{name}"', "a name has 1 to 64 ASCII letters, digits, _ and -"))
    return list(tables.items())


def _list(table: dict[str, Any], key: str, problems: list[Problem]) -> list[Any]:
    found = table.get(key, [])
    if isinstance(found, list):
        return found
    problems.append(Problem(key, f"expected a list of tables, found {shown(found)}"))
    return []


def _channel(table: object, path: str) -> ChannelSettings | list[Problem]:
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
    return convert(settings, CHANNEL_TYPES[kind], path)


class _Secrets:
    """Puts the secrets themselves where a table says from where they come."""

    KEYS = ("password", "pin", "url")

    def __init__(self, environ: Mapping[str, str], read: Read, problems: list[Problem]) -> None:
        self._environ = environ
        self._read = read
        self._problems = problems

    def resolve(self, table: Any, path: str) -> Any:
        if not isinstance(table, dict):
            return table
        found = {
            key: self._fetch(table[key], join(path, key))
            for key in self.KEYS
            if isinstance(table.get(key), dict)
        }
        return {**table, **found}

    def _fetch(self, source: dict[str, Any], path: str) -> str:
        where = convert(source, Source, path)
        if isinstance(where, list):
            self._problems.extend(where)
        elif (where.env is None) == (where.file is None):
            self._problems.append(Problem(path, "expected exactly one of env and file"))
        elif where.env is not None:
            if where.env in self._environ:
                return self._environ[where.env]
            self._problems.append(Problem(path, f"the environment variable {where.env} is not set"))
        elif where.file is not None:
            try:
                return self._read(where.file).rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "not UTF-8"
                self._problems.append(Problem(path, f"{where.file}: {reason}"))
        return ""


def _impossible(configuration: Configuration) -> Iterator[Problem]:
    """Settings that are fine one by one and can't work together."""
    if not configuration.channels:
        yield Problem("channels", "at least one channel is needed")
    if not configuration.broker_url.startswith(("spool:///", "amqp://", "amqps://")):
        yield Problem("broker.url", "expected amqp://..., amqps://... or spool:///PATH")
    if configuration.broker.heartbeat > MAX_HEARTBEAT:
        yield Problem("broker.heartbeat", f"AMQP has room for {MAX_HEARTBEAT} s")
    if not configuration.ledger_url.startswith("sqlite:///"):
        yield Problem("ledger.url", "expected sqlite:///PATH")
    if ROUTE_KEY in configuration.queue_names:
        yield Problem("channels", f'no queue can be named "{ROUTE_KEY}": that key goes to the routing rules')
    fed = {queue_of(name, channel) for name, channel in configuration.channels.items()}
    for number, route in enumerate(configuration.routes):
        for queue in route.queue:
            if queue not in fed:
                yield Problem(
                    f"routes[{number}].queue",
                    f'no channel is fed from "{queue}"{nearest(queue, sorted(fed))}',
                )
    for name, channel in configuration.channels.items():
        yield from impossible(f"channels.{name}", channel)
