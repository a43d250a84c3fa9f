from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.errors import PeerError
from smsgw.smpp.framing import MAX_FRAME, FrameError, Framer
from smsgw.smpp.pdu import EnquireLink, SubmitSm, UnbindResp, encode

FRAMES = [
    encode(EnquireLink(), 1),
    encode(SubmitSm(destination_addr="46701234567", short_message=b"hello"), 2),
    encode(UnbindResp(), 3),
]


@pytest.mark.parametrize("frame", FRAMES)
def test_whole(frame: bytes) -> None:
    framer = Framer()
    assert framer.feed(frame) == [frame]
    assert len(framer) == 0


def test_many_at_once() -> None:
    assert Framer().feed(b"".join(FRAMES)) == FRAMES


def test_octet_by_octet() -> None:
    framer, found = Framer(), []
    for octet in b"".join(FRAMES):
        found += framer.feed(bytes((octet,)))
    assert found == FRAMES
    assert len(framer) == 0


@pytest.mark.parametrize("tail", range(1, len(FRAMES[1])))
def test_with_a_tail(tail: int) -> None:
    framer = Framer()
    assert framer.feed(FRAMES[0] + FRAMES[1][:tail]) == [FRAMES[0]]
    assert len(framer) == tail
    assert framer.feed(FRAMES[1][tail:] + FRAMES[2]) == FRAMES[1:]


def test_nothing() -> None:
    assert Framer().feed(b"") == []


@given(cuts=st.lists(st.integers(0, sum(map(len, FRAMES)))))
def test_cut_anywhere(cuts: list[int]) -> None:
    stream, framer, found = b"".join(FRAMES), Framer(), []
    borders = [0, *sorted(cuts), len(stream)]
    for start, end in pairwise(borders):
        found += framer.feed(stream[start:end])
    assert found == FRAMES


@pytest.mark.parametrize("length", [0, 1, 15, MAX_FRAME + 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_lying_length(length: int) -> None:
    header = length.to_bytes(4) + FRAMES[1][4:16]
    with pytest.raises(FrameError, match=f"command_length is {length}") as caught:
        Framer().feed(header)
    error = caught.value
    assert isinstance(error, PeerError)
    assert error.fatal
    assert (error.length, error.status) == (length, 0x02)
    assert (error.command_id, error.sequence_number) == (0x04, 2)


@pytest.mark.parametrize("length", [16, MAX_FRAME])
def test_lengths_at_the_border(length: int) -> None:
    frame = length.to_bytes(4) + bytes(length - 4)
    assert Framer().feed(frame) == [frame]


def test_a_lie_is_seen_from_its_length_alone() -> None:
    with pytest.raises(FrameError) as caught:
        Framer().feed(b"\0\0\0\x08")
    assert (caught.value.command_id, caught.value.sequence_number) == (0, 0)


def test_what_was_whole_before_a_lie_is_not_lost() -> None:
    with pytest.raises(FrameError) as caught:
        Framer().feed(FRAMES[0] + FRAMES[1] + b"GET / HTTP/1.1\r\n")
    assert caught.value.frames == FRAMES[:2]


def test_after_a_lie_nothing_is_read_and_nothing_kept() -> None:
    framer = Framer()
    with pytest.raises(FrameError):
        framer.feed(b"\xff" * 100_000)
    for _ in range(3):
        with pytest.raises(FrameError) as caught:
            framer.feed(FRAMES[0] * 1000)
        assert caught.value.frames == []
    assert len(framer) <= 16


def test_own_limit() -> None:
    with pytest.raises(FrameError, match="expected 16 to 20"):
        Framer(limit=20).feed(FRAMES[1])


def test_garbage_raises_nothing_else() -> None:
    random = Random(1)
    for _ in range(2_000):
        framer = Framer()
        try:
            for _ in range(3):
                for frame in framer.feed(random.randbytes(random.randrange(60))):
                    assert int.from_bytes(frame[:4]) == len(frame)
        except FrameError:
            continue
