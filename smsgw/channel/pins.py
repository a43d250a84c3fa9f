"""The PIN that was tried, remembered over restarts: three wrong ones lock a SIM.

Before a PIN is sent it is written down, by the channel's name and by the modem's IMEI, so that neither a
crash at any moment nor another name for the same modem tries it again. When the SIM is open the files go.
A file that makes no sense counts as tried; where files can't be read or written, none is tried.

A file holds no PIN, but a salted hash of one: enough to see that it is the same, and no more secret than
a PIN's ten thousand possibilities can be. An operator who knows better removes the file.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from contextlib import suppress
from pathlib import Path

from smsgw.channel import statefile
from smsgw.gsm.scripts import Halted
from smsgw.gsm.settings import Pins


class RememberedPins(Pins):
    """The tried PIN of one channel, in files in `folder`."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__()
        self._folder = folder
        self._files = [folder / f"{name}.pin"]
        self._own = self._files[0]

    def met(self, imei: str) -> None:
        self._files = [self._own, *([self._folder / f"imei-{imei}.pin"] if imei else [])]

    def may_try(self, pin: str) -> bool:
        """Raises `Halted` where it can't be seen whether it was tried."""
        try:
            return super().may_try(pin) and not any(_is_of(file, pin) for file in self._files)
        except OSError as error:
            reason = f"{error.filename or self._folder}: {error.strerror}"
            raise Halted(f"whether the PIN was tried can't be seen: {reason}", reopen=True) from error

    def trying(self, pin: str) -> None:
        """Raises `Halted` where it can't be made durable: the PIN is not sent, then."""
        salt = os.urandom(16)
        try:
            for file in self._files:
                statefile.write(file, f"{salt.hex()} {_hash(salt, pin)}\n", sync=True)
        except OSError as error:
            self._forget()  # it is not sent, so a later try is the first
            reason = f"{self._folder}: {error.strerror}"
            raise Halted(f"that the PIN is tried can't be written down: {reason}", reopen=True) from error
        super().trying(pin)

    def accepted(self) -> None:
        super().accepted()
        self._forget()

    def _forget(self) -> None:
        for file in self._files:
            with suppress(OSError):  # one that stays keeps a PIN from being tried, and does no other harm
                file.unlink()


def _is_of(file: Path, pin: str) -> bool:
    try:
        text = statefile.read(file)
        if text is None:
            return False
        salt, found = text.split()
        return hmac.compare_digest(found, _hash(bytes.fromhex(salt), pin))
    except ValueError:
        return True


def _hash(salt: bytes, pin: str) -> str:
    return hashlib.sha256(salt + pin.encode()).hexdigest()
