from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.errors import Misuse
from smsgw.sms import udh
from smsgw.sms.coding import (
    MAX_PARTS,
    Charset,
    Coding,
    Decoded,
    DefaultAlphabet,
    Encoding,
    Form,
    Impossible,
    Wanted,
    capacity,
    choose,
    decode,
    header_size,
)
from smsgw.sms.shift_tables import LANGUAGES
from tests.sms.strategies import TEXTS

TURKISH, SPANISH, PORTUGUESE, HINDI = (
    LANGUAGES[name] for name in ("turkish", "spanish", "portuguese", "hindi")
)
FORMS: tuple[Form, ...] = ("udh", "udh16", "sar", "payload")


def coded(text: str, wanted: Wanted = "auto", *languages: int, form: Form = "udh") -> Coding:
    found = choose(text, wanted, languages=languages, form=form)
    assert isinstance(found, Coding)
    return found


def refused(found: Coding | Impossible) -> Impossible:
    assert isinstance(found, Impossible)
    return found


@pytest.mark.parametrize(
    ("encoding", "header", "units"),
    [
        ("gsm7", 0, 160),
        ("gsm7", 4, 155),
        ("gsm7", 6, 153),
        ("gsm7", 7, 152),
        ("gsm7", 9, 149),
        ("ucs2", 0, 70),
        ("ucs2", 6, 67),
        ("ucs2", 7, 66),
        ("latin1", 0, 140),
        ("binary", 6, 134),
    ],
)
def test_capacity(encoding: Encoding, header: int, units: int) -> None:
    assert capacity(encoding, header) == units


@pytest.mark.parametrize(
    ("form", "octets"), [(None, 0), ("udh", 6), ("udh16", 7), ("sar", 7), ("payload", 7)]
)
def test_header_size(form: Form | None, octets: int) -> None:
    assert header_size(form, ()) == octets
    assert header_size(form, (udh.single_shift(1),)) == (octets or 1) + 3


@pytest.mark.parametrize(
    ("text", "encoding", "units", "parts"),
    [
        ("", "gsm7", 0, 1),
        ("a" * 160, "gsm7", 160, 1),
        ("a" * 161, "gsm7", 161, 2),
        ("a" * 306, "gsm7", 306, 2),
        ("a" * 307, "gsm7", 307, 3),
        ("€" * 80, "gsm7", 160, 1),
        ("a" + "€" * 80, "gsm7", 161, 2),
        ("€" * 152, "gsm7", 304, 2),
        ("€" * 153, "gsm7", 306, 3),
        ("ж" * 70, "ucs2", 70, 1),
        ("ж" * 71, "ucs2", 71, 2),
        ("ж" * 134, "ucs2", 134, 2),
        ("😀" * 35, "ucs2", 70, 1),
        ("😀" * 66, "ucs2", 132, 2),
        ("😀" * 67, "ucs2", 134, 3),
        ("ç", "ucs2", 1, 1),
    ],
)
def test_the_choice_and_its_parts(text: str, encoding: str, units: int, parts: int) -> None:
    found = coded(text)
    assert (found.encoding, found.units, found.parts) == (encoding, units, parts)


@pytest.mark.parametrize(
    ("text", "form", "parts"),
    [("a" * 306, "udh16", 3), ("a" * 304, "udh16", 2), ("a" * 306, "sar", 3), ("a" * 304, "payload", 2)],
)
def test_parts_depend_on_the_form(text: str, form: Form, parts: int) -> None:
    assert coded(text, form=form).parts == parts


def test_why() -> None:
    assert coded("hej").why == "every character is in GSM 7-bit"
    assert coded("hej ж").why == "character 5 is not in GSM 7-bit"
    assert coded("hej", "ucs2").why == "asked for"
    assert coded("ş" * 71, "auto", TURKISH).why == "every character is in GSM 7-bit with turkish single shift"


@pytest.mark.parametrize(
    ("text", "wanted", "position", "problem"),
    [
        ("hej ж", "gsm7", 4, "character 5 is not in GSM 7-bit"),
        ("hej €", "latin1", 4, "character 5 is not in Latin-1"),
        ("a\ud800b", "ucs2", 1, "character 2 is half of a surrogate pair"),
        ("a\udc00b", "auto", 1, "character 2 is half of a surrogate pair"),
    ],
)
def test_what_can_not_be_expressed(text: str, wanted: Wanted, position: int, problem: str) -> None:
    assert choose(text, wanted) == Impossible(problem, position)


