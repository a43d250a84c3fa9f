"""What readers get of a message from a phone."""

from __future__ import annotations

from typing import Any

import pytest

from smsgw.message import Ports
from smsgw.sms import udh
from smsgw.sms.inbound import Arrival, inbound
from smsgw.sms.join import Fragment, read
from smsgw.sms.udh import Concatenation, Element

ARRIVAL = Arrival("id1", 1_700_000_000.0, "acme", "+46700000001", "12345")
PORTS = udh.Ports(destination=5505, source=9200)


def part(number: int, total: int = 2, payload: bytes = b"x", *more: Element) -> Fragment:
    header = udh.build([Concatenation(1, total, number).element, *more])
    return read(header + payload, "binary" if more else "gsm7", has_header=True)


def test_a_whole_message() -> None:
    message = inbound(ARRIVAL, [Fragment(payload=b"hi", charset="gsm7")])
    assert (message.id, message.at, message.channel) == ("id1", "2023-11-14T22:13:20.000Z", "acme")
    assert (message.from_, message.to, message.text) == ("+46700000001", "12345", "hi")
    assert (message.parts, message.complete, message.missing, message.udh) == (1, True, (), None)
    assert "46700000001" not in repr(ARRIVAL) + repr(message)


def test_a_joined_message_has_all_its_parts_and_no_header() -> None:
    message = inbound(ARRIVAL, [part(2, payload=b"two"), part(1, payload=b"one ")])
    assert (message.text, message.parts, message.complete) == ("one two", 2, True)
    assert (message.udh, message.ports, message.error) == (None, None, None)


def test_an_incomplete_message_says_what_is_missing() -> None:
    message = inbound(ARRIVAL, [part(2, 4, b"two "), part(3, 4, b"three")])
    assert (message.text, message.parts, message.complete, message.missing) == ("two three", 4, False, (1, 4))


def test_ports_and_the_rest_of_a_header_are_told() -> None:
    message = inbound(ARRIVAL, [part(number, 2, b"\1", PORTS.element) for number in (1, 2)])
    assert (message.data, message.encoding, message.text) == (b"\1\1", "binary", None)
    assert message.ports == Ports(destination=5505, source=9200)
    assert message.udh == udh.build([PORTS.element]).hex()
    assert message.error is None


def test_a_header_of_one_part_is_told_without_its_concatenation() -> None:
    other = Element(0x70, b"\1")
    octets = udh.build([Concatenation(1, 1, 1).element, other]) + b"hi"
    message = inbound(ARRIVAL, [read(octets, "gsm7", has_header=True)])
    assert (message.text, message.udh) == ("hi", udh.build([other]).hex())


def test_a_header_that_cannot_be_read_is_told_as_it_is() -> None:
    message = inbound(ARRIVAL, [read(b"\x03\x00\x07\x01hi", "gsm7", has_header=True)])
    assert (message.text, message.udh) == ("hi", "03000701")
    assert message.error == "the element at octet 1 runs past the user data header"
    message = inbound(ARRIVAL, [read(b"\x09hi", "gsm7", has_header=True)])
    assert (message.text, message.data, message.udh) == (None, b"\x09hi", None)
    assert message.error is not None


@pytest.mark.parametrize(
    ("payload", "charset", "encoding", "error"),
    [
        (b"\xd8\x00", "ucs2", "ucs2", "not UTF-16BE at octet 0"),
        (b"a\xff", "ascii", "latin1", "not ASCII at octet 1"),
        (b"a\xff", "gsm7", "gsm7", "a code without a character in GSM 7-bit"),
    ],
)
def test_what_is_no_text_is_data_and_says_why(
    payload: bytes, charset: Any, encoding: str, error: str
) -> None:
    message = inbound(ARRIVAL, [Fragment(payload=payload, charset=charset)])
    assert (message.text, message.data) == (None, payload)
    assert (message.encoding, message.error) == (encoding, error)


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [("gsm7", "gsm7"), ("ucs2", "ucs2"), ("latin1", "latin1"), ("ascii", "latin1"), ("binary", "binary")],
)
def test_encodings_have_the_names_that_producers_use(charset: Any, encoding: str) -> None:
    assert inbound(ARRIVAL, [Fragment(payload=b"hi", charset=charset)]).encoding == encoding


def test_an_empty_message_is_an_empty_text() -> None:
    message = inbound(ARRIVAL, [Fragment(payload=b"", charset="gsm7")])
    assert (message.text, message.data) == ("", None)
