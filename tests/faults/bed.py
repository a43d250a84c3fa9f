"""The gateway and all that it depends on, as processes whose faults can be had at will.

    client ── RabbitMQ ── broker link ── gateway ── SMSC link ── SMSC

The links are proxies of ours (`proxy`); the client, which is sure to publish and to hear, goes past
them. With the spool there is neither RabbitMQ nor its link. Every time-out in the configuration is
short, so that a fault can outlast it in seconds: a link is dead 3 s after its last sign of life (SMSC)
or 4 s (RabbitMQ), and a response may take longer than that, so that a message is never given up on a
link that only sleeps.
"""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path

from faults.disk import Disk
from faults.proxy import Proxy
from faults.tally import Tally
from faults.wallclock import WallClock
from processes import Gateway, Smsc, free_port
from rabbitmq import RabbitNode

CLIENT = Path(__file__).with_name("client.py")
WIDTH = 20
SESSIONS = 2
HEARTBEAT = 2
SUPERVISOR_PAUSE = 1.0
BEHAVIOUR = """
response_delay = {response_delay}
receipt_delay = 0.05
receipt_retry_delay = 0.5
statuses = {{ "0x00000008" = {refused} }}
enquire_link = 1.0
response_timeout = 2.0
"""

CONFIGURATION = """
state_dir = "{folder}"
stop_timeout = "10s"
[broker]
url = "{broker}"
prefix = "{prefix}"
[ledger]
url = "sqlite://{folder}/ledger/ledger.db"
keep = "{keep}s"
[channels.acme]
type = "smpp"
endpoint = "tcp:127.0.0.1:{port}"
system_id = "acme"
password = "secret"
width = {width}
sessions = {sessions}
reconnect = "1s"
rebind = "1s"
retry = ["1s", "1s", "2s", "2s", "2s", "2s"]
[channels.acme.timers]
session_init = "2s"
enquire_link = "1s"
response = "10s"
unbind = "2s"
[[routes]]
to = ["46"]
queue = ["acme"]
"""


