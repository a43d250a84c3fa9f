from __future__ import annotations

import tomllib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.errors import Misuse
from smsgw.message import Message, SmppOverrides, Submission
from smsgw.smpp.constants import CommandStatus, Tag
from smsgw.smpp.dialect import (
    STATUS_CLASSES,
    Address,
    AddressRule,
    DataCodings,
    Dialect,
    Encoding,
    StatusClass,
    address,
    submit_sm,
)
from smsgw.smpp.pdu import EncodeError, SubmitSm, decode, encode

PLAIN = Dialect()
NOW = 1_795_464_900.0
"""2026-11-23 20:15:00 UTC."""


def submission(deadline: float | None = None, **fields: Any) -> Submission:
    message = Message(**{"to": "+46701234567", "text": "hi", **fields})
    return Submission(id="1", message=message, made=NOW, deadline=deadline)


def composed(
    sub: Submission | None = None,
    octets: bytes = b"hi",
    encoding: Encoding = "gsm7",
    source: str | None = "ACME",
    dialect: Dialect = PLAIN,
    **options: Any,
) -> SubmitSm:
    return submit_sm(sub or submission(), octets, encoding, source, dialect, NOW, **options)


# Status classes

CLASSES: dict[StatusClass, tuple[int, ...]] = {
    "ok": (0x00,),
    "throttled": (0x58, 0x14),
    "temporary": (0x08, 0x45, 0x64, 0xFE, 0xFF, 0x67, 0x102),
    "permanent": (
        *(0x01, 0x02, 0x0A, 0x0B, 0x33, 0x34, 0x40, 0x42, 0x43, 0x48, 0x49, 0x50, 0x51),
        *(0x61, 0x62, 0x63, 0x65, 0x66, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0x104),
    ),
    "link": (0x03, 0x04, 0x05, 0x0D, 0x0E, 0x0F, 0x15, 0x53, 0x100, 0x101, 0x103),
}


@pytest.mark.parametrize(
    ("status", "expected"), [(status, name) for name, codes in CLASSES.items() for status in codes]
)
def test_classify(status: int, expected: StatusClass) -> None:
    assert PLAIN.classify(status) == expected


@pytest.mark.parametrize("status", CommandStatus)
def test_every_status_has_a_row(status: CommandStatus) -> None:
    assert int(status) in STATUS_CLASSES


def test_no_row_is_invented_and_none_is_written_twice() -> None:
    assert set(STATUS_CLASSES) == {int(status) for status in CommandStatus}


@pytest.mark.parametrize("status", [0x09, 0x400, 0x437, 0x4FF, 0x500, 0xFFFFFFFF])
def test_a_status_in_no_table_is_unknown(status: int) -> None:
    assert PLAIN.classify(status) == "unknown"


@pytest.mark.parametrize("key", ["0x0014", "0x14", "0X14", "20", "0x00000014"])
def test_a_status_can_be_overridden(key: str) -> None:
    dialect = Dialect(status={key: "permanent", "0x437": "link"})
    assert dialect.classify(0x14) == "permanent"
    assert dialect.classify(0x437) == "link"
    assert dialect.classify(0x58) == "throttled"


# Settings


def test_from_toml() -> None:
    table = """
        message_id = "hex-in-receipt"
        long_messages = "udh16"
        status = { 0x0045 = "permanent" }
        data_coding = { latin1 = 1 }
        destination = { format = "plus", ton = 1 }
        receipt_states = { ACCEPTD = "delivered" }
    """
    dialect = msgspec.convert(tomllib.loads(table), Dialect)
    assert dialect.message_id == "hex-in-receipt"
    assert dialect.classify(0x45) == "permanent"
    assert dialect.data_coding == DataCodings(latin1=1)
    assert dialect.destination == AddressRule(format="plus", ton=1)
    assert dialect.receipt_states == {"ACCEPTD": "delivered"}


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ('colour = "red"', "colour"),
        ('message_id = "base64"', r"\$.message_id"),
        ('status = { 0x0045 = "ok" }', r"\$.status"),
        ('status = { busy = "link" }', 'expected a command_status such as "0x0045", found "busy"'),
        ('status = { 0x00 = "link" }', "expected a command_status"),
        ('status = { 0x100000000 = "link" }', "expected a command_status"),
        ("data_coding = { gsm7 = 256 }", r"\$.data_coding.gsm7"),
        ("data_coding = { gsm8 = 0 }", "gsm8"),
        ('destination = { format = "tel" }', r"\$.destination.format"),
        ('service_type = "TOOLONG"', r"\$.service_type"),
        ("unavailable_status = 0", r"\$.unavailable_status"),
    ],
)
def test_a_wrong_setting_is_refused(table: str, problem: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=problem):
        msgspec.convert(tomllib.loads(table), Dialect)


