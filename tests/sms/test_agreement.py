"""Five other implementations of the same specification: where they agree with us, and why where not.

Each is asked about every character and every code one by one, so that what is told apart is
complete; then about thousands of random texts of what it has in common with us. The national tables
are compared in test_shift_tables.py, the octets on the air with Wireshark's in test_tshark_texts.py.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeAlias

import gsm0338  # noqa: F401  registers the codec gsm03.38
import gsmcodecs  # noqa: F401  registers the codecs gsm23.038-*
import pytest
import smsutil
from smpplib import consts
from smpplib.gsm import gsm_encode, make_parts
from smspdudecoder.codecs import GSM, UCS2

from smsgw.sms.alphabets import DEFAULT
from smsgw.sms.coding import Coding, choose
from smsgw.sms.cutting import flat
from smsgw.sms.packing import pack, unpack
from smsgw.sms.shift_tables import LOCKING, SINGLE, UNDEFINED

Encode: TypeAlias = Callable[[str], bytes]
Decode: TypeAlias = Callable[[bytes], str]

ALPHABET = sorted(set(LOCKING[0] + SINGLE[0]) - {UNDEFINED})
EXTENSION = sorted(set(SINGLE[0]) - {UNDEFINED})
TEXTS = 3000


def smspdudecoder_encode(text: str) -> bytes:
    """It packs only; nothing can be said of no text."""
    if not text:
        return b""
    septets = sum(2 if character in EXTENSION else 1 for character in text)
    return unpack(bytes.fromhex(GSM.encode(text)), septets)


def smspdudecoder_decode(septets: bytes) -> str:
    """It takes seven spare bits for one more septet, as anybody must who is not told the count."""
    if not septets:
        return ""
    text: str = GSM.decode(pack(septets).hex())
    return text[:-1] if len(septets) % 8 == 7 else text


ENCODERS: dict[str, Encode] = {
    "gsm0338": lambda text: text.encode("gsm03.38"),
    "gsmcodecs": lambda text: text.encode("gsm23.038-0-0"),
    "smspdudecoder": smspdudecoder_encode,
    "smpplib": gsm_encode,
    "smsutil": lambda text: text.encode("gsm0338"),
}
ENCODING: dict[str, dict[str, bytes | None]] = {
    # They take U+001B for a character; to us it is no text, and would swallow what follows.
    "gsm0338": {"\x1b": b"\x1b"},
    "smsutil": {"\x1b": b"\x1b"},
    "gsmcodecs": {},
    "smspdudecoder": {},
    # Its table has a grave accent (which GSM 7-bit lacks) where the section sign belongs, and no form feed.
    "smpplib": {"\x1b": b"\x1b", "`": b"\x5f", "§": None, "\f": None},
}
"""What each gives, None where it refuses, for the characters on which we disagree."""


def encoded(encode: Encode, text: str) -> bytes | None:
    try:
        return encode(text)
    except (UnicodeError, ValueError):
        return None


def random_texts(characters: list[str], seed: int, longest: int) -> list[str]:
    dice = random.Random(seed)
    return ["".join(dice.choices(characters, k=dice.randrange(longest))) for _ in range(TEXTS)]


@pytest.mark.parametrize("name", ENCODERS)
def test_every_character(name: str) -> None:
    disagreements = {}
    for character in map(chr, [*range(0xD800), *range(0xE000, 0x10000), 0x1F600]):
        theirs = encoded(ENCODERS[name], character)
        if theirs != encoded(DEFAULT.encode, character):
            disagreements[character] = theirs
    assert disagreements == ENCODING[name]


@pytest.mark.parametrize("name", ENCODERS)
def test_random_texts_to_septets(name: str) -> None:
    common = [character for character in ALPHABET if character not in ENCODING[name]]
    for text in random_texts(common, 338, 60):
        assert ENCODERS[name](text) == DEFAULT.encode(text)


DECODERS: dict[str, Decode] = {
    "gsm0338": lambda septets: septets.decode("gsm03.38"),
    "gsmcodecs": lambda septets: septets.decode("gsm23.038-0-0"),
    "smspdudecoder": smspdudecoder_decode,
    "smsutil": lambda septets: septets.decode("gsm0338"),
}


def decoded(decode: Decode, septets: bytes) -> str | None:
    try:
        return decode(septets)
    except (UnicodeError, KeyError, TypeError):
        return None


@pytest.mark.parametrize("name", DECODERS)
def test_every_code(name: str) -> None:
    for code in range(128):
        if code != 0x1B:
            assert DECODERS[name](bytes((code,))) == DEFAULT.decode(bytes((code,)))


UNKNOWN_ESCAPES: dict[str, Callable[[str], str | None]] = {
    # Clause 6.2.1.1 asks a receiver for the character of the default alphabet: what we show.
    "gsm0338": lambda _character: None,
    "gsmcodecs": lambda _character: None,
    "smspdudecoder": lambda _character: " ",
    "smsutil": lambda character: " " + character,
}
"""What each makes of an escape before a code that the extension table lacks; None: it refuses."""


@pytest.mark.parametrize("name", DECODERS)
def test_every_escape(name: str) -> None:
    for code in range(128):
        septets = bytes((0x1B, code))
        theirs, ours = decoded(DECODERS[name], septets), DEFAULT.decode(septets)
        if SINGLE[0][code] != UNDEFINED:
            assert theirs == ours == SINGLE[0][code]
        elif code != 0x1B:
            assert ours == DEFAULT.decode(bytes((code,)))
            assert theirs == UNKNOWN_ESCAPES[name](ours)


@pytest.mark.parametrize("name", DECODERS)
def test_random_septets_to_text(name: str) -> None:
    for text in random_texts(ALPHABET, 23, 60):
        septets = DEFAULT.encode(text)
        assert DECODERS[name](septets) == DEFAULT.decode(septets) == text


def test_packed_septets() -> None:
    for text in random_texts(ALPHABET, 40, 60)[:1000]:
        if text:
            septets = DEFAULT.encode(text)
            assert GSM.encode(text).lower() == pack(septets).hex()


def test_utf_16() -> None:
    for text in random_texts([*"ж日😀é", "\ufffd"], 16, 35):
        coding = choose(text, "ucs2")
        assert isinstance(coding, Coding)
        assert UCS2.encode(text).lower() == coding.pieces[0].hex()


LONG = {
    "gsm": [character for character in ALPHABET if character not in "§\f\r\n"],
    "plain": [character for character in ALPHABET if character not in [*EXTENSION, "§", "\r", "\n"]],
    "ucs2": [*"жд日a é"],
    "pairs": [*"ж😀a"],
}


@pytest.mark.parametrize("kind", LONG)
def test_where_smsutil_cuts(kind: str) -> None:
    """It knows escapes and pairs, but neither clusters nor CR LF; and it calls an empty text UCS-2."""
    for text in random_texts(LONG[kind], 7, 600):
        coding = choose(text)
        assert isinstance(coding, Coding)
        if text:
            theirs = smsutil.split(text)
            codec = "gsm0338" if coding.encoding == "gsm7" else "utf-16-be"
            assert theirs.encoding.replace("_", "-") == codec
            assert [part.content.encode(codec) for part in theirs.parts] == list(coding.pieces)


def test_smsutil_cuts_clusters() -> None:
    text = "ж" * 66 + "e\u0301" * 10
    coding = choose(text)
    assert isinstance(coding, Coding)
    assert not flat(text)
    assert smsutil.split(text).parts[1].content.startswith("\u0301")
    assert coding.pieces[1].decode("utf-16-be").startswith("e\u0301")


@pytest.mark.parametrize("kind", LONG)
def test_where_smpplib_cuts(kind: str) -> None:
    """It cuts octets every 153 or 134, through escapes and pairs: `FIXME` in its source."""
    for text in random_texts(LONG[kind], 8, 600):
        coding = choose(text)
        assert isinstance(coding, Coding)
        parts, encoding, _ = make_parts(text)
        assert (
            encoding
            == {"gsm7": consts.SMPP_ENCODING_DEFAULT, "ucs2": consts.SMPP_ENCODING_ISO10646}[coding.encoding]
        )
        theirs = [part[6:] if len(parts) > 1 else part for part in parts]
        assert b"".join(theirs) == b"".join(coding.pieces)
        if kind in ("plain", "ucs2"):
            assert theirs == list(coding.pieces)
        if theirs != list(coding.pieces):
            assert any(torn(piece, coding.encoding) for piece in theirs)


def torn(piece: bytes, encoding: str) -> bool:
    return piece.endswith(b"\x1b") if encoding == "gsm7" else piece[-2] in range(0xD8, 0xDC)
