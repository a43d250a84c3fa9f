"""AmqpBroker against a real RabbitMQ: what only the real one can show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from rabbitmq import RabbitNode
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from smsgw.broker.amqp import AmqpBroker
from smsgw.broker.base import Delivery, Properties, TopologyError, Unavailable
from smsgw.broker.topology import Names, topology

pytestmark = pytest.mark.integration


class Station:
    """A node, and brokers made for it; used inside the reactor."""

    def __init__(self, node: RabbitNode, reactor: Any, pool: ThreadPool) -> None:
        self.node = node
        self.reactor = reactor
        self.names = Names(f"t{uuid4().hex[:12]}")
        self.brokers: list[AmqpBroker] = []
        self._pool = pool

    def broker(
        self, url: str | None = None, *, queues: tuple[str, ...] = ("a",), **settings: Any
    ) -> AmqpBroker:
        """Started. `ca_file` goes to the broker, other settings to its topology."""
        ca_file = settings.pop("ca_file", None)
        wanted = topology(queues, names=self.names, **settings)
        made = AmqpBroker(url or self.node.url, wanted, self.reactor, ca_file=ca_file)
        self.brokers.append(made)
        made.start()
        return made

    async def sleep(self, seconds: float) -> None:
        await deferLater(self.reactor, seconds)

    async def until(self, holds: Callable[[], Any], within: float = 10.0) -> None:
        for _ in range(int(within / 0.01)):
            if holds():
                return
            await self.sleep(0.01)
        raise AssertionError("it did not come to pass")

    async def in_thread(self, call: Callable[..., Any], *args: Any) -> Any:
        """For the node's own calls, which block."""
        return await deferToThreadPool(self.reactor, self._pool, call, *args)

    async def stop(self) -> None:
        await DeferredList([broker.stop() for broker in self.brokers])


@pytest.fixture
def station(rabbitmq: RabbitNode, reactor_thread: Any, in_reactor: Any) -> Iterator[Station]:
    pool = ThreadPool(0, 1)
    pool.start()
    made = Station(rabbitmq, reactor_thread, pool)
    yield made
    in_reactor(made.stop)
    pool.stop()


def test_the_node_listens_on_loopback_only(rabbitmq: RabbitNode) -> None:
    listeners = msgspec.json.decode(rabbitmq.ctl("status", "--formatter", "json"))["listeners"]
    assert {each["interface"] for each in listeners if each["protocol"] != "clustering"} == {"127.0.0.1"}


def test_wrong_passwords_are_refused_with_the_brokers_words(station: Station, in_reactor: Any) -> None:
    async def story() -> None:
        broker = station.broker(station.node.url.replace("guest:guest", "guest:sesame"))
        await station.until(lambda: broker.state.error)
        assert broker.state.name == "down"
        assert "403 ACCESS_REFUSED" in (broker.state.error or "")
        assert "sesame" not in repr(broker)

    in_reactor(story)


def test_a_vhost_that_is_not_there_is_named(station: Station, in_reactor: Any) -> None:
    async def story() -> None:
        broker = station.broker(station.node.url.replace("%2F", "nowhere"))
        await station.until(lambda: broker.state.error)
        assert "530 NOT_ALLOWED" in (broker.state.error or "")
        assert "nowhere" in (broker.state.error or "")

    in_reactor(story)


def test_tls_with_our_own_authority(station: Station, in_reactor: Any) -> None:
    async def story() -> None:
        broker = station.broker(station.node.tls_url, ca_file=str(station.node.ca_file))
        await broker.ready()
        got: list[Delivery] = []
        broker.consume(station.names.queue("a"), 5, got.append)
        await broker.publish(station.names.submit, "a", b"\xff" * 300_000)
        await station.until(lambda: got)
        assert got[0].body == b"\xff" * 300_000
        got[0].ack()
        by_name = station.broker(
            station.node.tls_url.replace("127.0.0.1", "localhost") + f"?cacertfile={station.node.ca_file}"
        )
        await by_name.ready()

    in_reactor(story)


def test_tls_by_an_authority_we_do_not_trust_is_refused(station: Station, in_reactor: Any) -> None:
    async def story() -> str:
        broker = station.broker(station.node.tls_url)
        await station.until(lambda: broker.state.error)
        assert broker.state.name == "down"
        return broker.state.error or ""

    assert "certificate verify failed" in in_reactor(story)


def test_tls_under_another_name_is_refused(station: Station, in_reactor: Any) -> None:
    """The certificate is for localhost and 127.0.0.1; ::ffff:127.0.0.1 is the same place by another name."""

    async def story() -> str:
        url = station.node.tls_url.replace("127.0.0.1", "[::ffff:127.0.0.1]")
        broker = station.broker(url, ca_file=str(station.node.ca_file))
        await station.until(lambda: broker.state.error)
        assert broker.state.name == "down"
        return broker.state.error or ""

    assert "verif" in in_reactor(story).lower()


def test_other_arguments_are_told_as_the_broker_knows_them(station: Station, in_reactor: Any) -> None:
    async def story() -> None:
        await station.broker().ready()
        other = station.broker(queue_type="quorum")
        with pytest.raises(TopologyError) as caught:
            await other.ready()
        assert station.names.route in str(caught.value) or station.names.queue("a") in str(caught.value)
        assert "x-" in str(caught.value)

    in_reactor(story)


