"""What is owed is paid, once and in the end."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from gateway.fakes import count, result
from twisted.internet.defer import Deferred, succeed

from smsgw.broker.base import Unavailable
from smsgw.errors import StorageError
from smsgw.gateway.outbox import Outbox
from smsgw.metrics import Metrics


class Debt(msgspec.Struct, frozen=True):
    number: int


class Book:
    """Debts by number, and what became of them."""

    def __init__(self, debts: int) -> None:
        self.debts = list(range(1, debts + 1))
        self.published: list[int] = []
        self.failing: dict[int, Exception] = {}
        self.held: list[Deferred[None]] | None = None
        self.metrics = Metrics()
        self.looks = 0
        self.outbox: Outbox[Debt] = Outbox(
            owed=self.owed,
            publish=self.publish,
            clear=self.clear,
            errors=self.metrics.errors.labels("test"),
        )

    def owed(self, limit: int) -> Deferred[Sequence[Debt]]:
        self.looks += 1
        assert self.looks < 100, "a sweep that goes on and on"
        return succeed([Debt(number) for number in self.debts[:limit]])

    async def publish(self, debts: Sequence[Debt]) -> list[Exception | None]:
        if self.held is not None:
            self.held.append(Deferred())
            await self.held[-1]
        self.published += [each.number for each in debts if each.number not in self.failing]
        return [self.failing.get(each.number) for each in debts]

    def clear(self, numbers: Sequence[int]) -> Deferred[None]:
        for number in numbers:
            self.debts.remove(number)
        return succeed(None)

    def sweep(self, step: int = 2) -> Deferred[None]:
        return Deferred.fromCoroutine(self.outbox.sweep(step, lambda: True))


def test_a_sweep_pays_all_step_by_step() -> None:
    book = Book(5)
    result(book.sweep())
    assert (book.published, book.debts, book.looks) == ([1, 2, 3, 4, 5], [], 3)


def test_what_fails_stays_owed_and_ends_the_sweep() -> None:
    book = Book(5)
    book.failing[2] = Unavailable("gone")
    result(book.sweep())
    assert (book.published, book.debts, book.looks) == ([1], [2, 3, 4, 5], 1)
    book.failing.clear()
    result(book.sweep())
    assert book.debts == []


def test_what_is_being_paid_is_not_paid_twice() -> None:
    book = Book(1)
    book.held = []
    paid = book.outbox.paid([Debt(1)])
    result(book.sweep())
    assert len(book.held) == 1
    book.held[0].callback(None)
    assert (result(paid), book.published, book.debts) == (True, [1], [])


def test_a_sweep_that_is_not_wanted_any_more_ends() -> None:
    book = Book(5)
    result(Deferred.fromCoroutine(book.outbox.sweep(2, lambda: book.looks < 1)))
    assert book.debts == [3, 4, 5]


@pytest.mark.parametrize(
    ("error", "counted"), [(Unavailable("x"), 0), (StorageError("x"), 0), (ZeroDivisionError("ours"), 1)]
)
def test_only_what_nobody_expected_is_counted(error: Exception, counted: int) -> None:
    book = Book(1)
    book.failing[1] = error
    assert result(book.outbox.paid([Debt(1)])) is False
    assert count(book.metrics.errors, "test") == counted
    assert result(Deferred.fromCoroutine(book.outbox.pay([Debt(1)]))) == [error]
