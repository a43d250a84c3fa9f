from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.smpp.constants import MessageState, Tag
from smsgw.smpp.dialect import Dialect
from smsgw.smpp.pdu import DataSm, DeliverSm, SubmitSm
from smsgw.smpp.receipt import LONGEST, STAT_OF, STATES, Receipt, parse, scan

PLAIN = Dialect()
TEXT = (
    "id:0123456789 sub:001 dlvrd:001 submit date:2611232015 done date:2611232016"
    " stat:DELIVRD err:000 text:Lorem ipsum"
)


def deliver(text: str, **fields: Any) -> DeliverSm:
    return DeliverSm(**{"esm_class": 4, "short_message": text.encode("latin-1"), **fields})


def read(text: str, dialect: Dialect = PLAIN, **fields: Any) -> Receipt:
    receipt = parse(deliver(text, **fields), dialect)
    assert receipt is not None
    return receipt


def test_appendix_b() -> None:
    assert read(TEXT) == Receipt(
        id="0123456789",
        state="delivered",
        stat="DELIVRD",
        err="000",
        done="2611232016",
        sub=1,
        dlvrd=1,
        text="Lorem ipsum",
        mark="esm_class",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # no sub, no dlvrd
        ("id:17 done date:2611232016 stat:UNDELIV err:001", {"sub": None, "dlvrd": None}),
        # dates with seconds, with the century, with blanks and colons
        ("id:17 done date:261123201659 stat:UNDELIV err:001", {"done": "261123201659"}),
        ("id:17 done date:20261123201659 stat:UNDELIV err:001", {"done": "20261123201659"}),
        ("id:17 done date:2026-11-23 20:16:59 stat:UNDELIV err:001", {"done": "2026-11-23 20:16:59"}),
        ("id:17 done_date:2611232016 stat:UNDELIV err:001", {"done": "2611232016"}),
        ("id:17 doneDate:2611232016 stat:UNDELIV err:001", {"done": "2611232016"}),
        # a hexadecimal or a worded error
        ("id:17 stat:UNDELIV err:21b text:", {"err": "21b"}),
        ("id:17 stat:UNDELIV err:EC_ABSENT text:", {"err": "EC_ABSENT"}),
        ("id:17 stat:UNDELIV err:", {"err": None}),
        # another order
        ("stat:UNDELIV err:001 done date:2611232016 id:17", {"done": "2611232016", "err": "001"}),
        # other cases, blanks, separators, line ends
        ("ID:17 SUB:001 STAT:UNDELIV ERR:001 Text:x", {"sub": 1, "text": "x"}),
        ("id: 17 sub: 001 stat: UNDELIV err: 001", {"sub": 1, "err": "001"}),
        ("id :17 stat :UNDELIV", {}),
        ("id:17,sub:001,stat:UNDELIV,err:001", {"sub": 1, "err": "001"}),
        ("id:17\r\nstat:UNDELIV\r\nerr:001\r\n", {"err": "001"}),
        ("id:17;stat:UNDELIV;err:001;", {"err": "001"}),
        # stray NULs
        ("id:17 stat:UNDELIV err:001\0", {"err": "001"}),
        ("id:17 stat:UNDELIV err:001 text:\0", {"text": ""}),
        ("id:17\0 stat:UNDELIV err:001", {}),
        # counts that are none
        ("id:17 sub:abc dlvrd: stat:UNDELIV", {"sub": None, "dlvrd": None}),
        ("id:17 sub:² stat:UNDELIV", {"sub": None}),
        # nothing after text: is a field
        ("id:17 stat:UNDELIV text:id:9 stat:DELIVRD err:5", {"text": "id:9 stat:DELIVRD err:5", "err": None}),
        # the first of a name counts
        ("id:17 stat:UNDELIV id:99 stat:DELIVRD", {}),
        # only whole words are names
        ("id:17 guid:5 order-id:6 substat:DELIVRD stat:UNDELIV", {}),
    ],
)  # fmt: skip
def test_variants(text: str, expected: dict[str, Any]) -> None:
    receipt = read(text)
    assert receipt.stat == "UNDELIV"
    assert receipt.state == "undelivered"
    assert (receipt.id or "").split()[0].rstrip("\0") == "17"
    assert {name: getattr(receipt, name) for name in expected} == expected


