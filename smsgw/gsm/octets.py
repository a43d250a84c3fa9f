"""Octets read in order, and what is said where they can't be.

`Reader` is the one place that looks at the end of a TPDU, so that no other code can run past it.
"""

from __future__ import annotations

from smsgw.errors import Misuse, PeerError


class TpduError(PeerError):
    """Octets that are no TPDU: `field` (a path such as `originator.digits`) at `offset`, from 0.

    The offset counts from the first octet that was given, the SMSC address included where there is
    one. Messages after this one are not affected.
    """

    def __init__(self, shape: str, field: str, offset: int, problem: str) -> None:
        super().__init__(f"{shape}: {field} at octet {offset}: {problem}")
        self.shape = shape
        self.field = field
        self.offset = offset
        self.problem = problem


class EncodeError(Misuse):
    """We asked for a TPDU that can't be written. `field` is the path of the field at fault."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class Reader:
    """Takes octets from the front. `shape` names what is being read, for errors."""

    __slots__ = ("_octets", "offset", "shape")

    def __init__(self, octets: bytes, shape: str = "TPDU") -> None:
        self._octets = octets
        self.offset = 0
        self.shape = shape

    @property
    def left(self) -> int:
        return len(self._octets) - self.offset

    def octet(self, field: str) -> int:
        return self.take(1, field)[0]

    def take(self, count: int, field: str) -> bytes:
        """Raises `TpduError` where fewer are left."""
        if count > self.left:
            raise self.error(field, f"needs {count} octet(s), {self.left} are left")
        start, self.offset = self.offset, self.offset + count
        return bytes(self._octets[start : self.offset])

    def error(self, field: str, problem: str) -> TpduError:
        return TpduError(self.shape, field, self.offset, problem)


def octet(value: int, field: str) -> bytes:
    """One octet. Raises `EncodeError` where the value does not fit."""
    if not 0 <= value <= 0xFF:
        raise EncodeError(field, f"expected 0 to 255, found {value}")
    return bytes((value,))
