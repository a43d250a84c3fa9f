"""Paying what the ledger owes: publish, wait for the confirm, clear.

What is owed was written in the same transaction as the fact it tells, so it outlives a crash and a
broker's outage. It is paid at once by whoever caused it, and by a sweep where that failed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

from prometheus_client import Counter
from twisted.internet.defer import CancelledError, Deferred
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
    """`owed` gives the oldest debts, at most so many; `publish` says of each what kept it from being stored.

    `errors` counts what nobody expected.
    """

    log = Logger()

    def __init__(
        self,
        *,
        owed: Callable[[int], Deferred[Sequence[D]]],
        publish: Callable[[Sequence[D]], Awaitable[Sequence[Exception | None]]],
        clear: Callable[[Sequence[int]], Deferred[None]],
        errors: Counter,
    ) -> None:
        self._owed = owed
        self._publish = publish
        self._clear = clear
        self._errors = errors
        self._paying: set[int] = set()

    async def pay(self, debts: Sequence[D]) -> list[Exception | None]:
        """Pay debts: for each None, or why it could not be paid. Then it stays owed, and is swept up later.

        Raises:
            StorageError: some may be told already, and will be told again.
        """
        if not debts:
            return []
        numbers = [each.number for each in debts]
        self._paying.update(numbers)
        try:
            errors = list(await self._publish(debts))
            paid = [number for number, error in zip(numbers, errors, strict=True) if error is None]
            if paid:
                await self._clear(paid)
        finally:
            self._paying.difference_update(numbers)
        return errors

    def paid(self, debts: Sequence[D]) -> Deferred[bool]:
        """Whether debts are paid now, all of them. Never fails."""
        return Deferred.fromCoroutine(self._paid(debts)).addErrback(self.postponed)

    async def _paid(self, debts: Sequence[D]) -> bool:
        debts = [each for each in debts if each.number not in self._paying]
        errors = [error for error in await self.pay(debts) if error is not None]
        for error in errors:
            self.postponed(Failure(error))  # type: ignore[no-untyped-call]
        return not errors

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
            owed = await self._owed(step)
            more = await self.paid(owed) and len(owed) == step
