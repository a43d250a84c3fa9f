"""A record of every message, one JSON object a line, for those who run the simulator as a process.

Lines are written to a buffer and reach the file before the reactor looks at its sockets again, and so
before anything that the same turn wrote to a peer: even of a process that is killed, nothing has left
that is not in its journal. Unlike a log, the journal holds numbers and texts: it is what a test counts,
and is off unless asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Literal

import msgspec

from smsgw.simulator.agenda import Agenda

FLUSH = 0.0
"""Seconds; 0 is this turn of the reactor, after its reads and before its writes."""

BUFFER = 1 << 16


class Entry(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One line. `at` is in seconds since the epoch, `data` the message's octets in hex.

    `id` is the id of the submit_sm_resp; `text` is there where the octets are text. `tlvs` are keyed
    `0x020c`, octets in hex; message_payload is not among them, being in `data`. `times` says how often
    this text was taken for this destination, 2 being a duplicate.
    """

    at: float
    event: Literal[
        "accepted", "refused", "answered", "receipt", "inbound", "bound", "bind refused", "unbind", "ended"
    ]
    session: int
    system_id: str = ""
    id: str | None = None
    receipted_id: str | None = None
    source: str | None = None
    destination: str | None = None
    text: str | None = None
    data: str | None = None
    data_coding: int | None = None
    esm_class: int | None = None
    tlvs: dict[str, int | str] = {}
    times: int | None = None
    stat: str | None = None
    status: int | None = None
    attempt: int | None = None
    final: bool | None = None
    reason: str | None = None


class Journal:
    """Writes entries to a file, or with None nowhere.

    Raises:
        OSError: the file can't be opened.
    """

    def __init__(self, path: Path | None, agenda: Agenda) -> None:
        self._file: IO[bytes] | None = path.open("ab", buffering=BUFFER) if path is not None else None
        self._agenda = agenda
        self._encode = msgspec.json.Encoder().encode
        self._dirty = False

    def __bool__(self) -> bool:
        """False where nothing is recorded: spares making entries."""
        return self._file is not None

    def write(self, entry: msgspec.Struct) -> None:
        """Record it."""
        if self._file is None:
            return
        self._file.write(self._encode(entry) + b"\n")
        if not self._dirty:
            self._dirty = True
            self._agenda.add(FLUSH, self.flush)

    def flush(self) -> None:
        """Everything written so far reaches the file."""
        self._dirty = False
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Flush, and record nothing more."""
        if self._file is not None:
            self._file.close()
            self._file = None
