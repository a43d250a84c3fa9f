"""The fixtures `start` and `producer`: processes that end with the test, however it ends."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from processes import Process, Producer

P = TypeVar("P", bound=Process)


@pytest.fixture
def start() -> Iterator[Callable[..., Any]]:
    """`start(Class, ...)` makes a process that the end of the test kills."""
    started: list[Process] = []

    def begin(kind: type[P], *args: Any, **kwargs: Any) -> P:
        process = kind(*args, **kwargs)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.close()


@pytest.fixture
def producer(rabbitmq: Any) -> Producer:
    """A producer with a prefix of its own on the session's RabbitMQ."""
    return Producer(rabbitmq.url, f"t{secrets.token_hex(4)}")
