"""Replacing characters so that a text fits GSM 7-bit: optional, per channel, never in silence.

One typographic quote makes a text of 160 characters two parts instead of one. With `typography` the
punctuation, dashes and spaces that word processors put in are replaced by what a keyboard has; with
`full` letters too are replaced by what they sound or look like (Cyrillic in Latin letters, accents
that the alphabet lacks left out).

A text is changed only if the whole of it then fits: otherwise it needs UCS-2 anyway, where every
character can stay. What was changed is counted, for the event that tells the producer.

The replacements are those of the `anyascii` library, whose table is read when the first text needs it.
"""

from __future__ import annotations

import unicodedata
from typing import Literal, TypeAlias

import msgspec

from smsgw.sms.alphabets import DEFAULT

Scope: TypeAlias = Literal["off", "typography", "full"]

_TYPOGRAPHY = frozenset({"Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Zs", "Zl", "Zp", "Cf"})
"""General categories of Unicode: punctuation, separators, invisible format characters."""


class Transliterated(msgspec.Struct, frozen=True):
    """The text, and how many of its characters were replaced: 0 if it is as it was."""

    text: str
    replaced: int = 0

    def __repr__(self) -> str:
        return f"<Transliterated replaced={self.replaced}>"


def transliterate(text: str, scope: Scope) -> Transliterated:
    """The text with what GSM 7-bit lacks replaced, if all of it can be; else as it is.

    Precomposed forms come first, in either scope: `e` and a combining acute become `é`, which the
    alphabet has. A reader sees no difference, but it is counted like any other replacement.
    """
    if scope == "off" or _fits(text):
        return Transliterated(text)
    composed = unicodedata.normalize("NFC", text)
    foreign = {character for character in composed if not DEFAULT.expresses(character)}
    table = {ord(character): _replacement(character, scope) for character in foreign}
    changed = composed.translate(table)
    if not _fits(changed):
        return Transliterated(text)
    return Transliterated(changed, sum(not DEFAULT.expresses(character) for character in text))


def _fits(text: str) -> bool:
    return all(map(DEFAULT.expresses, text))


def _replacement(character: str, scope: Scope) -> str:
    """The character itself where nothing can stand for it. A format character is only dropped."""
    category = unicodedata.category(character)
    if scope == "typography" and category not in _TYPOGRAPHY:
        return character
    from anyascii import anyascii  # noqa: PLC0415  a table of 100,000 characters, for those who ask for it

    found: str = anyascii(character)
    return found if found or category == "Cf" else character
