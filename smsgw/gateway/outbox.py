"""Paying what the ledger owes: publish, wait for the confirm, clear.

What is owed was written in the same transaction as the fact it tells, so it outlives a crash and a
broker's outage. It is paid at once by whoever caused it, and by a sweep where that failed.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Generic, Protocol, TypeVar

from prometheus_client import Counter
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.broker.base import BrokerError
from smsgw.errors import StorageError


class Debt(Protocol):
    @property
    def number(self) -> int:
        """Under which the ledger clears it."""


D = TypeVar("D", bound=Debt)


class Outbox(Generic[D]):
    """`owed` gives the oldest debts, at most so many; `publish` ends when one is confirmed.

    `errors` counts what nobody expected.
    """

    log = Logger()

    def __init__(
        self,
        *,
        owed: Callable[[int], Deferred[Sequence[D]]],
        publish: Callable[[D], Coroutine[Any, Any, None]],
        clear: Callable[[Sequence[int]], Deferred[None]],
        errors: Counter,
    ) -> None:
        self._owed = owed
        self._publish = publish
        self._clear = clear
        self._errors = errors
        self._paying: set[int] = set()

    async def pay(self, debt: D) -> None:
        """Pay one debt.

        Raises:
            BrokerError, StorageError: it stays owed, and is swept up later.
        """
        self._paying.add(debt.number)
        try:
            await self._publish(debt)
            await self._clear([debt.number])
        finally:
            self._paying.discard(debt.number)

    def paid(self, debt: D) -> Deferred[bool]:
        """Whether a debt is paid now. Never fails."""
        return Deferred.fromCoroutine(self.pay(debt)).addCallbacks(lambda _: True, self.postponed)

    def postponed(self, failure: Failure) -> bool:
        """Something could not be done now: said and counted only where that is no store's fault."""
        if not isinstance(failure.value, BrokerError | StorageError | CancelledError):
            self.log.failure("what is owed could not be published; it stays owed", failure=failure)
            self._errors.inc()
        return False

    async def sweep(self, step: int, wanted: Callable[[], bool]) -> None:
        """Pay everything that is owed, `step` debts at a time, while it is `wanted` and goes well."""
        more = True
        while more and wanted():
            owed = [each for each in await self._owed(step) if each.number not in self._paying]
            paid = await DeferredList([self.paid(each) for each in owed])
            more = len(owed) == step and all(told for _, told in paid)
