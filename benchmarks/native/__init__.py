"""The peers that cost next to nothing, in C, compiled when they are needed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

NAMES = ("sink", "source")


def compiler() -> str | None:
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def build(folder: Path) -> dict[str, Path]:
    """Both programs, by name, in `folder`."""
    cc = compiler()
    if cc is None:
        raise RuntimeError("no C compiler: apt-get install gcc libc6-dev")
    made = {name: folder / name for name in NAMES}
    for name, path in made.items():
        source = Path(__file__).with_name(f"{name}.c")
        subprocess.run([cc, "-O2", "-o", str(path), str(source)], check=True)
    return made


def client(folder: Path) -> Path | None:
    """The client of RabbitMQ, where librabbitmq is there to build it with."""
    path, cc = folder / "client", compiler()
    source = Path(__file__).with_name("client.c")
    command = [cc or "cc", "-O2", "-o", str(path), str(source), "-lrabbitmq"]
    built = cc is not None and subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0
    return path if built else None
