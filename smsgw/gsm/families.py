"""Families of modems, as data: in what they differ where the specifications leave a choice.

A family is found by what the modem says to AT+CGMI and AT+CGMM, so nothing has to be configured. A new
quirk is a field, its one reader, and a row in the tests. No row was tried on the hardware itself yet; the
connection probes, so that a wrong row costs a few commands.
"""

from __future__ import annotations

import msgspec


class Indication(msgspec.Struct, frozen=True):
    """The parameters of AT+CNMI. `direct`: messages come as +CMT; `reports`: status reports come at all."""

    parameters: str

    @property
    def direct(self) -> bool:
        return self.parameters.split(",")[1] == "2"

    @property
    def reports(self) -> bool:
        return self.parameters.split(",")[3] != "0"


def _indications(*parameters: str) -> tuple[Indication, ...]:
    return tuple(map(Indication, parameters))


DIRECT = _indications("2,2,0,1,0", "2,2,0,1,1", "1,2,0,1,0", "3,2,0,1,0")
STORED = _indications(
    "2,1,0,2,0", "2,1,0,1,0", "1,1,0,2,0", "1,1,0,1,0", "3,1,0,1,0", "2,1,0,0,0", "1,1,0,0,0"
)


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """`names` are looked for in manufacturer and model, in lower case.

    `init` are commands of its own, tried and forgiven. `direct` are the forms of AT+CNMI for direct
    routing that are worth trying, none where acknowledgements are known not to work; `stored` those for
    storage. `acknowledge` is what takes a message, `decline` what makes the network repeat it, empty
    where there is no such thing. `memories` in the order in which incoming messages should be stored.
    `prompt_timeout` is in seconds. `ussd_packed`: USSD texts are septets in hex.
    """

    name: str
    names: tuple[str, ...] = ()
    init: tuple[str, ...] = ()
    direct: tuple[Indication, ...] = DIRECT
    stored: tuple[Indication, ...] = STORED
    acknowledge: str = "AT+CNMA"
    decline: str = "AT+CNMA=2"
    memories: tuple[str, ...] = ("ME", "SM")
    prompt_timeout: float = 10.0
    ussd_packed: bool = False


GENERIC = Family(name="generic")

FAMILIES = (
    Family(
        name="SIMCom",
        names=("simcom", "sim800", "sim900", "sim7"),
        init=("AT+CLTS=0",),
        acknowledge="AT+CNMA=0",
        memories=("SM", "ME"),
    ),
    Family(name="Quectel", names=("quectel",), init=('AT+QINDCFG="all",0',), memories=("ME", "SM")),
    Family(
        name="Huawei",
        names=("huawei",),
        # periodic reports off; sticks without the command say ERROR
        init=("AT^CURC=0",),
        # many take AT+CSMS=1 and then know no AT+CNMA
        direct=(),
        memories=("SM", "ME"),
        ussd_packed=True,
    ),
    Family(
        name="ZTE",
        names=("zte",),
        # online, should it have been left in a low power mode
        init=("AT+ZOPRT=5",),
        direct=(),
        memories=("SM", "ME"),
        prompt_timeout=15.0,
    ),
    Family(
        name="Wavecom",
        names=("wavecom", "sierra"),
        init=("AT+WIND=0",),
        memories=("SM", "ME"),
        prompt_timeout=15.0,
    ),
    Family(
        name="Cinterion",
        names=("siemens", "cinterion", "gemalto", "thales"),
        init=("AT^SSET=0",),
        acknowledge="AT+CNMA=0",
        memories=("SM", "ME"),
    ),
    Family(name="u-blox", names=("u-blox", "ublox"), acknowledge="AT+CNMA=1"),
    Family(name="Nokia", names=("nokia",), direct=(), memories=("ME", "SM"), prompt_timeout=20.0),
    Family(name="Sony Ericsson", names=("ericsson",), direct=(), memories=("ME", "SM"), prompt_timeout=20.0),
)


def family_of(manufacturer: str, model: str) -> Family:
    told = f"{manufacturer} {model}".lower()
    return next((family for family in FAMILIES if any(name in told for name in family.names)), GENERIC)
