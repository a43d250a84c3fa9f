"""AMQP frames, methods and content: whole, octet by octet, with a tail, garbage."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsgw.broker.amqp import content, wire
from smsgw.broker.amqp.consumer import read_properties
from smsgw.broker.amqp.fields import DecodeError, EncodeError
from smsgw.broker.base import Properties, Publish

frames = st.tuples(
    st.sampled_from([wire.FRAME_METHOD, wire.FRAME_HEADER, wire.FRAME_BODY, wire.FRAME_HEARTBEAT]),
    st.integers(0, 65535),
    st.binary(max_size=300),
)
text = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)

METHODS = [method for klass in wire.SPEC.classes for method in klass.methods]
ARGUMENTS: dict[str, st.SearchStrategy[Any]] = {
    "octet": st.integers(0, 255),
    "short": st.integers(0, 65535),
    "long": st.integers(0, 2**32 - 1),
    "longlong": st.integers(0, 2**64 - 1),
    "timestamp": st.integers(0, 2**64 - 1),
    "shortstr": text,
    "longstr": text,
    "table": st.dictionaries(text, st.integers(-(2**63), 2**63 - 1) | text | st.none(), max_size=3),
    "bit": st.booleans(),
}
PROPERTIES = {
    field.name.replace("-", "_"): ARGUMENTS[field.type] for field in wire.SPEC.classes.byname["basic"].fields
}
properties = st.fixed_dictionaries({}, optional=PROPERTIES)


def octets_of(these: list[wire.Frame]) -> bytes:
    return b"".join(wire.frame(*each) for each in these)


@given(st.lists(frames, max_size=5), st.integers(1, 40))
def test_frames_come_out_however_the_stream_is_cut(these: list[wire.Frame], step: int) -> None:
    octets = octets_of(these)
    framer = wire.Framer(wire.FRAME_MIN_SIZE)
    assert [f for at in range(0, len(octets), step) for f in framer.feed(octets[at : at + step])] == these


@given(st.lists(frames, min_size=1, max_size=5))
def test_frames_come_out_at_once_and_octet_by_octet(these: list[wire.Frame]) -> None:
    octets = octets_of(these)
    assert wire.Framer(wire.FRAME_MIN_SIZE).feed(octets) == these
    assert wire.Framer(wire.FRAME_MIN_SIZE).feed(octets[:-1]) == these[:-1]
    single = wire.Framer(wire.FRAME_MIN_SIZE)
    assert [f for octet in octets for f in single.feed(bytes((octet,)))] == these


@pytest.mark.parametrize(
    ("octets", "problem"),
    [
        (b"AMQP\x00\x00\x09\x01", "type 65"),
        (b"\x01\x00\x00\xff\xff\xff\xff\x00", "size 4294967295"),
        (b"\x01\x00\x00\x00\x00\x0f\xf9\x00", "size 4089"),
        (b"\x08\x00\x00\x00\x00\x00\x00\xcd", "0xcd"),
    ],
)
def test_a_stream_out_of_step_is_fatal(octets: bytes, problem: str) -> None:
    with pytest.raises(wire.FrameError, match=problem) as caught:
        wire.Framer(wire.FRAME_MIN_SIZE).feed(octets)
    assert caught.value.fatal


@given(st.binary(max_size=100))
def test_garbage_is_a_frame_error_or_waits(garbage: bytes) -> None:
    with contextlib.suppress(wire.FrameError):
        wire.Framer(wire.FRAME_MIN_SIZE).feed(garbage)


def test_the_specification_has_what_rabbitmq_adds() -> None:
    names = {f"{method.klass.name}.{method.name}" for method in METHODS}
    assert {
        "confirm.select",
        "basic.nack",
        "connection.blocked",
        "exchange.bind",
        "basic.recover-ok",
    } <= names


@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.klass.name}.{method.name}")
@settings(max_examples=20)
@given(data=st.data())
def test_every_method_comes_back_as_it_went(method: Any, data: st.DataObject) -> None:
    args = data.draw(st.tuples(*(ARGUMENTS[field.type] for field in method.fields)))
    payload = wire.encode_method(method, args)
    assert wire.decode_method(payload) == (method, args)
    for size in range(len(payload)):
        with pytest.raises(DecodeError):
            wire.decode_method(payload[:size])


@given(st.sampled_from(METHODS), st.binary(max_size=100))
def test_garbage_in_a_method_is_an_error_of_ours(method: Any, garbage: bytes) -> None:
    head = method.klass.id.to_bytes(2, "big") + method.id.to_bytes(2, "big")
    for octets in (garbage, head + garbage):
        with contextlib.suppress(DecodeError):
            wire.decode_method(octets)


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(DecodeError, match=r"unknown method 60\.999"):
        wire.decode_method(b"\x00\x3c\x03\xe7")


def test_an_argument_that_does_not_fit_is_named() -> None:
    declare = wire.SPEC.classes.byname["queue"].methods.byname["declare"]
    with pytest.raises(EncodeError, match=r"queue\.declare arguments\.x-a: no AMQP field type"):
        wire.encode_method(declare, (0, "q", False, False, False, False, False, {"x-a": object()}))


@given(properties, st.integers(0, 2**63))
def test_properties_come_back_as_they_went(some: dict[str, Any], size: int) -> None:
    header = b"\x00\x3c\x00\x00" + size.to_bytes(8, "big") + content.encode_properties(some)
    assert content.decode_size(header) == size
    assert content.decode_properties(header) == some
    for cut in range(len(header)):
        with pytest.raises(DecodeError):
            content.decode_properties(header[:cut])


@given(st.binary(max_size=100))
def test_garbage_in_properties_is_an_error_of_ours(garbage: bytes) -> None:
    with contextlib.suppress(DecodeError):
        content.decode_properties(bytes(12) + garbage)


@given(properties, st.integers(0, 255), st.integers(0, 400))
def test_a_head_that_is_remembered_reads_as_when_it_was_new(
    some: dict[str, Any], damage: int, place: int
) -> None:
    octets = bytearray(bytes(12) + content.encode_properties(some))
    assert _read(bytes(octets)) == some
    octets[12 + place % (len(octets) - 12)] = damage
    found = _read(bytes(octets))
    assert _read(bytes(octets)) == found
    content._heads.clear()
    assert _read(bytes(octets)) == found


def _read(header: bytes) -> Any:
    try:
        return content.decode_properties(header)
    except DecodeError as error:
        return str(error)


def test_heads_are_remembered_to_a_bound_and_only_short_ones() -> None:
    content._heads.clear()
    for number in range(content.REMEMBERED + 1):
        header = bytes(12) + content.encode_properties({"content_type": str(number), "message_id": "m"})
        assert content.decode_properties(header) == {"content_type": str(number), "message_id": "m"}
    assert 0 < len(content._heads) <= content.REMEMBERED
    content._heads.clear()
    long = {"headers": {"x": "y" * content.LONGEST_HEAD}}
    assert content.decode_properties(bytes(12) + content.encode_properties(long)) == long
    assert not content._heads


@pytest.mark.parametrize(
    ("octets", "problem"),
    [
        (b"\x20\x00\xff\xff\xff\xff", "a table goes past the end at octet 14"),
        (b"\xa0\x00\x01t\x00\x00\x00\x03\x01k?\x02", "unknown field type b'?' at octet 22"),
        (b"\x80\x80\x01t\x05id", "a content header is cut short at octet 19"),
        (b"\x98\x00\x01t\x02", "a content header is cut short at octet 17"),
        (b"\x80\x01\x01", "a content header is cut short at octet 15"),
    ],
)
def test_what_is_wrong_in_a_header_has_its_place(octets: bytes, problem: str) -> None:
    for _ in range(2):
        with pytest.raises(DecodeError) as caught:
            content.decode_properties(bytes(12) + octets)
        assert str(caught.value) == problem


def test_more_flags_than_we_know_are_passed_over() -> None:
    header = bytes(12) + b"\x00\x81\x80\x00" + b"\x02id"
    assert content.decode_properties(header) == {"message_id": "id"}


@pytest.mark.parametrize(
    ("some", "problem"),
    [
        ({"message_id": "å" * 128}, "^message_id: .*256 octets"),
        ({"headers": {"x": [1, object()]}}, r"^headers\.x\[1\]: "),
        ({"priority": 256}, "^priority: "),
        ({"timestamp": -1}, "^timestamp: "),
        ({"correlation_id": 7}, "^correlation_id: "),
    ],
)
def test_a_property_that_does_not_fit_is_named(some: dict[str, Any], problem: str) -> None:
    with pytest.raises(EncodeError, match=problem):
        content.encode_properties(some)


used = st.builds(
    Properties,
    **{name: PROPERTIES[name] | st.none() for name in Properties.__struct_fields__ if name != "headers"},
    headers=PROPERTIES["headers"],
)


@given(used)
def test_a_publish_has_its_properties_as_the_specification_orders_them(some: Properties) -> None:
    octets = content.encode_publish(1, Publish("", "q", b"", some), frame_max=10**6)
    _, (kind, _, header) = wire.Framer(10**6).feed(octets)
    assert kind == wire.FRAME_HEADER
    values = {name: getattr(some, name) for name in some.__struct_fields__}
    assert header[12:] == content.encode_properties({**values, "delivery_mode": content.PERSISTENT})
    assert read_properties(header) == some


@pytest.mark.parametrize(
    ("some", "problem"),
    [
        ({"content_type": "x" * 256}, "^content_type: .*256 octets"),
        ({"headers": {"x": object()}}, r"^headers\.x: "),
        ({"priority": 256}, "^priority: "),
        ({"correlation_id": 7}, "^correlation_id: "),
        ({"correlation_id": "c", "reply_to": "q" * 256}, "^reply_to: .*256 octets"),
        ({"expiration": "\ud800"}, "^expiration: not a text"),
        ({"reply_to": "q", "message_id": "å" * 128, "timestamp": 1}, "^message_id: .*256 octets"),
        ({"message_id": "m", "timestamp": -1}, "^timestamp: "),
    ],
)
def test_a_property_of_a_publish_that_does_not_fit_is_named(some: dict[str, Any], problem: str) -> None:
    publish = Publish("", "q", b"", Properties(**some))
    with pytest.raises(EncodeError, match=problem):
        content.encode_publish(1, publish, frame_max=wire.FRAME_MIN_SIZE)


@given(text, st.integers(0, 2**64 - 1), st.booleans(), text, text)
def test_deliver_is_read_as_the_specification_has_it(
    consumer: str, tag: int, redelivered: bool, exchange: str, key: str
) -> None:
    deliver = wire.SPEC.classes.byname["basic"].methods.byname["deliver"]
    payload = wire.encode_method(deliver, (consumer, tag, redelivered, exchange, key))
    assert payload.startswith(content.DELIVER)
    assert content.decode_deliver(payload) == (consumer, tag, redelivered, key)
    for size in range(4, len(payload)):
        with pytest.raises(DecodeError):
            content.decode_deliver(payload[:size])


@pytest.mark.parametrize("multiple", [True, False])
def test_settling_is_written_as_the_specification_has_it(multiple: bool) -> None:
    basic = wire.SPEC.classes.byname["basic"].methods.byname
    ack = wire.encode_method(basic["ack"], (2**40, multiple))
    assert content.encode_ack(9, 2**40, multiple) == wire.frame(wire.FRAME_METHOD, 9, ack)
    assert content.decode_confirm(ack) == (2**40, multiple)
    nack = wire.encode_method(basic["nack"], (2**40, False, True))
    assert content.encode_nack(9, 2**40) == wire.frame(wire.FRAME_METHOD, 9, nack)
    with pytest.raises(DecodeError):
        content.decode_confirm(ack[:-1])


@pytest.mark.parametrize("size", [0, 1, 4087, 4088, 4089, 8176, 8177, 50_000])
def test_a_body_is_cut_into_frames_by_octets(size: int) -> None:
    body = (b"\xc3\xa5" * size)[:size]
    publish = Publish("exå", "kéy", body, Properties(message_id="m"), mandatory=True)
    octets = content.encode_publish(3, publish, frame_max=wire.FRAME_MIN_SIZE)
    assert all(len(wire.frame(*each)) <= wire.FRAME_MIN_SIZE for each in wire.Framer(10**6).feed(octets))
    (kind, channel, method), (_, _, header), *bodies = wire.Framer(wire.FRAME_MIN_SIZE).feed(octets)
    assert (kind, channel) == (wire.FRAME_METHOD, 3)
    assert wire.decode_method(method)[1] == (0, "exå", "kéy", True, False)
    assert content.decode_size(header) == size
    assert b"".join(payload for _, _, payload in bodies) == body


def test_headers_that_fit_no_frame_are_refused() -> None:
    with pytest.raises(EncodeError, match="headers"):
        publish = Publish("", "q", b"", Properties(headers={"x": "y" * 5000}))
        content.encode_publish(1, publish, frame_max=wire.FRAME_MIN_SIZE)


def test_a_routing_key_that_does_not_fit_is_named() -> None:
    with pytest.raises(EncodeError, match="routing key"):
        content.encode_publish(1, Publish("", "q" * 256, b""), frame_max=wire.FRAME_MIN_SIZE)
