"""Strict conversion: every error has a place, what was found and what is expected."""

from __future__ import annotations

import math
from datetime import date
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsgw.strict import Duration, Problem, Secret, convert, join, nearest, shown


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    size: Annotated[int, msgspec.Meta(ge=1)] = 1
    colour: Literal["red", "green"] = "red"
    wait: Duration = Duration(1)


class Outer(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    name: str
    from_: str | None = None
    rate: float = 0.0
    on: bool = False
    inner: Inner = Inner()
    waits: tuple[Duration, ...] = ()
    names: tuple[str, ...] = ()
    many: dict[str, Literal["red", "green"]] = {}
    password: Secret = Secret("")


class Even(msgspec.Struct, frozen=True):
    number: int

    def __post_init__(self) -> None:
        raise ValueError(f"expected an even number, found {self.number}")


class Holder(msgspec.Struct, frozen=True):
    even: Even


def problem(table: object, path: str = "top") -> Problem:
    found = convert(table, Outer, path)
    assert isinstance(found, list), found
    (one,) = found
    return one


def test_a_good_table() -> None:
    table = {"name": "x", "from": "y", "inner": {"wait": "2m"}, "waits": ["1s", 0.5], "password": "p"}
    assert convert(table, Outer, "") == Outer(
        name="x",
        from_="y",
        inner=Inner(wait=Duration(120)),
        waits=(Duration(1), Duration(0.5)),
        password=Secret("p"),
    )


@pytest.mark.parametrize(
    ("table", "path", "text"),
    [
        (5, "top", "expected a table, found 5"),
        ("x", "top", 'expected a table, found "x"'),
        ([], "top", "expected a table, found a list"),
        ({}, "top.name", "required, but missing"),
        ({"name": 5}, "top.name", "expected a string, found 5"),
        ({"name": "x", "from": 5}, "top.from", "expected a string, found 5"),
        ({"name": "x", "rate": "fast"}, "top.rate", 'expected a number, found "fast"'),
        ({"name": "x", "on": 1}, "top.on", "expected true or false, found 1"),
        ({"name": "x", "inner": 5}, "top.inner", "expected a table, found 5"),
        ({"name": "x", "inner": {"size": 0}}, "top.inner.size", "expected a whole number >= 1, found 0"),
        ({"name": "x", "inner": {"size": 1.5}}, "top.inner.size", "expected a whole number, found 1.5"),
        (
            {"name": "x", "inner": {"colour": "blue"}},
            "top.inner.colour",
            'expected one of red, green, found "blue"',
        ),
        ({"name": "x", "many": {"a": "blue"}}, "top.many.a", 'expected one of red, green, found "blue"'),
        ({"name": "x", "names": "y"}, "top.names", 'expected a list, found "y"'),
        ({"name": "x", "names": ["y", 5]}, "top.names[1]", "expected a string, found 5"),
        ({"name": "x", "inner": {"wait": "soon"}}, "top.inner.wait", 'expected a duration such as "10s"'),
        ({"name": "x", "waits": ["1s", "soon"]}, "top.waits[1]", 'expected a duration such as "10s"'),
        ({"name": "x", "nmae": 1}, "top.nmae", 'unknown key; did you mean "name"?'),
        ({"name": "x", "from_": "y"}, "top.from_", 'unknown key; did you mean "from"?'),
        ({"name": "x", "inner": {"colr": 1}}, "top.inner.colr", 'unknown key; did you mean "colour"?'),
        ({"name": "x", "inner": {"qqq": 1}}, "top.inner.qqq", "unknown key; known here: colour, size, wait"),
    ],
)
def test_an_error_has_place_value_and_expectation(table: object, path: str, text: str) -> None:
    found = problem(table)
    assert found.path == path
    assert found.text.startswith(text)


def test_all_unknown_keys_are_told_at_once() -> None:
    found = convert({"name": "x", "a": 1, "inner": {"b": 2}}, Outer, "")
    assert isinstance(found, list)
    assert [each.path for each in found] == ["a", "inner.b"]


def test_everything_wrong_is_told_at_once() -> None:
    table = {
        "nmae": "x",
        "rate": "fast",
        "on": 1,
        "inner": {"size": 0, "colour": "blue", "colr": "red"},
        "waits": ["1s", "soon", True],
        "many": {"a": "red", "b": "blue", "c": 3},
        "password": 5,
    }
    found = convert(table, Outer, "")
    assert isinstance(found, list)
    assert [each.path for each in found] == [
        "nmae",
        "rate",
        "on",
        "inner.size",
        "inner.colour",
        "inner.colr",
        "waits[1]",
        "waits[2]",
        "many.b",
        "many.c",
        "password",
        "name",
    ]


def test_what_a_struct_says_of_itself_stands_as_it_is() -> None:
    """A check in `__post_init__` names the value in it that is wrong."""
    assert convert({"even": {"number": 3}}, Holder, "") == [
        Problem("even", "expected an even number, found 3")
    ]


def test_a_table_at_the_top_has_bare_paths() -> None:
    assert problem({"name": 5}, "").path == "name"


@pytest.mark.parametrize("value", [5, ["hunter2"], {"word": "hunter2"}, True])
def test_a_secret_is_never_shown(value: object) -> None:
    found = problem({"name": "x", "password": value})
    assert found.path == "top.password"
    assert "hunter2" not in found.text
    assert "5" not in found.text


tables = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*Outer.__struct_encode_fields__, *Inner.__struct_fields__]), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(tables)
def test_whatever_toml_says_is_converted_or_explained(table: object) -> None:
    found = convert(table, Outer, "top")
    assert isinstance(found, Outer) or all(each.path.startswith("top") and each.text for each in found)


# -- durations


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0),
        (5, 5),
        (0.25, 0.25),
        ("250ms", 0.25),
        ("10s", 10),
        ("5m", 300),
        ("2h", 7200),
        ("3d", 259_200),
        ("1.5s", 1.5),
    ],
)
def test_durations(value: object, seconds: float) -> None:
    assert Duration.parse(value) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value", ["", "5", "s", "5 s", "-5s", "5w", "1.s", "1e3s", -1, True, None, [], math.inf, math.nan]
)
def test_what_is_no_duration(value: object) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        Duration.parse(value)


@given(st.text(max_size=10))
def test_whatever_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        assert Duration.parse(text) >= 0
    except ValueError as error:
        assert "expected a duration" in str(error)


# -- words


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret("hunter2")
    assert secret.reveal() == "hunter2"
    assert "hunter2" not in f"{secret!r} {secret}"
    assert secret == Secret("hunter2") != Secret("other")
    assert len({secret, Secret("hunter2")}) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", '"x"'),
        (5, "5"),
        (True, "true"),
        (1.5, "1.5"),
        ({"a": 1}, "a table"),
        ([1], "a list"),
        (date(2026, 1, 2), "2026-01-02"),
    ],
)
def test_values_are_shown_as_toml_has_them(value: Any, text: str) -> None:
    assert shown(value) == text


def test_the_nearest_name() -> None:
    assert nearest("widht", ["width", "rate"]) == '; did you mean "width"?'
    assert nearest("zzz", ["width", "rate"]) == "; known here: rate, width"


@pytest.mark.parametrize(("path", "key", "joined"), [("a", "b", "a.b"), ("", "b", "b"), ("a", "", "a")])
def test_join(path: str, key: str, joined: str) -> None:
    assert join(path, key) == joined
