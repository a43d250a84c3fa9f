"""The nouns: what producers publish, and what smsgw tells them.

`Message` is the body of a publish to the submit exchange, `Submission` is one message with
everything that its AMQP properties add and how far it got, `Event` is what producers hear, `Inbound` a
message from a phone. All are pure data with a JSON form that the public contract fixes; `decode` is
strict about every known field and ignores unknown ones.
"""

from __future__ import annotations

import hashlib
import math
import re
from datetime import UTC, datetime
from functools import lru_cache
from itertools import repeat
from typing import Any, Literal, TypeAlias
from uuid import uuid4

import msgspec

from smsgw.errors import Undecodable
from smsgw.outcome import Progress, Status

VERSION = 1
PRIORITIES = 4
"""0 bulk, 1 normal, 2 high, 3 urgent."""

MAX_ID = 255
"""Octets of an AMQP short string, hence of a message id and of an event id."""

LATEST = 253_402_300_799.0
"""The end of the year 9999 in seconds since the epoch: no later time can be written down."""

META_DEPTH = 32
"""Levels of lists and objects in `meta`, far below what would exhaust a stack on its way back."""

EncodingName: TypeAlias = Literal["auto", "gsm7", "ucs2", "latin1", "binary"]
InboundEncoding: TypeAlias = Literal["gsm7", "ucs2", "latin1", "binary"]
ReceiptMode: TypeAlias = Literal["none", "final", "all"]
EventKind: TypeAlias = Literal[
    "accepted",
    "delivered",
    "undelivered",
    "buffered",
    "retrying",
    "rejected",
    "expired",
    "unknown",
    "orphan",
]


