"""What the parts of the spool tell each other: pure data."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from smsgw.broker.base import Properties


class Routed(msgspec.Struct, frozen=True, kw_only=True):
    """One publish, and where it goes. `expiration` is in seconds; `properties` is encoded."""

    exchange: str
    key: str
    queues: tuple[str, ...]
    priority: int
    expiration: float | None
    properties: bytes
    body: bytes
    mandatory: bool
    topic: bool


class Row(NamedTuple):
    """A waiting message. `expires` is in seconds since the epoch."""

    id: int
    priority: int
    expires: float | None
    redelivered: int
    properties: bytes
    body: bytes


class Taken(NamedTuple):
    """A queue that this process may now consume. Ids up to `suspect` may have been handed out before."""

    id: int
    priorities: int
    suspect: int


class Fetched(NamedTuple):
    rows: list[Row]
    exhausted: bool


class Expired(NamedTuple):
    """`queues` got dead letters. There is more to do: now (`again`), or by another process (`skipped`)."""

    queues: set[str]
    again: bool
    skipped: bool


class Published(NamedTuple):
    id: int
    exchange: str
    key: str
    body: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Properties)


def encode(properties: Properties) -> bytes:
    return _encoder.encode(properties)


def decode(properties: bytes) -> Properties:
    return _decoder.decode(properties)
