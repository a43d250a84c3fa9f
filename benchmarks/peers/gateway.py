"""smsgw: the gateway under twistd as it is delivered, durable in all it does.

The ledger and the spool are written with `synchronous = "full"`, so that what was confirmed survives a
power cut; RabbitMQ gets durable queues, persistent messages and waits for its confirms. Every message
ends in an event that is stored, one, or with receipts two.
"""

from __future__ import annotations

import sys
from pathlib import Path

from processes import BIN
from rabbitmq import RabbitNode

from benchmarks.peers.load import Load
from benchmarks.peers.program import Program, Unfit, run, until

PRODUCER = Path(__file__).with_name("producer.py")

SETTINGS = """\
state_dir = "{folder}/state"

[broker]
url = "{url}"
prefix = "{prefix}"

[channels.acme]
type = "smpp"
endpoint = "tcp:127.0.0.1:{smsc}"
system_id = "acme"
password = "secret"
from = "ACME"
width = {window}
reconnect = "1s"
"""


class Gateway:
    """One smsgw, with its spool or at somebody's RabbitMQ under a prefix of its own."""

    def __init__(self, folder: Path, smsc_port: int, load: Load, node: RabbitNode | None) -> None:
        self._load = load
        self._settings = folder / "smsgw.toml"
        self._node = node
        self._settings.write_text(
            SETTINGS.format(
                folder=folder,
                url=node.url if node else f"spool://{folder}/state/spool.db",
                prefix=folder.name,
                smsc=smsc_port,
                window=load.window,
            )
        )
        self._program: Program | None = None

    def open(self) -> None:
        program = self._program = Program(
            self._settings.with_name("smsgw.log"),
            BIN / "twistd", "-n", "--pidfile=", "smsgw", "--config", self._settings,
        )  # fmt: skip
        until(lambda: "is down" in program.output, "smsgw has tried its message centre")

    def fill(self) -> None:
        receipt = "final" if self._load.receipts else "none"
        self._produce("fill", self._load.count, receipt, self._load.text)

    def go(self) -> None: ...

    @property
    def pids(self) -> dict[str, int]:
        found = {"program": self._program.pid} if self._program else {}
        return found | {"broker": self._node.pid} if self._node else found

    def check(self) -> None:
        """Raises Unfit unless the events are there: accepted, and delivered where receipts came."""
        wanted = self._load.count * (2 if self._load.receipts else 1)
        found = 0

        def all_there() -> bool:
            nonlocal found
            found = int(self._produce("events"))
            return found >= wanted

        try:
            until(all_there, "all events", 5)
        except Unfit:
            raise Unfit(f"smsgw stored {found} of {wanted} events") from None

    def close(self) -> None:
        if self._program:
            self._program.end()

    def _produce(self, what: str, *rest: object) -> str:
        return run(sys.executable, PRODUCER, what, self._settings, *rest)