@pytest.mark.parametrize(
    "smsc_id", ["4a7d1ed4-14e0-4a5c-9b0f-0ab57c1d2e3f", "7" * 64, "ACME/17.a+b=", "00017"]
)
def test_ids_stay_as_they_are(smsc_id: str) -> None:
    assert read(f"id:{smsc_id} stat:DELIVRD").id == smsc_id


@pytest.mark.parametrize(
    ("stat", "state"),
    [
        *STATES.items(),
        ("FAILED", "undelivered"),
        ("delivrd", "delivered"),
        ("DELIVRD.", "delivered"),
        ("DELIVRD extra", "delivered"),
        ("WHATEVER", "buffered"),
        ("", "buffered"),
    ],
)
def test_states(stat: str, state: str) -> None:
    assert read(f"id:17 stat:{stat} err:000").state == state


def test_a_dialect_says_what_its_words_mean() -> None:
    dialect = Dialect(receipt_states={"acceptd": "delivered", "LOST": "undelivered"})
    assert read("id:17 stat:ACCEPTD", dialect).state == "delivered"
    assert read("id:17 stat:Lost", dialect).state == "undelivered"


def test_every_message_state_has_a_word() -> None:
    assert set(STAT_OF) == set(MessageState)
    assert set(STAT_OF.values()) <= set(STATES)


@pytest.mark.parametrize("state", MessageState)
def test_the_tlvs_win_over_the_text(state: MessageState) -> None:
    tlvs = ((Tag.RECEIPTED_MESSAGE_ID, "ABC"), (Tag.MESSAGE_STATE, int(state)))
    receipt = read("id:17 stat:FAILED err:7 done date:2611232016", tlvs=tlvs)
    assert (receipt.id, receipt.stat, receipt.state) == ("ABC", STAT_OF[state], STATES[STAT_OF[state]])
    assert (receipt.err, receipt.done) == ("7", "2611232016")


def test_tlvs_alone() -> None:
    tlvs = (
        (Tag.RECEIPTED_MESSAGE_ID, "ABC"),
        (Tag.MESSAGE_STATE, 5),
        (Tag.NETWORK_ERROR_CODE, b"\x03\x00\x21"),
    )
    expected = Receipt(id="ABC", state="undelivered", stat="UNDELIV", err="033", mark="tlv")
    assert parse(DeliverSm(tlvs=tlvs), PLAIN) == expected
    assert parse(DataSm(tlvs=tlvs), PLAIN) == expected


@pytest.mark.parametrize(
    "tlvs",
    [
        ((Tag.MESSAGE_STATE, b"\0\x02"),),
        ((Tag.MESSAGE_STATE, 99),),
        ((Tag.RECEIPTED_MESSAGE_ID, ""),),
        ((Tag.NETWORK_ERROR_CODE, b"\x03"),),
    ],
)
def test_tlvs_that_say_nothing_leave_it_to_the_text(tlvs: Any) -> None:
    receipt = read("id:17 stat:UNDELIV err:9", tlvs=tlvs)
    assert (receipt.id, receipt.stat, receipt.err) == ("17", "UNDELIV", "9")


@pytest.mark.parametrize(
    ("value", "smsc_id"), [(b"17\0garbage", "17"), (b"7" * 70, "7" * 70), (b"7" * 999, "7" * LONGEST)]
)
def test_an_id_that_does_not_keep_to_its_size(value: bytes, smsc_id: str) -> None:
    assert read("", tlvs=((Tag.RECEIPTED_MESSAGE_ID, value),)).id == smsc_id


@pytest.mark.parametrize("esm_class", [0x04, 0x20, 0x24, 0x07, 0x84])
def test_marked_by_esm_class_whatever_the_text(esm_class: int) -> None:
    assert read("hello", esm_class=esm_class) == Receipt(mark="esm_class")


