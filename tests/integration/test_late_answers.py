"""A message centre that answers after its time, or never: what was taken is not sent again where that can
be known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import Gateway, Producer, Smsc, configuration

pytestmark = pytest.mark.integration

Start = Callable[..., Any]
CHANNEL = 'retry = ["4s", "4s", "4s", "4s"]\ntimers = { response = "2s" }\n'


def run(
    tmp_path: Path, start: Start, producer: Producer, behaviour: str, count: int = 300
) -> tuple[Counter[str], int]:
    """How often each message was taken, and how many were told to be retried; all are delivered."""
    (tmp_path / "behaviour.toml").write_text(behaviour)
    smsc = start(Smsc, tmp_path, "--behaviour", str(tmp_path / "behaviour.toml"), "--seed", "7")
    gateway = start(
        Gateway,
        tmp_path,
        configuration(
            port=smsc.port, broker=producer.url, prefix=producer.prefix, width=100, channel=CHANNEL
        ),
    )
    gateway.wait_up()
    ids = producer.publish(count)
    assert producer.wait_for_finals(ids, 90) == {"delivered": count}
    assert gateway.end() == 0
    assert gateway.troubles == []
    told = Counter(event["event"] for events in producer.events.values() for event in events)
    return Counter(entry["text"] for entry in smsc.entries("accepted")), told["retrying"]


def test_what_was_answered_late_is_not_sent_again(tmp_path: Path, start: Start, producer: Producer) -> None:
    taken, retried = run(tmp_path, start, producer, "late_answer = 0.1\nlate_delay = 3")
    assert retried > 10, "some were answered after their time"
    assert set(taken.values()) == {1}
    assert len(taken) == 300


def test_what_is_never_answered_is_sent_again_until_it_is(
    tmp_path: Path, start: Start, producer: Producer
) -> None:
    """At least once is the promise: nobody can know. No more than that, either."""
    taken, retried = run(tmp_path, start, producer, "never_answer = 0.1")
    assert retried > 10
    assert len(taken) == 300
    assert sum(taken.values()) - 300 == retried, "one more for each that was not answered"
