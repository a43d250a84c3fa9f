"""Which PDU may be sent by whom in which session state: SMPP 3.4, 2.2 and 2.3, as tables.

Rule: everything that is true of sessions in general stands here, and nothing here knows which of the
two sides we are. `smsgw.smpp.connection` asks `allowed` twice, for its own role and for its peer's.

                     outbind (SMSC dials)
            OPEN ───────────────────────────▶ OUTBOUND
              │                                  │
              └──────── bind_*_resp, ROK ────────┤
                                                 ▼
                               BOUND_TX  BOUND_RX  BOUND_TRX
                                                 │ unbind_resp, either way
                                                 ▼
                   any state, link gone ──▶   UNBOUND ──▶ CLOSED

OUTBOUND and UNBOUND are 5.0's names (2.3); 3.4 has both without naming them. Where the versions'
operation matrices differ, or one forgets a line, the wider one is used: replace_sm on a transceiver,
enquire_link and generic_nack in every state of an open link.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Literal, TypeAlias

from smsgw.smpp.pdu import (
    RESPONSE_OF,
    AlertNotification,
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    CancelSm,
    DataSm,
    DeliverSm,
    EnquireLink,
    Outbind,
    Pdu,
    QuerySm,
    ReplaceSm,
    SubmitMulti,
    SubmitSm,
    Unbind,
    UnknownPdu,
)

Role: TypeAlias = Literal["esme", "smsc"]
Kind: TypeAlias = type[Pdu]


class State(Enum):
    """The states of a session (3.4, 2.2; OUTBOUND and UNBOUND 5.0, 2.3)."""

    OPEN = "open"
    OUTBOUND = "outbound"
    BOUND_TX = "bound as transmitter"
    BOUND_RX = "bound as receiver"
    BOUND_TRX = "bound as transceiver"
    UNBOUND = "unbound"
    CLOSED = "closed"


ESME: frozenset[Role] = frozenset(("esme",))
SMSC: frozenset[Role] = frozenset(("smsc",))
BOTH: frozenset[Role] = ESME | SMSC

UNBOUND_YET = frozenset((State.OPEN, State.OUTBOUND))
SENDING = frozenset((State.BOUND_TX, State.BOUND_TRX))
RECEIVING = frozenset((State.BOUND_RX, State.BOUND_TRX))
BOUND = SENDING | RECEIVING
LIVE = UNBOUND_YET | BOUND

BOUND_BY: Mapping[Kind, State] = {
    BindTransmitter: State.BOUND_TX,
    BindReceiver: State.BOUND_RX,
    BindTransceiver: State.BOUND_TRX,
}
"""The state that a bind leads to."""

OPERATIONS: Mapping[Kind, tuple[frozenset[Role], frozenset[State]]] = {
    BindTransmitter: (ESME, UNBOUND_YET),
    BindReceiver: (ESME, UNBOUND_YET),
    BindTransceiver: (ESME, UNBOUND_YET),
    Outbind: (SMSC, frozenset((State.OPEN,))),
    Unbind: (BOTH, BOUND),
    EnquireLink: (BOTH, LIVE),
    SubmitSm: (ESME, SENDING),
    SubmitMulti: (ESME, SENDING),
    QuerySm: (ESME, SENDING),
    CancelSm: (ESME, SENDING),
    ReplaceSm: (ESME, SENDING),
    DeliverSm: (SMSC, RECEIVING),
    AlertNotification: (SMSC, RECEIVING),
    DataSm: (BOTH, BOUND),
    UnknownPdu: (BOTH, BOUND),
}
"""Requests: who may send them, and when (3.4, table 2-1). Their responses go where they may go."""

MESSAGES: frozenset[Kind] = frozenset(
    (SubmitSm, SubmitMulti, DataSm, DeliverSm, QuerySm, CancelSm, ReplaceSm, UnknownPdu)
)
"""Requests that count against the window; what is left over keeps the session itself."""

BIND_RESPONSES: frozenset[Kind] = frozenset(RESPONSE_OF[bind] for bind in BOUND_BY)


def _allowed(role: Role, state: State) -> frozenset[Kind]:
    return frozenset(
        kind for kind, (roles, states) in OPERATIONS.items() if role in roles and state in states
    )


_ROLES: tuple[Role, Role] = ("esme", "smsc")
_ALLOWED = {(role, state): _allowed(role, state) for role in _ROLES for state in State}


def allowed(role: Role, state: State) -> frozenset[Kind]:
    """The requests that a side may send in a state."""
    return _ALLOWED[role, state]


def peer_of(role: Role) -> Role:
    return "smsc" if role == "esme" else "esme"
