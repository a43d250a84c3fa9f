"""One long run: a million messages through RabbitMQ, over two SMPP channels, each with a receipt.

    python -m benchmarks.million [MESSAGES]

They wait in the queue before a gateway with two channels on it starts; both message centres answer after
5 ms and then send a receipt. A reader of our own takes every event and keeps a book of all
messages: what counts is that each has one final event, that the rate of the last minute is that of the
first, and that the gateway's memory does not grow. What is sampled every ten seconds is in the plot. It
takes minutes: `make million`.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import pika.exceptions
from rabbitmq import RabbitNode

from benchmarks import machine, native
from benchmarks.bed import Bed, Peer, Place, cpu
from benchmarks.figures import table
from benchmarks.pages import FOLDER, Headline, Page, write

MESSAGES = 1_000_000
WIDTH = 100
DELAY_US = 5000
SAMPLE = 10.0
PATIENCE = 120.0
"""Seconds without a final event after which those that lack one are told as missing."""

MEMORY_MIB = 120


class Sample(NamedTuple):
    """Seconds since the start; messages sent and final so far; the gateway's memory in MiB and CPU in s."""

    at: float
    sent: int
    final: int
    memory: float
    cpu: float


class Book(threading.Thread):
    """Reads every event, and knows of each message how many final ones it has had."""

    def __init__(self, url: str, exchange: str, messages: int) -> None:
        super().__init__(daemon=True)
        self.final = bytearray(messages)
        self.kinds: Counter[str] = Counter()
        self.done = 0
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self._channel = self._connection.channel()
        queue = self._channel.queue_declare("", exclusive=True).method.queue
        self._channel.queue_bind(queue, exchange, "#")
        self._channel.basic_consume(queue, self._read, auto_ack=True)

    def run(self) -> None:
        with suppress(pika.exceptions.AMQPError):  # the node is stopped when all is read
            self._channel.start_consuming()

    def _read(self, _: object, __: object, ___: object, body: bytes) -> None:
        event = json.loads(body)
        self.kinds[event["event"]] += 1
        if event["final"]:
            number = int(event["id"].removeprefix("m-"))
            self.done += not self.final[number]
            self.final[number] = min(255, self.final[number] + 1)

    @property
    def repeated(self) -> int:
        """Messages that were told more than one final event."""
        return sum(1 for times in self.final if times > 1)


def resident(pid: int) -> float:
    """MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the gateway has ended")


def configure(place: Place, bed: Bed, url: str) -> list[Peer]:
    """Two message centres, and the configuration of the gateway that sends to both from one queue."""
    sinks = []
    channels = ""
    for name in ("acme", "backup"):
        folder = place.folder / name
        folder.mkdir()
        sinks.append(place.start(Peer(folder, bed.programs["sink"], "-d", str(DELAY_US), "-r")))
        channels += (
            f'[channels.{name}]\ntype = "smpp"\nendpoint = "tcp:127.0.0.1:{sinks[-1].port}"\n'
            f'system_id = "{name}"\nqueue = "acme"\nwidth = {WIDTH}\n'
        )
    place.config.write_text(
        f'state_dir = "state"\n[broker]\nurl = {json.dumps(url)}\nprefix = "{place.prefix}"\nfeeds = false\n'
        f'[ledger]\nsynchronous = "normal"\n{channels}'
    )
    place.sink = sinks[0]
    return sinks


def run(bed: Bed, url: str, messages: int) -> tuple[list[Sample], Book, float]:
    """The samples, the book, and the size of the ledger's file at the end, in MiB."""
    with bed.place() as place:
        sinks = configure(place, bed, url)
        place.fill(messages, "--receipt", "final")
        book = Book(url, f"{place.prefix}.events", messages)
        book.start()
        began = time.monotonic()
        gateway = place.gateway()
        samples: list[Sample] = []
        progress = began
        while book.done < messages and time.monotonic() - progress < PATIENCE:
            before = book.done
            time.sleep(max(0.0, began + SAMPLE * (len(samples) + 1) - time.monotonic()) or 0.5)
            spent = cpu(gateway.popen.pid)
            samples.append(
                Sample(
                    time.monotonic() - began,
                    sum(sink.lines()[-1].count for sink in sinks),
                    book.done,
                    resident(gateway.popen.pid),
                    spent.reactor + spent.others,
                )
            )
            progress = time.monotonic() if book.done > before else progress
            print(*(f"{value:10,.1f}" for value in samples[-1]), flush=True)
        size = (place.folder / "state" / "ledger.db").stat().st_size / 2**20
        return samples, book, size


