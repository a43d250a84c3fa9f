"""Which encoding a text gets, and what octets mean as text.

`choose` is the one place that decides, and it says why: the GSM 7-bit default alphabet if it has
every character; else a national language's tables, where the caller allows that language and it
takes fewer parts than UCS-2; else UCS-2. What can't be done is a value, `Impossible`, not an
exception, and names a position, never the text.

`decode` is the reverse. It never raises: octets come from anywhere.

The capacity of a part is 140 octets on the air (3GPP TS 23.040, clause 9.2.3.24), packed septets
counted as what they are there, whatever form they have on the way to the SMSC.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache, lru_cache
from itertools import product
from typing import Literal, TypeAlias

import msgspec

from smsgw.errors import Misuse
from smsgw.sms import packing, udh
from smsgw.sms.alphabets import DEFAULT, REPLACEMENT, Alphabet, alphabet
from smsgw.sms.cutting import cut_octets, cut_text, cut_utf16, flat
from smsgw.sms.shift_tables import LANGUAGES, LOCKING, SINGLE
from smsgw.sms.udh import MAX_OCTETS, Element

Encoding: TypeAlias = Literal["gsm7", "ucs2", "latin1", "binary"]
Wanted: TypeAlias = Literal["auto", "gsm7", "ucs2", "latin1", "binary"]
Form: TypeAlias = Literal["udh", "udh16", "sar", "payload"]
Charset: TypeAlias = Literal["gsm7", "gsm7-packed", "ucs2", "latin1", "ascii", "binary"]
DefaultAlphabet: TypeAlias = Literal["gsm7", "gsm7-packed", "latin1", "ascii"]

MAX_PARTS = 255
"""A part's number is one octet (3GPP TS 23.040, clause 9.2.3.24.1)."""

_NARROW = udh.Concatenation(0, 1, 1).element
_WIDE = udh.Concatenation(0, 1, 1, wide=True).element


class Impossible(msgspec.Struct, frozen=True):
    """The text can't be sent as asked; `position` is the first character at fault, from 0."""

    problem: str
    position: int | None = None


class Coding(msgspec.Struct, frozen=True, kw_only=True):
    """How a text is coded and cut.

    `pieces` are the payloads of the parts, as they go into short_message after the header:
    septets one per octet, UTF-16BE, Latin-1. `units` counts the septets, UTF-16 code units or
    octets of the whole text. `elements` are in every part's header, concatenation not among them.
    """

    encoding: Encoding
    pieces: tuple[bytes, ...]
    units: int
    why: str
    form: Form = "udh"
    elements: tuple[Element, ...] = ()
    locking: int = 0
    single: int = 0

    @property
    def parts(self) -> int:
        """How many short messages the text takes on the air."""
        return len(self.pieces)

    def __repr__(self) -> str:
        return f"<Coding {self.encoding} parts={self.parts} units={self.units} why={self.why!r}>"


class Decoded(msgspec.Struct, frozen=True):
    """Octets as text; with a `problem` the text has U+FFFD where the octets make no sense."""

    text: str
    problem: str | None = None


class _Request(msgspec.Struct, frozen=True):
    text: str
    form: Form
    elements: tuple[Element, ...]
    max_parts: int


@lru_cache(maxsize=1024)
def _room(encoding: Encoding, form: Form | None, elements: tuple[Element, ...]) -> int:
    return capacity(encoding, header_size(form, elements))


def capacity(encoding: Encoding, header: int) -> int:
    """Units that fit into one part beside a header of so many octets: septets, code units or octets."""
    room = MAX_OCTETS - header
    if encoding == "gsm7":
        return room * 8 // 7
    return room // 2 if encoding == "ucs2" else room


def header_size(form: Form | None, elements: tuple[Element, ...]) -> int:
    """Octets of the header of one part among several; `form` None for a part that is alone.

    With SAR TLVs or message_payload the SMSC makes the header; its references may have 16 bits.
    """
    if form is None:
        return udh.size(elements)
    return udh.size((_NARROW if form == "udh" else _WIDE, *elements))


