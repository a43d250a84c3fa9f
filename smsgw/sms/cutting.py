"""Where a text may be cut into parts.

Never through an escape sequence or a surrogate pair. And where it can be helped, not through what a
reader sees as one character (a grapheme cluster, Unicode Standard Annex #29): a letter and its
accents, an emoji with its skin tone, a syllable with its vowel signs, CR and LF. Only a cluster that
is larger than a whole part is cut.

Most alphabets have no character that joins another, so that octets can be cut with a look at two of
them. For the others the clusters come from the `regex` library: the rules need Unicode's property
tables, which change every year.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator

import regex

_CLUSTER = regex.compile(r"\X")
_ESCAPE = 0x1B
_CR, _LF = 0x0D, 0x0A


def joins(characters: Iterable[str]) -> bool:
    """Whether any of the characters can make one cluster with another (CR and LF aside)."""
    return any(unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf") for character in characters)


def cut_octets(octets: bytes, capacity: int) -> list[bytes]:
    """Octets of an alphabet without joining characters, in pieces of at most `capacity`, at least 2.

    Serves unpacked septets and Latin-1.
    """
    pieces: list[bytes] = []
    start = 0
    while len(octets) - start > capacity:
        end = start + capacity
        before, after = octets[end - 1], octets[end]
        if before == _ESCAPE or (before == _CR and after == _LF):
            end -= 1
        pieces.append(octets[start:end])
        start = end
    pieces.append(octets[start:])
    return pieces


def cut_text(text: str, capacity: int, units: Callable[[str], int]) -> list[str]:
    """A text in pieces of at most `capacity` units, each as long as can be.

    `units` says how many septets or code units a string takes; it is additive, and no character
    takes more than `capacity`.
    """
    pieces: list[str] = []
    piece: list[str] = []
    used = 0
    for atom in _atoms(text, capacity, units):
        size = units(atom)
        if used + size > capacity:
            pieces.append("".join(piece))
            piece, used = [], 0
        piece.append(atom)
        used += size
    pieces.append("".join(piece))
    return pieces


def _atoms(text: str, capacity: int, units: Callable[[str], int]) -> Iterator[str]:
    """What is not cut: clusters, and the characters of a cluster that no part can hold."""
    for cluster in _CLUSTER.findall(text):
        if units(cluster) <= capacity:
            yield cluster
        else:
            yield from cluster
