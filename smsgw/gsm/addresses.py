"""Addresses: numbers as semi-octets, names as septets (3GPP TS 23.040, clause 9.1.2.5).

Two forms of length: before a TP address the count of its semi-octets, before the address of the
message centre (SCA, 3GPP TS 24.011, clause 8.2.5.1) the count of its octets, the type octet included.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from smsgw.gsm.octets import EncodeError, Reader, octet
from smsgw.message import masked
from smsgw.sms.alphabets import DEFAULT
from smsgw.sms.packing import pack, unpack

MAX_DIGITS = 20
"""Semi-octets: an address has at most 12 octets (clause 9.1.2.5)."""

_DIGITS = "0123456789*#abc"
_FILL = 0xF


class Ton(IntEnum):
    """Type of number."""

    UNKNOWN = 0
    INTERNATIONAL = 1
    NATIONAL = 2
    NETWORK_SPECIFIC = 3
    SUBSCRIBER = 4
    ALPHANUMERIC = 5
    ABBREVIATED = 6
    RESERVED = 7


class Npi(IntEnum):
    """Numbering plan; the values that are not here are reserved."""

    UNKNOWN = 0
    ISDN = 1
    DATA = 3
    TELEX = 4
    SC_SPECIFIC_5 = 5
    SC_SPECIFIC_6 = 6
    NATIONAL = 8
    PRIVATE = 9
    ERMES = 10
    RESERVED = 15


class Address(msgspec.Struct, frozen=True):
    """`value` is digits out of `0123456789*#abc`, or text where `ton` is `ALPHANUMERIC`."""

    value: str
    ton: int = Ton.INTERNATIONAL
    npi: int = Npi.ISDN

    def __repr__(self) -> str:
        return f"<Address {self.ton}/{self.npi} {masked(self.value)}>"

    @property
    def number(self) -> str:
        """As people write it: with a plus where it is international."""
        return f"+{self.value}" if self.ton == Ton.INTERNATIONAL else self.value


def address(number: str) -> Address:
    """An address of what people write: `+46...`, a short code, a name.

    Raises:
        EncodeError: it can't be written.
    """
    digits = number.removeprefix("+").lower()
    if digits and set(digits) <= set(_DIGITS):
        ton = Ton.INTERNATIONAL if number.startswith("+") else Ton.UNKNOWN
        found = Address(digits, ton)
    else:
        found = Address(number, Ton.ALPHANUMERIC, Npi.UNKNOWN)
    write(found, "address")
    return found


def semi_octets(digits: str, field: str) -> bytes:
    """Digits in pairs, the first of each in the low bits; an odd one is filled with 1111.

    Raises:
        EncodeError: a character that is no digit of an address.
    """
    values = [_DIGITS.find(digit) for digit in digits]
    if -1 in values:
        raise EncodeError(field, f"character {values.index(-1)} is none of {_DIGITS}")
    if len(values) % 2:
        values.append(_FILL)
    return bytes(low | high << 4 for low, high in zip(values[::2], values[1::2], strict=True))


def digits_of(octets: bytes, count: int) -> str:
    """The first `count` digits; a fill within them is no digit, whatever the network meant by it."""
    nibbles = [nibble for pair in octets for nibble in (pair & 0xF, pair >> 4)]
    return "".join(_DIGITS[nibble] for nibble in nibbles[:count] if nibble != _FILL)


def _type_octet(address: Address, field: str) -> bytes:
    if not (0 <= address.ton <= 7 and 0 <= address.npi <= 15):
        raise EncodeError(f"{field}.ton", f"no such type and plan: {address.ton}, {address.npi}")
    return bytes((0x80 | address.ton << 4 | address.npi,))


def write(address: Address, field: str) -> bytes:
    """A TP address: the count of semi-octets, the type octet, the value. Raises `EncodeError`."""
    kind = _type_octet(address, field)
    if address.ton == Ton.ALPHANUMERIC:
        value, count = _name(address.value, field)
    else:
        value, count = semi_octets(address.value, f"{field}.digits"), len(address.value)
    if count > MAX_DIGITS:
        raise EncodeError(field, f"{count} semi-octets; at most {MAX_DIGITS} fit")
    return octet(count, field) + kind + value


def _name(text: str, field: str) -> tuple[bytes, int]:
    try:
        septets = DEFAULT.encode(text)
    except UnicodeEncodeError as error:
        raise EncodeError(
            f"{field}.text", f"character {error.start} is not in the default alphabet"
        ) from None
    return pack(septets), -(-7 * len(septets) // 4)


def read(reader: Reader, field: str) -> Address:
    """A TP address. Raises `TpduError`."""
    count = reader.octet(f"{field}.length")
    if count > MAX_DIGITS:
        reader.offset -= 1
        raise reader.error(f"{field}.length", f"{count} semi-octets; at most {MAX_DIGITS} fit")
    ton, npi = _kind(reader, field)
    octets = reader.take((count + 1) // 2, f"{field}.digits")
    if ton == Ton.ALPHANUMERIC:
        return Address(DEFAULT.decode(unpack(octets, count * 4 // 7)), ton, npi)
    return Address(digits_of(octets, count), ton, npi)


def _kind(reader: Reader, field: str) -> tuple[int, int]:
    kind = reader.octet(f"{field}.type")
    return kind >> 4 & 7, kind & 0xF


def write_sca(address: Address | None) -> bytes:
    """The message centre's address; without one the modem takes that of the SIM. Raises `EncodeError`."""
    if address is None:
        return b"\0"
    if address.ton == Ton.ALPHANUMERIC or len(address.value) > MAX_DIGITS:
        raise EncodeError("smsc", f"expected at most {MAX_DIGITS} digits")
    octets = _type_octet(address, "smsc") + semi_octets(address.value, "smsc.digits")
    return octet(len(octets), "smsc") + octets


def read_sca(reader: Reader) -> Address | None:
    """The message centre's address, or None where there is none. Raises `TpduError`."""
    length = reader.octet("smsc.length")
    if not length:
        return None
    octets = reader.take(length, "smsc")
    return Address(digits_of(octets[1:], 2 * length), octets[0] >> 4 & 7, octets[0] & 0xF)
