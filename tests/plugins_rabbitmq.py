"""The fixture `rabbitmq`: one RabbitMQ node for the whole session, our own, on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rabbitmq import RabbitNode, sbin


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitNode]:
    """A running node; the test is skipped where RabbitMQ is not installed."""
    if sbin() is None:
        pytest.skip("RabbitMQ is not installed: apt-get install rabbitmq-server")
    node = RabbitNode(tmp_path_factory.mktemp("rabbitmq"))
    try:
        node.start()
        yield node
    finally:
        node.close()
