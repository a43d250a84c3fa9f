"""How nasty a simulated modem, its SIM and its network are: pure data.

`Behaviour()` is a SIMCom modem in perfect health whose network answers at once. Every field makes it worse
in one way, and the fields combine; a control connection may change them while it runs. Chance is drawn
from one stream per kind of decision (`smsgw.simulator.dice`), started from `seed`. Times are in seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

from smsgw.errors import ConfigError
from smsgw.simulator.behaviour import Count, Seconds, Share, read_fields
from smsgw.simulator.modem.families import FAMILIES, Busy

Digits: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[0-9]*$", max_length=15)]
Pin: TypeAlias = Annotated[str, msgspec.Meta(pattern="^([0-9]{4,8})?$")]
ReportCode: TypeAlias = Annotated[str, msgspec.Meta(pattern="^0[xX][0-9A-Fa-f]{1,2}$")]
Fault: TypeAlias = Annotated[
    str, msgspec.Meta(pattern="^([0-9]{1,3}|ERROR|permanent|temporary|link|unknown)$")
]
"""A code of +CMS ERROR, a bare ERROR, or a class of codes, of which one is drawn."""


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every nastiness as a field; each default is the kind one. A TOML file may set any of them."""

    seed: int = 0
    family: str = "simcom"
    """See `smsgw.simulator.modem.families`."""

    # identity
    imei: Digits = "356938035643809"
    imsi: Digits = "240011234567890"
    iccid: Digits = "894600000000000"
    smsc: str = "+46700000000"
    """Empty: the SIM knows none, and nothing is sent before AT+CSCA."""
    operator: str = "Operator, SE"
    signal: Annotated[int, msgspec.Meta(ge=0, le=99)] = 18

    # differences to the family
    echo: bool | None = None
    prompt: str | None = None
    prompt_delay: Seconds = 0.0
    prompt_lost: Share = 0.0
    """It waits for the PDU and does not say so."""
    busy: Busy | None = None
    room: dict[str, Count] = {}
    """Of a memory, in place of the family's."""

    smsc_octets: Literal["wanted", "optional", "unknown"] = "wanted"
    """Before the TPDU of AT+CMGS: the SMSC's address, `00` for none. Some old modems know no such thing."""

    # the line
    latency: Seconds = 0.0
    """Of every answer."""
    jitter: Seconds = 0.0
    octet_time: Seconds = 0.0
    """An octet takes so long: 0.001 is about 9600 baud."""
    lost: Share = 0.0
    """Octets that do not arrive, of what the modem says."""
    garbled: Share = 0.0
    """Octets that arrive as others."""
    lost_typed: Share = 0.0
    """Octets that the modem does not hear."""
    noise: Share = 0.0
    """Before so many lines of answers stands an unsolicited one."""
    noise_in_pairs: Share = 0.0
    """Likewise, between a header and its PDU, and between an echo and the answer."""
    noise_every: Seconds = 0.0
    """Unsolicited lines from a modem that does nothing. 0: none."""

    # its health
    boot: Seconds = 0.0
    """After a restart it says nothing for so long."""
    sim_busy: Seconds = 0.0
    """And then the SIM is busy."""
    stutter: Share = 0.0
    """Of commands (not of sending) that are answered with +CME ERROR 515, wait, or as much as is known."""
    hang: Share = 0.0
    """Of commands after which it says nothing more."""
    hang_in_send: Share = 0.0
    """Of messages after whose PDU it says nothing more."""
    hang_sends: Share = 0.5
    """Of these, so many reach the network all the same."""
    hang_time: Seconds = 0.0
    """Until it comes back to life. 0: not without `reset`, `replug` or power."""
    reset_every: Seconds = 0.0
    """Restarts by itself. 0: never."""
    reset_in_send: Share = 0.0
    """Of messages after whose PDU it restarts; whether they reach the network is up to `hang_sends`."""
    replug: Seconds = 0.2
    """So long the port is away after a restart, where the family is on USB."""

    # the SIM
    sim: bool = True
    pin: Pin = ""
    """Empty: not asked for."""
    puk: Pin = "12345678"

    # the network
    coverage: bool = True
    registration: Seconds = 0.0
    """After power-on and SIM."""
    roaming: bool = False
    denied: bool = False
    """Registration is refused."""
    submit_delay: Seconds = 0.0
    submit_jitter: Seconds = 0.0
    submit_errors: dict[Fault, Share] = {}
    """Of messages that are refused, each with this."""
    destinations: dict[str, Fault] = {}
    """Refuse every message to a number, or with a `*` at its end to all that begin so."""
    first_reference: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0
    """TP-MR of the first message."""
    barred_after: Count = 0
    """After so many messages the network refuses every further one (+CMS ERROR 8). 0: never."""

    # status reports
    reports: Share = 1.0
    """Of the messages that ask for one."""
    report_delay: Seconds = 0.0
    report_jitter: Seconds = 0.0
    report_states: dict[ReportCode, Share] = msgspec.field(default_factory=lambda: {"0x00": 1.0})
    """TP-ST of final reports, in proportion to their weights."""
    report_temporary: Share = 0.0
    """A temporary one first; the final one follows after another `report_delay`."""
    report_temporary_state: ReportCode = "0x30"
    report_recipient: Literal["same", "unknown", "national"] = "same"
    """TP-RA: as it was written; the same digits of unknown type; without the country's two digits."""
    report_repeated: Share = 0.0
    """Reports that come twice."""

    # messages to the modem
    radio: Seconds = 0.0
    """Each takes so long over the air; one at a time."""
    acknowledge_within: Seconds = 20.0
    """AT+CNMA; after that both direct routings are switched off (3GPP TS 27.005, clause 3.4.1)."""
    retry: Seconds = 30.0
    """The network tries again what the modem did not take."""
    mailbox: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    """Messages and reports that the network keeps; above it they are lost, and counted."""

    # USSD
    ussd: dict[str, str] = msgspec.field(default_factory=lambda: {"*100#": "Balance: 12.50"})
    """Answers; one that ends with `?` wants a reply, which is looked up likewise. Others: +CUSD: 4."""
    ussd_delay: Seconds = 0.0


def convert(fields: dict[str, object], place: str) -> Behaviour:
    """A behaviour from its fields; `place` is where they come from, for the error.

    Raises:
        ConfigError: a field is unknown or wrong.
    """
    try:
        behaviour = msgspec.convert(fields, Behaviour)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `")
        path = path.replace("key` in `", "").strip("`").removeprefix("$").lstrip(".")
        raise ConfigError(f"{place}: {path}" if path else place, problem) from None
    if behaviour.family not in FAMILIES:
        raise ConfigError(f"{place}: family", f"expected one of {', '.join(FAMILIES)}")
    if not any(behaviour.report_states.values()):
        raise ConfigError(f"{place}: report_states", "expected at least one state with a weight above 0")
    return behaviour


def read(path: Path) -> Behaviour:
    """A behaviour from a TOML file.

    Raises:
        ConfigError: the file can't be read, or a field is unknown or wrong.
    """
    return convert(read_fields(path), str(path))
