"""The exceptions of smsgw, and what each says about whose fault it is.

An expected result (a message refused, a link that drops) is a value, see `smsgw.outcome`.
An exception is a surprise. Its class answers two questions:

* whose fault: ours (`Misuse`) or the peer's (`PeerError`);
* does the link survive: `fatal` is True where the only way on is to close it.

`SmsgwError` is the root, so that a test can say "nothing but our own errors".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


class SmsgwError(Exception):
    """The root of every exception that smsgw raises on purpose."""


class Misuse(SmsgwError):
    """Our own code called something in a way, or in a state, that is not allowed."""


class PeerError(SmsgwError):
    """The other side sent what it must not send.

    `fatal` says whether the link has to be closed: False where the stream is still in step.
    """

    fatal = False


class ConfigError(SmsgwError):
    """Settings are wrong: `FILE: key.path: what is wrong`, one line of `str()` for each."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place}: {problem}")

    @classmethod
    def of(cls, lines: Iterable[str]) -> ConfigError:
        """Several in one. `lines` are such as `str()` has; there must be one at least."""
        place, _, problem = "\n".join(lines).partition(": ")
        return cls(place, problem)

    def within(self, file: object) -> ConfigError:
        """The same, each line with the file that it is about."""
        return self.of(f"{file}: {line}" for line in str(self).splitlines())


class Wrong:
    """What is wrong with the settings, gathered: whoever corrects a file wants to hear of all at once.

    A place of which something was said before is left out: what is made of a wrong value has the same fault
    in other words.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, error: ConfigError) -> None:
        said = {line.partition(": ")[0] for line in self._lines}
        self._lines += [line for line in str(error).splitlines() if line.partition(": ")[0] not in said]

    def attempt(self, make: Callable[[], T]) -> T | None:
        """What it makes; None where it raises `ConfigError`."""
        try:
            return make()
        except ConfigError as error:
            self.add(error)
        return None

    def tell(self) -> None:
        """Raises one `ConfigError` of all, if there are any."""
        if self._lines:
            raise ConfigError.of(self._lines)


class Undecodable(SmsgwError):
    """A producer's message can't be decoded. `path` names the field, such as `smpp.tlvs`."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem


class StorageError(SmsgwError):
    """A durable store (ledger, spool) could not write or read: disk full, no permission, damage."""
