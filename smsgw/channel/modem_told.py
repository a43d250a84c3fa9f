"""What a modem tells, for operators: every step in the log and in the metrics, and no numbers or texts."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from smsgw.clock import Seldom
from smsgw.gsm.events import (
    AcknowledgementRefused,
    Event,
    Identified,
    LineIgnored,
    ModemRestarted,
    NoiseCounted,
    OperatorFound,
    PduLost,
    PinTried,
    RegistrationChanged,
    RungClimbed,
    SignalMeasured,
    StateChanged,
    StorageMeasured,
    Undeciphered,
    UssdReceived,
)
from smsgw.gsm.protocol import ModemProtocol
from smsgw.metrics import Metrics

REGISTRATIONS = {
    0: "not registered",
    1: "registered at home",
    2: "searching",
    3: "registration denied",
    4: "unknown",
    5: "registered, roaming",
    6: "registered for messages only",
    7: "registered for messages only, roaming",
}
"""3GPP TS 27.007, clause 7.2."""

_PINS = {True: "accepted", False: "refused", None: "not answered"}


class Telling:
    """Writes what is heard of the modem of one session."""

    log = Logger()

    def __init__(self, session: str, channel: str, metrics: Metrics, clock: IReactorTime) -> None:
        self._session = session
        self._channel = channel
        self._metrics = metrics
        self._complaints, self._changes, self._storage = Seldom(clock), Seldom(clock), Seldom(clock)

    def told(self, event: Event) -> None:
        """An event, whatever it is; most are counted, few are worth a line."""
        match event:
            case StateChanged(state, reason):
                self._metrics.modem_states.labels(self._channel, state).inc()
                self._say(f"{state}: {reason}")
            case RungClimbed() | ModemRestarted():
                self._climbed(event)
            case Undeciphered() | PduLost() | NoiseCounted() | AcknowledgementRefused():
                self._metrics.malformed.labels(self._channel).inc()
                self._seldom(self._complaints, _complaint(event))
            case LineIgnored(name):
                self.log.debug("{session}: {name} is of no use here", session=self._session, name=name)
            case UssdReceived():
                self._seldom(self._changes, "a USSD message that nobody asked for")
            case _:
                self._found(event)

    def _found(self, event: Event) -> None:
        """What the modem is, and how it is."""
        metrics, channel = self._metrics, self._channel
        match event:
            case Identified(manufacturer, model, revision, family):
                self._say(f"{manufacturer or 'unknown'} {model} {revision}, treated as {family}")
            case RegistrationChanged(status):
                metrics.modem_registration.labels(channel).set(status)
                self._seldom(self._changes, REGISTRATIONS.get(status, f"registration {status}"))
            case OperatorFound(name):
                self._say(f"its network is {name}")
            case SignalMeasured(dbm):
                metrics.modem_signal.labels(channel).set(float("nan") if dbm is None else dbm)
            case StorageMeasured(memory, used, total):
                self._measured(memory, used, total)
            case PinTried(accepted):
                self._say(f"PIN {_PINS[accepted]}")

    def _climbed(self, event: RungClimbed | ModemRestarted) -> None:
        rung = event.rung if isinstance(event, RungClimbed) else "unasked"
        self._metrics.modem_rungs.labels(self._channel, rung).inc()
        if isinstance(event, RungClimbed):
            self.log.warn(
                "{session}: {reason}; tries {rung}", session=self._session, reason=event.reason, rung=rung
            )
        else:
            self.log.warn("{session}: the modem has restarted by itself", session=self._session)

    def _measured(self, memory: str, used: int, total: int) -> None:
        self._metrics.modem_storage.labels(self._channel).set(used / total if total else 0.0)
        if used >= total > 0:
            self._seldom(self._storage, f"its storage {memory} is full: {used} of {total}; it is being read")

    def _say(self, what: str) -> None:
        self.log.info("{session}: {what}", session=self._session, what=what)

    def _seldom(self, seldom: Seldom, what: str) -> None:
        unsaid = seldom.due()
        if unsaid is not None:
            self._say(f"{what} (and {unsaid} more before)" if unsaid else what)


def _complaint(event: Undeciphered | PduLost | NoiseCounted | AcknowledgementRefused) -> str:
    match event:
        case Undeciphered(_, error):
            return f"a PDU that can't be read: {error}"
        case PduLost(header):
            return f"{header} came without its PDU"
        case AcknowledgementRefused(error):
            return f"the acknowledgement of a message was refused: {error.name}"
        case NoiseCounted(octets, reason):
            return f"{octets} octets of noise: {reason}"


def facts(protocol: ModemProtocol) -> dict[str, object]:
    """What the modem has said of itself, for operators."""
    found = protocol.connection.facts
    indication = found.indication
    return {
        "manufacturer": found.manufacturer,
        "model": found.model,
        "revision": found.revision,
        "family": found.family.name,
        "imei": found.imei,
        "imsi": found.imsi,
        "smsc": found.smsc,
        "operator": found.operator,
        "signal dBm": found.dbm,
        "registration": REGISTRATIONS.get(found.registration, str(found.registration)),
        "memories": list(found.memories),
        "storage full": protocol.connection.storage_full,
        "indications": indication.parameters if indication else None,
        "direct": bool(indication and indication.direct),
        "reports": bool(indication and indication.reports),
        "acknowledges": found.acknowledges,
    }
