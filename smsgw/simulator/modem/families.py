"""Families of modems as they are found in the field, as data.

Nothing here is shared with `smsgw.gsm.families`, which holds what the gateway believes of them: what one
side believes wrongly the other must not repeat. A row is a typical member of its family, not every one.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Busy = Literal["buffer", "drop", "abort"]


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """What a family does where the specifications leave a choice, or where it does otherwise.

    `named`: identities are answered with their command's name. `prompt` is written as it stands; `escaped`
    is answered to an ESC there, empty for nothing. `indications` are the patterns of AT+CNMI that are
    taken, a set of digits for each parameter. `services` are the values of AT+CSMS.
    `acknowledgements` are the forms of AT+CNMA, `""` being the bare one; empty: the command is unknown.
    `memories` each with its room, the first one being selected at the start. `memories_named`: as many
    AT+CPMS wants at least. `reports_in` is the memory of status reports for <ds>=2, None where that does
    not exist. `texts`: with AT+CMEE=2 also +CMS ERROR has a text. `bare_errors`: what is no +CMS error is
    a bare ERROR, whatever AT+CMEE says. `without_network` is the code of +CMS ERROR. `busy`: what becomes
    of octets that come while a command runs. `resends`: AT+CMMS exists. `usb`: the port goes away
    with a restart. `banner` are the lines of a restart, `ready` those when the SIM and its messages can
    be used. `noise` is what it says at odd times. `full` is said when the storage is full. `charsets` are
    those of AT+CSCS. `packed`: USSD texts in the default alphabet are septets in hex. `counts_on`: TP-MR
    goes on after a restart. `echo`: so it starts. `unknown` are commands that it does not have, and
    `unknown_says` what it says to them. `extras` are commands of its own that do nothing here. `first_index`
    is that of a memory. `strict_delete`: what is not there can't be deleted (321).
    """

    name: str
    manufacturer: str
    model: str
    revision: str
    named: bool = False
    echo: bool = True
    prompt: str = "\r\n> "
    escaped: str = "OK"
    indications: tuple[str, str, str, str, str] = ("0123", "0123", "023", "01", "01")
    indication: str = "0,0,0,0,0"
    services: tuple[int, ...] = (0, 1)
    acknowledgements: tuple[str, ...] = ("", "0", "1", "2")
    memories: tuple[tuple[str, int], ...] = (("SM", 20), ("ME", 100))
    memories_named: int = 1
    reports_in: str | None = None
    texts: bool = True
    bare_errors: bool = False
    without_network: int = 331
    busy: Busy = "buffer"
    resends: bool = True
    usb: bool = False
    banner: tuple[str, ...] = ()
    ready: tuple[str, ...] = ()
    noise: tuple[str, ...] = ("RING", "+CREG: 1")
    full: str = ""
    charsets: tuple[str, ...] = ("GSM", "IRA", "HEX", "UCS2")
    packed: bool = False
    counts_on: bool = True
    unknown: tuple[str, ...] = ()
    unknown_says: str = "ERROR"
    extras: tuple[str, ...] = ()
    first_index: int = 1
    strict_delete: bool = True


FAMILIES = {
    family.name: family
    for family in (
        Family(
            name="simcom",
            manufacturer="SIMCOM_Ltd",
            model="SIMCOM_SIM800L",
            revision="Revision:1418B05SIM800L24",
            indications=("0123", "0123", "02", "01", "01"),
            indication="2,1,0,0,0",
            acknowledgements=("0", "2"),
            memories=(("SM", 10), ("ME", 20)),
            without_network=500,
            busy="drop",
            banner=("RDY", "+CFUN: 1"),
            extras=("+CLTS", "+CMTE"),
            strict_delete=False,
            ready=("+CPIN: READY", "Call Ready", "SMS Ready"),
            noise=(
                "RING",
                '+CIEV: 1,"20"',
                "+CREG: 1",
                "+CSQ: 18,0",
                "*PSUTTZ: 2026,1,1,0,0,0",
                "UNDER-VOLTAGE WARNNING",
            ),
            counts_on=False,
        ),
        Family(
            name="quectel",
            manufacturer="Quectel",
            model="EC25",
            revision="EC25EFAR06A03M4G",
            indications=("0123", "0123", "023", "012", "01"),
            indication="2,1,0,0,0",
            acknowledgements=("", "0", "1", "2"),
            memories=(("ME", 23), ("SM", 20), ("MT", 43), ("SR", 10)),
            reports_in="SR",
            without_network=331,
            usb=True,
            banner=("RDY",),
            extras=("+QINDCFG", "+QCFG", "+QURCCFG"),
            first_index=0,
            strict_delete=False,
            ready=("+CPIN: READY", "+QUSIM: 1", "+QIND: SMS DONE", "+QIND: PB DONE"),
            noise=('+QIND: "csq",18,99', "+CREG: 1", "RING", "+CTZV: +4"),
            full='+QIND: "smsfull","ME"',
        ),
        Family(
            name="huawei",
            manufacturer="huawei",
            model="E3372",
            revision="21.180.01.00.00",
            prompt="> ",
            escaped="",
            indications=("012", "012", "02", "012", "01"),
            indication="0,1,0,0,0",
            acknowledgements=(),
            memories=(("SM", 20), ("ME", 100), ("SR", 10)),
            reports_in="SM",
            texts=False,
            without_network=500,
            resends=False,
            usb=True,
            banner=("^SYSSTART",),
            extras=("^CURC", "^STSF", "^SYSCFG"),
            unknown_says="COMMAND NOT SUPPORT",
            first_index=0,
            ready=("^SIMST:1", "^SRVST:2", "^MODE:5,4"),
            noise=(
                "^RSSI:18",
                '^HCSQ:"WCDMA",30,30,50',
                "^MODE:5,4",
                "^BOOT:12345678,0,0,0,75",
                "^DSFLOWRPT:00000001,0,0,0,0,0,0",
            ),
            full='^SMMEMFULL: "SM"',
            charsets=("IRA", "UCS2", "GSM"),
            packed=True,
            unknown=("+CNMA", "+CMMS"),
        ),
        Family(
            name="cinterion",
            manufacturer="Cinterion",
            model="MC55i",
            revision="REVISION 04.001",
            indications=("0123", "0123", "023", "012", "1"),
            acknowledgements=("0", "1", "2"),
            memories=(("SM", 10), ("ME", 25), ("MT", 35)),
            reports_in="SM",
            busy="abort",
            banner=("^SYSSTART",),
            extras=("^SSET", "^SCFG", "^SMGO"),
            noise=("^SIS: 0,0,48", "+CREG: 1", "RING", "+CIEV: signal,3"),
            full="^SMGO: 2",
            charsets=("GSM", "UCS2"),
            counts_on=False,
        ),
        Family(
            name="zte",
            manufacturer="ZTE INCORPORATED",
            model="MF180",
            revision="BD_MF180V1.0.0B01",
            prompt="\r\n>",
            escaped="",
            indications=("0123", "01", "02", "01", "01"),
            memories=(("SM", 20), ("ME", 100)),
            services=(0,),
            acknowledgements=(),
            without_network=500,
            usb=True,
            extras=("+ZOPRT", "+ZSNT"),
            ready=('+ZPASR: "UMTS"',),
            noise=('+ZDONR: "NetCom",242,01,"CS_PS","ROAM_OFF"', "+ZUSIMR:2", "+ZEND", "+CREG: 1"),
            unknown=("+CNMA", "+CSMS"),
        ),
        Family(
            name="nokia",
            manufacturer="Nokia",
            model="Nokia 6310i",
            revision="V 07.00 29-03-04 NPL-1",
            prompt="\r\n> \r\n",
            escaped="",
            indications=("02", "01", "0", "01", "0"),
            memories=(("ME", 150), ("SM", 10)),
            memories_named=2,
            texts=False,
            bare_errors=True,
            without_network=500,
            charsets=("GSM", "UCS2"),
            unknown=("+CNMA", "+CMMS", "+CEREG", "+CGREG"),
        ),
        Family(
            name="sonyericsson",
            manufacturer="Sony Ericsson",
            model="AAC-1052011-BV",
            revision="R1A081 prgCXC125582_GENERIC_",
            prompt="> ",
            indications=("23", "013", "0", "02", "0"),
            indication="3,0,0,0,0",
            memories=(("ME", 100), ("SM", 20)),
            memories_named=3,
            reports_in="ME",
            texts=False,
            noise=("*EMWI: 1,1", "+CIEV: 2,3", "*ELAM: 1", "RING"),
            charsets=("GSM", "8859-1", "UTF-8", "UCS2"),
            unknown=("+CNMA", "+CEREG"),
        ),
    )
}
"""By the name that `--family` takes."""
