"""What a session is, whoever speaks: its state, its books, its timers and its end.

`Session` is the lower half of `smsgw.smpp.connection`, where the theory of operation stands: all that
both what we ask and what the peer sends change. The rule for reading it: `_enter` is the only place that
sets the state, `_end` the only way to end, `_write` the only way out, `_running` the one table of timers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf

from smsgw.errors import Misuse
from smsgw.smpp.constants import CommandStatus
from smsgw.smpp.events import (
    Answer,
    Ended,
    Event,
    LinkLost,
    RequestAnswered,
    TimedOut,
)
from smsgw.smpp.pdu import EnquireLink, Pdu, Unbind, encode, response_to
from smsgw.smpp.requests import Asked, Owed, Request
from smsgw.smpp.states import BOUND, BOUND_BY, LIVE, UNBOUND_YET, Role, State, allowed, peer_of
from smsgw.smpp.timers import Alarm, Timers
from smsgw.smpp.versions import V33, without_tlvs

NOT_CONNECTED = "not connected"

UNANSWERED_PROBES = 2
"""So many enquire_links in a row without a sign of life, and the link is dead."""


class Session:
    """See `smsgw.smpp.connection.Connection`, which speaks."""

    def __init__(
        self,
        role: Role,
        timers: Timers,
        window: int,
        interface_version: int,
        peer_window: int,
        late_memory: int,
    ) -> None:
        self.role: Role = role
        self.timers = timers
        self.window = window
        self.interface_version = interface_version
        self.peer_version: int | None = None
        """The peer's interface_version once bound; a bind_resp that does not tell means 3.3."""
        self.ending: str | None = NOT_CONNECTED
        """Why no new request may be sent; None while they may."""

        self._asked = Asked(late_memory)
        self._owed = Owed(peer_window)
        self._alarm = Alarm()
        self._out: list[bytes] = []
        self._events: list[Event] = []
        self._peer_bind: Pdu | None = None
        self._peer_unbind: Pdu | None = None
        self._probes = 0
        self._opened = self._heard = self._active = self._parting = 0.0
        self._enter(State.CLOSED)

    def __repr__(self) -> str:
        return (
            f"<SMPP {self.role} {self.state.value}, {self.in_flight}/{self.window} in flight, "
            f"{self.peer_in_flight} of the peer's>"
        )

    @property
    def in_flight(self) -> int:
        """Message requests of ours that are unanswered."""
        return self._asked.in_flight

    @property
    def peer_in_flight(self) -> int:
        """Message requests of the peer that the application has not answered."""
        return len(self._owed)

    def connected(self, now: float) -> None:
        """The transport is connected: the session is open."""
        if self.ending != NOT_CONNECTED:
            raise Misuse("a connection serves one transport connection")
        self._opened = self._heard = self._active = now
        self.ending = None
        self._enter(State.OPEN)
        self._set_alarm()

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
        self._part_if_settled()
        self._set_alarm()
        return self.events()

    def deadline(self) -> float | None:
        """When to call `tick` at the latest; None: no timer runs. It may be early, never late."""
        at = self._alarm.at
        return None if at == inf else at

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

    def unbind(self, now: float) -> None:
        """Ask the peer to part, and end when it answers, or after `timers.unbind`. See `events`.

        Where there is nothing to unbind, the session ends at once.
        """
        if self.state not in BOUND:
            self._end("closed before it was bound")
        elif self.ending is None:
            self._ask_to_part("unbound", now)

    def finish_unbind(self) -> None:
        """Answer the peer's unbind now, whatever is in flight. See `events`.

        It happens by itself when nothing is, and when `timers.unbind` has run out.
        """
        if self._peer_unbind is not None:
            self._reply(self._peer_unbind)
            self._end("the peer has unbound", State.UNBOUND)

    def close(self, reason: str) -> None:
        """End without asking the peer. See `events`."""
        self._end(reason)

    # -- the state

    def _enter(self, state: State) -> None:
        self.state = state
        self._live = state in LIVE  # asked for each frame
        self._may_send = allowed(self.role, state)
        self._may_receive = allowed(peer_of(self.role), state)

    def _bound(self, bind: Pdu, now: float) -> None:
        self._active = now
        self._enter(BOUND_BY[type(bind)])
        self._set_alarm()

    def _end(self, reason: str, state: State = State.CLOSED) -> None:
        if not self._live:
            return
        self._enter(state)
        self.ending = reason
        for request in self._asked.clear():
            self._settle(request, LinkLost(reason))
        self._owed.clear()
        self._peer_bind = self._peer_unbind = None
        self._set_alarm()
        self._events.append(Ended(reason))

    def _ask_to_part(self, reason: str, now: float) -> None:
        self._ask(Unbind(), now, None)
        self._start_parting(reason, now)
        if not self.timers.unbind:
            self._end(reason)

    def _start_parting(self, reason: str, now: float) -> None:
        self.ending = reason
        self._parting = now
        self._alarm.bring_forward(now + self.timers.unbind)

    def _part_if_settled(self) -> None:
        if self._peer_unbind is not None and not self._asked.in_flight and not self._owed:
            self.finish_unbind()

    # -- sending

    def _ask(self, pdu: Pdu, now: float, context: object) -> int:
        number = self._asked.next_number()
        self._write(pdu, number)
        self._asked.add(number, Request(pdu, context, now))
        if self.timers.response:
            self._alarm.bring_forward(now + self.timers.response)
        return number

    def _write(self, pdu: Pdu, number: int) -> None:
        if pdu.tlvs and self._speaks_33:
            pdu = without_tlvs(pdu)
        self._out.append(encode(pdu, number))

    @property
    def _speaks_33(self) -> bool:
        """Ours is 3.3, or we are an SMSC and the ESME bound with 3.3."""
        peer = self.peer_version if self.role == "smsc" else None
        return self.interface_version <= V33 or (peer is not None and peer <= V33)

    def _reply(self, request: Pdu, status: int = CommandStatus.ESME_ROK) -> None:
        self._write(response_to(request, command_status=status), request.sequence_number)

    def _settle(self, request: Request, answer: Answer) -> None:
        if request.context is not None:
            self._events.append(RequestAnswered(request.context, answer))

    # -- the timers

    def _running(self) -> Iterator[tuple[float, Callable[[float], None]]]:
        """Every timer that runs: when it runs out, and what happens then."""
        timers = self.timers
        if timers.session_init and self.state in UNBOUND_YET:
            yield self._opened + timers.session_init, self._session_init_expired
        if timers.response:
            if (sent := self._asked.oldest) is not None:
                yield sent + timers.response, self._responses_expired
            if (came := self._owed.oldest) is not None:
                yield came + timers.response, self._owed_expired
        if self.state not in BOUND:
            return
        if self.ending is not None:
            yield self._parting + timers.unbind, self._unbind_expired
            return
        if timers.enquire_link:
            yield self._heard + timers.enquire_link * (self._probes + 1), self._silence_expired
        if timers.inactivity:
            yield self._active + timers.inactivity, self._inactivity_expired

    def _set_alarm(self) -> None:
        self._alarm.set(at for at, _ in self._running())

    def _session_init_expired(self, _now: float) -> None:
        self._end(f"not bound within {self.timers.session_init:g} s")

    def _responses_expired(self, now: float) -> None:
        for request in self._asked.expire(now, self.timers.response):
            self._settle(request, TimedOut())

    def _owed_expired(self, now: float) -> None:
        self._owed.expire(now, self.timers.response)

    def _silence_expired(self, now: float) -> None:
        if self._probes >= UNANSWERED_PROBES:
            self._end(f"dead: silent for {now - self._heard:.0f} s")
            return
        self._probes += 1
        self._ask(EnquireLink(), now, None)

    def _inactivity_expired(self, now: float) -> None:
        self._ask_to_part(f"no message for {self.timers.inactivity:g} s", now)

    def _unbind_expired(self, _now: float) -> None:
        if self._peer_unbind is not None:
            self.finish_unbind()
        else:
            self._end(f"{self.ending}; unbind was not answered")
