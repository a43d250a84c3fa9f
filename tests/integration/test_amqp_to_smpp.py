"""From RabbitMQ through an SMPP session to the receipt: everything real but the message centre."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import Gateway, Producer, Smsc, configuration, free_port, until

pytestmark = pytest.mark.integration

Start = Callable[..., Any]
SLOW = ("--response-delay", "0.06", "--receipt-delay", "0.05")
"""At width 20 some 330 messages a second: a producer is faster, so that there is a middle of the run."""
KIND = ("--response-delay", "0.01", "--receipt-delay", "0.05")


def taken(smsc: Smsc) -> Counter[str]:
    """How often the message centre accepted each text."""
    return Counter(entry["text"] for entry in smsc.entries("accepted"))


def test_two_thousand_messages_none_lost_none_twice(tmp_path: Path, start: Start, producer: Producer) -> None:
    port = free_port()
    gateway = start(Gateway, tmp_path, configuration(port=port, broker=producer.url, prefix=producer.prefix))
    ids = producer.publish(2000)  # all wait before the first can leave, so that the width is used
    smsc = start(Smsc, tmp_path, *KIND, port=port)
    assert producer.wait_for_finals(ids, 60) == {"delivered": 2000}
    assert gateway.end() == 0
    assert gateway.troubles == []
    report = smsc.report()
    assert (report["accepted"], report["distinct"], report["duplicates"]) == (2000, 2000, 0)
    assert report["peak_in_flight"] == 20
    assert report["unbinds_received"] == 1


def test_the_broker_goes_and_comes_back(
    tmp_path: Path, start: Start, producer: Producer, rabbitmq: Any
) -> None:
    smsc = start(Smsc, tmp_path, *SLOW)
    gateway = start(
        Gateway, tmp_path, configuration(port=smsc.port, broker=producer.url, prefix=producer.prefix)
    )
    gateway.wait_up()
    ids = producer.publish(1500)
    until(lambda: len(smsc.entries("accepted")) > 300, 30, "the run is under way")
    rabbitmq.stop()
    time.sleep(1)
    before = len(smsc.entries("accepted"))
    assert before < 1500
    rabbitmq.start()
    until(lambda: len(smsc.entries("accepted")) > before, 15, "consumption goes on by itself")
    assert producer.wait_for_finals(ids, 60) == {"delivered": 1500}
    repeats = sum(taken(smsc).values()) - 1500
    assert repeats == 0, "what the ledger knows is not sent again"
    assert gateway.end() == 0
    assert gateway.troubles == []


def test_the_message_centre_goes_and_comes_back(tmp_path: Path, start: Start, producer: Producer) -> None:
    smsc = start(Smsc, tmp_path, *SLOW)
    gateway = start(
        Gateway, tmp_path, configuration(port=smsc.port, broker=producer.url, prefix=producer.prefix)
    )
    gateway.wait_up()
    ids = producer.publish(1500)
    until(lambda: len(smsc.entries("accepted")) > 300, 30, "the run is under way")
    smsc.end()
    before = len(smsc.entries("accepted"))
    assert before < 1500
    again = start(Smsc, tmp_path, *SLOW, port=smsc.port)
    until(lambda: len(again.entries("accepted")) > before, 15, "sending goes on by itself")
    # Receipts that the first centre still had to send went with it.
    until(lambda: len(taken(again)) == 1500, 60, "every message was taken")
    repeats = sum(taken(again).values()) - 1500
    assert repeats <= 20, "at most a width of messages whose answers were cut off"
    until(lambda: producer.waiting(f"{producer.prefix}.submit.acme") == 0, 20, "the queue is drained")
    producer.read_events()
    accepted = {i for i in ids if any(each["event"] == "accepted" for each in producer.events.get(i, []))}
    assert len(accepted) == 1500
    assert gateway.end() == 0
    assert gateway.troubles == []


def test_two_gateways_share_a_queue_and_one_is_killed(
    tmp_path: Path, start: Start, producer: Producer
) -> None:
    smsc = start(Smsc, tmp_path, "--response-delay", "0.1", "--receipt-delay", "0.05")
    made = [
        configuration(
            port=smsc.port, broker=producer.url, prefix=producer.prefix, width=10,
            more=f'[ledger]\nurl = "sqlite://{tmp_path}/ledger.db"',
        )
        for _ in range(2)
    ]  # fmt: skip
    first, second = (start(Gateway, tmp_path, text, name=f"gateway{n}") for n, text in enumerate(made))
    first.wait_up()
    second.wait_up()
    ids = producer.publish(1000)
    until(lambda: len(smsc.entries("accepted")) > 400, 60, "the run is under way")
    middle = [entry["at"] for entry in smsc.entries("accepted")[100:400]]
    rate = len(middle) / (middle[-1] - middle[0])
    assert rate > 120, "both drain: one alone can do 10 / 0.1 s = 100 a second"
    first.end(signal.SIGKILL)
    assert producer.wait_for_finals(ids, 60) == {"delivered": 1000}
    assert sum(taken(smsc).values()) - 1000 <= 10, "at most the killed one's width comes twice"
    assert second.end() == 0
    assert second.troubles == []
    report = smsc.report()
    assert report["peak_in_flight_of_a_session"] == 10
    assert report["peak_in_flight"] == 20


def test_a_stop_in_mid_run_settles_and_unbinds_and_nothing_is_sent_twice(
    tmp_path: Path, start: Start, producer: Producer
) -> None:
    smsc = start(Smsc, tmp_path, "--response-delay", "0.1", "--receipt-delay", "0.05")
    text = configuration(port=smsc.port, broker=producer.url, prefix=producer.prefix)
    gateway = start(Gateway, tmp_path, text)
    gateway.wait_up()
    ids = producer.publish(1000)
    until(lambda: len(smsc.entries("accepted")) > 200, 30, "the run is under way")
    assert gateway.end() == 0
    assert gateway.troubles == []
    assert len(smsc.entries("accepted")) < 1000
    assert len(smsc.entries("unbind")) == 1
    again = start(Gateway, tmp_path, text, name="again")
    assert producer.wait_for_finals(ids, 60) == {"delivered": 1000}
    assert set(taken(smsc).values()) == {1}
    assert again.end() == 0


def test_a_wrong_password_backs_off_and_consumes_nothing(
    tmp_path: Path, start: Start, producer: Producer
) -> None:
    smsc = start(Smsc, tmp_path, "--system-id", "acme", "--password", "other")
    gateway = start(
        Gateway,
        tmp_path,
        configuration(port=smsc.port, broker=producer.url, prefix=producer.prefix, channel='rebind = "4s"'),
    )
    producer.publish(5)

    def lines() -> list[str]:
        return [line for line in gateway.output.splitlines() if "ESME_RINVPASWD" in line]

    until(lambda: len(lines()) >= 4, 30, "four tries")
    until(lambda: len(lines()) == len(smsc.entries("bind refused")), 10, "one line per try")
    pauses = [float(line.rsplit("next try in ", 1)[1].split()[0]) for line in lines()]
    assert pauses[0] <= 1 < pauses[1] <= 2 < pauses[2] <= 4, "the pauses grow"
    assert all(pause <= 4 for pause in pauses), "up to their limit"
    assert producer.waiting(f"{producer.prefix}.submit.acme") == 5
    assert "secret" not in gateway.output
    assert gateway.end() == 0


def test_a_body_that_is_no_message_is_dead_lettered_and_told(
    tmp_path: Path, start: Start, producer: Producer
) -> None:
    import pika

    smsc = start(Smsc, tmp_path, *KIND)
    gateway = start(
        Gateway, tmp_path, configuration(port=smsc.port, broker=producer.url, prefix=producer.prefix)
    )
    gateway.wait_up()
    producer.wait_declared()
    with producer.channel() as channel:
        channel.basic_publish(
            f"{producer.prefix}.submit",
            "acme",
            b'{"to": "+4670", "text": 5}',
            pika.BasicProperties(message_id="bad"),
        )
    assert producer.wait_for_finals(["bad"], 20) == {"rejected": 1}
    assert "text" in producer.events["bad"][0]["error"]
    with producer.channel() as channel:
        _, properties, body = channel.basic_get(f"{producer.prefix}.dead", auto_ack=True)
    assert body == b'{"to": "+4670", "text": 5}'
    assert properties.headers["x-smsgw-reason"].startswith("text")
