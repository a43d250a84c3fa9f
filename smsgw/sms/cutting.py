"""Where a text may be cut into parts.

Never through an escape sequence or a surrogate pair. And where it can be helped, not through what a
reader sees as one character (a grapheme cluster, Unicode Standard Annex #29): a letter and its
accents, an emoji with its skin tone, a syllable with its vowel signs, CR and LF. Only a cluster that
is larger than a whole part is cut.

Most texts have no character that joins another (`flat`): their octets are cut with a look at what
stands at the border. For the others the clusters come from the `regex` library: the rules need
Unicode's property tables, which change every year.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import regex

_CLUSTER = regex.compile(r"\X")
_JOINING = regex.compile(
    r"[\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}\p{GCB=Prepend}"
    r"\p{GCB=Regional_Indicator}\p{GCB=L}\p{GCB=V}\p{GCB=T}]"
)
_ESCAPE = 0x1B
_CRLF = b"\r\n"
_CRLF_UTF16 = "\r\n".encode("utf-16-be")
_HIGH_SURROGATES = range(0xD8, 0xDC)


def flat(text: str) -> bool:
    """Whether every character is a grapheme cluster of its own, CR LF aside."""
    return _JOINING.search(text) is None


def cut_octets(octets: bytes, capacity: int) -> list[bytes]:
    """Unpacked septets or Latin-1 of a flat text, in pieces of at most `capacity` octets, at least 2."""
    pieces: list[bytes] = []
    start = 0
    while len(octets) - start > capacity:
        end = start + capacity
        if octets[end - 1] == _ESCAPE or octets[end - 1 : end + 1] == _CRLF:
            end -= 1
        pieces.append(octets[start:end])
        start = end
    pieces.append(octets[start:])
    return pieces


def cut_utf16(octets: bytes, capacity: int) -> list[bytes]:
    """UTF-16BE of a flat text, in pieces of at most `capacity` code units, at least 2."""
    pieces: list[bytes] = []
    start = 0
    while len(octets) - start > 2 * capacity:
        end = start + 2 * capacity
        if octets[end - 2] in _HIGH_SURROGATES or octets[end - 2 : end + 2] == _CRLF_UTF16:
            end -= 2
        pieces.append(octets[start:end])
        start = end
    pieces.append(octets[start:])
    return pieces


def cut_text(text: str, capacity: int, units: Callable[[str], int]) -> list[str]:
    """Any text in pieces of at most `capacity` units, each as long as can be.

    `units` says how many septets or code units a string takes; it is additive, and no character
    takes more than `capacity`.
    """
    pieces: list[str] = []
    piece: list[str] = []
    used = 0
    for atom, size in _atoms(text, capacity, units):
        if used + size > capacity:
            pieces.append("".join(piece))
            piece, used = [], 0
        piece.append(atom)
        used += size
    pieces.append("".join(piece))
    return pieces


def _atoms(text: str, capacity: int, units: Callable[[str], int]) -> Iterator[tuple[str, int]]:
    """What is not cut, and its units: clusters, and the characters of one that no part can hold."""
    for cluster in _CLUSTER.findall(text):
        size = units(cluster)
        if size <= capacity:
            yield cluster, size
        else:
            yield from ((character, units(character)) for character in cluster)
