"""A rough wire between the transport and a well-mannered protocol.

The simulator speaks with the gateway's own codec and connection, which can't misbehave. What is wrong
on purpose happens here, below them: frames that are not heard, responses whose octets are spoilt on
their way out, segments of a few octets. Where nothing is wrong, octets pass untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory

from smsgw.simulator.agenda import Agenda
from smsgw.simulator.behaviour import Behaviour
from smsgw.simulator.spoil import HEADER
from smsgw.smpp.constants import CommandId
from smsgw.smpp.framing import FrameError, Framer
from smsgw.smpp.protocol import SmppFactory

Spoil: TypeAlias = Callable[[bytes], bytes]


def unheard(behaviour: Behaviour) -> frozenset[int]:
    """The command ids that never reach the protocol, so that it can't answer them."""
    wanted = {
        CommandId.UNBIND: behaviour.never_answer_unbind,
        CommandId.ENQUIRE_LINK: behaviour.ignore_enquire_links,
    }
    return frozenset(int(command) for command, ignored in wanted.items() if ignored)


def frames(data: bytes) -> Iterator[bytes]:
    """The frames of octets that hold whole ones only, as the connection writes them."""
    offset = 0
    while offset < len(data):
        length: int = HEADER.unpack_from(data, offset)[0]
        yield data[offset : offset + length]
        offset += length


class RoughWire(ProtocolWrapper):
    """Transport to the protocol, protocol to the transport. `heard_at` is when octets last came."""

    def __init__(
        self,
        factory: WrappingFactory,
        wrapped: Protocol,
        behaviour: Behaviour,
        agenda: Agenda,
        clock: IReactorTime,
    ) -> None:
        super().__init__(factory, wrapped)  # type: ignore[arg-type]
        self._agenda = agenda
        self._clock = clock
        self._segment = behaviour.segment
        self._unheard = unheard(behaviour)
        self._framer = Framer()
        self._spoilt: dict[int, Spoil] = {}
        self._dripping = bytearray()
        self._closing = False
        self.heard_at = clock.seconds()

    def spoil(self, sequence_number: int, spoil: Spoil) -> None:
        """The response with this number, which leaves next, leaves spoilt."""
        self._spoilt[sequence_number] = spoil

    def cut(self) -> None:
        """The link breaks: what is not written yet is lost, the peer sees a reset."""
        self._dripping.clear()
        self.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        self.heard_at = self._clock.seconds()
        super().dataReceived(self._heard(data) if self._unheard else data)  # type: ignore[no-untyped-call]

    def _heard(self, data: bytes) -> bytes:
        try:
            found = self._framer.feed(data)
        except FrameError:
            self._unheard = frozenset()
            return data
        return b"".join(frame for frame in found if HEADER.unpack_from(frame)[1] not in self._unheard)

    def write(self, data: bytes) -> None:
        if self._spoilt:
            data = b"".join(map(self._written, frames(data)))
        if not self._segment:
            super().write(data)  # type: ignore[no-untyped-call]
            return
        if not self._dripping:
            self._agenda.add(0.0, self._drip)
        self._dripping += data

    def _written(self, frame: bytes) -> bytes:
        _, command_id, _, sequence_number = HEADER.unpack_from(frame)
        # our own requests have numbers of their own, which may be the same
        spoil = self._spoilt.pop(sequence_number, None) if command_id & 0x80000000 else None
        return spoil(frame) if spoil else frame

    def _drip(self) -> None:
        """One segment per reactor turn: Twisted joins what is written in one turn."""
        if not self._dripping:
            return
        super().write(bytes(self._dripping[: self._segment]))  # type: ignore[no-untyped-call]
        del self._dripping[: self._segment]
        if self._dripping:
            self._agenda.add(0.0, self._drip)
        elif self._closing:
            super().loseConnection()  # type: ignore[no-untyped-call]

    def loseConnection(self) -> None:
        self._closing = True
        if not self._dripping:
            super().loseConnection()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Any) -> None:  # type: ignore[override]
        self._dripping.clear()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]


class RoughFactory(WrappingFactory):
    """Puts a rough wire under every protocol of an `SmppFactory`."""

    noisy = False

    def __init__(
        self, wrapped: SmppFactory, behaviour: Callable[[], Behaviour], agenda: Agenda, clock: IReactorTime
    ) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]
        self._wrapped = wrapped
        self._behaviour = behaviour
        self._agenda = agenda
        self._clock = clock

    def buildProtocol(self, addr: IAddress | None) -> RoughWire:
        protocol = self._wrapped.buildProtocol(addr)
        return RoughWire(self, protocol, self._behaviour(), self._agenda, self._clock)
