"""What broken message centres send: octets that no codec of ours would build. Pure.

Each disguise takes the frame of a well-formed submit_sm_resp and gives the octets that leave
instead. `Form.taken` says whether the message centre has taken the message all the same: a peer
can't tell a spoilt yes from a no.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from struct import Struct

import msgspec

from smsgw.simulator.behaviour import Disguise
from smsgw.smpp.constants import CommandId, CommandStatus

HEADER = Struct(">IIII")
"""command_length, command_id, command_status, sequence_number (SMPP 3.4, 3.2)."""

UNKNOWN_COMMAND = 0x00010203
VENDOR_STATUS = 0x00000437
"""0x400 to 0x4FF are the vendors' own (SMPP 3.4, 5.1.3)."""
FOREIGN_SEQUENCE = 0x7FFF0000
"""Where the numbers of smuggled requests start: far above those that a session reaches."""


class Form(msgspec.Struct, frozen=True):
    """`spoil` gets the good frame and a stream of chance."""

    spoil: Callable[[bytes, Random], bytes]
    taken: bool = True


def frame(command_id: int, status: int, sequence_number: int, body: bytes = b"") -> bytes:
    """A PDU with a true command_length around any octets."""
    return HEADER.pack(HEADER.size + len(body), command_id, status, sequence_number) + body


def _with_body(good: bytes, body: bytes) -> bytes:
    _, command_id, status, sequence_number = HEADER.unpack_from(good)
    return frame(command_id, status, sequence_number, body)


def _with_length(good: bytes, length: int) -> bytes:
    return length.to_bytes(4, "big") + good[4:]


def _refused(good: bytes, status: int) -> bytes:
    _, command_id, _, sequence_number = HEADER.unpack_from(good)
    return frame(command_id, status, sequence_number)


def _nacked(good: bytes, _chance: Random) -> bytes:
    sequence_number: int = HEADER.unpack_from(good)[3]
    return frame(CommandId.GENERIC_NACK, CommandStatus.ESME_RSYSERR, sequence_number)


def _wrong_sequence(good: bytes, chance: Random) -> bytes:
    return good[:12] + (FOREIGN_SEQUENCE + chance.randrange(0xFFFF)).to_bytes(4, "big") + good[16:]


def _before(command_id: int, write: Callable[[Random], bytes]) -> Callable[[bytes, Random], bytes]:
    """A request that nobody expects, in front of the good response."""

    def spoil(good: bytes, chance: Random) -> bytes:
        number = FOREIGN_SEQUENCE + chance.randrange(0xFFFF)
        return frame(command_id, 0, number, write(chance)) + good

    return spoil


DELIVER_BODY = b"\0\1\00146700000001\0\1\00112345\0" + bytes(9) + b"\x05stray"

FORMS: dict[Disguise, Form] = {
    "stray-nul": Form(lambda good, chance: _with_body(good, good[16:] + bytes(chance.randint(1, 3)))),
    "unterminated": Form(lambda good, _: _with_body(good, good[16:].rstrip(b"\0"))),
    "unknown-tlv": Form(lambda good, _: _with_body(good, good[16:] + b"\x15\x01\x00\x02hi")),
    "torn-tlv": Form(lambda good, _: _with_body(good, good[16:] + b"\x04\x27\x00\x63\x01")),
    "no-body": Form(lambda good, _: _with_body(good, b"")),
    "lying-length": Form(lambda good, _: _with_length(good, 0x7FFFFFFF)),
    "short-length": Form(lambda good, _: _with_length(good, 4)),
    "generic-nack": Form(_nacked, taken=False),
    "vendor-status": Form(lambda good, _: _refused(good, VENDOR_STATUS), taken=False),
    "wrong-sequence": Form(_wrong_sequence),
    "unknown-request": Form(_before(UNKNOWN_COMMAND, lambda _: b"what?")),
    "torn-request": Form(
        _before(CommandId.DELIVER_SM, lambda chance: DELIVER_BODY[: chance.randrange(1, len(DELIVER_BODY))])
    ),
    "garbage-request": Form(
        _before(CommandId.DELIVER_SM, lambda chance: chance.randbytes(chance.randrange(1, 200)))
    ),
    "misplaced-request": Form(_before(CommandId.SUBMIT_SM, lambda _: DELIVER_BODY)),
}
