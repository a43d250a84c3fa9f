"""Commands about the modem, its SIM and its network (ITU-T V.250; 3GPP TS 27.007)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from smsgw.simulator.modem.answers import (
    BAD_PARAMETERS,
    ERROR,
    FINE,
    NOT_ALLOWED,
    Answer,
    Pending,
    Result,
    refused,
)
from smsgw.simulator.modem.typed import Request
from smsgw.simulator.modem.ussd import cusd

if TYPE_CHECKING:
    from smsgw.simulator.modem.modem import Modem

Perform = Callable[["Modem", Request], Result]

SCAN_TIME = 8.0
"""Seconds of AT+COPS=?."""
RESTART_TIME = 0.3
"""Seconds from the OK of AT+CFUN=1,1 to the restart."""


def told(*lines: str) -> Answer:
    return Answer(lines=lines)


def _identity(name: str) -> Perform:
    def perform(modem: Modem, request: Request) -> Result:
        if request.kind == "list":
            return FINE
        if request.kind != "do":
            return refused(ERROR)
        family, behaviour = modem.shared.family, modem.shared.behaviour
        text = {
            "GMI": family.manufacturer,
            "GMM": family.model,
            "GMR": family.revision,
            "GSN": behaviour.imei,
            "IMI": behaviour.imsi,
            "CID": behaviour.iccid,
        }[name[-3:]]
        return told(f"{name}: {text}" if family.named or name == "+CCID" else text)

    return perform


def _information(modem: Modem, request: Request) -> Result:
    family = modem.shared.family
    return told(family.manufacturer, family.model, family.revision)


def _taken(modem: Modem, request: Request) -> Result:
    """Accepted, and without effect here."""
    return FINE


def register(modem: Modem, request: Request) -> Result:
    if request.kind == "ask":
        return told(modem.profile.registers.get(request.name, "000"))
    if len(modem.profile.registers) < 64:
        modem.profile.registers[request.name] = request.text.zfill(3)
    return FINE


def _echo(modem: Modem, request: Request) -> Result:
    modem.profile.echo = request.text not in {"", "0"}
    return FINE


def _verbose(modem: Modem, request: Request) -> Result:
    modem.profile.verbose = request.text not in {"", "0"}
    return FINE


def _quiet(modem: Modem, request: Request) -> Result:
    modem.profile.quiet = request.text not in {"", "0"}
    return FINE


def _default(modem: Modem, request: Request) -> Result:
    modem.profile.default()
    return FINE


def _dial(modem: Modem, request: Request) -> Result:
    if request.text.startswith("*"):
        return refused(ERROR)
    return Pending(1.0, lambda: Answer(lines=("NO CARRIER",), refusal=ERROR))


def _level(modem: Modem, request: Request) -> Result:
    if request.kind == "list":
        return told("+CMEE: (0-2)")
    if request.kind == "ask":
        return told(f"+CMEE: {modem.profile.cmee}")
    level = request.number(0)
    if level not in {0, 1, 2}:
        return refused(BAD_PARAMETERS)
    modem.profile.cmee = level
    return FINE


def _charset(modem: Modem, request: Request) -> Result:
    charsets, profile = modem.shared.family.charsets, modem.profile
    if request.kind == "list":
        return told("+CSCS: (" + ",".join(f'"{name}"' for name in charsets) + ")")
    if request.kind == "ask":
        return told(f'+CSCS: "{profile.cscs}"')
    wanted = request.arguments()[0]
    if wanted not in charsets:
        return refused(BAD_PARAMETERS)
    profile.cscs = wanted
    return FINE


# -- power


def _functionality(modem: Modem, request: Request) -> Result:
    if request.kind == "list":
        return told("+CFUN: (0,1,4),(0,1)")
    if request.kind == "ask":
        return told(f"+CFUN: {1 if modem.radio_on else 4}")
    if request.number(1) == 1:
        due = modem.shared.now + RESTART_TIME
        return Answer(after=lambda: modem.schedule.add(due, modem.restart, "AT+CFUN=1,1"))
    level = request.number(0)
    if level not in {0, 1, 4}:
        return refused(BAD_PARAMETERS)
    modem.switch_radio(on=level == 1)
    return FINE


# -- SIM


def _pin(modem: Modem, request: Request) -> Result:
    if request.kind == "list":
        return FINE
    if request.kind == "ask":
        return modem.card.told()
    answer = modem.card.enter(request.arguments())
    if answer.refusal is None:
        modem.sim_opened()
    return answer


def _lock(modem: Modem, request: Request) -> Result:
    facility, mode = request.arguments()[:1], request.number(1)
    if facility == ["SC"] and mode == 2:
        return told(f"+CLCK: {1 if modem.card.pin else 0}")
    return refused(NOT_ALLOWED)


# -- network


def _registration(name: str) -> Perform:
    def perform(modem: Modem, request: Request) -> Result:
        levels = modem.profile.registrations
        if request.kind == "list":
            return told(f"{name}: (0-2)")
        if request.kind == "ask":
            return told(f"{name}: {levels[name]},{modem.registration_told(name, levels[name])}")
        level = request.number(0)
        if level not in {0, 1, 2}:
            return refused(BAD_PARAMETERS)
        levels[name] = level
        return FINE

    return perform


def _signal(modem: Modem, request: Request) -> Result:
    return told("+CSQ: (0-31,99),(0-7,99)" if request.kind == "list" else f"+CSQ: {modem.network.signal},99")


def _operator(modem: Modem, request: Request) -> Result:
    name = modem.shared.behaviour.operator
    if request.kind == "list":
        line = f'+COPS: (2,"{modem.profile.spelt(name)}","{name[:8]}","24001"),,(0-4),(0-2)'
        return Pending(SCAN_TIME, lambda: told(line))
    if request.kind == "ask":
        registered = modem.network.registered
        return told(f'+COPS: 0,0,"{modem.profile.spelt(name)}"' if registered else "+COPS: 0")
    return FINE if request.number(0) in {0, 1, 2, 3, 4} else refused(BAD_PARAMETERS)


def _attached(modem: Modem, request: Request) -> Result:
    return told(f"+CGATT: {int(modem.network.registered)}") if request.kind == "ask" else FINE


def _activity(modem: Modem, request: Request) -> Result:
    return told("+CPAS: 0")


def _battery(modem: Modem, request: Request) -> Result:
    return told("+CBC: (0-3),(0-100)" if request.kind == "list" else "+CBC: 0,83,3987")


def _clock(modem: Modem, request: Request) -> Result:
    if request.kind != "ask":
        return FINE
    moment = datetime.fromtimestamp(modem.shared.wall, UTC)
    return told(f'+CCLK: "{moment:%y/%m/%d,%H:%M:%S}+00"')


COMMANDS: dict[str, Perform] = {
    "E": _echo,
    "V": _verbose,
    "Q": _quiet,
    "Z": _default,
    "&F": _default,
    "I": _information,
    "D": _dial,
    **dict.fromkeys(("&W", "&C", "&D", "&K", "&S", "X", "L", "M", "H"), _taken),
    **dict.fromkeys(("+IFC", "+IPR", "+ICF", "+CLIP", "+CRC", "+CMUX", "+CTZR", "+CTZU"), _taken),
    **{f"+{name}": _identity(f"+{name}") for name in ("CGMI", "CGMM", "CGMR", "CGSN", "CIMI", "CCID")},
    **{f"+{name}": _identity(f"+{name}") for name in ("GMI", "GMM", "GMR", "GSN")},
    "+CMEE": _level,
    "+CSCS": _charset,
    "+CFUN": _functionality,
    "+CPIN": _pin,
    "+CLCK": _lock,
    "+CREG": _registration("+CREG"),
    "+CGREG": _registration("+CGREG"),
    "+CEREG": _registration("+CEREG"),
    "+CSQ": _signal,
    "+COPS": _operator,
    "+CGATT": _attached,
    "+CPAS": _activity,
    "+CBC": _battery,
    "+CCLK": _clock,
    "+CUSD": cusd,
}

NEEDS_SIM = frozenset({"+CIMI", "+CCID", "+CUSD", "+COPS"})
ABORTABLE = frozenset({"+COPS", "D"})
"""Another octet ends these (V.250, clause 5.6.1)."""
