"""A table as a frozen struct, strictly, with errors that an operator can act on: pure.

msgspec does the conversion; this module adds what an operator needs and msgspec does not say: the
whole path of the key (also through tables of tables), the value that was found, what is expected,
and for an unknown key the nearest valid name.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec

S = TypeVar("S", bound=msgspec.Struct)

SECRETS = frozenset({"password", "pin", "url", "sha256"})
"""Keys whose value an error never shows."""


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong: where (`channels.acme.width`) and what."""

    path: str
    text: str


class Duration(float):
    """Seconds; written as a number of seconds or as `"250ms"`, `"10s"`, `"5m"`, `"2h"`, `"3d"`."""

    UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

    @classmethod
    def parse(cls, value: object) -> Duration:
        """Raises ValueError with what is expected."""
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
            return cls(value)
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", value) if isinstance(value, str) else None
        if not found:
            raise ValueError('expected a duration such as "10s", "5m", "3d", or a number of seconds')
        return cls(float(found[1]) * cls.UNITS[found[2]])


class Secret:
    """A secret that no repr, log or error shows. `reveal()` is the only way to it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(...)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a secret comes from: exactly one of an environment variable and a file."""

    env: str | None = None
    file: str | None = None


def convert(table: object, kind: type[S], path: str) -> S | list[Problem]:
    """`table` as a `kind`, or everything that is wrong with it. `path` is the table's own place."""
    if not isinstance(table, dict):
        return [Problem(path, f"expected a table, found {shown(table)}")]
    problems = list(_unknown_keys(table, kind, path))
    if problems:
        return problems
    try:
        return msgspec.convert(table, kind, dec_hook=_decode)
    except msgspec.ValidationError as error:
        return [_explain(str(error), table, kind, path)]


def _decode(kind: type[Any], value: object) -> Any:
    if kind is Duration:
        return Duration.parse(value)
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise ValueError(f"expected a {kind.__name__.lower()}")


def nearest(name: str, names: Mapping[str, Any] | list[str]) -> str:
    """` (did you mean "width"?)`, or the valid names where nothing is near."""
    near = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f'; did you mean "{near[0]}"?' if near else f"; known here: {', '.join(sorted(names))}"


def shown(value: object) -> str:
    """A value as an error shows it."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return msgspec.json.encode(value).decode() if isinstance(value, str | int | float | bool) else str(value)


def _unknown_keys(table: dict[str, Any], kind: type[msgspec.Struct], path: str) -> Iterator[Problem]:
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in table.items():
        if key not in fields:
            yield Problem(join(path, key), f"unknown key{nearest(key, fields)}")
        elif isinstance(value, dict) and (inner := _struct_in(fields[key])) is not None:
            yield from _unknown_keys(value, inner, join(path, key))


def _struct_in(hint: Any) -> type[msgspec.Struct] | None:
    """The one struct among the types that a field may have."""
    for each in (hint, *get_args(hint)):
        if isinstance(each, type) and issubclass(each, msgspec.Struct):
            return each
    return None


def _explain(error: str, table: dict[str, Any], kind: type[msgspec.Struct], path: str) -> Problem:
    """msgspec's words, `Expected `int`, got `str` - at `$.a[0].b``, with place and value."""
    text, _, where = error.partition(" - at `$")
    where = where.rstrip("`")
    place = path + where if where.startswith("[") else join(path, where.lstrip("."))
    missing = re.fullmatch(r"Object missing required field `(.+)`", text)
    if missing:
        return Problem(join(place, missing[1]), "required, but missing")
    expected, _, got = text.partition(", got ")
    if expected.startswith("Invalid enum value "):
        got = shown(expected.removeprefix("Invalid enum value ").strip("'"))
        expected = f"Expected one of {', '.join(_choices(kind, where))}"
    return Problem(place, f"{_plainly(expected)}, found {_found(table, where, got)}")


_ANY_KEY = "[...]"
"""What stands in msgspec's paths for the key of a dict."""


def _found(table: dict[str, Any], where: str, got: str) -> str:
    """The value at fault, or its kind where the value is secret or can't be pointed at."""
    secret = any(key in SECRETS for key in re.findall(r"[^.\[\]]+", where))
    value = None if _ANY_KEY in where else _value_at(table, where)
    if secret or value is None:
        return _plainly(got) or _kind(value)
    return shown(value)


def _kind(value: object) -> str:
    return _WORDS.get(type(value).__name__, "something else")


def _choices(kind: type[msgspec.Struct], where: str) -> list[str]:
    """The words that the field at `where` may be, through structs in structs."""
    hint: Any = kind
    for name in re.findall(r"\.([^.\[]+)", where.replace(_ANY_KEY, "")):
        inner = _struct_in(hint)
        fields = {field.encode_name: field.type for field in msgspec.structs.fields(inner)} if inner else {}
        hint = fields.get(name)
    return [str(word) for word in _literals(hint)]


def _literals(hint: Any) -> Iterator[Any]:
    for each in get_args(hint):
        if get_args(each):
            yield from _literals(each)
        elif isinstance(each, str | int) and get_origin(hint) is Literal:
            yield each


_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "object": "a table",
    "array": "a list",
    "null": "nothing",
    "dict": "a table",
    "list": "a list",
}


def _plainly(expected: str) -> str:
    """`Expected `int | str`` in words."""

    def name(match: re.Match[str]) -> str:
        kinds = [_WORDS.get(kind, kind) for kind in match[1].split(" | ") if kind != "null"]
        return " or ".join(kinds)

    return re.sub(r"`([^`]*)`", name, expected[:1].lower() + expected[1:])


def _value_at(table: Any, where: str) -> Any:
    for name, index in re.findall(r"\.([^.\[]+)|\[(\d+)\]", where):
        table = table[name] if name else table[int(index)]
    return table


def join(path: str, key: str) -> str:
    """`channels.acme` and `width` as one path."""
    return f"{path}.{key}" if path and key else path or key