def rates(samples: Sequence[Sample]) -> list[tuple[float, float]]:
    """(seconds, final events a second) of each stretch between two samples."""
    zero = Sample(0.0, 0, 0, 0.0, 0.0)
    return [
        (b.at, (b.final - a.final) / (b.at - a.at)) for a, b in zip([zero, *samples], samples, strict=False)
    ]


def page(samples: Sequence[Sample], book: Book, ledger: float, messages: int) -> Page:
    from benchmarks.plots import Panel, plot  # noqa: PLC0415  matplotlib is needed by nobody else here

    curve = rates(samples)
    whole = curve[1:-1] or curve  # the first holds the start, the last the end
    minute = max(1, round(60 / SAMPLE))
    first = sum(rate for _, rate in whole[:minute]) / len(whole[:minute])
    last = sum(rate for _, rate in whole[-minute:]) / len(whole[-minute:])
    settled = [sample.memory for sample in samples[1:]] or [samples[-1].memory]
    plot(
        FOLDER / "million.svg",
        [
            Panel("seconds", "final events a second", {"a second, in stretches of 10 s": curve}),
            Panel("seconds", "MiB of memory", {"resident": [(each.at, each.memory) for each in samples]}),
        ],
    )
    missing = messages - book.done
    rows = [
        ["messages, each with a receipt", f"{messages:,}"],
        ["final events: missing / told twice", f"{missing:,} / {book.repeated:,}"],
        ["events by kind", ", ".join(f"{kind} {count:,}" for kind, count in sorted(book.kinds.items()))],
        ["seconds from the start of the gateway to the last final event", f"{samples[-1].at:,.0f}"],
        ["messages a second, first minute / last minute", f"{first:,.0f} / {last:,.0f}"],
        [
            "gateway's memory, MiB: after 20 s / most / at the end",
            f"{settled[0]:.0f} / {max(settled):.0f} / {settled[-1]:.0f}",
        ],
        ["gateway's CPU, us a message", f"{samples[-1].cpu / messages * 1e6:,.0f}"],
        ["ledger's file at the end, MiB", f"{ledger:,.0f}"],
    ]  # fmt: skip
    text = (
        f"{(__doc__ or '').strip()}\n\n![rate and memory over the time](million.svg)\n\n"
        f"{table(['what', 'measured'], rows)}"
    )
    headlines = [
        Headline(
            f"{messages:,} messages with receipts through RabbitMQ and two channels, at two message centres",
            f"{messages / samples[-1].at:,.0f}/s; missing {missing:,}, told twice {book.repeated:,}",
            "every message final, once",
            not missing and not book.repeated,
            readme=True,
        ),
        Headline(
            "its rate, last minute to first", f"{last / first:.2f}", "steady", 0.9 <= last / first <= 1.2
        ),
        Headline(
            "the memory of its gateway, most",
            f"{max(settled):.0f} MiB",
            f"under {MEMORY_MIB} MiB, no growth",
            max(settled) < MEMORY_MIB and settled[-1] < settled[0] * 1.15 + 5,
            readme=True,
        ),
    ]
    return Page("million", "A million messages", text, headlines, ranges="One run.")


def main() -> int:
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else MESSAGES
    facts, command = machine.facts(), " ".join(["python -m benchmarks.million", *sys.argv[1:]])
    with tempfile.TemporaryDirectory(prefix="smsgw-million-") as place:
        folder = Path(place)
        node = RabbitNode(folder / "rabbitmq")
        try:
            node.start()
            bed = Bed(folder, native.build(folder), node, 1.0, FOLDER)
            samples, book, ledger = run(bed, node.url, messages)
        finally:
            node.close()
    found = page(samples, book, ledger, messages)
    if messages >= MESSAGES:
        write(found, facts, command)
    print(found.text.rpartition("\n\n")[2])
    return 0 if book.done == messages and not book.repeated else 1


if __name__ == "__main__":
    sys.exit(main())
