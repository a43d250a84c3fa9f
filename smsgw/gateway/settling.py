"""What message centres took, on its last three steps: ledger, event, acknowledgement, group by group.

While the ledger writes one group the next one gathers. So a gateway that is busy shares a transaction, a
burst of events and an acknowledgement among hundreds of messages, and one that is idle settles a message
at once; there is no timer. Each step is durable for the whole group before the next begins.

If something that nobody expected goes wrong with a group, each of its members takes the step alone, so
that only the culprit fails.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from smsgw import folding
from smsgw.gateway.carrying import Carried
from smsgw.gateway.durable import Durable
from smsgw.ledger.base import Ledger, Owed

GROUP = 1000
"""Messages that are settled together at most."""


class Settling:
    """Settles what is added, in the order in which it came.

    `over` hears the end of each: None where it is settled, or what went wrong. `pay` is given the events
    that are owed because receipts came early, once `accepted` is told.
    """

    def __init__(
        self,
        ledger: Ledger,
        durable: Durable,
        *,
        pay: Callable[[Sequence[Owed]], None],
        over: Callable[[Carried, Failure | None], None],
    ) -> None:
        self._ledger = ledger
        self._durable = durable
        self._pay = pay
        self._over = over
        self._gathered: list[Carried] = []
        self._remembering = False

    def add(self, taken: Carried) -> None:
        self._gathered.append(taken)
        if not self._remembering:
            self._remembering = True
            Deferred.fromCoroutine(self._settle())

    async def _settle(self) -> None:
        while self._gathered:
            group, self._gathered = self._gathered[:GROUP], self._gathered[GROUP:]
            remembered = await self._each(self._remember, group)
            # while these are told, the next ones are remembered
            Deferred.fromCoroutine(self._finish(remembered))
        self._remembering = False

    async def _finish(self, group: Sequence[Carried]) -> None:
        for each in await self._each(self._tell, group):
            if each.early and not each.delivery.stale:
                self._pay(each.early)
            each.delivery.ack()
            self._over(each, None)

    async def _each(
        self, step: Callable[[Sequence[Carried]], Coroutine[Any, Any, None]], group: Sequence[Carried]
    ) -> Sequence[Carried]:
        """Those that took the step. The others are over."""
        try:
            await step(group)
        except Exception:  # noqa: BLE001  goes to the message's own edge
            if len(group) > 1:
                return [good for each in group for good in await self._each(step, [each])]
            self._over(group[0], Failure())  # type: ignore[no-untyped-call]
            return ()
        return group

    async def _remember(self, group: Sequence[Carried]) -> None:
        accepted = [each.acceptance for each in group]
        early = await self._durable.stored(lambda: self._ledger.remember(accepted))
        for each, owed in zip(group, early, strict=True):
            each.early = owed

    async def _tell(self, group: Sequence[Carried]) -> None:
        told = [(each.delivery, folding.accepted(each.acceptance.record)) for each in group]
        await self._durable.tell_all(told)
