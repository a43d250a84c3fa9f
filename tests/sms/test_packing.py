from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.sms.packing import fill_bits, pack, unpack, unpack_text

SEPTETS = st.lists(st.integers(0, 0x7F), max_size=170).map(bytes)
FILL = st.integers(0, 6)


@pytest.mark.parametrize(
    ("septets", "octets"),
    [
        (b"", ""),
        (b"a", "61"),
        (b"hellohello", "e8329bfd4697d9ec37"),
        (b"How are you?", "c8f71d14969741f977fd07"),
        (b"1234567", "31d98c56b3dd00"),
        (b"12345678", "31d98c56b3dd70"),
        (b"\x7f" * 8, "ff" * 7),
    ],
)
def test_known_octets(septets: bytes, octets: str) -> None:
    assert pack(septets).hex() == octets
    assert unpack(bytes.fromhex(octets), len(septets)) == septets


@pytest.mark.parametrize(
    ("header", "fill"), [(0, 0), (1, 6), (2, 5), (3, 4), (4, 3), (5, 2), (6, 1), (7, 0), (8, 6), (9, 5)]
)
def test_text_starts_on_a_septet_boundary_after_the_header(header: int, fill: int) -> None:
    assert fill_bits(header) == fill
    assert (8 * header + fill) % 7 == 0


def test_the_fill_bits_come_first() -> None:
    assert pack(b"\x7f", 1) == b"\xfe"
    assert pack(b"AB", 1) == bytes((0x41 << 1, 0x42))
    assert unpack(b"\xfe", 1, 1) == b"\x7f"


@given(SEPTETS, FILL)
def test_there_and_back(septets: bytes, fill: int) -> None:
    octets = pack(septets, fill)
    assert len(octets) == -(-(fill + 7 * len(septets)) // 8)
    assert unpack(octets, len(septets), fill) == septets


@given(SEPTETS, FILL, st.integers(0, 170))
def test_a_prefix_of_the_septets(septets: bytes, fill: int, count: int) -> None:
    assert unpack(pack(septets, fill), count, fill)[: len(septets)] == septets[:count]


@given(st.binary(max_size=140), FILL, st.one_of(st.none(), st.integers(0, 300)))
def test_any_octets_can_be_unpacked(octets: bytes, fill: int, count: int | None) -> None:
    septets = unpack(octets, count, fill)
    assert all(septet < 0x80 for septet in septets)
    assert len(septets) <= max(0, 8 * len(octets) - fill) // 7


@given(SEPTETS, FILL)
def test_a_text_without_its_count(septets: bytes, fill: int) -> None:
    """Padding is told from text, unless the text itself ends like padding where there is none."""
    octets = pack(septets, fill)
    full = 8 * len(octets) - fill == 7 * len(septets)
    if full and septets[-1:] in (b"\x00", b"\r"):
        septets = septets[:-1]
    assert unpack_text(octets, fill) == septets


def test_a_carriage_return_as_padding_is_not_text() -> None:
    assert unpack_text(pack(b"1234567\r")) == b"1234567"
    assert unpack_text(pack(b"123456\r")) == b"123456\r"
