"""What outlives connections: consumers and watches.

A `Standing` begins anew with every connection, and also when its channel alone ends: after a
pause that grows while nothing comes of it, with the topology declared again first, because the
usual cause is that somebody deleted the queue.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from smsgw.broker.amqp.client import Client
from smsgw.errors import Misuse

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0

log = Logger()


class Standing:
    """To be derived from: `begin` opens a channel; whoever hears of its end calls `ended`."""

    def __init__(
        self,
        what: str,
        *,
        clock: IReactorTime,
        declare: Callable[[], Deferred[None]],
        forgotten: Callable[[Standing], None],
    ) -> None:
        """`declare` declares the topology, and never fails; `forgotten` is told by `forget`."""
        self._what = what
        self._clock = clock
        self._declare = declare
        self._forgotten = forgotten
        self._client: Client | None = None
        self._failures = 0
        self._pause: IDelayedCall | None = None
        self._retired = False

    def begin(self, client: Client) -> None:
        raise NotImplementedError

    def attach(self, client: Client) -> None:
        """There is a connection."""
        self._client = client
        self._begin_on(client)

    def detach(self) -> None:
        """It is gone."""
        self._client = None
        self._failures = 0
        self._stop_pause()

    def retire(self) -> None:
        """Not to begin again."""
        self._retired = True
        self._stop_pause()

    def cancel(self) -> Deferred[None]:
        """Ask the broker for nothing more; fires when it knows."""
        self.retire()
        return succeed(None)

    def forget(self) -> None:
        self.retire()
        self._forgotten(self)

    def ended(self, code: int, reason: str) -> None:
        """The channel is over; unless the connection is as well, try again."""
        if self._client is None or self._client.closed or self._retired:
            return
        pause = min(FIRST_PAUSE * 2**self._failures, LONGEST_PAUSE)
        self._failures = min(self._failures + 1, 10)
        log.warn(
            "{what}: its channel ended ({reason}); again in {pause} s",
            what=self._what,
            reason=reason,
            pause=pause,
        )
        self._pause = self._clock.callLater(pause, self._try_again)

    def succeeded(self) -> None:
        self._failures = 0

    def _try_again(self) -> None:
        client = self._client
        self._declare().addCallback(lambda _: self._begin_on(client))

    def _begin_on(self, client: Client | None) -> None:
        if client is not None and client is self._client and not client.closed and not self._retired:
            try:
                self.begin(client)
            except Misuse as error:  # no channel is free; one may be, later
                self.ended(0, str(error))

    def _stop_pause(self) -> None:
        if self._pause is not None and self._pause.active():
            self._pause.cancel()
