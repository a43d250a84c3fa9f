"""Message ids as message centres really write them: pure.

The same message often has one id in the submit_sm_resp and another spelling of it in the receipt.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from uuid import UUID

import msgspec

from smsgw.simulator.behaviour import IdForm

LONGEST = 64
"""Characters of a message_id, a C-octet string of at most 65 octets (SMPP 3.4, 5.2.23)."""


class MessageId(msgspec.Struct, frozen=True):
    """`answered` goes into the submit_sm_resp, `receipted` into the receipts."""

    answered: str
    receipted: str


def _both(write: Callable[[int], str]) -> Callable[[int], MessageId]:
    def form(number: int) -> MessageId:
        written = write(number)
        return MessageId(written, written)

    return form


def _uuid(number: int) -> str:
    return str(UUID(bytes=blake2b(number.to_bytes(16, "big"), digest_size=16).digest(), version=4))


def _long(number: int) -> str:
    return f"smsc-{number}-".ljust(LONGEST, "x")


FORMS: dict[IdForm, Callable[[int], MessageId]] = {
    "decimal": _both(str),
    "hex": _both(lambda number: f"{number:x}"),
    "hex-in-response": lambda number: MessageId(f"{number:x}", str(number)),
    "hex-in-receipt": lambda number: MessageId(str(number), f"{number:x}"),
    "leading-zeros": lambda number: MessageId(f"{number:020d}", str(number)),
    "upper-in-receipt": lambda number: MessageId(f"{number:x}", f"{number:X}"),
    "uuid": _both(_uuid),
    "long": _both(_long),
}


def message_id(number: int, form: IdForm) -> MessageId:
    """The id of the message with this running number."""
    return FORMS[form](number)
