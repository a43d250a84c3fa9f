"""How the parameters of a PDU stand on the wire (3.4, 3.1), described once and run in both directions.

A PDU class annotates each field with a *kind*: `Integer(1)`, `CString(21)`, `Octets(254)`, `Many(...)`.
`plan()` compiles the annotations of a class into *steps*; neighbouring integers become one step with
one precompiled `struct`. A step reads its values at an offset, appends them to a list and returns the
next offset; the other way it takes its own of the PDU's values, which are a tuple in the order of the
class's fields (`msgspec.structs.astuple`), and returns octets.

What recurs from one PDU to the next is remembered, see `smsgw.smpp.recurring`.

Reading is bounded by the frame alone, never by a length that the peer claims. What does not fit is a
`FieldFault`, which `smsgw.smpp.pdu.decode` turns into a `PduError` with everything known of the PDU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from struct import error as struct_error
from typing import Any, Protocol, TypeAlias, get_type_hints

import msgspec
from msgspec.structs import astuple

from smsgw.errors import Misuse, SmsgwError
from smsgw.smpp.constants import CommandStatus

MAX_OCTETS = 254
"""Of short_message (3.4, 5.2.22)."""

_STATUS_OF_FIELD = {
    "system_id": CommandStatus.ESME_RINVSYSID,
    "password": CommandStatus.ESME_RINVPASWD,
    "system_type": CommandStatus.ESME_RINVSYSTYP,
    "service_type": CommandStatus.ESME_RINVSERTYP,
    "source_addr": CommandStatus.ESME_RINVSRCADR,
    "destination_addr": CommandStatus.ESME_RINVDSTADR,
    "dl_name": CommandStatus.ESME_RINVDLNAME,
    "dest_flag": CommandStatus.ESME_RINVDESTFLAG,
    "message_id": CommandStatus.ESME_RINVMSGID,
    "schedule_delivery_time": CommandStatus.ESME_RINVSCHED,
    "validity_period": CommandStatus.ESME_RINVEXPIRY,
    "short_message": CommandStatus.ESME_RINVMSGLEN,
}


class EncodeError(Misuse):
    """We asked for a PDU that can't be written. `field` is the name of the field at fault."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class FieldFault(SmsgwError):
    """A field can't be read at `offset` (octets from the start of the frame); `status` answers it."""

    def __init__(self, field: str, offset: int, problem: str, status: int) -> None:
        super().__init__(f"{field} at octet {offset}: {problem}")
        self.field = field
        self.offset = offset
        self.problem = problem
        self.status = status


def _missing(field: str, offset: int) -> FieldFault:
    return FieldFault(field, offset, "the PDU ends before it", CommandStatus.ESME_RINVCMDLEN)


def _invalid(field: str, offset: int, problem: str) -> FieldFault:
    return FieldFault(field, offset, problem, _STATUS_OF_FIELD.get(field, CommandStatus.ESME_RINVCMDLEN))


class Integer(msgspec.Struct, frozen=True):
    """An unsigned integer, most significant octet first, of 1, 2 or 4 octets."""

    size: int


class CString(msgspec.Struct, frozen=True):
    """A C-Octet String of at most `size` octets, its NUL counted. `exact`: empty or of that size.

    `rare`: it is empty mostly, see `smsgw.smpp.recurring.plan_to_read`.
    """

    size: int
    exact: bool = False
    rare: bool = False


class Octets(msgspec.Struct, frozen=True):
    """An Octet String of at most `size` octets behind one octet that holds its length."""

    size: int


class Many(msgspec.Struct, frozen=True):
    """Structures behind one octet that holds their number.

    With several `shapes` each structure begins with one octet, its shape's place counted from 1
    (dest_flag: 3.4, 5.2.25).
    """

    shapes: tuple[type[msgspec.Struct], ...]


Write: TypeAlias = Callable[[tuple[Any, ...]], bytes]
Read: TypeAlias = Callable[[bytes, int, list[Any]], int]


class Writing(Protocol):
    """One stretch of a PDU's body, as it is written."""

    def write(self, values: tuple[Any, ...]) -> bytes:
        """The octets of its own among the values of a structure. Raises `EncodeError`."""


class Step(Writing, Protocol):
    """One stretch of a PDU's body, both ways."""

    def read(self, frame: bytes, offset: int, values: list[Any]) -> int:
        """Append what stands at `offset` and return the offset behind it. Raises `FieldFault`."""


_UNBOUNDED = 1 << 29
"""More than any frame has, and still one digit of Python's integers."""

