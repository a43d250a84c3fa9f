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


class Accepted(msgspec.Struct, frozen=True):
    """Every part was taken."""

    parts: tuple[Part, ...]
    status: Status | None = None


class Refused(msgspec.Struct, frozen=True):
    """A permanent no, from us or from the peer: sending it again would change nothing."""

    error: str
    status: Status | None = None


class Later(msgspec.Struct, frozen=True):
    """A temporary no: worth another attempt after a while."""

    error: str
    status: Status | None = None


class Unsent(msgspec.Struct, frozen=True):
    """Nothing left us, or the peer blamed the link: the message goes back and no attempt is burned."""

    error: str


class Expired(msgspec.Struct, frozen=True):
    """The deadline passed before the message left; it was not sent."""


class Unknown(msgspec.Struct, frozen=True):
    """The message left us and no answer came: it may or may not have been taken.

    `link_lost` where the link broke, so that nothing speaks against another session at once.
    """

    error: str
    link_lost: bool = False


Outcome: TypeAlias = Accepted | Refused | Later | Unsent | Expired | Unknown
