"""`AmqpBroker`: a broker that reconnects.

One loop: dial, log in, declare the topology, then let publisher, consumers and watches begin, and
wait until the connection is lost; pause; again. Only a connection that came as far as its topology
resets the pause, so that a wrong password or a queue with other arguments does not hammer the
broker. Everything standing is told `attach` and `detach`; it holds no connection of its own.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

import msgspec
from OpenSSL.crypto import Error as CryptoError
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from txamqp.client import ChannelClosed, Closed

from smsgw.broker.amqp.channel import Quiet, reason_text
from smsgw.broker.amqp.client import Client
from smsgw.broker.amqp.consumer import AmqpConsumer
from smsgw.broker.amqp.declare import declare
from smsgw.broker.amqp.publisher import Publisher
from smsgw.broker.amqp.standing import Standing
from smsgw.broker.amqp.url import HEARTBEAT, AmqpUrl, parse
from smsgw.broker.amqp.watch import Watch
from smsgw.broker.base import (
    BrokerError,
    BrokerState,
    Deliver,
    Properties,
    Publish,
    TopologyError,
    Unavailable,
    the_only,
)
from smsgw.broker.topology import Topology
from smsgw.errors import ConfigError, SmsgwError

DRAIN_SECONDS = 5.0
"""How long `stop` waits for outstanding confirms."""

CLOSE_SECONDS = 2.0
"""And then for the broker's answer to the close."""

DECLARE_SECONDS = 10.0
"""How long `declare` waits for the broker's answers; a broker under memory pressure may read nothing."""

DEPTH_SECONDS = 10.0
"""How long `depth` does: as long, and for the same reason."""

NOT_FOUND = 404

log = Logger()


class Backoff(msgspec.Struct, frozen=True):
    """Pauses between tries to connect, in seconds: doubling from `first` to `longest`, less a jitter."""

    first: float = 0.2
    longest: float = 5.0
    jitter: float = 0.3

    def pause(self, failures: int, chance: float) -> float:
        """After so many failures in a row, from 1; `chance` is from 0 to 1."""
        whole = min(self.longest, self.first * 2.0 ** min(failures - 1, 30))
        return whole * (1 - self.jitter * chance)


