"""Which submit_sm_resp does a receipt's message id mean?

Message centres spell one id in two ways: hexadecimal in the response and decimal in the receipt, or
the reverse, with leading zeros, in another case. So an id is an opaque string to us; what was
answered is filed under one canonical form, `index_key`, and the id of a receipt is looked up under
each of its *readings*, `candidates`.

A reading can hit another message by chance where ids are short running numbers. `IdCodec` therefore
learns from the first receipts that only one reading explains, and asks for that one only from then on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, TypeAlias

CodecName: TypeAlias = Literal["text", "decimal-in-receipt", "hex-in-receipt"]
"""How a receipt's id is read: as it is; decimal where the response had hexadecimal; the reverse."""

MessageIdSetting: TypeAlias = Literal["auto", "text", "hex-in-receipt", "decimal-in-receipt"]

ENOUGH = 3
"""Matches in a row, each explained by one reading only, after which `auto` has learned."""

FORGET = 50
"""Receipts in a row without a match, after which it learns anew: the SMSC may have been replaced."""

_DECIMAL = re.compile(r"[0-9]{1,64}")
_HEXADECIMAL = re.compile(r"[0-9a-f]{1,64}")
_LETTERS = re.compile(r"[a-f]")


def index_key(smsc_id: str) -> str:
    """The canonical form: lower case, without `0x`, leading zeros and surrounding blanks."""
    return smsc_id.strip().lower().removeprefix("0x").lstrip("0") or "0"


class IdCodec:
    """What is known of an account's ids. `name` is the reading to use, None while it is learning."""

    __slots__ = ("_leading", "_learns", "_misses", "_votes", "name")

    def __init__(self, setting: MessageIdSetting = "auto") -> None:
        self.name: CodecName | None = None if setting == "auto" else setting
        self._learns = setting == "auto"
        self._leading: str | None = None
        self._votes = 0
        self._misses = 0

    def __repr__(self) -> str:
        return f"<IdCodec {self.name or f'learning {self._votes}/{ENOUGH}'}>"

    def learn(self, matched: str | None, receipt_id: str) -> bool:
        """A receipt was looked up: `matched` is the codec that found its part, None if none did.

        True the moment `name` changes: it has learned, or must learn anew.
        """
        if not self._learns:
            return False
        if matched is None:
            return self._missed()
        self._misses = 0
        return self.name is None and self._voted(matched, receipt_id)

    def _missed(self) -> bool:
        self._misses += 1
        if self.name is None or self._misses < FORGET:
            return False
        self.name, self._leading, self._misses = None, None, 0
        return True

    def _voted(self, matched: str, receipt_id: str) -> bool:
        readings = dict(_readings(index_key(receipt_id)))
        keys = list(readings.values())
        telling = [name for name, key in readings.items() if name == matched and keys.count(key) == 1]
        if not telling:
            return False  # several readings say the same, as for "7"
        if matched != self._leading:
            self._leading, self._votes = matched, 0
        self._votes += 1
        if self._votes < ENOUGH:
            return False
        self.name = telling[0]
        return True


def candidates(receipt_id: str, codec: IdCodec) -> tuple[tuple[CodecName, str], ...]:
    """(codec, index key) of each reading of a receipt's id, the likeliest first, no key twice.

    One reading only where the codec is known; as it is where that reading can't be made.
    """
    key = index_key(receipt_id)
    if codec.name is not None:
        found = _READ[codec.name](key)
        return (("text", key),) if found is None else ((codec.name, found),)
    by_key: dict[str, CodecName] = {}
    for name, reading in _readings(key):
        by_key.setdefault(reading, name)
    return tuple((name, reading) for reading, name in by_key.items())


def _from_decimal(key: str) -> str | None:
    return f"{int(key):x}" if _DECIMAL.fullmatch(key) else None


def _from_hexadecimal(key: str) -> str | None:
    return str(int(key, 16)) if _HEXADECIMAL.fullmatch(key) else None


_READ: dict[CodecName, Callable[[str], str | None]] = {
    "text": str,
    "decimal-in-receipt": _from_decimal,
    "hex-in-receipt": _from_hexadecimal,
}


def _readings(key: str) -> list[tuple[CodecName, str]]:
    """All readings. A key with letters is found only where responses are hexadecimal: it goes first."""
    readings: list[tuple[CodecName, str]] = [("text", key)]
    if (hexadecimal := _from_decimal(key)) is not None:
        readings.insert(0 if _LETTERS.search(hexadecimal) else 1, ("decimal-in-receipt", hexadecimal))
    if (decimal := _from_hexadecimal(key)) is not None:
        readings.append(("hex-in-receipt", decimal))
    return readings
