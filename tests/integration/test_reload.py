"""SIGHUP under traffic: channels come, change and go, the others notice nothing, no message is lost."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import Gateway, Producer, Smsc, smsgw, spool, until

pytestmark = pytest.mark.integration

Start = Callable[..., Any]
SLOW = ("--response-delay", "0.2", "--receipt-delay", "0.05")
TOP = """
state_dir = "state"
stop_timeout = "{stop_timeout}s"
[broker]
url = "{url}"
prefix = "{prefix}"
"""
CHANNEL = """
[channels.{name}]
type = "smpp"
endpoint = "tcp:127.0.0.1:{port}"
system_id = "{name}"
password = "secret"
width = {width}
"""


def reload(gateway: Gateway, text: str, result: str = " reloaded") -> None:
    """Write the configuration, signal, and wait until the log says what became of it."""
    before = gateway.output.count(result)
    gateway.config.write_text(text)
    gateway.popen.send_signal(signal.SIGHUP)
    until(lambda: gateway.output.count(result) > before, 30, f"the log says {result!r}")


def accepted(*centres: Smsc) -> Counter[str]:
    """How often each text was accepted."""
    return Counter(entry["text"] for smsc in centres for entry in smsc.entries("accepted"))


def binds(smsc: Smsc) -> Counter[str]:
    return Counter(entry["system_id"] for entry in smsc.entries("bound"))


def test_channels_come_change_and_go_under_traffic(tmp_path: Path, start: Start, producer: Producer) -> None:
    """`still` is never touched; `wide` changes twice, `old` goes and comes back, `fresh` is new."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    one, two = (start(Smsc, folder, *SLOW) for folder in folders)
    top = TOP.format(stop_timeout=20, url=producer.url, prefix=producer.prefix)

    def channel(name: str, smsc: Smsc, width: int = 10) -> str:
        return CHANNEL.format(name=name, port=smsc.port, width=width)

    still, wide, old = channel("still", one), channel("wide", one), channel("old", two)
    gateway = start(Gateway, tmp_path, top + still + wide + old)
    gateway.wait_up(3)
    ids = [
        each for n, key in enumerate(("still", "wide", "old")) for each in producer.publish(600, key, n * 600)
    ]
    until(lambda: len(one.entries("accepted")) > 100, 30, "the run is under way")

    reload(gateway, top + still + channel("wide", one, 15) + channel("fresh", two))
    old_left = producer.waiting(f"{producer.prefix}.submit.old")
    assert 0 < old_left < 600, "it went in mid-run, and what waits stays in its queue"
    assert f"{producer.prefix}.submit.old any more; it stays, with {old_left} messages" in gateway.output
    ids += producer.publish(100, "fresh", 1800)

    reload(gateway, top + still + channel("wide", one, 20) + channel("fresh", two) + old)
    assert producer.wait_for_finals(ids, 120) == {"delivered": 1900}
    assert set(accepted(one, two).values()) == {1}, "none sent twice"
    assert len(accepted(one, two)) == 1900, "none lost"
    assert binds(one) == {"still": 1, "wide": 3}
    assert binds(two) == {"old": 2, "fresh": 1}
    assert (len(one.entries("unbind")), len(two.entries("unbind"))) == (2, 1), "each in good order"
    assert gateway.output.count("still#1 is up") == 1
    assert "still#1 is down" not in gateway.output
    assert "did not settle in time" not in gateway.output
    assert gateway.end() == 0
    assert gateway.troubles == []


def test_a_new_channel_on_the_spool_and_a_wrong_configuration(tmp_path: Path, start: Start) -> None:
    smsc = start(Smsc, tmp_path, "--response-delay", "0.01", "--receipt-delay", "0.05")
    top = TOP.format(stop_timeout=10, url=spool(tmp_path), prefix="smsgw")
    first, second = (CHANNEL.format(name=name, port=smsc.port, width=5) for name in ("first", "second"))
    gateway = start(Gateway, tmp_path, top + first)
    gateway.wait_up()
    config = str(gateway.config)

    reload(gateway, top + first + second.replace("width", "widht"), "not reloaded: ")
    assert 'channels.second.widht: unknown key; did you mean "width"?' in gateway.output
    reload(gateway, top + first + second.replace("tcp:", "tcp:speed=9:"), "channels.second.endpoint: not an")
    smsgw("send", "-c", config, "--queue", "first", "--to", "+46700000001", "--wait", "20", "still up")

    reload(gateway, top + first + second + "[log]\nformat = 'json'\n")
    assert "log.format has changed; that needs a restart" in gateway.output
    smsgw("send", "-c", config, "--queue", "second", "--to", "+46700000002", "--wait", "20", "by the new one")
    reload(gateway, top + second)
    smsgw("send", "-c", config, "--queue", "second", "--to", "+46700000002", "--wait", "20", "and again")
    assert binds(smsc) == {"first": 1, "second": 1}
    assert len(smsc.entries("unbind")) == 1
    assert set(accepted(smsc)) == {"still up", "by the new one", "and again"}
    assert gateway.end() == 0
    assert gateway.troubles == []


def test_a_reload_is_ignored_while_the_gateway_stops(tmp_path: Path, start: Start) -> None:
    """And a second SIGTERM still ends it at once."""
    smsc = start(Smsc, tmp_path, "--response-delay", "60")
    text = TOP.format(stop_timeout=30, url=spool(tmp_path), prefix="smsgw")
    text += CHANNEL.format(name="acme", port=smsc.port, width=5) + "timers = {response = 0}\n"
    gateway = start(Gateway, tmp_path, text)
    gateway.wait_up()
    smsgw("send", "-c", str(gateway.config), "--to", "+46700000001", "takes a minute")
    until(lambda: smsc.entries("accepted"), 20, "it is in flight")
    gateway.popen.send_signal(signal.SIGTERM)
    until(lambda: "stopping: 1 messages in flight" in gateway.output, 20, "it stops")
    gateway.popen.send_signal(signal.SIGHUP)
    assert gateway.end() == 128 + signal.SIGTERM
    assert "reloading" not in gateway.output
