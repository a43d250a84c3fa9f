"""Kannel: bearerbox, whose store is filled through its smsbox while no message centre is there.

Everything that could hold it back is off: no access log, the log at errors only, no throughput limit,
the same window as the others. Receipts stay in its memory (`dlr-storage = internal`), its fastest way, and
only the final one is asked for. No smsbox takes the reports: they wait in bearerbox and its store, as
smsgw's events wait in the broker.
"""

from __future__ import annotations

import http.client
import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode
from urllib.request import urlopen

from processes import free_port

from benchmarks.peers.load import Load, recipient, shares
from benchmarks.peers.program import Program, Unfit, until

CLIENTS = 8
DELIVERED_OR_NOT = 1 | 2
"""`dlr-mask`: reached the phone, or could not."""

SETTINGS = """\
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = admin
smsbox-port = {boxes}
smsbox-interface = 127.0.0.1
box-allow-ip = 127.0.0.1
log-level = 3
store-type = {store}
store-location = {folder}/store
dlr-storage = internal

group = smsc
smsc = smpp
smsc-id = sink
host = 127.0.0.1
port = {smsc}
transceiver-mode = true
smsc-username = acme
smsc-password = secret
system-type = ""
interface-version = 34
max-pending-submits = {window}
reconnect-delay = 1

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {boxes}
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1
log-level = 3

group = sendsms-user
username = bench
password = bench

group = sms-service
keyword = default
text = none
"""


def installed() -> bool:
    return shutil.which("bearerbox") is not None and shutil.which("smsbox") is not None


def version() -> str:
    said = subprocess.run(["bearerbox", "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"version `([^']+)'", said.stdout + said.stderr)
    return f"Kannel {found[1] if found else '?'}"


class Kannel:
    """One bearerbox with a store of its own."""

    def __init__(self, folder: Path, smsc_port: int, load: Load, store: Literal["file", "spool"]) -> None:
        self._load = load
        self._admin, self._sendsms, self._boxes = free_port(), free_port(), free_port()
        self._box: Program | None = None
        if store == "spool":
            (folder / "store").mkdir()
        self._settings = folder / "kannel.conf"
        self._settings.write_text(
            SETTINGS.format(
                admin=self._admin,
                boxes=self._boxes,
                sendsms=self._sendsms,
                smsc=smsc_port,
                store=store,
                folder=folder,
                window=load.window,
            )
        )

    def open(self) -> None:
        self._box = Program(self._settings.with_name("bearerbox.log"), "bearerbox", "-v", 4, self._settings)
        self._box.wait_listening(self._admin, self._boxes)

    def fill(self) -> None:
        smsbox = Program(self._settings.with_name("smsbox.log"), "smsbox", "-v", 4, self._settings)
        try:
            smsbox.wait_listening(self._sendsms)
            clients = [
                threading.Thread(target=self._push, args=[numbers])
                for numbers in shares(self._load.count, CLIENTS)
            ]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            until(lambda: self._status(r"store size (\d+)") == self._load.count, "Kannel has stored it all")
        finally:
            smsbox.end()

    def go(self) -> None: ...

    @property
    def pids(self) -> dict[str, int]:
        return {"program": self._box.pid} if self._box else {}

    def check(self) -> None:
        """Raises Unfit unless it says itself that all were sent and reported."""
        sent = self._status(r"SMS: received \d+ \(\d+ queued\), sent (\d+)")
        reported = self._status(r"DLR: received (\d+)")
        wanted = self._load.count if self._load.receipts else 0
        if (sent, reported) != (self._load.count, wanted):
            raise Unfit(f"Kannel counts {sent} sent and {reported} reports")

    def close(self) -> None:
        if self._box:
            self._box.end()

    def _push(self, numbers: range) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._sendsms)
        fields = {"username": "bench", "password": "bench", "from": "ACME", "text": self._load.text}
        if self._load.receipts:
            fields |= {"dlr-mask": str(DELIVERED_OR_NOT), "dlr-url": "http://127.0.0.1/"}
        rest = urlencode(fields)
        for number in numbers:
            connection.request("GET", f"/cgi-bin/sendsms?to={recipient(number)}&{rest}")
            connection.getresponse().read()

    def _status(self, pattern: str) -> int:
        with urlopen(f"http://127.0.0.1:{self._admin}/status.txt?password=admin", timeout=10) as answer:
            found = re.search(pattern, answer.read().decode())
        return int(found[1]) if found else -1
