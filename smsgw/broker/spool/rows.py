"""What the parts of the spool tell each other: pure data."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import msgspec

from smsgw.broker.base import Properties


class Route(NamedTuple):
    """Where a publish goes, and how: the same for many. `expiration` is in seconds."""

    exchange: str
    key: str
    queues: tuple[str, ...]
    topic: bool
    priority: int
    expiration: float | None
    mandatory: bool


class Routed(msgspec.Struct, frozen=True):
    """One publish, and where it goes. `properties` is encoded."""

    route: Route
    properties: bytes
    body: bytes


def stretches(ones: Iterable[Routed]) -> Iterable[tuple[Route, Iterable[Routed]]]:
    """Publishes of one route that follow each other, together."""
    return groupby(ones, attrgetter("route"))


class Row(NamedTuple):
    """A waiting message. Rows sort as they are handed out: `rank` is the priority, negative.

    `expires` is in seconds since the epoch.
    """

    rank: int
    id: int
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
