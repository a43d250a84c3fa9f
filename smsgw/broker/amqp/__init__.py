"""RabbitMQ as the broker: AMQP 0-9-1 on txAMQP's foundations.

`wire` and `content` are the octets (pure), `client` and `channel` one connection, `publisher`, `consumer` and
`watch` what uses its channels, `broker` the whole that reconnects.
"""

from smsgw.broker.amqp.broker import AmqpBroker, Backoff

__all__ = ["AmqpBroker", "Backoff"]