def choose(
    text: str,
    wanted: Wanted = "auto",
    *,
    languages: Collection[int] = (),
    form: Form = "udh",
    elements: tuple[Element, ...] = (),
    default_alphabet: DefaultAlphabet = "gsm7",
    max_parts: int = MAX_PARTS,
) -> Coding | Impossible:
    """Code a text: the encoding, the parts, and why.

    `languages` are the national language identifiers that may be used (3GPP TS 23.038,
    clause 6.2.1.2.4); `elements` go into every part's header; `default_alphabet` is what the SMSC
    takes for GSM 7-bit text: with `latin1` or `ascii` it converts to septets itself, so that the
    text must be in both.

    Raises:
        Misuse: `binary` is no encoding for text.
    """
    request = _Request(text, form, elements, max_parts)
    if wanted == "binary":
        raise Misuse("binary is no encoding for text")
    if wanted == "ucs2":
        return _ucs2(request, "asked for")
    if wanted == "latin1":
        return _latin1(request, "asked for")
    packs = default_alphabet in ("gsm7", "gsm7-packed")
    found = _gsm7(request) if packs else _converted(request, default_alphabet)
    if isinstance(found, Coding) or found.position is None:
        return found
    national = _national(request, languages, text[found.position]) if packs and languages else None
    if wanted == "gsm7":
        return national or found
    return _cheaper(national, _ucs2(request, found.problem))


def _cheaper(national: Coding | None, ucs2: Coding | Impossible) -> Coding | Impossible:
    if national is None or (isinstance(ucs2, Coding) and ucs2.parts <= national.parts):
        return ucs2
    return national


def _gsm7(request: _Request) -> Coding | Impossible:
    try:
        septets = DEFAULT.encode(request.text)
    except UnicodeEncodeError as error:
        return _inexpressible(error, "not in GSM 7-bit")
    return _coded(request, "gsm7", septets, DEFAULT.cut, "every character is in GSM 7-bit")


def _converted(request: _Request, charset: str) -> Coding | Impossible:
    """Text that the SMSC converts: counted and cut in septets, sent in its own character set."""
    try:
        request.text.encode(charset)
    except UnicodeEncodeError as error:
        return _inexpressible(error, f"not in {charset}")
    coding = _gsm7(request)
    if isinstance(coding, Impossible):
        return coding
    pieces = tuple(DEFAULT.decode(piece).encode(charset) for piece in coding.pieces)
    return msgspec.structs.replace(coding, pieces=pieces)


def _ucs2(request: _Request, why: str) -> Coding | Impossible:
    try:
        octets = request.text.encode("utf-16-be")
    except UnicodeEncodeError as error:
        return _inexpressible(error, "half of a surrogate pair")
    return _coded(request, "ucs2", octets, _cut_ucs2, why)


def _cut_ucs2(text: str, octets: bytes, room: int) -> list[bytes]:
    if flat(text):
        return cut_utf16(octets, room)
    return [piece.encode("utf-16-be") for piece in cut_text(text, room, _code_units)]


def _code_units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-be")) // 2


def _latin1(request: _Request, why: str) -> Coding | Impossible:
    try:
        octets = request.text.encode("latin-1")
    except UnicodeEncodeError as error:
        return _inexpressible(error, "not in Latin-1")
    return _coded(request, "latin1", octets, _cut_latin1, why)


def _cut_latin1(_text: str, octets: bytes, room: int) -> list[bytes]:
    return cut_octets(octets, room)


def _inexpressible(error: UnicodeEncodeError, what: str) -> Impossible:
    """Says where, for a person who counts from 1; never which character it is."""
    return Impossible(f"character {error.start + 1} is {what}", error.start)


def _national(request: _Request, languages: Collection[int], foreign: str) -> Coding | None:
    """The cheapest coding that the languages' tables allow; None if none of them has the text.

    `foreign` is a character that the default alphabet lacks: tables that lack it too are not tried.
    """
    best: Coding | None = None
    for tables in _pairs(tuple(languages)):
        found = _with_tables(request, tables) if tables.expresses(foreign) else None
        if found is not None and (best is None or _cost(found) < _cost(best)):
            best = found
    return best


