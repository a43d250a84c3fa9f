"""GSM modems end to end: real processes, pseudo terminals, a spool, and modems that misbehave."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import Gateway, smsgw, until

from tests.integration.modems import Modem, configuration

pytestmark = pytest.mark.integration

Start = Callable[..., Any]
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
            "smsgw.submit", "pool",
            json.dumps({"to": f"+4670{n:07}", "text": f"message {n}"}).encode(),
            Properties(message_id=f"m{n}"), mandatory=True,
        )
        for n in range(int(sys.argv[2]))
    ])
    await broker.stop()

react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
"""


def publish(gateway: Gateway, count: int) -> None:
    subprocess.run([sys.executable, "-c", PUBLISH, str(gateway.config), str(count)], check=True, timeout=60)


class Ends:
    """The final event of each message, and the messages from phones, taken as they come."""

    def __init__(self, gateway: Gateway) -> None:
        self.config = str(gateway.config)
        self.accepted: set[str] = set()
        self.finals: dict[str, str] = {}
        self.inbound: Counter[str] = Counter()

    def take(self) -> None:
        for event in map(json.loads, smsgw("events", "-c", self.config, "--json").splitlines()):
            if event["event"] == "accepted":
                self.accepted.add(event["id"])
            if event["final"]:
                assert self.finals.setdefault(event["id"], event["event"]) == event["event"]

    def wait(self, count: int, seconds: float = 60) -> Counter[str]:
        def all_there() -> bool:
            self.take()
            return len(self.finals) >= count

        until(all_there, seconds, f"{count} final events")
        return Counter(self.finals.values())

    def take_inbound(self) -> None:
        taken = smsgw("events", "-c", self.config, "--inbound", "--json")
        self.inbound.update(json.loads(line)["text"] for line in taken.splitlines())

    def wait_inbound(self, texts: set[str], seconds: float = 40) -> None:
        def all_there() -> bool:
            self.take_inbound()
            return self.inbound.keys() >= texts

        until(all_there, seconds, "every message from a phone")


def test_two_modems_share_a_queue(tmp_path: Path, start: Start) -> None:
    modems = [start(Modem, tmp_path, f"sim{n}", "--submit-delay", "0.02") for n in (1, 2)]
    links = [(f"sim{n}", modem.link) for n, modem in enumerate(modems, 1)]
    gateway = start(Gateway, tmp_path, configuration(*links))
    gateway.wait_up(2)
    publish(gateway, 200)
    for modem in modems:
        modem.do("inbound", **{"from": "+46700000002", "text": f"hello {modem.link.name}"})
    info = json.loads(smsgw("modem", "-c", str(gateway.config), "--json", "sim1", "info"))
    assert (info["state"], info["family"], info["takes messages"]) == ("ready", "SIMCom", True)
    asked = smsgw("modem", "-c", str(gateway.config), "sim2", "ussd", "*100#")
    assert asked == "text: Balance: 12.50\nmore: no\n"
    ends = Ends(gateway)
    assert ends.wait(200) == {"delivered": 200}
    ends.wait_inbound({f"hello {modem.link.name}" for modem in modems})
    counts = [modem.counts for modem in modems]
    assert sum(each["distinct"] for each in counts) == 200
    assert sum(each["duplicates"] for each in counts) == 0
    assert [each["peak_in_flight"] for each in counts] == [1, 1]
    assert all(each["submitted"] >= 60 for each in counts), "both were busy"
    assert "+4670" not in gateway.output, "no phone number in the log"
    rss = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{gateway.popen.pid}/status").read_text())[1])
    assert rss < 64 * 1024, "KiB, where 60 MiB are promised for the usual Python"
    assert gateway.end() == 0
    assert gateway.troubles == []
    modems[0].do("behave", set={"retry": 0.5})
    modems[0].do("inbound", **{"from": "+46700000002", "text": "while nobody takes it"})
    probed = smsgw("modem", "-c", str(gateway.config), "sim1", "probe")
    assert "signal dBm: -77" in probed
    until(lambda: modems[0].counts["waiting"] == 0, 10, "it lies in the modem's storage")
    assert [entry for entry in modems[0].entries("inbound") if entry["outcome"] == "taken"]


