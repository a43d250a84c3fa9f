"""The same without RabbitMQ: the embedded spool, the commands, the Manhole, and settings that are wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import Gateway, Smsc, configuration, free_port, smsgw, spool, until

pytestmark = pytest.mark.integration

Start = Callable[..., Any]
KIND = ("--response-delay", "0.01", "--receipt-delay", "0.05")
PUBLISH = """
import json, os, sys
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react
from smsgw.broker.base import Properties
from smsgw.loading import load
from smsgw.gateway.assembly import broker_of

async def main(reactor):
    broker = broker_of(load(sys.argv[1], os.environ), reactor)
    broker.start()
    await broker.ready()
    await gatherResults([
        broker.publish(
            "smsgw.submit", "acme",
            json.dumps({"to": f"+4670{n:07}", "text": f"message {n}"}).encode(),
            Properties(message_id=f"m{n}"), mandatory=True,
        )
        for n in range(int(sys.argv[2]))
    ])
    await broker.stop()

react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
"""


def test_two_thousand_messages_through_the_spool(tmp_path: Path, start: Start) -> None:
    smsc = start(Smsc, tmp_path, *KIND)
    gateway = start(Gateway, tmp_path, configuration(port=smsc.port, broker=spool(tmp_path)))
    gateway.wait_up()
    subprocess.run([sys.executable, "-c", PUBLISH, str(gateway.config), "2000"], check=True, timeout=60)
    finals: Counter[str] = Counter()

    def all_final() -> bool:
        lines = smsgw("events", "-c", str(gateway.config), "--json").splitlines()
        finals.update(event["event"] + event["id"] for event in map(json.loads, lines) if event["final"])
        return len(finals) == 2000

    until(all_final, 60, "2000 final events")
    assert Counter(name.split("m")[0] for name in finals) == {"delivered": 2000}
    assert set(finals.values()) == {1}
    assert gateway.end() == 0
    assert gateway.troubles == []
    report = smsc.report()
    assert (report["accepted"], report["duplicates"], report["peak_in_flight"]) == (2000, 0, 20)


def test_send_and_wait_for_what_became_of_it(tmp_path: Path, start: Start) -> None:
    smsc = start(Smsc, tmp_path, *KIND)
    gateway = start(Gateway, tmp_path, configuration(port=smsc.port, broker=spool(tmp_path)))
    gateway.wait_up()
    config = str(gateway.config)
    sent = smsgw("send", "-c", config, "--to", "+46700000001", "--wait", "20", "--json", "Hej på dig")
    assert [json.loads(line) for line in sent.splitlines()][1] == {"event": "delivered"}
    (entry,) = smsc.entries("accepted")
    assert (entry["destination"], entry["text"]) == ("46700000001", "Hej på dig")
    smsgw("send", "-c", config, "--to", "+46700000001", "--wait", "20", "x" * 161)
    assert len(smsc.entries("accepted")) == 3, "two more parts"
    error = smsgw("send", "-c", config, "--to", "nobody", "x", status=2)
    assert "to: expected digits" in error
    long = smsgw("send", "-c", config, "--to", "+46700000001", "--wait", "20", "x" * 1531, status=1)
    assert "Traceback" not in long
    assert "+4670" not in gateway.output, "no phone number in the log"
    assert gateway.end() == 0


def test_the_gateway_hears_of_a_message_from_another_process_at_once(tmp_path: Path, start: Start) -> None:
    smsc = start(Smsc, tmp_path)
    gateway = start(Gateway, tmp_path, configuration(port=smsc.port, broker=spool(tmp_path)))
    gateway.wait_up()
    for number in range(5):
        before = time.time()
        smsgw("send", "-c", str(gateway.config), "--to", "+46700000001", f"text {number}")
        after = time.time()
        until(lambda n=number: len(smsc.entries("accepted")) > n, 10, "it arrived")
        assert before < smsc.entries("accepted")[number]["at"] < after + 0.5
    assert gateway.end() == 0


def test_the_manhole_lets_in_keys_and_nothing_else(tmp_path: Path, start: Start) -> None:
    smsc = start(Smsc, tmp_path, *KIND)
    port = free_port()
    for name in ("right", "wrong"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True
        )
    (tmp_path / "authorized_keys").write_text((tmp_path / "right.pub").read_text())
    more = (
        f'[manhole]\nlisten = "tcp:{port}:interface=127.0.0.1"\n'
        f'authorized_keys = "{tmp_path}/authorized_keys"\n'
    )
    gateway = start(Gateway, tmp_path, configuration(port=smsc.port, broker=spool(tmp_path), more=more))
    gateway.wait_up()

    def ssh(key: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [
            "ssh", "-tt", "-F", "none", "-p", str(port), "-i", str(tmp_path / key), *options,
            "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no",
            "-o", "UserKnownHostsFile=/dev/null",
            "operator@127.0.0.1",
        ]  # fmt: skip
        env = {**os.environ, "TERM": "vt100"}
        return subprocess.run(  # noqa: PLW1510  the status is what is asked
            command,
            input="channels\nqueues\ngateway\nreload()\n\x04",
            capture_output=True,
            text=True,
            timeout=20,
            env=env,
        )

    shown = ssh("right").stdout
    assert "<smpp channel acme: 1 of 1 sessions up" in shown
    assert "<queue acme: " in shown
    assert "<smsgw gateway: running" in shown
    until(lambda: "reloading: nothing has changed" in gateway.output, 20, "it was reloaded")
    for refused in (
        ssh("wrong", "-o", "BatchMode=yes"),
        ssh("wrong", "-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1"),
    ):
        assert refused.returncode == 255
        assert "Permission denied (publickey)" in refused.stderr
    assert gateway.end() == 0


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("width = 20", "widht = 20"), 'channels.acme.widht: unknown key; did you mean "width"?'),
        (("width = 20", 'width = "20"'), 'channels.acme.width: expected a whole number, found "20"'),
        (('"secret"', '{ env = "SMSGW_NO_SUCH" }'), "the environment variable SMSGW_NO_SUCH is not set"),
        (("[broker]", '[ledger]\nurl = "sqlite:///nowhere/at/all/l.db"\n[broker]'), "/nowhere/at/all/l.db: "),
    ],
)
def test_a_wrong_setting_is_one_line_and_status_1(
    tmp_path: Path, start: Start, change: tuple[str, str], line: str
) -> None:
    text = configuration(port=1, broker=spool(tmp_path)).replace(*change)
    gateway = start(Gateway, tmp_path, text)
    assert gateway.popen.wait(20) == 1
    lines = gateway.output.splitlines()
    assert len(lines) == 1, lines
    assert line in lines[0]


def test_check_says_what_is_wrong_and_what_is_right(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(configuration(port=1, broker=spool(tmp_path)))
    assert f"{path}: correct" in smsgw("check", str(path))
    path.write_text("[chanels]\n")
    assert 'did you mean "channels"?' in smsgw("check", str(path), status=1)


def test_the_demo_delivers_all_ten(tmp_path: Path) -> None:
    assert "10 of 10 delivered" in smsgw("demo", "--once", timeout=60)


def test_the_demo_with_rabbitmq(rabbitmq: Any) -> None:
    assert "10 of 10 delivered" in smsgw("demo", "--once", "--broker", rabbitmq.url, timeout=60)
