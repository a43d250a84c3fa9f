"""What became of one attempt to deliver a message: a value, never an exception.

A channel's `deliver` ends in exactly one of these. `smsgw.gateway.outgoing` holds the one
table that says what each means for the message, the delivery and the producer.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Status(msgspec.Struct, frozen=True):
    """The peer's own word: `code` as on the wire, `name` as the specification has it.

    An unknown code is named by its value, `0x00000437`.
    """

    code: int
    name: str


class Part(msgspec.Struct, frozen=True):
    """One short message that the SMSC or the network took; `smsc_id` is its word, unchanged."""

    smsc_id: str


class Progress(msgspec.Struct, frozen=True):
    """How far a long message got before it was broken off: its first parts were taken under `ids`.

    Another attempt at the same account goes on behind them, with the same `reference`, provided that
    the message is still cut as it was: into `parts` parts of the same `digest`.
    """

    account: str
    reference: int
    parts: int
    digest: int
    ids: tuple[str, ...]


class _Unfinished(msgspec.Struct, frozen=True, kw_only=True):
    """`on_air` is how many parts the message has, as far as it is known; `progress` where some were taken."""

    on_air: int = 1
    progress: Progress | None = None


class Accepted(msgspec.Struct, frozen=True):
    """Every part was taken, those of earlier attempts included.

    `on_air` is how many short messages the phone gets: more than `parts` where the message centre cuts.
    `transliterated` counts the characters that were replaced, where the channel allows that.
    """

    parts: tuple[Part, ...]
    status: Status | None = None
    on_air: int = 1
    transliterated: int = 0


class Refused(_Unfinished, frozen=True):
    """A permanent no, from us or from the peer: sending it again would change nothing."""

    error: str
    status: Status | None = None


class Later(_Unfinished, frozen=True):
    """A temporary no: worth another attempt after a while.

    `budget` is how many attempts it is worth altogether; None: as many as the channel makes.
    """

    error: str
    status: Status | None = None
    budget: int | None = None


class Unsent(_Unfinished, frozen=True):
    """Nothing left us, or the peer blamed the link: the message goes back and no attempt is burned."""

    error: str


class Expired(_Unfinished, frozen=True):
    """The deadline passed before the message left; it was not sent."""


class Unknown(_Unfinished, frozen=True):
    """The message left us and no answer came: it may or may not have been taken.

    `link_lost` where the link broke, so that nothing speaks against another session at once.
    """

    error: str
    link_lost: bool = False


Broken: TypeAlias = Refused | Later | Unsent | Expired | Unknown
"""Whatever is not an acceptance of the whole."""

Outcome: TypeAlias = Accepted | Broken
