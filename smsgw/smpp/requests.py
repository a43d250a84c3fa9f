"""What one side of a session has asked, and what it owes: the books of `smsgw.smpp.connection`.

`Asked` has our requests by sequence number, in the order of sending. An entry leaves in exactly one way:
`take` (it was answered), `expire` (it timed out) or `clear` (the session ended). Since every request
waits equally long, the oldest is always the first to time out, and no request needs a timer of its own.
Those that timed out are remembered, the newest so many: a response that comes after all is matched, so
that a message is not sent again when it need not be.

`Owed` has the requests of the peer that the application has not answered. One that is older than the
response timer is no longer counted, for the peer has stopped waiting.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import msgspec

from smsgw.smpp.constants import CommandStatus
from smsgw.smpp.pdu import RESPONSE_OF, GenericNack, Pdu, UnknownPdu
from smsgw.smpp.states import BOUND_BY, MESSAGES

MAX_SEQUENCE_NUMBER = 0x7FFFFFFF
"""3.4, 5.1.4; they start from 1."""


class Request(msgspec.Struct):
    """A request of ours that is not answered, sent `at`. `context` None: the connection's own."""

    pdu: Pdu
    context: Any
    at: float


class Asked:
    """Our requests. `in_flight` counts those that the window is for; `late_memory` bounds the rest."""

    def __init__(self, late_memory: int) -> None:
        self.in_flight = 0
        self._late_memory = late_memory
        self._number = 0
        self._waiting: dict[int, Request] = {}
        self._late: OrderedDict[int, Pdu] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, number: int) -> bool:
        return number in self._waiting

    @property
    def oldest(self) -> float | None:
        """When the first of those that wait was sent."""
        for request in self._waiting.values():
            return request.at
        return None

    @property
    def binding(self) -> bool:
        return any(type(request.pdu) in BOUND_BY for request in self._waiting.values())

    def next_number(self) -> int:
        """The next sequence number: wraps, and skips those that may still be answered."""
        number = self._number
        while True:
            number = number + 1 if number < MAX_SEQUENCE_NUMBER else 1
            if number not in self._waiting and number not in self._late:
                self._number = number
                return number

    def add(self, number: int, request: Request) -> None:
        self._waiting[number] = request
        if type(request.pdu) in MESSAGES:
            self.in_flight += 1

    def take(self, response: Pdu) -> Request | None:
        """The request that a response answers."""
        request = self._waiting.get(response.sequence_number)
        if request is None or not answers(response, request.pdu):
            return None
        return self._remove(response.sequence_number)

    def take_late(self, response: Pdu) -> Pdu | None:
        """The request that had timed out and is answered now."""
        request = self._late.get(response.sequence_number)
        if request is None or not answers(response, request):
            return None
        return self._late.pop(response.sequence_number)

    def expire(self, now: float, age: float) -> list[Request]:
        """Those that have waited for `age`. Same sum as the alarm's, so that neither finds itself early."""
        numbers = []
        for number, request in self._waiting.items():
            if request.at + age > now:
                break
            numbers.append(number)
        return [self._expire_one(number) for number in numbers]

    def clear(self) -> list[Request]:
        """All that wait; nothing is remembered."""
        self._late.clear()
        return [self._remove(number) for number in list(self._waiting)]

    def _remove(self, number: int) -> Request:
        request = self._waiting.pop(number)
        if type(request.pdu) in MESSAGES:
            self.in_flight -= 1
        return request

    def _expire_one(self, number: int) -> Request:
        request = self._remove(number)
        if request.context is not None:
            self._late[number] = request.pdu
            if len(self._late) > self._late_memory:
                self._late.popitem(last=False)
        return request


class Owed:
    """Requests of the peer, at most `limit`, by sequence number, with the time when they came.

    One that has expired makes room for another, but its number stays taken until it is answered: its late
    answer would be taken for that of a new one, which may not be stored yet. So many are remembered, too.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._since: dict[int, float] = {}
        self._expired: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._since)

    def takes(self, number: int) -> bool:
        """Whether there is room for another, and none of its number: those could not be told apart."""
        return len(self._since) < self._limit and number not in self._since and number not in self._expired

    @property
    def oldest(self) -> float | None:
        return next(iter(self._since.values()), None)

    def add(self, number: int, now: float) -> None:
        self._since[number] = now

    def settle(self, number: int) -> None:
        self._since.pop(number, None)
        self._expired.pop(number, None)

    def expire(self, now: float, age: float) -> None:
        """Those that have waited for `age` are not waited for any more."""
        while (oldest := self.oldest) is not None and oldest + age <= now:
            number = next(iter(self._since))
            del self._since[number]
            self._expired[number] = None
            if len(self._expired) > self._limit:
                del self._expired[next(iter(self._expired))]

    def clear(self) -> None:
        self._since.clear()
        self._expired.clear()


def answers(response: Pdu, request: Pdu) -> bool:
    """Whether a response is of the kind that answers a request; generic_nack answers any (3.4, 4.3.1)."""
    kind = type(response)
    if RESPONSE_OF.get(type(request)) is kind or kind is GenericNack:
        return True
    return kind is UnknownPdu and response.command_id == request.command_id | GenericNack.command_id


def as_refusal(response: Pdu) -> Pdu:
    """A generic_nack is a refusal even where the peer wrote ESME_ROK into it."""
    if type(response) is GenericNack and response.command_status == CommandStatus.ESME_ROK:
        return msgspec.structs.replace(response, command_status=CommandStatus.ESME_RUNKNOWNERR)
    return response
