"""What fragments make for those who read inbound messages: pure.

A message that is whole by itself and one that was joined from its parts read alike; `inbound` makes
both. What can't be read as text is handed on as it came, and says why.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from smsgw.message import Inbound, InboundEncoding, Ports, masked, timestamp
from smsgw.sms import join, udh
from smsgw.sms.coding import Charset
from smsgw.sms.join import Fragment
from smsgw.sms.udh import ElementId

_ENCODINGS: dict[Charset, InboundEncoding] = {
    "gsm7": "gsm7",
    "gsm7-packed": "gsm7",
    "ucs2": "ucs2",
    "latin1": "latin1",
    "ascii": "latin1",
    "binary": "binary",
}
_CONCATENATIONS = (ElementId.CONCATENATION_8, ElementId.CONCATENATION_16)


class Arrival(msgspec.Struct, frozen=True):
    """What is known of a message besides its fragments. `at`: its first one came, seconds since the epoch.

    `id` is the one that the message gets. The numbers are as readers shall see them.
    """

    id: str
    at: float
    channel: str
    source: str
    destination: str

    def __repr__(self) -> str:
        return f"<Arrival {self.id} {self.channel} from {masked(self.source)} to {masked(self.destination)}>"


def inbound(arrival: Arrival, fragments: Iterable[Fragment]) -> Inbound:
    """The message that fragments of one key make, at least one, in any order."""
    slots = {fragment.number: fragment for fragment in fragments}
    total = next(iter(slots.values())).total
    joined = join.join(slots.values())
    ports = joined.ports
    return Inbound(
        id=arrival.id,
        at=timestamp(arrival.at),
        channel=arrival.channel,
        from_=arrival.source,
        to=arrival.destination,
        text=joined.text,
        data=joined.data if joined.text is None else None,
        encoding=_ENCODINGS[joined.charset],
        parts=total,
        complete=joined.complete,
        missing=join.missing(slots, total),
        udh=_header(joined.header).hex() or None,
        ports=Ports(ports.destination, ports.source) if ports else None,
        error=joined.problem,
    )


def _header(octets: bytes) -> bytes:
    """A header without what only tells parts apart; one that can't be read stays as it is."""
    header = udh.parse(octets) if octets else udh.Header((), 0)
    if header.problem is not None:
        return octets
    return udh.build([element for element in header.elements if element.id not in _CONCATENATIONS])
