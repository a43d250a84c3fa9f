from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.errors import Misuse
from smsgw.sms import udh
from smsgw.sms.coding import Coding, Form, Impossible, choose
from smsgw.sms.packing import fill_bits, pack
from smsgw.sms.shift_tables import LANGUAGES
from smsgw.sms.split import Part, split, split_data
from smsgw.sms.udh import Concatenation
from tests.sms.strategies import DATA, TEXTS

FORMS: tuple[Form, ...] = ("udh", "udh16", "sar", "payload")
WIDEST = 7
"""Octets of the header that the SMSC makes where we make none."""


def parts_of(text: str, form: Form = "udh", reference: int | None = 1) -> tuple[Part, ...]:
    coding = choose(text, form=form)
    assert isinstance(coding, Coding)
    return split(coding, reference=reference)


def octets_on_air(part: Part) -> int:
    """Of a part as it is sent on; a header that the SMSC makes is counted at its largest."""
    header = len(part.udh) or (WIDEST if part.total > 1 else 0)
    if part.encoding != "gsm7":
        return header + len(part.payload)
    return header + len(pack(part.payload, fill_bits(header)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("text", "payload"),
    [("", b""), ("hej @", b"hej \x00"), ("€", b"\x1be"), ("ж", b"\x04\x36"), ("a" * 160, b"a" * 160)],
)
def test_what_fits_one_part_is_the_same_in_all_forms(form: Form, text: str, payload: bytes) -> None:
    (part,) = parts_of(text, form, reference=None)
    assert (part.udh, part.payload) == (b"", payload)
    assert (part.number, part.total, part.reference, part.sar, part.whole) == (1, 1, None, False, False)


def test_udh() -> None:
    parts = parts_of("a" * 161, "udh", 0x12A)
    assert [part.udh.hex() for part in parts] == ["0500032a0201", "0500032a0202"]
    assert [part.payload for part in parts] == [b"a" * 153, b"a" * 8]
    assert [(part.number, part.total, part.reference) for part in parts] == [(1, 2, 0x2A), (2, 2, 0x2A)]


def test_udh16() -> None:
    parts = parts_of("a" * 161, "udh16", 0x5012A)
    assert [part.udh.hex() for part in parts] == ["060804012a0201", "060804012a0202"]
    assert [len(part.payload) for part in parts] == [152, 9]
    assert parts[0].reference == 0x12A


def test_sar() -> None:
    parts = parts_of("a" * 161, "sar", 0x5012A)
    assert [(part.udh, part.sar) for part in parts] == [(b"", True), (b"", True)]
    assert [(part.number, part.total, part.reference) for part in parts] == [(1, 2, 0x12A), (2, 2, 0x12A)]


def test_payload() -> None:
    (part,) = parts_of("a" * 161, "payload", reference=None)
    assert part == Part(payload=b"a" * 161, encoding="gsm7", total=2, whole=True)


@pytest.mark.parametrize("form", ["udh", "udh16", "sar"])
def test_several_parts_need_a_reference(form: Form) -> None:
    with pytest.raises(Misuse, match="2 parts need a reference"):
        parts_of("a" * 161, form, reference=None)


def test_the_elements_of_the_coding_are_in_every_part() -> None:
    coding = choose("a" * 200 + "ş", "gsm7", languages=(LANGUAGES["turkish"],))
    assert isinstance(coding, Coding)
    parts = split(coding, reference=1)
    assert [part.udh.hex() for part in parts] == ["080003010201240101", "080003010202240101"]


def test_no_text_in_a_repr() -> None:
    assert repr(parts_of("secret")) == "(<Part 1/1 gsm7 octets=6>,)"


@given(TEXTS, st.sampled_from(FORMS), st.booleans(), st.integers(0, 0x1FFFF))
def test_no_part_is_over_140_octets(text: str, form: Form, national: bool, reference: int) -> None:
    coding = choose(text, languages=tuple(LANGUAGES.values()) if national else (), form=form)
    assert isinstance(coding, Coding)
    parts = split(coding, reference=reference)
    assert all(octets_on_air(part) <= udh.MAX_OCTETS for part in parts if not part.whole)
    assert b"".join(part.payload for part in parts) == b"".join(coding.pieces)
    assert len(parts) == (1 if form == "payload" else len(coding.pieces))
    assert {part.total for part in parts} == {len(coding.pieces)}
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))


