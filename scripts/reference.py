"""Writes the pages of docs/ that say what the code's tables say: `make reference`.

With --check it writes nothing, and ends with status 1 where a page is not up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from smsgw.channel.smpp import UNKNOWN_ATTEMPTS
from smsgw.smpp.constants import CommandStatus, status_name
from smsgw.smpp.dialect import STATUS_CLASSES, StatusClass

CLASSES: dict[StatusClass, tuple[str, str, str]] = {
    "ok": ("taken", "goes on", "`accepted`"),
    "permanent": ("ends; the same again would fare the same", "goes on", "`rejected`"),
    "temporary": (
        "waits in a delay queue, then another attempt; after the last one to `smsgw.dead`",
        "goes on",
        "`retrying`, at last `rejected`",
    ),
    "unknown": (
        f"as temporary, {UNKNOWN_ATTEMPTS} attempts altogether",
        "goes on",
        "`retrying`, at last `rejected`",
    ),
    "throttled": (
        "keeps its place and is sent again; no attempt is counted",
        "all its sessions pause, then find the rate that passes",
        "none",
    ),
    "link": (
        "goes back to its queue; no attempt is counted",
        "the session unbinds and binds again after a pause; its state shows the status",
        "none",
    ),
}
"""What a class means for the message, for the channel, and which event tells it."""


def statuses() -> str:
    """`statuses.md`: what every command_status means."""
    return "\n".join(_statuses()) + "\n"


def _statuses() -> Iterator[str]:
    yield "# What an SMPP status means"
    yield ""
    yield "Every `command_status` of SMPP 3.4 and 5.0 belongs to a class, and the class says what happens."
    yield '`status = { 0x0045 = "permanent" }` under `[channels.NAME.dialect]` gives a code another class.'
    yield ""
    yield "| class | the message | the channel | events |"
    yield "|---|---|---|---|"
    for name, (message, channel, events) in CLASSES.items():
        yield f"| {name} | {message} | {channel} | {events} |"
    yield ""
    yield "No answer in time waits and is tried again as `temporary` is. But the message may have been taken,"
    yield "so it ends as `unknown`: see [Events](producers.md#events)."
    yield ""
    yield "| code | name | class |"
    yield "|---|---|---|"
    for status in CommandStatus:
        yield f"| 0x{status:04X} | {status_name(status)} | {STATUS_CLASSES[status]} |"
    yield "| any other | as its code, `0x00000437` | unknown |"


PAGES: dict[str, Callable[[], str]] = {"statuses.md": statuses}


DOCS = Path(__file__).parents[1] / "docs"


def main() -> int:
    pages = {DOCS / name: page() for name, page in PAGES.items()}
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text("utf-8") != text]
    check = "--check" in sys.argv
    for path in stale:
        print(f"{path.name}: {'not up to date' if check else 'written'}")
        if not check:
            path.write_text(pages[path], "utf-8")
    return 1 if stale and check else 0


if __name__ == "__main__":
    sys.exit(main())
