from __future__ import annotations

from itertools import product

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from smsgw.sms.alphabets import alphabet
from smsgw.sms.cutting import cut_octets, cut_text, cut_utf16, flat
from smsgw.sms.shift_tables import LOCKING, SINGLE, UNDEFINED

E_ACUTE = "e\u0301"
FAMILY = "👨‍👩‍👧"
SWEDEN = "🇸🇪"
THUMB = "👍🏽"
KSHA = "क्षि"
GAG = "\u1100\u1161\u11a8"
NUMBER = "\u0600\u0661"
CLUSTERS = (E_ACUTE, FAMILY, SWEDEN, THUMB, KSHA, GAG, NUMBER)
ORDINARY = st.text(st.characters(exclude_categories=["Cs"]))
JOINING = st.text(st.sampled_from("a\u0301\u200d👨👩🏽🇸क्षि\u1100\u1161\r\n"))


@pytest.mark.parametrize("text", ["", "hej", "åäö", "Привет", "日本語", "한국어", "😀", "a\r\nb", "שלום"])
def test_flat(text: str) -> None:
    assert flat(text)


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_not_flat(cluster: str) -> None:
    assert not flat(f"text {cluster} text")


@given(st.one_of(ORDINARY, JOINING))
def test_in_a_flat_text_every_character_is_a_cluster(text: str) -> None:
    clusters = [cluster for cluster in regex.findall(r"\X", text) if cluster != "\r\n"]
    if flat(text):
        assert all(len(cluster) == 1 for cluster in clusters)


def test_no_two_characters_of_latin_1_join() -> None:
    """It is cut as octets without a look at the text."""
    latin = [chr(code) for code in range(256)]
    joined = [
        one + other for one, other in product(latin, latin) if len(regex.findall(r"\X", one + other)) == 1
    ]
    assert joined == ["\r\n"]


@pytest.mark.parametrize("pair", [(0, 0), (1, 1), (3, 3), (0, 2), (1, 3)])
def test_no_two_characters_of_the_european_alphabets_join(pair: tuple[int, int]) -> None:
    characters = set(LOCKING[pair[0]] + SINGLE[pair[1]]) - {UNDEFINED}
    assert flat("".join(characters))
    assert alphabet(*pair).cut("ab\u0301", b"abc", 2) == [b"ab", b"c"]


@pytest.mark.parametrize(
    ("octets", "pieces"),
    [
        (b"", [b""]),
        (b"abcd", [b"abcd"]),
        (b"abcde", [b"abcd", b"e"]),
        (b"abc\x1be", [b"abc", b"\x1be"]),
        (b"\x1be\x1be\x1be", [b"\x1be\x1be", b"\x1be"]),
        (b"a\x1be\x1be", [b"a\x1be", b"\x1be"]),
        (b"abc\r\n", [b"abc", b"\r\n"]),
        (b"ab\r\nc", [b"ab\r\n", b"c"]),
        (b"abc\rd", [b"abc\r", b"d"]),
        (b"abcdefgh", [b"abcd", b"efgh"]),
    ],
)
def test_octets_in_pieces_of_four(octets: bytes, pieces: list[bytes]) -> None:
    assert cut_octets(octets, 4) == pieces


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", [""]),
        ("abcd", ["abcd"]),
        ("abcde", ["abcd", "e"]),
        ("abc😀", ["abc", "😀"]),
        ("😀😀😀", ["😀😀", "😀"]),
        ("abc\r\n", ["abc", "\r\n"]),
        ("ab\u0d0a\u0a0dc", ["ab\u0d0a\u0a0d", "c"]),
    ],
)
def test_utf_16_in_pieces_of_four(text: str, pieces: list[str]) -> None:
    octets = text.encode("utf-16-be")
    assert [piece.decode("utf-16-be") for piece in cut_utf16(octets, 4)] == pieces


@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize("before", range(12))
def test_a_cluster_is_not_cut(cluster: str, before: int) -> None:
    text = "x" * before + cluster + "y" * 12
    pieces = cut_text(text, 10, len)
    assert "".join(pieces) == text
    assert any(cluster in piece for piece in pieces)
    assert all(len(piece) <= 10 for piece in pieces)


def test_a_cluster_larger_than_a_part_is_cut_between_characters() -> None:
    zalgo = "e" + "\u0301" * 25
    pieces = cut_text("ab" + zalgo + "c", 10, len)
    assert "".join(pieces) == "ab" + zalgo + "c"
    assert [len(piece) for piece in pieces] == [10, 10, 9]


@given(st.one_of(ORDINARY, JOINING), st.integers(2, 12))
def test_nothing_is_lost_and_nothing_too_large(text: str, capacity: int) -> None:
    def units(piece: str) -> int:
        return len(piece.encode("utf-16-be")) // 2

    pieces = cut_text(text, capacity, units)
    assert "".join(pieces) == text
    assert all(units(piece) <= capacity for piece in pieces)
    if flat(text):
        same = [piece.decode("utf-16-be") for piece in cut_utf16(text.encode("utf-16-be"), capacity)]
        assert pieces == same
