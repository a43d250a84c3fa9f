"""What every program is given to send."""

from __future__ import annotations

from itertools import pairwise

import msgspec

TEXT = "A message of ordinary length, as shops send them to say that a parcel has come."


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """`count` messages of one part, each to another number. `window` is what may be unanswered."""

    count: int
    window: int
    receipts: bool
    text: str = TEXT


def shares(count: int, parts: int) -> list[range]:
    """`count` numbers, cut into consecutive parts."""
    edges = [count * part // parts for part in range(parts + 1)]
    return [range(first, last) for first, last in pairwise(edges)]


def recipient(number: int) -> str:
    """In a range that no network has."""
    return f"4699{number:07}"
