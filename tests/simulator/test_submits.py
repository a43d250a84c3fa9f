"""Reading what a submit asks for."""

import pytest

from smsgw.simulator.submits import (
    Place,
    asks_for_receipts,
    charset_of,
    octets,
    place,
    text,
    tlvs,
    wants_receipt,
)
from smsgw.smpp.constants import Tag
from smsgw.smpp.pdu import DataSm, SubmitSm
from smsgw.sms import udh

UDH = udh.build([udh.Concatenation(7, 3, 2).element])
WIDE = udh.build([udh.Concatenation(700, 3, 2, wide=True).element])


def test_the_payload_wins_over_the_short_message() -> None:
    tlvs = ((Tag.MESSAGE_PAYLOAD, b"long"),)
    assert octets(SubmitSm(short_message=b"short")) == b"short"
    assert octets(SubmitSm(short_message=b"short", tlvs=tlvs)) == b"long"
    assert octets(DataSm(tlvs=tlvs)) == b"long"
    assert octets(DataSm()) == b""


def test_tlvs_as_the_journal_writes_them() -> None:
    found = ((Tag.SAR_MSG_REF_NUM, 7), (Tag.MESSAGE_PAYLOAD, b"long"), (0x1400, b"\x00\xff"))
    assert tlvs(SubmitSm(tlvs=found)) == {"0x020c": 7, "0x1400": "00ff"}


@pytest.mark.parametrize(
    "submit",
    [
        SubmitSm(esm_class=0x40, short_message=UDH + b"text"),
        SubmitSm(esm_class=0x40, short_message=WIDE + b"text"),
        SubmitSm(
            short_message=b"text",
            tlvs=((Tag.SAR_MSG_REF_NUM, 7), (Tag.SAR_TOTAL_SEGMENTS, 3), (Tag.SAR_SEGMENT_SEQNUM, 2)),
        ),
    ],
    ids=["udh", "udh16", "sar"],
)
def test_a_part_knows_its_place(submit: SubmitSm) -> None:
    assert place(submit) == Place(2, 3)
    assert text(submit) == "text"


@pytest.mark.parametrize(
    "submit", [SubmitSm(short_message=UDH), SubmitSm(esm_class=0x40, short_message=b"\xff"), SubmitSm()]
)
def test_what_is_no_part_is_one_of_one(submit: SubmitSm) -> None:
    assert place(submit) == Place(1, 1)


@pytest.mark.parametrize(
    ("data_coding", "data", "read"),
    [
        (0, b"\x00\x1b\x65", "@€"),
        (1, b"hi", "hi"),
        (3, b"\xe5", "å"),
        (8, "å€😀".encode("utf-16-be"), "å€😀"),
        (0x10, b"hi", "hi"),
        (0x18, "hi".encode("utf-16-be"), "hi"),
        (0xF0, b"hi", "hi"),
        (0xF5, b"hi", None),
        (4, b"hi", None),
        (0x14, b"hi", None),
        (0xC0, b"hi", None),
    ],
)
def test_text_is_read_by_its_data_coding(data_coding: int, data: bytes, read: str | None) -> None:
    assert text(SubmitSm(data_coding=data_coding, short_message=data)) == read


def test_every_data_coding_means_something() -> None:
    assert {charset_of(data_coding) for data_coding in range(256)} == {
        "gsm7",
        "ascii",
        "latin1",
        "ucs2",
        "binary",
    }


@pytest.mark.parametrize(
    ("asked", "of_success", "of_failure"),
    [
        (0, False, False),
        (1, True, True),
        (2, False, True),
        (3, True, False),
        (0x11, True, True),
        (0x10, False, False),
    ],
)
def test_receipts_are_asked_for_by_outcome(asked: int, of_success: bool, of_failure: bool) -> None:
    submit = SubmitSm(registered_delivery=asked)
    assert wants_receipt(submit, delivered=True) is of_success
    assert wants_receipt(submit, delivered=False) is of_failure
    assert asks_for_receipts(submit) is (of_success or of_failure)
