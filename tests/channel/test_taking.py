"""Parting waits for what is unanswered, within bounds."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from smsgw.channel.taking import Taking


def finished(taking: Taking, patience: float = 5.0) -> list[None]:
    fired: list[None] = []
    taking.finish(patience).addCallback(fired.append)
    return fired


def test_with_nothing_unanswered_it_is_over_at_once() -> None:
    clock = Clock()
    taking = Taking(clock)
    taking.add(succeed(None))
    assert not taking.over
    assert finished(taking) == [None]
    assert taking.over
    assert clock.getDelayedCalls() == []


def test_it_is_full_until_something_is_answered_and_when_it_is_over() -> None:
    taking = Taking(Clock(), 2)
    answers: list[Deferred[None]] = [Deferred(), Deferred()]
    for answer in answers:
        assert not taking.full
        taking.add(answer)
    assert taking.full
    answers[0].callback(None)
    assert not taking.full
    finished(taking)
    assert taking.full


def test_it_waits_for_every_answer() -> None:
    clock = Clock()
    taking = Taking(clock)
    answers: list[Deferred[None]] = [Deferred(), Deferred()]
    for answer in answers:
        taking.add(answer)
    fired = finished(taking)
    answers[1].callback(None)
    assert fired == []
    answers[0].callback(None)
    assert fired == [None]
    assert clock.getDelayedCalls() == []


def test_it_waits_no_longer_than_it_is_told_and_cancels_nothing() -> None:
    clock = Clock()
    taking = Taking(clock)
    answer: Deferred[None] = Deferred()
    taking.add(answer)
    fired = finished(taking)
    clock.advance(5)
    assert (fired, answer.called) == ([None], False)
    answer.callback(None)
    assert fired == [None]


def test_an_answer_that_fails_is_no_answer_to_wait_for_and_is_not_hidden() -> None:
    taking = Taking(Clock())
    answer: Deferred[None] = Deferred()
    taking.add(answer)
    failures: list[Any] = []
    answer.addErrback(failures.append)
    fired = finished(taking)
    answer.errback(ValueError("field"))
    assert (fired, len(failures)) == ([None], 1)
