"""What an interface version allows: 3.3, 3.4 or 5.0 (SMPP 3.4, clauses 3.4 and 5.2.4).

3.3 has no TLVs and no transceiver. An ESME states its version in its bind, an SMSC, from 3.4 on, in the
TLV sc_interface_version of its response.
"""

from __future__ import annotations

import msgspec

from smsgw.smpp.constants import Tag, command_name
from smsgw.smpp.events import WrongState
from smsgw.smpp.pdu import Pdu

V33, V34, V50 = 0x33, 0x34, 0x50
"""interface_version."""

_SUBSTANTIAL = frozenset(
    (Tag.MESSAGE_PAYLOAD, Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM)
)
"""TLVs without which a message is another message."""


def without_tlvs(pdu: Pdu) -> Pdu:
    """What 3.3 can say of a PDU.

    Raises:
        WrongState: it has a TLV for which 3.3 has no substitute.
    """
    for tag, _ in pdu.tlvs:
        if tag in _SUBSTANTIAL:
            raise WrongState(f"{command_name(pdu.command_id)} needs TLV 0x{tag:04X}, which 3.3 does not have")
    return msgspec.structs.replace(pdu, tlvs=())
