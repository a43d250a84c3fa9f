"""A table as a frozen struct, strictly, with errors that an operator can act on: pure.

msgspec does the conversion; this module adds what an operator needs and msgspec does not say: not only
the first thing that is wrong but all, the whole path of the key (also through tables of tables), the
value that was found, what is expected, and for an unknown key the nearest valid name.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin

import msgspec

S = TypeVar("S", bound=msgspec.Struct)
Read: TypeAlias = Callable[[str], str]

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


class Fetch:
    """Puts the secrets themselves where a table says from where they come.

    `wanted` are the tables at the top whose secrets are needed; `problems` gets what is wrong.
    """

    KEYS = ("password", "pin", "url")

    def __init__(
        self,
        environ: Mapping[str, str],
        read: Read,
        wanted: Collection[str],
        problems: list[Problem],
    ) -> None:
        self._environ = environ
        self._read = read
        self._wanted = wanted
        self._problems = problems

    def into(self, table: Any, path: str) -> Any:
        """The table with its secrets; without those that nobody wants or that can't be had."""
        if not isinstance(table, dict):
            return table
        sources = {key: table[key] for key in self.KEYS if isinstance(table.get(key), dict)}
        found = {key: self._fetch(source, join(path, key)) for key, source in sources.items()}
        known = {key: secret for key, secret in found.items() if secret is not None}
        return {key: value for key, value in table.items() if key not in sources} | known

    def _fetch(self, source: dict[str, Any], path: str) -> str | None:
        where = convert(source, Source, path)
        if isinstance(where, list):
            self._problems.extend(where)
        elif (where.env is None) == (where.file is None):
            self._problems.append(Problem(path, "expected exactly one of env and file"))
        elif path.partition(".")[0] in self._wanted:
            return self._read_file(where.file, path) if where.file else self._variable(where.env or "", path)
        return None

    def _variable(self, name: str, path: str) -> str | None:
        if name not in self._environ:
            self._problems.append(Problem(path, f"the environment variable {name} is not set"))
        return self._environ.get(name)

    def _read_file(self, name: str, path: str) -> str | None:
        try:
            return self._read(name).rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8"
            self._problems.append(Problem(path, f"{name}: {reason}"))
        return None


def convert(table: object, kind: type[S], path: str) -> S | list[Problem]:
    """`table` as a `kind`, or everything that is wrong with it. `path` is the table's own place."""
    problems = _wrong(table, kind, path, secret=False)
    return problems or msgspec.convert(table, kind, dec_hook=_decode)


def _wrong(value: object, hint: Any, path: str, *, secret: bool) -> list[Problem]:
    """Everything that is wrong with a value that should be a `hint`.

    What is in it comes first: each member on its own, because msgspec stops at the first that is wrong.
    """
    problems = list(_wrong_members(value, hint, path, secret=secret))
    if problems:
        return problems
    try:
        msgspec.convert(value, hint, dec_hook=_decode)
    except msgspec.ValidationError as error:
        return [_explain(str(error), value, hint, path, secret=secret)]
    return []


def _wrong_members(value: object, hint: Any, path: str, *, secret: bool) -> Iterator[Problem]:
    struct = _struct_in(hint)
    if isinstance(value, dict) and struct is not None:
        yield from _wrong_fields(value, struct, path, secret=secret)
    elif isinstance(value, dict):
        for inner in _members_of(hint, dict):
            for key, each in value.items():
                yield from _wrong(each, inner, join(path, key), secret=secret)
    elif isinstance(value, list):
        for inner in _members_of(hint, tuple):
            for number, each in enumerate(value):
                yield from _wrong(each, inner, f"{path}[{number}]", secret=secret)


def _wrong_fields(
    table: dict[str, Any], kind: type[msgspec.Struct], path: str, *, secret: bool
) -> Iterator[Problem]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for key, value in table.items():
        if key not in fields:
            yield Problem(join(path, key), f"unknown key{nearest(key, fields)}")
        else:
            yield from _wrong(value, fields[key].type, join(path, key), secret=secret or key in SECRETS)
    for key, field in fields.items():
        if field.required and key not in table:
            yield Problem(join(path, key), "required, but missing")


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


def _alternatives(hint: Any) -> Iterator[Any]:
    """The types that a value may have: through `Annotated` and unions."""
    if isinstance(hint, UnionType) or get_origin(hint) in (Union, Annotated):
        for each in get_args(hint):
            yield from _alternatives(each)
    else:
        yield hint


def _struct_in(hint: Any) -> type[msgspec.Struct] | None:
    """The one struct among the types that a value may have."""
    for each in _alternatives(hint):
        if isinstance(each, type) and issubclass(each, msgspec.Struct):
            return each
    return None


def _members_of(hint: Any, container: type) -> Iterator[Any]:
    """The type of what is in a `tuple[T, ...]` or a `dict[str, T]`, where a value may be one."""
    for each in _alternatives(hint):
        if get_origin(each) is container:
            yield get_args(each)[0 if container is tuple else 1]


def _explain(error: str, value: object, hint: Any, path: str, *, secret: bool) -> Problem:
    """msgspec's words, ``Expected `int`, got `str` ``, with place and value."""
    text, _, _ = error.partition(" - at `$")
    expected, _, got = text.partition(", got ")
    if ", found " in expected:  # a struct's own words, about what it has looked into
        return Problem(path, expected)
    if expected.startswith("Invalid enum value "):
        words = ", ".join(str(word) for word in _literals(hint))
        expected = f"expected one of {words}"
    found = (_plainly(got) or _kind(value)) if secret else shown(value)
    return Problem(path, f"{_plainly(expected)}, found {found}")


def _kind(value: object) -> str:
    return _WORDS.get(type(value).__name__, "something else")


def _literals(hint: Any) -> Iterator[Any]:
    for each in _alternatives(hint):
        if get_origin(each) is Literal:
            yield from get_args(each)


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


def join(path: str, key: str) -> str:
    """`channels.acme` and `width` as one path."""
    return f"{path}.{key}" if path and key else path or key
