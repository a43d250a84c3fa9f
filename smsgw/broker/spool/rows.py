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


SPAN = 8
"""Ids in a row that are worth a statement of their own."""


def spans_of(ids: Iterable[int]) -> tuple[list[tuple[int, int]], list[int]]:
    """Spans of at least `SPAN` ids in a row, as first and last; and the other ids, in order."""
    spans: list[tuple[int, int]] = []
    others: list[int] = []
    for _, found in groupby(enumerate(sorted(ids)), _distance):
        span = [one for _, one in found]
        if len(span) < SPAN:
            others += span
        else:
            spans.append((span[0], span[-1]))
    return spans, others


def _distance(place: tuple[int, int]) -> int:
    """The same for all ids of a span."""
    return place[1] - place[0]


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