def test_what_modems_do_wrong_loses_nothing(tmp_path: Path, start: Start) -> None:
    """The port moves and the gateway is killed: each message ends once, inbound included."""
    modem = start(Modem, tmp_path, "sim1", "--submit-delay", "0.03", "--report-delay", "0.1")
    config = configuration(("sim1", modem.link))
    modem.do("behave", set={"retry": 0.5})
    gateway = start(Gateway, tmp_path, config)
    gateway.wait_up()
    publish(gateway, 60)
    texts = set()

    def bring(count: int) -> None:
        for _ in range(count):
            texts.add(f"inbound {len(texts)}")
            modem.do("inbound", **{"from": "+46700000002", "text": f"inbound {len(texts) - 1}"})

    until(lambda: modem.counts["submitted"] >= 10, 20, "some were sent")
    bring(3)
    modem.do("unplug", seconds=1)
    bring(3)
    until(lambda: gateway.output.count("opening: the port is open") >= 2, 20, "the port was opened again")
    until(lambda: modem.counts["submitted"] >= 25, 30, "more were sent")
    bring(3)
    gateway.end(signal.SIGKILL)
    bring(3)
    gateway = start(Gateway, tmp_path, config, "second")
    ends = Ends(gateway)
    ends.wait_inbound(texts)
    until(lambda: modem.counts["distinct"] == 60, 30, "all were sent")
    # a modem that has just been switched on drops reports, until it is told where they go
    dropped = sum(entry["outcome"] == "dropped" for entry in modem.entries("report"))
    assert dropped <= 8
    assert ends.wait(60 - dropped) == {"delivered": len(ends.finals)}
    assert len(ends.accepted) == 60
    counts = modem.counts
    assert counts["distinct"] == 60
    assert counts["duplicates"] <= 2, "one for each time that an answer was cut off"
    assert counts["peak_in_flight"] == 1
    assert counts["inbound_made"] == len(texts)
    assert gateway.end() == 0
    assert gateway.troubles == []


def test_a_modem_that_hangs_after_the_pdu_is_brought_back(tmp_path: Path, start: Start) -> None:
    modem = start(Modem, tmp_path, "sim1")
    more = '[channels.sim1.timers]\nsubmit = "2s"\nrestart = "2s"\n'
    gateway = start(Gateway, tmp_path, configuration(("sim1", modem.link), more=more))
    gateway.wait_up()
    modem.do("behave", set={"hang_in_send": 1.0, "hang_time": 1.0})
    publish(gateway, 5)
    until(lambda: modem.counts["hangs"] >= 1, 20, "it hangs")
    modem.do("behave", set={"hang_in_send": 0.0})
    assert Ends(gateway).wait(5, 60)["delivered"] == 5
    assert modem.counts["distinct"] == 5
    assert gateway.end() == 0
    assert gateway.troubles == []


def test_a_full_storage_is_emptied_and_what_waits_outside_comes(tmp_path: Path, start: Start) -> None:
    modem = start(Modem, tmp_path, "sim1", "--family", "huawei")
    modem.do("behave", set={"room": {"SM": 4, "ME": 4}})
    texts = {f"inbound {number}" for number in range(12)}
    for text in sorted(texts):
        modem.do("inbound", **{"from": "+46700000002", "text": text})
    gateway = start(Gateway, tmp_path, configuration(("sim1", modem.link)))
    gateway.wait_up()
    ends = Ends(gateway)
    ends.wait_inbound(texts, 60)
    assert set(ends.inbound.values()) == {1}
    assert gateway.end() == 0
    assert gateway.troubles == []


def test_a_wrong_pin_is_tried_once_until_it_is_corrected(tmp_path: Path, start: Start) -> None:
    modem = start(Modem, tmp_path, "sim1", "--pin", "1234")
    text = configuration(("sim1", modem.link), more='pin = "4321"')
    gateway = start(Gateway, tmp_path, text)
    until(lambda: "somebody has to act" in gateway.output, 20, "it says so")
    gateway.end(signal.SIGKILL)
    gateway = start(Gateway, tmp_path, text, "second")
    until(lambda: "somebody has to act" in gateway.output, 20, "it says so again")
    assert modem.counts["pins_wrong"] == 1
    gateway.config.write_text(text.replace("4321", "1234"))
    gateway.popen.send_signal(signal.SIGHUP)
    gateway.wait_up()
    assert modem.counts["pins_wrong"] == 1
    assert "4321" not in gateway.output
    assert gateway.end() == 0
    assert gateway.troubles == []
