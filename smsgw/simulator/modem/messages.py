"""Commands about messages, in PDU mode (3GPP TS 27.005)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from smsgw.gsm.octets import TpduError
from smsgw.gsm.shapes import Pdu, Submit
from smsgw.gsm.tpdu import from_hex
from smsgw.simulator.modem.answers import ERROR, FINE, Answer, Pending, Prompt, Refusal, Result, cms, refused
from smsgw.simulator.modem.general import Perform, told
from smsgw.simulator.modem.memory import READ, SENT, UNREAD, UNSENT, Stored
from smsgw.simulator.modem.shared import Entry
from smsgw.simulator.modem.typed import Request

if TYPE_CHECKING:
    from smsgw.simulator.modem.modem import Modem

LONGEST_TPDU = 164
_HEX = re.compile(r"([0-9A-Fa-f]{2})+")


# -- settings


def _format(modem: Modem, request: Request) -> Result:
    if request.kind == "list":
        return told("+CMGF: (0)")
    if request.kind == "ask":
        return told("+CMGF: 0")
    return FINE if request.number(0) == 0 else cms(303)


def _service(modem: Modem, request: Request) -> Result:
    services, profile = modem.shared.family.services, modem.profile
    if request.kind == "list":
        return told(f"+CSMS: ({','.join(map(str, services))})")
    if request.kind == "ask":
        return told(f"+CSMS: {profile.csms},1,1,1")
    wanted = request.number(0)
    if wanted not in services:
        return cms(303)
    profile.csms = wanted
    return told("+CSMS: 1,1,1")


def _resend(modem: Modem, request: Request) -> Result:
    if not modem.shared.family.resends:
        return refused(ERROR)
    if request.kind == "list":
        return told("+CMMS: (0-2)")
    if request.kind == "ask":
        return told(f"+CMMS: {modem.profile.cmms}")
    wanted = request.number(0)
    if wanted not in {0, 1, 2}:
        return cms(302)
    modem.profile.cmms = wanted
    return FINE


def _centre(modem: Modem, request: Request) -> Result:
    card, profile = modem.card, modem.profile
    if request.kind == "list":
        return FINE
    if request.kind == "ask":
        return told(f'+CSCA: "{profile.spelt(card.smsc)}",{145 if card.smsc.startswith("+") else 129}')
    number = profile.read(request.arguments()[0])
    if number is None or not re.fullmatch(r"\+?[0-9]{1,20}", number):
        return cms(304)
    card.smsc = number if number.startswith("+") or request.number(1) != 145 else f"+{number}"
    return FINE


def _indication(modem: Modem, request: Request) -> Result:
    """Values that are left out stay as they are."""
    patterns = modem.shared.family.indications
    if request.kind == "list":
        return told("+CNMI: " + ",".join(f"({','.join(pattern)})" for pattern in patterns))
    if request.kind == "ask":
        return told("+CNMI: " + ",".join(map(str, modem.profile.cnmi)))
    given = request.arguments() if request.text else []
    if len(given) > len(patterns):
        return cms(302)
    values = list(modem.profile.cnmi)
    for place, text in enumerate(given):
        if text and (len(text) != 1 or text not in patterns[place]):
            return cms(303)
        values[place] = int(text) if text else values[place]
    modem.reception.indicate(values)
    return FINE


def _acknowledge(modem: Modem, request: Request) -> Result:
    forms = modem.shared.family.acknowledgements
    if request.kind == "list":
        return told(f"+CNMA: ({','.join(form for form in forms if form)})")
    form = request.arguments()[0] if request.kind == "set" else ""
    if form not in forms:
        return cms(302)
    return modem.reception.acknowledge(accepted=form != "2")


# -- memories


def _memories(modem: Modem, request: Request) -> Result:
    memories, family = modem.memories, modem.shared.family
    if request.kind == "list":
        group = "(" + ",".join(f'"{name}"' for name in memories.names) + ")"
        return told(f"+CPMS: {group},{group},{group}")
    if request.kind == "ask":
        parts = zip(memories.selected, memories.used(), strict=True)
        return told("+CPMS: " + ",".join(f'"{name}",{used}' for name, used in parts))
    wanted = request.arguments()
    if not family.memories_named <= len(wanted) <= 3 or not set(wanted) <= set(memories.names):
        return cms(302)
    memories.selected = wanted + memories.selected[len(wanted) :]
    return told("+CPMS: " + ",".join(memories.used()))


def _list(modem: Modem, request: Request) -> Result:
    """Reading marks as read."""
    if request.kind == "list":
        return told("+CMGL: (0-4)")
    wanted = 0 if request.kind == "do" else request.number(0)
    if wanted is None or not 0 <= wanted <= 4:
        return cms(304)
    lines: list[str | tuple[str, str]] = []
    for index, stored in modem.memories.reading.listed():
        if wanted in {stored.status, 4}:
            lines.append((f"+CMGL: {index},{stored.status},,{stored.length}", stored.line))
            stored.status = READ if stored.status == UNREAD else stored.status
    return Answer(lines=tuple(lines))


def _read(modem: Modem, request: Request) -> Result:
    if request.kind == "list":
        return FINE
    index = request.number(0)
    if index is None:
        return cms(321)
    stored = modem.memories.reading.get(index)
    if stored is None:
        return cms(321)
    header = f"+CMGR: {stored.status},,{stored.length}"
    stored.status = READ if stored.status == UNREAD else stored.status
    _record(modem, "read", index)
    return Answer(lines=((header, stored.line),))


def _delete(modem: Modem, request: Request) -> Result:
    """With a flag, everything of that kind, whatever the index."""
    memory = modem.memories.reading
    if request.kind == "list":
        used = ",".join(str(index) for index, _ in memory.listed())
        return told(f"+CMGD: ({used}),(0-4)")
    index, flag = request.number(0), request.number(1) or 0
    if index is None or flag > 4:
        return cms(321)
    if flag:
        statuses = ((), (READ,), (READ, SENT), (READ, SENT, UNSENT), (READ, SENT, UNSENT, UNREAD))[flag]
        gone = [index for index, stored in memory.listed() if stored.status in statuses]
    else:
        gone = [index]
    first, last = memory.indices
    if not flag and (
        not first <= index <= last or (memory.get(index) is None and modem.shared.family.strict_delete)
    ):
        return cms(321)
    for each in gone:
        if memory.remove(each):
            _record(modem, "deleted", each)
    modem.network.memory_available()
    return FINE


def _record(modem: Modem, event: str, index: int) -> None:
    entry = Entry(at=modem.shared.wall, event=event, memory=modem.memories.selected[0], index=index)  # type: ignore[arg-type]
    modem.shared.record(entry)


# -- sending


def _send(modem: Modem, request: Request) -> Result:
    if request.kind == "list":
        return FINE
    length = request.number(0)
    if request.kind != "set" or length is None or not 7 <= length <= LONGEST_TPDU:
        return cms(304)
    return Prompt(lambda typed: _submit(modem, typed, length))


def _fronted(line: str, length: int, how: str) -> bool | None:
    """Whether the SMSC's address stands before the TPDU; None where the length is not that of the TPDU."""
    octets = len(line) // 2
    if octets == length and how != "wanted":
        return False
    return True if how != "unknown" and octets == length + 1 + int(line[:2], 16) else None


