"""How nasty a simulated message centre is: pure data.

`Behaviour()` is a message centre as the specification's authors dreamt of it: it answers at once,
takes everything and sends one receipt for each message that asked for one. Every field makes it
worse in one way, and the fields combine. What happens "by share" is drawn from random streams
that start from `seed`, one stream per kind of decision (`smsgw.simulator.dice`), so that a run can
be repeated and that switching one nastiness on does not move the others.

Statuses are written as operators write them, `"0x0058"`. Times are in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, get_args

import msgspec

from smsgw.errors import ConfigError

Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]
Rate: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
StatusText: TypeAlias = Annotated[str, msgspec.Meta(pattern="^0[xX][0-9A-Fa-f]{1,8}$")]
Stat: TypeAlias = Literal[
    "SCHEDULED",
    "ENROUTE",
    "DELIVRD",
    "EXPIRED",
    "DELETED",
    "UNDELIV",
    "ACCEPTD",
    "UNKNOWN",
    "REJECTD",
    "SKIPPED",
]
"""`stat` of a receipt's text, SMPP 3.4 appendix B; message_state values are in `receipts`."""

IdForm: TypeAlias = Literal[
    "decimal",
    "hex",
    "hex-in-response",
    "hex-in-receipt",
    "leading-zeros",
    "upper-in-receipt",
    "uuid",
    "long",
]
ReceiptForm: TypeAlias = Literal["text", "tlv", "both", "variants"]
Disguise: TypeAlias = Literal[
    "stray-nul",
    "unterminated",
    "unknown-tlv",
    "torn-tlv",
    "no-body",
    "lying-length",
    "short-length",
    "generic-nack",
    "vendor-status",
    "wrong-sequence",
    "unknown-request",
    "torn-request",
    "garbage-request",
    "misplaced-request",
]
"""What becomes of a submit_sm_resp's octets, or comes with it; see `smsgw.simulator.spoil`."""

DISGUISES: tuple[Disguise, ...] = get_args(Disguise)


