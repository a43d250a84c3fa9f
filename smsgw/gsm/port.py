"""`serial:DEVICE:baudrate=115200`: a serial port as an endpoint string tells it. Pure.

The strings are those of Twisted's endpoints: arguments between colons, a colon within one written `\\:`.
The keys are those of pyserial.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

PREFIX = "serial"

Parity: TypeAlias = Literal["N", "E", "O", "M", "S"]


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """`device` by a name that stays, such as /dev/serial/by-id/...: numbers of ttyUSB move."""

    device: str
    baudrate: int = 115200
    bytesize: int = 8
    parity: Parity = "N"
    stopbits: float = 1
    rtscts: bool = False
    xonxoff: bool = False


_CHOICES: dict[str, dict[str, object]] = {
    "bytesize": {"5": 5, "6": 6, "7": 7, "8": 8},
    "parity": {each: each for each in "NEOMS"},
    "stopbits": {"1": 1, "1.5": 1.5, "2": 2},
    "rtscts": {"0": False, "1": True, "false": False, "true": True},
    "xonxoff": {"0": False, "1": True, "false": False, "true": True},
}
KEYS = ("baudrate", *_CHOICES)


def port_of(text: str) -> Port:
    """The port of a whole endpoint string. Raises `ValueError` with what is wrong, naming the key."""
    prefix, *arguments = [_unescaped(each) for each in re.findall(r"(?:^|:)((?:\\.|[^:\\])*)", text)]
    if prefix != PREFIX:
        raise ValueError(f"expected {PREFIX}:DEVICE")
    plain = [each for each in arguments if not _is_key(each)]
    keyed = [each.split("=", 1) for each in arguments if _is_key(each)]
    return port(plain, dict(keyed))


def _is_key(argument: str) -> bool:
    return re.match(r"\w+=", argument) is not None


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def port(arguments: Sequence[str], options: Mapping[str, str]) -> Port:
    """The port of an endpoint string's arguments, as Twisted hands them over.

    Raises:
        ValueError: what is wrong, in one line that names the key.
    """
    if len(arguments) > 1:
        extra = arguments[1]
        raise ValueError(f'{PREFIX}: "{extra}" is no KEY=VALUE; a colon within the device is written \\:')
    if not arguments or not arguments[0].startswith("/"):
        raise ValueError(f"{PREFIX}: expected the path of a device, such as {PREFIX}:/dev/serial/by-id/...")
    values = {key: _value(key, value) for key, value in options.items()}
    return msgspec.convert({"device": arguments[0], **values}, Port)


def _value(key: str, value: str) -> object:
    if key not in KEYS:
        near = difflib.get_close_matches(key, KEYS, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(KEYS)}"
        raise ValueError(f"{PREFIX}: unknown key {key}; {hint}")
    if key == "baudrate":
        if not (value.isascii() and value.isdigit() and 50 <= int(value) <= 4_000_000):
            raise ValueError(f'{PREFIX}: baudrate: expected a number such as 115200, found "{value}"')
        return int(value)
    if value not in _CHOICES[key]:
        raise ValueError(f'{PREFIX}: {key}: expected one of {", ".join(_CHOICES[key])}, found "{value}"')
    return _CHOICES[key][value]
