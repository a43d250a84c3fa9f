"""Simulated modems as processes, and a gateway with a channel for each."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from processes import BIN, Process, until


class Modem(Process):
    """A simulated modem behind a link that stays; `entries` is its journal."""

    def __init__(self, folder: Path, name: str, *options: str) -> None:
        self.link = folder / f"{name}-port"
        self.control = folder / f"{name}.control"
        self.journal = folder / f"{name}.jsonl"
        super().__init__(
            folder / f"{name}.log",
            str(BIN / "smsgw"), "simulate", "modem", "--link", str(self.link),
            "--control", f"unix:{self.control}", "--log", str(self.journal), *options,
        )  # fmt: skip
        until(lambda: "modem at" in self.output, 20, "the modem is there")

    def do(self, what: str, **fields: Any) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(10)
            wire.connect(str(self.control))
            wire.sendall(json.dumps({"do": what, **fields}).encode() + b"\n")
            answer: dict[str, Any] = json.loads(wire.makefile().readline())
        assert answer["ok"], answer
        return answer

    @property
    def counts(self) -> dict[str, Any]:
        found: dict[str, Any] = self.do("counts")["counts"]
        return found

    def entries(self, event: str) -> list[dict[str, Any]]:
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        found = [json.loads(line) for line in lines if line.endswith("}")]
        return [entry for entry in found if entry["event"] == event]


def configuration(*modems: tuple[str, Path], more: str = "") -> str:
    """A channel for each modem, all fed from the queue `pool`, and queues in a file."""
    channels = (
        f'[channels.{name}]\ntype = "gsm"\nendpoint = "serial:{link}:baudrate=115200"\n'
        f'queue = "pool"\nreconnect = "1s"\npoll = "2s"\nretry = ["1s", "1s", "1s"]\n{more}\n'
        for name, link in modems
    )
    return 'state_dir = "state"\nstop_timeout = "10s"\n' + "".join(channels)
