"""The readiness gate: from an open port to a modem that takes messages.

Everything is asked anew each time, nothing is remembered from before: after a restart the modem may
have another SIM, another network, and none of the settings that it was given.

What must hold: it answers, its SIM is open, it is who it shall be, it is registered, and it takes PDU
mode. All else is tried and forgiven, since some modem lacks each of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from smsgw.gsm import errors
from smsgw.gsm.at import Command, Completed
from smsgw.gsm.events import (
    Identified,
    OperatorFound,
    PinTried,
    RegistrationChanged,
    SignalMeasured,
    State,
)
from smsgw.gsm.families import DIRECT, Indication, family_of
from smsgw.gsm.scripts import (
    REGISTERED,
    Facts,
    Halted,
    Interrupted,
    Script,
    Stuck,
    Tell,
    ask,
    field,
    integer,
    rest,
    tell_line,
)
from smsgw.gsm.settings import Pins, Settings

Enter = Callable[[State, str], None]

ATTEMPTS = 3
"""Of the first AT: a modem may find its baud rate by it."""

STEP = 2.0
"""Seconds between two looks at what takes its time."""

_READABLE = ("SM", "ME", "SR")
"""MT is both SM and ME; SR holds status reports; BM and the like are nothing to us."""


class Gate:
    """`tell` takes events, `enter` changes the connection's state."""

    def __init__(self, settings: Settings, pins: Pins, facts: Facts, tell: Tell, enter: Enter) -> None:
        self._settings = settings
        self._pins = pins
        self._facts = facts
        self._tell = tell
        self._enter = enter

    def run(self, boot: float = 0.0) -> Script[None]:
        """Wait for `boot` seconds, then everything."""
        if boot:
            yield from rest(boot)
        yield from self._wake()
        yield from self._identify()
        yield from self._unlock()
        yield from self._check_sim()
        self._enter("searching", "waiting for the network")
        yield from register(self._settings, self._facts, self._tell)
        self._enter("preparing", "registered")
        yield from look(self._facts, self._tell)
        yield from self._find_operator()
        yield from self._find_smsc()
        yield from self._prepare()

    # -- who it is

    def _wake(self) -> Script[None]:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                completed = yield from ask(Command(line="AT", timeout=3.0))
            except Interrupted:
                if attempt == ATTEMPTS:
                    raise
                continue
            if completed.ok:
                break
        # echo would do no harm; numbers are surer than names
        yield from ask(Command(line="ATE0"))
        yield from ask(Command(line="AT+CMEE=1"))

    def _identify(self) -> Script[None]:
        facts = self._facts
        facts.manufacturer = yield from self._say("AT+CGMI")
        facts.model = yield from self._say("AT+CGMM")
        facts.revision = yield from self._say("AT+CGMR")
        facts.imei = _digits((yield from self._say("AT+CGSN")))
        facts.family = family_of(facts.manufacturer, facts.model)
        self._pins.met(facts.imei)
        self._tell(Identified(facts.manufacturer, facts.model, facts.revision, facts.family.name))
        if self._settings.imei and facts.imei != self._settings.imei:
            raise Halted("the IMEI is another than the one configured", reopen=True)
        for line in facts.family.init:
            yield from ask(Command(line=line))

    def _say(self, line: str) -> Script[str]:
        """What an identity command answers, with its name or without."""
        name = line.removeprefix("AT")
        completed = yield from ask(Command(line=line, prefixes=(f"{name}:",), bare=True, timeout=10.0))
        texts = [each.text.removeprefix(f"{name}:").strip().strip('"') for each in completed.lines]
        return " ".join(texts)[:100]

    # -- its SIM

    def _unlock(self) -> Script[None]:
        waited = 0.0
        while True:
            state = yield from self._sim_state()
            if state == "READY":
                # an open SIM counts its wrong PINs from the start, whether we heard its OK or not
                self._pins.accepted()
                return
            if state == "SIM PIN":
                yield from self._try_pin()
            elif state != "BUSY":
                raise Halted(f"the SIM is not open: {state}", reopen=state == "SIM not inserted")
            if waited >= self._settings.sim:
                raise Stuck("the SIM does not become ready")
            waited += STEP
            yield from rest(STEP)

    def _sim_state(self) -> Script[str]:
        """What +CPIN tells, or `BUSY`, or the name of an error."""
        completed = yield from ask(Command(line="AT+CPIN?", prefixes=("+CPIN:",), timeout=10.0))
        line, error = tell_line(completed), completed.error
        if error is None:
            return field(line, 0).upper() or "BUSY"
        if error.code in {11, 311}:
            return "SIM PIN"
        # a bare ERROR, and numbers that say as little, come while a SIM starts
        if errors.is_busy(error) or error.error_class in {"unknown", "temporary"}:
            return "BUSY"
        return "SIM not inserted" if error.code in {10, 310} else error.name

    def _try_pin(self) -> Script[None]:
        pin = self._settings.pin
        self._enter("locked", "the SIM wants its PIN")
        if pin is None:
            raise Halted("the SIM wants a PIN, and none is configured", reopen=False)
        if not self._pins.may_try(pin):
            raise Halted("the SIM wants a PIN, and the one configured was tried before", reopen=False)
        self._pins.trying(pin)
        try:
            completed = yield from ask(Command(line=f'AT+CPIN="{pin}"', timeout=20.0, secret=True))
        except Interrupted:
            self._tell(PinTried(None))
            raise
        self._tell(PinTried(completed.ok))
        if completed.error is not None:
            raise Halted(f"the SIM refused the PIN: {completed.error.name}", reopen=False)
        self._pins.accepted()

    def _check_sim(self) -> Script[None]:
        completed = yield from patient(
            Command(line="AT+CIMI", prefixes=("+CIMI:",), bare=True), self._settings
        )
        line = tell_line(completed)
        self._facts.imsi = _digits(line.text) if line is not None else ""
        if self._settings.imsi and self._facts.imsi != self._settings.imsi:
            raise Halted("the IMSI is another than the one configured", reopen=True)

    # -- its network

    def _find_operator(self) -> Script[None]:
        completed = yield from ask(Command(line="AT+COPS?", prefixes=("+COPS:",), timeout=20.0))
        self._facts.operator = field(tell_line(completed), 2)
        if self._facts.operator:
            self._tell(OperatorFound(self._facts.operator))

    def _find_smsc(self) -> Script[None]:
        wanted = self._settings.smsc
        if wanted:
            kind = 145 if wanted.startswith("+") else 129
            yield from patient(Command(line=f'AT+CSCA="{wanted}",{kind}'), self._settings)
        completed = yield from patient(Command(line="AT+CSCA?", prefixes=("+CSCA:",)), self._settings)
        self._facts.smsc = field(tell_line(completed), 0)

    # -- messages

    def _prepare(self) -> Script[None]:
        completed = yield from patient(Command(line="AT+CMGF=0"), self._settings)
        if not completed.ok:
            raise Stuck("PDU mode is refused")
        direct = self._direct()
        if self._facts.family.direct and self._facts.family.decline:
            # whoever was here before may have died before an acknowledgement: the network waits for it, and
            # brings nothing else meanwhile
            yield from ask(Command(line=self._facts.family.decline, timeout=10.0))
        completed = yield from ask(Command(line=f"AT+CSMS={1 if direct else 0}", prefixes=("+CSMS:",)))
        self._facts.acknowledges = completed.ok and bool(direct)
        yield from self._choose_memories()
        if not self._facts.acknowledges and self._settings.receive != "direct":
            direct = ()
        yield from self._indicate((*direct, *self._facts.family.stored))
        # the radio link stays open between the parts of a message
        yield from ask(Command(line="AT+CMMS=2"))

    def _direct(self) -> tuple[Indication, ...]:
        """Direct routing that is worth trying."""
        if self._settings.receive == "stored":
            return ()
        forced = self._settings.receive == "direct"
        return self._facts.family.direct or (DIRECT if forced else ())

    def _choose_memories(self) -> Script[None]:
        facts = self._facts
        completed = yield from patient(Command(line="AT+CPMS=?", prefixes=("+CPMS:",)), self._settings)
        facts.memories = _memories(completed) or ("SM",)
        first = next((name for name in facts.family.memories if name in facts.memories), facts.memories[0])
        facts.incoming = first
        line = f'AT+CPMS="{first}","{first}","{first}"'
        yield from patient(Command(line=line, prefixes=("+CPMS:",)), self._settings)
        # the drain selects, and measures, each
        facts.memory = None

    def _indicate(self, candidates: tuple[Indication, ...]) -> Script[None]:
        self._facts.indication = None
        for candidate in candidates:
            completed = yield from patient(Command(line=f"AT+CNMI={candidate.parameters}"), self._settings)
            if completed.ok:
                self._facts.indication = candidate
                return


