"""`smsgw bench`: which channel it measures, what it sends where, and whole runs."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from processes import smsgw

from smsgw.channel_settings import NullSettings, SmppSettings
from smsgw.cli.bench import NUMBERS, Result, alone, bodies, chosen, told
from smsgw.cli.load import Percentiles

CONFIGURATION = """
state_dir = "state"
[broker]
url = "amqp://guest:guest@rabbit.example/%2F"
[queues.bulk]
max_length = 10
[channels.acme]
type = "smpp"
endpoint = "tcp:smsc.example:2775"
system_id = "acme"
password = "secret"
queue = "bulk"
[channels.dry]
type = "null"
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "smsgw.toml"
    path.write_text(CONFIGURATION)
    return str(path)


def test_without_a_configuration_nothing_can_be_sent_anywhere() -> None:
    assert isinstance(chosen(None, None, False)[1], NullSettings)
    simulated = chosen(None, None, True)[1]
    assert isinstance(simulated, SmppSettings)
    assert simulated.endpoint == ""


def test_a_channel_by_name(file: str) -> None:
    name, channel, _ = chosen(file, "acme", False)
    assert (name, channel.queue) == ("acme", "bulk")


@pytest.mark.parametrize(("name", "simulated"), [(None, False), ("nobody", False), ("dry", True)])
def test_what_can_t_be_measured_is_said(file: str, name: str | None, simulated: bool) -> None:
    with pytest.raises(click.UsageError):
        chosen(file, name, simulated)
    with pytest.raises(click.UsageError):
        chosen(None, "acme", False)


def test_nothing_of_the_configured_gateway_is_touched_but_the_channel(file: str, tmp_path: Path) -> None:
    name, channel, base = chosen(file, "acme", False)
    configuration = alone(base, name, channel, None, str(tmp_path / "bench"))
    assert configuration.broker_url == f"spool://{tmp_path}/bench/spool.db"
    assert configuration.ledger_url == f"sqlite://{tmp_path}/bench/ledger.db"
    assert configuration.broker.prefix == "smsgw-bench"
    assert list(configuration.channels) == ["acme"]
    assert configuration.queues == {}


def test_recipients_come_in_turn() -> None:
    body = bodies("+4670000-+4670002", "hello", False)
    assert [json.loads(body(number))["to"] for number in range(4)] == [
        "+4670000", "+4670001", "+4670002", "+4670000",
    ]  # fmt: skip
    assert json.loads(body(0))["receipt"] == "none"
    assert json.loads(bodies("0046700", "hello", True)(7)) == {
        "to": "0046700", "from": "smsgw", "text": "hello", "receipt": "final",
    }  # fmt: skip


def test_by_default_no_phone_has_the_number() -> None:
    body = bodies(NUMBERS, "hello", False)
    assert {json.loads(body(number))["to"][:10] for number in range(2000)} == {"+447700900"}


@pytest.mark.parametrize("numbers", ["", "x", "+46", "+4671-+4670", "+46-", "+4670000000000000000"])
def test_no_recipient(numbers: str) -> None:
    with pytest.raises(click.UsageError):
        bodies(numbers, "hello", False)


def test_what_people_read() -> None:
    result = Result(
        channel="null", broker="spool", width=100, messages=10, ends={"accepted": 10}, seconds=2.0, rate=5.0,
        offered=None, waiting=500, latency=Percentiles(1.0, 2.0, 3.0, 4.0), cpu=None,
    )  # fmt: skip
    assert "500 at any time" in told(result)
    assert "CPU not known here" in told(result)


def test_nothing_is_sent_to_a_message_centre_unasked(file: str) -> None:
    assert "someone pays" in smsgw("bench", "-c", file, "--channel", "acme", status=2)


@pytest.mark.integration
def test_a_null_channel_and_a_spool() -> None:
    result = json.loads(smsgw("bench", "--messages", "300", "--json"))
    assert result["ends"] == {"accepted": 300}
    assert result["rate"] > 0
    assert result["cpu"] > 0


@pytest.mark.integration
def test_a_simulated_message_centre_receipts_and_a_rate(file: str) -> None:
    found = smsgw(
        "bench", "-c", file, "--channel", "acme", "--simulated", "--receipts", "-n", "200", "--rate", "400",
        "--json",
    )  # fmt: skip
    result = json.loads(found)
    assert result["ends"] == {"delivered": 200}
    assert result["seconds"] > 0.4
