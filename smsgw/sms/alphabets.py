"""The GSM 7-bit alphabets: Unicode text to septets and back (3GPP TS 23.038, clause 6.2.1).

An alphabet is a pair of tables of 128 codes. The *locking* table is where a septet is looked up;
the *single shift* table is where the septet after an escape (0x1B) is looked up. The pair (0, 0) is
the default alphabet with its extension table; national languages replace one or both.

Septets are handled unpacked here, one per octet, as they travel in SMPP; see `smsgw.sms.packing`
for the packed form.

Speed: most texts need no escape and only characters of Latin-1; those become octets by two calls
that run at C speed, `str.encode` and `bytes.translate` with a marker for what the table lacks. Any
other text is encoded character by character with a mapping that also knows the escape sequences.
"""

from __future__ import annotations

import codecs
from functools import cache

from smsgw.sms.cutting import cut_octets, cut_text, flat
from smsgw.sms.shift_tables import LOCKING, SINGLE, UNDEFINED

ESCAPE = 0x1B
_ESCAPE_OCTET = bytes((ESCAPE,))
REPLACEMENT = "\ufffd"
_NO_SEPTET = b"\xff"
"""The one octet of an encoded text that is not ASCII."""


class Alphabet:
    """One pair of tables; get it from `alphabet`, which makes each pair once."""

    __slots__ = ("_fast", "_flat", "_full", "_locking", "_single", "locking", "single")

    def __init__(self, locking: int, single: int) -> None:
        self.locking = locking
        self.single = single
        self._locking = LOCKING[locking]
        self._single = SINGLE[single]
        self._flat = flat(self._locking + self._single)
        self._full = _encoding_of(self._locking, self._single)
        self._fast = bytes(_septet(self._full.get(octet)) for octet in range(256))

    def __repr__(self) -> str:
        return f"<Alphabet locking={self.locking} single={self.single}>"

    def encode(self, text: str) -> bytes:
        """The septets, one per octet.

        Raises:
            UnicodeEncodeError: `start` is the position of the first character in neither table.
        """
        try:
            septets = text.encode("latin-1").translate(self._fast)
        except UnicodeEncodeError:
            septets = _NO_SEPTET
        if septets.isascii():
            return septets
        return codecs.charmap_encode(text, "strict", self._full)[0]

    def expresses(self, character: str) -> bool:
        """Whether the character is in one of the two tables."""
        return ord(character) in self._full

    def cut(self, text: str, septets: bytes, capacity: int) -> list[bytes]:
        """The septets of a text, as `encode` gives them, in pieces of at most `capacity` (at least 2)."""
        if self._flat or flat(text):
            return cut_octets(septets, capacity)
        pieces = cut_text(text, capacity, lambda piece: len(self.encode(piece)))
        return [self.encode(piece) for piece in pieces]

    def decode(self, septets: bytes) -> str:
        """The text of unpacked septets; never raises.

        An octet above 0x7F is no septet and becomes U+FFFD. An escape before a code that the single
        shift table lacks shows the locking table's character, as clause 6.2.1.1 asks; an escape
        before an escape, or at the end, shows a space.
        """
        first, *shifted = septets.split(_ESCAPE_OCTET)
        if not shifted:
            return self._plain(first)
        return self._plain(first) + self._shifted(shifted)

    def _plain(self, septets: bytes) -> str:
        return codecs.charmap_decode(septets, "replace", self._locking)[0]

    def _shifted(self, runs: list[bytes]) -> str:
        """The runs that follow an escape each; an empty one means two escapes met, or the end."""
        found: list[str] = []
        escaped = True
        for run in runs:
            if not run and escaped:
                found.append(" ")
                escaped = False
            elif escaped:
                found.append(self._after_escape(run))
            else:
                found.append(self._plain(run))
                escaped = True
        return "".join(found)

    def _after_escape(self, run: bytes) -> str:
        code = run[0]
        character = self._single[code] if code < len(self._single) else REPLACEMENT
        if character == UNDEFINED:
            return self._plain(run)
        return character + self._plain(run[1:])


def _encoding_of(locking: str, single: str) -> dict[int, int | bytes]:
    """From code points to a septet or an escape sequence; the shorter form wins."""
    escaped: dict[int, int | bytes] = {
        ord(character): bytes((ESCAPE, code))
        for code, character in reversed(list(enumerate(single)))
        if character != UNDEFINED
    }
    plain = {
        ord(character): code
        for code, character in reversed(list(enumerate(locking)))
        if character != UNDEFINED
    }
    return escaped | plain


def _septet(found: int | bytes | None) -> int:
    return found if isinstance(found, int) else _NO_SEPTET[0]


def alphabet(locking: int = 0, single: int = 0) -> Alphabet:
    """The alphabet of a pair of national language identifiers; 0 is the default table.

    An identifier that has no such table means the default one, as clause 6.2.1.2.4 asks of a
    receiver.
    """
    return _made(locking if locking in LOCKING else 0, single if single in SINGLE else 0)


_made = cache(Alphabet)

DEFAULT = alphabet()
