"""What modems and networks answer when they refuse, and whose fault that is.

`+CMS ERROR` comes of commands about messages (3GPP TS 27.005, clause 3.2.5): up to 127 the network's
RP-Cause (TS 24.011, annex E.2), from 128 the message centre's TP-FCS (TS 23.040, clause 9.2.3.22), from
300 the modem's own, from 512 the manufacturer's. `+CME ERROR` comes of the others (TS 27.007, clause 9.2).

The class says what to do: `permanent`, this message, now and later; `temporary`, worth another try;
`link`, the modem, its SIM or its network, so that every message would fare the same; `unknown`.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

ErrorClass: TypeAlias = Literal["permanent", "temporary", "link", "unknown"]
Kind: TypeAlias = Literal["cms", "cme"]


class Error(msgspec.Struct, frozen=True):
    """A refusal: `code` None where it has none, or a text that nobody knows."""

    kind: Kind | None
    code: int | None
    name: str
    error_class: ErrorClass


_Table: TypeAlias = dict[int, tuple[str, ErrorClass]]

_CMS: _Table = {
    # RP-Cause
    1: ("unassigned (unallocated) number", "permanent"),
    8: ("operator determined barring", "link"),
    10: ("call barred", "link"),
    17: ("network failure", "temporary"),
    21: ("short message transfer rejected", "permanent"),
    22: ("memory capacity exceeded", "temporary"),
    27: ("destination out of service", "temporary"),
    28: ("unidentified subscriber", "permanent"),
    29: ("facility rejected", "permanent"),
    30: ("unknown subscriber", "permanent"),
    38: ("network out of order", "temporary"),
    41: ("temporary failure", "temporary"),
    42: ("congestion", "temporary"),
    47: ("resources unavailable, unspecified", "temporary"),
    50: ("requested facility not subscribed", "link"),
    69: ("requested facility not implemented", "permanent"),
    81: ("invalid short message transfer reference value", "temporary"),
    95: ("invalid message, unspecified", "permanent"),
    96: ("invalid mandatory information", "permanent"),
    97: ("message type non-existent or not implemented", "permanent"),
    98: ("message not compatible with short message protocol state", "temporary"),
    99: ("information element non-existent or not implemented", "permanent"),
    111: ("protocol error, unspecified", "temporary"),
    127: ("interworking, unspecified", "temporary"),
    # TP-FCS
    128: ("telematic interworking not supported", "permanent"),
    129: ("short message type 0 not supported", "permanent"),
    130: ("cannot replace short message", "permanent"),
    143: ("unspecified TP-PID error", "permanent"),
    144: ("data coding scheme (alphabet) not supported", "permanent"),
    145: ("message class not supported", "permanent"),
    159: ("unspecified TP-DCS error", "permanent"),
    160: ("command cannot be actioned", "permanent"),
    161: ("command unsupported", "permanent"),
    175: ("unspecified TP-command error", "permanent"),
    176: ("TPDU not supported", "permanent"),
    192: ("SC busy", "temporary"),
    193: ("no SC subscription", "link"),
    194: ("SC system failure", "temporary"),
    195: ("invalid SME address", "permanent"),
    196: ("destination SME barred", "permanent"),
    197: ("SM rejected, duplicate SM", "permanent"),
    198: ("TP-VPF not supported", "permanent"),
    199: ("TP-VP not supported", "permanent"),
    208: ("(U)SIM SMS storage full", "temporary"),
    209: ("no SMS storage capability in (U)SIM", "link"),
    210: ("error in MS", "temporary"),
    211: ("memory capacity exceeded", "temporary"),
    212: ("(U)SIM application toolkit busy", "temporary"),
    213: ("(U)SIM data download error", "temporary"),
    255: ("unspecified error cause", "temporary"),
    # the modem's own
    300: ("ME failure", "link"),
    301: ("SMS service of ME reserved", "link"),
    302: ("operation not allowed", "link"),
    303: ("operation not supported", "link"),
    304: ("invalid PDU mode parameter", "unknown"),  # also where octets got lost on the line
    305: ("invalid text mode parameter", "permanent"),
    310: ("(U)SIM not inserted", "link"),
    311: ("(U)SIM PIN required", "link"),
    312: ("PH-(U)SIM PIN required", "link"),
    313: ("(U)SIM failure", "link"),
    314: ("(U)SIM busy", "temporary"),
    315: ("(U)SIM wrong", "link"),
    316: ("(U)SIM PUK required", "link"),
    317: ("(U)SIM PIN2 required", "link"),
    318: ("(U)SIM PUK2 required", "link"),
    320: ("memory failure", "link"),
    321: ("invalid memory index", "permanent"),
    322: ("memory full", "temporary"),
    330: ("SMSC address unknown", "link"),
    331: ("no network service", "link"),
    332: ("network timeout", "temporary"),
    340: ("no +CNMA acknowledgement expected", "permanent"),
    500: ("unknown error", "unknown"),
    # of several manufacturers alike (Wavecom's numbers)
    512: ("MM establishment failure", "temporary"),
    513: ("lower layer failure", "temporary"),
    514: ("CP error", "temporary"),
    515: ("please wait, initialisation or command in progress", "temporary"),
}

_CME: _Table = {
    0: ("phone failure", "link"),
    1: ("no connection to phone", "link"),
    2: ("phone-adaptor link reserved", "link"),
    3: ("operation not allowed", "permanent"),
    4: ("operation not supported", "permanent"),
    5: ("PH-SIM PIN required", "link"),
    6: ("PH-FSIM PIN required", "link"),
    7: ("PH-FSIM PUK required", "link"),
    10: ("SIM not inserted", "link"),
    11: ("SIM PIN required", "link"),
    12: ("SIM PUK required", "link"),
    13: ("SIM failure", "link"),
    14: ("SIM busy", "temporary"),
    15: ("SIM wrong", "link"),
    16: ("incorrect password", "link"),
    17: ("SIM PIN2 required", "link"),
    18: ("SIM PUK2 required", "link"),
    20: ("memory full", "temporary"),
    21: ("invalid index", "permanent"),
    22: ("not found", "permanent"),
    23: ("memory failure", "link"),
    24: ("text string too long", "permanent"),
    25: ("invalid characters in text string", "permanent"),
    26: ("dial string too long", "permanent"),
    27: ("invalid characters in dial string", "permanent"),
    30: ("no network service", "link"),
    31: ("network timeout", "temporary"),
    32: ("network not allowed - emergency calls only", "link"),
    40: ("network personalization PIN required", "link"),
    41: ("network personalization PUK required", "link"),
    42: ("network subset personalization PIN required", "link"),
    43: ("network subset personalization PUK required", "link"),
    44: ("service provider personalization PIN required", "link"),
    45: ("service provider personalization PUK required", "link"),
    46: ("corporate personalization PIN required", "link"),
    47: ("corporate personalization PUK required", "link"),
    48: ("hidden key required", "link"),
    49: ("EAP method not supported", "permanent"),
    50: ("incorrect parameters", "permanent"),
    100: ("unknown", "unknown"),
    515: ("please wait, initialisation or command in progress", "temporary"),
}

TABLES: dict[Kind, _Table] = {"cms": _CMS, "cme": _CME}


def _plain(name: str) -> str:
    """Modems write the names with and without (U), in any case."""
    return " ".join(name.lower().replace("(u)", "").replace("usim", "sim").split())


_CODES = {
    kind: {_plain(name): code for code, (name, _) in reversed(table.items())}
    for kind, table in TABLES.items()
}


def read(kind: Kind, text: str) -> Error:
    """What stands behind `+CMS ERROR:` or `+CME ERROR:`: a number, or one of the names."""
    text = text.strip()
    code = (
        int(text) if text.isascii() and text.isdigit() and len(text) < 6 else _CODES[kind].get(_plain(text))
    )
    if code is None:
        return Error(kind, None, text[:80] or "no code", "unknown")
    name, error_class = TABLES[kind].get(code, (f"code {code}", "unknown"))
    return Error(kind, code, name, error_class)


PLAIN = Error(None, None, "ERROR", "unknown")
"""A modem that says no more than `ERROR`."""


def is_busy(error: Error) -> bool:
    """The modem or its SIM is not ready yet: the same command passes a little later."""
    return (error.kind, error.code) in {("cme", 14), ("cms", 314), ("cme", 515), ("cms", 515), ("cms", 301)}


def is_full(error: Error) -> bool:
    """The storage has no room for another message."""
    return (error.kind, error.code) in {("cms", 322), ("cme", 20), ("cms", 208)}
