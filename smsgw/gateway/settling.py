"""What message centres took, on its last steps, group by group: ledger, acknowledgement, event.

The ledger remembers a message and owes its `accepted` event in one transaction. From then on nothing can be
lost: the delivery is acknowledged, so that its place in the width is free, and the event is published; its
confirm clears it in the ledger. A crash in between leaves it owed, and a sweep pays.

A group begins when all is read that one turn of the reactor has to read: half of what there is. While the
ledger writes it the next one gathers, of all that comes meanwhile. So a gateway that is busy shares a
transaction, a burst of events and an acknowledgement among hundreds of messages, and one that is idle settles
a message at once; nothing waits for a time.

If something that nobody expected goes wrong with a group, each of its members takes the step alone, so
that only the culprit fails. Where the broker confirms no events, acknowledgements wait for them from
`UNPAID` on: so what is owed stays bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from smsgw.gateway.carrying import Carried
from smsgw.gateway.durable import Durable
from smsgw.ledger.base import Ledger, Owed

GROUP = 1000
"""Messages that are settled together at most."""

LEAST = 16
"""Of those that wait when the ledger has nothing to do, half are settled first, or so many: while it writes
the others, the first are acknowledged already, and their places in the width are free."""

UNPAID = 10_000
"""Events that may wait for the broker's confirm before messages wait for them too."""


class Settling:
    """Settles what is added, in the order in which it came.

    `pay` publishes events that are owed, and fires when that is done or has failed. `over` hears the end of
    each message: None where it is settled, or what went wrong.
    """

    def __init__(
        self,
        ledger: Ledger,
        durable: Durable,
        *,
        clock: IReactorTime,
        pay: Callable[[Sequence[Owed]], Deferred[bool]],
        over: Callable[[Carried, Failure | None], None],
    ) -> None:
        self._ledger = ledger
        self._durable = durable
        self._clock = clock
        self._pay = pay
        self._over = over
        self._gathered: list[Carried] = []
        self._remembering = False
        self._added = self._asked = 0
        self._waiting: dict[Deferred[None], int] = {}
        self._unpaid = 0

    def add(self, taken: Carried) -> None:
        self._gathered.append(taken)
        self._added += 1
        if not self._remembering:
            self._remembering = True
            self._clock.callLater(0, self._begin)

    def _begin(self) -> None:
        Deferred.fromCoroutine(self._settle())

    async def _settle(self) -> None:
        size = max(LEAST, min(GROUP, len(self._gathered) // 2))
        while self._gathered:
            group, self._gathered = self._gathered[:size], self._gathered[size:]
            size = GROUP
            remembered = Deferred.fromCoroutine(self._remember(group))
            self._asked += len(group)
            for each in [each for each, added in self._waiting.items() if added <= self._asked]:
                del self._waiting[each]
                each.callback(None)
            await remembered
        self._remembering = False

    def asked(self) -> Deferred[None]:
        """Fires when the ledger has been asked to remember what was added: what it is asked next comes after.

        Receipts wait for it, so that one that follows its response at once finds its message.
        """
        if not self._gathered:
            return succeed(None)
        waiting: Deferred[None] = Deferred(self._waiting.__delitem__)
        self._waiting[waiting] = self._added
        return waiting

    async def _remember(self, group: Sequence[Carried]) -> None:
        accepted = [each.acceptance for each in group]
        try:
            owed = await self._durable.stored(lambda: self._ledger.remember(accepted))
        except Exception:  # noqa: BLE001  goes to the message's own edge
            if len(group) == 1:
                self._over(group[0], Failure())  # type: ignore[no-untyped-call]
            else:
                for each in group:
                    await self._remember([each])
        else:
            # the next group is remembered meanwhile
            Deferred.fromCoroutine(self._finish(group, [event for events in owed for event in events]))

    async def _finish(self, group: Sequence[Carried], owed: Sequence[Owed]) -> None:
        crowded = self._unpaid >= UNPAID
        self._unpaid += len(owed)
        paid = self._pay(owed).addCallback(self._paid, len(owed))
        if crowded:
            await paid
        for each in group:
            each.delivery.ack()
            self._over(each, None)

    def _paid(self, _: bool, number: int) -> None:
        self._unpaid -= number