def test_binary_is_no_encoding_for_text() -> None:
    with pytest.raises(Misuse):
        choose("hej", "binary")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a" * (255 * 153 + 1), "the text takes at least 256 parts; at most 255 are allowed"),
        ("ж" * (255 * 67 + 1), "the text takes at least 256 parts; at most 255 are allowed"),
        ("€" * (255 * 76 + 1), "the text takes 256 parts; at most 255 are allowed"),
    ],
)
def test_no_more_parts_than_an_octet_can_number(text: str, problem: str) -> None:
    assert choose(text) == Impossible(problem)
    assert choose(text, max_parts=1000) == Impossible(problem)
    assert coded(text[1:]).parts == MAX_PARTS


@pytest.mark.parametrize("form", FORMS)
def test_max_parts(form: Form) -> None:
    assert coded("a" * 300, form=form).parts == 2
    assert choose("a" * 300, max_parts=1, form=form) == Impossible(
        "the text takes at least 2 parts; at most 1 are allowed"
    )


def test_a_text_is_in_no_repr() -> None:
    assert "secret" not in repr(coded("secret"))
    assert "73" not in repr(coded("secret", "ucs2").elements)


class TestNationalLanguages:
    """3GPP TS 23.038, clause 6.2.1.2: only where allowed, and only where it saves a part."""

    def test_not_without_leave(self) -> None:
        assert coded("ş" * 71).encoding == "ucs2"
        assert coded("ş" * 71, "auto", SPANISH).encoding == "ucs2"

    def test_not_where_the_default_alphabet_does(self) -> None:
        assert coded("a" * 200, "auto", TURKISH).elements == ()

    def test_not_where_ucs2_takes_as_few_parts(self) -> None:
        assert coded("ş" * 70, "auto", TURKISH).encoding == "ucs2"

    def test_rather_single_shift_than_locking_shift_for_as_many_parts(self) -> None:
        found = coded("a" * 140 + "ş", "auto", TURKISH)
        assert (found.encoding, found.locking, found.single) == ("gsm7", 0, TURKISH)
        assert found.elements == (udh.single_shift(TURKISH),)
        assert found.pieces == (b"a" * 140 + b"\x1bs",)

    @pytest.mark.parametrize(
        ("length", "locking", "parts"),
        [(153, 0, 1), (154, TURKISH, 1), (155, 0, 2), (295, 0, 2), (296, 0, 2)],
    )
    def test_the_elements_take_their_room(self, length: int, locking: int, parts: int) -> None:
        found = coded("a" * length + "ş", "auto", TURKISH)
        assert (found.parts, found.locking) == (parts, locking)

    def test_locking_shift_where_it_is_cheaper(self) -> None:
        found = coded("ş" * 155, "auto", TURKISH)
        assert (found.locking, found.single, found.parts) == (TURKISH, 0, 1)
        assert found.pieces == (b"\x1d" * 155,)

    def test_both_where_both_are_needed(self) -> None:
        """Hindi letters are in the locking table, Hindi digits in the single shift table."""
        found = coded("नमस्ते १२३ " * 8, "auto", HINDI)
        assert (found.locking, found.single, found.parts) == (HINDI, HINDI, 1)
        assert found.elements == (udh.locking_shift(HINDI), udh.single_shift(HINDI))

    def test_the_language_that_has_the_text(self) -> None:
        found = coded("á" * 100, "auto", TURKISH, SPANISH, PORTUGUESE)
        assert (found.locking, found.single) == (PORTUGUESE, 0)
        assert coded("áú" * 37, "auto", TURKISH, SPANISH).single == SPANISH

    def test_gsm7_asked_for_takes_them_even_for_one_part(self) -> None:
        assert coded("ş", "gsm7", TURKISH).single == TURKISH
        assert refused(choose("ж", "gsm7", languages=(TURKISH,))).position == 0

    @pytest.mark.parametrize("form", ["sar", "payload"])
    def test_not_in_a_long_message_whose_header_is_not_ours(self, form: Form) -> None:
        assert coded("ş" * 71, "auto", TURKISH, form=form).encoding == "gsm7"
        assert coded("ş" * 200, "auto", TURKISH, form=form).encoding == "ucs2"
        assert refused(choose("ş" * 200, "gsm7", languages=(TURKISH,), form=form)).position == 0

    def test_unknown_languages_are_ignored(self) -> None:
        assert coded("ş" * 71, "auto", 0, 99).encoding == "ucs2"

    def test_a_syllable_is_not_cut(self) -> None:
        found = coded("a" * 148 + "क्षि" * 3, "gsm7", HINDI)
        texts = [decode(piece, "gsm7", locking=HINDI).text for piece in found.pieces]
        assert texts == ["a" * 148, "क्षि" * 3]


