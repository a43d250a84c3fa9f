"""The character tables of 3GPP TS 23.038, as data."""

from __future__ import annotations

UNDEFINED = "\ufffe"
"""Stands for a code that has no character; Python's charmap codecs know it as such."""

_DEFAULT = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ\ufffeÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
_EXTENSION = {0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]",
              0x40: "|", 0x65: "€"}  # fmt: skip

LOCKING: dict[int, str] = {0: _DEFAULT}
SINGLE: dict[int, str] = {0: "".join(_EXTENSION.get(code, UNDEFINED) for code in range(128))}
