"""Real processes for the tests: the gateway under twistd, a simulated message centre, a producer."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pika

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[1]


def until(true: Callable[[], Any], seconds: float, what: str) -> None:
    """Wait until something holds; fails with `what` did not."""
    give_up = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def troubles(log: str) -> list[str]:
    """Lines of a log that no run should have."""
    marks = ("Traceback", "Unhandled", "#critical")
    return [line for line in log.splitlines() if any(mark in line for mark in marks)]


def smsgw(*arguments: str, status: int = 0, timeout: float = 40) -> str:
    """Run a command; its standard output."""
    done = subprocess.run(
        [BIN / "smsgw", *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if status == 0 else done.stderr


def spool(folder: Path) -> str:
    return f"spool://{folder}/state/spool.db"


class Process:
    """One child process, with its output in a file."""

    def __init__(self, log: Path, *command: str, env: dict[str, str] | None = None) -> None:
        self.log = log
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=log.parent,
                env={**os.environ, **(env or {}), "PYTHONUNBUFFERED": "1"},
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    def end(self, how: signal.Signals = signal.SIGTERM, seconds: float = 40) -> int:
        """Signal it and wait; its exit status."""
        if self.popen.poll() is None:
            self.popen.send_signal(how)
        return self.popen.wait(seconds)

    def suspend(self) -> None:
        """It stands still from now on, and its peers can't tell why."""
        self.popen.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.popen.send_signal(signal.SIGCONT)

    def close(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()


class Smsc(Process):
    """A simulated message centre on a port of its own; `entries` is its journal."""

    def __init__(self, folder: Path, *options: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self.journal = folder / "smsc.jsonl"
        listen = f"tcp:{self.port}:interface=127.0.0.1"
        super().__init__(
            folder / "smsc.log",
            str(BIN / "smsgw"), "simulate", "smsc", "--listen", listen, "--log", str(self.journal), *options,
        )  # fmt: skip
        until(lambda: "listening on" in self.output, 20, "the message centre listens")

    def entries(self, event: str) -> list[dict[str, Any]]:
        if not self.journal.exists():
            return []
        found = [json.loads(line) for line in self.journal.read_text().splitlines() if line.endswith("}")]
        return [entry for entry in found if entry["event"] == event]

    def report(self) -> dict[str, Any]:
        """End it; its counts."""
        assert self.end() == 0
        counts: dict[str, Any] = json.loads(self.output.splitlines()[-1])
        return counts


class Gateway(Process):
    """`twistd -n smsgw` with a configuration written to `folder`."""

    def __init__(
        self, folder: Path, configuration: str, name: str = "gateway", env: dict[str, str] | None = None
    ) -> None:
        self.config = folder / f"{name}.toml"
        self.config.write_text(configuration)
        super().__init__(
            folder / f"{name}.log",
            str(BIN / "twistd"), "-n", "--pidfile=", "smsgw", "--config", str(self.config),
            env=env,
        )  # fmt: skip

    def wait_up(self, sessions: int = 1) -> None:
        until(lambda: self.output.count(" is up") >= sessions, 20, f"{sessions} sessions up")

    @property
    def troubles(self) -> list[str]:
        return troubles(self.output)


def configuration(
    *,
    port: int,
    broker: str,
    prefix: str = "smsgw",
    state: str = "state",
    width: int = 20,
    more: str = "",
    channel: str = "",
) -> str:
    """One SMPP channel `acme`, fed from the queue of its name."""
    return f"""
state_dir = "{state}"
stop_timeout = "10s"
{more}
[broker]
url = "{broker}"
prefix = "{prefix}"
[channels.acme]
type = "smpp"
endpoint = "tcp:127.0.0.1:{port}"
system_id = "acme"
password = "secret"
width = {width}
{channel}
"""


class Producer:
    """A back end that speaks AMQP with pika, and knows nothing of smsgw but its contract."""

    def __init__(self, url: str, prefix: str) -> None:
        self.url = url
        self.prefix = prefix
        self.events: dict[str, list[dict[str, Any]]] = {}

    @contextmanager
    def channel(self) -> Iterator[Any]:
        connection = pika.BlockingConnection(pika.URLParameters(self.url))
        try:
            yield connection.channel()
        finally:
            connection.close()

    def wait_declared(self, key: str = "acme") -> None:
        """Until a publish would reach its queue: the gateway declares it when it has connected."""

        def bound() -> bool:
            try:
                with self.channel() as channel:
                    channel.confirm_delivery()
                    channel.queue_declare(f"{self.prefix}.dead", passive=True)
                    channel.queue_bind(f"{self.prefix}.submit.{key}", f"{self.prefix}.submit", key)
            except pika.exceptions.AMQPError:
                return False
            return True

        until(bound, 20, "the gateway has declared its queues")

    def publish(self, count: int, key: str = "acme", first: int = 0) -> list[str]:
        """`count` messages with different recipients and texts, each confirmed; their ids."""
        self.wait_declared(key)
        with self.channel() as channel:
            channel.confirm_delivery()
            ids = []
            for number in range(first, first + count):
                message_id = f"m-{number}-{secrets.token_hex(4)}"
                channel.basic_publish(
                    f"{self.prefix}.submit",
                    key,
                    json.dumps({"to": f"+4670{number:07}", "text": f"message {number}"}).encode(),
                    pika.BasicProperties(
                        message_id=message_id, content_type="application/json", delivery_mode=2
                    ),
                    mandatory=True,
                )
                ids.append(message_id)
        return ids

    def read_events(self) -> None:
        """Take what waits in the default queue of events."""
        with self.channel() as channel:
            while True:
                method, _, body = channel.basic_get(f"{self.prefix}.events", auto_ack=True)
                if method is None:
                    return
                event = json.loads(body)
                self.events.setdefault(event["id"], []).append(event)

    def finals(self, ids: list[str]) -> Counter[str]:
        """Final events of these messages by kind; repeats of an event (same event_id) count once."""
        kinds: Counter[str] = Counter()
        for message_id in ids:
            told = {each["event_id"]: each for each in self.events.get(message_id, []) if each["final"]}
            assert len(told) <= 1, f"more than one final event: {told}"
            kinds.update(each["event"] for each in told.values())
        return kinds

    def wait_for_finals(self, ids: list[str], seconds: float) -> Counter[str]:
        def all_there() -> bool:
            self.read_events()
            return sum(self.finals(ids).values()) == len(ids)

        until(all_there, seconds, f"a final event for each of {len(ids)} messages")
        return self.finals(ids)

    def waiting(self, queue: str) -> int:
        with self.channel() as channel:
            count: int = channel.queue_declare(queue, passive=True).method.message_count
            return count
