"""Locks that a dying process can't leave behind.

`flock(2)` belongs to the open file: the kernel drops it with the process, however that ended, so
there is nothing stale to clean up. The file itself stays; it only carries the owner's process id,
for the text that tells an operator who has the queue.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path


class FileLock:
    """One lock file, opened anew at each try so that two locks in one process exclude each other too."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def take(self) -> bool:
        """Take it for this object alone, without waiting; False where somebody else has it.

        Raises OSError where the file can't be made.
        """
        if not self._lock(fcntl.LOCK_EX):
            return False
        with suppress(OSError):  # on a full disk the lock is as good without the number
            os.ftruncate(self._required(), 0)
            os.pwrite(self._required(), b"%d\n" % os.getpid(), 0)
        return True

    def share(self) -> bool:
        """Take it together with others who share it. Raises OSError where the file can't be made."""
        return self._lock(fcntl.LOCK_SH)

    def drop(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def is_taken(self) -> bool:
        """Somebody else has it, alone or shared. A file that never was made is nobody's."""
        if not self._path.exists():
            return False
        probe = FileLock(self._path)
        free = probe._lock(fcntl.LOCK_EX)
        probe.drop()
        return not free

    def owner(self) -> str:
        """`process 1234`, as far as is known."""
        with suppress(OSError):
            number = self._path.read_text("ascii", errors="replace").strip()
            if number:
                return f"process {number}"
        return "another process"

    def _required(self) -> int:
        assert self._descriptor is not None  # noqa: S101  only called while held
        return self._descriptor

    def _lock(self, mode: int) -> bool:
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True