class SmppOverrides(msgspec.Struct, frozen=True, omit_defaults=True):
    """Raw values for the PDU, for those who know their SMSC. `tlvs` maps `"0x1400"` to hex octets."""

    service_type: str | None = None
    protocol_id: int | None = None
    data_coding: int | None = None
    esm_class: int | None = None
    tlvs: dict[str, str] = {}


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"from_": "from"}):
    """One text or binary message for one recipient, as producers write it (contract, section 3)."""

    to: str
    from_: str | None = None
    text: str | None = None
    data: bytes | None = None
    udh: str | None = None
    encoding: EncodingName = "auto"
    receipt: ReceiptMode = "final"
    deadline: str | float | None = None
    flash: bool = False
    retry: Literal["normal", "never"] = "normal"
    smpp: SmppOverrides | None = None
    meta: dict[str, Any] = {}
    v: int = VERSION


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """A message on its way through the gateway, with what its AMQP properties say.

    `made` and `deadline` are seconds since the epoch; `attempt` counts from 1; `identified` is False
    where the producer gave no id and smsgw made one; `progress` is how far an earlier attempt got.
    """

    id: str
    message: Message
    made: float
    deadline: float | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    priority: int = 1
    attempt: int = 1
    identified: bool = True
    progress: Progress | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What smsgw tells the producers about a message (contract, section 4).

    `stat` and `err` are those of the receipt; `delay` is in seconds, for `retrying`; `transliterated`
    counts the characters of the text that were replaced so that it fits GSM 7-bit.
    """

    v: int = msgspec.field(default=VERSION)
    event: EventKind
    id: str
    event_id: str
    at: str
    channel: str
    to: str
    parts: int
    part: int | None = None
    transliterated: int = 0
    smsc_id: str | None = None
    status: Status | None = None
    error: str | None = None
    stat: str | None = None
    err: str | None = None
    delay: float | None = None
    final: bool
    attempt: int
    meta: dict[str, Any]

    @property
    def key(self) -> str:
        """The topic key, `<kind>.<channel>`."""
        return f"{self.event}.{self.channel}"


class Ports(msgspec.Struct, frozen=True):
    """Application ports of a user data header (3GPP TS 23.040, clauses 9.2.3.24.3 and .4)."""

    destination: int
    source: int


class Inbound(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"from_": "from"}):
    """A message from a phone (contract, section 5).

    `parts` is how many the message has; where it is not `complete`, `missing` are those that never came.
    `data` stands for a `text` that is none, or could not be read for the reason in `error`: its octets
    as they came, septets one per octet. `udh` is the first part's header, in hex, without what only
    tells parts apart.
    """

    v: int = msgspec.field(default=VERSION)
    id: str
    at: str
    channel: str
    from_: str
    to: str
    text: str | None = None
    data: bytes | None = None
    encoding: InboundEncoding
    parts: int
    complete: bool
    missing: tuple[int, ...] = ()
    smsc_time: str | None = None
    udh: str | None = None
    ports: Ports | None = None
    error: str | None = None

    def __repr__(self) -> str:
        return f"<Inbound {self.id} {self.channel} {self.encoding} parts={self.parts} error={self.error!r}>"

    @property
    def key(self) -> str:
        """The topic key, `<channel>.<destination digits>`.

        What is no letter or digit would be read as part of a pattern and becomes `_`; a destination that
        is empty counts as `unknown`.
        """
        return f"{self.channel}.{_TOPIC_UNSAFE.sub('_', self.to.lstrip('+')) or 'unknown'}"


_TOPIC_UNSAFE = re.compile(r"[^0-9A-Za-z_-]")


def timestamp(at: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC with milliseconds, `2026-11-23T20:15:00.125Z`."""
    fraction, whole = math.modf(at)
    return _to_the_millisecond(int(whole) * 1000 + round(fraction * 1e6) // 1000)


@lru_cache(64)
def _to_the_millisecond(milliseconds: int) -> str:
    """A busy gateway has several messages in each."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_to_the_second(seconds)}.{rest:03d}Z"


@lru_cache(64)
def _to_the_second(seconds: int) -> str:
    """Calendars are slow, and all messages of a second share one."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def event_id(
    message_id: str,
    kind: EventKind,
    *,
    part: int | None = None,
    attempt: int | None = None,
    stat: str | None = None,
) -> str:
    """The same for the same fact, however often it is told; `stat` tells intermediate states apart.

    At most `MAX_ID` octets, being the event's own message id in AMQP: a hash stands for a longer one.
    """
    tail = f"/part{part}" if part else ""
    tail += f"/attempt{attempt}" if attempt else ""
    tail += f"/{stat}" if stat else ""
    found = f"{message_id}/{kind}{tail}"
    octets = found.encode()
    if len(octets) <= MAX_ID:
        return found
    hashed = f"{hashlib.sha256(octets).hexdigest()}/{kind}"
    return f"{hashed}{tail}" if len(f"{hashed}{tail}".encode()) <= MAX_ID else hashed


_encoder = msgspec.json.Encoder()
_VERSION_FIRST = b'{"v":%d,' % VERSION
_message_decoder = msgspec.json.Decoder(Message)
_event_decoder = msgspec.json.Decoder(Event)
_inbound_decoder = msgspec.json.Decoder(Inbound)


def encode(thing: Message | Event | Inbound) -> bytes:
    """The JSON form, UTF-8. `v` is always written."""
    if thing.v != VERSION:
        return _encoder.encode(thing)
    return _VERSION_FIRST + _encoder.encode(thing)[1:]


def decode_event(body: bytes) -> Event:
    """An event from its JSON form.

    Raises:
        Undecodable: the body is not an event.
    """
    try:
        return _event_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _undecodable(error) from None


def decode_inbound(body: bytes) -> Inbound:
    """An inbound message from its JSON form.

    Raises:
        Undecodable: the body is not one.
    """
    try:
        return _inbound_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _undecodable(error) from None


