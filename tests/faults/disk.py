"""A small disk of its own for a store, that can be full: a tmpfs, which takes root to mount."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

SIZE = "64m"
BLOCK = b"\0" * 65_536
SCRAPS = b"\0" * 512


class Disk:
    """A folder; `missing` says why it can't be filled, where it is none of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.missing = _mount(folder)

    def fill(self) -> None:
        """Leave no octet free."""
        with (self.folder / "ballast").open("ab", buffering=0) as ballast:
            for block in (BLOCK, SCRAPS):
                with contextlib.suppress(OSError):
                    while ballast.write(block) == len(block):
                        pass

    def clear(self) -> None:
        (self.folder / "ballast").unlink(missing_ok=True)

    def close(self) -> None:
        """What is on it goes with it."""
        if self.missing is None:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=False, capture_output=True)


def _mount(folder: Path) -> str | None:
    if os.geteuid() != 0:
        return "only root can mount a small disk"
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return None if done.returncode == 0 else f"no small disk can be mounted: {done.stderr.strip()}"
