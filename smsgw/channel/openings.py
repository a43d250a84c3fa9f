"""The openings of a modem's port, one after the other: what the `Link` of a modem serves.

A modem that never becomes ready is not restarted for ever at the same pace. Each time that the watchdog's
ladder was climbed in vain the next wait for the network is twice as long, and the pauses between openings
grow too. Behind the ladder, and where the port itself stays away, is the operator's reset command.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from smsgw.channel.link import Ended, Progress
from smsgw.channel.reset import Reset
from smsgw.channel.taking import Taking
from smsgw.gsm import events as told
from smsgw.gsm.protocol import ModemProtocol
from smsgw.gsm.settings import Settings
from smsgw.metrics import Metrics

MISSING = 60.0
"""Seconds that a port is missing before the reset command may bring it back."""

LONGEST_SEARCH = 3600.0
"""The longest wait for a network, however often none was found, unless the operator says longer."""

PARTING = 5.0
"""Seconds at the end for what is being received to be stored and cleared from the modem."""

STEP = 0.05
"""Seconds between two looks whether a modem that is to part is at rest."""


class Openings:
    """`connect` opens the port with these settings; `taking` is what is received and not settled."""

    def __init__(
        self,
        channel: str,
        settings: Settings,
        connect: Callable[[Settings], Deferred[Any]],
        *,
        reset: Reset,
        taking: Taking,
        metrics: Metrics,
        clock: IReactorTime,
    ) -> None:
        self.protocol: ModemProtocol | None = None
        self._channel = channel
        self._settings = settings
        self._connect = connect
        self._reset = reset
        self._taking = taking
        self._metrics = metrics
        self._clock = clock
        self._progress: Progress | None = None
        self._lost: Deferred[str] | None = None
        self._ended: told.Ended | None = None
        self._port_failed = self._restarted = self._up = False
        self._fruitless = 0
        self._missing_since: float | None = None

    @property
    def ready(self) -> bool:
        return self.protocol is not None and self.protocol.connection.state == "ready"

    async def serve(self, progress: Progress) -> Ended:
        """One opening of the port, until it is closed."""
        lost: Deferred[str] = Deferred()
        self._lost, self._progress, self._ended = lost, progress, None
        self._port_failed = self._restarted = self._up = self._taking.over = False
        try:
            protocol: ModemProtocol = await self._connect(self.settings())
        except (ConnectError, DNSLookupError) as error:
            self._count("unreachable")
            await self._missing()
            # Twisted's own words in front say no more than ours
            return Ended(f"can't open the port: {error.args[0] if error.args else error}")
        self._missing_since = None
        if not self._up:
            progress("binding")
        try:
            reason = await lost
        except CancelledError:
            await self._part(protocol)
            # whoever comes next opens the port again, and must find it free
            await protocol.close("it is stopped")
            raise
        return await self._over(reason)

    def settings(self) -> Settings:
        """Those of the next opening: with more patience each time that the last one was in vain."""
        longest = max(LONGEST_SEARCH, self._settings.registration)
        patience = min(longest, self._settings.registration * 2.0 ** min(self._fruitless, 20))
        return msgspec.structs.replace(self._settings, registration=patience)

    # -- what the session passes on

    def connected(self, protocol: ModemProtocol) -> None:
        self.protocol = protocol

    def heard(self, event: told.Event) -> None:
        match event:
            case told.StateChanged("ready"):
                self._came_up()
            case told.RungClimbed(rung):
                self._restarted = self._restarted or rung == "restart"
            case told.Ended():
                self._ended = event
                self._port_failed = self.protocol is None or not self.protocol.open

    def lost(self, reason: str) -> None:
        self.protocol = None
        lost, self._lost = self._lost, None
        if lost is not None and not lost.called:
            lost.callback(reason)

    # -- what follows

    def _came_up(self) -> None:
        self._restarted = False
        self._fruitless = 0
        self._reset.forget()
        if not self._up and self._progress is not None:
            self._up = True
            self._count("up")
            self._progress("up")

    async def _over(self, reason: str) -> Ended:
        """What the end of an opening means for the next one."""
        ended = self._ended
        if ended is None or self._port_failed:
            self._count("lost")
            return Ended(reason)
        self._count("refused")
        if not ended.reopen:
            return Ended(f"{reason}; somebody has to act", refused=True, occupied=True)
        if self._restarted:
            self._fruitless += 1
            await self._cut_power()
        return Ended(reason, refused=True)

    async def _missing(self) -> None:
        """The port could not be opened: after a while its power is worth a try."""
        now = self._clock.seconds()
        if self._missing_since is None:
            self._missing_since = now
        elif now - self._missing_since >= MISSING:
            await self._cut_power()

    async def _cut_power(self) -> None:
        if self._reset.due:
            self._metrics.modem_rungs.labels(self._channel, "command").inc()
            await self._reset()

    async def _part(self, protocol: ModemProtocol) -> None:
        """Take no more from the modem, and let it clear what is stored: else it would come twice."""
        until = self._clock.seconds() + PARTING
        await self._taking.finish(PARTING)
        while self.ready and not protocol.connection.at_rest and self._clock.seconds() < until:
            await deferLater(self._clock, STEP)

    def _count(self, result: str) -> None:
        self._metrics.binds.labels(self._channel, result).inc()
