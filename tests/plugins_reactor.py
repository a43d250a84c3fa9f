"""A real reactor for tests: it runs in one thread for the whole session.

    def test_something(in_reactor):
        async def story():
            await ...
        in_reactor(story)

The story is a coroutine function; it runs in the reactor's thread, what it raises is raised in the
test, and it has `timeout` seconds. Nothing else in a test may touch what lives in the reactor.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Protocol, TypeVar

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")

STUCK = 10
"""Seconds after the timeout in which the reactor has to answer; else something blocks it."""


class InReactor(Protocol):
    def __call__(self, story: Callable[[], Coroutine[Deferred[Any], Any, T]], timeout: float = 20) -> T: ...


@pytest.fixture(scope="session")
def reactor_thread() -> Iterator[Any]:
    """The reactor, running. For `callFromThread`, and to be handed to what is tested."""
    from twisted.internet import reactor

    running = threading.Event()
    thread = threading.Thread(
        target=reactor.run, kwargs={"installSignalHandlers": False}, name="reactor", daemon=True
    )
    reactor.callWhenRunning(running.set)
    thread.start()
    assert running.wait(10)
    yield reactor
    reactor.callFromThread(reactor.stop)
    thread.join(10)


@pytest.fixture
def in_reactor(reactor_thread: Any) -> InReactor:
    """Run a coroutine function in the reactor's thread and return its result."""

    def run(story: Callable[[], Coroutine[Deferred[Any], Any, T]], timeout: float = 20) -> T:
        results: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def begin() -> None:
            told = Deferred.fromCoroutine(story())
            told.addTimeout(timeout, reactor_thread)
            told.addBoth(results.put)

        reactor_thread.callFromThread(begin)
        result = results.get(timeout=timeout + STUCK)
        if isinstance(result, Failure):
            assert result.value is not None
            raise result.value.with_traceback(result.getTracebackObject())
        return result

    return run
