"""The PDUs that a message centre sends on its own: receipts and inbound messages. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from smsgw.errors import Misuse
from smsgw.simulator.behaviour import Inbound
from smsgw.simulator.receipts import MESSAGE_STATES, Fact, Spelling, network_error
from smsgw.simulator.submits import Submit
from smsgw.smpp.constants import EsmClass, Npi, Tag, Ton
from smsgw.smpp.pdu import DataSm, DeliverSm
from smsgw.sms.alphabets import DEFAULT
from smsgw.sms.coding import Impossible, choose
from smsgw.sms.split import Part, split

Tlvs = tuple[tuple[int, int | str | bytes], ...]
DATA_CODINGS = {"gsm7": 0, "latin1": 3, "ucs2": 8, "binary": 4}


def receipt(
    submit: Submit,
    destination: str,
    fact: Fact,
    spelling: Spelling,
    pdu: Literal["deliver_sm", "data_sm"] = "deliver_sm",
) -> DeliverSm | DataSm:
    """The receipt of a message for `destination`, addressed back to who sent it."""
    text = spelling.text(fact).encode("latin-1", "replace") if spelling.text else b""
    in_payload = spelling.payload or (pdu == "data_sm" and bool(text))
    tlvs: list[tuple[int, int | str | bytes]] = []
    if spelling.tlvs:
        tlvs += [
            (Tag.RECEIPTED_MESSAGE_ID, fact.id),
            (Tag.MESSAGE_STATE, int(MESSAGE_STATES[fact.stat])),
            (Tag.NETWORK_ERROR_CODE, network_error(fact.err)),
        ]
    if in_payload:
        tlvs.append((Tag.MESSAGE_PAYLOAD, text))
    addresses = {
        "source_addr_ton": Ton.INTERNATIONAL,
        "source_addr_npi": Npi.ISDN,
        "source_addr": destination.lstrip("+"),
        "dest_addr_ton": submit.source_addr_ton,
        "dest_addr_npi": submit.source_addr_npi,
        "destination_addr": submit.source_addr,
        "esm_class": int(spelling.esm_class(fact)),
        "tlvs": tuple(tlvs),
    }
    if pdu == "data_sm":
        return DataSm(**addresses)  # type: ignore[arg-type]
    return DeliverSm(**addresses, short_message=b"" if in_payload else text)  # type: ignore[arg-type]


def inbound(message: Inbound, number: int) -> tuple[DeliverSm, ...]:
    """The parts of the so many-th inbound message.

    Raises:
        Misuse: its text can't be sent.
    """
    turn, sender = divmod(number - 1, message.senders)
    message = msgspec.structs.replace(message, source=_counted(message.source, sender))
    if message.data:
        return (_deliver(message, bytes.fromhex(message.data), message.esm_class, message.data_coding),)
    coding = choose(
        message.text.replace("{n}", str(number)), "ucs2" if message.mixed else "auto", form=message.form
    )
    if isinstance(coding, Impossible):
        raise Misuse(f"inbound text: {coding.problem}")
    parts = split(coding, reference=turn + 1)
    return tuple(_parts(message, tuple(map(_narrowed, parts)) if message.mixed else parts))


def _counted(source: str, more: int) -> str:
    """The number of so many phones further on; a name has no next one."""
    digits = source.lstrip("+")
    return str(int(digits) + more).zfill(len(digits)) if digits.isdigit() else source


def _narrowed(part: Part) -> Part:
    """A part cut as UCS-2, in GSM 7-bit where its own characters allow that."""
    try:
        septets = DEFAULT.encode(part.payload.decode("utf-16-be"))
    except UnicodeEncodeError:
        return part
    return msgspec.structs.replace(part, payload=septets, encoding="gsm7")


def _parts(message: Inbound, parts: tuple[Part, ...]) -> Iterator[DeliverSm]:
    for part in parts:
        esm_class = message.esm_class | (EsmClass.UDHI if part.udh else 0)
        data_coding = message.data_coding or DATA_CODINGS[part.encoding]
        octets = part.udh + part.payload
        if part.whole:
            yield _deliver(message, b"", esm_class, data_coding, ((Tag.MESSAGE_PAYLOAD, octets),))
        else:
            yield _deliver(message, octets, esm_class, data_coding, _sar(part))


def _sar(part: Part) -> Tlvs:
    """The SAR TLVs of a part among several that has no header of its own."""
    if part.total == 1 or part.udh or part.reference is None:
        return ()
    return (
        (Tag.SAR_MSG_REF_NUM, part.reference),
        (Tag.SAR_TOTAL_SEGMENTS, part.total),
        (Tag.SAR_SEGMENT_SEQNUM, part.number),
    )


def _deliver(message: Inbound, octets: bytes, esm_class: int, data_coding: int, tlvs: Tlvs = ()) -> DeliverSm:
    international = message.source.lstrip("+").isdigit()
    return DeliverSm(
        source_addr_ton=Ton.INTERNATIONAL if international else Ton.ALPHANUMERIC,
        source_addr_npi=Npi.ISDN if international else Npi.UNKNOWN,
        source_addr=message.source.lstrip("+"),
        dest_addr_ton=Ton.UNKNOWN,
        dest_addr_npi=Npi.ISDN,
        destination_addr=message.to,
        esm_class=esm_class,
        data_coding=data_coding,
        short_message=octets,
        tlvs=tlvs,
    )
