"""AMQP values: every type there and back, and nothing but our own errors for garbage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.broker.amqp.fields import (
    MAX_DEPTH,
    PAST_THE_END,
    DecodeError,
    EncodeError,
    read_shortstr,
    read_table,
    write_longstr,
    write_shortstr,
    write_table,
)

names = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=300)
    | st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1)).map(
        lambda at: at.replace(microsecond=0)
    )
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)
tables = st.dictionaries(names, values, max_size=6)


def there_and_back(table: dict[str, Any]) -> dict[str, Any]:
    octets = write_table(table)
    found, end = read_table(octets, 0)
    assert end == len(octets)
    return found


@given(tables)
def test_a_table_comes_back_as_it_went(table: dict[str, Any]) -> None:
    found = there_and_back(table)
    assert found == table
    assert _types(found) == _types(table)


def _types(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _types(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_types(each) for each in value]
    return type(value)


@given(tables, st.binary(min_size=1, max_size=9))
def test_a_table_ends_where_it_says(table: dict[str, Any], tail: bytes) -> None:
    octets = write_table(table)
    assert read_table(octets + tail, 0) == (table, len(octets))


@given(tables)
def test_every_prefix_of_a_table_is_an_error_of_ours(table: dict[str, Any]) -> None:
    octets = write_table(table)
    for size in range(len(octets)):
        with pytest.raises((DecodeError, *PAST_THE_END)):
            read_table(octets[:size], 0)


@given(st.binary(max_size=200))
def test_garbage_in_a_table_is_an_error_of_ours(garbage: bytes) -> None:
    octets = len(garbage).to_bytes(4, "big") + garbage
    try:
        read_table(octets, 0)
    except (DecodeError, *PAST_THE_END):
        pass


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (b"t\x02", True),
        (b"b\xff", -1),
        (b"B\xff", 255),
        (b"s\xff\xfe", -2),
        (b"u\xff\xfe", 65534),
        (b"I\xff\xff\xff\xff", -1),
        (b"i\xff\xff\xff\xff", 2**32 - 1),
        (b"l" + b"\xff" * 8, -1),
        (b"L" + b"\x00" * 7 + b"\x05", 5),
        (b"f\x3f\x80\x00\x00", 1.0),
        (b"d\x3f\xf0" + b"\x00" * 6, 1.0),
        (b"D\x02\x00\x00\x01\x3a", Decimal("3.14")),
        (b"D\x02\xff\xff\xff\xff", Decimal("-0.01")),
        (b"S\x00\x00\x00\x02\xc3\xa5", "å"),
        (b"S\x00\x00\x00\x01\xff", b"\xff"),
        (b"x\x00\x00\x00\x02ab", b"ab"),
        (b"A\x00\x00\x00\x05I\x00\x00\x00\x07", [7]),
        (b"T\x00\x00\x00\x00\x00\x00\x00\x01", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        (b"T" + b"\xff" * 8, 2**64 - 1),
        (b"F\x00\x00\x00\x00", {}),
        (b"V", None),
    ],
)
def test_every_field_type_is_read(octets: bytes, value: Any) -> None:
    table = b"\x01k" + octets
    assert read_table(len(table).to_bytes(4, "big") + table, 0) == ({"k": value}, len(table) + 4)


class Colour(StrEnum):
    RED = "red"


class Count(IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (-1, -1),
        (2**31, 2**31),
        (2**32 + 1, 2**32 + 1),
        (-(2**63), -(2**63)),
        (True, True),
        ((1, "å"), [1, "å"]),
        (bytearray(b"\x00\xff"), b"\x00\xff"),
        (memoryview(b"ab"), b"ab"),
        (Colour.RED, "red"),
        (Count.ONE, 1),
        (Decimal("-1.50"), Decimal("-1.50")),
        (Decimal("2E+3"), Decimal(2000)),
        (datetime(2026, 1, 2, 3, 4, 5), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (
            datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2))),
            datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC),
        ),
    ],
)
def test_what_kills_txamqps_writer_is_written(value: Any, found: Any) -> None:
    assert there_and_back({"k": value}) == {"k": found}
    assert type(there_and_back({"k": value})["k"]) is type(found)


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ({"big": 2**63}, "big"),
        ({"x-death": [{"count": 1}, {"count": object()}]}, "x-death[1].count"),
        ({"a": {"b": {"c": "\ud800"}}}, "a.b.c"),
        ({"l" * 256: 1}, "l" * 256),
        ({"when": datetime(1900, 1, 1, tzinfo=UTC)}, "when"),
        ({"d": Decimal("NaN")}, "d"),
        ({"d": Decimal("12345678901")}, "d"),
        ({"d": Decimal("1E-300")}, "d"),
        ({1: "name"}, "1"),
        ({"set": {1}}, "set"),
    ],
)
def test_what_has_no_field_type_is_named(table: dict[Any, Any], path: str) -> None:
    with pytest.raises(EncodeError) as caught:
        write_table(table)
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}: ")


def test_a_table_within_itself_is_an_error_of_ours() -> None:
    table: dict[str, Any] = {}
    table["self"] = table
    with pytest.raises(EncodeError):
        write_table(table)


def test_tables_nest_to_a_limit() -> None:
    table: dict[str, Any] = {}
    for _ in range(MAX_DEPTH):
        table = {"t": table}
    assert there_and_back(table) == table
    with pytest.raises(DecodeError, match="nested"):
        there_and_back({"t": table})


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=63))
def test_short_strings_count_octets(text: str) -> None:
    octets = write_shortstr(text)
    assert octets[0] == len(text.encode())
    assert read_shortstr(octets, 0) == (text, len(octets))


def test_a_short_string_has_255_octets_at_most() -> None:
    assert len(write_shortstr("å" * 127)) == 255
    with pytest.raises(EncodeError, match="256 octets"):
        write_shortstr("å" * 128)


def test_a_name_that_is_not_utf8_is_shown() -> None:
    assert read_shortstr(b"\x03a\xe5b", 0) == ("a\\xe5b", 4)


def test_long_strings_are_of_either_kind() -> None:
    assert write_longstr("å") == b"\x00\x00\x00\x02\xc3\xa5"
    assert write_longstr(b"\xff") == b"\x00\x00\x00\x01\xff"
