"""A queue that is full: producers are refused, and nothing that was taken before is lost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pika
import pytest
from processes import Gateway, Producer, Smsc, configuration, until

pytestmark = pytest.mark.integration

Start = Callable[..., Any]
LIMIT = 5


def publish(producer: Producer, numbers: range) -> tuple[list[str], list[str]]:
    """The ids that the broker took, and those that it refused."""
    taken, refused = [], []
    with producer.channel() as channel:
        channel.confirm_delivery()
        for number in numbers:
            body = json.dumps({"to": f"+4670{number:07}", "text": f"message {number}"}).encode()
            properties = pika.BasicProperties(message_id=f"m{number}", delivery_mode=2)
            try:
                channel.basic_publish(f"{producer.prefix}.submit", "acme", body, properties, mandatory=True)
            except pika.exceptions.NackError:
                refused.append(f"m{number}")
            else:
                taken.append(f"m{number}")
    return taken, refused


def test_a_retry_that_meets_a_full_queue_is_not_lost(
    tmp_path: Path, start: Start, producer: Producer
) -> None:
    (tmp_path / "behaviour.toml").write_text(
        'response_delay = 0.5\ndestinations = { "46700000000" = "0x00000008" }\n'
        'refuse_first = { "46700000000" = 1 }\n'
    )
    smsc = start(Smsc, tmp_path, "--behaviour", str(tmp_path / "behaviour.toml"))
    settings = configuration(
        port=smsc.port, broker=producer.url, prefix=producer.prefix, width=1, channel='retry = ["1s", "1s"]'
    )
    gateway = start(Gateway, tmp_path, settings + f"[queues.acme]\nmax_length = {LIMIT}\n")
    gateway.wait_up()
    producer.wait_declared()
    first, _ = publish(producer, range(1))
    until(lambda: len(smsc.entries("refused")) == 1, 20, "it is refused for now, and waits for its retry")
    taken, refused, number = list(first), 0, 1
    give_up = time.monotonic() + 4  # longer than the retry waits: the queue is full all the while
    while time.monotonic() < give_up:
        more, full = publish(producer, range(number, number + 5))
        taken += more
        refused += len(full)
        number += 5
        time.sleep(0.02)
    assert refused > LIMIT
    assert producer.wait_for_finals(taken, 60) == {"delivered": len(taken)}
    assert gateway.end() == 0
    assert gateway.troubles == []
