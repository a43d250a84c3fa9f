"""Jasmin, in a virtual environment of its own: its queue in RabbitMQ is filled while no connector runs.

Its console (jCli) sets it up and its HTTP API takes the messages. Everything that could hold it back is off:
no throughput limit, no billing, every log at errors only, and it waits 1 s rather than 30 s where its
connector is not bound yet. It has no setting for a window: it asks RabbitMQ for one message at a time.
"""

from __future__ import annotations

import configparser
import http.client
import io
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pika
from processes import free_port
from rabbitmq import RabbitNode

from benchmarks.peers.load import Load, recipient, shares
from benchmarks.peers.program import Program, Unfit, until

CLIENTS = 4
QUEUE = "submit.sm.sink"
SPECIFICATION = Path(__file__).parents[2] / "smsgw" / "broker" / "amqp" / "amqp0-9-1.xml"
"""Of AMQP; Jasmin's packages lack theirs, and ours has all the methods that it calls."""
UNSAVED = ("--save", "", "--appendonly", "no")
SUCCESS = re.compile(rb"[Ss]uccessfully")
PROMPT = b"jcli : "
INNER = b"> "
LOGS = (
    "smpp-server", "smpp-server-pb", "client-management", "service-smppclient", "sm-listener", "dlr",
    "router", "deliversm-thrower", "dlr-thrower", "redis-client", "amqp-broker", "http-api", "jcli",
)  # fmt: skip

SETTINGS = {
    "jcli": {"authentication": "False"},
    "http-api": {"bind": "127.0.0.1", "billing_feature": "False", "access_log": "/dev/null"},
    "sm-listener": {"submit_retrial_delay_smppc_not_ready": "1"},
}

CONNECTOR = (
    "smppccm -a", "cid sink", "host 127.0.0.1", "username acme", "password secret",
    "submit_throughput 0", "con_fail_delay 1", "requeue_delay 1", "loglevel 40",
)  # fmt: skip

USERS = (
    ("group -a", "gid bench"),
    ("user -a", "uid bench", "gid bench", "username bench", "password bench"),
)


def settings(more: Mapping[str, Mapping[str, str]]) -> str:
    """jasmin.cfg, with `more` of each table."""
    parser = configparser.RawConfigParser()
    for name in LOGS:
        parser[name] = {"log_level": "ERROR", **SETTINGS.get(name, {}), **more.get(name, {})}
    with io.StringIO() as text:
        parser.write(text)
        return text.getvalue()


class Jasmin:
    """One jasmind with its Redis, at somebody's RabbitMQ."""

    def __init__(self, folder: Path, smsc_port: int, load: Load, node: RabbitNode, python: Path) -> None:
        self._folder, self._smsc_port, self._load, self._node = folder, smsc_port, load, node
        self._python = python
        self._http, self._console, self._redis = free_port(), free_port(), free_port()
        self._programs: dict[str, Program] = {}

    def open(self) -> None:
        redis = self._start("redis", "redis-server", "--port", self._redis, "--bind", "127.0.0.1", *UNSAVED)
        redis.wait_listening(self._redis)
        store = self._folder / "store"
        store.mkdir()
        file = self._folder / "jasmin.cfg"
        file.write_text(self._configuration())
        jasmind = self._start(
            "program",
            self._python, self._python.with_name("jasmind.py"), "--config", file,
            CONFIG_PATH=self._folder, STORE_PATH=store, LOG_PATH=self._folder, ROOT_PATH=self._folder,
        )  # fmt: skip
        jasmind.wait_listening(self._http, self._console)

    def _start(self, name: str, *command: object, **places: Path) -> Program:
        env = {place: str(path) for place, path in places.items()}
        program = self._programs[name] = Program(self._folder / f"{name}.log", *command, env=env)
        return program

    def fill(self) -> None:
        self._say(
            *USERS,
            (*CONNECTOR, f"port {self._smsc_port}"),
            ("mtrouter -a", "type DefaultRoute", "connector smppc(sink)", "rate 0"),
        )
        clients = [
            threading.Thread(target=self._push, args=[numbers])
            for numbers in shares(self._load.count, CLIENTS)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        until(lambda: self._waiting() == self._load.count, "Jasmin's queue has them all")

    def go(self) -> None:
        self._say(("smppccm -1 sink",))

    @property
    def pids(self) -> dict[str, int]:
        return {name: program.pid for name, program in self._programs.items()} | {"broker": self._node.pid}

    def check(self) -> None:
        """Raises Unfit unless its queue is empty."""
        until(lambda: self._waiting() == 0, "Jasmin's queue is empty", 10)

    def close(self) -> None:
        for program in reversed(self._programs.values()):
            program.end()
        with _channel(self._node) as channel:
            channel.queue_delete(QUEUE)

    def _configuration(self) -> str:
        more: dict[str, dict[str, str]] = {
            name: {"bind": "127.0.0.1", "port": str(free_port())}
            for name in ("router", "client-management", "smpp-server", "smpp-server-pb")
        }
        more["jcli"] = {"port": str(self._console)}
        more["http-api"] = {"port": str(self._http)}
        more["redis-client"] = {"port": str(self._redis)}
        more["amqp-broker"] = {"port": str(self._node.port), "spec": str(SPECIFICATION)}
        return settings(more)

    def _say(self, *dialogues: tuple[str, ...]) -> None:
        """At the console: each dialogue's last line but the first is confirmed with `ok`."""
        with socket.create_connection(("127.0.0.1", self._console), 10) as console:
            console.sendall(b"\r\n")  # it prompts only when it has heard something
            _read(console, PROMPT)
            for first, *rest in dialogues:
                console.sendall(f"{first}\r\n".encode())
                for line in rest:
                    _read(console, INNER)
                    console.sendall(f"{line}\r\n".encode())
                if rest:
                    _read(console, INNER)
                    console.sendall(b"ok\r\n")
                said = _read(console, PROMPT)
                if not SUCCESS.search(said):
                    raise Unfit(f"Jasmin's console says to {first!r}: {said!r}")

    def _push(self, numbers: range) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._http)
        rest = urlencode(
            {"username": "bench", "password": "bench", "from": "ACME", "content": self._load.text}
        )
        for number in numbers:
            connection.request("GET", f"/send?to={recipient(number)}&{rest}")
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != http.HTTPStatus.OK:
                raise Unfit(f"Jasmin answers {answer.status}: {said!r}")

    def _waiting(self) -> int:
        with _channel(self._node) as channel:
            count: int = channel.queue_declare(QUEUE, passive=True).method.message_count
            return count


@contextmanager
def _channel(node: RabbitNode) -> Iterator[Any]:
    connection = pika.BlockingConnection(pika.URLParameters(node.url))
    try:
        yield connection.channel()
    finally:
        connection.close()


def _read(console: socket.socket, prompt: bytes) -> bytes:
    said = b""
    while not said.endswith(prompt):
        try:
            more = console.recv(4096)
        except TimeoutError:
            raise Unfit(f"Jasmin's console fell silent after {said[-200:]!r}") from None
        if not more:
            raise Unfit(f"Jasmin's console hung up after {said[-100:]!r}")
        said += more
    return said
