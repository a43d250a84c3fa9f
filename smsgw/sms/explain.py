"""What becomes of a text on the air, for a person who asks: `smsgw parts "TEXT"`.

The same functions that send a message, and then the reasons: which characters keep it out of the
GSM 7-bit default alphabet, where it is cut, and how many octets each part takes on the air.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection

import msgspec

from smsgw.sms.alphabets import DEFAULT
from smsgw.sms.coding import (
    MAX_PARTS,
    Charset,
    Coding,
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
from smsgw.sms.packing import fill_bits
from smsgw.sms.shift_tables import LANGUAGES
from smsgw.sms.transliterate import Scope, transliterate


class Outsider(msgspec.Struct, frozen=True):
    """A character that is not in the GSM 7-bit default alphabet: its first position (from 0), how often."""

    character: str
    name: str
    position: int
    count: int


class PartShape(msgspec.Struct, frozen=True):
    """One part: `units` of at most `room`; `octets` of at most 140 on the air, header included.

    `payload` is as it goes into short_message after the header.
    """

    number: int
    text: str
    units: int
    room: int
    octets: int
    payload: bytes


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """`why` for the encoding; `problem` instead of an encoding and parts where the text can't be sent.

    `unit` names what is counted: septets, UTF-16 code units or octets. `outsiders` are those of the text
    as it was given, of which `replaced` characters were replaced before it was coded.
    """

    encoding: Encoding | None
    why: str | None
    unit: str | None
    units: int
    parts: tuple[PartShape, ...]
    outsiders: tuple[Outsider, ...]
    problem: str | None = None
    replaced: int = 0

    @property
    def octets(self) -> int:
        """Of all parts on the air."""
        return sum(part.octets for part in self.parts)


class Saving(msgspec.Struct, frozen=True):
    """A setting of a channel with which a text would take so many `parts`, fewer than it does."""

    setting: str
    parts: int


_UNITS = {"gsm7": "septets", "ucs2": "UTF-16 code units", "latin1": "octets", "binary": "octets"}


def explain(
    text: str,
    wanted: Wanted = "auto",
    *,
    languages: Collection[int] = (),
    form: Form = "udh",
    default_alphabet: DefaultAlphabet = "gsm7",
    max_parts: int = MAX_PARTS,
    scope: Scope = "off",
) -> Explanation:
    """All about a text; the arguments are those of `smsgw.sms.coding.choose` and of `transliterate`."""
    changed = transliterate(text, scope if wanted in ("auto", "gsm7") else "off")
    coding = choose(
        changed.text,
        wanted,
        languages=languages,
        form=form,
        default_alphabet=default_alphabet,
        max_parts=max_parts,
    )
    found = outsiders(text)
    if isinstance(coding, Impossible):
        return Explanation(
            encoding=None,
            why=None,
            unit=None,
            units=0,
            parts=(),
            outsiders=found,
            problem=coding.problem,
            replaced=changed.replaced,
        )
    return Explanation(
        encoding=coding.encoding,
        why=coding.why,
        unit=_UNITS[coding.encoding],
        units=coding.units,
        parts=_shapes(coding, default_alphabet),
        outsiders=found,
        replaced=changed.replaced,
    )


def savings(text: str, form: Form = "udh") -> tuple[Saving, ...]:
    """What a channel could allow so that a text which now goes in UCS-2 takes fewer parts.

    Only the first scope of transliteration that helps is named, being the one that changes least.
    """
    now = len(explain(text, form=form).parts)
    scopes: tuple[Scope, ...] = ("typography", "full")
    replacing = (
        Saving(f'transliterate = "{scope}"', len(explain(text, form=form, scope=scope).parts))
        for scope in scopes
    )
    first = next((each for each in replacing if 0 < each.parts < now), None)
    national = (
        Saving(f'languages = ["{name}"]', len(explain(text, languages=(language,), form=form).parts))
        for name, language in LANGUAGES.items()
    )
    return (*((first,) if first else ()), *(each for each in national if 0 < each.parts < now))


def outsiders(text: str) -> tuple[Outsider, ...]:
    """The characters that keep a text out of the GSM 7-bit default alphabet, in order of appearance."""
    counted = Counter(character for character in text if not DEFAULT.expresses(character))
    return tuple(
        Outsider(character, _name(character), text.index(character), count)
        for character, count in counted.items()
    )


def _name(character: str) -> str:
    return unicodedata.name(character, f"U+{ord(character):04X}")


def _shapes(coding: Coding, default_alphabet: DefaultAlphabet) -> tuple[PartShape, ...]:
    room = capacity(coding.encoding, _header(coding))
    converted = coding.encoding == "gsm7" and not default_alphabet.startswith("gsm7")
    charset: Charset = default_alphabet if converted else coding.encoding
    return tuple(
        _shape(coding, piece, number, room, charset) for number, piece in enumerate(coding.pieces, 1)
    )


def _shape(coding: Coding, piece: bytes, number: int, room: int, charset: Charset) -> PartShape:
    text = decode(piece, charset, locking=coding.locking, single=coding.single).text
    units = len(DEFAULT.encode(text)) if charset != coding.encoding else _units(piece, coding.encoding)
    return PartShape(
        number=number,
        text=text,
        units=units,
        room=room,
        octets=octets_on_air(coding, units),
        payload=piece,
    )


def _units(piece: bytes, encoding: Encoding) -> int:
    return len(piece) // 2 if encoding == "ucs2" else len(piece)


def _header(coding: Coding) -> int:
    """Octets; what the SMSC adds where it does the cutting is counted too."""
    return header_size(coding.form if coding.parts > 1 else None, coding.elements)


def octets_on_air(coding: Coding, units: int) -> int:
    """The user data of a part of so many units, header included and septets packed."""
    header = _header(coding)
    if coding.encoding != "gsm7":
        return header + units * (2 if coding.encoding == "ucs2" else 1)
    return (8 * header + fill_bits(header) + 7 * units + 7) // 8