class Bed:
    """Everything for one run, under `folder`. `rabbit` is a node that runs, None for the spool.

    `keep` is for how many seconds the ledger waits for a receipt; `linked` of ten messages ask for one.
    `response_delay` is how long the SMSC takes to answer, `refused` the share that it refuses for now.
    `key` is what the client publishes with, the queue's or `route`.
    """

    def __init__(
        self,
        folder: Path,
        rabbit: RabbitNode | None,
        *,
        keep: float,
        linked: int = 10,
        response_delay: float = 0.02,
        refused: float = 0.0,
        key: str = "acme",
    ) -> None:
        self.folder = folder
        self.rabbit = rabbit
        self.clock = WallClock(folder)
        self.statuses: list[int] = []
        self._keep = keep
        self._key = key
        self._prefix = f"f{secrets.token_hex(4)}"
        self._behaviour = folder / "smsc.toml"
        self._behaviour.write_text(BEHAVIOUR.format(response_delay=response_delay, refused=refused))
        self._smsc_port = free_port()
        self.tally = Tally(folder / "smsc.jsonl", folder / "publishes", folder / "events")
        with ExitStack() as opened:
            self._open(opened, linked)
            self._opened = opened.pop_all()

    def _open(self, opened: ExitStack, linked: int) -> None:
        self.ledger_disk = opened.enter_context(closing(Disk(self.folder / "ledger")))
        self.spool_disk = opened.enter_context(closing(Disk(self.folder / "spool")))
        self.smsc_link = opened.enter_context(closing(Proxy(self._smsc_port)))
        rabbit_port = self.rabbit.port if self.rabbit else free_port()
        self.broker_link = opened.enter_context(closing(Proxy(rabbit_port)))
        self.start_smsc()
        opened.callback(lambda: self.smsc.close())  # noqa: PLW0108  whichever it is by then
        self.start_gateway()
        opened.callback(lambda: self.gateway.close())  # noqa: PLW0108
        self._client = self._start_client(linked)
        opened.callback(self._end_client)

    # -- starting

    def start_gateway(self) -> None:
        port = self.broker_link.port
        env = {} if self.clock.missing else self.clock.environ
        self.gateway = Gateway(self.folder, self._configuration(port), env=env)
        self._supervised = True

    def start_smsc(self) -> None:
        options = ("--behaviour", str(self._behaviour))
        self.smsc = Smsc(self.folder, *options, port=self._smsc_port)

    def publish(self, first: int, count: int) -> None:
        """Have the client publish messages `first`, `first + 1` and so on; see `tally` for what became."""
        assert self._client.stdin is not None
        self._client.stdin.write(f"{first} {count}\n")
        self._client.stdin.flush()

    def _start_client(self, linked: int) -> subprocess.Popen[str]:
        config = self.folder / "client.toml"
        config.write_text(self._configuration(self.rabbit.port if self.rabbit else 0))
        with (self.folder / "client.log").open("ab") as log:
            return subprocess.Popen(
                [
                    sys.executable,
                    str(Path(__file__).with_name("client.py")),
                    config,
                    self.folder,
                    str(linked),
                    self._key,
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
            )

    def _configuration(self, broker_port: int) -> str:
        amqp = f"amqp://guest:guest@127.0.0.1:{broker_port}/%2F?heartbeat={HEARTBEAT}"
        return CONFIGURATION.format(
            folder=self.folder,
            broker=amqp if self.rabbit else f"spool://{self.folder}/spool/spool.db",
            prefix=self._prefix,
            keep=self._keep,
            port=self.smsc_link.port,
            width=WIDTH,
            sessions=SESSIONS,
        )

    # -- ending

    def supervise(self) -> None:
        """What systemd does: start the gateway again where it has ended by itself.

        It may do so only where there is no room for its ledger at its start, and says so in one line.
        """
        if self._supervised and self.gateway.popen.poll() is not None:
            last = self.gateway.output.splitlines()[-1]
            if not (last.startswith("smsgw: ") and "/ledger.db: " in last):
                self.statuses.append(self.gateway.popen.returncode)
            time.sleep(SUPERVISOR_PAUSE)
            self.start_gateway()

    def kill_gateway(self) -> None:
        self._supervised = False
        self.gateway.end(signal.SIGKILL)

    def end_gateway(self) -> None:
        """In good order; its status is kept for the invariants."""
        self._supervised = False
        self.statuses.append(self.gateway.end())

    def delete_queue(self) -> None:
        """An operator's mistake. What is in the queue would be lost with it, so have it empty."""
        assert self.rabbit is not None
        self.rabbit.ctl("delete_queue", f"{self._prefix}.submit.acme")

    def close(self) -> None:
        self._opened.close()

    def _end_client(self) -> None:
        self._client.kill()
        self._client.wait()

    # -- looking

    @property
    def logs(self) -> dict[str, str]:
        names = ("gateway.log", "smsc.log", "client.log")
        return {name: (self.folder / name).read_text() for name in names}

    def depth(self) -> int:
        """How many messages are in the queue, those that were handed out and not yet settled included."""
        return sum(self._depths()[f"{self._prefix}.submit.acme"])

    def depths(self) -> str:
        """For a diagnosis: the queues of this run that are not empty, waiting + handed out."""
        return json.dumps(
            {name: f"{ready}+{out}" for name, (ready, out) in self._depths().items() if ready + out}
        )

    def _depths(self) -> dict[str, tuple[int, int]]:
        if self.rabbit is None:
            return {}
        lines = self.rabbit.ctl("list_queues", "name", "messages_ready", "messages_unacknowledged")
        rows = [line.split("\t") for line in lines.splitlines() if line.startswith(self._prefix)]
        return {name: (int(ready), int(out)) for name, ready, out in rows}