def test_quorum_queues_and_their_width(station: Station, in_reactor: Any) -> None:
    async def story() -> None:
        broker = station.broker(queue_type="quorum", retry_steps=())
        await broker.ready()
        got: list[Delivery] = []
        consumer = broker.consume(station.names.queue("a"), 2, got.append)
        await gatherResults([broker.publish(station.names.submit, "a", b"%d" % n) for n in range(8)])
        await station.until(lambda: len(got) == 2)
        consumer.resize(5)
        await station.until(lambda: len(got) == 5)
        consumer.resize(1)
        for delivery in got[:5]:
            delivery.ack()
        await station.until(lambda: len(got) == 6)
        await station.sleep(0.1)
        assert consumer.unsettled == 1
        got[5].nack()  # a quorum queue puts it behind the others
        for index in range(6, 8):
            await station.until(lambda index=index: len(got) > index)
            got[index].ack()
        await station.until(lambda: len(got) == 9)
        assert [delivery.redelivered for delivery in got if delivery.body == got[5].body] == [False, True]

    in_reactor(story)


def test_a_dead_letters_history_is_read_and_goes_round_again(station: Station, in_reactor: Any) -> None:
    async def story() -> None:
        broker = station.broker(retry_steps=(0.1,))
        await broker.ready()
        got: list[Delivery] = []
        broker.consume(station.names.queue("a"), 5, got.append)
        headers: dict[str, Any] = {"n": -1}
        for turn in range(1, 4):
            await broker.publish(station.names.retry(0.1), "a", b"", Properties(headers=headers))
            await station.until(lambda turn=turn: len(got) == turn)
            headers = got[-1].properties.headers
            got[-1].ack()
        (death,) = headers["x-death"]
        assert (death["count"], death["reason"], death["routing-keys"]) == (3, "expired", ["a"])
        assert headers["n"] == -1

    in_reactor(story)


def test_a_deleted_queue_comes_back_and_is_consumed(station: Station, in_reactor: Any) -> None:
    async def story() -> None:
        broker = station.broker(queues=("a", "b"))
        await broker.ready()
        got: list[Delivery] = []
        other: list[Delivery] = []
        broker.consume(station.names.queue("a"), 5, got.append)
        broker.consume(station.names.queue("b"), 5, other.append)
        await broker.publish(station.names.submit, "b", b"kept")
        await broker.publish(station.names.submit, "a", b"lost with its queue")
        await station.until(lambda: got and other)
        await station.in_thread(station.node.ctl, "delete_queue", station.names.queue("a"))
        await station.until(lambda: got[0].stale)
        got[0].ack()
        await station.sleep(0.5)
        await broker.publish(station.names.submit, "a", b"after", mandatory=True)
        await station.until(lambda: len(got) == 2)
        got[1].ack()
        assert not other[0].stale
        assert broker.state.name == "up"

    in_reactor(story, timeout=40)


def test_a_publish_to_no_exchange_fails_and_the_others_go_on(station: Station, in_reactor: Any) -> None:
    async def story() -> None:
        broker = station.broker()
        await broker.ready()
        with pytest.raises(Unavailable, match="no exchange 'missing'"):
            await broker.publish("missing", "a", b"")
        await broker.publish(station.names.submit, "a", b"")
        assert await broker.depth(station.names.queue("a")) == 1
        assert broker.state.name == "up"

    in_reactor(story)


def test_an_alarm_blocks_publishes_until_it_is_over(station: Station, in_reactor: Any) -> None:
    async def story() -> None:
        broker = station.broker()
        await broker.ready()
        await station.in_thread(station.node.raise_memory_alarm)
        try:
            pending: Deferred[None] = broker.publish(station.names.submit, "a", b"waits")
            await station.until(lambda: broker.state.name == "blocked")
            assert "memory" in (broker.state.error or "")
            await station.sleep(0.2)
            assert not pending.called
        finally:
            await station.in_thread(station.node.clear_memory_alarm)
        await pending
        await station.until(lambda: broker.state.name == "up")

    in_reactor(story, timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_consumption_goes_on_by_itself_when_the_broker_returns(
    station: Station, in_reactor: Any, how: str
) -> None:
    async def story() -> None:
        node, names = station.node, station.names
        broker = station.broker()
        await broker.ready()
        got: list[Delivery] = []
        consumer = broker.consume(names.queue("a"), 3, got.append)
        heard: list[bytes] = []
        await broker.watch(names.events, "#", lambda _, body: heard.append(body))
        await gatherResults([broker.publish(names.submit, "a", b"%d" % n) for n in range(10)])
        await station.until(lambda: len(got) == 3)
        got[0].ack()
        await station.until(lambda: len(got) == 4)
        await station.in_thread(getattr(node, how))
        await station.until(lambda: broker.state.name == "down")
        assert consumer.unsettled == 0
        assert all(delivery.stale for delivery in got)
        with pytest.raises(Unavailable):
            await broker.publish(names.submit, "a", b"")
        got[1].ack()
        await station.sleep(1)
        await station.in_thread(node.start)
        await station.until(lambda: len(got) >= 7, within=15)
        assert consumer.unsettled == 3
        handed_out = {delivery.body for delivery in got[:4]}
        settled = 4
        while {int(delivery.body) for delivery in got} != set(range(10)):
            await station.until(lambda settled=settled: len(got) > settled)
            got[settled].ack()
            settled += 1
        again = [delivery for delivery in got[4:] if delivery.body in handed_out]
        assert {b"2", b"3"} <= {delivery.body for delivery in again}
        assert all(delivery.redelivered for delivery in again)
        await broker.publish(names.events, "accepted.a", b"event")
        await station.until(lambda: heard == [b"event"])
        await broker.publish(names.submit, "a", b"new")
        await station.until(lambda: got[-1].body == b"new")

    in_reactor(story, timeout=120)
