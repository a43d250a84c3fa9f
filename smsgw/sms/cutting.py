"""Where a text may be cut into parts.

Never through an escape sequence or a surrogate pair: a cut is always between two characters, and
each piece is encoded by itself. And where it can be helped, not through what a reader sees as one
character (a grapheme cluster, Unicode Standard Annex #29): a letter and its accents, an emoji with
its skin tone, a syllable with its vowel signs. Only a cluster that is larger than a whole part is cut.

The clusters come from the `regex` library: the rules need Unicode's property tables, which change
every year.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import regex

_CLUSTER = regex.compile(r"\X")


def cut(text: str, capacity: int, units: Callable[[str], int]) -> list[str]:
    """The pieces of a text, each of at most `capacity` units, as long as can be from the first on.

    `units` says how many septets, code units or octets a string takes; it must be additive, and no
    single character may take more than `capacity`.
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
    """What is not cut: grapheme clusters, or characters where a cluster is too large."""
    for match in _CLUSTER.finditer(text):
        cluster = match[0]
        if units(cluster) <= capacity:
            yield cluster
        else:
            yield from cluster