def decode(
    body: bytes,
    *,
    now: float,
    message_id: str | None = None,
    correlation_id: str | None = None,
    reply_to: str | None = None,
    priority: int | None = None,
    timestamp: int | None = None,
    attempt: int = 1,
    deadline: float | None = None,
    progress: Progress | None = None,
) -> Submission:
    """A producer's publish as a submission.

    `now` is the wall clock in seconds since the epoch: the time of arrival, used where the publish
    has no `timestamp`, or one that is no time. `deadline` is one that a former attempt has already
    fixed; it wins over what the body says relatively. `progress` is how far that attempt got.

    Raises:
        Undecodable: with the path of the field at fault; nothing is lost, the caller dead-letters.
    """
    try:
        message = _message_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _undecodable(error) from None
    except RecursionError:
        raise Undecodable("", "nested too deeply") from None
    _validate(message)
    if priority is None:
        priority = 1
    elif priority >= PRIORITIES:
        priority = PRIORITIES - 1
    made = float(timestamp) if timestamp is not None and 0 <= timestamp <= LATEST else now
    return Submission(
        id=message_id or uuid4().hex,
        message=message,
        made=made,
        deadline=deadline if deadline is not None else _deadline(message.deadline, made),
        correlation_id=correlation_id,
        reply_to=reply_to,
        priority=priority,
        attempt=attempt,
        identified=bool(message_id),
        progress=progress,
    )


def _undecodable(error: Exception) -> Undecodable:
    """msgspec says `Expected ... - at `$.smpp.tlvs``; the path is what a producer needs first."""
    problem, _, path = str(error).partition(" - at `$")
    return Undecodable(path.rstrip("`").lstrip("."), problem)


_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})*")


def _validate(message: Message) -> None:
    if message.v != VERSION:
        raise Undecodable("v", f"version {message.v} is unknown; this gateway speaks {VERSION}")
    digits = message.to.removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
        raise Undecodable("to", "expected digits, 1 to 20, with or without a leading +")
    if message.from_ is not None and not 1 <= len(message.from_) <= 21:
        raise Undecodable("from", "expected 1 to 21 characters")
    if (message.text is None) == (message.data is None):
        raise Undecodable("text", "expected exactly one of text and data")
    if message.udh is not None and not _HEX.fullmatch(message.udh):
        raise Undecodable("udh", "expected hexadecimal octets")
    if message.text is not None and message.encoding == "binary":
        raise Undecodable("encoding", "binary goes with data, not with text")
    if message.data is not None and message.encoding not in ("auto", "binary"):
        raise Undecodable("encoding", "data is binary; smpp.data_coding can give it another data_coding")
    if message.meta and not _storable(message.meta, META_DEPTH):
        raise Undecodable("meta", f"expected at most {META_DEPTH} levels, and integers of at most 64 bits")
    if message.smpp is not None:
        _validate_overrides(message.smpp)


def _storable(value: object, depth: int) -> bool:
    """Whether the ledger can keep it: what is found out only after sending would be sent for ever."""
    if isinstance(value, dict | list):
        inside = value.values() if isinstance(value, dict) else value
        return depth > 0 and all(map(_storable, inside, repeat(depth - 1)))
    return not isinstance(value, int) or -(2**63) <= value < 2**64


def _validate_overrides(smpp: SmppOverrides) -> None:
    for name in ("protocol_id", "data_coding", "esm_class"):
        octet: int | None = getattr(smpp, name)
        if octet is not None and not 0 <= octet <= 0xFF:
            raise Undecodable(f"smpp.{name}", f"expected one octet, 0 to 255, found {octet}")
    for tag, octets in smpp.tlvs.items():
        if not re.fullmatch(r"0[xX][0-9A-Fa-f]{1,4}", tag):
            raise Undecodable(f"smpp.tlvs.{tag}", 'expected a tag such as "0x1400"')
        if not _HEX.fullmatch(octets):
            raise Undecodable(f"smpp.tlvs.{tag}", "expected hexadecimal octets")


def _deadline(value: str | float | None, made: float) -> float | None:
    if value is None:
        return None
    at = made + value if isinstance(value, int | float) else _moment(value)
    if abs(at) > LATEST:
        raise Undecodable("deadline", "expected a time before the year 10000")
    return at


def _moment(value: str) -> float:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise Undecodable("deadline", "expected ISO 8601 or a number of seconds") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def masked(number: str) -> str:
    """A phone number as a log may show it: `+4670xxxx567` becomes `...567`."""
    return f"...{number[-3:]}" if len(number) > 5 else "..."
