"""What can be done to a simulated modem while it runs: one JSON object a line, and one back.

    {"do": "inbound", "from": "+46700000001", "text": "hello"}      a phone sends a message
    {"do": "report", "to": "+46700000001", "reference": 7, "status": 0}    a status report that nobody made
    {"do": "behave", "set": {"coverage": false}}                    fields of the behaviour, from now on
    {"do": "say", "line": "RING"}                                   an unsolicited line
    {"do": "reset"}  {"do": "hang"}  {"do": "unplug", "seconds": 2}
    {"do": "counts"}                                                what the report at the end has

The answer is `{"ok": true}`, with `counts` where they were asked for, or `{"ok": false, "error": "..."}`.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec

from smsgw.errors import ConfigError, SmsgwError
from smsgw.gsm import addresses
from smsgw.gsm.addresses import Address
from smsgw.gsm.shapes import StatusReport
from smsgw.gsm.status import Status
from smsgw.gsm.times import Timestamp
from smsgw.simulator.modem.behaviour import convert
from smsgw.simulator.modem.letters import Inbound, deliveries
from smsgw.simulator.modem.modem import Modem
from smsgw.simulator.modem.shared import Report

Octet: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=255)]


class Bring(Inbound, tag_field="do", tag="inbound", frozen=True, kw_only=True):
    """A phone sends."""


class BringReport(msgspec.Struct, tag_field="do", tag="report", frozen=True, forbid_unknown_fields=True):
    to: str
    reference: Octet
    status: Octet = 0


class Behave(msgspec.Struct, tag_field="do", tag="behave", frozen=True, forbid_unknown_fields=True):
    set: dict[str, Any]


class Say(msgspec.Struct, tag_field="do", tag="say", frozen=True, forbid_unknown_fields=True):
    line: str


class Reset(msgspec.Struct, tag_field="do", tag="reset", frozen=True, forbid_unknown_fields=True):
    """The power goes and comes."""


class Hang(msgspec.Struct, tag_field="do", tag="hang", frozen=True, forbid_unknown_fields=True):
    """It says nothing more."""


class Unplug(msgspec.Struct, tag_field="do", tag="unplug", frozen=True, forbid_unknown_fields=True):
    """The port goes, and comes back with another number."""

    seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.5


class Counts(msgspec.Struct, tag_field="do", tag="counts", frozen=True, forbid_unknown_fields=True):
    """What was counted so far."""


Wish: TypeAlias = Bring | BringReport | Behave | Say | Reset | Hang | Unplug | Counts


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    ok: bool
    error: str | None = None
    counts: Report | None = None


_DECODER = msgspec.json.Decoder(Wish)


def obey(modem: Modem, line: bytes, now: float) -> Reply:
    """Do what a line says. What is wrong with it is in the reply."""
    try:
        wish = _DECODER.decode(line)
        return _obey(modem, wish, now)
    except (msgspec.DecodeError, SmsgwError) as error:
        return Reply(ok=False, error=str(error))


def _obey(modem: Modem, wish: Wish, now: float) -> Reply:
    if isinstance(wish, Counts):
        return Reply(ok=True, counts=modem.report())
    modem.tick(now)
    if isinstance(wish, Bring):
        bring(modem, wish)
    elif isinstance(wish, BringReport):
        stamp = modem.network.stamp()
        recipient = addresses.address(wish.to)
        modem.network.bring(_report_of(recipient, wish, stamp))
    elif isinstance(wish, Behave):
        modem.behave(_changed(modem, wish.set), now)
    elif isinstance(wish, Say):
        modem.announce(wish.line)
    elif isinstance(wish, Hang):
        modem.hang("on demand")
    elif isinstance(wish, Reset):
        modem.restart("on demand")
    else:
        modem.restart("unplugged", unplug=wish.seconds)
    modem.tick(now)
    return Reply(ok=True)


def _report_of(recipient: Address, wish: BringReport, stamp: Timestamp) -> StatusReport:
    return StatusReport(
        reference=wish.reference,
        recipient=recipient,
        timestamp=stamp,
        discharged=stamp,
        status=Status(wish.status),
    )


def bring(modem: Modem, message: Inbound) -> None:
    """A phone's message, all its parts. Raises `Misuse` for one that can't be sent."""
    for tpdu in deliveries(message, modem.network.stamp()):
        modem.shared.counts.inbound_made += 1
        modem.network.bring(tpdu)


def _changed(modem: Modem, fields: dict[str, Any]) -> Any:
    if "family" in fields:
        raise ConfigError("family", "can't be changed while it runs")
    current: dict[str, Any] = msgspec.structs.asdict(modem.shared.behaviour)
    return convert({**msgspec.to_builtins(current), **fields}, "behave")