def _submitted(modem: Modem, typed: str, length: int) -> Pdu | None:
    """None for what is no SMS-SUBMIT of that length."""
    line = re.sub(r"\s", "", typed)
    if not _HEX.fullmatch(line):
        return None
    fronted = _fronted(line, length, modem.shared.behaviour.smsc_octets)
    if fronted is None:
        return None
    try:
        pdu = from_hex(line, None if fronted else length, "phone")
    except TpduError:
        return None
    return pdu if isinstance(pdu.tpdu, Submit) and pdu.tpdu.destination.value else None


def _submit(modem: Modem, typed: str, length: int) -> Answer | Pending:
    shared, behaviour, dice = modem.shared, modem.shared.behaviour, modem.shared.dice
    pdu = _submitted(modem, typed, length)
    if pdu is None or not isinstance(pdu.tpdu, Submit):
        shared.counts.bad_pdus += 1
        return cms(304)
    tpdu = pdu.tpdu
    if pdu.smsc is None and not modem.card.smsc:
        return cms(330)
    if not modem.network.registered:
        return cms(shared.family.without_network)
    shared.counts.in_flight += 1
    shared.counts.peak_in_flight = max(shared.counts.peak_in_flight, shared.counts.in_flight)
    delay = dice.delay("submit", behaviour.submit_delay, behaviour.submit_jitter)
    return Pending(delay, lambda: _settled(modem, tpdu))


def _settled(modem: Modem, tpdu: Submit) -> Answer | None:
    """The network's answer; None where the modem hangs or restarts instead of passing it on."""
    shared, behaviour, dice, network = modem.shared, modem.shared.behaviour, modem.shared.dice, modem.network
    shared.counts.in_flight -= 1
    hangs = dice.chance("hang in send", behaviour.hang_in_send)
    restarts = not hangs and dice.chance("reset in send", behaviour.reset_in_send)
    if hangs or restarts:
        if dice.chance("hang sends", behaviour.hang_sends):
            network.submit(tpdu, modem.next_reference(), answered=False)
        modem.hang("in the midst of a message") if hangs else modem.restart("in the midst of a message")
        return None
    if not network.registered:
        return cms(shared.family.without_network)
    fault = network.fault(tpdu)
    if fault is not None:
        network.refuse(tpdu, fault)
        return refused(ERROR if fault == "ERROR" else Refusal("cms", int(fault)))
    reference = modem.next_reference()
    network.submit(tpdu, reference, answered=True)
    return told(f"+CMGS: {reference}")


def _write(modem: Modem, request: Request) -> Result:
    """AT+CMGW=length[,stat]."""
    length, status = request.number(0), request.number(1)
    if request.kind == "list":
        return FINE
    if request.kind != "set" or length is None or not 7 <= length <= LONGEST_TPDU:
        return cms(304)
    return Prompt(lambda typed: _keep(modem, typed, length, UNSENT if status is None else status))


def _keep(modem: Modem, typed: str, length: int, status: int) -> Answer:
    line = re.sub(r"\s", "", typed)
    if not _HEX.fullmatch(line) or status not in {UNREAD, READ, UNSENT, SENT}:
        return cms(304)
    index = modem.memories.writing.add(Stored(line, length, status))
    return cms(322) if index is None else told(f"+CMGW: {index}")


COMMANDS: dict[str, Perform] = {
    "+CMGF": _format,
    "+CSMS": _service,
    "+CMMS": _resend,
    "+CSCA": _centre,
    "+CNMI": _indication,
    "+CNMA": _acknowledge,
    "+CPMS": _memories,
    "+CMGL": _list,
    "+CMGR": _read,
    "+CMGD": _delete,
    "+CMGS": _send,
    "+CMGW": _write,
}
"""All of these but AT+CMGF and AT+CSMS need the SIM."""

NEEDS_SIM = frozenset(COMMANDS) - {"+CMGF", "+CSMS"}
