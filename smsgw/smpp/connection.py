"""One SMPP session, either side of it, without I/O and without a clock.

Theory of operation
===================

Octets go in by `receive`, requests and responses by `send_request`, `send_notification` and
`send_response`, the passing of time by `tick`. Octets come out by `data_to_send`, everything else as
events: `receive`, `tick` and `lost` return what has happened, `events` gives what the other calls
caused. Time is an argument, float seconds from any clock that never goes backwards.

Four things are kept:

1. *The state* (`smsgw.smpp.states`). It changes when a bind is answered with ESME_ROK, when an outbind
   goes, when an unbind is answered, and when the session ends. What may be sent in it, by us and by the
   peer, are two sets that change only with it. `ending` says, from the first thought of parting on, why
   no new request may be sent.
2. *What we asked* (`smsgw.smpp.requests.Asked`). A request is entered before its octets are handed out
   and leaves answered, timed out, or with the session: each makes exactly one `RequestAnswered`.
3. *What we owe* (`smsgw.smpp.requests.Owed`). Over `peer_window` unanswered requests of the peer, more
   are refused with a temporary status, and so is a second one of the same sequence number, until the
   first is answered, however late.
4. *When to wake* (`smsgw.smpp.timers`). `_running` is the one table of timers; `deadline()` may be early.

The end is one function, `_end`: everything asked is answered `LinkLost`, then comes `Ended`, and after it
the connection is deaf and mute. The connection answers by itself: enquire_link, what it can't read, what
is out of place, and unbind (when all is settled, see `finish_unbind`). The rest is the application's.
"""

from __future__ import annotations

import msgspec

from smsgw.errors import PeerError
from smsgw.smpp.constants import RESPONSE_BIT, CommandStatus, Tag, command_name
from smsgw.smpp.events import (
    Answer,
    Answered,
    AnsweredLate,
    Event,
    LinkLost,
    OutOfPlace,
    PeerErred,
    RequestReceived,
    StrayResponse,
    TimedOut,
    UnbindReceived,
    WindowFull,
    WrongState,
)
from smsgw.smpp.framing import FrameError, Framer
from smsgw.smpp.pdu import (
    PDUS,
    RESPONSE_OF,
    BindTransceiver,
    EnquireLink,
    GenericNack,
    Outbind,
    Pdu,
    PduError,
    Unbind,
    UnknownPdu,
    decode,
    refusal,
    salvaged,
)
from smsgw.smpp.requests import as_refusal
from smsgw.smpp.session import Session
from smsgw.smpp.states import BIND_RESPONSES, BOUND, BOUND_BY, MESSAGES, Kind, Role, State
from smsgw.smpp.timers import Timers
from smsgw.smpp.versions import V33, V34

__all__ = ["Answer", "Answered", "Connection", "LinkLost", "TimedOut", "Timers", "WindowFull", "WrongState"]


