"""When a simulator's process is to end."""

from __future__ import annotations

import signal
from typing import Any

from twisted.internet.defer import Deferred


def signalled(reactor: Any) -> Deferred[None]:
    """Fires at SIGTERM or SIGINT. The reactor's own way with them is replaced when it runs."""
    ended: Deferred[None] = Deferred()
    reactor.callWhenRunning(_take_signals, reactor, ended)  # after the reactor has set its own
    return ended


def _take_signals(reactor: Any, ended: Deferred[None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: reactor.callFromThread(_end, ended))


def _end(ended: Deferred[None]) -> None:
    if not ended.called:
        ended.callback(None)
