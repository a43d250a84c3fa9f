"""What of the peers is on this machine, and how it comes here; one line for each that can't.

Kannel and Redis are Debian packages, Jasmin comes from PyPI into a virtual environment of its own
(`.venv-jasmin`), since it needs another Twisted than smsgw.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from rabbitmq import sbin

from benchmarks.machine import ROOT
from benchmarks.peers import kannel
from benchmarks.peers.program import Unfit, run

JASMIN = "0.11.1"
JASMIN_VENV = ROOT / ".venv-jasmin"
JASMIN_PYTHON = JASMIN_VENV / "bin" / "python"


def missing(names: set[str]) -> dict[str, str]:
    """Installs what it can for these contenders; why the others can't take part."""
    reasons: dict[str, str] = {}
    wants = {
        "Kannel": (any(name.startswith("Kannel") for name in names), _kannel),
        "RabbitMQ": (any("RabbitMQ" in name for name in names), _rabbitmq),
        "Jasmin": ("Jasmin" in names, _jasmin),
    }
    for what, (wanted, install) in wants.items():
        if wanted:
            try:
                install()
            except Unfit as reason:
                reasons[what] = str(reason)
    return {
        name: reason
        for name in names
        for what, reason in reasons.items()
        if what in name or (what == "RabbitMQ" and name == "Jasmin")
    }


def _kannel() -> None:
    if not kannel.installed():
        _debian("kannel")


def _rabbitmq() -> None:
    if sbin() is None:
        _debian("rabbitmq-server")


def _jasmin() -> None:
    if shutil.which("redis-server") is None:
        _debian("redis-server")
    if (
        JASMIN_PYTHON.exists()
        and subprocess.run([JASMIN_PYTHON, "-c", "import jasmin"], check=False).returncode == 0
    ):
        return
    print(f"peers: installing Jasmin {JASMIN} into {JASMIN_VENV.name}", file=sys.stderr)
    run(sys.executable, "-m", "venv", "--clear", JASMIN_VENV)
    run(JASMIN_PYTHON, "-m", "pip", "install", "-qq", "--no-input", f"jasmin=={JASMIN}")


def _debian(package: str) -> None:
    if shutil.which("apt-get") is None or os.getuid() != 0:
        raise Unfit(f"{package} is not installed; as root: apt-get install {package}")
    print(f"peers: installing the Debian package {package}", file=sys.stderr)
    run(Path(ROOT, "scripts", "debian-install"), package)
