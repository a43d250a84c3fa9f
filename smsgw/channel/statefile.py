"""Small facts that must survive a restart, one file each: written whole, or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write(path: Path, text: str, *, sync: bool) -> None:
    """Replace the file, readable by its owner only. `sync`: it survives a power cut when this returns.

    Blocks; for what is short and seldom. Raises `OSError`.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    with suppress(FileNotFoundError):
        new.unlink()
    descriptor = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        if sync:
            os.fsync(file.fileno())
    new.replace(path)
    if sync:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """What was renamed or removed in it stays so. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> str | None:
    """Its text; None where there is no such file. Raises `OSError`."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return None
