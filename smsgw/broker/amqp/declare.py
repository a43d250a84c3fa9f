"""Declaring the topology on a connection, and telling what stands in the way."""

from __future__ import annotations

import re

from twisted.internet.defer import Deferred
from txamqp.client import ChannelClosed

from smsgw.broker.amqp.channel import Quiet, reason_text
from smsgw.broker.amqp.client import Client
from smsgw.broker.base import BrokerError, TopologyError
from smsgw.broker.topology import Topology

PRECONDITION_FAILED = 406


async def declare(client: Client, topology: Topology) -> None:
    """Declare everything on a channel of its own, one after the other.

    Raises:
        TopologyError: something exists with other arguments.
        BrokerError: the broker refuses for another reason, such as a missing permission.
        Closed: the connection ended (txAMQP's).
    """
    channel = client.open_channel(Quiet())
    for exchange in topology.exchanges:
        made = channel.exchange_declare(exchange=exchange.name, type=exchange.kind, durable=True)
        await _done(made, f"exchange {exchange.name}")
    for queue in topology.queues:
        made = channel.queue_declare(queue=queue.name, durable=True, arguments=queue.arguments)
        await _done(made, f"queue {queue.name}")
    for binding in topology.bindings:
        made = channel.queue_bind(queue=binding.queue, exchange=binding.exchange, routing_key=binding.key)
        await _done(made, f"binding of {binding.queue} to {binding.exchange}")
    await channel.leave()


async def _done(made: Deferred[object], what: str) -> None:
    try:
        await made
    except ChannelClosed as error:
        text = reason_text(error)
        if error.args[0].reply_code == PRECONDITION_FAILED:
            raise TopologyError(inequivalent(what, text)) from None
        raise BrokerError(f"{what}: {text}") from None


_INEQUIVALENT = re.compile(
    r"inequivalent arg '(?P<name>[^']+)' for .*: received (?P<ours>.+) but current is (?P<theirs>.+)"
)


def inequivalent(what: str, reply_text: str) -> str:
    """RabbitMQ's words about an argument that differs, in ours."""
    found = _INEQUIVALENT.search(reply_text)
    if found is None:
        return f"{what}: {reply_text}"
    name, ours, theirs = found["name"], found["ours"], found["theirs"]
    return (
        f"{what} exists with other arguments: {name} is {theirs} there, {ours} here; "
        "delete it when it is empty, or change the configuration"
    )
