from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.sms.alphabets import DEFAULT, ESCAPE, REPLACEMENT, alphabet
from smsgw.sms.shift_tables import LOCKING, SINGLE, UNDEFINED

PAIRS = [(locking, single) for locking in LOCKING for single in SINGLE]


def characters(locking: int, single: int) -> str:
    return "".join(sorted(set(LOCKING[locking] + SINGLE[single]) - {UNDEFINED}))


EVERY = characters(0, 0)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("", ""),
        ("hej", "68656a"),
        ("@$_", "000211"),
        ("åäöÅÄÖ", "0f7b7c0e5b5c"),
        ("€", "1b65"),
        ("{}[]\\^~|\f", "1b281b291b3c1b3e1b2f1b141b3d1b401b0a"),
        ("a€b", "611b6562"),
        ("ΔΦΓΛΩΠΨΣΘΞ", "1012131415161718191a"),
        ("\r\n", "0d0a"),
        ("§¿¡à", "5f60407f"),
    ],
)
def test_the_default_alphabet(text: str, octets: str) -> None:
    assert DEFAULT.encode(text).hex() == octets
    assert DEFAULT.decode(bytes.fromhex(octets)) == text


@pytest.mark.parametrize("pair", PAIRS)
def test_every_character_of_every_pair_comes_back(pair: tuple[int, int]) -> None:
    tables = alphabet(*pair)
    text = characters(*pair)
    assert tables.decode(tables.encode(text)) == text
    assert all(map(tables.expresses, text))


@pytest.mark.parametrize("pair", PAIRS)
def test_a_character_of_the_locking_table_takes_one_septet(pair: tuple[int, int]) -> None:
    text = "".join(sorted(set(LOCKING[pair[0]]) - {UNDEFINED}))
    assert len(alphabet(*pair).encode(text)) == len(text)


@given(st.text(EVERY))
def test_any_text_comes_back(text: str) -> None:
    assert DEFAULT.decode(DEFAULT.encode(text)) == text


@given(st.text(EVERY, min_size=1), st.text(EVERY))
def test_encoding_is_additive(one: str, other: str) -> None:
    assert DEFAULT.encode(one + other) == DEFAULT.encode(one) + DEFAULT.encode(other)


@given(st.text(EVERY), st.characters(exclude_characters=EVERY), st.text())
def test_the_first_character_at_fault_is_named(before: str, fault: str, after: str) -> None:
    with pytest.raises(UnicodeEncodeError) as raised:
        DEFAULT.encode(before + fault + after)
    assert raised.value.start == len(before)


@pytest.mark.parametrize("text", ["\x1b", "\x00", "ç", "`", "\xa0", "–", "\ufffd", UNDEFINED, "😀", "\ud800"])
def test_what_is_not_in_the_default_alphabet(text: str) -> None:
    assert not DEFAULT.expresses(text)
    with pytest.raises(UnicodeEncodeError):
        DEFAULT.encode(text)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("1b", " "),
        ("411b", "A "),
        ("1b1b", " "),
        ("1b1b41", " A"),
        ("1b1b1b65", " €"),
        ("1b1b1b", "  "),
        ("1b41", "A"),
        ("1b0d", "\r"),
        ("1b00", "@"),
        ("1b651b65", "€€"),
        ("1b65651b6565", "€e€e"),
    ],
)
def test_escapes_that_lead_nowhere(octets: str, text: str) -> None:
    """Clause 6.2.1.1: the locking table's character; a space for an escape that escapes nothing."""
    assert DEFAULT.decode(bytes.fromhex(octets)) == text


@pytest.mark.parametrize("octets", [b"\x80", b"a\xffb", b"\x1b\x80", b"\x1b\xff"])
def test_octets_that_are_no_septets(octets: bytes) -> None:
    assert REPLACEMENT in DEFAULT.decode(octets)


@given(st.binary(), st.integers(0, 255), st.integers(0, 255))
def test_anything_can_be_decoded(octets: bytes, locking: int, single: int) -> None:
    assert len(alphabet(locking, single).decode(octets)) <= len(octets)


@given(st.binary())
def test_a_tail_changes_nothing_before_it(octets: bytes) -> None:
    text = DEFAULT.decode(octets)
    open_escape = octets.endswith(b"\x1b")
    assert DEFAULT.decode(octets + b"z").startswith(text[:-1] if open_escape else text)


@pytest.mark.parametrize("pair", [(2, 0), (14, 0), (0, 14), (255, 255), (2, 99)])
def test_an_unknown_language_means_the_default_table(pair: tuple[int, int]) -> None:
    assert alphabet(*pair) is DEFAULT


def test_each_pair_is_made_once() -> None:
    assert alphabet(1, 1) is alphabet(1, 1)
    assert (alphabet(1, 2).locking, alphabet(1, 2).single) == (1, 2)


@pytest.mark.parametrize("length", [0, 1, 159, 160, 161, 307, 1000])
def test_cutting_keeps_all_septets(length: int) -> None:
    text = "a€" * length
    septets = DEFAULT.encode(text)
    pieces = DEFAULT.cut(text, septets, 153)
    assert b"".join(pieces) == septets
    assert all(len(piece) <= 153 and piece[-1:] != bytes((ESCAPE,)) for piece in pieces)