@given(TEXTS)
def test_no_escape_and_no_surrogate_pair_is_cut(text: str) -> None:
    for part in parts_of(text):
        if part.encoding == "gsm7":
            assert not part.payload.endswith(b"\x1b")
        else:
            part.payload.decode("utf-16-be")


class TestData:
    def test_one_part(self) -> None:
        assert split_data(bytes(140)) == (Part(payload=bytes(140), encoding="binary"),)

    def test_one_part_with_a_header(self) -> None:
        header = udh.build((udh.Ports(9200, 9201).element,))
        assert split_data(bytes(133), header=header) == (
            Part(payload=bytes(133), encoding="binary", udh=header),
        )

    def test_several_parts_with_a_header(self) -> None:
        ports = udh.Ports(9200, 9201).element
        parts = split_data(bytes(134), header=udh.build((ports,)), reference=7)
        assert isinstance(parts, tuple)
        assert [udh.parse(part.udh).elements for part in parts] == [
            (Concatenation(7, 2, number).element, ports) for number in (1, 2)
        ]
        assert [len(part.payload) for part in parts] == [128, 6]

    @pytest.mark.parametrize(("form", "sizes"), [("udh", [134, 7]), ("udh16", [133, 8]), ("sar", [133, 8])])
    def test_forms(self, form: Form, sizes: list[int]) -> None:
        parts = split_data(bytes(141), form=form, reference=7)
        assert isinstance(parts, tuple)
        assert [len(part.payload) for part in parts] == sizes

    def test_payload_form(self) -> None:
        assert split_data(bytes(141), form="payload") == (
            Part(payload=bytes(141), encoding="binary", total=2, whole=True),
        )

    def test_data_that_is_a_part_already_stays_one(self) -> None:
        header = udh.build((Concatenation(1, 2, 1).element,))
        assert split_data(b"abc", header=header) == (Part(payload=b"abc", encoding="binary", udh=header),)
        assert split_data(bytes(135), header=header) == Impossible("one part of 141 octets; at most 140 fit")

    @pytest.mark.parametrize(
        ("header", "problem"),
        [
            ("05", "a user data header of 6 octets in 1 octets of user data"),
            ("030003", "a user data header of 4 octets in 3 octets of user data"),
            ("0400032a0301", "the element at octet 1 runs past the user data header"),
            ("0070", "octets after the user data header"),
        ],
    )
    def test_a_header_that_makes_no_sense(self, header: str, problem: str) -> None:
        assert split_data(b"abc", header=bytes.fromhex(header)) == Impossible(problem)

    def test_too_much(self) -> None:
        problem = "the data takes 256 parts; at most 255 are allowed"
        assert split_data(bytes(255 * 134 + 1), reference=1) == Impossible(problem)
        assert split_data(bytes(141), max_parts=1) == Impossible(
            "the data takes 2 parts; at most 1 are allowed"
        )

    def test_no_room(self) -> None:
        header = udh.build((udh.Element(0x70, bytes(135)),))
        assert split_data(bytes(10), header=header) == Impossible(
            "the user data header leaves no room for data"
        )

    @given(DATA, st.sampled_from(FORMS))
    def test_all_octets_in_order(self, data: bytes, form: Form) -> None:
        parts = split_data(data, form=form, reference=1)
        assert isinstance(parts, tuple)
        assert b"".join(part.payload for part in parts) == data
        assert all(octets_on_air(part) <= udh.MAX_OCTETS for part in parts if not part.whole)