@pytest.mark.parametrize(
    "pdu",
    [
        DeliverSm(short_message=b"hello"),
        DeliverSm(short_message=b""),
        DeliverSm(short_message=b"id:17 please, stat:now"),
        DeliverSm(short_message=b"id: stat:DELIVRD err:000"),
        DeliverSm(short_message=b"my text:id:17 stat:DELIVRD err:000"),
        DeliverSm(esm_class=0x08, short_message=b"an SME's acknowledgement"),
        DeliverSm(esm_class=0x10, short_message=b"a user's acknowledgement"),
        DeliverSm(tlvs=((Tag.MESSAGE_STATE, 2),)),
        DataSm(tlvs=((Tag.MESSAGE_PAYLOAD, b"hello"),)),
        SubmitSm(esm_class=0x04, short_message=TEXT.encode()),
    ],
)
def test_what_is_no_receipt(pdu: Any) -> None:
    assert parse(pdu, PLAIN) is None


def test_unmarked_but_it_reads_like_one() -> None:
    receipt = read(TEXT, esm_class=0)
    assert (receipt.mark, receipt.id, receipt.state) == ("pattern", "0123456789", "delivered")
    assert parse(deliver(TEXT, esm_class=0), Dialect(receipts="marked")) is None
    assert parse(deliver(TEXT), Dialect(receipts="marked")) is not None


@pytest.mark.parametrize(
    ("stat", "state"), [("DELIVRD", "delivered"), ("UNDELIV", "buffered"), ("ENROUTE", "buffered")]
)
def test_an_intermediate_notification_is_no_final_no(stat: str, state: str) -> None:
    assert read(f"id:17 stat:{stat}", esm_class=0x20).state == state


def test_the_text_may_be_elsewhere() -> None:
    octets = TEXT.encode()
    payload = ((Tag.MESSAGE_PAYLOAD, octets),)
    for pdu in (
        DeliverSm(esm_class=4, tlvs=payload),
        DataSm(esm_class=4, tlvs=payload),
        DeliverSm(esm_class=0x44, short_message=b"\x05\0\x03\x01\x01\x01" + octets),
        DeliverSm(esm_class=4, data_coding=8, short_message=TEXT.encode("utf-16-be")),
    ):
        assert parse(pdu, PLAIN) == read(TEXT)


def test_its_repr_shows_no_text() -> None:
    assert "Lorem" not in repr(read(TEXT))


@given(st.text())
def test_scanning_never_raises(text: str) -> None:
    assert all(len(value) <= LONGEST for name, value in scan(text).items() if name != "text")


def test_reading_never_raises() -> None:
    """Random octets, and receipts with octets changed, in all the places a receipt may stand."""
    random = Random(3)
    for _ in range(5_000):
        octets = bytearray(TEXT.encode() if random.random() < 0.7 else random.randbytes(random.randrange(99)))
        for _ in range(min(len(octets), 5)):
            octets[random.randrange(len(octets))] = random.randrange(256)
        tlvs = (
            (Tag.RECEIPTED_MESSAGE_ID, random.choice(["", "17", b"", b"\0", random.randbytes(9)])),
            (Tag.MESSAGE_STATE, random.choice([0, 2, 255, b"", b"\0\0"])),
            (Tag.MESSAGE_PAYLOAD, bytes(octets)),
        )
        pdu = DeliverSm(
            esm_class=random.randrange(256),
            data_coding=random.choice([0, 8]),
            short_message=random.choice([b"", bytes(octets)]),
            tlvs=random.choice([(), tlvs[:1], tlvs]),
        )
        found = parse(pdu, PLAIN)
        assert found is None or found.state in {"delivered", "undelivered", "buffered"}


def test_a_long_hostile_text_is_read_at_once() -> None:
    """Nothing here may take more than linear time: 64 KiB of what a slow pattern would stumble over."""
    for text in ("id" + " " * 65_000, "id:" * 21_000, "submit " * 9_000, " :" * 32_000):
        payload = ((Tag.MESSAGE_PAYLOAD, text.encode()),)
        assert parse(DataSm(esm_class=4, tlvs=payload), PLAIN) is not None
