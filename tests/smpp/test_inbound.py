"""What a deliver_sm or data_sm from a phone says, and what its data_coding means."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.message import Message, SmppOverrides, Submission
from smsgw.smpp.constants import Tag
from smsgw.smpp.dialect import AddressRule, DataCodings, Dialect, charset, submit_sm
from smsgw.smpp.inbound import ShortMessage, read
from smsgw.smpp.pdu import DataSm, DeliverSm
from smsgw.sms import udh
from smsgw.sms.coding import Charset, Coding, Encoding, choose
from smsgw.sms.inbound import Arrival, inbound
from smsgw.sms.packing import pack

PLAIN = Dialect()


def deliver(**fields: Any) -> DeliverSm:
    return DeliverSm(
        **{
            "source_addr": "46700000001",
            "source_addr_ton": 1,
            "destination_addr": "12345",
            "short_message": b"hi",
            **fields,
        }
    )


def text(pdu: DeliverSm | DataSm, dialect: Dialect = PLAIN) -> str | None:
    return inbound(Arrival("1", 0.0, "acme", "", ""), [read(pdu, dialect).fragment]).text


# -- data_coding, the reverse of the table

MEANINGS: list[tuple[range | tuple[int, ...], Charset]] = [
    ((0x00,), "gsm7"),
    ((0x01,), "ascii"),
    ((0x02, 0x04), "binary"),
    ((0x03,), "latin1"),
    ((0x08,), "ucs2"),
    # general groups: with a message class, marked for automatic deletion
    (range(0x10, 0x14), "gsm7"),
    (range(0x14, 0x18), "binary"),
    (range(0x18, 0x1C), "ucs2"),
    (range(0x40, 0x44), "gsm7"),
    (range(0x54, 0x58), "binary"),
    (range(0x48, 0x4C), "ucs2"),
    # message waiting
    (range(0xC0, 0xE0), "gsm7"),
    (range(0xE0, 0xF0), "ucs2"),
    # message class
    (range(0xF0, 0xF4), "gsm7"),
    (range(0xF4, 0xF8), "binary"),
]


@pytest.mark.parametrize(
    ("data_coding", "expected"), [(value, name) for values, name in MEANINGS for value in values]
)
def test_what_a_data_coding_means(data_coding: int, expected: Charset) -> None:
    reading = charset(data_coding, PLAIN)
    assert (reading.charset, reading.problem) == (expected, None)


@pytest.mark.parametrize(
    ("data_coding", "problem"),
    [
        (0x05, "data_coding 0x05 (JIS) is not read"),
        (0x06, "data_coding 0x06 (ISO 8859-5) is not read"),
        (0x0F, "data_coding 0x0f has no known meaning"),
        (0x1C, "data_coding 0x1c has no known meaning"),
        (0x20, "data_coding 0x20 is compressed"),
        (0x38, "data_coding 0x38 is compressed"),
        (0x60, "data_coding 0x60 is compressed"),
        (0x80, "data_coding 0x80 has no known meaning"),
        (0xA8, "data_coding 0xa8 has no known meaning"),
    ],
)
def test_what_is_not_known_is_binary_and_says_why(data_coding: int, problem: str) -> None:
    reading = charset(data_coding, PLAIN)
    assert (reading.charset, reading.problem) == ("binary", problem)


@pytest.mark.parametrize("alphabet", ["gsm7", "gsm7-packed", "latin1", "ascii"])
@pytest.mark.parametrize("data_coding", [0x00, 0x11, 0x42, 0xC8, 0xD0, 0xF1])
def test_gsm_is_what_the_default_alphabet_says(alphabet: Any, data_coding: int) -> None:
    assert charset(data_coding, Dialect(default_alphabet=alphabet)).charset == alphabet


@pytest.mark.parametrize("key", ["0x01", "1", "0X1", "0x001"])
def test_the_dialect_may_say_otherwise(key: str) -> None:
    dialect = Dialect(default_alphabet="latin1", inbound_alphabets={key: "gsm7", "0x06": "ucs2"})
    assert charset(0x01, dialect).charset == "gsm7"
    assert charset(0x06, dialect) == charset(0x08, PLAIN)
    assert charset(0x00, dialect).charset == "latin1"


@pytest.mark.parametrize("key", ["latin", "-1", "256", "0x100", ""])
def test_a_key_that_is_no_octet(key: str) -> None:
    with pytest.raises(ValueError, match='expected a data_coding such as "0x01", found'):
        Dialect(inbound_alphabets={key: "gsm7"})


def test_an_outgoing_table_is_read_backwards() -> None:
    dialect = Dialect(data_coding=DataCodings(gsm7=0x01, latin1=0x0B, ucs2=0x0C, binary=0x0D))
    read_back = [charset(data_coding, dialect).charset for data_coding in (0x01, 0x0B, 0x0C, 0x0D, 0x00)]
    assert read_back == ["gsm7", "latin1", "ucs2", "binary", "gsm7"]


encodings = st.sampled_from(["gsm7", "ucs2", "latin1", "binary"])
octets = st.integers(0, 255)


@given(
    encodings,
    st.lists(octets, min_size=4, max_size=4, unique=True).filter(lambda four: 0 not in four[1:]),
    st.booleans(),
)
def test_what_we_send_under_is_what_we_read(encoding: Encoding, codings: list[int], flash: bool) -> None:
    """Whatever the table: a message centre that echoes a submit_sm is understood."""
    table = DataCodings(*codings)
    dialect = Dialect(data_coding=table, flash=table)
    message = Message(to="46700000001", text="hi", flash=flash)
    submitted = submit_sm(
        Submission(id="1", message=message, made=0.0), b"hi", encoding, None, dialect, now=0.0
    )
    assert charset(submitted.data_coding, dialect).charset == encoding


@given(octets, st.sampled_from(["gsm7", "gsm7-packed", "latin1", "ascii"]))
def test_every_octet_means_something(data_coding: int, alphabet: Any) -> None:
    reading = charset(data_coding, Dialect(default_alphabet=alphabet))
    assert reading.problem is None or reading.charset == "binary"


# -- where the octets and the part are


def test_short_message_and_addresses() -> None:
    found = read(deliver(), PLAIN)
    assert (found.source, found.destination) == ("+46700000001", "12345")
    assert (found.fragment.payload, found.fragment.kind) == (b"hi", "whole")
    assert "46700000001" not in repr(found)


@pytest.mark.parametrize(
    ("address", "ton", "shown"),
    [
        ("46700000001", 1, "+46700000001"),
        ("+46700000001", 1, "+46700000001"),
        ("46700000001", 0, "46700000001"),
        ("0700000001", 2, "0700000001"),
        ("72123", 1, "72123"),
        ("SHOP", 5, "SHOP"),
        ("", 0, ""),
    ],
)
def test_numbers_as_people_write_them(address: str, ton: int, shown: str) -> None:
    found = read(deliver(source_addr=address, source_addr_ton=ton), PLAIN)
    assert found.source == shown
    found = read(deliver(destination_addr=address, dest_addr_ton=ton), PLAIN)
    assert found.destination == shown


def test_how_long_a_short_code_is_the_dialect_says() -> None:
    dialect = Dialect(source=AddressRule(short_code=0))
    found = read(deliver(destination_addr="72123", dest_addr_ton=1, source_addr="72123"), dialect)
    assert (found.source, found.destination) == ("72123", "+72123")


def test_message_payload_where_there_is_no_short_message() -> None:
    long = ((int(Tag.MESSAGE_PAYLOAD), b"x" * 500),)
    assert text(deliver(short_message=b"", tlvs=long)) == "x" * 500
    assert text(deliver(tlvs=long)) == "hi"
    assert text(DataSm(source_addr="1", tlvs=long)) == "x" * 500
    assert text(DataSm(source_addr="1")) == ""


def test_a_header_only_where_esm_class_says_so() -> None:
    header = udh.build([udh.Concatenation(300, 3, 2, wide=True).element])
    part = read(deliver(esm_class=0x40, short_message=header + b"middle"), PLAIN).fragment
    assert (part.kind, part.reference, part.number, part.total) == ("udh16", 300, 2, 3)
    assert (part.header, part.payload) == (header, b"middle")
    whole = read(deliver(short_message=header + b"middle"), PLAIN).fragment
    assert (whole.kind, whole.payload) == ("whole", header + b"middle")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ((5, 2, 1), "sar"),
        ((5, 2, 3), "whole"),
        ((5, 1, 1), "whole"),
        ((b"\0\0\5", 2, 1), "whole"),
        ((5, b"", 1), "whole"),
    ],
)
def test_sar_tlvs(values: tuple[int | bytes, ...], kind: str) -> None:
    tags = (Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM)
    tlvs = tuple((int(tag), value) for tag, value in zip(tags, values, strict=True))
    assert read(deliver(tlvs=tlvs), PLAIN).fragment.kind == kind
    assert read(deliver(tlvs=tlvs[:2]), PLAIN).fragment.kind == "whole"


def test_packed_septets() -> None:
    dialect = Dialect(default_alphabet="gsm7-packed")
    assert text(deliver(short_message=pack(b"hello hello")), dialect) == "hello hello"


@pytest.mark.parametrize("alphabet", ["gsm7", "latin1", "ascii"])
@given(written=st.text(st.sampled_from("abc åäö0?"), max_size=100))
def test_a_text_comes_back_from_every_default_alphabet(alphabet: Any, written: str) -> None:
    dialect = Dialect(default_alphabet=alphabet)
    coding = choose(written, default_alphabet=alphabet)
    assert isinstance(coding, Coding)
    data_coding = {"gsm7": 0, "ucs2": 8}[coding.encoding]
    assert text(deliver(short_message=coding.pieces[0], data_coding=data_coding), dialect) == written


def test_an_unread_alphabet_is_handed_on_with_the_reason() -> None:
    found = read(deliver(data_coding=0x05), PLAIN)
    message = inbound(Arrival("1", 0.0, "acme", "", ""), [found.fragment])
    assert (message.text, message.data, message.encoding) == (None, b"hi", "binary")
    assert message.error == "data_coding 0x05 (JIS) is not read"


@given(
    st.binary(max_size=254),
    octets,
    octets,
    st.lists(
        st.tuples(
            st.sampled_from([int(tag) for tag in Tag]),
            st.integers(0, 255) | st.binary(max_size=9) | st.text(max_size=3),
        ),
        max_size=4,
    ),
    st.sampled_from(["gsm7", "gsm7-packed", "latin1", "ascii"]),
)
def test_whatever_comes_becomes_a_message(
    body: bytes, data_coding: int, esm_class: int, tlvs: Any, alphabet: Any
) -> None:
    pdu = deliver(short_message=body, data_coding=data_coding, esm_class=esm_class, tlvs=tuple(tlvs))
    found = read(pdu, Dialect(default_alphabet=alphabet))
    assert isinstance(found, ShortMessage)
    message = inbound(Arrival("1", 0.0, "acme", found.source, found.destination), [found.fragment])
    assert (message.text is None) != (message.data is None)
    assert message.data is None or message.encoding == "binary" or message.error


def test_the_override_leaves_what_is_sent_alone() -> None:
    dialect = Dialect(inbound_alphabets={"0x00": "latin1"})
    assert text(deliver(short_message="é".encode("latin-1")), dialect) == "é"
    message = Message(to="46700000001", text="hi", smpp=SmppOverrides(data_coding=1))
    submitted = submit_sm(
        Submission(id="1", message=message, made=0.0), b"hi", "gsm7", None, dialect, now=0.0
    )
    assert submitted.data_coding == 1
