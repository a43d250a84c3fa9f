from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.errors import Misuse
from smsgw.sms import udh
from smsgw.sms.udh import Concatenation, Element, Header, Ports

ELEMENTS = st.lists(
    st.builds(Element, st.integers(0, 255), st.binary(max_size=20)), min_size=1, max_size=6
).filter(lambda elements: udh.size(elements) <= udh.MAX_OCTETS)


@pytest.mark.parametrize(
    ("element", "octets"),
    [
        (Concatenation(0x2A, 3, 1).element, "00032a0301"),
        (Concatenation(0x12A, 3, 1).element, "00032a0301"),
        (Concatenation(0x1234, 3, 2, wide=True).element, "080412340302"),
        (Concatenation(0x51234, 3, 2, wide=True).element, "080412340302"),
        (Ports(2948, 9200).element, "05040b8423f0"),
        (Ports(240, 241, wide=False).element, "0402f0f1"),
        (udh.single_shift(1), "240101"),
        (udh.locking_shift(13), "25010d"),
    ],
)
def test_elements(element: Element, octets: str) -> None:
    assert element.octets.hex() == octets


def test_a_header_counts_its_elements_not_itself() -> None:
    header = udh.build((Concatenation(1, 2, 1).element, udh.single_shift(1)))
    assert header.hex() == "08" + "0003010201" + "240101"
    assert len(header) == udh.size(udh.parse(header).elements)


def test_no_elements_no_header() -> None:
    assert udh.build(()) == b""
    assert udh.size(()) == 0


def test_a_header_that_fills_the_message_is_refused() -> None:
    assert len(udh.build((Element(0x70, bytes(137)),))) == 140
    with pytest.raises(Misuse, match="141"):
        udh.build((Element(0x70, bytes(138)),))


@pytest.mark.parametrize("ports", [Ports(65536, 0), Ports(0, -1), Ports(256, 0, wide=False)])
def test_ports_out_of_range(ports: Ports) -> None:
    with pytest.raises(Misuse):
        _ = ports.element


@given(ELEMENTS, st.binary(max_size=30))
def test_there_and_back_with_a_tail(elements: list[Element], tail: bytes) -> None:
    header = udh.build(elements)
    assert udh.parse(header + tail) == Header(tuple(elements), len(header))


@given(ELEMENTS)
def test_every_prefix_of_a_header_is_a_problem(elements: list[Element]) -> None:
    header = udh.build(elements)
    for length in range(len(header)):
        assert udh.parse(header[:length]).problem is not None


@given(st.binary(max_size=150))
def test_anything_can_be_parsed(octets: bytes) -> None:
    header = udh.parse(octets)
    assert header.length <= len(octets)
    assert header.problem is None or header.elements == ()
    udh.concatenation(header.elements)
    udh.ports(header.elements)
    udh.shifts(header.elements)


@pytest.mark.parametrize(
    ("octets", "length", "problem"),
    [
        ("", 0, "missing"),
        ("05", 0, "6 octets in 1"),
        ("0500032a03", 0, "6 octets in 5"),
        ("0500042a0301", 6, "octet 1 runs past"),
        ("0400032a0301", 5, "octet 1 runs past"),
        ("0600032a030100", 7, "octet 6 runs past"),
    ],
)
def test_a_header_whose_lengths_do_not_add_up(octets: str, length: int, problem: str) -> None:
    header = udh.parse(bytes.fromhex(octets))
    assert (header.elements, header.length) == ((), length)
    assert problem in (header.problem or "")


def test_an_empty_header_is_no_problem() -> None:
    assert udh.parse(b"\x00abc") == Header((), 1)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        ("00032a0301", Concatenation(0x2A, 3, 1)),
        ("080412340302", Concatenation(0x1234, 3, 2, wide=True)),
        ("00032a030100032b0302", Concatenation(0x2B, 3, 2)),
        ("00032a030100032b0300", Concatenation(0x2A, 3, 1)),
        ("00032a0300", None),
        ("00032a0304", None),
        ("00032a0000", None),
        ("00022a03", None),
        ("0803123403", None),
        ("240101", None),
    ],
)
def test_concatenation(octets: str, expected: Concatenation | None) -> None:
    """The last element counts; one whose values make no sense is as if absent (9.2.3.24.1)."""
    data = bytes.fromhex(octets)
    assert udh.concatenation(udh.parse(bytes((len(data),)) + data).elements) == expected


@pytest.mark.parametrize("ports", [Ports(2948, 9200), Ports(1, 2, wide=False)])
def test_ports(ports: Ports) -> None:
    assert udh.ports((udh.single_shift(1), ports.element)) == ports
    assert udh.ports((udh.single_shift(1), Element(0x05, b"\x00"))) is None


def test_shifts() -> None:
    assert udh.shifts(()) == (0, 0)
    assert udh.shifts((udh.single_shift(1), udh.locking_shift(3))) == (3, 1)
    assert udh.shifts((udh.single_shift(1), udh.single_shift(2))) == (0, 2)
    assert udh.shifts((Element(0x24, b""), Element(0x25, b"\x01\x02"))) == (0, 0)
