"""Septets packed into octets: 8 in 7 (3GPP TS 23.038, clause 6.1.2.1).

The first septet fills the low bits of the first octet. After a user data header the text starts on
a septet boundary, counted from the first octet of the header: the fill bits between the two are
zero (3GPP TS 23.040, clause 9.2.3.24).

Both ways go through one large integer, whose base-128 and base-256 digits the septets and octets are;
the interpreter does the shifting.
"""

from __future__ import annotations


def fill_bits(header: int) -> int:
    """The bits between a header of so many octets (its length octet included) and the first septet."""
    return -8 * header % 7


def pack(septets: bytes, fill: int = 0) -> bytes:
    """Octets with `fill` zero bits first; the spare bits at the end are zero."""
    number = 0
    for septet in reversed(septets):
        number = number << 7 | septet & 0x7F
    return (number << fill).to_bytes((fill + 7 * len(septets) + 7) // 8, "little")


def unpack(octets: bytes, count: int | None = None, fill: int = 0) -> bytes:
    """The first `count` septets after `fill` bits, one per octet; without `count` all that are whole.

    Never more than the octets hold.
    """
    whole = max(0, 8 * len(octets) - fill) // 7
    number = int.from_bytes(octets, "little") >> fill
    most = whole if count is None else min(count, whole)
    return bytes(number >> shift & 0x7F for shift in range(0, 7 * most, 7))


def unpack_text(octets: bytes, fill: int = 0) -> bytes:
    """The septets of a text whose count nobody says, as in SMPP.

    Where the last octet has seven spare bits they look like one more septet: a zero or a carriage
    return there is padding (the latter as in clause 6.1.2.3.1), not text.
    """
    septets = unpack(octets, fill=fill)
    spare = 8 * len(octets) - fill - 7 * len(septets)
    if spare == 0 and septets[-1:] in (b"\x00", b"\r"):
        return septets[:-1]
    return septets
