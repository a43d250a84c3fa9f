"""Which encoding a text gets, and what octets mean as text.

`choose` is the one place that decides, and it says why: the GSM 7-bit default alphabet if it has
every character; else a national language's tables, where the caller allows that language and it
takes fewer parts than UCS-2; else UCS-2. What can't be done is a value, `Impossible`, not an
exception, and names a position, never the text.

`decode` is the reverse. It never raises: octets come from anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from itertools import product
from typing import Literal, TypeAlias

import msgspec

from smsgw.errors import Misuse
from smsgw.sms import packing, udh
from smsgw.sms.alphabets import DEFAULT, REPLACEMENT, Alphabet, alphabet
from smsgw.sms.cutting import cut
from smsgw.sms.shift_tables import LOCKING, SINGLE
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
    septets one per octet, UTF-16BE, Latin-1. `units` counts septets, UTF-16 code units or octets of
    the whole text. `elements` are in every part's header, concatenation not among them.
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
        return len(self.pieces)

    def __repr__(self) -> str:
        return f"<Coding {self.encoding} parts={self.parts} units={self.units} why={self.why!r}>"


class Decoded(msgspec.Struct, frozen=True):
    """Octets as text; with a `problem` the text has U+FFFD where the octets make no sense."""

    text: str
    problem: str | None = None


def capacity(encoding: Encoding, header: int) -> int:
    """Units that fit into one part beside a header of so many octets: septets, code units or octets."""
    room = MAX_OCTETS - header
    if encoding == "gsm7":
        return room * 8 // 7
    return room // 2 if encoding == "ucs2" else room


def room_in_part(encoding: Encoding, form: Form, elements: tuple[Element, ...]) -> int:
    """The units of one part among several.

    With SAR TLVs or message_payload the SMSC makes the header; its references may have 16 bits.
    """
    return capacity(encoding, udh.size((_NARROW if form == "udh" else _WIDE, *elements)))


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
    if wanted == "binary":
        raise Misuse("binary is no encoding for text")
    request = _Request(text, form, elements, max_parts)
    if wanted in ("auto", "gsm7"):
        found = _gsm7(request, default_alphabet)
        if isinstance(found, Coding) or found.position is None:
            return found
        national = _national(request, languages) if default_alphabet.startswith("gsm7") else None
        if wanted == "gsm7":
            return national or found
        return _cheaper(national, _ucs2(request, f"character {found.position + 1} is not in GSM 7-bit"))
    return _ucs2(request, "asked for") if wanted == "ucs2" else _latin1(request, "asked for")


class _Request(msgspec.Struct, frozen=True):
    text: str
    form: Form
    elements: tuple[Element, ...]
    max_parts: int


def _cheaper(national: Coding | None, ucs2: Coding | Impossible) -> Coding | Impossible:
    if national is None or (isinstance(ucs2, Coding) and ucs2.parts <= national.parts):
        return ucs2
    return national


def _gsm7(request: _Request, default_alphabet: DefaultAlphabet) -> Coding | Impossible:
    try:
        septets = DEFAULT.encode(request.text)
        if not default_alphabet.startswith("gsm7"):
            return _converted(request, len(septets), default_alphabet)
    except UnicodeEncodeError as error:
        return Impossible(f"character {error.start + 1} is not in GSM 7-bit", error.start)
    return _coded(request, "gsm7", septets, DEFAULT.encode, "every character is in GSM 7-bit")


def _converted(request: _Request, septets: int, charset: str) -> Coding | Impossible:
    """Text that the SMSC converts: counted in septets, sent in its own character set."""
    wire = request.text.encode(charset)
    coding = _coded(
        request, "gsm7", DEFAULT.encode(request.text), DEFAULT.encode, f"GSM 7-bit, sent as {charset}"
    )
    if isinstance(coding, Impossible):
        return coding
    pieces = (
        [wire] if coding.parts == 1 else [DEFAULT.decode(piece).encode(charset) for piece in coding.pieces]
    )
    return msgspec.structs.replace(coding, pieces=tuple(pieces), units=septets)


def _ucs2(request: _Request, why: str) -> Coding | Impossible:
    try:
        return _coded(request, "ucs2", _utf16(request.text), _utf16, why)
    except UnicodeEncodeError as error:
        return Impossible(f"character {error.start + 1} is half of a surrogate pair", error.start)


def _latin1(request: _Request, why: str) -> Coding | Impossible:
    try:
        return _coded(request, "latin1", _iso8859(request.text), _iso8859, why)
    except UnicodeEncodeError as error:
        return Impossible(f"character {error.start + 1} is not in Latin-1", error.start)


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be")


def _iso8859(text: str) -> bytes:
    return text.encode("latin-1")


def _national(request: _Request, languages: Collection[int]) -> Coding | None:
    """The fewest parts, then octets, that the languages' tables allow; None if none expresses the text."""
    best: Coding | None = None
    for tables in _pairs(languages):
        found = _with_tables(request, tables)
        if found is not None and (best is None or _cost(found) < _cost(best)):
            best = found
    return best


