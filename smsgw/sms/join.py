"""Parts that arrive, put together again: which belong together, what is missing, what they say.

`read` turns the user data of one inbound short message into a `Fragment`; `key` says which long
message it belongs to; `place` says what it is to the fragments that are already there; `join` makes
a message of what there is, whole or not. Nothing is stored here: the caller keeps fragments by key
and number, and decides how long to wait.

Text is decoded after joining, runs of equal coding at once: a sender may have cut between the two
halves of a surrogate pair, or between an escape and its code, and each part may have an alphabet of
its own. Nothing here raises on what a peer sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Literal, TypeAlias

import msgspec

from smsgw.sms import packing, udh
from smsgw.sms.coding import Charset, decode
from smsgw.sms.udh import Header, Ports

Kind: TypeAlias = Literal["whole", "udh", "udh16", "sar"]
Placement: TypeAlias = Literal["placed", "completing", "duplicate", "conflict"]


class Sar(msgspec.Struct, frozen=True):
    """The values of sar_msg_ref_num, sar_total_segments and sar_segment_seqnum (SMPP 3.4, 5.3.2.22)."""

    reference: int
    total: int
    number: int


class Fragment(msgspec.Struct, frozen=True, kw_only=True):
    """One inbound short message, as read: a part of a long one, or `whole`.

    `payload` is what follows the header, septets one per octet; `header` is the user data header
    with its length octet. `problem` says why the header was ignored.
    """

    payload: bytes
    charset: Charset
    header: bytes = b""
    locking: int = 0
    single: int = 0
    kind: Kind = "whole"
    reference: int = 0
    total: int = 1
    number: int = 1
    problem: str | None = None

    def __repr__(self) -> str:
        return f"<Fragment {self.number}/{self.total} {self.kind} {self.charset} octets={len(self.payload)}>"


class Key(msgspec.Struct, frozen=True):
    """What the parts of one message share. `channel` is the scope in which numbers mean one phone."""

    channel: str
    source: str
    destination: str
    kind: Kind
    reference: int
    total: int


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """A message of its fragments. Binary, or not decodable for the reason in `problem`: `text` is None.

    `data` is the payloads in order, as received; `header` that of the first fragment; `parts` counts
    the fragments there are.
    """

    text: str | None
    data: bytes
    charset: Charset
    parts: int
    complete: bool
    header: bytes = b""
    ports: Ports | None = None
    problem: str | None = None

    def __repr__(self) -> str:
        return f"<Joined {self.charset} parts={self.parts} complete={self.complete} problem={self.problem!r}>"


def read(octets: bytes, charset: Charset, *, has_header: bool = False, sar: Sar | None = None) -> Fragment:
    """The user data of one short message (short_message or message_payload) as a fragment.

    `charset` is what its data_coding means; `has_header` is the user data header indicator of its
    esm_class. A concatenation element wins over SAR TLVs. A header that can't be read is ignored
    with a `problem`; one that claims more octets than there are leaves them all in the payload.
    """
    header = udh.parse(octets) if has_header else Header((), 0)
    locking, single = udh.shifts(header.elements)
    payload = octets[header.length :]
    if charset == "gsm7-packed":
        payload, charset = packing.unpack_text(payload, packing.fill_bits(header.length)), "gsm7"
    kind, part = _concatenation(header, sar)
    return Fragment(
        payload=payload,
        charset=charset,
        header=octets[: header.length],
        locking=locking,
        single=single,
        kind=kind,
        reference=part.reference,
        total=part.total,
        number=part.number,
        problem=header.problem,
    )


def _concatenation(header: Header, sar: Sar | None) -> tuple[Kind, udh.Concatenation | Sar]:
    """Values that make no sense are as if absent (3GPP TS 23.040, 9.2.3.24.1; SMPP 3.4, 5.3.2.22 to .24)."""
    element = udh.concatenation(header.elements)
    if element is not None and element.total > 1:
        return "udh16" if element.wide else "udh", element
    if element is None and sar is not None and 1 <= sar.number <= sar.total and 1 < sar.total <= 255:
        return "sar", sar
    return "whole", Sar(0, 1, 1)


def key(fragment: Fragment, channel: str, source: str, destination: str) -> Key | None:
    """The long message that a fragment belongs to; None if it is whole by itself."""
    if fragment.kind == "whole":
        return None
    return Key(channel, source, destination, fragment.kind, fragment.reference, fragment.total)


def place(slots: Mapping[int, Fragment], fragment: Fragment) -> Placement:
    """What a fragment is to those of the same key, by number, that are there.

    `completing`: with it the message is whole. `duplicate`: the same came before, as when an answer
    got lost. `conflict`: its slot holds something else, so that the sender uses the reference again:
    what is there will never be whole, and the fragment begins another message.
    """
    there = slots.get(fragment.number)
    if there is not None:
        return "duplicate" if there == fragment else "conflict"
    return "completing" if len(slots) + 1 == fragment.total else "placed"


def missing(slots: Mapping[int, Fragment], total: int) -> tuple[int, ...]:
    """The numbers of the parts that are not there yet."""
    return tuple(number for number in range(1, total + 1) if number not in slots)


def join(fragments: Iterable[Fragment]) -> Joined:
    """The message that the fragments of one key make, in any order; at least one.

    Fragments of one number count once.
    """
    parts = sorted({fragment.number: fragment for fragment in fragments}.values(), key=_number)
    first = parts[0]
    text, problem = _text(parts)
    return Joined(
        text=text,
        data=b"".join(part.payload for part in parts),
        charset=_widest(parts),
        parts=len(parts),
        complete=len(parts) == first.total,
        header=first.header,
        ports=udh.ports(udh.parse(first.header).elements) if first.header else None,
        problem=problem or next((part.problem for part in parts if part.problem), None),
    )


def _number(fragment: Fragment) -> int:
    return fragment.number


def _coding(fragment: Fragment) -> tuple[Charset, int, int]:
    return fragment.charset, fragment.locking, fragment.single


def _text(parts: list[Fragment]) -> tuple[str | None, str | None]:
    """The text, or None and why: for binary data there is no text and nothing wrong."""
    if any(part.charset == "binary" for part in parts):
        return None, None
    overrun = next((part.problem for part in parts if part.problem and not part.header), None)
    if overrun is not None:
        return None, overrun
    found: list[str] = []
    for (charset, locking, single), run in groupby(parts, _coding):
        decoded = decode(b"".join(part.payload for part in run), charset, locking=locking, single=single)
        if decoded.problem is not None:
            return None, decoded.problem
        found.append(decoded.text)
    return "".join(found), None


def _widest(parts: list[Fragment]) -> Charset:
    """The one name for parts that may differ."""
    charsets = {part.charset for part in parts}
    order: tuple[Charset, ...] = ("binary", "ucs2", "latin1")
    return next((charset for charset in order if charset in charsets), parts[0].charset)