class Inbound(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"source": "from"}
):
    """A message from a phone (MO). `text` may hold `{n}`, the number of the message from 1.

    A text too long for one short message goes out as parts, told apart as `form` says; where they are
    `mixed`, each has the alphabet that it needs itself. `data` (hex, with its UDH if `esm_class` says so)
    is sent as it is, instead of a text. With several `senders` the messages come from as many numbers in
    turn, counted from `from`; each phone counts its own references, from 1.
    """

    source: str = "46700000001"
    senders: Annotated[int, msgspec.Meta(ge=1)] = 1
    to: str = "12345"
    text: str = "inbound {n}"
    form: Literal["udh", "udh16", "sar", "payload"] = "udh"
    data: Annotated[str, msgspec.Meta(pattern="^([0-9A-Fa-f]{2})*$", max_length=508)] = ""
    data_coding: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0
    esm_class: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0
    mixed: bool = False


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every nastiness as a field; each default is the kind one. A TOML file may set any of them."""

    seed: int = 0

    # answering submit_sm
    response_delay: Seconds = 0.0
    response_jitter: Seconds = 0.0
    """Up to so many seconds more, uniformly; with it, responses come out of order."""
    never_answer: Share = 0.0
    """Taken, and no response ever."""
    late_answer: Share = 0.0
    late_delay: Seconds = 90.0
    """Later than the client waits."""
    drop_instead_of_answer: Share = 0.0
    """Taken, then the link is cut without the response."""
    half_answer: Share = 0.0
    """Taken, half of the response's octets, then the link is cut."""
    malformed: Share = 0.0
    malformed_forms: Annotated[tuple[Disguise, ...], msgspec.Meta(min_length=1)] = DISGUISES
    segment: Count = 0
    """Octets per TCP segment, 1 for octet by octet; 0: as they come."""

    # refusing submit_sm
    throttle: Rate = 0.0
    """Submits a second and account; above it ESME_RTHROTTLED (0x58). 0: none."""
    throttle_burst: Rate = 0.0
    """So many at once before the rate counts. 0: one second's worth."""
    queue_full: Count = 0
    """With so many of the account unanswered, ESME_RMSGQFUL (0x14). 0: never."""
    statuses: dict[StatusText, Share] = {}
    """Refuse a share of the submits with this status."""
    destinations: dict[str, StatusText] = {}
    """Refuse a destination, or with a `*` at the end every one that begins so."""
    refuse_first: dict[str, Count] = {}
    """With `destinations`: refuse only the first so many submits there, then take. Same keys."""
    refuse_plus: bool = False
    """A `+` in an address is ESME_RINVDSTADR (0x0B)."""
    error_body: bool = False
    """A refusing submit_sm_resp has a body all the same, with the message id `0`."""

    # message ids
    message_id: IdForm = "decimal"
    first_id: Count = 0
    """0: from the clock in microseconds, so that a restart does not use ids again."""

    # receipts
    receipts: Share = 1.0
    """Of the messages that ask for one."""
    unsolicited_receipts: Share = 0.0
    """Of the messages that do not."""
    receipt_form: ReceiptForm = "both"
    receipt_pdu: Literal["deliver_sm", "data_sm"] = "deliver_sm"
    receipt_delay: Seconds = 0.0
    receipt_jitter: Seconds = 0.0
    receipt_part: Literal["all", "first", "last"] = "all"
    """Of a long message."""
    receipt_bind: Literal["same", "any", "other"] = "same"
    """The session of the submit if it can receive; any of the account; another one if there is one."""
    states: dict[Stat, Share] = msgspec.field(default_factory=lambda: {"DELIVRD": 1.0})
    """Final states, in proportion to their weights."""
    destination_states: dict[str, Stat] = {}
    """The final state for a destination, keyed as `destinations`."""
    errors: dict[Stat, str] = {}
    """`err` of a state; 000 for DELIVRD and ACCEPTD, else 001."""
    intermediate: Share = 0.0
    """An intermediate receipt first; the final one follows after another `receipt_delay`."""
    intermediate_state: Stat = "ENROUTE"
    early_receipts: Share = 0.0
    """The receipt is written before the submit_sm_resp."""
    repeated_receipts: Share = 0.0
    """Sent again although it was answered."""
    repeat_delay: Seconds = 0.0
    receipt_retry_delay: Seconds = 1.0
    """After a temporary status, no answer or a lost link the receipt is sent again."""
    receipt_attempts: Annotated[int, msgspec.Meta(ge=1)] = 100
    receipt_window: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    """deliver_sm unanswered at once on a session."""

    # binds
    refuse_binds: Annotated[int, msgspec.Meta(ge=-1)] = 0
    """The first so many; -1 is every one."""
    refuse_binds_with: StatusText = "0x0000000D"
    bind_delay: Seconds = 0.0
    never_answer_bind: bool = False
    bind_limit: Count = 0
    """Sessions of one account; above it ESME_RALYBND (0x05)."""
    session_lingers: Seconds = 0.0
    """A session that was cut, not unbound, counts towards `bind_limit` for so long."""
    greet: bool = False
    """An inbound message goes out in one segment with the bind response, to whoever can receive."""

    # links
    drop_after: Count = 0
    """Cut a session at its so many-th submit_sm, which gets no response."""
    drop_every: Seconds = 0.0
    """Cut a session so long after its bind."""
    drop_share: Share = 0.0
    """Cut the session at a submit_sm, before it is taken."""
    unbind_every: Seconds = 0.0
    """Send unbind so long after a session's bind."""
    idle_close: Seconds = 0.0
    """Close a session that was silent for so long; an enquire_link counts as a sign of life."""
    enquire_link: Seconds = 30.0
    """Silence before we send an enquire_link ourselves; 0: never."""
    response_timeout: Seconds = 60.0
    """How long we wait for a deliver_sm_resp before the receipt is sent again."""
    never_answer_unbind: bool = False
    enquire_links: Rate = 0.0
    """So many enquire_link a second at every session, on top of the timer's."""
    ignore_enquire_links: bool = False

    # inbound messages
    inbound: Annotated[tuple[Inbound, ...], msgspec.Meta(min_length=1)] = (Inbound(),)
    """Sent in turn, to every account that can receive."""
    inbound_rate: Rate = 0.0
    """A second and account. 0: none."""
    inbound_limit: Count = 0
    """Stop after so many per account. 0: never."""
    inbound_shuffled: bool = False
    """Parts of long inbound messages leave in a random order, over all of the account's sessions."""

    # bounds
    capacity: Annotated[int, msgspec.Meta(ge=1)] = 100_000
    """Submits waiting for their response; above it the queue is full (0x14)."""
    mailbox: Annotated[int, msgspec.Meta(ge=1)] = 1_000_000
    """Receipts and inbound messages not yet answered; above it new ones are lost, and counted."""
    remembered: Annotated[int, msgspec.Meta(ge=1)] = 1_000_000
    """Distinct messages that duplicates are recognised among; the oldest are forgotten."""


def read(path: Path) -> Behaviour:
    """A behaviour from a TOML file with any of the fields at its top level.

    Raises:
        ConfigError: the file can't be read, or a field is unknown or wrong; the text says which.
    """
    return convert(read_fields(path), str(path))


def read_fields(path: Path) -> dict[str, object]:
    """The fields that a TOML file sets, not yet checked.

    Raises:
        ConfigError: the file can't be read or is not TOML.
    """
    try:
        return msgspec.toml.decode(path.read_bytes(), type=dict[str, object])
    except OSError as error:
        raise ConfigError(str(path), error.strerror or str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), str(error)) from None


def convert(fields: dict[str, object], place: str) -> Behaviour:
    """A behaviour from its fields; `place` is where they come from, for the error.

    Raises:
        ConfigError: a field is unknown or wrong.
    """
    try:
        behaviour = msgspec.convert(fields, Behaviour)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `")
        path = path.replace("key` in `", "").strip("`").removeprefix("$").lstrip(".")
        raise ConfigError(f"{place}: {path}" if path else place, problem) from None
    if not any(behaviour.states.values()):
        raise ConfigError(f"{place}: states", "expected at least one state with a weight above 0")
    return behaviour


def status_code(text: str) -> int:
    """`"0x0058"` as a number."""
    return int(text, 16)


def longest_match(table: Mapping[str, str], address: str) -> str | None:
    """The key of `table` for an address: itself, else the longest `prefix*` that it begins with."""
    if not table:
        return None
    if address in table:
        return address
    prefixes = [key for key in table if key.endswith("*") and address.startswith(key[:-1])]
    return max(prefixes, key=len, default=None)