class AmqpBroker:
    """RabbitMQ as `smsgw.broker.base.Broker`.

    `url` is `amqp://` or `amqps://`; `ca_file` is a PEM file of the authorities to trust instead of
    the system's. `heartbeat` is in seconds; one in the URL wins. `endpoint` replaces the address in the
    URL, `name` is what RabbitMQ lists this connection as.
    """

    def __init__(
        self,
        url: str,
        topology: Topology,
        reactor: Any,
        *,
        ca_file: str | None = None,
        heartbeat: float = HEARTBEAT,
        endpoint: IStreamClientEndpoint | None = None,
        backoff: Backoff = Backoff(),  # noqa: B008  frozen
        name: str = "smsgw",
        chance: Callable[[], float] = random.random,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Raises `ConfigError` for a wrong URL or an unreadable `ca_file`."""
        self.url = parse(url, heartbeat)
        self._topology = topology
        self._clock: IReactorTime = reactor
        self._endpoint = endpoint or _endpoint(self.url, reactor, ca_file)
        self._backoff = backoff
        self._name = name
        self._chance = chance
        self._wall = wall
        self._state = BrokerState("down", wall())
        self._client: Client | None = None
        self._publisher = Publisher(self._publisher_failed)
        self._standing: dict[Standing, None] = {}
        self._waiting: list[Deferred[None]] = []
        self._loop: Deferred[None] | None = None
        self._declaring: Deferred[None] | None = None
        self._stopping: Deferred[None] | None = None
        self._failures = 0
        self._topology_error: TopologyError | None = None

    def __repr__(self) -> str:
        error = f": {self._state.error}" if self._state.error else ""
        return f"<AmqpBroker {self.url} {self._state.name}{error}>"

    @property
    def state(self) -> BrokerState:
        return self._state

    def start(self) -> None:
        if self._loop is None and self._stopping is None:
            self._loop = Deferred.fromCoroutine(self._run())
            self._loop.addErrback(_log_unless_cancelled)

    def stop(self) -> Deferred[None]:
        if self._stopping is None:
            self._stopping = Deferred.fromCoroutine(self._stop())
        return _another(self._stopping)

    def ready(self) -> Deferred[None]:
        if self._state.name in ("up", "blocked"):
            return succeed(None)
        if self._stopping is not None:
            return fail(Unavailable("the broker connection was stopped"))
        if self._topology_error is not None:
            return fail(self._topology_error)
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def declare(self, more: Topology) -> Deferred[None]:
        return Deferred.fromCoroutine(self._declare_more(more))

    def publish(
        self,
        exchange: str,
        key: str,
        body: bytes,
        properties: Properties = Properties(),  # noqa: B008  frozen
        *,
        mandatory: bool = False,
    ) -> Deferred[None]:
        return self.publish_all([Publish(exchange, key, body, properties, mandatory)]).addCallback(the_only)

    def publish_all(self, publishes: Sequence[Publish]) -> Deferred[list[Exception | None]]:
        if self._stopping is not None:
            return succeed([Unavailable("the broker connection is stopping")] * len(publishes))
        return self._publisher.publish(publishes)

    def consume(self, queue: str, width: int, deliver: Deliver) -> AmqpConsumer:
        """Raises `Misuse` for a width that no prefetch count can hold."""
        consumer = AmqpConsumer(
            queue, width, deliver, clock=self._clock, declare=self._redeclare, forgotten=self._forget
        )
        self._stand(consumer)
        return consumer

    def watch(self, exchange: str, pattern: str, deliver: Callable[[str, bytes], None]) -> Deferred[None]:
        watch = Watch(
            exchange,
            pattern,
            deliver,
            clock=self._clock,
            declare=self._redeclare,
            forgotten=self._forget,
        )
        self._stand(watch)
        return watch.placed

    def depth(self, queue: str) -> Deferred[int]:
        """Fails with `Unavailable`, also without an answer in time, or `BrokerError` without such a queue."""
        counted = Deferred.fromCoroutine(self._depth(queue))
        return counted.addTimeout(DEPTH_SECONDS, self._clock, _no_answer)

    async def _depth(self, queue: str) -> int:
        client = self._client
        if client is None or client.closed:
            raise Unavailable(self._state.error or "not connected yet")
        channel = client.open_channel(Quiet())
        try:
            declared = await channel.queue_declare(queue=queue, passive=True)
        except ChannelClosed as error:
            raise BrokerError(f"queue {queue}: {reason_text(error)}") from None
        except Closed as error:
            raise Unavailable(reason_text(error)) from None
        finally:
            channel.leave()
        return int(declared.message_count)

    # The connection

    async def _run(self) -> None:
        while self._stopping is None:
            lost: Deferred[str] = Deferred()
            try:
                client = await self._connect(lost)
            except CancelledError:
                raise
            except Exception as error:  # noqa: BLE001  whatever it is, the next try may do
                self._connect_failed(error)
            else:
                self._went_up(client)
                self._went_down(await lost)
            if self._stopping is None:
                await self._sleep()

    async def _connect(self, lost: Deferred[str]) -> Client:
        client = Client(
            self._clock,
            vhost=self.url.vhost,
            properties={"product": "smsgw", "connection_name": self._name},
            heartbeat=self.url.heartbeat,
            lost=lost.callback,
            blocked=self._blocked,
        )
        await self._endpoint.connect(_Dial(client))
        try:
            await client.login(self.url.username, self.url.password, self.url.timeout)
            await declare(client, self._topology)
            if client.closed:
                raise Unavailable("the connection was lost while the topology was declared")
        except BaseException:
            client.abort("not wanted any more")
            raise
        return client

    async def _sleep(self) -> None:
        longest = self._topology_error is not None
        pause = (
            self._backoff.longest if longest else self._backoff.pause(max(1, self._failures), self._chance())
        )
        await deferLater(self._clock, pause)

    def _went_up(self, client: Client) -> None:
        self._failures = 0
        self._topology_error = None
        self._client = client
        self._set_state("up")
        log.info("connected to {url}", url=str(self.url))
        self._publisher.attach(client)
        for standing in list(self._standing):
            standing.attach(client)
        self._tell_waiting(lambda waiting: waiting.callback(None))

    def _went_down(self, reason: str) -> None:
        self._client = None
        self._set_state("down", None if self._stopping else reason)
        self._publisher.detach(reason)
        for standing in list(self._standing):
            standing.detach()
        if self._stopping is None:
            log.warn("lost {url}: {reason}", url=str(self.url), reason=reason)

    def _connect_failed(self, error: Exception) -> None:
        self._failures += 1
        text = reason_text(error)
        self._topology_error = error if isinstance(error, TopologyError) else None
        self._set_state("down", text)
        self._publisher.detach(text)
        log.warn("no connection to {url}: {error}", url=str(self.url), error=text)
        if self._topology_error is not None:
            self._tell_waiting(lambda waiting: waiting.errback(error))

    def _blocked(self, reason: str | None) -> None:
        if self._state.name in ("up", "blocked"):
            self._set_state("up" if reason is None else "blocked", reason)
            log.warn("{url} takes publishes: {reason}", url=str(self.url), reason=reason or "again")

    def _set_state(self, name: Literal["down", "up", "blocked", "stopped"], error: str | None = None) -> None:
        since = self._state.since if name == self._state.name else self._wall()
        self._state = BrokerState(name, since, error or self._state.error)

    def _tell_waiting(self, tell: Callable[[Deferred[None]], None]) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            tell(each)

    # Standing things

    def _stand(self, standing: Standing) -> None:
        self._standing[standing] = None
        if self._client is not None:
            standing.attach(self._client)

    def _forget(self, standing: Standing) -> None:
        self._standing.pop(standing, None)

    def _publisher_failed(self, code: int, reason: str) -> None:
        log.warn("a publish closed its channel: {reason}", reason=reason)
        if code == NOT_FOUND:
            self._redeclare()

    def _redeclare(self) -> Deferred[None]:
        """Declare the topology again on this connection; never fails. Calls meanwhile share it."""
        declaring = self._declaring
        if declaring is None:
            declaring = self._declaring = Deferred.fromCoroutine(self._declare_again())
            declaring.addBoth(self._declared)
        return _another(declaring)

    def _declared(self, result: Any) -> Any:
        self._declaring = None
        return result

    async def _declare_again(self) -> None:
        client = self._client
        try:
            if client is not None and not client.closed:
                await declare(client, self._topology)
        except (SmsgwError, Closed) as error:
            self._set_state(self._state.name, reason_text(error))
            log.warn("declaring again at {url}: {error}", url=str(self.url), error=reason_text(error))

    async def _declare_more(self, more: Topology) -> None:
        client = self._client
        if client is None or client.closed:
            raise Unavailable(self._state.error or "not connected yet")
        declaring = Deferred.fromCoroutine(declare(client, self._topology.with_more(more)))
        try:
            await declaring.addTimeout(DECLARE_SECONDS, self._clock)
        except Closed as error:
            raise Unavailable(reason_text(error)) from None
        except TimedOut:
            raise Unavailable(f"no answer within {DECLARE_SECONDS:g} s") from None
        self._topology = self._topology.with_more(more)

    # The end

    async def _stop(self) -> None:
        self._tell_waiting(lambda waiting: waiting.errback(Unavailable("the broker connection was stopped")))
        client, loop = self._client, self._loop
        for standing in list(self._standing):
            standing.cancel()
        if client is not None:
            await self._bounded(self._publisher.idle(), DRAIN_SECONDS)
            client.leave(CLOSE_SECONDS)
        elif loop is not None:
            loop.cancel()
        if loop is not None:
            await loop
        self._publisher.detach("the broker connection was stopped")
        self._set_state("stopped")

    async def _bounded(self, waiting: Deferred[None], seconds: float) -> None:
        waiting.addTimeout(seconds, self._clock)
        try:
            await waiting
        except TimedOut:
            log.warn("{count} publishes were not confirmed in time", count=self._publisher.unconfirmed)


class _Dial(Factory):
    """For one connection; silent about it."""

    noisy = False

    def __init__(self, client: Client) -> None:
        self._client = client

    def buildProtocol(self, addr: object) -> Client:
        return self._client


def _endpoint(url: AmqpUrl, reactor: Any, ca_file: str | None) -> IStreamClientEndpoint:
    """TLS is verified by the host name in the URL; there is no way to turn that off."""
    place, file = ("broker.ca", ca_file) if ca_file else ("broker.url", url.ca_file)
    trusted = _authorities(place, file)
    plain = HostnameEndpoint(reactor, url.host, url.port, timeout=url.timeout)
    if not url.tls:
        return plain
    return wrapClientTLS(optionsForClientTLS(url.host, trustRoot=trusted), plain)


def _authorities(place: str, ca_file: str | None) -> Any:
    """The certificates of a PEM file that a setting names; None means the system's."""
    if ca_file is None:
        return None
    try:
        text = Path(ca_file).read_text()
        found = [Certificate.loadPEM(block) for block in _PEM.findall(text)]
    except OSError as error:
        raise ConfigError(place, f"{ca_file}: {error.strerror}") from None
    except (ValueError, CryptoError) as error:
        raise ConfigError(place, f"{ca_file}: {reason_text(error)}") from None
    if not found:
        raise ConfigError(place, f"{ca_file} holds no certificate")
    return trustRootFromCertificates(found)  # type: ignore[no-untyped-call]


_PEM = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def _log_unless_cancelled(failure: Any) -> None:
    if not failure.check(CancelledError):
        log.failure("the loop that connects to the broker failed", failure=failure)


def _no_answer(_: object, seconds: float) -> NoReturn:
    raise Unavailable(f"no answer within {seconds:g} s")


def _another(shared: Deferred[None]) -> Deferred[None]:
    """A Deferred of one's own for a result that several wait for."""
    own: Deferred[None] = Deferred()

    def tell(result: Any) -> Any:
        own.callback(result)
        return result if not isinstance(result, Failure) else None

    shared.addBoth(tell)
    return own
