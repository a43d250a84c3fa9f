"""AMQP addresses, and that nobody sees a password."""

from __future__ import annotations

from typing import Any

import pytest

from smsgw.broker.amqp.url import AmqpUrl, parse
from smsgw.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("amqp://", {}),
        ("amqp://host", {"host": "host"}),
        ("amqp://host:1234/", {"host": "host", "port": 1234}),
        ("amqp://host/%2F", {"host": "host"}),
        ("amqp://host/prod", {"host": "host", "vhost": "prod"}),
        ("amqp://host/a%2Fb%C3%A5", {"host": "host", "vhost": "a/bå"}),
        ("amqp://user@host", {"host": "host", "username": "user"}),
        ("amqp://user:@host", {"host": "host", "username": "user", "password": ""}),
        ("amqp://us%40er:p%3A%2F%40ss@host", {"host": "host", "username": "us@er", "password": "p:/@ss"}),
        ("amqps://host", {"host": "host", "port": 5671, "tls": True}),
        ("amqp://[::1]:5673", {"host": "::1", "port": 5673}),
        ("amqp://host?heartbeat=0", {"host": "host", "heartbeat": 0.0}),
        ("amqp://host?connection_timeout=1500", {"host": "host", "timeout": 1.5}),
        (
            "amqps://host/?cacertfile=/etc/ca.pem",
            {"host": "host", "port": 5671, "tls": True, "ca_file": "/etc/ca.pem"},
        ),
    ],
)
def test_addresses_are_read(url: str, found: dict[str, Any]) -> None:
    assert parse(url) == AmqpUrl(**found)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://host", "expected amqp:// or amqps://"),
        ("amqp://user:sesame@host:port", "not a URL"),
        ("amqp://user:sesame@host:99999", "not a URL"),
        ("amqp://user:sesame@host?heartbeat=often", "heartbeat: expected a number"),
        ("amqp://user:sesame@host?heartbeat=-1", "heartbeat: expected a number"),
        ("amqp://user:sesame@host?verify=none", "unknown parameter verify"),
    ],
)
def test_a_wrong_address_is_an_error_that_hides_the_password(url: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=r"broker\.url") as caught:
        parse(url)
    assert problem in str(caught.value)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://user:sesame@host:1234/a%2Fb", "amqp://user:***@host:1234/a%2Fb"),
        ("amqps://us%40er:sesame@[::1]", "amqps://us%40er:***@[::1]:5671/%2F"),
    ],
)
def test_addresses_are_shown_without_the_password(url: str, shown: str) -> None:
    assert str(parse(url)) == shown
    assert repr(parse(url)) == f"<AmqpUrl {shown}>"
