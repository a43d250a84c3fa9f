"""RabbitMQ, against what every broker must do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from broker.contract import BrokerContract, MakeBroker
from rabbitmq import RabbitNode
from twisted.internet.defer import DeferredList

from smsgw.broker.amqp import AmqpBroker
from smsgw.broker.topology import Topology


@pytest.mark.integration
class TestAmqp(BrokerContract):
    @pytest.fixture
    def make_broker(self, rabbitmq: RabbitNode, reactor_thread: Any, in_reactor: Any) -> Iterator[MakeBroker]:
        made: list[AmqpBroker] = []

        def make(topology: Topology) -> AmqpBroker:
            made.append(AmqpBroker(rabbitmq.url, topology, reactor_thread))
            return made[-1]

        async def stop_all() -> None:
            await DeferredList([broker.stop() for broker in made])

        yield make
        in_reactor(stop_all)