_FORMATS = {1: "B", 2: "H", 4: "I"}
_OCTET = tuple(bytes((value,)) for value in range(256))


class _IntegerRun:
    """Neighbouring integers, read and written by one struct."""

    def __init__(self, place: int, names: list[str], sizes: list[int]) -> None:
        self._names = names
        self._sizes = sizes
        self._own = slice(place, place + len(names))
        self._struct = Struct(">" + "".join(_FORMATS[size] for size in sizes))
        self._length = self._struct.size

    def read(self, frame: bytes, offset: int, values: list[Any]) -> int:
        try:
            values.extend(self._struct.unpack_from(frame, offset))
        except struct_error:
            raise self._missing(len(frame), offset) from None
        return offset + self._length

    def _missing(self, end: int, offset: int) -> FieldFault:
        for name, size in zip(self._names, self._sizes, strict=True):
            if offset + size > end:
                return _missing(name, offset)
            offset += size
        raise AssertionError("struct said that the frame is too short")

    def write(self, values: tuple[Any, ...]) -> bytes:
        own = values[self._own]
        try:
            return self._struct.pack(*own)
        except struct_error:
            raise self._misfit(own) from None

    def _misfit(self, own: tuple[Any, ...]) -> EncodeError:
        for name, size, value in zip(self._names, self._sizes, own, strict=True):
            if not isinstance(value, int) or not 0 <= value < 1 << 8 * size:
                return EncodeError(name, f"expected an integer of {size} octet(s), found {value!r}")
        raise AssertionError("struct said that a value does not fit")


class _CStringStep:
    """`final`: nothing but TLVs can follow, so that a missing NUL at the frame's end is forgiven."""

    def __init__(self, place: int, name: str, kind: CString, *, limit: int, final: bool) -> None:
        self._place = place
        self._name = name
        self._kind = kind
        self._limit = limit
        self._final = final

    def read(self, frame: bytes, offset: int, values: list[Any]) -> int:
        end = frame.find(0, offset, offset + self._limit)
        if end < 0:
            end = self._unterminated(frame, offset)
        values.append(frame[offset:end].decode("latin-1"))
        return end + 1

    def _unterminated(self, frame: bytes, offset: int) -> int:
        rest = len(frame) - offset
        if self._final and rest < self._limit:
            return len(frame)
        if rest <= 0:
            raise _missing(self._name, offset)
        raise _invalid(self._name, offset, f"no NUL within {min(rest, self._limit)} octets")

    def write(self, values: tuple[Any, ...]) -> bytes:
        value = values[self._place]
        return c_string(self._name, value, self._kind) if value else b"\0"


class _OctetsStep:
    def __init__(self, place: int, name: str, kind: Octets) -> None:
        self._place = place
        self._name = name
        self._size = kind.size

    def read(self, frame: bytes, offset: int, values: list[Any]) -> int:
        if offset >= len(frame):
            raise _missing(self._name, offset)
        start = offset + 1
        end = start + frame[offset]
        if end > len(frame):
            problem = f"its length is {frame[offset]}, the PDU has {len(frame) - start} octets left"
            raise _invalid(self._name, offset, problem)
        values.append(frame[start:end])
        return end

    def write(self, values: tuple[Any, ...]) -> bytes:
        value = values[self._place]
        if not isinstance(value, bytes):
            raise EncodeError(self._name, f"expected bytes, found {type(value).__name__}")
        if len(value) > self._size:
            raise EncodeError(self._name, f"{len(value)} octets; it holds at most {self._size}")
        return _OCTET[len(value)] + value


