from __future__ import annotations

import pytest

from smsgw.sms.coding import Form
from smsgw.sms.explain import Outsider, Saving, explain, outsiders, savings
from smsgw.sms.shift_tables import LANGUAGES


def test_a_text_of_one_part() -> None:
    found = explain("hej €")
    assert (found.encoding, found.unit, found.units, found.problem) == ("gsm7", "septets", 6, None)
    assert found.outsiders == ()
    (part,) = found.parts
    assert (part.number, part.text, part.units, part.room, part.octets) == (1, "hej €", 6, 160, 6)
    assert part.payload == b"hej \x1be"


def test_the_characters_that_force_the_encoding() -> None:
    found = explain("“hej” “du” 😀")
    assert found.encoding == "ucs2"
    assert found.why == "character 1 is not in GSM 7-bit"
    assert found.outsiders == (
        Outsider("“", "LEFT DOUBLE QUOTATION MARK", 0, 2),
        Outsider("”", "RIGHT DOUBLE QUOTATION MARK", 4, 2),
        Outsider("😀", "GRINNING FACE", 11, 1),
    )


def test_a_character_without_a_name() -> None:
    assert outsiders("\x00") == (Outsider("\x00", "U+0000", 0, 1),)


@pytest.mark.parametrize(
    ("text", "form", "shapes"),
    [
        ("a" * 161, "udh", [(153, 153, 140), (8, 153, 14)]),
        ("a" * 161, "udh16", [(152, 152, 140), (9, 152, 15)]),
        ("a" * 161, "sar", [(152, 152, 140), (9, 152, 15)]),
        ("a" * 161, "payload", [(152, 152, 140), (9, 152, 15)]),
        ("ж" * 71, "udh", [(67, 67, 140), (4, 67, 14)]),
        ("a" * 160, "udh", [(160, 160, 140)]),
    ],
)
def test_units_room_and_octets_on_the_air(text: str, form: Form, shapes: list[tuple[int, int, int]]) -> None:
    found = explain(text, form=form)
    assert [(part.units, part.room, part.octets) for part in found.parts] == shapes
    assert "".join(part.text for part in found.parts) == text


def test_national_languages() -> None:
    found = explain("ş" * 71, languages=(LANGUAGES["turkish"],))
    assert (found.encoding, len(found.parts), found.parts[0].room) == ("gsm7", 1, 155)
    assert found.parts[0].text == "ş" * 71
    assert found.outsiders[0].count == 71


def test_latin_1_that_the_smsc_converts() -> None:
    (part,) = explain("å[", default_alphabet="latin1").parts
    assert (part.text, part.units, part.payload, part.octets) == ("å[", 3, b"\xe5[", 3)


def test_what_can_not_be_sent() -> None:
    found = explain("hej ж", "gsm7")
    assert (found.encoding, found.parts) == (None, ())
    assert found.problem == "character 5 is not in GSM 7-bit"
    assert [outsider.character for outsider in found.outsiders] == ["ж"]


def test_what_was_replaced() -> None:
    found = explain("“hej” – å", scope="typography")
    assert (found.encoding, found.replaced, found.parts[0].text) == ("gsm7", 3, '"hej" - å')
    assert [outsider.character for outsider in found.outsiders] == ["“", "”", "–"]
    assert explain("“hej”", "latin1", scope="full").problem == "character 1 is not in Latin-1"
    assert explain("“hej”", "ucs2", scope="full").replaced == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a" * 161, ()),
        ("ж" * 70, ()),
        ("“" + "a" * 99, (Saving('transliterate = "typography"', 1),)),
        ("ж" * 71, (Saving('transliterate = "full"', 1),)),
        ("ж" * 67 + "😀", ()),
        ("今" * 71, ()),
        ("🚚" * 6600, ()),  # 200 parts; as `:truck:` more than there can be
        ("ş" * 71, (Saving('transliterate = "full"', 1), Saving('languages = ["turkish"]', 1))),
        ("á" * 81, (Saving('transliterate = "full"', 1), Saving('languages = ["portuguese"]', 1))),
    ],
)
def test_what_a_channel_could_allow(text: str, found: tuple[Saving, ...]) -> None:
    assert savings(text) == found


def test_shift_tables_are_of_no_use_where_the_smsc_makes_the_header() -> None:
    assert len(explain("ş" * 161, form="sar").parts) == 3
    assert savings("ş" * 161, "sar") == (Saving('transliterate = "full"', 2),)
    assert savings("ş" * 161) == (Saving('transliterate = "full"', 2), Saving('languages = ["turkish"]', 2))
