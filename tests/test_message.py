"""Messages and events: what is decoded, what is refused and where, and what comes back the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smsgw.errors import Undecodable
from smsgw.message import (
    LATEST,
    MAX_ID,
    META_DEPTH,
    Event,
    EventKind,
    Inbound,
    Message,
    Ports,
    SmppOverrides,
    Submission,
    decode,
    decode_event,
    decode_inbound,
    encode,
    event_id,
    masked,
    timestamp,
)
from smsgw.outcome import Status

NOW = 1_000_000.0

few = settings(max_examples=40, deadline=None)
"""For values that are costly to make."""


def body(**fields: Any) -> bytes:
    return json.dumps({"to": "46700000001", "text": "hi", **fields}).encode()


def refusal(octets: bytes, **properties: Any) -> Undecodable:
    with pytest.raises(Undecodable) as caught:
        decode(octets, now=NOW, **properties)
    return caught.value


# -- whatever comes


@given(st.binary(max_size=200))
def test_whatever_octets_are_a_submission_or_undecodable(octets: bytes) -> None:
    try:
        assert isinstance(decode(octets, now=NOW), Submission)
    except Undecodable as error:
        assert str(error)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = [*(name.rstrip("_") for name in Message.__struct_fields__), "unheard-of"]


@few
@given(
    st.dictionaries(st.sampled_from(FIELDS), json_values),
    st.none() | st.text(max_size=300),
    st.none() | st.integers(0, 2**64 - 1),
    st.none() | st.integers(0, 255),
)
def test_whatever_json_is_a_submission_or_undecodable(
    fields: dict[str, Any], message_id: str | None, stamp: int | None, priority: int | None
) -> None:
    octets = body(**fields)
    try:
        found = decode(octets, now=NOW, message_id=message_id, timestamp=stamp, priority=priority)
    except Undecodable as error:
        assert str(error)
    else:
        assert found.id
        assert 0 <= found.priority <= 3
        assert 0 <= found.made <= LATEST


@given(st.binary(max_size=40), st.integers(0, 60))
def test_a_cut_or_tailed_message_is_undecodable(tail: bytes, cut: int) -> None:
    whole = body(meta={"order": 7})
    assert isinstance(decode(whole, now=NOW), Submission)
    with pytest.raises(Undecodable):
        decode(whole[: min(cut, len(whole) - 1)], now=NOW)
    if tail.strip():
        with pytest.raises(Undecodable):
            decode(whole + tail, now=NOW)


def test_nesting_without_end_is_undecodable() -> None:
    deep = b'{"to":"1","text":"x","meta":{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}}"
    assert "nested too deeply" in str(refusal(deep))


# -- the fields


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"to": ""}, "to"),
        ({"to": "+"}, "to"),
        ({"to": "46-70"}, "to"),
        ({"to": "1" * 21}, "to"),
        ({"to": "\u0661\u0662\u0663"}, "to"),
        ({"to": 46}, "to"),
        ({"from": ""}, "from"),
        ({"from": "x" * 22}, "from"),
        ({"data": "aGk="}, "text"),
        ({"text": None}, "text"),
        ({"text": 5}, "text"),
        ({"text": None, "data": "not base64!"}, "data"),
        ({"udh": "0"}, "udh"),
        ({"udh": "xx"}, "udh"),
        ({"encoding": "binary"}, "encoding"),
        ({"encoding": "gsm8"}, "encoding"),
        ({"receipt": "maybe"}, "receipt"),
        ({"retry": "always"}, "retry"),
        ({"flash": 1}, "flash"),
        ({"deadline": "tomorrow"}, "deadline"),
        ({"deadline": 1e308}, "deadline"),
        ({"deadline": -1e308}, "deadline"),
        ({"deadline": 10**400}, "deadline"),
        ({"deadline": "9999-12-31T23:59:59-23:59"}, "deadline"),
        ({"deadline": True}, "deadline"),
        ({"v": 2}, "v"),
        ({"v": 0}, "v"),
        ({"v": "1"}, "v"),
        ({"smpp": {"data_coding": 256}}, "smpp.data_coding"),
        ({"smpp": {"protocol_id": -1}}, "smpp.protocol_id"),
        ({"smpp": {"esm_class": 10**30}}, "smpp.esm_class"),
        ({"smpp": {"tlvs": {"1400": "00"}}}, "smpp.tlvs.1400"),
        ({"smpp": {"tlvs": {"0x14000": "00"}}}, "smpp.tlvs.0x14000"),
        ({"smpp": {"tlvs": {"0x1400": "0"}}}, "smpp.tlvs.0x1400"),
        ({"meta": []}, "meta"),
        ({"meta": {"n": 2**64}}, "meta"),
        ({"meta": {"n": [-(2**63) - 1]}}, "meta"),
    ],
)
def test_an_error_names_its_field(fields: dict[str, Any], path: str) -> None:
    error = refusal(body(**fields))
    assert error.path == path
    assert str(error) == f"{path}: {error.problem}"


@pytest.mark.parametrize("octets", [b"", b"[]", b"null", b"\xff\xfe", b'{"text":"hi"}'])
def test_an_error_of_the_whole_has_no_path(octets: bytes) -> None:
    assert refusal(octets).path == ""


def test_a_missing_recipient_is_named() -> None:
    assert "`to`" in str(refusal(b'{"text":"hi"}'))


def nested(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(levels - 1):
        found = {"in": found}
    return found


def test_meta_is_bounded_in_depth() -> None:
    assert decode(body(meta=nested(META_DEPTH)), now=NOW).message.meta == nested(META_DEPTH)
    assert refusal(body(meta=nested(META_DEPTH + 1))).path == "meta"


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 0, True, 1.5])
def test_meta_takes_every_number_that_can_be_kept(number: float) -> None:
    assert decode(body(meta={"n": number}), now=NOW).message.meta == {"n": number}


def test_unknown_fields_are_ignored() -> None:
    assert decode(body(colour="red", smpp={"colour": "red"}), now=NOW).message.text == "hi"


@pytest.mark.parametrize("to", ["1", "+1", "46700000001", "+46700000001", "1" * 20])
def test_recipients(to: str) -> None:
    assert decode(body(to=to), now=NOW).message.to == to


def test_a_binary_message() -> None:
    found = decode(body(text=None, data="AAE=", udh="0605040b8423f0"), now=NOW).message
    assert (found.text, found.data, found.udh) == (None, b"\x00\x01", "0605040b8423f0")


# -- the properties


def test_properties_become_fields() -> None:
    found = decode(
        body(),
        now=NOW,
        message_id="m1",
        correlation_id="c1",
        reply_to="q",
        priority=2,
        timestamp=900,
        attempt=3,
    )
    assert (found.id, found.identified, found.correlation_id, found.reply_to) == ("m1", True, "c1", "q")
    assert (found.priority, found.made, found.attempt) == (2, 900.0, 3)


@pytest.mark.parametrize("missing", [None, ""])
def test_who_gives_no_id_gets_one(missing: str | None) -> None:
    one, other = (decode(body(), now=NOW, message_id=missing) for _ in range(2))
    assert one.id != other.id
    assert not one.identified


@pytest.mark.parametrize(("sent", "taken"), [(None, 1), (0, 0), (3, 3), (9, 3), (255, 3)])
def test_priorities_end_at_urgent(sent: int | None, taken: int) -> None:
    assert decode(body(), now=NOW, priority=sent).priority == taken


@given(st.floats(-1e9, LATEST) | st.integers(-(10**9), int(LATEST)))
def test_a_time_is_written_as_the_calendar_has_it(at: float) -> None:
    moment = datetime.fromtimestamp(at, UTC)
    assert timestamp(at) == f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


@pytest.mark.parametrize(
    ("at", "written"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000.0009994, "2023-11-14T22:13:20.000Z"),
        (1_700_000_000.9999999, "2023-11-14T22:13:21.000Z"),
        (-0.25, "1969-12-31T23:59:59.750Z"),
    ],
)
def test_milliseconds_are_cut_and_not_rounded(at: float, written: str) -> None:
    assert timestamp(at) == written


@pytest.mark.parametrize("stamp", [None, 1_700_000_000_000, 2**64 - 1, -1])
def test_a_timestamp_that_is_no_time_counts_as_none(stamp: int | None) -> None:
    assert decode(body(), now=NOW, timestamp=stamp).made == NOW


@pytest.mark.parametrize(
    ("deadline", "at"),
    [
        (None, None),
        (60, 960.0),
        (0.5, 900.5),
        (-5, 895.0),
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T01:01:00+01:00", 60.0),
        ("1970-01-01T00:01:00", 60.0),
    ],
)
def test_deadlines_are_relative_to_the_publish_or_absolute(deadline: Any, at: float | None) -> None:
    assert decode(body(deadline=deadline), now=NOW, timestamp=900).deadline == at


def test_a_deadline_once_fixed_stays() -> None:
    assert decode(body(deadline=60), now=NOW, deadline=7.5).deadline == 7.5


# -- both ways

texts = st.text(max_size=20)
addresses = st.from_regex(r"\+?[0-9]{1,20}", fullmatch=True)
metas = st.dictionaries(
    texts, st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | texts, max_size=3
)
overrides = st.builds(
    SmppOverrides,
    service_type=st.none() | texts,
    protocol_id=st.none() | st.integers(0, 255),
    data_coding=st.none() | st.integers(0, 255),
    esm_class=st.none() | st.integers(0, 255),
    tlvs=st.dictionaries(st.just("0x1400"), st.binary(max_size=4).map(bytes.hex), max_size=1),
)
messages = st.builds(
    Message,
    to=addresses,
    from_=st.none() | st.text(min_size=1, max_size=21),
    text=texts,
    encoding=st.sampled_from(["auto", "gsm7", "ucs2", "latin1"]),
    receipt=st.sampled_from(["none", "final", "all"]),
    deadline=st.none() | st.floats(0, 1e9) | st.just("2026-11-23T20:15:00+00:00"),
    flash=st.booleans(),
    retry=st.sampled_from(["normal", "never"]),
    smpp=st.none() | overrides,
    meta=metas,
) | st.builds(Message, to=addresses, data=st.binary(max_size=20), udh=st.none() | st.just("0003010201"))
events = st.builds(
    Event,
    event=st.sampled_from(get_args(EventKind)),
    id=texts,
    event_id=texts,
    at=st.floats(0, 4e9).map(timestamp),
    channel=texts,
    to=addresses,
    parts=st.integers(0, 255),
    part=st.none() | st.integers(1, 255),
    smsc_id=st.none() | texts,
    status=st.none() | st.builds(Status, st.integers(0, 2**32 - 1), texts),
    error=st.none() | texts,
    stat=st.none() | texts,
    err=st.none() | texts,
    delay=st.none() | st.floats(0, 1e6),
    final=st.booleans(),
    attempt=st.integers(1, 10),
    meta=metas,
)


@few
@given(messages)
def test_a_message_survives_its_json(message: Message) -> None:
    assert decode(encode(message), now=NOW).message == message
    assert json.loads(encode(message))["v"] == 1


@few
@given(events)
def test_an_event_survives_its_json(event: Event) -> None:
    assert decode_event(encode(event)) == event
    assert json.loads(encode(event))["v"] == 1


@given(st.binary(max_size=100))
def test_whatever_octets_are_an_event_or_undecodable(octets: bytes) -> None:
    with pytest.raises(Undecodable):
        decode_event(octets)


def test_an_event_has_the_contracts_shape() -> None:
    event = Event(
        event="accepted",
        id="m1",
        event_id="m1/accepted",
        at=timestamp(1795464903.1254),
        channel="acme",
        to="+46700000001",
        parts=1,
        status=Status(0, "ESME_ROK"),
        final=True,
        attempt=1,
        meta={},
    )
    assert event.key == "accepted.acme"
    assert json.loads(encode(event)) == {
        "v": 1,
        "event": "accepted",
        "id": "m1",
        "event_id": "m1/accepted",
        "at": "2026-11-23T20:15:03.125Z",
        "channel": "acme",
        "to": "+46700000001",
        "parts": 1,
        "status": {"code": 0, "name": "ESME_ROK"},
        "final": True,
        "attempt": 1,
        "meta": {},
    }


# -- ids, and what a log may show


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "m1/retrying"),
        ({"attempt": 2}, "m1/retrying/attempt2"),
        ({"part": 3}, "m1/retrying/part3"),
        ({"part": 3, "attempt": 1}, "m1/retrying/part3/attempt1"),
    ],
)
def test_event_ids(fields: dict[str, int], expected: str) -> None:
    assert event_id("m1", "retrying", **fields) == expected


@given(
    st.text(max_size=300),
    st.sampled_from(get_args(EventKind)),
    st.none() | st.integers(1, 255),
    st.none() | st.text(max_size=300),
)
@example("m1", "buffered", 1, "\xe9" * 255)
def test_an_event_id_fits_amqp_and_is_the_same_each_time(
    message_id: str, kind: EventKind, part: int | None, stat: str | None
) -> None:
    """Whatever a message centre calls the state of a part."""
    found = event_id(message_id, kind, part=part, stat=stat)
    assert len(found.encode()) <= MAX_ID
    assert found == event_id(message_id, kind, part=part, stat=stat)
    assert found != event_id(message_id + "x", kind, part=part, stat=stat)
    assert found != event_id(message_id, kind, part=part, stat=f"{stat}x")


def test_long_ids_keep_their_kinds_apart() -> None:
    assert (
        len({event_id("x" * MAX_ID, kind, part=part) for kind in ("buffered", "unknown") for part in (1, 2)})
        == 4
    )


@pytest.mark.parametrize(
    ("number", "shown"), [("+46701234567", "...567"), ("123456", "...456"), ("12345", "..."), ("", "...")]
)
def test_numbers_are_masked(number: str, shown: str) -> None:
    assert masked(number) == shown


# -- inbound messages


def from_phone(**fields: Any) -> Inbound:
    defaults: dict[str, Any] = {
        "id": "i1",
        "at": timestamp(NOW),
        "channel": "acme",
        "from_": "+46700000001",
        "to": "12345",
        "encoding": "gsm7",
        "parts": 1,
        "complete": True,
    }
    return Inbound(**{**defaults, **fields})


def test_an_inbound_message_is_what_the_contract_says() -> None:
    assert json.loads(encode(from_phone(text="hi", parts=2))) == {
        "v": 1,
        "id": "i1",
        "at": "1970-01-12T13:46:40.000Z",
        "channel": "acme",
        "from": "+46700000001",
        "to": "12345",
        "text": "hi",
        "encoding": "gsm7",
        "parts": 2,
        "complete": True,
    }


def test_an_empty_text_is_a_text() -> None:
    assert json.loads(encode(from_phone(text="")))["text"] == ""


def test_what_is_there_only_sometimes() -> None:
    message = from_phone(
        data=b"\0\1",
        encoding="binary",
        parts=3,
        complete=False,
        missing=(1, 3),
        udh="0504",
        ports=Ports(5505, 0),
        error="why",
        smsc_time="2026-11-23T20:15:00.000Z",
    )
    found = json.loads(encode(message))
    assert (found["data"], found["missing"], found["udh"], found["error"]) == ("AAE=", [1, 3], "0504", "why")
    assert (found["ports"], found["complete"]) == ({"destination": 5505, "source": 0}, False)
    assert found["smsc_time"] == "2026-11-23T20:15:00.000Z"
    assert "text" not in found


@given(
    st.text(max_size=50) | st.none(),
    st.binary(max_size=50) | st.none(),
    st.lists(st.integers(1, 255), max_size=5),
)
def test_an_inbound_message_comes_back_the_same(
    text: str | None, data: bytes | None, missing: list[int]
) -> None:
    message = from_phone(text=text, data=data, missing=tuple(missing))
    assert decode_inbound(encode(message)) == message


@pytest.mark.parametrize("octets", [b"", b"{}", b"[]", b'{"id": 1}', b"\xff"])
def test_what_is_no_inbound_message_is_undecodable(octets: bytes) -> None:
    with pytest.raises(Undecodable):
        decode_inbound(octets)


@pytest.mark.parametrize(
    ("to", "key"),
    [
        ("12345", "acme.12345"),
        ("+4612345", "acme.4612345"),
        ("SHOP", "acme.SHOP"),
        ("My Shop.#1", "acme.My_Shop__1"),
        ("*", "acme._"),
        ("Åsa", "acme._sa"),
        ("", "acme.unknown"),
        ("+", "acme.unknown"),
    ],
)
def test_the_topic_key_is_of_two_words_whatever_the_destination(to: str, key: str) -> None:
    assert from_phone(to=to).key == key
