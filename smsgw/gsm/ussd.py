"""USSD texts as AT+CUSD has them (3GPP TS 27.007, clause 7.15; coding: TS 23.038, clause 5)."""

from __future__ import annotations

from smsgw.gsm.at import Command
from smsgw.gsm.octets import EncodeError
from smsgw.sms.alphabets import DEFAULT
from smsgw.sms.coding import Charset, decode
from smsgw.sms.coding_scheme import scheme
from smsgw.sms.packing import pack, unpack_text

_GSM = 15
"""The default alphabet, language unspecified."""


def command(code: str, *, packed: bool, timeout: float) -> Command:
    """Raises `EncodeError` for what is not in the default alphabet, or would break the line."""
    try:
        septets = DEFAULT.encode(code)
    except UnicodeEncodeError as error:
        raise EncodeError("ussd", f"character {error.start} is not in the default alphabet") from None
    if not code.isascii() or not code.isprintable() or '"' in code:
        raise EncodeError("ussd", "expected printable ASCII without quotes")
    text = pack(septets).hex().upper() if packed else code
    return Command(line=f'AT+CUSD=1,"{text}",{_GSM}', timeout=timeout)


def _charset(octet: int) -> Charset:
    if octet == 0x11:
        return "ucs2"
    return scheme(octet).charset if 0x40 <= octet < 0x80 else "gsm7"


def read(text: str, octet: int, *, packed: bool) -> str:
    """The text of a `+CUSD` line; where it is not the hex that its coding asks for, as it stands."""
    charset = _charset(octet)
    try:
        octets = bytes.fromhex(text)
    except ValueError:
        return text
    if charset == "ucs2":
        return decode(octets, "ucs2").text
    if charset == "gsm7" and packed:
        return DEFAULT.decode(unpack_text(octets))
    return text
