"""A link to a peer: dial, handshake, serve until lost, back off, and again until stopped.

Twisted's ClientService does not fit a bind: it resets its back-off as soon as TCP connects, so a
wrong password would hammer the message centre. Here a try succeeds only when the handshake has, and
the back-off is forgotten only after the link has held for a while.

The whole life of a link is one coroutine, `_run`; `stop` cancels it, whatever it is waiting for.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol, TypeAlias

import msgspec
from prometheus_client import Counter
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.channel.base import LinkName, LinkState

STEADY = 10.0
"""Seconds that a link must hold before its next loss is answered with the shortest pause again."""


class Backoff(msgspec.Struct, frozen=True):
    """Seconds: the first pause, and the longest after a dial that failed or a handshake refused.

    Each pause is twice the one before, with 20 % of jitter, so that many gateways do not come in step.
    Where the account is bound already, perhaps by a session of ours that was cut, the peer must miss that
    one first: the longest pause at once, since a try each second does not hasten it.
    """

    first: float = 1.0
    dial: float = 5.0
    refused: float = 60.0

    def pause(self, tries: int, *, refused: bool, jitter: float, occupied: bool = False) -> float:
        """The pause after `tries` (from 1) tries in a row that failed; `jitter` from 0 to 1."""
        limit = self.refused if refused else self.dial
        doubled = limit if occupied else self.first * 2.0 ** min(tries - 1, 30)
        return min(limit, doubled) * (0.8 + 0.2 * jitter)


class Ended(msgspec.Struct, frozen=True):
    """Why a try is over: `refused` where the peer said no, so that asking again soon is no use.

    `occupied` where it said that another session is in the way.
    """

    reason: str
    refused: bool = False
    occupied: bool = False


class Serve(Protocol):
    """One try, from the dial to the loss.

    Calls `progress("binding")` when it is connected, and `progress("up")` when the handshake is done.
    Must cope with being cancelled at any point, and close what it opened.
    """

    async def __call__(self, progress: Progress, /) -> Ended: ...


Progress: TypeAlias = Callable[[LinkName], None]


class Link:
    """Keeps one session up. `serve` is one try; `name` is for the log."""

    log = Logger()

    def __init__(
        self,
        name: str,
        serve: Serve,
        clock: IReactorTime,
        *,
        backoff: Backoff = Backoff(),  # noqa: B008  frozen
        now: Callable[[], float],
        errors: Counter,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.state = LinkState("stopped", now())
        self._serve = serve
        self._clock = clock
        self._backoff = backoff
        self._now = now
        self._jitter = jitter
        self._errors = errors
        self._life: Deferred[None] | None = None
        self._stops: list[Deferred[None]] = []
        self._up_since: float | None = None

    def __repr__(self) -> str:
        return f"<link {self.name} {self.state.name}>"

    def start(self) -> None:
        """Begin; harmless where it has begun."""
        if self._life is None:
            self._life = Deferred.fromCoroutine(self._run())
            self._life.addErrback(_only_cancelled)

    def stop(self) -> Deferred[None]:
        """End in whatever state it is; fires when all is closed, however often it is called meanwhile.

        Can be started again then.
        """
        life, self._life = self._life, None
        stopped: Deferred[None] = Deferred()
        if life is None and not self._stops:
            stopped.callback(None)
            return stopped
        self._stops.append(stopped)
        if life is not None:
            self._enter("closing", error=self.state.error)
            life.addBoth(self._rest)
            life.cancel()
        return stopped

    def _rest(self, _: object) -> None:
        self._enter("stopped", tries=0)
        stops, self._stops = self._stops, []
        for stopped in stops:
            stopped.callback(None)

    async def _run(self) -> None:
        tries = 0
        while True:
            self._enter("dialing", error=self.state.error, tries=tries)
            ended = await self._try()
            since, self._up_since = self._up_since, None
            held = since is not None and self._clock.seconds() - since >= STEADY
            tries = 1 if held and not ended.refused else tries + 1
            pause = self._backoff.pause(
                tries, refused=ended.refused, jitter=self._jitter(), occupied=ended.occupied
            )
            self.log.warn(
                "{link} is down: {reason}; next try in {pause:.1f} s",
                link=self.name,
                reason=ended.reason,
                pause=pause,
            )
            self._enter("waiting", error=ended.reason, tries=tries, retry_in=pause)
            await deferLater(self._clock, pause)

    async def _try(self) -> Ended:
        try:
            return await self._serve(self._progress)
        except (CancelledError, ConnectingCancelledError):
            raise
        except Exception:  # noqa: BLE001  a fault of ours must not leave a channel down for good
            self.log.failure("{link} failed in an unexpected way", link=self.name)
            self._errors.inc()
            return Ended("unexpected error, see the log", refused=True)

    def _progress(self, name: LinkName) -> None:
        self._enter(name, error=None if name == "up" else self.state.error, tries=self.state.tries)
        if name == "up":
            self._up_since = self._clock.seconds()
            self.log.info("{link} is up", link=self.name)

    def _enter(
        self, name: LinkName, *, error: str | None = None, tries: int = 0, retry_in: float | None = None
    ) -> None:
        self.state = LinkState(name, self._now(), error, tries, retry_in)


def _only_cancelled(failure: Failure) -> None:
    """`stop` cancels; nothing else ends a life. Endpoints have an exception of their own for it."""
    failure.trap(CancelledError, ConnectingCancelledError)  # type: ignore[no-untyped-call]
