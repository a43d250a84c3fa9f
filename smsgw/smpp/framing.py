"""From a stream of octets to whole PDUs.

A PDU begins with its own length (3.4, 3.2.1), and that is all this module looks at. Whatever TCP
does, a PDU per octet or a hundred at once, frames come out in order; the buffer never holds more than
one incomplete frame, because a frame's length is checked before its octets are awaited.

A length that can't be true means that the stream is out of step, and nothing after it can be read.
"""

from __future__ import annotations

from struct import Struct

from smsgw.errors import PeerError
from smsgw.smpp.constants import CommandStatus

HEADER_LENGTH = 16
MAX_FRAME = 64 * 1024
"""Octets. The largest PDU with one TLV of 0xFFFF octets would be slightly more; none is that long."""

_LENGTH = Struct(">I")
_HEADER = Struct(">IIII")


class FrameError(PeerError):
    """command_length can't be true: the stream is lost.

    `frames` are those that were whole before it; they are good. `command_id` and `sequence_number`
    are those of the header where it has come, else 0; `status` is what generic_nack says.
    """

    fatal = True
    status = CommandStatus.ESME_RINVCMDLEN

    def __init__(self, length: int, limit: int, frames: list[bytes], header: bytes) -> None:
        super().__init__(f"command_length is {length}, expected {HEADER_LENGTH} to {limit}")
        self.length = length
        self.frames = frames
        self.command_id = self.sequence_number = 0
        if len(header) >= HEADER_LENGTH:
            _, self.command_id, _, self.sequence_number = _HEADER.unpack_from(header)


class Framer:
    """Cuts frames out of what a connection reads. `limit` is the most octets of a frame."""

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._buffer = b""

    def __len__(self) -> int:
        """Octets of the frame that is not whole yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Take what was read; return the frames that are whole now, each with its header.

        Raises:
            FrameError: a length under 16 or over the limit. The link has to be closed; octets that
                come after it are refused in the same way.
        """
        if self._buffer:
            data = self._buffer + data
        frames: list[bytes] = []
        offset, end = 0, len(data)
        while end - offset >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(data, offset)
            if not HEADER_LENGTH <= length <= self._limit:
                self._buffer = data[offset : offset + HEADER_LENGTH]
                raise FrameError(length, self._limit, frames, self._buffer)
            if end - offset < length:
                break
            frames.append(data[offset : offset + length])
            offset += length
        self._buffer = data[offset:]
        return frames
