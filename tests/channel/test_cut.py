"""Messages as the submit_sm of their parts: what a channel's settings make of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.channel.cut import Cut, SmppCutter
from smsgw.channel_settings import SmppSettings
from smsgw.message import Message, SmppOverrides, Submission
from smsgw.outcome import Later, Part, Progress, Refused
from smsgw.smpp.constants import Tag
from smsgw.smpp.dialect import Dialect
from smsgw.smpp.pdu import SubmitSm, decode, encode
from smsgw.sms import join, udh
from tests.sms.strategies import TEXTS

NOW = 1_700_000_000.0
LONG = "0123456789" * 40  # three parts


def cutter(**settings: Any) -> SmppCutter:
    return SmppCutter(
        SmppSettings(endpoint="tcp:192.0.2.1:2775", system_id="acme", **settings), "acme", lambda: 0.5
    )


def submission(
    text: str | None = "hi", progress: Progress | None = None, *, name: str = "m1", **fields: Any
) -> Submission:
    message = Message(**{"to": "46700000001", "text": text, **fields})
    return Submission(id=name, message=message, made=NOW, progress=progress)


def cut(submission: Submission, **settings: Any) -> Cut:
    found = cutter(**settings).cut(submission)
    assert isinstance(found, Cut), found
    return found


def pdus(submission: Submission, **settings: Any) -> list[SubmitSm]:
    maker = cutter(**settings)
    found = maker.cut(submission)
    assert isinstance(found, Cut), found
    made = []
    for part in found.parts:
        pdu = maker.submit_sm(submission, part, NOW)
        assert isinstance(pdu, SubmitSm), pdu
        read = decode(encode(pdu, 1))
        assert isinstance(read, SubmitSm)
        made.append(read)
    return made


def reference(pdu: SubmitSm) -> udh.Concatenation:
    found = udh.concatenation(udh.parse(pdu.short_message).elements)
    assert found is not None
    return found


def test_a_short_text_is_one_part_without_a_header() -> None:
    (pdu,) = pdus(submission())
    assert (pdu.short_message, pdu.esm_class, pdu.data_coding, pdu.tlvs) == (b"hi", 0, 0, ())


@pytest.mark.parametrize(("form", "wide"), [("udh", False), ("udh16", True)])
def test_a_long_text_has_headers(form: Any, wide: bool) -> None:
    made = pdus(submission(LONG), dialect=Dialect(long_messages=form))
    assert [pdu.esm_class for pdu in made] == [0x40] * 3
    value = 0x8000 if wide else 0x00
    assert [reference(pdu) for pdu in made] == [udh.Concatenation(value, 3, n, wide) for n in (1, 2, 3)]
    size = 7 if wide else 6
    assert b"".join(pdu.short_message[size:] for pdu in made).decode() == LONG


def test_sar_numbers_the_parts_in_tlvs() -> None:
    made = pdus(submission(LONG), dialect=Dialect(long_messages="sar"))
    assert [pdu.esm_class for pdu in made] == [0] * 3
    assert [
        (
            pdu.tlv(Tag.SAR_MSG_REF_NUM),
            pdu.tlv(Tag.SAR_TOTAL_SEGMENTS),
            pdu.tlv(Tag.SAR_SEGMENT_SEQNUM),
        )
        for pdu in made
    ] == [(0x8000, 3, number) for number in (1, 2, 3)]
    assert b"".join(pdu.short_message for pdu in made).decode() == LONG


def test_a_payload_is_one_pdu_of_several_parts() -> None:
    found = cut(submission(LONG), dialect=Dialect(long_messages="payload"))
    assert (len(found.parts), found.on_air) == (1, 3)
    (pdu,) = pdus(submission(LONG), dialect=Dialect(long_messages="payload"))
    assert (pdu.short_message, pdu.tlv(Tag.MESSAGE_PAYLOAD)) == (b"", LONG.encode())


@given(TEXTS.filter(bool), st.sampled_from(["udh", "udh16", "sar", "payload"]))
def test_what_is_cut_can_be_joined(text: str, form: Any) -> None:
    found = cutter(max_parts=255, dialect=Dialect(long_messages=form)).cut(submission(text))
    assert not isinstance(found, Refused)
    fragments = []
    for pdu in pdus(submission(text), max_parts=255, dialect=Dialect(long_messages=form)):
        payload = pdu.tlv(Tag.MESSAGE_PAYLOAD)
        octets = payload if isinstance(payload, bytes) else pdu.short_message
        sar = pdu.tlv(Tag.SAR_MSG_REF_NUM)
        fragments.append(
            join.read(
                octets,
                "ucs2" if pdu.data_coding == 8 else "gsm7",
                has_header=bool(pdu.esm_class & 0x40),
                sar=None
                if sar is None
                else join.Sar(
                    int(sar),  # type: ignore[arg-type]
                    int(pdu.tlv(Tag.SAR_TOTAL_SEGMENTS)),  # type: ignore[arg-type]
                    int(pdu.tlv(Tag.SAR_SEGMENT_SEQNUM)),  # type: ignore[arg-type]
                ),
            )
        )
    joined = join.join(reversed(fragments))
    assert (joined.text, joined.complete) == (text, True)


def test_packed_septets_begin_on_a_septet_behind_the_header() -> None:
    made = pdus(submission(LONG), dialect=Dialect(default_alphabet="gsm7-packed"))
    assert [len(pdu.short_message) for pdu in made] == [140, 140, 6 + 83]
    fragments = [join.read(pdu.short_message, "gsm7-packed", has_header=True) for pdu in made]
    assert join.join(fragments).text == LONG
    (pdu,) = pdus(submission("@" * 8), dialect=Dialect(default_alphabet="gsm7-packed"))
    assert pdu.short_message == bytes(7)


# -- references


def test_the_reference_counts_for_each_recipient_and_only_for_long_messages() -> None:
    maker = cutter()
    used = []
    for number, (text, to) in enumerate(((LONG, "1"), ("hi", "1"), (LONG, "1"), (LONG, "2"))):
        found = maker.cut(submission(text, to=to, name=f"m{number}"))
        assert isinstance(found, Cut)
        used.append(found.parts[0].reference)
    assert used == [0, None, 1, 0]


def test_a_message_of_which_nothing_is_known_to_be_taken_keeps_its_reference() -> None:
    maker = cutter()
    first = maker.cut(submission(LONG))
    assert maker.cut(submission(LONG)) == first, "the phone may have its first part"
    assert maker.cut(submission(LONG, name="m2")) != first


# -- going on where an attempt was broken off


def broken_off(maker: SmppCutter, text: str, taken: int) -> tuple[Cut, Progress]:
    found = maker.cut(submission(text))
    assert isinstance(found, Cut)
    later = found.broken_off(Later("busy"), "acme", [Part(f"A{n}") for n in range(taken)])
    assert later.progress is not None
    assert later.on_air == len(found.parts)
    return found, later.progress


def test_another_attempt_goes_on_behind_what_was_taken() -> None:
    maker = cutter()
    first, progress = broken_off(maker, LONG, 2)
    maker.cut(submission(LONG, name="m2"))  # another message to the same phone has taken the next reference
    again = maker.cut(submission(LONG, progress))
    assert isinstance(again, Cut)
    assert again.taken == ("A0", "A1")
    assert again.parts == first.parts, "with the same reference, or the phone could not join them"


def test_what_was_not_taken_at_all_has_no_progress() -> None:
    found = cut(submission(LONG))
    assert found.broken_off(Later("busy"), "acme", []) == Later("busy", on_air=3)


@pytest.mark.parametrize(
    ("settings", "account", "text"),
    [
        ({"dialect": Dialect(long_messages="udh16")}, "acme", LONG),
        ({"dialect": Dialect(data_coding=Dialect().data_coding, long_messages="sar")}, "acme", LONG),
        ({}, "other", LONG),
        ({}, "acme", LONG + "."),
    ],
)
def test_what_is_cut_otherwise_now_or_went_elsewhere_starts_again(
    settings: dict[str, Any], account: str, text: str
) -> None:
    _, progress = broken_off(cutter(), LONG, 2)
    progress = Progress(account, progress.reference, progress.parts, progress.digest, progress.ids)
    again = cut(submission(text, progress), **settings)
    assert again.taken == ()


# -- limits


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"text": "x" * 307}, "3 parts"),
        ({"text": None, "data": bytes(269)}, "3 parts"),
        ({"text": None, "data": b"x", "udh": "05"}, "udh: a user data header"),
        ({"text": None, "data": b"x", "udh": "00ff"}, "udh: octets after"),
        ({"text": "x", "udh": "0500030702"}, "udh"),
        ({"text": "x", "udh": "00ff"}, "udh"),
        ({"text": None, "data": bytes(136), "udh": "0500030702" + "01"}, "at most 140"),
        ({"text": "x" * 154, "udh": "050003070201"}, "udh: its header says that the text is one part"),
        ({"text": "\u20ac\u0107", "encoding": "gsm7"}, "character 2"),
        ({"text": "\u20ac", "encoding": "latin1"}, "character 1"),
        ({"text": "half a pair: \ud800"}, "surrogate"),
    ],
)
def test_refused_with_a_reason(fields: dict[str, Any], word: str) -> None:
    found = cutter(max_parts=2).cut(submission(**fields))
    assert isinstance(found, Refused)
    assert word in found.error


def test_the_limit_is_the_channels() -> None:
    assert isinstance(cutter(max_parts=3).cut(submission(LONG)), Cut)
    assert isinstance(cutter(max_parts=2).cut(submission(LONG)), Refused)


# -- the channel's alphabets


def test_national_tables_only_where_the_channel_allows_them() -> None:
    turkish = "\u015f" * 100
    assert len(cut(submission(turkish)).parts) == 2
    found = cut(submission(turkish), languages=("turkish",))
    (part,) = found.parts
    assert part.encoding == "gsm7"
    assert udh.shifts(udh.parse(part.udh).elements) == (1, 0)
    (pdu,) = pdus(submission(turkish), languages=("turkish",))
    assert pdu.esm_class == 0x40


@pytest.mark.parametrize(
    ("scope", "text", "encoding", "replaced"),
    [
        ("off", "\u201chi\u201d", "ucs2", 0),
        ("typography", "\u201chi\u201d", "gsm7", 2),
        ("typography", "\u0416", "ucs2", 0),
        ("full", "\u0416", "gsm7", 1),
        ("full", "plain", "gsm7", 0),
    ],
)
def test_what_is_replaced_is_counted(scope: Any, text: str, encoding: str, replaced: int) -> None:
    found = cut(submission(text), transliterate=scope)
    assert (found.parts[0].encoding, found.transliterated) == (encoding, replaced)


def test_a_text_that_is_to_be_ucs2_is_left_as_it_is() -> None:
    found = cut(submission("\u201chi\u201d", encoding="ucs2"), transliterate="full")
    assert (found.parts[0].payload, found.transliterated) == ("\u201chi\u201d".encode("utf-16-be"), 0)


# -- binary, ports, classes, raw values


def test_binary_data_with_a_port_header() -> None:
    (pdu,) = pdus(submission(None, data=b"\x01\x02", udh="06050423f40000"))
    assert (pdu.data_coding, pdu.esm_class) == (4, 0x40)
    assert pdu.short_message == bytes.fromhex("06050423f40000") + b"\x01\x02"


def test_long_binary_data_keeps_its_ports_in_every_part() -> None:
    data = bytes(range(256)) * 2
    made = pdus(submission(None, data=data, udh="06050423f40000"))
    assert len(made) == 4
    headers = [udh.parse(pdu.short_message) for pdu in made]
    assert {udh.ports(header.elements) for header in headers} == {udh.Ports(9204, 0)}
    assert [reference(pdu).number for pdu in made] == [1, 2, 3, 4]
    assert b"".join(pdu.short_message[h.length :] for pdu, h in zip(made, headers, strict=True)) == data
    assert all(len(pdu.short_message) <= 140 for pdu in made)


def test_a_text_may_have_a_port_header_too() -> None:
    (pdu,) = pdus(submission("hi", udh="06050423f40000"))
    assert (pdu.short_message, pdu.esm_class) == (bytes.fromhex("06050423f40000") + b"hi", 0x40)


def test_a_part_that_the_producer_cut_stays_one_part() -> None:
    (pdu,) = pdus(submission("x" * 153, udh="050003070201"))
    assert pdu.short_message == bytes.fromhex("050003070201") + b"x" * 153


@pytest.mark.parametrize(("text", "data_coding"), [("hi", 0xF0), ("\u0416", 0x18)])
def test_flash_goes_into_every_part(text: str, data_coding: int) -> None:
    assert {pdu.data_coding for pdu in pdus(submission(text * 200, flash=True))} == {data_coding}


def test_raw_values_go_into_every_part() -> None:
    raw = SmppOverrides(protocol_id=0x41, data_coding=0xF1, esm_class=0x03, tlvs={"0x1400": "00ff"})
    for pdu in pdus(submission(LONG, smpp=raw)):
        assert (pdu.protocol_id, pdu.data_coding, pdu.esm_class) == (0x41, 0xF1, 0x43)
        assert pdu.tlvs == ((0x1400, b"\x00\xff"),)


def test_the_deadline_is_counted_when_a_part_leaves() -> None:
    maker = cutter()
    message = Message(to="46700000001", text="hi")
    waiting = Submission(id="m1", message=message, made=NOW, deadline=NOW + 60)
    found = maker.cut(waiting)
    assert isinstance(found, Cut)
    early, late = (maker.submit_sm(waiting, found.parts[0], NOW + wait) for wait in (0, 50))
    assert isinstance(early, SubmitSm)
    assert isinstance(late, SubmitSm)
    assert (early.validity_period, late.validity_period) == ("000000000100000R", "000000000010000R")


def test_what_shows_only_in_the_pdu_is_refused_too() -> None:
    maker = cutter()
    waiting = submission(from_="LONGERTHANELEVEN")
    found = maker.cut(waiting)
    assert isinstance(found, Cut)
    assert isinstance(maker.submit_sm(waiting, found.parts[0], NOW), Refused)