class _ManyStep:
    def __init__(self, place: int, name: str, kind: Many) -> None:
        self._place = place
        self._name = name
        self._shapes = kind.shapes
        self._plans = {shape: plan(shape, last=False) for shape in kind.shapes}
        self._writes = {shape: writes_of(steps) for shape, steps in self._plans.items()}
        self._flagged = len(kind.shapes) > 1

    def read(self, frame: bytes, offset: int, values: list[Any]) -> int:
        if offset >= len(frame):
            raise _missing(self._name, offset)
        found: list[msgspec.Struct] = []
        count, offset = frame[offset], offset + 1
        for index in range(count):
            try:
                offset = self._read_one(frame, offset, found)
            except FieldFault as fault:
                field = f"{self._name}[{index}].{fault.field}"
                raise FieldFault(field, fault.offset, fault.problem, fault.status) from None
        values.append(tuple(found))
        return offset

    def _read_one(self, frame: bytes, offset: int, found: list[msgspec.Struct]) -> int:
        shape = self._shapes[0]
        if self._flagged:
            shape = self._shape_at(frame, offset)
            offset += 1
        values: list[Any] = []
        for step in self._plans[shape]:
            offset = step.read(frame, offset, values)
        found.append(shape(*values))
        return offset

    def _shape_at(self, frame: bytes, offset: int) -> type[msgspec.Struct]:
        if offset >= len(frame):
            raise _missing("dest_flag", offset)
        flag = frame[offset]
        if not 1 <= flag <= len(self._shapes):
            raise _invalid("dest_flag", offset, f"{flag} is none of 1 to {len(self._shapes)}")
        return self._shapes[flag - 1]

    def write(self, values: tuple[Any, ...]) -> bytes:
        items = values[self._place]
        if len(items) > 255:
            raise EncodeError(self._name, f"{len(items)} of them; at most 255 can be counted")
        out = [_OCTET[len(items)]]
        for index, item in enumerate(items):
            try:
                out.append(self._write_one(item))
            except EncodeError as error:
                raise EncodeError(f"{self._name}[{index}].{error.field}", error.problem) from None
        return b"".join(out)

    def _write_one(self, item: msgspec.Struct) -> bytes:
        if type(item) not in self._plans:
            raise EncodeError("dest_flag", f"{type(item).__name__} is no shape of it")
        flag = _OCTET[self._shapes.index(type(item)) + 1] if self._flagged else b""
        return flag + write_all(self._writes[type(item)], astuple(item))


def writes_of(steps: Sequence[Writing]) -> tuple[Write, ...]:
    """For `write_all`: to find a method costs as much as some of them do."""
    return tuple(step.write for step in steps)


def write_all(writes: tuple[Write, ...], values: tuple[Any, ...]) -> bytes:
    """What the steps write, one after the other. Raises `EncodeError`."""
    octets = b""
    for write in writes:
        octets += write(values)
    return octets


def c_string(field: str, value: str, kind: CString) -> bytes:
    """A C-Octet String with its NUL. Raises `EncodeError`."""
    try:
        octets = value.encode("latin-1")
    except (UnicodeEncodeError, AttributeError):
        raise EncodeError(field, "expected a string of characters up to U+00FF") from None
    length = len(octets)
    if length < kind.size and 0 not in octets and not (kind.exact and length not in {0, kind.size - 1}):
        return octets + b"\0"
    if 0 in octets:
        raise EncodeError(field, "a NUL within")
    expected = f"{'none or' if kind.exact else 'at most'} {kind.size - 1}"
    raise EncodeError(field, f"{length} octets; it holds {expected}")


def kinds(shape: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields of a class that stand on the wire, in their order, each with its kind."""
    hints = get_type_hints(shape, include_extras=True)
    described = ((name, getattr(hints[name], "__metadata__", None)) for name in shape.__struct_fields__)
    return {name: metadata[0] for name, metadata in described if metadata}


def plan(shape: type[msgspec.Struct], *, lenient: bool = False, last: bool = True) -> tuple[Step, ...]:
    """The steps of a class.

    `lenient`: a C-Octet String is read whatever its length. `last`: nothing but TLVs follows it.
    """
    return steps_of(shape, kinds(shape), lenient=lenient, last=last)


def steps_of(
    shape: type[msgspec.Struct], table: dict[str, Any], *, lenient: bool = False, last: bool = True
) -> tuple[Step, ...]:
    """As `plan`, for some neighbouring fields of a class, each with its kind."""
    start = shape.__struct_fields__.index(next(iter(table))) if table else 0
    steps: list[Step] = []
    run: list[str] = []
    for place, (name, kind) in enumerate(table.items(), start):
        if isinstance(kind, Integer):
            run.append(name)
            continue
        if run:
            steps.append(_run(place - len(run), run, table))
            run = []
        steps.append(_step(place, name, kind, lenient=lenient, final=last and name == list(table)[-1]))
    if run:
        steps.append(_run(start + len(table) - len(run), run, table))
    return tuple(steps)


def _run(place: int, names: list[str], table: dict[str, Any]) -> Step:
    return _IntegerRun(place, names, [table[name].size for name in names])


def _step(place: int, name: str, kind: CString | Octets | Many, *, lenient: bool, final: bool) -> Step:
    if isinstance(kind, CString):
        return _CStringStep(place, name, kind, limit=_UNBOUNDED if lenient else kind.size, final=final)
    if isinstance(kind, Octets):
        return _OctetsStep(place, name, kind)
    return _ManyStep(place, name, kind)