def _digits(text: str) -> str:
    found = re.search(r"\d{6,}", text)
    return found[0] if found else ""


def _memories(completed: Completed) -> tuple[str, ...]:
    """Those that can be read, out of `+CPMS: ("SM","ME"),(...),(...)`."""
    line = tell_line(completed)
    group = re.search(r"\(([^()]*)\)", line.text) if line is not None else None
    found = re.findall(r'"(\w+)"', group[1]) if group is not None else []
    return tuple(name for name in _READABLE if name in found)


def patient(command: Command, settings: Settings) -> Script[Completed]:
    """The command, again while the modem or the SIM says that it is busy, within `settings.sim`."""
    waited = 0.0
    while True:
        completed = yield from ask(command)
        if completed.error is None or not errors.is_busy(completed.error) or waited >= settings.sim:
            return completed
        waited += STEP
        yield from rest(STEP)


def register(settings: Settings, facts: Facts, tell: Tell) -> Script[None]:
    """Wait until it is registered, in whichever kind of network. Raises `Stuck` after a while."""
    yield from ask(Command(line="AT+CREG=1"))
    waited = 0.0
    while not (yield from look_at_registration(facts, tell)):
        if waited >= settings.registration:
            raise Stuck("not registered in any network")
        waited += STEP
        yield from rest(STEP)


