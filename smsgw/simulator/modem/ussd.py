"""AT+CUSD (3GPP TS 27.007, clause 7.15) and a network that answers by a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smsgw.simulator.modem.answers import BAD_PARAMETERS, ERROR, FINE, Answer, Refusal, Result, refused
from smsgw.simulator.modem.shared import Entry
from smsgw.simulator.modem.typed import Request
from smsgw.sms.alphabets import DEFAULT
from smsgw.sms.packing import pack, unpack_text

if TYPE_CHECKING:
    from smsgw.simulator.modem.modem import Modem

NOT_REGISTERED = Refusal("cme", 30)


def cusd(modem: Modem, request: Request) -> Result:
    if request.kind == "list":
        return Answer(lines=("+CUSD: (0-2)",))
    if request.kind == "ask":
        return Answer(lines=(f"+CUSD: {modem.profile.cusd}",))
    arguments, level = request.arguments(), request.number(0)
    if level not in {0, 1, 2}:
        return refused(BAD_PARAMETERS)
    modem.profile.cusd = 1 if level == 1 else 0
    if level == 2 or len(arguments) < 2:
        return FINE
    if not modem.network.registered:
        return refused(NOT_REGISTERED)
    code = _typed(modem, arguments[1])
    if code is None:
        return refused(ERROR)
    modem.shared.counts.ussd += 1
    modem.shared.record(Entry(at=modem.shared.wall, event="ussd", text=code))
    due = modem.shared.now + modem.shared.behaviour.ussd_delay
    return Answer(after=lambda: modem.schedule.add(due, _answer, modem, code))


def _typed(modem: Modem, text: str) -> str | None:
    """None for what this modem can't read."""
    if not modem.shared.family.packed:
        return modem.profile.read(text)
    try:
        return DEFAULT.decode(unpack_text(bytes.fromhex(text)))
    except ValueError:
        return None


def _answer(modem: Modem, code: str) -> None:
    if not modem.profile.cusd:
        return
    answer = modem.shared.behaviour.ussd.get(code)
    if answer is None:
        modem.announce("+CUSD: 4")
        return
    text, coding = _written(modem, answer)
    modem.announce(f'+CUSD: {int(answer.endswith("?"))},"{text}",{coding}')


def _written(modem: Modem, text: str) -> tuple[str, int]:
    try:
        septets = DEFAULT.encode(text)
    except UnicodeEncodeError:
        return text.encode("utf-16-be").hex().upper(), 72
    if modem.shared.family.packed:
        return pack(septets).hex().upper(), 15
    return modem.profile.spelt(text), 15
