"""From settings to parts: what is configured arrives."""

from __future__ import annotations

import pytest
from twisted.internet.testing import MemoryReactorClock

from smsgw.broker.amqp import AmqpBroker
from smsgw.config import Configuration
from smsgw.gateway.assembly import broker_of
from smsgw.loading import parse

AMQP = "amqp://guest:guest@127.0.0.1:5672/%2F"


def configured(**broker: object) -> Configuration:
    found = parse({"broker": broker, "channels": {"dry": {"type": "null"}}}, {}, str)
    assert isinstance(found, Configuration), found
    return found


@pytest.mark.parametrize(
    ("broker", "heartbeat"),
    [
        ({"url": AMQP}, 10),
        ({"url": AMQP, "heartbeat": "3s"}, 3),
        ({"url": f"{AMQP}?heartbeat=7", "heartbeat": "3s"}, 7),
    ],
)
def test_the_heartbeat_is_the_urls_or_the_settings(broker: dict[str, object], heartbeat: float) -> None:
    made = broker_of(configured(**broker), MemoryReactorClock())
    assert isinstance(made, AmqpBroker)
    assert made.url.heartbeat == heartbeat
