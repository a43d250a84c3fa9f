"""A message centre that speaks about the link, not about the message: it throttles, or wants no bind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import Gateway, Producer, Smsc, configuration, free_port

pytestmark = pytest.mark.integration

Start = Callable[..., Any]
COUNT = 5000
ALLOWED = 200


@pytest.mark.slow
def test_five_thousand_at_two_hundred_a_second(tmp_path: Path, start: Start, producer: Producer) -> None:
    """The channel has no `rate`. 5,000 need 25 s; 0.85 of the rate, from the first second on, is 29.5 s."""
    port = free_port()
    text = configuration(port=port, broker=producer.url, prefix=producer.prefix, width=50)
    gateway = start(Gateway, tmp_path, text)
    ids = producer.publish(COUNT)  # all wait before the first can leave
    smsc = start(Smsc, tmp_path, "--throttle", str(ALLOWED), port=port)
    assert producer.wait_for_finals(ids, 90) == {"delivered": COUNT}
    assert gateway.end() == 0
    assert gateway.troubles == []
    assert smsc.report()["accepted"] == COUNT

    accepted = smsc.entries("accepted")
    assert set(Counter(entry["text"] for entry in accepted).values()) == {1}
    assert len(accepted) == COUNT
    took = accepted[-1]["at"] - accepted[0]["at"]
    refused = [entry["at"] - accepted[0]["at"] for entry in smsc.entries("refused")]
    settled = sum(at > 5 for at in refused)
    figures = f"{took:.2f} s, {len(refused)} throttled, {settled} of them after the first five seconds"
    assert took <= 1.18 * COUNT / ALLOWED, figures
    assert len(refused) <= 200, figures
    assert settled <= COUNT / 100, figures

    told = [event for message_id in ids for event in producer.events[message_id]]
    assert {event["event"] for event in told} == {"accepted", "delivered"}, "no attempt is burned"
    assert {event["attempt"] for event in told} == {1}
    about = [line for line in gateway.output.splitlines() if "ESME_RTHROTTLED" in line]
    assert len(about) == 1, "one line, however often it was said"


def test_a_status_about_the_link_ends_the_bind_and_not_the_messages(
    tmp_path: Path, start: Start, producer: Producer
) -> None:
    port = free_port()
    text = configuration(port=port, broker=producer.url, prefix=producer.prefix, channel='rebind = "4s"')
    gateway = start(Gateway, tmp_path, text)
    ids = producer.publish(20)
    behaviour = tmp_path / "behaviour.toml"
    behaviour.write_text('destinations = { "46*" = "0x0004" }\nrefuse_first = { "46*" = 1 }\n')
    smsc = start(Smsc, tmp_path, "--behaviour", str(behaviour), port=port)
    assert producer.wait_for_finals(ids, 60) == {"delivered": 20}
    assert gateway.end() == 0
    assert gateway.troubles == []

    report = smsc.report()
    assert report["accepted"] == 20
    assert len(smsc.entries("refused")) == 20
    assert 2 <= report["binds"] <= 5, "no bind for each of them"
    assert report["unbinds_received"] == report["binds"]
    assert "submit refused: ESME_RINVBNDSTS; next try in" in gateway.output
    told = [event for message_id in ids for event in producer.events[message_id]]
    assert {(event["event"], event["attempt"]) for event in told} == {("accepted", 1), ("delivered", 1)}
