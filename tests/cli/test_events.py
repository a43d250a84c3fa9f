"""What a person sees of events and of messages from phones."""

from __future__ import annotations

from typing import Any

import pytest

from smsgw.cli.events import message_line
from smsgw.errors import Undecodable
from smsgw.message import Inbound, encode


def inbound(**fields: Any) -> bytes:
    known: dict[str, Any] = {"text": "hi\nyou", "encoding": "gsm7", "parts": 1, "complete": True}
    known |= {
        "id": "m1",
        "at": "2026-11-25T10:00:00.000Z",
        "channel": "sim1",
        "from_": "+46700000002",
        "to": "72123",
    }
    return encode(Inbound(**{**known, **fields}))


@pytest.mark.parametrize(
    ("fields", "ending"),
    [
        ({}, r"'hi\nyou'"),
        ({"text": None, "data": b"\x00\xff"}, "'data 00ff'"),
        ({"parts": 3, "complete": False, "missing": (2,)}, r"'hi\nyou' (incomplete)"),
    ],
)
def test_a_message_from_a_phone_is_one_line(fields: dict[str, Any], ending: str) -> None:
    said = message_line(inbound(**fields))
    assert said == f"2026-11-25T10:00:00.000Z sim1 +46700000002 to 72123: {ending}"


def test_what_is_no_message_is_an_error() -> None:
    with pytest.raises(Undecodable):
        message_line(b"{}")