# Addresses


@pytest.mark.parametrize(
    ("number", "rule", "expected"),
    [
        ("+46701234567", AddressRule(), Address(1, 1, "46701234567")),
        ("46701234567", AddressRule(), Address(1, 1, "46701234567")),
        ("46701234567", AddressRule(format="plus"), Address(1, 1, "+46701234567")),
        ("+46701234567", AddressRule(format="plus"), Address(1, 1, "+46701234567")),
        ("+46701234567", AddressRule(format="as-given"), Address(1, 1, "+46701234567")),
        ("46701234567", AddressRule(format="as-given"), Address(1, 1, "46701234567")),
        ("72345", AddressRule(), Address(3, 0, "72345")),
        ("723456", AddressRule(), Address(3, 0, "723456")),
        ("7234567", AddressRule(), Address(1, 1, "7234567")),
        ("72345", AddressRule(format="plus"), Address(3, 0, "72345")),
        ("72345", AddressRule(short_code=0), Address(1, 1, "72345")),
        ("72345678", AddressRule(short_code=8), Address(3, 0, "72345678")),
        ("+12345", AddressRule(), Address(1, 1, "12345")),
        ("0701234567", AddressRule(), Address(0, 1, "0701234567")),
        ("0701234567", AddressRule(format="plus"), Address(0, 1, "0701234567")),
        ("ACME", AddressRule(), Address(5, 0, "ACME")),
        ("ACME Söder", AddressRule(), Address(5, 0, "ACME Söder")),
        ("A+1", AddressRule(format="plus"), Address(5, 0, "A+1")),
        ("1234x", AddressRule(), Address(5, 0, "1234x")),
        ("+46701234567", AddressRule(ton=2, npi=8), Address(2, 8, "46701234567")),
        ("72345", AddressRule(ton=6), Address(6, 0, "72345")),
        ("ACME", AddressRule(npi=1), Address(5, 1, "ACME")),
        ("1" * 20, AddressRule(), Address(1, 1, "1" * 20)),
    ],
)
def test_address(number: str, rule: AddressRule, expected: Address) -> None:
    assert address(number, rule) == expected


@pytest.mark.parametrize(
    ("number", "rule", "problem"),
    [
        ("ACME Limited", AddressRule(), "12 characters; an alphanumeric sender has at most 11"),
        ("1" * 21, AddressRule(), "21 characters; an address has at most 20"),
        ("1" * 20, AddressRule(format="plus"), "21 characters"),
        ("ΑΒΓ", AddressRule(), "a character that an address can't hold"),
        ("A\0B", AddressRule(), "a character that an address can't hold"),
        ("١٢٣", AddressRule(), "a character that an address can't hold"),
    ],
)
def test_an_address_that_can_not_be_written(number: str, rule: AddressRule, problem: str) -> None:
    with pytest.raises(EncodeError, match=problem) as caught:
        address(number, rule, "source_addr")
    assert caught.value.field == "source_addr"
    assert number not in str(caught.value)


def test_an_addresss_repr_is_masked() -> None:
    assert repr(Address(1, 1, "46701234567")) == "<Address 1/1 ...567>"


# submit_sm


def test_a_plain_message() -> None:
    assert composed() == SubmitSm(
        source_addr_ton=5,
        source_addr="ACME",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr="46701234567",
        registered_delivery=1,
        short_message=b"hi",
    )


def test_without_a_sender() -> None:
    pdu = composed(source=None)
    assert (pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr) == (0, 0, "")


@pytest.mark.parametrize(("mode", "value"), [("none", 0x00), ("final", 0x01), ("all", 0x11)])
def test_receipts_asked_for(mode: str, value: int) -> None:
    assert composed(submission(receipt=mode)).registered_delivery == value


@pytest.mark.parametrize(
    ("encoding", "flash", "data_coding"),
    [
        ("gsm7", False, 0x00),
        ("latin1", False, 0x03),
        ("binary", False, 0x04),
        ("ucs2", False, 0x08),
        ("gsm7", True, 0xF0),
        ("latin1", True, 0x03),
        ("binary", True, 0xF4),
        ("ucs2", True, 0x18),
    ],
)
def test_data_coding(encoding: Encoding, flash: bool, data_coding: int) -> None:
    pdu = composed(submission(flash=flash), encoding=encoding)
    assert pdu.data_coding == data_coding
    assert pdu.tlv(Tag.DEST_ADDR_SUBUNIT) == (1 if flash and encoding == "latin1" else None)


