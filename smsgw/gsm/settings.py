"""What the operator sets for a modem, and the PIN that was tried."""

from __future__ import annotations

from typing import Literal

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Times are in seconds.

    `imei`, `imsi`: what the modem and its SIM must be; None: any. `smsc` is set where it is given, else
    that of the SIM stays. `receive`: `auto` tries direct routing first where it can be acknowledged.
    `registration` and `sim`: how long to wait for them. `idle`: between looks at an idle modem.
    `poll`: between looks into the storage; `poll_blind` where nothing indicates new messages. `boot`:
    after the modem says that it started; `restart`: the most that a restart takes. `quiet`: late
    answers are awaited so long after a recovery. `calm`: so long without trouble, and the next trouble
    begins on the first rung. `submit`: for the network's answer. `ussd`: likewise.
    """

    pin: str | None = None
    imei: str | None = None
    imsi: str | None = None
    smsc: str | None = None
    receive: Literal["auto", "direct", "stored"] = "auto"
    registration: float = 180.0
    sim: float = 60.0
    idle: float = 60.0
    poll: float = 60.0
    poll_blind: float = 10.0
    boot: float = 3.0
    restart: float = 30.0
    quiet: float = 1.0
    calm: float = 600.0
    submit: float = 60.0
    ussd: float = 60.0

    def __repr__(self) -> str:
        return f"<Settings receive={self.receive} pin={'set' if self.pin else 'none'}>"


class Pins:
    """The PIN that must not be tried again: three wrong ones lock a SIM.

    One object per configured SIM, kept by whoever reopens the port, over all connections. It is
    marked before the PIN is written and cleared when it was accepted, so silence counts as wrong.
    """

    def __init__(self) -> None:
        self._tried: str | None = None

    def __repr__(self) -> str:
        return f"<Pins {'one tried' if self._tried else 'none tried'}>"

    def met(self, imei: str) -> None:
        """The modem that holds the SIM is known; empty where it does not say which it is."""

    def may_try(self, pin: str) -> bool:
        return pin != self._tried

    def trying(self, pin: str) -> None:
        self._tried = pin

    def accepted(self) -> None:
        self._tried = None