class TestElements:
    """Elements of the caller, such as ports, are in every part and take room in each."""

    PORTS = (udh.Ports(9200, 9201).element,)

    @pytest.mark.parametrize(("length", "parts"), [(152, 1), (153, 2), (292, 2), (293, 3)])
    def test_room(self, length: int, parts: int) -> None:
        found = choose("a" * length, elements=self.PORTS)
        assert isinstance(found, Coding)
        assert (found.parts, found.elements) == (parts, self.PORTS)

    @pytest.mark.parametrize("octets", [131, 137, 200])
    def test_no_room(self, octets: int) -> None:
        elements = (udh.Element(0x70, bytes(octets)),)
        assert choose("a" * 100, elements=elements) == Impossible(
            "the user data header leaves no room for text"
        )


class TestDefaultAlphabet:
    """What an SMSC takes for GSM 7-bit text; it converts to septets, of which a part holds 160."""

    @pytest.mark.parametrize(("alphabet", "octets"), [("latin1", b"\xe5@$"), ("gsm7", b"\x0f\x00\x02")])
    def test_octets(self, alphabet: DefaultAlphabet, octets: bytes) -> None:
        found = choose("å@$", default_alphabet=alphabet)
        assert isinstance(found, Coding)
        assert (found.encoding, found.pieces) == ("gsm7", (octets,))

    @pytest.mark.parametrize(
        ("alphabet", "text"),
        [("latin1", "€"), ("latin1", "Δ"), ("latin1", "ç"), ("ascii", "å"), ("ascii", "`")],
    )
    def test_the_text_must_be_in_both(self, alphabet: DefaultAlphabet, text: str) -> None:
        found = choose(text, default_alphabet=alphabet)
        assert isinstance(found, Coding)
        assert found.encoding == "ucs2"
        assert isinstance(choose(text, "gsm7", default_alphabet=alphabet), Impossible)

    def test_cut_by_septets(self) -> None:
        found = choose("[" * 100, default_alphabet="latin1")
        assert isinstance(found, Coding)
        assert (found.units, found.pieces) == (200, (b"[" * 76, b"[" * 24))

    def test_no_national_tables(self) -> None:
        found = choose("ş" * 71, languages=(TURKISH,), default_alphabet="latin1")
        assert isinstance(found, Coding)
        assert found.encoding == "ucs2"


class TestDecode:
    @pytest.mark.parametrize(
        ("octets", "charset", "text"),
        [
            (b"", "gsm7", ""),
            (b"\x00\x1be", "gsm7", "@€"),
            (bytes.fromhex("c8f71d14969741f977fd07"), "gsm7-packed", "How are you?"),
            ("😀ж".encode("utf-16-be"), "ucs2", "😀ж"),
            ("\ufffd".encode("utf-16-be"), "ucs2", "\ufffd"),
            (b"\xe5\x80", "latin1", "å\x80"),
            (b"hej", "ascii", "hej"),
        ],
    )
    def test_sound_octets(self, octets: bytes, charset: Charset, text: str) -> None:
        assert decode(octets, charset) == Decoded(text)

    @pytest.mark.parametrize(
        ("octets", "charset", "text", "problem"),
        [
            (b"a\x80", "gsm7", "a\ufffd", "GSM 7-bit"),
            (b"a\xe5", "ascii", "a\ufffd", "not ASCII at octet 1"),
            (b"\x00a\x00", "ucs2", "a\ufffd", "not UTF-16BE at octet 2"),
            (b"\xd8\x00\x00a", "ucs2", "\ufffda", "not UTF-16BE at octet 0"),
            (b"abc", "binary", "", "no text"),
        ],
    )
    def test_garbage_is_flagged(self, octets: bytes, charset: Charset, text: str, problem: str) -> None:
        found = decode(octets, charset)
        assert found.text == text
        assert problem in (found.problem or "")

    def test_national_languages(self) -> None:
        assert decode(b"\x1bs\x1d", "gsm7", locking=TURKISH, single=TURKISH).text == "şş"
        assert decode(b"\x0c", "gsm7", locking=4).problem is not None

    def test_packed_septets_after_a_header(self) -> None:
        assert decode(bytes((0x41 << 1, 0x42)), "gsm7-packed", header=6).text == "AB"

    @given(
        st.binary(max_size=200),
        st.sampled_from(["gsm7", "gsm7-packed", "ucs2", "latin1", "ascii", "binary"]),
        st.integers(0, 255),
        st.integers(0, 255),
        st.integers(0, 200),
    )
    def test_it_never_raises(
        self, octets: bytes, charset: Charset, locking: int, single: int, header: int
    ) -> None:
        found = decode(octets, charset, locking=locking, single=single, header=header)
        found.text.encode()


@given(TEXTS, st.sampled_from(["auto", "ucs2"]))
def test_what_is_coded_can_be_decoded(text: str, wanted: Wanted) -> None:
    found = coded(text, wanted, *LANGUAGES.values())
    pieces = [
        decode(piece, found.encoding, locking=found.locking, single=found.single) for piece in found.pieces
    ]
    assert "".join(piece.text for piece in pieces) == text
    assert all(piece.problem is None for piece in pieces)
