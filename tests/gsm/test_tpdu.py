"""TPDUs: known vectors, round trips, and octets that are none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.gsm.addresses import Address, Npi, Ton, address
from smsgw.gsm.messages import fragment, submit
from smsgw.gsm.status import Status
from smsgw.gsm.times import LONGEST, Enhanced, Relative, Timestamp, enhanced, relative, timestamp
from smsgw.gsm.tpdu import (
    Command,
    Deliver,
    DeliverReport,
    EncodeError,
    Sender,
    StatusReport,
    Submit,
    SubmitReport,
    Tpdu,
    TpduError,
    UserData,
    decode,
    encode,
    from_hex,
    to_hex,
)
from smsgw.sms import join
from smsgw.sms.coding import Coding, choose
from smsgw.sms.coding_scheme import Scheme, octet_of, scheme
from smsgw.sms.split import Part, split, split_data
from tests.gsm.strategies import ADDRESSES, FROM_PHONE, FROM_SC, MOMENTS
from tests.sms.strategies import DATA, TEXTS

SENDERS: tuple[Sender, ...] = ("sc", "phone")
ZONE = timezone(timedelta(hours=-4))
EMPTY = Deliver(originator=Address("46701234567"), timestamp=Timestamp(bytes(7)))


def test_deliver() -> None:
    """The vector that every description of PDU mode begins with."""
    line = "07917283010010F5040BC87238880900F10000993092516195800AE8329BFD4697D9EC37"
    pdu = from_hex(line, 28, "sc")
    assert pdu.smsc == Address("27381000015")
    assert isinstance(pdu.tpdu, Deliver)
    assert pdu.tpdu.originator == Address("27838890001", Ton.SUBSCRIBER, Npi.NATIONAL)
    assert pdu.tpdu.timestamp.octets.hex() == "99309251619580"
    assert join.join([fragment(pdu.tpdu)]).text == "hellohello"
    assert to_hex(pdu.tpdu, pdu.smsc) == (line, 28)


def test_submit() -> None:
    line = "0011000B916407281553F80000AA0AE8329BFD4697D9EC37"
    pdu = from_hex(line, 23, "phone")
    assert pdu.smsc is None
    assert pdu.tpdu == Submit(
        destination=Address("46708251358"),
        validity=Relative(0xAA),
        data=UserData(10, bytes.fromhex("E8329BFD4697D9EC37")),
    )
    assert pdu.tpdu.validity is not None
    assert Relative(0xAA).seconds == 4 * 86400
    assert to_hex(pdu.tpdu) == (line, 23)
    assert from_hex(line[2:], 23, "phone") == pdu


@pytest.mark.parametrize(
    ("octets", "tpdu"),
    [
        pytest.param(
            "06 45 0b 91 6407214365f7 62113202515240 62113202611240 00",
            StatusReport(
                reference=0x45,
                recipient=Address("46701234567"),
                timestamp=timestamp(datetime(2026, 11, 23, 20, 15, 25, tzinfo=timezone(timedelta(hours=1)))),
                discharged=timestamp(datetime(2026, 11, 23, 20, 16, 21, tzinfo=timezone(timedelta(hours=1)))),
                status=Status(0),
            ),
            id="status report",
        ),
        pytest.param(
            "26 45 05 a1 2143f5 62113202515204 62113202611204 46 07 00 08 04 00680069",
            StatusReport(
                reference=0x45,
                recipient=Address("12345", Ton.NATIONAL),
                timestamp=Timestamp(bytes.fromhex("62113202515204")),
                discharged=Timestamp(bytes.fromhex("62113202611204")),
                status=Status(0x46),
                protocol=0,
                coding=8,
                data=UserData(4, bytes.fromhex("00680069")),
                of_command=True,
            ),
            id="status report with all parameters",
        ),
    ],
)
def test_status_reports(octets: str, tpdu: StatusReport) -> None:
    raw = bytes.fromhex(octets)
    assert decode(raw, "sc") == tpdu
    assert encode(tpdu) == raw


@pytest.mark.parametrize(
    ("octets", "sender", "tpdu"),
    [
        ("01 00 62113202515200", "sc", SubmitReport(timestamp=Timestamp(bytes.fromhex("62113202515200")))),
        (
            "01 c5 01 62113202515200 41",
            "sc",
            SubmitReport(cause=0xC5, timestamp=Timestamp(bytes.fromhex("62113202515200")), protocol=0x41),
        ),
        ("00 00", "phone", DeliverReport()),
        ("00 d3 00", "phone", DeliverReport(cause=0xD3)),
        ("40 06 f6 01 aa", "phone", DeliverReport(coding=0xF6, data=UserData(1, b"\xaa"), has_header=True)),
        (
            "22 07 00 02 45 0b 91 6407214365f7 00",
            "phone",
            Command(destination=Address("46701234567"), kind=2, reference=7, number=0x45, status_report=True),
        ),
    ],
)
def test_reports_and_commands(octets: str, sender: Sender, tpdu: Tpdu) -> None:
    raw = bytes.fromhex(octets)
    assert decode(raw, sender) == tpdu
    assert encode(tpdu) == raw


@pytest.mark.parametrize(
    ("value", "ton", "npi", "octets"),
    [
        ("46701234567", Ton.INTERNATIONAL, Npi.ISDN, "0b916407214365f7"),
        ("4670123456", Ton.INTERNATIONAL, Npi.ISDN, "0a916407214365"),
        ("*100#", Ton.UNKNOWN, Npi.ISDN, "0581 1a 00 fb"),
        ("0123456789*#abc", Ton.UNKNOWN, Npi.UNKNOWN, "0f80 1032547698badcfe"),
        ("ACME", Ton.ALPHANUMERIC, Npi.UNKNOWN, "07d0 c161b308"),
        ("Design@Home", Ton.ALPHANUMERIC, Npi.UNKNOWN, "14d0 c4f23c7d760390ef7619"),
        ("", Ton.UNKNOWN, Npi.ISDN, "0081"),
    ],
)
def test_addresses(value: str, ton: int, npi: int, octets: str) -> None:
    """The name with the commercial at is of clause 9.1.2.5."""
    tpdu = Submit(destination=Address(value, ton, npi))
    raw = bytes.fromhex(octets)
    assert encode(tpdu)[2 : 2 + len(raw)] == raw
    assert decode(encode(tpdu), "phone") == tpdu


@pytest.mark.parametrize(
    ("number", "found"),
    [
        ("+46701234567", Address("46701234567")),
        ("1234", Address("1234", Ton.UNKNOWN)),
        ("*100#", Address("*100#", Ton.UNKNOWN)),
        ("ACME", Address("ACME", Ton.ALPHANUMERIC, Npi.UNKNOWN)),
    ],
)
def test_address_of_what_people_write(number: str, found: Address) -> None:
    assert address(number) == found
    assert found.number == number


@pytest.mark.parametrize("number", ["1" * 21, "TwelveLetters", "ж"])
def test_address_that_does_not_fit(number: str) -> None:
    with pytest.raises(EncodeError, match=r"^address"):
        address(number)


def test_address_repr_is_masked() -> None:
    assert "4670123" not in repr(Address("46701234567"))


@given(MOMENTS)
def test_timestamps(moment: datetime) -> None:
    found = timestamp(moment)
    assert found.moment == moment
    assert found.moment is not None
    assert found.moment.utcoffset() == moment.utcoffset()
    assert found.problem is None


@pytest.mark.parametrize(
    ("octets", "moment"),
    [
        ("62113202515200", datetime(2026, 11, 23, 20, 15, 25, tzinfo=UTC)),
        ("62113202515261", datetime(2026, 11, 23, 20, 15, 25, tzinfo=timezone(timedelta(hours=4)))),
        ("62113202515269", datetime(2026, 11, 23, 20, 15, 25, tzinfo=ZONE)),
    ],
)
def test_time_zones(octets: str, moment: datetime) -> None:
    found = Timestamp(bytes.fromhex(octets))
    assert found.moment == moment
    assert found.moment.utcoffset() == moment.utcoffset()
    assert timestamp(moment) == found


@pytest.mark.parametrize("octets", ["6f113202515200", "62313202515200", "00000000000000", "ffffffffffffff"])
def test_times_that_make_no_sense_are_kept(octets: str) -> None:
    found = Timestamp(bytes.fromhex(octets))
    assert found.moment is None
    assert found.problem
    tpdu = Deliver(originator=Address("1"), timestamp=found)
    assert decode(encode(tpdu), "sc") == tpdu


@pytest.mark.parametrize(
    ("moment", "problem"),
    [
        (datetime(2026, 1, 1), "with a time zone"),
        (datetime(1999, 1, 1, tzinfo=UTC), "1999"),
        (datetime(2026, 1, 1, tzinfo=timezone(timedelta(minutes=5))), "quarters"),
    ],
)
def test_times_that_cannot_be_written(moment: datetime, problem: str) -> None:
    with pytest.raises(EncodeError, match=problem):
        timestamp(moment)


@pytest.mark.parametrize(
    ("octet", "seconds"),
    [
        (0, 300),
        (143, 43200),
        (144, 43200 + 1800),
        (167, 86400),
        (168, 2 * 86400),
        (196, 30 * 86400),
        (197, 35 * 86400),
        (255, LONGEST),
    ],
)
def test_relative_validity(octet: int, seconds: int) -> None:
    assert Relative(octet).seconds == seconds
    assert relative(seconds) == Relative(octet)


@given(st.floats(0, 2 * LONGEST))
def test_relative_validity_is_never_shorter(seconds: float) -> None:
    found = relative(seconds)
    assert found.seconds >= min(seconds, LONGEST)
    assert found.octet == 0 or Relative(found.octet - 1).seconds < seconds


@pytest.mark.parametrize(
    ("validity", "octets", "seconds"),
    [
        (enhanced(), "00000000000000", None),
        (enhanced(single_shot=True), "40000000000000", None),
        (enhanced(90), "025a0000000000", 90),
        (enhanced(3661), "03101010000000", 3661),
        (enhanced(8 * 86400), "01ae0000000000", 8 * 86400),
        (Enhanced(bytes.fromhex("8203050000 0000")), "82030500000000", 5),
        (Enhanced(bytes.fromhex("07000000000000")), "07000000000000", None),
        (Enhanced(bytes.fromhex("03ffffff000000")), "03ffffff000000", None),
        (Enhanced(b"\xff" * 7), "ff" * 7, None),
    ],
)
def test_enhanced_validity(validity: Enhanced, octets: str, seconds: int | None) -> None:
    assert validity.octets.hex() == octets
    assert validity.seconds == seconds
    assert validity.single_shot is (validity.octets[0] & 0x40 > 0)


@pytest.mark.parametrize(
    ("octet", "found"),
    [
        (0x00, Scheme("gsm7")),
        (0x04, Scheme("binary")),
        (0x08, Scheme("ucs2")),
        (0x0C, Scheme("gsm7")),
        (0x03, Scheme("gsm7")),
        (0x10, Scheme("gsm7", message_class=0)),
        (0x18, Scheme("ucs2", message_class=0)),
        (0x20, Scheme("binary", compressed=True)),
        (0x48, Scheme("ucs2", delete=True)),
        (0x80, Scheme("gsm7")),
        (0xC8, Scheme("gsm7", waiting="voice", active=True, discard=True)),
        (0xD1, Scheme("gsm7", waiting="fax")),
        (0xEA, Scheme("ucs2", waiting="email", active=True)),
        (0xF0, Scheme("gsm7", message_class=0)),
        (0xF5, Scheme("binary", message_class=1)),
    ],
)
def test_coding_schemes(octet: int, found: Scheme) -> None:
    assert scheme(octet) == found


@pytest.mark.parametrize("flash", [False, True])
@pytest.mark.parametrize("encoding", ["gsm7", "ucs2", "binary"])
def test_coding_schemes_are_read_as_written(encoding: str, flash: bool) -> None:
    octet = octet_of(encoding, flash=flash)  # type: ignore[arg-type]
    assert octet is not None
    assert scheme(octet).charset == encoding
    assert scheme(octet).message_class == (0 if flash else None)


@pytest.mark.parametrize(
    ("code", "state", "name"),
    [
        (0x00, "delivered", "received by the SME"),
        (0x01, "delivered", "forwarded to the SME, delivery can't be confirmed"),
        (0x02, "undelivered", "replaced by the SC"),
        (0x1F, "delivered", "SC specific 0x1f"),
        (0x20, "buffered", "congestion, still trying"),
        (0x3F, "buffered", "SC specific 0x3f"),
        (0x46, "undelivered", "validity period expired"),
        (0x4F, "undelivered", "reserved 0x4f"),
        (0x62, "undelivered", "no response from SME, no longer trying"),
        (0xFF, "undelivered", "reserved 0xff"),
    ],
)
def test_statuses(code: int, state: str, name: str) -> None:
    assert (Status(code).state, Status(code).name) == (state, name)
    assert Status(code).final is (state != "buffered")


# -- both ways


@given(FROM_SC)
def test_round_trip_from_sc(tpdu: Tpdu) -> None:
    assert decode(encode(tpdu), "sc") == tpdu


@given(FROM_PHONE)
def test_round_trip_from_phone(tpdu: Tpdu) -> None:
    assert decode(encode(tpdu), "phone") == tpdu


@given(FROM_SC, st.none() | ADDRESSES.filter(lambda found: found.ton != Ton.ALPHANUMERIC and found.value))
def test_round_trip_in_hex(tpdu: Tpdu, smsc: Address | None) -> None:
    line, length = to_hex(tpdu, smsc)
    found = from_hex(line.lower() + "\r", length, "sc")
    assert (found.tpdu, found.smsc) == (tpdu, smsc)
    assert from_hex(line, None, "sc") == found


# -- octets that are no TPDU


@given(FROM_SC | FROM_PHONE)
def test_cut_short(tpdu: Tpdu) -> None:
    octets = encode(tpdu)
    for sender in SENDERS:
        for end in range(len(octets)):
            try:
                decode(octets[:end], sender)
            except TpduError as error:
                assert 0 <= error.offset <= end
                assert error.field in str(error)


@given(FROM_PHONE)
def test_cut_short_is_an_error(tpdu: Tpdu) -> None:
    octets = encode(tpdu)
    with pytest.raises(TpduError):
        decode(octets[:-1], "phone")


@given(st.binary(max_size=200))
def test_garbage(octets: bytes) -> None:
    """Nothing but our own error; what is read has a fragment, whatever it says."""
    for sender in SENDERS:
        try:
            found = decode(octets, sender)
        except TpduError:
            continue
        if isinstance(found, Deliver | Submit):
            join.join([fragment(found)])


@given(st.text(max_size=60), st.none() | st.integers(0, 40))
def test_garbage_lines(line: str, length: int | None) -> None:
    for sender in SENDERS:
        try:
            from_hex(line, length, sender)
        except TpduError:
            continue


@pytest.mark.parametrize(
    ("octets", "sender", "told"),
    [
        ("", "sc", "TPDU: first octet at octet 0: needs 1 octet(s), 0 are left"),
        ("03", "phone", "TPDU: first octet at octet 0: message type 3 is reserved"),
        ("04", "sc", "SMS-DELIVER: originator.length at octet 1: needs 1 octet(s), 0 are left"),
        ("04 15", "sc", "SMS-DELIVER: originator.length at octet 1: 21 semi-octets; at most 20 fit"),
        ("04 0b 91 64", "sc", "SMS-DELIVER: originator.digits at octet 3: needs 6 octet(s), 1 are left"),
        (
            "04 02 91 64 00 08 62113202515200 04 0068",
            "sc",
            "SMS-DELIVER: data at octet 14: needs 4 octet(s), 2 are left",
        ),
        ("11 00 02 91 64 00 08", "phone", "SMS-SUBMIT: validity at octet 7: needs 1 octet(s), 0 are left"),
        ("02 07 02", "sc", "SMS-STATUS-REPORT: recipient.type at octet 3: needs 1 octet(s), 0 are left"),
    ],
)
def test_errors_say_where(octets: str, sender: Sender, told: str) -> None:
    with pytest.raises(TpduError) as caught:
        decode(bytes.fromhex(octets), sender)
    assert str(caught.value) == told
    assert not caught.value.fatal


@pytest.mark.parametrize(
    ("tpdu", "field"),
    [
        (Submit(destination=Address("1" * 21)), "destination"),
        (Submit(destination=Address("12x")), "destination.digits"),
        (Submit(destination=Address("ж", Ton.ALPHANUMERIC)), "destination.text"),
        (Submit(destination=Address("1", 8)), "destination.ton"),
        (Submit(destination=Address("1"), reference=256), "reference"),
        (Submit(destination=Address("1"), validity=Relative(256)), "validity"),
        (Submit(destination=Address("1"), validity=Enhanced(b"")), "validity"),
        (Submit(destination=Address("1"), data=UserData(161, bytes(141))), "data.length"),
        (Submit(destination=Address("1"), data=UserData(2, b"")), "data"),
        (Deliver(originator=Address("1"), timestamp=Timestamp(b"")), "timestamp"),
        (Command(destination=Address("1"), kind=0, data=bytes(158)), "data"),
        (DeliverReport(cause=0x7F), "cause"),
    ],
)
def test_what_cannot_be_written(tpdu: Tpdu, field: str) -> None:
    with pytest.raises(EncodeError) as caught:
        encode(tpdu)
    assert caught.value.field == field


def test_octets_behind_the_end_are_ignored() -> None:
    assert decode(encode(EMPTY) + b"\xff\xff", "sc") == EMPTY


def test_the_reserved_type_is_read_as_deliver() -> None:
    octets = encode(EMPTY)
    assert decode(bytes((octets[0] | 3,)) + octets[1:], "sc") == EMPTY


def test_more_octets_of_parameter_indicator() -> None:
    assert decode(bytes.fromhex("00 d3 81 00 41"), "phone") == DeliverReport(cause=0xD3, protocol=0x41)


# -- parts and fragments


def received(tpdu: Submit) -> Deliver:
    """What the other phone gets."""
    sent = decode(encode(tpdu), "phone")
    assert isinstance(sent, Submit)
    deliver = Deliver(
        originator=Address("46701234567"),
        timestamp=Timestamp(bytes(7)),
        coding=sent.coding,
        data=sent.data,
        has_header=sent.has_header,
    )
    found = decode(encode(deliver), "sc")
    assert isinstance(found, Deliver)
    return found


@given(TEXTS, st.sampled_from(["udh", "udh16"]), st.sampled_from([(), (1, 2, 3)]))
def test_texts_arrive(text: str, form: str, languages: tuple[int, ...]) -> None:
    coding = choose(text, form=form, languages=languages)  # type: ignore[arg-type]
    assert isinstance(coding, Coding)
    parts = split(coding, reference=0x1234)
    fragments = [fragment(received(submit(part, Address("4670")))) for part in parts]
    joined = join.join(fragments)
    assert joined.complete
    assert joined.text == text
    assert {each.total for each in fragments} == {len(parts)}


@given(DATA)
def test_data_arrives(data: bytes) -> None:
    parts = split_data(data, reference=7)
    assert isinstance(parts, tuple)
    assert join.join([fragment(received(submit(part, Address("4670")))) for part in parts]).data == data


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (Part(payload=b"x", encoding="latin1"), "coding"),
        (Part(payload=b"x", encoding="gsm7", sar=True, total=2), "data"),
        (Part(payload=b"x", encoding="gsm7", whole=True), "data"),
    ],
)
def test_parts_that_are_not_for_the_air(part: Part, field: str) -> None:
    with pytest.raises(EncodeError) as caught:
        submit(part, Address("4670"))
    assert caught.value.field == field


def test_a_header_that_claims_too_much_is_text() -> None:
    tpdu = Deliver(
        originator=Address("1"),
        timestamp=Timestamp(bytes(7)),
        data=UserData(10, bytes.fromhex("E8329BFD4697D9EC37")),
        has_header=True,
    )
    found = fragment(tpdu)
    assert found.problem
    assert found.payload == b"hellohello"


def test_compressed_data_is_binary() -> None:
    tpdu = Deliver(
        originator=Address("1"), timestamp=Timestamp(bytes(7)), coding=0x20, data=UserData(2, b"ab")
    )
    assert fragment(tpdu).charset == "binary"
    assert fragment(tpdu).problem == "compressed data is not read"
