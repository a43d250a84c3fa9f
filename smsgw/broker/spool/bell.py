"""How one process learns that another has written.

A publisher rings after its COMMIT: it writes one octet into a small file beside the database, and
whoever listens hears it through inotify within a millisecond, without a timer. Watching the
write-ahead log instead would be too early: it is written before the fsync, and the transaction is
visible only after that.

Where there is no inotify the listener looks every `POLL` seconds; what is looked at is
`PRAGMA data_version`, so that a look costs microseconds. With inotify it still looks every `SAFETY`
seconds, for a writer that is not ours.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorFDSet, IReactorTime
from twisted.python.filepath import FilePath

POLL = 0.04
SAFETY = 1.0


class Bell:
    """The file that publishers write to and consumers listen at."""

    def __init__(self, path: Path, reactor: IReactorTime, heard: Callable[[], None]) -> None:
        self._path = path
        self._reactor = reactor
        self._heard = heard
        self._descriptor: int | None = None
        self._notifier: Any = None
        self._next_look: IDelayedCall | None = None
        self._interval = POLL

    def open(self) -> None:
        """Listen from now on. Raises OSError where the file can't be made."""
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        self._notifier = _notifier(self._reactor, self._path, self._heard)
        self._interval = POLL if self._notifier is None else SAFETY
        self._look_later()

    def ring(self) -> None:
        """Tell the other processes. After the commit, never before."""
        if self._descriptor is not None:
            with suppress(OSError):  # a full disk: they look by themselves
                os.pwrite(self._descriptor, b"\n", 0)

    def close(self) -> None:
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None
        if self._notifier is not None:
            self._notifier.loseConnection()
            self._notifier = None
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _look_later(self) -> None:
        self._next_look = self._reactor.callLater(self._interval, self._look)

    def _look(self) -> None:
        self._look_later()
        self._heard()


def _notifier(reactor: IReactorTime, path: Path, heard: Callable[[], None]) -> Any:
    """A running `INotify` on the file, or None where the platform or the reactor has none."""
    if not IReactorFDSet.providedBy(reactor):
        return None
    try:
        from twisted.internet.inotify import IN_MODIFY, INotify, INotifyError  # noqa: PLC0415  Linux only
    except ImportError:
        return None
    try:
        notifier: Any = INotify(reactor)  # type: ignore[no-untyped-call]
    except INotifyError:  # the user has used up the instances that the kernel grants
        return None
    notifier.startReading()
    try:
        notifier.watch(FilePath(str(path)), IN_MODIFY, callbacks=[lambda *_: heard()])
    except INotifyError:
        notifier.loseConnection()
        return None
    return notifier
