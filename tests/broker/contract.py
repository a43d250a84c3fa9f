"""What every broker must do: one suite, run against each of them.

A subclass of `BrokerContract` in a test module provides the fixture `make_broker`: a function that
makes a broker for a topology, not started, each time on the same storage within one test (so that a
test can stop one and start the next, or run two at once). Whatever it made and the test did not stop
is the fixture's to clean up. `features` says what this broker does beyond the common ground.

    class TestSpool(BrokerContract):
        @pytest.fixture
        def make_broker(self, tmp_path, reactor_thread): ...

Every test is a story told to a real reactor (`tests/plugins_reactor.py`). Names are new for each test,
since a real server is shared.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from smsgw.broker.base import (
    Broker,
    BrokerError,
    Delivery,
    Properties,
    Publish,
    QueueFull,
    TopologyError,
    Unavailable,
    Unroutable,
)
from smsgw.broker.topology import Names, Topology, topology

MakeBroker = Callable[[Topology], Broker]
Sleep = Callable[[float], Deferred[None]]


class Collected:
    """A consumer's deliveries, in order, unsettled until the test settles them."""

    def __init__(self, sleep: Sleep, settle: bool = False) -> None:
        self.deliveries: list[Delivery] = []
        self.most = 0
        self._sleep = sleep
        self._settle = settle

    def __call__(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        if self._settle:
            delivery.ack()

    @property
    def bodies(self) -> list[bytes]:
        return [delivery.body for delivery in self.deliveries]

    async def until(self, number: int, within: float = 5.0) -> list[Delivery]:
        """The deliveries, as soon as there are so many."""
        await until(self._sleep, lambda: len(self.deliveries) >= number, within)
        return self.deliveries


async def until(sleep: Sleep, holds: Callable[[], bool], within: float = 5.0) -> None:
    for _ in range(int(within / 0.005)):
        if holds():
            return
        await sleep(0.005)
    raise AssertionError("it did not come to pass")


class BrokerContract:
    """Subclass it, and provide `make_broker`."""

    @pytest.fixture
    def make_broker(self) -> MakeBroker:
        raise NotImplementedError

    @pytest.fixture
    def names(self) -> Names:
        return Names(f"t{uuid4().hex[:12]}")

    @pytest.fixture
    def sleep(self, reactor_thread: Any) -> Sleep:
        return lambda seconds: deferLater(reactor_thread, seconds)

    @pytest.fixture
    def tell(
        self, in_reactor: Any, make_broker: MakeBroker, names: Names
    ) -> Callable[[Callable[[Broker], Awaitable[None]]], None]:
        """Run a story with a broker that is up and has the queues `a` and `b`; stop it afterwards."""

        def run(story: Callable[[Broker], Awaitable[None]], **settings: Any) -> None:
            async def whole() -> None:
                broker = make_broker(topology(["a", "b"], names=names, **settings))
                broker.start()
                await broker.ready()
                try:
                    await story(broker)
                finally:
                    await broker.stop()

            in_reactor(whole)

        return run

    # Publish, confirm, consume

    def test_what_was_published_is_delivered(self, tell: Any, names: Names, sleep: Sleep) -> None:
        async def story(broker: Broker) -> None:
            properties = Properties(
                headers={"x-attempt": 2},
                priority=2,
                correlation_id="order 7",
                reply_to="answers",
                message_id="m-1",
                timestamp=1_700_000_000,
            )
            await broker.publish(names.submit, "a", b'{"to":"46700000001"}', properties)
            got = Collected(sleep)
            broker.consume(names.queue("a"), 1, got)
            (delivery,) = await got.until(1)
            assert delivery.body == b'{"to":"46700000001"}'
            assert delivery.properties == properties
            assert delivery.queue == names.queue("a")
            assert delivery.redelivered is False
            assert delivery.stale is False
            delivery.ack()

        tell(story)

    def test_a_consumer_that_waits_hears_of_a_publish(self, tell: Any, names: Names, sleep: Sleep) -> None:
        async def story(broker: Broker) -> None:
            got = Collected(sleep, settle=True)
            broker.consume(names.queue("a"), 10, got)
            await sleep(0.1)
            await gatherResults([broker.publish(names.submit, "a", b"%d" % n) for n in range(50)])
            await got.until(50)
            assert got.bodies == [b"%d" % n for n in range(50)]

        tell(story)

    @pytest.mark.parametrize(
        "body",
        [b"", b"\x00\xff\xfe", "grüße, 你好, 😀".encode(), b"a" * 4096 + b"\xff" * 200_000, b"x" * (1 << 20)],
        ids=["empty", "binary", "not ASCII", "two frames", "1 MiB"],
    )
    def test_bodies_arrive_octet_for_octet(self, tell: Any, names: Names, sleep: Sleep, body: bytes) -> None:
        async def story(broker: Broker) -> None:
            got = Collected(sleep, settle=True)
            broker.consume(names.queue("a"), 1, got)
            await broker.publish(names.submit, "a", body)
            await broker.publish(names.submit, "a", b"and the next")
            await got.until(2)
            assert got.bodies == [body, b"and the next"]
            assert type(got.bodies[0]) is bytes

        tell(story)

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"n": 1, "negative": -1, "large": 2**40, "small": -(2**40), "zero": 0, "sum": 2**31, "byte": 255},
            {"yes": True, "no": False, "none": None, "float": 2.5, "text": "x", "empty": ""},
            {"list": [1, "two", None, [3.5, {"four": True}]], "object": {"a": {"b": {}}}, "none": []},
            {"naïve": "你好 😀", "ключ": ["é"], "long": "ü" * 5000},
            {"octets": b"\x00\xff", "moment": datetime(2026, 11, 23, 20, 15, tzinfo=UTC)},
        ],
        ids=["none", "integers", "scalars", "nested", "not ASCII", "octets and moments"],
    )
    def test_headers_arrive_as_they_were(
        self, tell: Any, names: Names, sleep: Sleep, headers: dict[str, Any]
    ) -> None:
        async def story(broker: Broker) -> None:
            got = Collected(sleep, settle=True)
            broker.consume(names.queue("a"), 1, got)
            await broker.publish(names.submit, "a", b"{}", Properties(headers=headers))
            (delivery,) = await got.until(1)
            assert delivery.properties.headers == headers
            assert {k: type(v) for k, v in delivery.properties.headers.items()} == {
                k: type(v) for k, v in headers.items()
            }

        tell(story)

    def test_properties_may_hold_any_text(self, tell: Any, names: Names, sleep: Sleep) -> None:
        async def story(broker: Broker) -> None:
            properties = Properties(
                content_type=None, correlation_id="größe 你", message_id="id-ё", reply_to="q-é"
            )
            got = Collected(sleep, settle=True)
            broker.consume(names.queue("a"), 1, got)
            await broker.publish(names.submit, "a", b"{}", properties)
            (delivery,) = await got.until(1)
            assert delivery.properties == properties

        tell(story)

    def test_what_is_published_together_has_one_answer(self, tell: Any, names: Names, sleep: Sleep) -> None:
        """With the fate of each, in order; one that can't be stored harms no other."""

        async def story(broker: Broker) -> None:
            publishes = [Publish(names.submit, "a", b"%d" % n) for n in range(20)]
            publishes[5] = Publish(names.submit, "nowhere", b"5", mandatory=True)
            publishes[7] = Publish(names.submit, "a", b"7", Properties(headers={"x": object()}))
            errors = await broker.publish_all(publishes)
            failed = {index: error for index, error in enumerate(errors) if error is not None}
            assert (len(errors), failed.keys()) == (20, {5, 7})
            assert isinstance(failed[5], Unroutable)
            assert not isinstance(failed[7], BrokerError)
            assert await broker.publish_all([]) == []
            got = Collected(sleep)
            broker.consume(names.queue("a"), 30, got)
            await got.until(18)
            assert got.bodies == [b"%d" % n for n in range(20) if n not in (5, 7)]

        tell(story)

    # Width

    def test_width_is_reached_and_never_exceeded(self, tell: Any, names: Names, sleep: Sleep) -> None:
        async def story(broker: Broker) -> None:
            await gatherResults([broker.publish(names.submit, "a", b"%d" % n) for n in range(60)])
            got = Collected(sleep)
            consumer = broker.consume(names.queue("a"), 7, got)
            for settled in range(60):
                await got.until(min(settled + 7, 60))
                assert len(got.deliveries) <= settled + 7
                assert consumer.unsettled == min(7, 60 - settled)
                got.deliveries[settled].ack()
            assert consumer.unsettled == 0
            assert got.bodies == [b"%d" % n for n in range(60)]

        tell(story)

    def test_two_consumers_of_a_queue_share_it(self, tell: Any, names: Names, sleep: Sleep) -> None:
        async def story(broker: Broker) -> None:
            first, second = Collected(sleep), Collected(sleep)
            broker.consume(names.queue("a"), 3, first)
            broker.consume(names.queue("a"), 2, second)
            await gatherResults([broker.publish(names.submit, "a", b"%d" % n) for n in range(10)])
            await first.until(3)
            await second.until(2)
            await sleep(0.1)
            assert (len(first.deliveries), len(second.deliveries)) == (3, 2)
            assert len({*first.bodies, *second.bodies}) == 5

        tell(story)

    def test_resize_takes_effect_while_consuming(self, tell: Any, names: Names, sleep: Sleep) -> None:
        async def story(broker: Broker) -> None:
            await gatherResults([broker.publish(names.submit, "a", b"%d" % n) for n in range(20)])
            got = Collected(sleep)
            consumer = broker.consume(names.queue("a"), 2, got)
            await got.until(2)
            consumer.resize(5)
            await got.until(5)
            await sleep(0.1)
            assert len(got.deliveries) == consumer.unsettled == consumer.width == 5
            consumer.resize(1)
            for delivery in got.deliveries[:4]:
                delivery.ack()
            await sleep(0.2)
            assert len(got.deliveries) == 5
            got.deliveries[4].ack()
            await got.until(6)
            await sleep(0.1)
            assert consumer.unsettled == 1

        tell(story)

    # Settling

    def test_what_is_put_back_comes_again_marked(self, tell: Any, names: Names, sleep: Sleep) -> None:
        async def story(broker: Broker) -> None:
            await broker.publish(names.submit, "a", b"one")
            got = Collected(sleep)
            broker.consume(names.queue("a"), 1, got)
            await got.until(1)
            got.deliveries[0].nack()
            await got.until(2)
            assert got.bodies == [b"one", b"one"]
            assert [delivery.redelivered for delivery in got.deliveries] == [False, True]
            got.deliveries[1].ack()
            await sleep(0.1)
            assert len(got.deliveries) == 2
            assert await broker.depth(names.queue("a")) == 0

        tell(story)

    def test_settling_twice_says_nothing_more(self, tell: Any, names: Names, sleep: Sleep) -> None:
        async def story(broker: Broker) -> None:
            await gatherResults([broker.publish(names.submit, "a", body) for body in (b"1", b"2")])
            got = Collected(sleep)
            consumer = broker.consume(names.queue("a"), 1, got)
            await got.until(1)
            got.deliveries[0].ack()
            got.deliveries[0].nack()
            got.deliveries[0].ack()
            await got.until(2)
            await sleep(0.1)
            assert got.bodies == [b"1", b"2"]
            assert consumer.unsettled == 1

        tell(story)

    def test_a_delivery_whose_consumer_raises_is_not_lost(
        self, tell: Any, names: Names, sleep: Sleep
    ) -> None:
        async def story(broker: Broker) -> None:
            got = Collected(sleep)

            def raise_once(delivery: Delivery) -> None:
                got(delivery)
                if len(got.deliveries) == 1:
                    raise ZeroDivisionError("a defect in the consumer")

            await gatherResults([broker.publish(names.submit, "a", body) for body in (b"1", b"2")])
            broker.consume(names.queue("a"), 1, raise_once)
            await got.until(2)
            got.deliveries[1].ack()
            await got.until(3)
            got.deliveries[2].ack()
            assert sorted(got.bodies[1:]) == [b"1", b"2"]

        tell(story)

    # Cancel and release

    def test_after_cancel_nothing_comes_and_what_is_out_can_be_settled(
        self, tell: Any, names: Names, sleep: Sleep
    ) -> None:
        async def story(broker: Broker) -> None:
            await gatherResults([broker.publish(names.submit, "a", b"%d" % n) for n in range(6)])
            got = Collected(sleep)
            consumer = broker.consume(names.queue("a"), 2, got)
            await got.until(2)
            cancelled = consumer.cancel()
            got.deliveries[0].ack()
            await cancelled
            await consumer.cancel()
            await sleep(0.1)
            assert len(got.deliveries) == 2
            assert consumer.unsettled == 1
            assert not got.deliveries[1].stale
            got.deliveries[1].ack()
            others = Collected(sleep, settle=True)
            broker.consume(names.queue("a"), 10, others)
            await others.until(4)
            await sleep(0.1)
            assert others.bodies == [b"2", b"3", b"4", b"5"]
            assert not any(delivery.redelivered for delivery in others.deliveries[2:])

        tell(story)

    def test_release_gives_back_what_is_unsettled(self, tell: Any, names: Names, sleep: Sleep) -> None:
        async def story(broker: Broker) -> None:
            await gatherResults([broker.publish(names.submit, "a", b"%d" % n) for n in range(3)])
            got = Collected(sleep)
            consumer = broker.consume(names.queue("a"), 3, got)
            await got.until(3)
            got.deliveries[0].ack()
            await consumer.cancel()
            consumer.release()
            assert consumer.unsettled == 0
            assert got.deliveries[1].stale
            others = Collected(sleep)
            broker.consume(names.queue("a"), 10, others)
            await others.until(2)
            got.deliveries[1].ack()  # stale: it must not settle the new delivery
            await sleep(0.1)
            assert sorted(others.bodies) == [b"1", b"2"]
            assert all(delivery.redelivered for delivery in others.deliveries)
            for delivery in others.deliveries:
                delivery.ack()

        tell(story)

    def test_cancel_while_messages_are_on_their_way_loses_none(
        self, tell: Any, names: Names, sleep: Sleep
    ) -> None:
        async def story(broker: Broker) -> None:
            await gatherResults([broker.publish(names.submit, "a", b"%d" % n) for n in range(200)])
            seen: set[bytes] = set()
            for width in (50, 1, 20, 3):
                got = Collected(sleep, settle=True)
                consumer = broker.consume(names.queue("a"), width, got)
                await until(sleep, lambda got=got: got.deliveries or len(seen) == 200)
                await consumer.cancel()
                consumer.release()
                number = len(got.deliveries)
                await sleep(0.05)
                assert len(got.deliveries) == number
                seen.update(got.bodies)
            rest = Collected(sleep, settle=True)
            broker.consume(names.queue("a"), 50, rest)
            await until(sleep, lambda: len(seen | set(rest.bodies)) == 200)

        tell(story)

    # Order

    def test_within_a_priority_the_oldest_is_first(self, tell: Any, names: Names, sleep: Sleep) -> None:
        async def story(broker: Broker) -> None:
            await gatherResults(
                [
                    broker.publish(names.submit, "a", b"%d/%d" % (n % 4, n), Properties(priority=n % 4))
                    for n in range(40)
                ]
            )
            got = Collected(sleep, settle=True)
            broker.consume(names.queue("a"), 1, got)
            await got.until(40)
            expected = [b"%d/%d" % (p, n) for p in (3, 2, 1, 0) for n in range(40) if n % 4 == p]
            assert got.bodies == expected

        tell(story)

    def test_an_urgent_message_overtakes_those_that_wait(self, tell: Any, names: Names, sleep: Sleep) -> None:
        async def story(broker: Broker) -> None:
            await gatherResults(
                [broker.publish(names.submit, "a", b"bulk", Properties(priority=0)) for _ in range(100)]
            )
            got = Collected(sleep)
            broker.consume(names.queue("a"), 1, got)
            await got.until(1)
            await broker.publish(names.submit, "a", b"urgent", Properties(priority=3))
            await broker.publish(names.submit, "a", b"beyond", Properties(priority=9))
            await sleep(0.1)
            for n in range(3):
                got.deliveries[n].ack()
                await got.until(n + 2)
            assert got.bodies == [b"bulk", b"urgent", b"beyond", b"bulk"]

        tell(story)

    # Routing

    def test_queues_are_reached_by_their_keys(self, tell: Any, names: Names) -> None:
        async def story(broker: Broker) -> None:
            await broker.publish(names.submit, "a", b"1")
            await broker.publish(names.submit, "route", b"2")
            await broker.publish(names.submit, "route", b"3")
            depths = [await broker.depth(q) for q in (names.queue("a"), names.queue("b"), names.route)]
            assert depths == [1, 0, 2]

        tell(story)

    def test_events_reach_the_queue_that_is_bound_to_all(self, tell: Any, names: Names, sleep: Sleep) -> None:
        async def story(broker: Broker) -> None:
            for key in ("accepted.acme", "delivered.acme.x", "", "one.两"):
                await broker.publish(names.events, key, key.encode())
            got = Collected(sleep, settle=True)
            broker.consume(names.events, 10, got)
            await got.until(4)
            assert got.bodies == [b"accepted.acme", b"delivered.acme.x", b"", "one.两".encode()]

        tell(story)

    def test_the_default_exchange_leads_to_a_queue_by_its_name(
        self, tell: Any, names: Names, sleep: Sleep
    ) -> None:
        """This is how an answer gets to `reply_to`."""

        async def story(broker: Broker) -> None:
            got = Collected(sleep, settle=True)
            broker.consume(names.queue("b"), 1, got)
            await broker.publish("", names.queue("b"), b"an answer", mandatory=True)
            await got.until(1)
            assert got.bodies == [b"an answer"]

        tell(story)

    def test_a_mandatory_publish_that_reaches_no_queue_fails(self, tell: Any, names: Names) -> None:
        async def story(broker: Broker) -> None:
            await broker.publish(names.submit, "nobody", b"dropped, as asked")
            await broker.publish("", f"{names.prefix}.nobody", b"dropped, as asked")
            for exchange, key in ((names.submit, "nobody"), ("", f"{names.prefix}.nobody")):
                with pytest.raises(Unroutable):
                    await broker.publish(exchange, key, b"{}", mandatory=True)
            await broker.publish(names.submit, "a", b"and it goes on", mandatory=True)

        tell(story)

    def test_the_good_among_the_bad_are_stored(self, tell: Any, names: Names) -> None:
        async def story(broker: Broker) -> None:
            outcomes: list[str] = []
            publishes = []
            for key in ("a", "nobody", "a", "nobody", "a"):
                publish = broker.publish(names.submit, key, b"{}", mandatory=True)
                publish.addCallbacks(
                    lambda _: outcomes.append("stored"),
                    lambda failure: outcomes.append(failure.check(Unroutable).__name__),
                )
                publishes.append(publish)
            await gatherResults(publishes)
            assert sorted(outcomes) == ["Unroutable", "Unroutable", "stored", "stored", "stored"]
            assert await broker.depth(names.queue("a")) == 3

        tell(story)

    # Limits

    def test_a_full_queue_refuses(self, tell: Any, names: Names, sleep: Sleep) -> None:
        async def story(broker: Broker) -> None:
            for _ in range(3):
                await broker.publish(names.submit, "a", b"in")
            with pytest.raises(QueueFull):
                await broker.publish(names.submit, "a", b"over")
            await broker.publish(names.submit, "b", b"another queue")
            assert await broker.depth(names.queue("a")) == 3
            got = Collected(sleep, settle=True)
            consumer = broker.consume(names.queue("a"), 5, got)
            await got.until(3)
            await consumer.cancel()
            await until(sleep, lambda: consumer.unsettled == 0)
            await sleep(0.1)
            await broker.publish(names.submit, "a", b"room again")
            assert got.bodies == [b"in"] * 3

        tell(story, max_length={"a": 3})

    def test_expired_messages_are_not_delivered(self, tell: Any, names: Names, sleep: Sleep) -> None:
        async def story(broker: Broker) -> None:
            await broker.publish(names.submit, "a", b"short", Properties(expiration="100"))
            await broker.publish(names.submit, "a", b"long", Properties(expiration="60000"))
            await sleep(0.4)
            got = Collected(sleep)
            broker.consume(names.queue("a"), 10, got)
            await got.until(1)
            await sleep(0.1)
            assert got.bodies == [b"long"]
            assert got.deliveries[0].properties.expiration == "60000"
            got.deliveries[0].ack()
            dead = Collected(sleep, settle=True)
            broker.consume(names.dead, 10, dead)
            await dead.until(1)
            assert dead.bodies == [b"short"]
            assert dead.deliveries[0].properties.headers["x-first-death-reason"] == "expired"
            assert dead.deliveries[0].properties.headers["x-first-death-queue"] == names.queue("a")

        tell(story)

    def test_a_message_does_not_expire_while_it_is_out(self, tell: Any, names: Names, sleep: Sleep) -> None:
        async def story(broker: Broker) -> None:
            got = Collected(sleep)
            broker.consume(names.queue("a"), 1, got)
            await broker.publish(names.submit, "a", b"in hand", Properties(expiration="150"))
            await got.until(1)
            await sleep(0.4)
            assert await broker.depth(names.dead) == 0
            got.deliveries[0].ack()
            await sleep(0.1)
            assert await broker.depth(names.queue("a")) == 0
            assert await broker.depth(names.dead) == 0

        tell(story)

    # Dead letters and retries

    def test_dead_letters_keep_the_reason(self, tell: Any, names: Names, sleep: Sleep) -> None:
        async def story(broker: Broker) -> None:
            headers = {"x-smsgw-reason": "smpp.tlvs: expected an object", "x-other": 1}
            await broker.publish(names.dead, names.key("a"), b"not JSON", Properties(headers=headers))
            got = Collected(sleep, settle=True)
            broker.consume(names.dead, 1, got)
            (delivery,) = await got.until(1)
            assert delivery.body == b"not JSON"
            assert headers.items() <= delivery.properties.headers.items()

        tell(story)

    def test_a_retry_comes_back_to_its_queue_after_the_delay(
        self, tell: Any, names: Names, sleep: Sleep, reactor_thread: Any
    ) -> None:
        async def story(broker: Broker) -> None:
            properties = Properties(
                headers={"x-attempt": 3, "x-é": ["ü"]}, message_id="m-9", priority=2, correlation_id="c"
            )
            got = Collected(sleep, settle=True)
            broker.consume(names.queue("b"), 5, got)
            began = reactor_thread.seconds()
            await broker.publish(names.retry(0.5), names.key(names.queue("b")), b"again", properties)
            (delivery,) = await got.until(1)
            assert 0.45 <= reactor_thread.seconds() - began <= 1.5
            assert delivery.body == b"again"
            assert delivery.queue == names.queue("b")
            assert properties.headers.items() <= delivery.properties.headers.items()
            kept = msgspec.structs.replace(delivery.properties, headers=properties.headers)
            assert kept == properties
            assert await broker.depth(names.retry(0.5)) == 0

        tell(story, retry_steps=(0.5, 60))

    def test_a_waiting_retry_is_counted_in_its_delay_queue(self, tell: Any, names: Names) -> None:
        async def story(broker: Broker) -> None:
            for _ in range(3):
                await broker.publish(names.retry(60), names.key(names.queue("a")), b"{}")
            assert await broker.depth(names.retry(60)) == 3
            assert await broker.depth(names.queue("a")) == 0

        tell(story, retry_steps=(60,))

    # Looking

    def test_depth_counts_what_waits_and_not_what_is_out(self, tell: Any, names: Names, sleep: Sleep) -> None:
        async def story(broker: Broker) -> None:
            assert await broker.depth(names.queue("a")) == 0
            await gatherResults([broker.publish(names.submit, "a", b"%d" % n) for n in range(10)])
            got = Collected(sleep)
            broker.consume(names.queue("a"), 4, got)
            await got.until(4)
            assert await broker.depth(names.queue("a")) == 6
            with pytest.raises(BrokerError):
                await broker.depth(f"{names.prefix}.nothing")
            assert await broker.depth(names.queue("a")) == 6

        tell(story)

    def test_a_watcher_hears_and_takes_nothing(self, tell: Any, names: Names, sleep: Sleep) -> None:
        async def story(broker: Broker) -> None:
            heard: list[tuple[str, bytes]] = []
            everything: list[bytes] = []
            await broker.publish(names.events, "accepted.acme", b"before")
            await broker.watch(names.events, "delivered.*", lambda key, body: heard.append((key, body)))
            await broker.watch(names.events, "#", lambda _, body: everything.append(body))
            await broker.publish(names.events, "delivered.acme", "né".encode())
            await broker.publish(names.events, "delivered.acme.more", b"no")
            await broker.publish(names.inbound, "delivered.acme", b"another exchange")
            await broker.publish(names.events, "delivered.other", b"2")
            await until(sleep, lambda: len(everything) == 3)
            assert heard == [("delivered.acme", "né".encode()), ("delivered.other", b"2")]
            assert await broker.depth(names.events) == 4

        tell(story)

    # Starting, stopping, and being down

    def test_states(self, in_reactor: Any, make_broker: MakeBroker, names: Names) -> None:
        async def story() -> None:
            broker = make_broker(topology(["a"], names=names))
            assert broker.state.name == "down"
            with pytest.raises(Unavailable):
                await broker.publish(names.submit, "a", b"{}")
            ready = broker.ready()
            broker.start()
            await ready
            assert broker.state.name == "up"
            assert broker.state.error is None
            since = broker.state.since
            await broker.ready()
            assert broker.state.since == since
            await broker.stop()
            assert broker.state.name == "stopped"
            for refused in (broker.ready(), broker.publish(names.submit, "a", b"{}")):
                with pytest.raises(Unavailable):
                    await refused
            await broker.stop()

        in_reactor(story)

    def test_ready_fails_when_stopped_before(
        self, in_reactor: Any, make_broker: MakeBroker, names: Names
    ) -> None:
        async def story() -> None:
            broker = make_broker(topology(["a"], names=names))
            ready = broker.ready()
            await broker.stop()
            with pytest.raises(Unavailable):
                await ready

        in_reactor(story)

    def test_a_consumer_made_early_waits_for_the_broker(
        self, in_reactor: Any, make_broker: MakeBroker, names: Names, sleep: Sleep
    ) -> None:
        async def story() -> None:
            broker = make_broker(topology(["a"], names=names))
            got = Collected(sleep, settle=True)
            broker.consume(names.queue("a"), 5, got)
            broker.start()
            await broker.ready()
            await broker.publish(names.submit, "a", b"hello")
            await got.until(1)
            await broker.stop()

        in_reactor(story)

    def test_what_is_stored_outlives_the_broker_object(
        self, in_reactor: Any, make_broker: MakeBroker, names: Names, sleep: Sleep
    ) -> None:
        async def story() -> None:
            wanted = topology(["a"], names=names)
            first = make_broker(wanted)
            first.start()
            await first.ready()
            properties = Properties(priority=1, headers={"n": 1})
            await gatherResults([first.publish(names.submit, "a", b"%d" % n, properties) for n in range(20)])
            got = Collected(sleep)
            first.consume(names.queue("a"), 4, got)
            await got.until(4)
            got.deliveries[0].ack()
            got.deliveries[1].ack()
            await first.stop()
            assert got.deliveries[2].stale
            assert got.deliveries[3].stale
            got.deliveries[2].ack()

            second = make_broker(wanted)
            second.start()
            await second.ready()
            again = Collected(sleep, settle=True)
            second.consume(names.queue("a"), 50, again)
            await again.until(18)
            await sleep(0.1)
            assert again.bodies == [b"%d" % n for n in range(2, 20)]
            assert [delivery.redelivered for delivery in again.deliveries[:2]] == [True, True]
            assert not any(delivery.redelivered for delivery in again.deliveries[2:])
            assert again.deliveries[5].properties == properties
            await second.stop()

        in_reactor(story)

    def test_a_retry_comes_back_to_a_queue_that_is_configured_no_longer(
        self, in_reactor: Any, make_broker: MakeBroker, names: Names, sleep: Sleep
    ) -> None:
        async def story() -> None:
            first = make_broker(topology(["a", "b"], names=names, retry_steps=(1,)))
            first.start()
            await first.ready()
            await first.publish(names.retry(1), "b", b"{}")
            await first.stop()
            second = make_broker(topology(["a"], names=names, retry_steps=(1,)))
            second.start()
            await second.ready()
            for _ in range(500):
                if await second.depth(names.queue("b")):
                    break
                await sleep(0.02)
            assert await second.depth(names.queue("b")) == 1
            await second.stop()

        in_reactor(story)

    def test_a_retry_comes_back_from_a_step_that_is_configured_no_longer(
        self, in_reactor: Any, make_broker: MakeBroker, names: Names, sleep: Sleep
    ) -> None:
        async def story() -> None:
            first = make_broker(topology(["a", "b"], names=names, retry_steps=(1,)))
            first.start()
            await first.ready()
            await first.publish(names.retry(1), "a", b"{}")
            await first.publish(names.retry(1), "b", b"{}")
            await first.stop()
            second = make_broker(topology(["a"], names=names, retry_steps=(2,)))
            second.start()
            await second.ready()
            for queue in ("a", "b"):
                for _ in range(500):
                    if await second.depth(names.queue(queue)):
                        break
                    await sleep(0.02)
                assert await second.depth(names.queue(queue)) == 1
            await second.stop()

        in_reactor(story)

    def test_a_publish_before_stop_is_confirmed(
        self, in_reactor: Any, make_broker: MakeBroker, names: Names
    ) -> None:
        async def story() -> None:
            wanted = topology(["a"], names=names)
            first = make_broker(wanted)
            first.start()
            await first.ready()
            confirmed: list[None] = []
            for n in range(30):
                first.publish(names.submit, "a", b"%d" % n).addCallback(confirmed.append)
            await first.stop()
            assert len(confirmed) == 30
            second = make_broker(wanted)
            second.start()
            await second.ready()
            assert await second.depth(names.queue("a")) == 30
            await second.stop()

        in_reactor(story)

    def test_declaring_the_same_again_is_harmless(
        self, in_reactor: Any, make_broker: MakeBroker, names: Names
    ) -> None:
        async def story() -> None:
            brokers = [make_broker(topology(["a"], names=names, max_length={"a": 5})) for _ in range(2)]
            for broker in brokers:
                broker.start()
                await broker.ready()
            await brokers[0].publish(names.submit, "a", b"{}")
            assert await brokers[1].depth(names.queue("a")) == 1
            for broker in brokers:
                await broker.stop()

        in_reactor(story)

    def test_other_arguments_are_an_error_that_names_the_queue(
        self, in_reactor: Any, make_broker: MakeBroker, names: Names
    ) -> None:
        async def story() -> None:
            first = make_broker(topology(["a"], names=names, max_length={"a": 5}))
            first.start()
            await first.ready()
            second = make_broker(topology(["a"], names=names, max_length={"a": 7}))
            second.start()
            with pytest.raises(TopologyError) as raised:
                await second.ready()
            assert names.queue("a") in str(raised.value)
            assert "5" in str(raised.value)
            assert "7" in str(raised.value)
            assert second.state.name == "down"
            assert names.queue("a") in (second.state.error or "")
            await first.publish(names.submit, "a", b"the first is unharmed")
            await second.stop()
            await first.stop()

        in_reactor(story)

    # Declaring more

    def test_what_is_declared_later_works_at_once_and_what_was_there_stays(
        self, tell: Any, names: Names, sleep: Sleep
    ) -> None:
        async def story(broker: Broker) -> None:
            await broker.publish(names.submit, "a", b"1")
            await broker.declare(topology(["c"], names=names, retry_steps=(0.2,)))
            got = Collected(sleep, settle=True)
            broker.consume(names.queue("c"), 5, got)
            await broker.publish(names.submit, "c", b"2", mandatory=True)
            await got.until(1)
            await broker.publish(names.retry(0.2), "c", b"3")
            await broker.publish(names.retry(0.2), "a", b"4")
            await got.until(2)
            assert got.bodies == [b"2", b"3"]
            while await broker.depth(names.queue("a")) < 2:
                await sleep(0.01)
            await broker.publish(names.retry(10), "a", b"an earlier step is still there")

        tell(story)

    def test_declaring_what_is_there_touches_no_consumer(self, tell: Any, names: Names, sleep: Sleep) -> None:
        async def story(broker: Broker) -> None:
            got = Collected(sleep)
            broker.consume(names.queue("a"), 2, got)
            await broker.publish(names.submit, "a", b"1")
            await got.until(1)
            await broker.declare(topology(["a", "c"], names=names))
            await broker.publish(names.submit, "a", b"2")
            await got.until(2)
            assert got.bodies == [b"1", b"2"]
            assert [each.stale for each in got.deliveries] == [False, False]

        tell(story)

    def test_what_can_not_be_declared_changes_nothing(self, tell: Any, names: Names, sleep: Sleep) -> None:
        async def story(broker: Broker) -> None:
            got = Collected(sleep, settle=True)
            broker.consume(names.queue("a"), 2, got)
            with pytest.raises(TopologyError) as raised:
                await broker.declare(topology(["c", "a"], names=names, max_length={"a": 7}))
            assert names.queue("a") in str(raised.value)
            assert broker.state.name == "up"
            await broker.publish(names.submit, "a", b"1")
            await got.until(1)
            await broker.declare(topology(["c", "a"], names=names))
            await broker.publish(names.submit, "c", b"2", mandatory=True)

        tell(story)

    def test_declaring_needs_a_broker_that_is_up(
        self, in_reactor: Any, make_broker: MakeBroker, names: Names
    ) -> None:
        async def story() -> None:
            broker = make_broker(topology(["a"], names=names))
            with pytest.raises(Unavailable):
                await broker.declare(topology(["b"], names=names))
            broker.start()
            await broker.ready()
            with pytest.raises(Unroutable):
                await broker.publish(names.submit, "b", b"", mandatory=True)
            await broker.stop()
            with pytest.raises(Unavailable):
                await broker.declare(topology(["b"], names=names))

        in_reactor(story)

    # The whole

    def test_a_run_with_failures_of_every_kind_loses_nothing(
        self, tell: Any, names: Names, sleep: Sleep
    ) -> None:
        async def story(broker: Broker) -> None:
            done: list[int] = []
            most: list[int] = []
            consumers: list[Any] = []

            def carry(delivery: Delivery) -> None:
                most.extend(consumer.unsettled for consumer in consumers)
                number = json.loads(delivery.body)["n"]
                if number % 3 == 0 and not delivery.redelivered:
                    delivery.nack()
                elif number % 7 == 0 and not delivery.properties.headers.get("retried"):
                    again = Properties(headers={"retried": True})
                    retry = broker.publish(names.retry(0.2), names.key(delivery.queue), delivery.body, again)
                    retry.addCallback(lambda _: delivery.ack())
                else:
                    done.append(number)
                    delivery.ack()

            consumers.append(broker.consume(names.queue("a"), 10, carry))
            consumers.append(broker.consume(names.queue("a"), 5, carry))
            for start in range(0, 500, 100):
                await gatherResults(
                    [
                        broker.publish(names.submit, "a", json.dumps({"n": n}).encode())
                        for n in range(start, start + 100)
                    ]
                )
            await until(sleep, lambda: len(done) >= 500, within=10)
            await sleep(0.1)
            assert sorted(done) == list(range(500))
            assert 1 < max(most) <= 10

        tell(story, retry_steps=(0.2,))
