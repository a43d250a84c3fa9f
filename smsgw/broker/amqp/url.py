"""`amqp://user:password@host:port/vhost?heartbeat=10` and its TLS twin `amqps:`. Pure.

As RabbitMQ's URI specification has it; an absent or empty vhost is `/`. Whoever shows an address to
a person uses `str()`, which hides the password.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import msgspec

from smsgw.errors import ConfigError

HEARTBEAT = 10.0
CONNECT_SECONDS = 10.0


class AmqpUrl(msgspec.Struct, frozen=True, kw_only=True):
    """Where a broker is and who we are there. `heartbeat` and `timeout` are in seconds."""

    host: str = "localhost"
    port: int = 5672
    vhost: str = "/"
    username: str = "guest"
    password: str = "guest"  # noqa: S105  RabbitMQ's own default
    tls: bool = False
    heartbeat: float = HEARTBEAT
    timeout: float = CONNECT_SECONDS
    ca_file: str | None = None

    def __str__(self) -> str:
        scheme = "amqps" if self.tls else "amqp"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{quote(self.username)}:***@{host}:{self.port}/{quote(self.vhost, safe='')}"

    def __repr__(self) -> str:
        return f"<AmqpUrl {self}>"


def parse(url: str, heartbeat: float = HEARTBEAT) -> AmqpUrl:
    """Read a URL. `heartbeat` is for one that says nothing of it.

    Raises:
        ConfigError: what is wrong, without the password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError("broker.url", f"not a URL: {error}") from None
    if parts.scheme not in ("amqp", "amqps"):
        raise ConfigError("broker.url", f"expected amqp:// or amqps://, found {parts.scheme}://")
    tls = parts.scheme == "amqps"
    return AmqpUrl(
        host=parts.hostname or "localhost",
        port=port or (5671 if tls else 5672),
        vhost=unquote(parts.path[1:]) or "/",
        username=unquote(parts.username or "guest"),
        password=unquote(parts.password if parts.password is not None else "guest"),
        tls=tls,
        **{"heartbeat": heartbeat, **_options(parts.query)},
    )


_OPTIONS = {"heartbeat": "heartbeat", "connection_timeout": "timeout", "cacertfile": "ca_file"}


def _options(query: str) -> dict[str, Any]:
    """RabbitMQ's query parameters that mean something here; `connection_timeout` is in milliseconds."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _OPTIONS:
            known = ", ".join(_OPTIONS)
            raise ConfigError("broker.url", f"unknown parameter {name}; expected one of {known}")
        found[_OPTIONS[name]] = _from_root(value) if name == "cacertfile" else _seconds(name, value)
    return found


def _from_root(path: str) -> str:
    """A URL is the same wherever it stands, so the folder of no file counts."""
    if not path.startswith("/"):
        raise ConfigError("broker.url", f"cacertfile: expected a path from the root, found {path}")
    return path


def _seconds(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 65535:
        raise ConfigError("broker.url", f"{name}: expected a number from 0 to 65535, found {value}")
    return number / 1000 if name == "connection_timeout" else number
