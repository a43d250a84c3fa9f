"""The tables against a second source, and against the order that the scripts have in Unicode."""

from __future__ import annotations

from itertools import pairwise

import pytest
from gsmcodecs.charmaps import GSMCHARMAPS

from smsgw.sms.shift_tables import LANGUAGES, LOCKING, SINGLE, UNDEFINED

INDIC = range(4, 13)
EVERYWHERE = {"\n": 0x0A, "\r": 0x0D, " ": 0x20, "!": 0x21, ".": 0x2E, "?": 0x3F}

DISAGREEMENTS = {
    # The apostrophe is in the single shift tables already; the comma would be in neither table.
    **{("locking", language, 0x2C): (",", "'") for language in range(4, 14)},
    # 0CAA is at 0x3D already, and 0CA1 (a letter of the row 0C9F to 0CA4) would be nowhere.
    ("locking", 7, 0x24): ("\u0ca1", "\u0caa"),
    # All other single shift tables have the euro sign there.
    ("singleShift", 12, 0x65): ("€", UNDEFINED),
}
"""(kind, language, code): (ours, gsmcodecs'), each explained."""


@pytest.mark.parametrize(
    ("kind", "tables", "languages"),
    [("locking", LOCKING, {0, 1, 3, *range(4, 14)}), ("singleShift", SINGLE, set(range(14)))],
)
def test_the_tables_agree_with_gsmcodecs(kind: str, tables: dict[int, str], languages: set[int]) -> None:
    assert set(tables) == languages
    found = {}
    for language, table in tables.items():
        theirs = GSMCHARMAPS[language][kind]["decode"]
        for code, character in enumerate(table):
            other = chr(theirs[code]) if code in theirs else UNDEFINED
            if character != other and code != 0x1B:
                found[kind, language, code] = (character, other)
    assert found == {place: pair for place, pair in DISAGREEMENTS.items() if place[0] == kind}


@pytest.mark.parametrize("table", [*LOCKING.values(), *SINGLE.values()])
def test_a_table_has_128_codes_and_leaves_the_escape_free(table: str) -> None:
    assert len(table) == 128
    assert table[0x1B] == UNDEFINED


@pytest.mark.parametrize("language", LOCKING)
def test_a_locking_table_has_no_character_twice(language: int) -> None:
    defined = [character for character in LOCKING[language] if character != UNDEFINED]
    assert len(defined) == len(set(defined))


@pytest.mark.parametrize("language", LOCKING)
def test_what_all_locking_tables_share(language: int) -> None:
    table = LOCKING[language]
    assert {character: table.index(character) for character in EVERYWHERE} == EVERYWHERE
    assert table[0x30:0x3A] == "0123456789"
    assert table[0x61:0x7B] == "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize("language", SINGLE)
def test_what_all_single_shift_tables_share(language: int) -> None:
    for code, character in enumerate(SINGLE[0]):
        if character != UNDEFINED:
            assert SINGLE[language][code] == character


@pytest.mark.parametrize("language", INDIC)
def test_the_letters_of_an_indic_table_run_in_the_order_of_unicode(language: int) -> None:
    """All but the six that stand apart at 0x60 and from 0x7B: a slip or a misprint breaks the order."""
    letters = [ord(character) for character in LOCKING[language][:0x60] if "\u0900" <= character < "\u0e00"]
    assert len(letters) > 45
    assert all(one < other for one, other in pairwise(letters))
    assert letters[0] & ~0x7F == letters[-1] & ~0x7F


@pytest.mark.parametrize("language", range(4, 14))
def test_the_digits_of_a_script_stand_together(language: int) -> None:
    table = SINGLE[language].replace(UNDEFINED, "")
    digits = [character for character in table if character.isdecimal() and not character.isascii()]
    assert [int(digit) for digit in digits] == list(range(10))
    assert ord(digits[9]) - ord(digits[0]) == 9


@pytest.mark.parametrize(
    ("language", "kind", "expected"),
    [
        ("turkish", SINGLE, {0x47: "Ğ", 0x49: "İ", 0x53: "Ş", 0x63: "ç", 0x67: "ğ", 0x69: "ı", 0x73: "ş"}),
        ("turkish", LOCKING, {0x04: "€", 0x07: "ı", 0x0B: "Ğ", 0x0C: "ğ", 0x1C: "Ş", 0x1D: "ş", 0x40: "İ"}),
        ("spanish", SINGLE, {0x09: "ç", 0x41: "Á", 0x49: "Í", 0x4F: "Ó", 0x55: "Ú", 0x61: "á", 0x75: "ú"}),
        ("portuguese", SINGLE, {0x05: "ê", 0x0B: "Ô", 0x1F: "Ê", 0x5B: "Ã", 0x61: "Â", 0x7C: "õ", 0x7F: "â"}),
        ("portuguese", LOCKING, {0x12: "ª", 0x15: "∞", 0x18: "€", 0x24: "º", 0x60: "~", 0x7D: "`"}),
        ("hindi", LOCKING, {0x3C: "ऩ", 0x60: "ॐ", 0x7F: "ॿ"}),
        ("urdu", LOCKING, {0x00: "ا", 0x1B: UNDEFINED, 0x53: "و", 0x60: "\u0654"}),
        ("urdu", SINGLE, {0x19: "\u0600", 0x26: "،", 0x33: "؟", 0x3F: "۔"}),
    ],
)
def test_cells(language: str, kind: dict[int, str], expected: dict[int, str]) -> None:
    table = kind[LANGUAGES[language]]
    assert {code: table[code] for code in expected} == expected
