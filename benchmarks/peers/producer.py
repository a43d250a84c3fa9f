"""Publishes for smsgw, as any producer would, and counts the events that wait: run by `gateway.py`.

    python producer.py fill CONFIGURATION COUNT none|final TEXT
    python producer.py events CONFIGURATION

Either broker takes both. Publishes are confirmed, some hundreds under way at a time.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any
from uuid import uuid4

from twisted.internet.defer import gatherResults

from smsgw.broker.base import Broker, Properties
from smsgw.cli.common import configured, with_broker
from smsgw.gateway.assembly import names_of

AT_A_TIME = 500


def main() -> None:
    what, file, *rest = sys.argv[1:]
    configuration = configured(file, os.environ)
    names = names_of(configuration)

    async def fill(_: Any, broker: Broker) -> int:
        count, receipt, text = int(rest[0]), rest[1], rest[2]
        for first in range(0, count, AT_A_TIME):
            numbers = range(first, min(first + AT_A_TIME, count))
            await gatherResults(
                [
                    broker.publish(
                        names.submit,
                        configuration.queue_names[0],
                        json.dumps({"to": f"4699{number:07}", "text": text, "receipt": receipt}).encode(),
                        Properties(message_id=uuid4().hex),
                        mandatory=True,
                    )
                    for number in numbers
                ]
            )
        return 0

    async def events(_: Any, broker: Broker) -> int:
        sys.stdout.write(f"{await broker.depth(names.events)}\n")
        return 0

    with_broker(configuration, fill if what == "fill" else events)


if __name__ == "__main__":
    main()
