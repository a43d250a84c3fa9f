"""Messages from phones, part by part over several sessions, while everything on the way goes down."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import Gateway, Producer, Smsc, configuration, until

pytestmark = pytest.mark.integration

Start = Callable[..., Any]
TEXTS = {
    "udh": "message {n} from the harbour, åäö € " * 12,
    "udh16": "сообщение {n} из порта " * 10,
    "sar": "segment {n} of a long story [with brackets] " * 10,
    "mixed": "plain {n} text " * 9 + "и кириллица {n} " * 9 + "plain {n} again " * 9,
}
"""Every part names the number of its message, so that one in the wrong message is seen."""


def behaviour(folder: Path, *, rate: float, limit: int) -> Path:
    rows = []
    for form, text in TEXTS.items():
        kind = 'form = "udh"\nmixed = true' if form == "mixed" else f'form = "{form}"'
        rows.append(f"[[inbound]]\n{kind}\nsenders = 40\nto = '46123'\ntext = '{text}'\n")
    path = folder / "behaviour.toml"
    path.write_text(
        f"inbound_rate = {rate}\ninbound_limit = {limit}\ninbound_shuffled = true\n"
        "receipt_retry_delay = 0.3\n" + "\n".join(rows)
    )
    return path


def texts(count: int) -> set[str]:
    forms = list(TEXTS.values())
    return {forms[(n - 1) % len(forms)].replace("{n}", str(n)) for n in range(1, count + 1)}


class Reader:
    """Reads the default queue of inbound messages; knows nothing but the contract."""

    def __init__(self, producer: Producer) -> None:
        self.messages: list[dict[str, Any]] = []
        self._producer = producer

    def read(self) -> int:
        """Take what waits; how many distinct texts there are by now."""
        queue = f"{self._producer.prefix}.inbound"
        with self._producer.channel() as channel:
            while True:
                method, properties, body = channel.basic_get(queue, auto_ack=True)
                if method is None:
                    return len({message.get("text") for message in self.messages})
                message = json.loads(body)
                assert properties.message_id == message["id"]
                assert method.routing_key == "acme.46123"
                self.messages.append(message)

    def check(self, count: int) -> None:
        """Every text came whole; what came twice came under one id."""
        assert [message for message in self.messages if not message["complete"]] == []
        assert {message["text"] for message in self.messages} == texts(count)
        assert len({message["id"] for message in self.messages}) == count


def nothing_is_left(ledger: Path) -> None:
    """No message waits to be published, and no part for the rest of its message."""
    with sqlite3.connect(ledger) as db:
        assert db.execute("SELECT count(*) FROM owed_inbound").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM assembly WHERE digests IS NULL").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM fragment").fetchone() == (0,)
        assert db.execute("SELECT sum(parts) FROM held").fetchone() == (0,)


def two_sessions(port: int, producer: Producer, more: str = "", sessions: int = 2) -> str:
    return configuration(
        port=port, broker=producer.url, prefix=producer.prefix, channel=f"sessions = {sessions}", more=more
    )


def test_a_thousand_long_messages_and_a_kill_in_mid_run(
    tmp_path: Path, start: Start, producer: Producer
) -> None:
    smsc = start(Smsc, tmp_path, "--behaviour", str(behaviour(tmp_path, rate=150, limit=1000)))
    first = start(Gateway, tmp_path, two_sessions(smsc.port, producer))
    first.wait_up(2)
    producer.wait_declared()
    reader = Reader(producer)
    until(lambda: reader.read() > 200, 60, "the run is under way")
    first.end(signal.SIGKILL)
    assert reader.read() < 1000
    second = start(Gateway, tmp_path, two_sessions(smsc.port, producer), name="again")
    until(lambda: reader.read() == 1000, 90, "a thousand texts")
    assert second.end() == 0
    assert second.troubles == []
    reader.read()
    reader.check(1000)
    nothing_is_left(tmp_path / "state" / "ledger.db")
    report = smsc.report()
    assert (report["inbound_lost"], report["inbound_refused"], report["pending"]) == (0, 0, 0)
    assert report["inbound_answered"] == report["inbound_made"]


def test_the_broker_goes_and_comes_back(
    tmp_path: Path, start: Start, producer: Producer, rabbitmq: Any
) -> None:
    smsc = start(Smsc, tmp_path, "--behaviour", str(behaviour(tmp_path, rate=100, limit=1200)))
    gateway = start(Gateway, tmp_path, two_sessions(smsc.port, producer))
    gateway.wait_up(2)
    producer.wait_declared()
    reader = Reader(producer)
    until(lambda: reader.read() > 100, 60, "the run is under way")
    rabbitmq.stop()
    refused = len([entry for entry in smsc.entries("inbound") if entry["status"] == 0x64])
    until(
        lambda: len([entry for entry in smsc.entries("inbound") if entry["status"] == 0x64]) > refused + 20,
        30,
        "the message centre is asked to keep what completes a message",
    )
    rabbitmq.start()
    until(lambda: reader.read() == 1200, 90, "every text")
    assert gateway.end() == 0
    assert gateway.troubles == []
    reader.read()
    reader.check(1200)
    nothing_is_left(tmp_path / "state" / "ledger.db")
    report = smsc.report()
    assert (report["inbound_lost"], report["inbound_refused"], report["pending"]) == (0, 0, 0)


def test_two_gateways_on_one_ledger_share_the_parts(tmp_path: Path, start: Start, producer: Producer) -> None:
    smsc = start(Smsc, tmp_path, "--behaviour", str(behaviour(tmp_path, rate=60, limit=300)))
    more = f'[ledger]\nurl = "sqlite://{tmp_path}/ledger.db"'
    gateways = [
        start(Gateway, tmp_path, two_sessions(smsc.port, producer, more, sessions=1), name=f"gateway{number}")
        for number in (1, 2)
    ]
    for gateway in gateways:
        gateway.wait_up()
    producer.wait_declared()
    reader = Reader(producer)
    until(lambda: reader.read() == 300, 60, "every text")
    for gateway in gateways:
        assert gateway.end() == 0
        assert gateway.troubles == []
    reader.read()
    reader.check(300)
    nothing_is_left(tmp_path / "ledger.db")
    shares = [session["delivered"] for session in smsc.report()["sessions"]]
    assert min(shares) > 100, "both got parts"


def test_what_is_never_whole_is_published_as_it_is(tmp_path: Path, start: Start, producer: Producer) -> None:
    path = tmp_path / "behaviour.toml"
    first_of_two = "050003070201" + b"half a message".hex()
    path.write_text(
        "inbound_rate = 10\ninbound_limit = 1\n"
        f'[[inbound]]\ndata = "{first_of_two}"\nesm_class = 0x40\nto = "46123"\n'
    )
    smsc = start(Smsc, tmp_path, "--behaviour", str(path))
    gateway = start(
        Gateway, tmp_path, two_sessions(smsc.port, producer, '[inbound]\nassembly_timeout = "2s"')
    )
    gateway.wait_up(2)
    producer.wait_declared()
    reader = Reader(producer)
    until(lambda: reader.read() == 1, 30, "half a message")
    (message,) = reader.messages
    assert (message["text"], message["complete"]) == ("half a message", False)
    assert (message["parts"], message["missing"]) == (2, [2])
    assert gateway.end() == 0
    assert gateway.troubles == []


READ = """
import sys
from collections.abc import Iterator
from twisted.internet import reactor
from smsgw.broker.spool import Spool
from smsgw.broker.topology import topology

