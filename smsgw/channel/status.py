"""A command_status as outcomes have it."""

from __future__ import annotations

from functools import lru_cache

from smsgw.outcome import Status
from smsgw.smpp.constants import CommandStatus, status_name


@lru_cache(maxsize=256)
def status_of(code: int) -> Status:
    """The status of a code, made once: one comes with each part, and there are few."""
    return Status(code, status_name(code))


OK = status_of(int(CommandStatus.ESME_ROK))
