"""One SMPP session, either side of it, without I/O and without a clock.

Theory of operation
===================

Octets go in by `receive`, requests and responses by `send_request`, `send_notification` and
`send_response`, the passing of time by `tick`. Octets come out by `data_to_send`, everything else as
events: `receive`, `tick`, `lost` and the like return what has happened, and `events` what the other
calls caused. Time is an argument, float seconds from any clock that never goes backwards.

Five things are kept:

1. *The state* (`smsgw.smpp.states`). It changes when a bind is answered with ESME_ROK, when an unbind is
   answered, when an outbind goes, and when the session ends. What may be sent in it, by us and by the
   peer, are two sets; they change only with the state.
2. *What we asked* (`_asked`): sequence number -> request, in the order of sending. An entry is made
   before its octets are handed out and leaves in exactly one way: answered, timed out, or the session
   ended. Each of these makes exactly one `RequestAnswered`. Since every request waits equally long, the
   oldest is always the first to time out, and no request needs a timer.
3. *What we asked in vain* (`_late`): requests that timed out, the newest so many. A response that comes
   after all is matched here, so that a message is not sent again when it need not be.
4. *What we owe* (`_owed`): requests of the peer that the application has not answered. Over `peer_window`
   of them, more are refused with a temporary status; one that is older than the response timer is no
   longer counted, for the peer has stopped waiting.
5. *When to wake* (`_wake`). `deadline()` is a lower bound: never later than the first timer that runs
   out, often earlier. Whatever starts a timer lowers it (one comparison on the hot path); what stops a
   timer leaves it alone. A `tick` that comes too early finds nothing to do and sets the bound anew from
   `_running`, the one table of timers.

The end is one function, `_end`: everything asked is answered `LinkLost`, then comes `Ended`, and after it
the connection is deaf and mute. The connection answers by itself: enquire_link, what it can't read, what
is out of place, and unbind (when all is settled, see `finish_unbind`). The rest is the application's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from math import inf
from typing import Any

import msgspec

from smsgw.errors import Misuse, PeerError
from smsgw.smpp.constants import CommandStatus, Tag, command_name
from smsgw.smpp.events import (
    Answer,
    Answered,
    AnsweredLate,
    Ended,
    Event,
    LinkLost,
    OutOfPlace,
    PeerErred,
    RequestAnswered,
    RequestReceived,
    StrayResponse,
    TimedOut,
    UnbindReceived,
    WindowFull,
    WrongState,
)
from smsgw.smpp.framing import FrameError, Framer
from smsgw.smpp.pdu import (
    HEADER,
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
    encode,
    refusal,
    response_to,
)
from smsgw.smpp.states import (
    BIND_RESPONSES,
    BOUND,
    BOUND_BY,
    MESSAGES,
    UNBOUND_YET,
    Kind,
    Role,
    State,
    allowed,
    peer_of,
)

__all__ = ["Answer", "Answered", "Connection", "LinkLost", "TimedOut", "Timers", "WindowFull", "WrongState"]

MAX_SEQUENCE_NUMBER = 0x7FFFFFFF
"""3.4, 5.1.4; they start from 1."""

UNANSWERED_PROBES = 2
"""So many enquire_links in a row without a sign of life, and the link is dead."""

V33, V34, V50 = 0x33, 0x34, 0x50
"""interface_version (3.4, 5.2.4; 5.0, 4.7.13)."""

_SUBSTANTIAL = frozenset(
    (Tag.MESSAGE_PAYLOAD, Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM)
)
"""TLVs without which a message is another message."""


class Timers(msgspec.Struct, frozen=True, kw_only=True):
    """The timers of SMPP 3.4, 7.2, in seconds; 0 switches one off.

    `session_init`: from connected to bound. `enquire_link`: silence from the peer before we ask whether
    it lives. `inactivity`: no message either way before we unbind. `response`: wait for an answer.
    `unbind`: wait for the end of an unbind, from either side; here 0 means not to wait at all.
    """

    session_init: float = 10.0
    enquire_link: float = 30.0
    inactivity: float = 0.0
    response: float = 60.0
    unbind: float = 5.0


class _Asked(msgspec.Struct):
    """A request of ours that is not answered. `context` None: one that the connection made itself."""

    request: Pdu
    context: Any
    at: float


class Connection:
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
        framer: Framer | None = None,
    ) -> None:
        self.role: Role = role
        self.timers = timers
        self.window = window
        self.interface_version = interface_version
        self.peer_version: int | None = None
        """The peer's interface_version once bound; a bind_resp that does not tell means 3.3."""
        self.in_flight = 0
        """Message requests of ours that are unanswered."""
        self.ending: str | None = "not connected"
        """Why no new request may be sent; None while they may."""

        self._peer_window = peer_window
        self._late_memory = late_memory
        self._framer = framer or Framer()
        self._number = 0
        self._asked: dict[int, _Asked] = {}
        self._late: OrderedDict[int, Pdu] = OrderedDict()
        self._owed: dict[int, float] = {}
        self._bind: Pdu | None = None
        self._unbind: Pdu | None = None
        self._out: list[bytes] = []
        self._events: list[Event] = []

        self._opened = self._heard = self._active = self._parting = 0.0
        self._probes: list[int] = []
        self._wake = inf
        self._enter(State.CLOSED)

    def __repr__(self) -> str:
        return (
            f"<SMPP {self.role} {self.state.value}, {self.in_flight}/{self.window} in flight, "
            f"{self.peer_in_flight} of the peer's>"
        )

    @property
    def peer_in_flight(self) -> int:
        """Message requests of the peer that the application has not answered."""
        return len(self._owed)

    # -- what the transport tells

    def connected(self, now: float) -> None:
        """The transport is connected: the session is open."""
        if self.state is not State.CLOSED or self._opened:
            raise Misuse("a connection serves one transport connection")
        self._opened = self._heard = self._active = now
        self.ending = None
        self._enter(State.OPEN)
        self._wake = min((at for at, _ in self._running()), default=inf)

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Octets came, cut anyhow. Never raises for what they hold."""
        if self.ending is not None and self.state not in BOUND:
            return self.events()
        fatal: FrameError | None = None
        try:
            frames = self._framer.feed(data)
        except FrameError as error:
            frames, fatal = error.frames, error
        if frames:
            self._heard = now
            self._probes.clear()
        for frame in frames:
            self._receive_frame(frame, now)
        if fatal is not None:
            self._lose_step(fatal)
        return self._part_if_settled()

    def lost(self, reason: str = "connection lost") -> list[Event]:
        """The transport is gone: everything in flight is answered `LinkLost`."""
        self._end(reason)
        self._enter(State.CLOSED)
        return self.events()

    def tick(self, now: float) -> list[Event]:
        """Time has passed. Harmless when called too early, or too often."""
        for at, expired in list(self._running()):
            if at <= now and self._live:
                expired(now)
        self._wake = min((at for at, _ in self._running()), default=inf)
        return self._part_if_settled()

    def deadline(self) -> float | None:
        """When to call `tick` at the latest; None: no timer runs. It may be early, never late."""
        return None if self._wake == inf else self._wake

    def data_to_send(self) -> bytes:
        """The octets to write, once."""
        out = self._out
        if not out:
            return b""
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    def events(self) -> list[Event]:
        """What has happened and was not told yet."""
        told, self._events = self._events, []
        return told

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
            if self.in_flight >= self.window:
                raise WindowFull(f"{self.in_flight} requests are unanswered")
            number = self._ask(pdu, now, context)
            self.in_flight += 1
            self._active = now
            return number
        return self._ask(self._session_request(pdu, kind), now, context)

    def send_notification(self, pdu: Pdu, now: float) -> int:
        """Send an outbind or alert_notification, which are not answered.

        Raises:
            WrongState, EncodeError: as `send_request`.
        """
        kind = type(pdu)
        if kind in RESPONSE_OF or kind not in self._may_send or self.ending is not None:
            raise WrongState(f"{command_name(pdu.command_id)} while {self.ending or self.state.value}")
        number = self._next_number()
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
        self._owed.pop(response.sequence_number, None)
        self._active = now
        if type(response) in BIND_RESPONSES:
            self._answer_bind(response, now)
        if self._unbind is not None:
            self._part_unless_owing()

    def unbind(self, now: float) -> None:
        """Ask the peer to part, and end when it answers, or after `timers.unbind`. See `events`.

        Where there is nothing to unbind, the session ends at once.
        """
        if self.ending is not None and self.state in BOUND:
            return
        if self.state not in BOUND:
            self._end("closed before it was bound")
            return
        self._ask(Unbind(), now, None)
        self._start_parting("unbinding", now)
        if not self.timers.unbind:
            self._end("unbound")

    def finish_unbind(self) -> None:
        """Answer the peer's unbind now, whatever is in flight. See `events`.

        It happens by itself when nothing is, and when `timers.unbind` has run out.
        """
        if self._unbind is None or not self._live:
            return
        self._write(response_to(self._unbind), self._unbind.sequence_number)
        self._end("the peer has unbound", State.UNBOUND)

    def close(self, reason: str) -> None:
        """End without asking the peer. See `events`."""
        self._end(reason)

    # -- the state

    @property
    def _live(self) -> bool:
        return self.state is not State.CLOSED and self.state is not State.UNBOUND

    def _enter(self, state: State) -> None:
        self.state = state
        self._may_send = allowed(self.role, state)
        self._may_receive = allowed(peer_of(self.role), state)

    def _bound(self, bind: Pdu, now: float) -> None:
        self._active = now
        self._enter(BOUND_BY[type(bind)])
        for at, _ in self._running():
            self._wake_by(at)

    def _end(self, reason: str, state: State = State.CLOSED) -> None:
        if not self._live:
            return
        self._enter(state)
        self.ending = reason
        asked, self._asked = self._asked, {}
        for entry in asked.values():
            self._settle(entry, LinkLost(reason))
        self._owed.clear()
        self._late.clear()
        self._bind = self._unbind = None
        self._wake = inf
        self._events.append(Ended(reason))

    def _start_parting(self, reason: str, now: float) -> None:
        self.ending = reason
        self._parting = now
        self._wake_by(now + self.timers.unbind)

    def _part_if_settled(self) -> list[Event]:
        if self._unbind is not None:
            self._part_unless_owing()
        return self.events()

    def _part_unless_owing(self) -> None:
        if not self.in_flight and not self._owed:
            self.finish_unbind()

    # -- sending

    def _next_number(self) -> int:
        number = self._number
        while True:
            number = number + 1 if number < MAX_SEQUENCE_NUMBER else 1
            if number not in self._asked and number not in self._late:
                self._number = number
                return number

    def _ask(self, request: Pdu, now: float, context: object) -> int:
        number = self._next_number()
        self._write(request, number)
        self._asked[number] = _Asked(request, context, now)
        if self.timers.response:
            self._wake_by(now + self.timers.response)
        return number

    def _write(self, pdu: Pdu, number: int) -> None:
        if pdu.tlvs and self._without_tlvs:
            pdu = self._plain(pdu)
        self._out.append(encode(pdu, number))

    @property
    def _without_tlvs(self) -> bool:
        """3.3 has no TLVs; an SMSC sends none to an ESME that bound with 3.3 (3.4, 3.4)."""
        peer = self.peer_version if self.role == "smsc" else None
        return self.interface_version <= V33 or (peer is not None and peer <= V33)

    def _plain(self, pdu: Pdu) -> Pdu:
        for tag, _ in pdu.tlvs:
            if tag in _SUBSTANTIAL:
                raise WrongState(f"{command_name(pdu.command_id)} needs TLV 0x{tag:04X}, 3.3 has none")
        return msgspec.structs.replace(pdu, tlvs=())

    def _session_request(self, pdu: Pdu, kind: Kind) -> Pdu:
        if kind in BOUND_BY:
            if kind is BindTransceiver and self.interface_version <= V33:
                raise WrongState("bind_transceiver needs interface version 3.4")
            if any(type(entry.request) in BOUND_BY for entry in self._asked.values()):
                raise WrongState("a bind is under way")
            return msgspec.structs.replace(pdu, interface_version=self.interface_version)
        if kind is not EnquireLink:
            raise WrongState(f"{command_name(pdu.command_id)} is not sent with send_request")
        return pdu

    def _wake_by(self, at: float) -> None:
        if at < self._wake:  # noqa: PLR1730  min() would cost a call per request
            self._wake = at

    # -- receiving

    def _receive_frame(self, frame: bytes, now: float) -> None:
        if not self._live:
            return
        try:
            pdu = decode(frame)
        except PduError as error:
            self._unreadable(error, frame, now)
            return
        if pdu.is_response:
            self._receive_response(pdu, now)
        else:
            self._receive_request(pdu, type(pdu), now)

    def _receive_response(self, response: Pdu, now: float) -> None:
        number = response.sequence_number
        entry = self._asked.get(number)
        if entry is None or not _answers(response, entry.request):
            self._stray(response)
            return
        del self._asked[number]
        kind = type(entry.request)
        if kind in MESSAGES:
            self._active = now
        elif kind in BOUND_BY:
            self._bind_answered(entry.request, response, now)
        self._settle(entry, Answered(_refusing(response)))
        if kind is Unbind:
            self._end("unbound", State.UNBOUND)

    def _settle(self, entry: _Asked, answer: Answer) -> None:
        if type(entry.request) in MESSAGES:
            self.in_flight -= 1
        if entry.context is not None:
            self._events.append(RequestAnswered(entry.context, answer))

    def _bind_answered(self, bind: Pdu, response: Pdu, now: float) -> None:
        if response.command_status == CommandStatus.ESME_ROK and type(response) in BIND_RESPONSES:
            told = response.tlv(Tag.SC_INTERFACE_VERSION)
            self.peer_version = told if isinstance(told, int) else V33
            self._bound(bind, now)

    def _stray(self, response: Pdu) -> None:
        number = response.sequence_number
        request = self._late.get(number)
        if request is not None and _answers(response, request):
            del self._late[number]
            self._events.append(AnsweredLate(request, _refusing(response)))
        else:
            self._erred(StrayResponse(response))

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
        if len(self._owed) >= self._peer_window:
            esme = self.role == "esme"
            self._reply(request, CommandStatus.ESME_RX_T_APPN if esme else CommandStatus.ESME_RTHROTTLED)
            return
        self._active = self._owed[request.sequence_number] = now
        if self.timers.response:
            self._wake_by(now + self.timers.response)
        self._events.append(RequestReceived(request))

    def _receive_session_request(self, request: Pdu, kind: Kind) -> None:
        """A bind, an outbind, an alert_notification."""
        if kind in BOUND_BY:
            if self._bind is not None:
                self._refuse(request, CommandStatus.ESME_RALYBND)
                return
            self._bind = request
        elif kind is Outbind:
            self._enter(State.OUTBOUND)
        self._events.append(RequestReceived(request))

    def _answer_bind(self, response: Pdu, now: float) -> None:
        bind, self._bind = self._bind, None
        if bind is None or not _answers(response, bind) or response.sequence_number != bind.sequence_number:
            return
        if response.command_status == CommandStatus.ESME_ROK:
            self.peer_version = getattr(bind, "interface_version", V33)
            self._bound(bind, now)

    def _receive_unbind(self, request: Pdu, now: float) -> None:
        if self.ending is not None:
            # they crossed, or the peer asks again
            self._reply(request)
            return
        self._unbind = request
        self._start_parting("the peer unbinds", now)
        self._events.append(UnbindReceived())

    # -- what is wrong

    def _reply(self, request: Pdu, status: int = CommandStatus.ESME_ROK) -> None:
        self._write(response_to(request, command_status=status), request.sequence_number)

    def _refuse(self, request: Pdu, status: int) -> None:
        if type(request) in RESPONSE_OF or type(request) is UnknownPdu:
            self._reply(request, status)
        self._erred(OutOfPlace(request, self.state.value))

    def _unreadable(self, error: PduError, frame: bytes, now: float) -> None:
        """Refuse a request. Of a response its header is good: that it came, and its status."""
        self._erred(error)
        answer = refusal(error)
        if answer is not None:
            self._write(answer, answer.sequence_number)
        elif error.command_id in PDUS and error.sequence_number in self._asked:
            status: int = HEADER.unpack_from(frame)[2]
            shape = PDUS[error.command_id]
            bare = shape(sequence_number=error.sequence_number, command_status=status)
            self._receive_response(bare, now)

    def _lose_step(self, error: FrameError) -> None:
        if not self._live:
            return
        self._erred(error)
        nack = GenericNack(sequence_number=error.sequence_number, command_status=error.status)
        self._write(nack, error.sequence_number)
        self._end(f"out of step: {error}")

    def _erred(self, error: PeerError) -> None:
        self._events.append(PeerErred(error))

    # -- the timers

    def _running(self) -> Iterator[tuple[float, Callable[[float], None]]]:
        """Every timer that runs: when it runs out, and what happens then."""
        timers = self.timers
        if timers.session_init and self.state in UNBOUND_YET:
            yield self._opened + timers.session_init, self._session_init_expired
        if timers.response and self._asked:
            yield next(iter(self._asked.values())).at + timers.response, self._responses_expired
        if timers.response and self._owed:
            yield next(iter(self._owed.values())) + timers.response, self._owed_expired
        if self.state not in BOUND:
            return
        if self.ending is not None:
            yield self._parting + timers.unbind, self._unbind_expired
            return
        if timers.enquire_link:
            yield self._heard + timers.enquire_link * (len(self._probes) + 1), self._silence_expired
        if timers.inactivity:
            yield self._active + timers.inactivity, self._inactivity_expired

    def _session_init_expired(self, _now: float) -> None:
        self._end(f"not bound within {self.timers.session_init:g} s")

    def _responses_expired(self, now: float) -> None:
        for number, entry in list(self._asked.items()):
            if entry.at + self.timers.response > now:
                break
            del self._asked[number]
            if entry.context is not None:
                self._remember(number, entry.request)
            self._settle(entry, TimedOut())

    def _remember(self, number: int, request: Pdu) -> None:
        self._late[number] = request
        if len(self._late) > self._late_memory:
            self._late.popitem(last=False)

    def _owed_expired(self, now: float) -> None:
        for number, at in list(self._owed.items()):
            if at + self.timers.response > now:
                break
            del self._owed[number]

    def _silence_expired(self, now: float) -> None:
        if len(self._probes) >= UNANSWERED_PROBES:
            self._end(f"dead: silent for {now - self._heard:.0f} s")
            return
        self._probes.append(self._ask(EnquireLink(), now, None))

    def _inactivity_expired(self, now: float) -> None:
        self.unbind(now)

    def _unbind_expired(self, _now: float) -> None:
        if self._unbind is not None:
            self.finish_unbind()
        else:
            self._end("unbind was not answered")


def _answers(response: Pdu, request: Pdu) -> bool:
    kind = type(response)
    if kind is GenericNack:
        return True
    if kind is UnknownPdu:
        return response.command_id == request.command_id | GenericNack.command_id
    return RESPONSE_OF.get(type(request)) is kind


def _refusing(response: Pdu) -> Pdu:
    """A generic_nack is a refusal even where the peer wrote ESME_ROK into it."""
    if type(response) is GenericNack and response.command_status == CommandStatus.ESME_ROK:
        return msgspec.structs.replace(response, command_status=CommandStatus.ESME_RUNKNOWNERR)
    return response