def deliver(delivery):
    print(delivery.body.decode(), flush=True)
    delivery.ack()

spool = Spool(sys.argv[1], topology(["acme"]), reactor)
spool.start()
spool.consume("smsgw.inbound", 100, deliver)
reactor.run()
"""


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Callable[[Path], list[dict[str, Any]]]]:
    """What another process reads from the spool's queue of inbound messages."""
    started: list[subprocess.Popen[bytes]] = []
    output = tmp_path / "read.jsonl"

    def read(path: Path) -> list[dict[str, Any]]:
        if not started:
            with output.open("wb") as out:
                started.append(subprocess.Popen([sys.executable, "-c", READ, str(path)], stdout=out))
        return [json.loads(line) for line in output.read_text().splitlines() if line.endswith("}")]

    yield read
    for process in started:
        process.kill()
        process.wait()


def test_with_the_spool_as_broker(
    tmp_path: Path, start: Start, lines: Callable[[Path], list[dict[str, Any]]]
) -> None:
    smsc = start(Smsc, tmp_path, "--behaviour", str(behaviour(tmp_path, rate=60, limit=120)))
    spool = tmp_path / "spool.db"
    text = configuration(port=smsc.port, broker=f"spool://{spool}", channel="sessions = 2")
    first = start(Gateway, tmp_path, text)
    first.wait_up(2)
    until(lambda: len(lines(spool)) > 30, 30, "the run is under way")
    first.end(signal.SIGKILL)
    second = start(Gateway, tmp_path, text, name="again")
    until(lambda: {each["text"] for each in lines(spool)} == texts(120), 60, "every text")
    assert all(each["complete"] for each in lines(spool))
    assert second.end() == 0
    assert second.troubles == []
