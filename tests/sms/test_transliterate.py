from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.sms.alphabets import DEFAULT
from smsgw.sms.transliterate import Scope, Transliterated, transliterate


@pytest.mark.parametrize(
    ("text", "scope", "expected", "replaced"),
    [
        ("“Hej” – 5…", "typography", '"Hej" - 5...', 4),
        ("don’t\u00a0go", "typography", "don't go", 2),
        ("zero\u200bwidth", "typography", "zerowidth", 1),
        ("cafe\u0301", "typography", "café", 1),
        ("ça va", "typography", "ça va", 0),
        ("ça va", "full", "ca va", 1),
        ("Привет", "typography", "Привет", 0),
        ("Привет", "full", "Privet", 6),
        ("“Привет”", "typography", "“Привет”", 0),
        ("“Hej” \ue000", "full", "“Hej” \ue000", 0),
        ("“Hej”", "off", "“Hej”", 0),
        ("åäö €", "full", "åäö €", 0),
        ("", "full", "", 0),
    ],
)
def test_replacements(text: str, scope: Scope, expected: str, replaced: int) -> None:
    assert transliterate(text, scope) == Transliterated(expected, replaced)


@given(st.text(), st.sampled_from(["off", "typography", "full"]))
def test_changed_only_where_it_then_fits_and_never_in_silence(text: str, scope: Scope) -> None:
    found = transliterate(text, scope)
    assert (found.text != text) == (found.replaced > 0)
    if found.replaced:
        DEFAULT.encode(found.text)


@given(st.text(st.characters(codec="ascii", exclude_characters="`"), min_size=1))
def test_what_fits_is_left_alone(text: str) -> None:
    if all(map(DEFAULT.expresses, text)):
        assert transliterate(text, "full") == Transliterated(text)


def test_the_library_is_not_loaded_before_it_is_needed() -> None:
    code = (
        "import sys; from smsgw.sms.transliterate import transliterate as t; "
        "t('hej', 'full'); t('“', 'off'); assert 'anyascii' not in sys.modules; "
        "t('“', 'full'); assert 'anyascii' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_no_text_in_a_repr() -> None:
    assert "secret" not in repr(transliterate("secret", "full"))