@lru_cache(maxsize=64)
def _pairs(languages: tuple[int, ...]) -> tuple[Alphabet, ...]:
    """The pairs of tables, the default one among them, other than two default ones."""
    allowed = sorted(set(languages) - {0})
    locking = [0, *(language for language in allowed if language in LOCKING)]
    single = [0, *(language for language in allowed if language in SINGLE)]
    return tuple(alphabet(*pair) for pair in product(locking, single) if pair != (0, 0))


def _cost(coding: Coding) -> tuple[int, bool, int]:
    """Parts; then rather no locking shift (a phone that lacks it shows not one letter right); then bits."""
    return coding.parts, coding.locking != 0, 7 * coding.units + 8 * coding.parts * udh.size(coding.elements)


def _with_tables(request: _Request, tables: Alphabet) -> Coding | None:
    """None, too, for a long text whose parts have no header of ours to name the tables in."""
    try:
        septets = tables.encode(request.text)
    except UnicodeEncodeError:
        return None
    found = _coded(
        msgspec.structs.replace(request, elements=(*request.elements, *_shift_elements(tables))),
        "gsm7",
        septets,
        tables.cut,
        _naming(tables),
    )
    if isinstance(found, Impossible) or (found.parts > 1 and request.form in ("sar", "payload")):
        return None
    return msgspec.structs.replace(found, locking=tables.locking, single=tables.single)


def _shift_elements(tables: Alphabet) -> tuple[Element, ...]:
    locking = (udh.locking_shift(tables.locking),) if tables.locking else ()
    single = (udh.single_shift(tables.single),) if tables.single else ()
    return (*locking, *single)


@cache
def _naming(tables: Alphabet) -> str:
    names = {identifier: name for name, identifier in LANGUAGES.items()}
    used = {"locking shift": tables.locking, "single shift": tables.single}
    told = [f"{names[language]} {kind}" for kind, language in used.items() if language]
    return f"every character is in GSM 7-bit with {' and '.join(told)}"


def _coded(
    request: _Request,
    encoding: Encoding,
    octets: bytes,
    cut: Callable[[str, bytes, int], list[bytes]],
    why: str,
) -> Coding | Impossible:
    """A text that is already encoded; `cut` makes pieces of so many units, only if it must be cut."""
    units = len(octets) // 2 if encoding == "ucs2" else len(octets)
    elements = request.elements
    if units <= _room(encoding, None, elements):
        return Coding(
            encoding=encoding, pieces=(octets,), units=units, why=why, form=request.form, elements=elements
        )
    room = _room(encoding, request.form, elements)
    if room < 2:
        return Impossible("the user data header leaves no room for text")
    most = min(request.max_parts, MAX_PARTS)
    least = -(-units // room)
    pieces = tuple(cut(request.text, octets, room)) if least <= most else ()
    if not pieces:
        return Impossible(f"the text takes at least {least} parts; at most {most} are allowed")
    if len(pieces) > most:
        return Impossible(f"the text takes {len(pieces)} parts; at most {most} are allowed")
    return Coding(
        encoding=encoding, pieces=pieces, units=units, why=why, form=request.form, elements=elements
    )


def decode(octets: bytes, charset: Charset, *, locking: int = 0, single: int = 0, header: int = 0) -> Decoded:
    """The text of a payload, its header already removed; never raises.

    `locking` and `single` are the national languages of its header, `header` the octets of that
    header, which packed septets need for their fill bits.
    """
    if charset == "binary":
        return Decoded("", "binary data has no text")
    if charset == "ucs2":
        return _strictly(octets, "utf-16-be", "not UTF-16BE")
    if charset == "latin1":
        return Decoded(octets.decode("latin-1"))
    if charset == "ascii":
        return _strictly(octets, "ascii", "not ASCII")
    septets = packing.unpack_text(octets, packing.fill_bits(header)) if charset == "gsm7-packed" else octets
    text = alphabet(locking, single).decode(septets)
    return Decoded(text, "a code without a character in GSM 7-bit" if REPLACEMENT in text else None)


def _strictly(octets: bytes, codec: str, problem: str) -> Decoded:
    """A legitimate U+FFFD is text like any other: only what the codec refuses is a problem."""
    try:
        return Decoded(octets.decode(codec))
    except UnicodeDecodeError as error:
        return Decoded(octets.decode(codec, "replace"), f"{problem} at octet {error.start}")
