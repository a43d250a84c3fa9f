"""Where messages wait: RabbitMQ (`smsgw.broker.amqp`) or a SQLite file (`smsgw.broker.spool`)."""