def look_at_registration(facts: Facts, tell: Tell) -> Script[bool]:
    """Ask the circuit, packet and LTE side in turn, until one says that it is registered."""
    told: int | None = None
    for name in ("CREG", "CGREG", "CEREG"):
        completed = yield from ask(Command(line=f"AT+{name}?", prefixes=(f"+{name}:",)))
        status = integer(field(tell_line(completed), 1))
        if status in REGISTERED or told is None:
            told = status
        if status in REGISTERED:
            break
    if told is not None:
        set_registration(facts, told, tell)
    return facts.registered


def set_registration(facts: Facts, status: int, tell: Tell) -> None:
    if status != facts.registration:
        facts.registration = status
        tell(RegistrationChanged(status, facts.registered))


def look(facts: Facts, tell: Tell) -> Script[None]:
    """The signal. Any modem that lives answers this."""
    completed = yield from ask(Command(line="AT+CSQ", prefixes=("+CSQ:",)))
    set_signal(facts, field(tell_line(completed), 0), tell)


def remind(facts: Facts) -> Script[None]:
    """Say again what a modem may have forgotten, or taken back.

    Direct routing ends by itself, for reports too, with the first message that was not acknowledged in time
    (3GPP TS 27.005, clause 3.4.1), and not every modem says that it restarted.
    """
    yield from ask(Command(line="AT+CMGF=0"))
    if facts.acknowledges:
        yield from ask(Command(line="AT+CSMS=1", prefixes=("+CSMS:",)))
    if facts.indication is not None:
        yield from ask(Command(line=f"AT+CNMI={facts.indication.parameters}"))


def set_signal(facts: Facts, rssi: str, tell: Tell) -> None:
    """0 to 31 in steps of 2 dB; 99 is unknown (3GPP TS 27.007, clause 8.5)."""
    step = integer(rssi)
    dbm = 2 * step - 113 if step is not None and 0 <= step <= 31 else None
    if dbm != facts.dbm:
        facts.dbm = dbm
        tell(SignalMeasured(dbm))