def test_data_coding_of_a_dialect() -> None:
    dialect = Dialect(data_coding=DataCodings(gsm7=1), flash=DataCodings(gsm7=0x10))
    assert composed(dialect=dialect).data_coding == 1
    assert composed(submission(flash=True), dialect=dialect).data_coding == 0x10


@pytest.mark.parametrize(
    ("validity", "deadline", "written"),
    [
        ("relative", None, ""),
        ("relative", NOW + 90.5, "000000000131000R"),
        ("relative", NOW - 5, "000000000001000R"),
        ("absolute", NOW + 90.5, "261123201630500+"),
        ("none", NOW + 90.5, ""),
    ],
)
def test_validity_period(validity: Any, deadline: float | None, written: str) -> None:
    assert composed(submission(deadline), dialect=Dialect(validity=validity)).validity_period == written


def test_overrides_win() -> None:
    raw = SmppOverrides(
        service_type="WAP",
        protocol_id=0x41,
        data_coding=0xF5,
        esm_class=0x40,
        tlvs={"0x1400": "cafe", "0x20A": ""},
    )
    pdu = composed(submission(smpp=raw, flash=True), dialect=Dialect(service_type="CMT"))
    assert (pdu.service_type, pdu.protocol_id, pdu.data_coding, pdu.esm_class) == ("WAP", 0x41, 0xF5, 0x40)
    assert pdu.tlvs == ((0x1400, b"\xca\xfe"), (0x020A, b""))


def test_overrides_may_be_zero_or_empty() -> None:
    raw = SmppOverrides(service_type="", data_coding=0, esm_class=0)
    pdu = composed(submission(smpp=raw), encoding="ucs2", dialect=Dialect(service_type="CMT"))
    assert (pdu.service_type, pdu.data_coding, pdu.esm_class) == ("", 0, 0)


@pytest.mark.parametrize("esm_class", [0x00, 0x03, 0x40])
def test_an_override_can_not_deny_a_header(esm_class: int) -> None:
    """Without the indicator the phone would show the header as text."""
    raw = SmppOverrides(esm_class=esm_class)
    assert composed(submission(smpp=raw), udhi=True).esm_class == esm_class | 0x40


def test_the_dialects_service_type() -> None:
    assert composed(dialect=Dialect(service_type="CMT")).service_type == "CMT"


def test_a_header_is_marked() -> None:
    header = b"\x05\0\x03\x07\x02\x01"
    assert composed(octets=header + b"hi", udhi=True).esm_class == 0x40
    data = submission(text=None, data=b"x", udh="06050415810000")
    octets = b"\x06\x05\x04\x15\x81\0\0x"
    assert composed(data, octets=octets, encoding="binary", udhi=True).esm_class == 0x40


def test_a_payload_goes_into_its_tlv_before_all_others() -> None:
    tlvs = ((int(Tag.SAR_MSG_REF_NUM), 7),)
    pdu = composed(
        submission(smpp=SmppOverrides(tlvs={"0x1400": "01"})), b"x" * 1000, payload=True, tlvs=tlvs
    )
    assert pdu.short_message == b""
    assert pdu.tlvs == ((Tag.MESSAGE_PAYLOAD, b"x" * 1000), *tlvs, (0x1400, b"\x01"))


@pytest.mark.parametrize("length", [255, 1000])
def test_too_many_octets_are_refused(length: int) -> None:
    with pytest.raises(Misuse, match=f"short_message: {length} octets; it holds at most 254"):
        composed(octets=bytes(length))


def test_a_sender_that_is_too_long_is_refused() -> None:
    with pytest.raises(EncodeError) as caught:
        composed(source="ACME Limited")
    assert caught.value.field == "source_addr"


@given(
    octets=st.binary(max_size=254),
    encoding=st.sampled_from(["gsm7", "ucs2", "latin1", "binary"]),
    source=st.none() | st.from_regex(r"\A(\+?[0-9]{1,19}|[A-Za-z ]{1,11})\Z"),
    receipt=st.sampled_from(["none", "final", "all"]),
    life=st.none() | st.floats(-10, 1e9),
    flash=st.booleans(),
    validity=st.sampled_from(["relative", "absolute"]),
)
def test_whatever_is_composed_can_be_written(
    octets: bytes,
    encoding: Encoding,
    source: str | None,
    receipt: str,
    life: float | None,
    flash: bool,
    validity: Any,
) -> None:
    sub = submission(None if life is None else NOW + life, receipt=receipt, flash=flash)
    pdu = composed(sub, octets, encoding, source, Dialect(validity=validity))
    assert decode(encode(pdu)) == pdu
