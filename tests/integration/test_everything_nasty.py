"""A message centre that does everything wrong at once: every message still ends, once, and in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import Gateway, Producer, Smsc, configuration, until

pytestmark = pytest.mark.integration

Start = Callable[..., Any]
NASTY = """
response_delay = 0.02
response_jitter = 0.05
never_answer = 0.01
late_answer = 0.02
late_delay = 2.5
drop_instead_of_answer = 0.002
malformed = 0.03
segment = 7
throttle = 400.0
statuses = { "0x00000008" = 0.03, "0x00000437" = 0.01 }
message_id = "hex-in-response"
receipt_form = "variants"
receipt_delay = 0.2
receipt_jitter = 0.3
receipt_bind = "other"
intermediate = 0.1
early_receipts = 0.2
repeated_receipts = 0.1
unsolicited_receipts = 0.1
drop_share = 0.002
unbind_every = 4.0
enquire_links = 2.0
greet = true
inbound = [ { text = "inbound {n} from a phone" } ]
inbound_rate = 50.0
inbound_limit = 200
"""
CHANNEL = """sessions = 2
retry = ["1s", "1s", "1s", "1s", "1s", "1s", "1s", "1s"]
reconnect = "500ms"
timers = { response = "2s", enquire_link = "1s" }
"""


def test_every_message_ends_whatever_the_message_centre_does(
    tmp_path: Path, start: Start, producer: Producer
) -> None:
    (tmp_path / "behaviour.toml").write_text(NASTY)
    smsc = start(Smsc, tmp_path, "--behaviour", str(tmp_path / "behaviour.toml"), "--seed", "11")
    gateway = start(
        Gateway,
        tmp_path,
        configuration(
            port=smsc.port,
            broker=producer.url,
            prefix=producer.prefix,
            channel=CHANNEL,
            more='[ledger]\nkeep = "10s"',
        ),
    )
    gateway.wait_up(sessions=2)
    ids = producer.publish(1000)
    finals = producer.wait_for_finals(ids, 90)
    assert finals["delivered"] > 900
    assert set(finals) <= {"delivered", "unknown", "rejected"}
    inbound = f"{producer.prefix}.inbound"
    until(lambda: producer.waiting(inbound) >= 200, 30, "all that phones sent is there")
    taken = {entry["text"] for entry in smsc.entries("accepted")}
    assert len(taken) >= finals["delivered"]
    assert gateway.end() == 0
    assert gateway.troubles == []
    assert "+4670" not in gateway.output
