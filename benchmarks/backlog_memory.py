"""How much memory a gateway takes while very many messages wait in the broker.

    python benchmarks/backlog_memory.py [MESSAGES [SECONDS]]

Starts a RabbitMQ and a simulated message centre of its own, publishes the messages while no gateway
runs, then lets one drain them for so many seconds and prints its resident memory as it goes. Needs the
packages that `make test` installs.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import pika
from processes import Gateway, Producer, Smsc, configuration
from rabbitmq import RabbitNode

WIDTH = 100


def publish(url: str, count: int) -> None:
    """To the submit queue's exchange, unconfirmed but for the end: the broker is on this machine."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    properties = pika.BasicProperties(content_type="application/json", delivery_mode=2)
    for number in range(count):
        body = json.dumps({"to": f"+4670{number:07}", "text": f"message {number}", "receipt": "none"})
        channel.basic_publish("smsgw.submit", "acme", body.encode(), properties)
    channel.queue_declare("smsgw.submit.acme", passive=True)  # answered when all before it is taken
    connection.close()


def waiting(url: str) -> int:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    count: int = connection.channel().queue_declare("smsgw.submit.acme", passive=True).method.message_count
    connection.close()
    return count


def resident(pid: int) -> float:
    """MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("the gateway has ended")


def run(folder: Path, messages: int, seconds: int) -> None:
    node = RabbitNode(folder / "rabbitmq")
    node.start()
    processes: list[Gateway | Smsc] = []
    try:
        smsc = Smsc(folder)
        processes.append(smsc)
        settings = configuration(port=smsc.port, broker=node.url, width=WIDTH)
        first = Gateway(folder, settings, name="first")  # declares the queues
        processes.append(first)
        Producer(node.url, "smsgw").wait_declared()
        first.end()
        publish(node.url, messages)
        print(f"{waiting(node.url):,} messages wait")
        gateway = Gateway(folder, settings)
        processes.append(gateway)
        gateway.wait_up()
        for second in range(0, seconds + 1, max(1, seconds // 6)):
            print(f"{second:4} s: {resident(gateway.popen.pid):6.1f} MiB, {waiting(node.url):,} wait")
            time.sleep(max(1, seconds // 6))
    finally:
        for process in processes:
            process.close()
        node.close()


def main() -> None:
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    print(f"machine: {platform.processor() or platform.machine()}; CPython {platform.python_version()}")
    print(f"command: python {' '.join(sys.argv)}")
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), messages, seconds)


if __name__ == "__main__":
    main()
