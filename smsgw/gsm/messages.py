"""From parts to SMS-SUBMIT and from SMS-DELIVER to fragments: where `smsgw.sms` meets the air."""

from __future__ import annotations

import msgspec

from smsgw.gsm.addresses import Address
from smsgw.gsm.octets import EncodeError
from smsgw.gsm.times import Validity
from smsgw.gsm.tpdu import Deliver, Submit, UserData
from smsgw.sms import join, udh
from smsgw.sms.coding import Encoding
from smsgw.sms.coding_scheme import octet_of, scheme
from smsgw.sms.join import Fragment
from smsgw.sms.packing import fill_bits, pack, unpack
from smsgw.sms.split import Part


def submit(
    part: Part,
    destination: Address,
    *,
    validity: Validity | None = None,
    status_report: bool = False,
    flash: bool = False,
    reference: int = 0,
    protocol: int = 0,
    reply_path: bool = False,
) -> Submit:
    """One part of a message as SMS-SUBMIT.

    Raises:
        EncodeError: an encoding that the air does not know, or a part in a form of SMPP's.
    """
    return Submit(
        destination=destination,
        reference=reference,
        protocol=protocol,
        coding=coding_of(part, flash=flash),
        validity=validity,
        data=user_data(part.payload, part.encoding, part.udh),
        status_report=status_report,
        has_header=bool(part.udh),
        reply_path=reply_path,
    )


def coding_of(part: Part, *, flash: bool = False) -> int:
    """TP-DCS of a part. Raises `EncodeError`."""
    octet = octet_of(part.encoding, flash=flash)
    if octet is None:
        raise EncodeError("coding", f"{part.encoding} is no encoding of a short message")
    if part.sar or part.whole:
        raise EncodeError("data", "the part has no concatenation header of its own")
    return octet


def user_data(payload: bytes, encoding: Encoding, header: bytes = b"") -> UserData:
    """TP-UD of a payload, septets one per octet, behind a header with its length octet."""
    if encoding != "gsm7":
        return UserData(len(header) + len(payload), header + payload)
    fill = fill_bits(len(header))
    return UserData((8 * len(header) + fill) // 7 + len(payload), header + pack(payload, fill))


def fragment(tpdu: Deliver | Submit) -> Fragment:
    """The user data as a part of a long message, or the whole of a short one; never raises.

    What has no alphabet that smsgw reads is binary, with a `problem`.
    """
    told = scheme(tpdu.coding)
    octets = tpdu.data.octets
    header = udh.parse(octets) if tpdu.has_header else udh.Header((), 0)
    if told.septets:
        septets = _septets(tpdu.data, header.length)
        octets = octets[: header.length] + septets
    # a header that claims more than there is was none: its octets are text like the others
    found = join.read(octets, told.charset, has_header=header.length > 0)
    problem = header.problem or ("compressed data is not read" if told.compressed else None)
    return found if problem is None else msgspec.structs.replace(found, problem=problem)


def _septets(data: UserData, header: int) -> bytes:
    """The text after a header of so many octets, one septet per octet."""
    fill = fill_bits(header)
    count = data.length - (8 * header + fill) // 7
    return unpack(data.octets[header:], max(count, 0), fill)