def _pairs(languages: Collection[int]) -> Iterator[Alphabet]:
    """Single shift alone first: who lacks the table still reads every other character."""
    allowed = sorted(set(languages))
    locking = [0, *(language for language in allowed if language in LOCKING and language)]
    single = [0, *(language for language in allowed if language in SINGLE and language)]
    return (alphabet(*pair) for pair in product(locking, single) if pair != (0, 0))


def _cost(coding: Coding) -> tuple[int, int]:
    return coding.parts, coding.units + coding.parts * udh.size(coding.elements)


def _with_tables(request: _Request, tables: Alphabet) -> Coding | None:
    shifts = _shift_elements(tables)
    widened = msgspec.structs.replace(request, elements=(*request.elements, *shifts))
    try:
        found = _coded(
            widened, "gsm7", tables.encode(request.text), tables.encode, "a national language's tables"
        )
    except UnicodeEncodeError:
        return None
    if isinstance(found, Impossible) or (found.parts > 1 and request.form in ("sar", "payload")):
        return None
    return msgspec.structs.replace(found, locking=tables.locking, single=tables.single)


def _shift_elements(tables: Alphabet) -> tuple[Element, ...]:
    locking = (udh.locking_shift(tables.locking),) if tables.locking else ()
    single = (udh.single_shift(tables.single),) if tables.single else ()
    return (*locking, *single)


def _coded(
    request: _Request, encoding: Encoding, octets: bytes, encode: Callable[[str], bytes], why: str
) -> Coding | Impossible:
    """The coding of a text that is already encoded; cut only if it does not fit one part."""
    width = 2 if encoding == "ucs2" else 1
    units = len(octets) // width
    elements = request.elements
    if units <= capacity(encoding, udh.size(elements)):
        return Coding(
            encoding=encoding, pieces=(octets,), units=units, why=why, form=request.form, elements=elements
        )
    room = room_in_part(encoding, request.form, elements)
    if room < 2:
        return Impossible("the user data header leaves no room for text")
    most = min(request.max_parts, MAX_PARTS)
    if units > most * room:
        return _too_long(-(-units // room), most)
    pieces = cut(request.text, room, lambda piece: len(encode(piece)) // width)
    if len(pieces) > most:
        return _too_long(len(pieces), most)
    coded = tuple(encode(piece) for piece in pieces)
    return Coding(encoding=encoding, pieces=coded, units=units, why=why, form=request.form, elements=elements)


def _too_long(parts: int, most: int) -> Impossible:
    return Impossible(f"the text takes {parts} parts; at most {most} are allowed")


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
    return Decoded(text, "an octet above 0x7F is no septet" if REPLACEMENT in text else None)


def _strictly(octets: bytes, codec: str, problem: str) -> Decoded:
    """A legitimate U+FFFD is text like any other: only what the codec refuses is a problem."""
    try:
        return Decoded(octets.decode(codec))
    except UnicodeDecodeError as error:
        return Decoded(octets.decode(codec, "replace"), f"{problem} at octet {error.start}")
