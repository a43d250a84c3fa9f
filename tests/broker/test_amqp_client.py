"""One AMQP connection against a broker's side by hand: what txAMQP gets wrong alone, ours does not."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from amqp_peer import Connected, Heard, Peer
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from txamqp.client import ChannelClosed, Closed, ConnectionClosed

from smsgw.broker.amqp import content, wire
from smsgw.broker.amqp.channel import Channel, reason_text
from smsgw.broker.amqp.client import CHANNEL_MAX, FRAME_MAX, Client
from smsgw.broker.amqp.fields import EncodeError
from smsgw.errors import Misuse


def opened(connected: Connected) -> tuple[Channel, Heard]:
    heard = Heard()
    channel = connected.client.open_channel(heard)
    connected.peer.listen()
    return channel, heard


def failure_of(waiting: Deferred[Any]) -> Exception:
    found: list[Any] = []
    waiting.addBoth(found.append)
    assert found, "it has not ended"
    error: Exception = found[0].value
    return error


def result_of(waiting: Deferred[Any]) -> Any:
    found: list[Any] = []
    waiting.addCallback(found.append)
    assert found, "it has not ended"
    return found[0]


# The handshake


def test_the_login_says_who_we_are_and_what_we_can() -> None:
    connected = Connected(heartbeat=10)
    (said,) = connected.peer.heard("connection.start-ok")
    assert said.args["mechanism"] == "PLAIN"
    assert said.args["response"] == "\0user\0pässword"
    assert said.args["client-properties"]["product"] == "test"
    capabilities = said.args["client-properties"]["capabilities"]
    assert capabilities["consumer_cancel_notify"] is True
    assert capabilities["connection.blocked"] is True
    assert capabilities["authentication_failure_close"] is True
    (tuned,) = connected.peer.heard("connection.tune-ok")
    assert tuned.args == {"channel-max": 2047, "frame-max": 131072, "heartbeat": 10}
    (vhost,) = connected.peer.heard("connection.open")
    assert vhost.args["virtual-host"] == "/å"


def test_a_wrong_password_is_told_at_once() -> None:
    clock, lost = Clock(), []
    client = Client(clock, vhost="/", properties={}, heartbeat=0, lost=lost.append, blocked=lambda _: None)
    peer = Peer(client, clock)
    peer.refusals["connection.start-ok"] = (403, "ACCESS_REFUSED - Login was refused")
    login = client.login("user", "wrong", 10)
    peer.listen()
    error = failure_of(login)
    assert isinstance(error, ConnectionClosed)
    assert reason_text(error) == "403 ACCESS_REFUSED - Login was refused"
    assert lost == ["403 ACCESS_REFUSED - Login was refused"]
    assert clock.seconds() == 0
    assert not clock.getDelayedCalls()


def test_a_vhost_that_is_refused_is_told() -> None:
    clock = Clock()
    client = Client(
        clock, vhost="/no", properties={}, heartbeat=0, lost=lambda _: None, blocked=lambda _: None
    )
    peer = Peer(client, clock)
    peer.refusals["connection.open"] = (530, "NOT_ALLOWED - vhost /no not found")
    login = client.login("user", "password", 10)
    peer.listen()
    assert reason_text(failure_of(login)) == "530 NOT_ALLOWED - vhost /no not found"
    assert [said.name for said in peer.history][-1] == "connection.close-ok"


def test_a_handshake_has_its_time() -> None:
    clock, lost = Clock(), []
    client = Client(clock, vhost="/", properties={}, heartbeat=0, lost=lost.append, blocked=lambda _: None)
    peer = Peer(client, clock, serving=False)
    login = client.login("user", "password", 10)
    peer.listen()
    clock.advance(9.9)
    assert not lost
    clock.advance(0.2)
    assert isinstance(failure_of(login), Closed)
    assert peer.transport.disconnected


@pytest.mark.parametrize("octets", [b"AMQP\x00\x00\x08\x00", b"HTTP/1.1 400 Bad Request\r\n"])
def test_a_peer_that_speaks_something_else_is_dropped(octets: bytes) -> None:
    clock = Clock()
    client = Client(clock, vhost="/", properties={}, heartbeat=0, lost=lambda _: None, blocked=lambda _: None)
    peer = Peer(client, clock, serving=False)
    login = client.login("user", "password", 10)
    client.dataReceived(octets)
    assert "not a frame of AMQP 0-9-1" in reason_text(failure_of(login))
    assert peer.transport.disconnected


def test_only_plain_is_spoken() -> None:
    clock = Clock()
    client = Client(clock, vhost="/", properties={}, heartbeat=0, lost=lambda _: None, blocked=lambda _: None)
    peer = Peer(client, clock, serving=False)
    login = client.login("user", "password", 10)
    peer.start(mechanisms="EXTERNAL AMQPLAIN")
    assert "no PLAIN" in reason_text(failure_of(login))


@pytest.mark.parametrize(
    ("theirs", "settled"),
    [((0, 0), (CHANNEL_MAX, FRAME_MAX)), ((9, 5000), (9, 5000)), ((0xFFFF, 2**31), (CHANNEL_MAX, FRAME_MAX))],
)
def test_the_smaller_limits_win_and_none_is_no_limit(
    theirs: tuple[int, int], settled: tuple[int, int]
) -> None:
    connected = Connected()
    connected.client.tune(*theirs)
    assert (connected.client.channel_max, connected.client.frame_max) == settled


# Content


@pytest.mark.parametrize("step", [1, 3, 4096])
@pytest.mark.parametrize(
    "body",
    [b"", b"ascii", "å 你好".encode(), b"ascii first \xff\xfe then binary", b"\x00" * 5000],
    ids=["empty", "ASCII", "UTF-8", "mixed", "binary"],
)
def test_bodies_are_octets_however_many_frames(body: bytes, step: int) -> None:
    connected = Connected()
    channel, heard = opened(connected)
    connected.peer.deliver(channel.id, 1, body, step=step, consumer="c", key="kéy", redelivered=True)
    ((consumer, tag, redelivered, key, _, found),) = heard.deliveries
    assert (consumer, tag, redelivered, key) == ("c", 1, True, "kéy")
    assert found == body
    assert type(found) is bytes


def test_deliveries_arrive_when_the_stream_comes_octet_by_octet() -> None:
    connected = Connected()
    channel, heard = opened(connected)
    received = connected.client.dataReceived
    octets: list[bytes] = []
    connected.peer.client = type("Tap", (), {"dataReceived": staticmethod(octets.append)})
    connected.peer.deliver(channel.id, 1, b"one")
    connected.peer.deliver(channel.id, 2, "zwölf".encode())
    for octet in b"".join(octets):
        received(bytes((octet,)))
    assert [args[1] for args in heard.deliveries] == [1, 2]
    assert [args[-1] for args in heard.deliveries] == [b"one", "zwölf".encode()]


def test_of_content_that_breaks_off_nothing_gets_into_the_next() -> None:
    connected = Connected()
    channel, heard = opened(connected)
    connected.peer.say(channel.id, "basic.deliver", "c", 1, False, "", "")
    connected.peer.frame(wire.FRAME_HEADER, channel.id, bytes(11) + b"\x05" + bytes(2))
    connected.peer.frame(wire.FRAME_BODY, channel.id, b"half")
    connected.peer.deliver(channel.id, 2, b"whole", step=3)
    connected.peer.deliver(channel.id, 3, b"next")
    assert [(args[1], args[-1]) for args in heard.deliveries] == [(2, b"whole"), (3, b"next")]


def test_a_dead_letter_header_is_read() -> None:
    death = {"count": 2**40, "queue": "q", "reason": "expired", "routing-keys": ["a"], "none": None}
    connected = Connected()
    channel, heard = opened(connected)
    connected.peer.deliver(channel.id, 1, b"", properties={"headers": {"x-death": [death], "neg": -5}})
    header = heard.deliveries[0][4]
    assert content.decode_properties(header) == {"headers": {"x-death": [death], "neg": -5}}
    assert not connected.lost


@pytest.mark.parametrize(
    "frames",
    [
        [(wire.FRAME_HEADER, bytes(14))],
        [(wire.FRAME_BODY, b"x")],
        [(wire.FRAME_METHOD, content.DELIVER), (wire.FRAME_HEADER, bytes(14))],
        [(wire.FRAME_METHOD, b"\x00\x3c\x00\x15\x00")],
        [(wire.FRAME_METHOD, b"\x00\x3c\x00\x0b")],
        [(wire.FRAME_METHOD, b"\x00\x32\x00\x0a" + bytes(9))],
        [(wire.FRAME_METHOD, b"\x7f\x7f\x7f\x7f")],
        [
            (wire.FRAME_METHOD, content.DELIVER + b"\x00" + bytes(11)),
            (wire.FRAME_HEADER, bytes(11) + b"\x01" + bytes(2)),
            (wire.FRAME_BODY, b"too long"),
        ],
    ],
    ids=["header", "body", "short", "unasked", "unasked qos", "not for us", "unknown", "too much"],
)
def test_what_no_broker_may_send_ends_the_connection_with_a_reason(frames: list[tuple[int, bytes]]) -> None:
    connected = Connected()
    channel, heard = opened(connected)
    connected.peer.serving = False
    waiting = channel.queue_purge(queue="q")
    for kind, payload in frames:
        connected.peer.frame(kind, channel.id, payload)
    assert connected.client.closed
    assert connected.peer.transport.disconnected
    assert isinstance(failure_of(waiting), Closed)
    assert heard.deliveries == []
    assert len(heard.closes) == 1


# Calls


def test_a_call_is_answered_with_its_fields() -> None:
    connected = Connected()
    channel, _ = opened(connected)
    declaring = channel.queue_declare(queue="größe", arguments={"x-a": -1, "x-b": None})
    (said,) = connected.peer.listen()
    assert said.args["arguments"] == {"x-a": -1, "x-b": None}
    answer = result_of(declaring)
    assert (answer.queue, answer.message_count) == ("größe", 7)


def test_a_call_that_wants_no_answer_is_done_at_once() -> None:
    connected = Connected()
    channel, _ = opened(connected)
    assert result_of(channel.queue_declare(queue="q", nowait=True)) is None
    assert result_of(channel.basic_ack(delivery_tag=1)) is None
    assert len(connected.peer.listen()) == 2


def test_recover_is_answered() -> None:
    connected = Connected()
    channel, heard = opened(connected)
    recovering = channel.basic_recover(requeue=True)
    connected.peer.listen()
    assert result_of(recovering).method.name == "recover-ok"
    assert not heard.closes


def test_a_cancelled_call_does_not_hand_its_answer_to_the_next() -> None:
    connected = Connected()
    channel, _ = opened(connected)
    connected.peer.serving = False
    first, second = channel.queue_declare(queue="1"), channel.queue_declare(queue="2")
    first.cancel()
    assert isinstance(failure_of(first), CancelledError)
    connected.peer.say(channel.id, "queue.declare-ok", "1", 1, 0)
    connected.peer.say(channel.id, "queue.declare-ok", "2", 2, 0)
    assert result_of(second).message_count == 2


def test_answers_of_other_calls_may_overtake() -> None:
    """RabbitMQ answers basic.consume from the queue and basic.qos from the channel."""
    connected = Connected()
    channel, _ = opened(connected)
    connected.peer.serving = False
    consuming, limiting = channel.basic_consume(queue="q", consumer_tag="c"), channel.basic_qos()
    connected.peer.say(channel.id, "basic.qos-ok")
    connected.peer.say(channel.id, "basic.consume-ok", "c")
    assert result_of(limiting).method.name == "qos-ok"
    assert result_of(consuming).consumer_tag == "c"


def test_an_argument_that_cannot_be_written_fails_its_call_alone() -> None:
    connected = Connected()
    channel, _ = opened(connected)
    assert isinstance(failure_of(channel.queue_declare(queue="q" * 256)), EncodeError)
    assert isinstance(failure_of(channel.queue_declare(queue="q", arguments={"x": object()})), EncodeError)
    assert connected.peer.listen() == []
    declaring = channel.queue_declare(queue="q")
    connected.peer.listen()
    assert result_of(declaring).queue == "q"


# Channels


def test_a_channel_error_ends_all_that_waits_and_frees_the_number() -> None:
    connected = Connected()
    channel, heard = opened(connected)
    other, other_heard = opened(connected)
    connected.peer.serving = False
    waiting = [channel.queue_declare(queue="q"), channel.basic_consume(queue="q")]
    connected.peer.say(channel.id, "channel.close", 404, "NOT_FOUND - no queue", 50, 10)
    errors = [failure_of(each) for each in waiting]
    assert [type(error) for error in errors] == [ChannelClosed, ChannelClosed]
    assert heard.closes == [(404, "404 NOT_FOUND - no queue")]
    assert connected.peer.heard("channel.close-ok")
    assert isinstance(failure_of(channel.queue_declare(queue="q")), ChannelClosed)
    assert (other.closed, other_heard.closes) == (False, [])
    connected.peer.serving = True
    again, _ = opened(connected)
    assert again.id == channel.id
    declaring = again.queue_declare(queue="q")
    connected.peer.listen()
    assert result_of(declaring).queue == "q"


def test_leaving_a_channel_is_quiet_and_frees_its_number() -> None:
    connected = Connected()
    channel, heard = opened(connected)
    leaving = channel.leave()
    connected.peer.deliver(channel.id, 1, b"late")
    assert not leaving.called
    connected.peer.listen()
    assert leaving.called
    assert (heard.deliveries, heard.closes) == ([], [])
    assert opened(connected)[0].id == channel.id
    assert channel.leave().called


def test_both_sides_may_close_a_channel_at_once() -> None:
    connected = Connected()
    channel, heard = opened(connected)
    connected.peer.serving = False
    leaving = channel.leave()
    connected.peer.say(channel.id, "channel.close", 406, "PRECONDITION_FAILED", 0, 0)
    assert not leaving.called
    assert connected.client.open_channel(Heard()).id != channel.id
    connected.peer.say(channel.id, "channel.close-ok")
    assert leaving.called
    assert heard.closes == []
    assert connected.peer.heard("channel.close-ok")


def test_channels_run_out_with_an_error_of_ours() -> None:
    connected = Connected()
    connected.client.tune(2, 0)
    opened(connected)
    opened(connected)
    with pytest.raises(Misuse):
        connected.client.open_channel(Heard())


def test_the_broker_says_things_unasked() -> None:
    connected = Connected()
    channel, heard = opened(connected)
    connected.peer.say(channel.id, "basic.ack", 3, True)
    connected.peer.say(channel.id, "basic.nack", 4, False, False)
    connected.peer.say(channel.id, "basic.cancel", "ctag-é", True)
    connected.peer.say(channel.id, "basic.return", 312, "NO_ROUTE", "exchange", "key")
    connected.peer.content(channel.id, b"body")
    connected.peer.say(channel.id, "channel.flow", False)
    assert heard.confirms == [(3, True, True), (4, False, False)]
    assert heard.cancels == ["ctag-é"]
    assert heard.returns[0][:3] == ("312 NO_ROUTE", "exchange", "key")
    assert heard.returns[0][-1] == b"body"
    assert connected.peer.listen()[-1].args == {"active": False}
    connected.peer.say(0, "connection.blocked", "low on memory")
    connected.peer.say(0, "connection.unblocked")
    assert connected.blocked == ["low on memory", None]


# Writing


def test_one_turn_of_the_reactor_is_one_write() -> None:
    connected = Connected()
    channel, _ = opened(connected)
    writes: list[bytes] = []
    connected.peer.transport.write = writes.append
    channel.basic_qos(prefetch_count=1)
    connected.client.before_flush(lambda: connected.client.send(content.encode_ack(channel.id, 1, False)))
    channel.basic_consume(queue="q")
    assert writes == []
    connected.clock.advance(0)
    assert len(writes) == 1
    names = [wire.decode_method(payload)[0].name for _, _, payload in wire.Framer(9999).feed(writes[0])]
    assert names == ["qos", "consume", "ack"]
    connected.clock.advance(0)
    assert len(writes) == 1


# Heartbeats


def test_a_silent_broker_is_dead_after_two_intervals() -> None:
    connected = Connected(heartbeat=10)
    channel, heard = opened(connected)
    waiting = channel.basic_qos()
    connected.peer.serving = False
    connected.clock.pump([5] * 4)
    assert not connected.lost
    connected.clock.advance(5)
    assert connected.client.closed
    assert connected.peer.transport.disconnected
    assert "silent" in reason_text(failure_of(waiting))
    assert heard.closes[0][0] == 0


def test_any_octet_is_a_sign_of_life() -> None:
    connected = Connected(heartbeat=10)
    for _ in range(20):
        connected.clock.advance(5)
        connected.client.dataReceived(wire.HEARTBEAT)
    assert not connected.client.closed


def test_heartbeats_are_sent_only_when_nothing_else_was_and_by_one_timer() -> None:
    connected = Connected(heartbeat=10)
    channel, _ = opened(connected)
    connected.clock.advance(5)
    connected.peer.listen()
    for n in range(1, 1000):
        connected.client.send(content.encode_ack(channel.id, n, False))
        connected.client.dataReceived(wire.HEARTBEAT)
    assert len(connected.clock.getDelayedCalls()) == 2  # the heartbeat and the flush
    connected.clock.advance(5)
    assert len(connected.peer.heard("heartbeat")) <= 1
    before = len(connected.peer.heard("heartbeat"))
    connected.clock.advance(5)
    assert len(connected.peer.heard("heartbeat")) == before + 1


def test_without_heartbeats_there_is_no_timer() -> None:
    connected = Connected(heartbeat=0)
    assert connected.clock.getDelayedCalls() == []


# The end


def test_leaving_says_what_was_settled_first() -> None:
    connected = Connected(heartbeat=10)
    channel, heard = opened(connected)
    connected.client.before_flush(lambda: connected.client.send(content.encode_ack(channel.id, 1, False)))
    connected.client.leave(within=2)
    said = [said.name for said in connected.peer.listen()]
    assert said == ["basic.ack", "connection.close"]
    assert connected.lost == ["closed by us"]
    assert heard.closes == [(0, "closed by us")]
    assert connected.clock.getDelayedCalls() == []


def test_leaving_is_bounded() -> None:
    connected = Connected()
    connected.peer.serving = False
    connected.client.leave(within=2)
    connected.clock.advance(1.9)
    assert not connected.peer.transport.disconnected
    connected.clock.advance(0.2)
    assert connected.peer.transport.disconnected


def test_the_brokers_close_is_answered_and_told() -> None:
    connected = Connected()
    channel, heard = opened(connected)
    waiting = channel.basic_qos()
    connected.peer.say(0, "connection.close", 320, "CONNECTION_FORCED - shutdown", 0, 0)
    assert connected.lost == ["320 CONNECTION_FORCED - shutdown"]
    assert isinstance(failure_of(waiting), ConnectionClosed)
    assert heard.closes == [(0, "320 CONNECTION_FORCED - shutdown")]
    assert connected.peer.heard("connection.close-ok")


def test_a_lost_connection_ends_everything_once() -> None:
    connected = Connected(heartbeat=10)
    channel, heard = opened(connected)
    waiting = channel.basic_qos()
    connected.peer.drop()
    assert isinstance(failure_of(waiting), Closed)
    assert len(connected.lost) == len(heard.closes) == 1
    assert isinstance(failure_of(channel.basic_qos()), Closed)
    with pytest.raises(Misuse):
        connected.client.open_channel(Heard())
    connected.clock.advance(0)
    assert connected.clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (Closed("why"), "why"),
        (Closed(), "closed"),
        (ValueError("two\nlines"), "two lines"),
        (ValueError(), "ValueError"),
        ("a text", "a text"),
    ],
)
def test_reasons_are_one_line(reason: Any, text: str) -> None:
    assert reason_text(reason) == text


def test_nothing_that_twisted_deprecates_is_used() -> None:
    """In a process of its own, where a warning is an error from the first import on."""
    script = (
        "import amqp_peer, sys; c = amqp_peer.Connected(heartbeat=10); c.client.leave(1); c.peer.listen()"
    )
    command = [sys.executable, "-W", "error::DeprecationWarning", "-c", script]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, capture_output=True, env=environment, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
