"""`twistd smsgw --config FILE`: the options, the service, and the signals.

The reactor is imported here and nowhere else. A wrong setting or a store that can't be opened ends
the start with one line for each, and exit status 1. SIGHUP reads the configuration anew.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet.interfaces import IReactorCore
from twisted.logger import ILogObserver, jsonFileLogObserver
from twisted.python import usage

from smsgw.clock import follow_monotonic_time
from smsgw.config import Configuration, load
from smsgw.control import Control
from smsgw.errors import ConfigError, StorageError
from smsgw.gateway.assembly import check_stores, gateway_of
from smsgw.gateway.reload import Reload


class Options(usage.Options):
    """The command line of the daemon."""

    longdesc = "All settings are in one configuration file; `smsgw check FILE` checks it."
    optParameters = [["config", "c", None, "The configuration file (TOML)."]]  # noqa: N815

    def postOptions(self) -> None:
        if self["config"] is None:
            raise usage.UsageError("--config FILE is required")


class Root(MultiService):
    """All services of the process, and the log's format, which twistd asks its application for."""

    def __init__(self, configuration: Configuration, reload: Callable[[], None], reactor: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reload = reload
        self._json = configuration.log.format == "json"
        self._reactor = reactor
        self._stopping = False

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        self._reactor.callWhenRunning(self._take_signals)

    def _take_signals(self) -> None:
        """Once the reactor has set its own: after those, twistd would end by the signal, not by status 0."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signalled)
        signal.signal(signal.SIGHUP, self._hung_up)  # twistd leaves it alone: it would end the process

    def _hung_up(self, _: int, __: object) -> None:
        """Ignored during the stop."""
        if not self._stopping:
            self._reactor.callFromThread(self._reload)

    def _signalled(self, number: int, _: object) -> None:
        """The first signal stops in good order; a second one at once."""
        if self._stopping:
            os._exit(128 + number)
        self._stopping = True
        self._reactor.callFromThread(self._reactor.stop)

    def setServiceParent(self, parent: Any) -> None:
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]
        if self._json:
            parent.setComponent(ILogObserver, jsonFileLogObserver(sys.stdout))


def makeService(options: Options, reactor: IReactorCore | None = None) -> IService:
    """The service of `twistd smsgw`; ends the process where the configuration is wrong."""
    if reactor is None:
        from twisted.internet import reactor as installed  # noqa: PLC0415  importing it installs one

        reactor = installed
        follow_monotonic_time(reactor)  # else a wall clock that is set back would hold up every timer
    try:
        configuration = load(options["config"], os.environ)
        check_stores(configuration)
        gateway = gateway_of(configuration, reactor)
        path = Path(options["config"]).absolute()  # a daemon may change its folder
        reload = Reload(gateway, configuration, partial(load, path, os.environ), reactor)
        root = Root(configuration, reload, reactor)
        gateway.setServiceParent(root)  # type: ignore[no-untyped-call]
        Control(gateway, configuration.state_dir, reactor).setServiceParent(root)  # type: ignore[no-untyped-call]
        if configuration.manhole is not None:
            from smsgw.manhole import manhole_service  # noqa: PLC0415  Conch costs memory that few need

            manhole_service(configuration, gateway, reload, reactor).setServiceParent(root)  # type: ignore[no-untyped-call]
    except (ConfigError, StorageError) as error:
        raise SystemExit(f"smsgw: {error}") from None
    return root
