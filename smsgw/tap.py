"""`twistd smsgw --config FILE`: the options, the service, and the signals.

The reactor is imported here and nowhere else. A wrong setting or a store that can't be opened ends
the start with one line for each, and exit status 1. SIGHUP reads the configuration anew.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

from twisted.application.service import IService, MultiService
from twisted.internet.interfaces import IReactorCore
from twisted.logger import ILogObserver, jsonFileLogObserver
from twisted.python import usage

from smsgw.clock import follow_monotonic_time
from smsgw.config import Configuration
from smsgw.control import Control
from smsgw.errors import ConfigError, StorageError, Wrong
from smsgw.gateway.assembly import check_folders, check_stores, gateway_of
from smsgw.gateway.reload import Reload
from smsgw.gateway.service import Gateway
from smsgw.loading import load, look_into

COLLECT_AFTER = (10_000, 20, 20)
"""Python's collector looks for cycles each so many new objects; what is in flight is thousands of objects, of
which none is in a cycle, and with the usual 700 they are looked through again and again."""


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
        self._reactor.callWhenRunning(collect_seldom)

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


def collect_seldom() -> None:
    """What was made up to here stays, and is not looked through any more; see `COLLECT_AFTER`."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def makeService(options: Options, reactor: IReactorCore | None = None) -> IService:
    """The service of `twistd smsgw`; ends the process where the configuration is wrong."""
    if reactor is None:
        from twisted.internet import reactor as installed  # noqa: PLC0415  importing it installs one

        reactor = installed
        follow_monotonic_time(reactor)  # else a wall clock that is set back would hold up every timer
    try:
        return _root(options["config"], reactor)
    except (ConfigError, StorageError) as error:
        raise SystemExit("\n".join(f"smsgw: {line}" for line in str(error).splitlines())) from None


def _root(file: str, reactor: Any) -> Root:
    configuration, gateway = assembled(file, reactor)
    path = Path(file).absolute()  # a daemon may change its folder
    reload = Reload(gateway, configuration, partial(load, path, os.environ), reactor)
    root = Root(configuration, reload, reactor)
    gateway.setServiceParent(root)  # type: ignore[no-untyped-call]
    with about(file):
        check_stores(configuration)
        Control(gateway, configuration.state_dir, reactor).setServiceParent(root)  # type: ignore[no-untyped-call]
        if configuration.manhole is not None:
            from smsgw.manhole import manhole_service  # noqa: PLC0415  Conch costs memory that few need

            manhole_service(configuration, gateway, reload, reactor).setServiceParent(root)  # type: ignore[no-untyped-call]
    return root


def assembled(file: str, reactor: Any) -> tuple[Configuration, Gateway]:
    """What is in a configuration file, and the gateway that it makes.

    That is all that can be found wrong without connecting anywhere and without making a file, so it is what
    `smsgw check` does. What is right in a file is tried also where something else in it is wrong.

    Raises:
        ConfigError: a line for each thing that is wrong; each names the file.
    """
    configuration, problems = look_into(file, os.environ)
    wrong = Wrong()
    if problems:
        wrong.add(ConfigError.of(f"{problem.path}: {problem.text}" for problem in problems))
    wrong.attempt(partial(check_folders, configuration))
    gateway = wrong.attempt(partial(gateway_of, configuration, reactor))
    if configuration.manhole is not None:
        from smsgw.manhole import check_manhole  # noqa: PLC0415  Conch costs memory that few need

        wrong.attempt(partial(check_manhole, configuration, reactor))
    with about(file):
        wrong.tell()
    return configuration, cast("Gateway", gateway)  # nothing was wrong, so there is one


@contextmanager
def about(file: str) -> Iterator[None]:
    """What is found wrong in here is wrong with a configuration file, and says so."""
    try:
        yield
    except ConfigError as error:
        raise error.within(file) from None
    except StorageError as error:
        raise StorageError(f"{file}: {error}") from None