class Connection(Session):
    """One session as `role`, over one transport connection.

    `window` is the most message requests of ours that may be unanswered, `peer_window` of the peer's;
    `late_memory` the most timed out requests that are remembered.
    """

    def __init__(
        self,
        role: Role,
        timers: Timers = Timers(),  # noqa: B008  frozen
        window: int = 10,
        *,
        interface_version: int = V34,
        peer_window: int = 1000,
        late_memory: int = 1000,
    ) -> None:
        super().__init__(role, timers, window, interface_version, peer_window, late_memory)
        self._framer = Framer()

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Octets came, cut anyhow. Never raises for what they hold."""
        if not self._live:
            return self.events()
        fatal: FrameError | None = None
        try:
            frames = self._framer.feed(data)
        except FrameError as error:
            frames, fatal = error.frames, error
        if frames:
            self._heard = now
            self._probes = 0
        for frame in frames:
            self._receive_frame(frame, now)
        if fatal is not None and self._live:
            self._lose_step(fatal)
        self._part_if_settled()
        return self.events()

    # -- what the application asks for

    def send_request(self, pdu: Pdu, now: float, context: object) -> int:
        """Send a request that is answered; `context` comes back with its one answer.

        The sequence number is ours to choose, and is returned. A bind gets our interface_version.

        Raises:
            WrongState: it is not allowed in this state, for this role or interface version.
            WindowFull: `window` message requests are unanswered.
            EncodeError: a field that can't be written.
        """
        kind = type(pdu)
        if kind not in self._may_send or self.ending is not None:
            raise WrongState(f"{command_name(pdu.command_id)} while {self.ending or self.state.value}")
        if kind in MESSAGES:
            if self._asked.in_flight >= self.window:
                raise WindowFull(f"{self.in_flight} requests are unanswered")
            self._active = now
        else:
            pdu = self._session_request(pdu, kind)
        return self._ask(pdu, now, context)

    def send_notification(self, pdu: Pdu, now: float) -> int:
        """Send an outbind or alert_notification, which are not answered.

        Raises:
            WrongState, EncodeError: as `send_request`.
        """
        kind = type(pdu)
        if kind in RESPONSE_OF or kind not in self._may_send or self.ending is not None:
            raise WrongState(f"{command_name(pdu.command_id)} while {self.ending or self.state.value}")
        number = self._asked.next_number()
        self._write(pdu, number)
        self._active = now
        if kind is Outbind:
            self._enter(State.OUTBOUND)
        return number

    def send_response(self, response: Pdu, now: float) -> None:
        """Answer a request of the peer; to a link that is gone it does nothing. See `events`.

        Raises:
            EncodeError: a field that can't be written.
        """
        if not self._live:
            return
        self._write(response, response.sequence_number)
        self._owed.settle(response.sequence_number)
        self._active = now
        if self._peer_bind is not None and response.sequence_number == self._peer_bind.sequence_number:
            self._answer_bind(self._peer_bind, response, now)
        self._part_if_settled()

    # -- sending

    def _session_request(self, pdu: Pdu, kind: Kind) -> Pdu:
        if kind in BOUND_BY:
            if kind is BindTransceiver and self.interface_version <= V33:
                raise WrongState("bind_transceiver needs interface version 3.4")
            if self._asked.binding:
                raise WrongState("a bind is under way")
            return msgspec.structs.replace(pdu, interface_version=self.interface_version)
        if kind is not EnquireLink:
            raise WrongState(f"{command_name(pdu.command_id)} is not sent with send_request")
        return pdu

    # -- receiving

    def _receive_frame(self, frame: bytes, now: float) -> None:
        if not self._live:
            return
        try:
            pdu = decode(frame)
        except PduError as error:
            self._unreadable(error, frame, now)
            return
        if pdu.command_id >= RESPONSE_BIT:
            self._receive_response(pdu, now)
        else:
            self._receive_request(pdu, type(pdu), now)

    def _receive_response(self, response: Pdu, now: float) -> None:
        request = self._asked.take(response)
        if request is None:
            self._stray(response)
            return
        kind = type(request.pdu)
        if kind in MESSAGES:
            self._active = now
        elif kind in BOUND_BY:
            self._bind_answered(request.pdu, response, now)
        self._settle(request, Answered(as_refusal(response)))
        if kind is Unbind:
            self._end(self.ending or "unbound", State.UNBOUND)

    def _bind_answered(self, bind: Pdu, response: Pdu, now: float) -> None:
        if response.command_status == CommandStatus.ESME_ROK and type(response) in BIND_RESPONSES:
            told = response.tlv(Tag.SC_INTERFACE_VERSION)
            self.peer_version = told if isinstance(told, int) else V33
            self._bound(bind, now)

    def _stray(self, response: Pdu) -> None:
        request = self._asked.take_late(response)
        if request is None:
            self._erred(StrayResponse(response))
        else:
            self._events.append(AnsweredLate(request, as_refusal(response)))

    def _receive_request(self, request: Pdu, kind: Kind, now: float) -> None:
        if kind is EnquireLink:
            self._reply(request)
        elif kind is UnknownPdu:
            self._refuse(request, CommandStatus.ESME_RINVCMDID)
        elif kind not in self._may_receive:
            rebound = kind in BOUND_BY and self.state in BOUND and self.role == "smsc"
            self._refuse(request, CommandStatus.ESME_RALYBND if rebound else CommandStatus.ESME_RINVBNDSTS)
        elif kind in MESSAGES:
            self._receive_message(request, now)
        elif kind is Unbind:
            self._receive_unbind(request, now)
        else:
            self._receive_session_request(request, kind)

    def _receive_message(self, request: Pdu, now: float) -> None:
        if not self._owed.takes(request.sequence_number):
            esme = self.role == "esme"
            self._reply(request, CommandStatus.ESME_RX_T_APPN if esme else CommandStatus.ESME_RTHROTTLED)
            return
        self._active = now
        self._owed.add(request.sequence_number, now)
        if self.timers.response:
            self._alarm.bring_forward(now + self.timers.response)
        self._events.append(RequestReceived(request))

    def _receive_session_request(self, request: Pdu, kind: Kind) -> None:
        """A bind, an outbind, an alert_notification."""
        if kind in BOUND_BY:
            if self._peer_bind is not None:
                self._refuse(request, CommandStatus.ESME_RALYBND)
                return
            self._peer_bind = request
            self.peer_version = getattr(request, "interface_version", V33)
        elif kind is Outbind:
            self._enter(State.OUTBOUND)
        self._events.append(RequestReceived(request))

    def _answer_bind(self, bind: Pdu, response: Pdu, now: float) -> None:
        self._peer_bind = None
        if response.command_status == CommandStatus.ESME_ROK and type(response) is RESPONSE_OF[type(bind)]:
            self._bound(bind, now)

    def _receive_unbind(self, request: Pdu, now: float) -> None:
        if self.ending is not None:
            # they crossed, or the peer asks again
            self._reply(request)
            return
        self._peer_unbind = request
        self._start_parting("the peer unbinds", now)
        self._events.append(UnbindReceived())

    # -- what is wrong

    def _refuse(self, request: Pdu, status: int) -> None:
        if type(request) in RESPONSE_OF or type(request) is UnknownPdu:
            self._reply(request, status)
        self._erred(OutOfPlace(request, self.state.value))

    def _unreadable(self, error: PduError, frame: bytes, now: float) -> None:
        """Refuse a request. A response answers all the same, by what is certain of it."""
        self._erred(error)
        answer = refusal(error)
        if answer is not None:
            self._write(answer, answer.sequence_number)
        elif error.command_id in PDUS and error.sequence_number in self._asked:
            self._receive_response(salvaged(error, frame), now)

    def _lose_step(self, error: FrameError) -> None:
        self._erred(error)
        nack = GenericNack(sequence_number=error.sequence_number, command_status=error.status)
        self._write(nack, error.sequence_number)
        self._end(f"out of step: {error}")

    def _erred(self, error: PeerError) -> None:
        self._events.append(PeerErred(error))
