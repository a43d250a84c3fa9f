"""The smaller measurements, each a program of its own that anyone can run, as they print it.

None of them does any I/O but `smpp_session`, whose last rows go over the loopback.
"""

from __future__ import annotations

import re
import subprocess
import sys

from benchmarks.bed import Bed
from benchmarks.machine import ROOT
from benchmarks.pages import Headline, Page

SCRIPTS = ("sms_encode", "smpp_session", "smpp_deliver")
ENCODE = ("short, ASCII", "short, UCS-2", "three parts, UCS-2")


def measure(_: Bed) -> Page:
    said = {name: _run(name) for name in SCRIPTS}
    parts = [f"## `benchmarks/{name}.py`\n\n```\n{text}```" for name, text in said.items()]
    headlines = [
        Headline(f"a text to its parts: {kind}", f"{_rate(said['sms_encode'], kind)} a second", readme=True)
        for kind in ENCODE
    ]
    return Page("parts", "Texts, PDUs, sessions", "\n\n".join([(__doc__ or "").strip(), *parts]), headlines)


def _run(name: str) -> str:
    command = [sys.executable, f"benchmarks/{name}.py"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def _rate(text: str, kind: str) -> str:
    """A row of sms_encode: its name, parts, encoded and decoded a second."""
    found = re.search(rf"^{re.escape(kind)} +\d+ +([\d,]+)", text, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"sms_encode has no row {kind}")
    return found[1]
