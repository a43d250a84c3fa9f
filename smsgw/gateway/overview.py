"""What an operator sees: the state of channels and queues at a glance.

A sample every few seconds asks the broker for the backlogs and turns counts into rates, so that what is
shown needs to wait for nothing. `Channels` and `Queues` are the views that the Manhole hands out; their
reprs are an operator's interface.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.broker.base import Broker, BrokerError
from smsgw.broker.topology import Names
from smsgw.channel.base import Channel
from smsgw.gateway.outgoing import Outgoing
from smsgw.metrics import Metrics

PERIOD = 5.0
"""Seconds between two samples."""


class Overview:
    """The latest sample: messages waiting in each queue, and messages per second of each channel."""

    log = Logger()

    def __init__(
        self,
        broker: Broker,
        outgoing: Outgoing,
        channels: Mapping[str, Channel],
        *,
        names: Names,
        metrics: Metrics,
        clock: IReactorTime,
    ) -> None:
        self.backlog: dict[str, int] = {}
        self.rates: dict[str, float] = {}
        self._broker = broker
        self._outgoing = outgoing
        self._channels = channels
        self._names = names
        self._metrics = metrics
        self._clock = clock
        self._accepted: dict[str, int] = {}
        self._at = clock.seconds()
        self._loop = LoopingCall(self._sample)
        self._loop.clock = clock

    def start(self) -> None:
        self._loop.start(PERIOD, now=True)

    def stop(self) -> None:
        if self._loop.running:
            self._loop.stop()

    def forget_gone(self) -> None:
        """Show no more of a channel that is there no longer, and of a queue that no channel is fed from."""
        queues = {channel.queue for channel in self._channels.values()}
        for name in self._accepted.keys() - self._channels.keys():
            del self._accepted[name]
            del self._outgoing.accepted[name]
            self.rates.pop(name, None)
        for queue in self.backlog.keys() - queues:
            del self.backlog[queue]
        self._metrics.forget_gone(self._channels.keys(), queues)

    def in_flight(self, channel: Channel) -> int:
        """Messages that a channel's sessions have taken and not yet settled."""
        return self._outgoing.carrying(channel)

    def _sample(self) -> Deferred[None]:
        self.forget_gone()
        self._sample_rates()
        return Deferred.fromCoroutine(self._sample_backlogs()).addErrback(self._failed)

    def _sample_rates(self) -> None:
        now = self._clock.seconds()
        passed, self._at = now - self._at, now
        for name, channel in self._channels.items():
            accepted = self._outgoing.accepted[name]
            if passed > 0:
                self.rates[name] = (accepted - self._accepted.get(name, 0)) / passed
            self._accepted[name] = accepted
            self._metrics.in_flight.labels(name).set(self.in_flight(channel))

    async def _sample_backlogs(self) -> None:
        for queue in dict.fromkeys(channel.queue for channel in self._channels.values()):
            if self._broker.state.name in ("up", "blocked"):
                depth = await self._broker.depth(self._names.queue(queue))
                self.backlog[queue] = depth
                self._metrics.backlog.labels(queue).set(depth)

    def _failed(self, failure: Failure) -> None:
        if not isinstance(failure.value, BrokerError | CancelledError):
            self.log.failure("the state could not be sampled", failure=failure)
            self._metrics.errors.labels("overview").inc()


class Channels:
    """`channels` in the Manhole: one line for each, and one for each of its sessions."""

    def __init__(self, channels: Mapping[str, Channel], overview: Overview) -> None:
        self._channels = channels
        self._overview = overview

    def __getitem__(self, name: str) -> Channel:
        return self._channels[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._channels)

    def __len__(self) -> int:
        return len(self._channels)

    def __repr__(self) -> str:
        return "\n".join(line for channel in self._channels.values() for line in self._lines(channel))

    def _lines(self, channel: Channel) -> Iterator[str]:
        overview = self._overview
        backlog = overview.backlog.get(channel.queue)
        yield (
            f"{channel!r}: {overview.in_flight(channel)} in flight, "
            f"{overview.rates.get(channel.name, 0.0):.1f}/s now, "
            f"{'?' if backlog is None else backlog} waiting in {channel.queue}"
        )
        for session in channel.sessions:
            yield f"  {session!r}"


class Queues:
    """`queues` in the Manhole: how much waits, and who takes it."""

    def __init__(self, channels: Mapping[str, Channel], overview: Overview) -> None:
        self._channels = channels
        self._overview = overview

    def __repr__(self) -> str:
        fed: dict[str, list[str]] = {}
        for channel in self._channels.values():
            fed.setdefault(channel.queue, []).append(channel.name)
        return "\n".join(
            f"<queue {queue}: {self._overview.backlog.get(queue, '?')} waiting, feeds {', '.join(names)}>"
            for queue, names in fed.items()
        )
