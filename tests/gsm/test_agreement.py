"""smspdudecoder and Wireshark read thousands of random TPDUs of ours as we do; where not, it is said why."""

from __future__ import annotations

import json
import random
import shutil
import struct
import subprocess
from collections import defaultdict
from datetime import UTC, datetime, timedelta, timezone
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from smspdudecoder.fields import SMSDeliver, SMSSubmit

from smsgw.gsm.addresses import Address, Npi, Ton
from smsgw.gsm.messages import coding_of, fragment, user_data
from smsgw.gsm.status import Status
from smsgw.gsm.times import Enhanced, Relative, Timestamp, Validity, enhanced, timestamp
from smsgw.gsm.tpdu import (
    Command,
    Deliver,
    DeliverReport,
    StatusReport,
    Submit,
    SubmitReport,
    Tpdu,
    UserData,
    encode,
    to_hex,
)
from smsgw.sms import join
from smsgw.sms.alphabets import ESCAPE
from smsgw.sms.coding import Coding, choose
from smsgw.sms.packing import unpack
from smsgw.sms.shift_tables import LOCKING, SINGLE, UNDEFINED
from smsgw.sms.split import Part, split

COUNT = 3000
GSM = sorted(set(LOCKING[0] + SINGLE[0]) - {UNDEFINED, "\n", "\r", "\f"})
UCS2 = [*"ж日 aé€", "😀"]
LETTERS = "ABCDEFghij 0123@_"


class Dice:
    """Random TPDUs of everything that both sides know."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def flag(self) -> bool:
        return self._random.random() < 0.5

    def octet(self) -> int:
        return self._random.randrange(256)

    def address(self, digits: str = "0123456789*#abc") -> Address:
        if self._random.random() < 0.2:
            return Address(
                "".join(self._random.choices(LETTERS, k=self._random.randint(1, 11))), Ton.ALPHANUMERIC, 0
            )
        ton = self._random.choice([Ton.UNKNOWN, Ton.INTERNATIONAL, Ton.NATIONAL, Ton.NETWORK_SPECIFIC])
        npi = self._random.choice([Npi.UNKNOWN, Npi.ISDN, Npi.NATIONAL, Npi.PRIVATE])
        return Address("".join(self._random.choices(digits, k=self._random.randint(1, 20))), ton, npi)

    def time(self) -> Timestamp:
        zone = timezone(timedelta(minutes=15 * self._random.randint(-48, 56)))
        second = self._random.randrange(2_000_000_000)
        return timestamp((datetime(2001, 1, 1, tzinfo=UTC) + timedelta(seconds=second)).astimezone(zone))

    def part(self) -> Part:
        characters = self._random.choice([GSM, UCS2])
        text = "".join(self._random.choices(characters, k=self._random.randrange(1, 400)))
        coding = choose(text, form=self._random.choice(["udh", "udh16"]))
        assert isinstance(coding, Coding)
        return self._random.choice(split(coding, reference=self._random.randrange(65536)))

    def validity(self) -> Validity | None:
        return self._random.choice(
            [None, Relative(self.octet()), self.time(), enhanced(3661), enhanced(60, single_shot=True)]
        )

    def deliver(self, digits: str = "0123456789*#abc") -> Deliver:
        part = self.part()
        return Deliver(
            originator=self.address(digits),
            timestamp=self.time(),
            protocol=self.octet(),
            coding=coding_of(part),
            data=user_data(part.payload, part.encoding, part.udh),
            has_header=bool(part.udh),
            more_messages=self.flag(),
            loop=self.flag(),
            status_report=self.flag(),
            reply_path=self.flag(),
        )

    def submit(self, digits: str = "0123456789*#abc") -> Submit:
        part = self.part()
        return Submit(
            destination=self.address(digits),
            reference=self.octet(),
            validity=self.validity(),
            protocol=self.octet(),
            coding=coding_of(part),
            data=user_data(part.payload, part.encoding, part.udh),
            has_header=bool(part.udh),
            reject_duplicates=self.flag(),
            status_report=self.flag(),
            reply_path=self.flag(),
        )

    def report(self) -> StatusReport:
        return StatusReport(
            reference=self.octet(),
            recipient=self.address(),
            timestamp=self.time(),
            discharged=self.time(),
            status=Status(self._random.randrange(128)),
            more_messages=self.flag(),
            loop=self.flag(),
            of_command=self.flag(),
        )

    def command(self) -> Command:
        return Command(
            destination=self.address(),
            kind=self._random.randrange(4),
            reference=self.octet(),
            number=self.octet(),
            status_report=self.flag(),
        )

    def submit_report(self) -> SubmitReport:
        cause = 0x80 | self._random.randrange(128) if self.flag() else None
        return SubmitReport(
            timestamp=self.time(), cause=cause, protocol=self.octet() if self.flag() else None
        )

    def deliver_report(self) -> DeliverReport:
        cause = 0x80 | self._random.randrange(128) if self.flag() else None
        return DeliverReport(cause=cause, coding=4, data=UserData(3, b"abc"))


def text_of(tpdu: Deliver | Submit) -> str:
    found = join.join([fragment(tpdu)]).text
    # half a surrogate pair never stands at a part's end: parts are cut where characters end
    assert found is not None
    return found


# -- smspdudecoder


def check_number(told: dict[str, Any], address: Address) -> None:
    if address.ton == Ton.ALPHANUMERIC:
        # it reads as many septets as the octets hold, of which the last may be spare bits: an @
        assert told["number"].rstrip("@") == address.value.rstrip("@")
    else:
        assert told["number"] == address.value
    assert told["toa"]["ton"] == {3: "specific"}.get(address.ton, Ton(address.ton).name.lower())
    assert told["toa"]["npi"] == Npi(address.npi).name.lower()


def check_data(told: dict[str, Any], tpdu: Deliver | Submit) -> None:
    found = fragment(tpdu)
    data, text = told["user_data"]["data"], text_of(tpdu)
    if found.charset == "gsm7":
        # it counts characters where TP-UDL counts septets: behind an escape spare bits come out as an @
        data, text = data.rstrip("@"), text.rstrip("@")
        # and it decodes the header as text: an escape that it finds there costs the text a character
        header = unpack(tpdu.data.octets, tpdu.data.length - len(found.payload))
        if ESCAPE in header:
            assert text.endswith(data)
            return
    assert data == text
    if found.total > 1:
        (element,) = told["user_data"]["header"]["elements"]
        assert element["data"] == {
            "reference": found.reference,
            "parts_count": found.total,
            "part_number": found.number,
        }


def test_smspdudecoder_reads_deliver() -> None:
    """With decimal digits only: it shows the others as the hex of their nibbles."""
    dice = Dice(23040)
    for _ in range(COUNT):
        tpdu = dice.deliver("0123456789")
        told = SMSDeliver.decode(StringIO(to_hex(tpdu, Address("46700000000"))[0]))
        assert told["smsc"]["number"] == "46700000000"
        assert told["header"] == {
            "rp": tpdu.reply_path,
            "udhi": tpdu.has_header,
            "sri": tpdu.status_report,
            "lp": tpdu.loop,
            # the bit is zero where there are more (23.040, 9.2.3.2); it shows the bit
            "mms": not tpdu.more_messages,
            "mti": "deliver",
        }
        check_number(told["sender"], tpdu.originator)
        assert told["pid"] == tpdu.protocol
        assert told["scts"] == tpdu.timestamp.moment
        check_data(told, tpdu)


def test_smspdudecoder_reads_submit() -> None:
    dice = Dice(23041)
    for _ in range(COUNT):
        tpdu = dice.submit("0123456789")
        told = SMSSubmit.decode(StringIO(to_hex(tpdu)[0]))
        header = told["header"]
        assert (header["rp"], header["udhi"], header["srr"], header["rd"], header["mti"]) == (
            tpdu.reply_path,
            tpdu.has_header,
            tpdu.status_report,
            tpdu.reject_duplicates,
            "submit",
        )
        assert told["message-ref"] == tpdu.reference
        check_number(told["recipient"], tpdu.destination)
        check_validity(told, tpdu.validity)
        check_data(told, tpdu)


UNITS = {"minutes": 60, "hours": 3600, "days": 86400, "weeks": 7 * 86400}


def check_validity(told: dict[str, Any], validity: Validity | None) -> None:
    if isinstance(validity, Relative):
        assert told["vp"] == validity.octet
        (seconds,) = (
            told[f"validity-{unit}"] * size for unit, size in UNITS.items() if f"validity-{unit}" in told
        )
        # in minutes it forgets that 0 means five, and half hours it rounds down (23.040, 9.2.3.12.1)
        off = 300 if validity.octet < 144 else 1800 * (validity.octet % 2 == 0 and validity.octet < 168)
        assert seconds + off == validity.seconds
    elif isinstance(validity, Timestamp):
        assert told["vp"] == validity.moment
    else:
        # of the enhanced format it reads nothing
        assert "vp" not in told


# -- Wireshark

SENT, RECEIVED = 0, 1
"""Wireshark's direction: sent to the phone, received from it."""

TO_PHONE = (Deliver, StatusReport, SubmitReport)


def exported(tag: int, value: bytes) -> bytes:
    return struct.pack(">HH", tag, len(value)) + value


def capture(tpdus: list[Tpdu]) -> bytes:
    """A file of exported PDUs: each names its dissector (12) and its direction (35)."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 252)]
    for index, tpdu in enumerate(tpdus):
        direction = SENT if isinstance(tpdu, TO_PHONE) else RECEIVED
        packet = (
            exported(12, b"gsm_sms\0")
            + exported(35, struct.pack(">I", direction))
            + exported(0, b"")
            + encode(tpdu)
        )
        out.append(struct.pack("<IIII", index, 0, len(packet), len(packet)) + packet)
    return b"".join(out)


def flatten(tree: Any, found: dict[str, list[str]]) -> dict[str, list[str]]:
    """All fields of a dissection, wherever they stand, with all values each."""
    for name, value in tree.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                found[name].append("")
                flatten(each, found)
            else:
                found[name].append(each)
    return found


def dissected(tpdus: list[Tpdu], folder: Path) -> list[dict[str, list[str]]]:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed (Debian package tshark)")
    path = folder / "tpdus.pcap"
    path.write_bytes(capture(tpdus))
    command = [tshark, "-r", path, "-o", "gsm_sms.reassemble:FALSE", "-T", "json", "--no-duplicate-keys"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=120)
    return [flatten(packet["_source"]["layers"], defaultdict(list)) for packet in json.loads(done.stdout)]


def number(found: dict[str, list[str]], name: str) -> int:
    return int(found[f"gsm_sms.{name}"][0], 0)


def check(found: dict[str, list[str]], **wanted: int) -> None:
    assert {name: number(found, name.replace("__", ".").replace("_", "-")) for name in wanted} == wanted


def check_address(found: dict[str, list[str]], address: Address) -> None:
    (shown,) = (
        found[f"gsm_sms.{name}"] for name in ("tp-oa", "tp-da", "tp-ra") if f"gsm_sms.{name}" in found
    )
    assert shown == [address.value]
    assert number(found, "dis_field_addr.num_type") == address.ton
    assert number(found, "dis_field_addr.num_plan") == address.npi


def check_times(found: dict[str, list[str]], *times: Timestamp) -> None:
    for place, time in enumerate(times):
        moment = time.moment
        assert moment is not None
        shown = [
            int(found[f"gsm_sms.scts.{name}"][place], 0)
            for name in ("year", "month", "day", "hour", "minutes", "seconds")
        ]
        assert shown == [
            moment.year - 2000,
            moment.month,
            moment.day,
            moment.hour,
            moment.minute,
            moment.second,
        ]


def check_deliver(found: dict[str, list[str]], tpdu: Deliver) -> None:
    check(
        found,
        tp_mti=0,
        tp_mms=not tpdu.more_messages,
        tp_lp=tpdu.loop,
        tp_sri=tpdu.status_report,
        tp_udhi=tpdu.has_header,
        tp_rp=tpdu.reply_path,
        tp_pid=tpdu.protocol,
        tp_dcs=tpdu.coding,
    )
    check_address(found, tpdu.originator)
    check_times(found, tpdu.timestamp)
    assert number(found, "tp.user_data_length") == tpdu.data.length
    assert found["gsm_sms.sms_text"] == [text_of(tpdu)]


def check_submit(found: dict[str, list[str]], tpdu: Submit) -> None:
    form = {type(None): 0, Enhanced: 1, Relative: 2, Timestamp: 3}[type(tpdu.validity)]
    check(
        found,
        tp_mti=1,
        tp_rd=tpdu.reject_duplicates,
        tp_vpf=form,
        tp_srr=tpdu.status_report,
        tp_udhi=tpdu.has_header,
        tp_rp=tpdu.reply_path,
        tp_mr=tpdu.reference,
        tp_pid=tpdu.protocol,
        tp_dcs=tpdu.coding,
    )
    check_address(found, tpdu.destination)
    if isinstance(tpdu.validity, Timestamp):
        check_times(found, tpdu.validity)
    if isinstance(tpdu.validity, Enhanced):
        assert number(found, "vp.single_shot_sm") == tpdu.validity.single_shot
        assert number(found, "vp.validity_period_format") == tpdu.validity.octets[0] & 7
    assert number(found, "tp.user_data_length") == tpdu.data.length
    assert found["gsm_sms.sms_text"] == [text_of(tpdu)]


def check_report(found: dict[str, list[str]], tpdu: StatusReport) -> None:
    check(found, tp_mti=2, tp_mms=not tpdu.more_messages, tp_lp=tpdu.loop, tp_srq=tpdu.of_command)
    assert number(found, "tp-mr") == tpdu.reference
    check_address(found, tpdu.recipient)
    check_times(found, tpdu.timestamp, tpdu.discharged)
    assert number(found, "dis_field.st_error") == tpdu.status.code >> 5
    assert number(found, "dis.field_st_reason") == tpdu.status.code & 0x1F


def check_command(found: dict[str, list[str]], tpdu: Command) -> None:
    check(found, tp_mti=2, tp_srr=tpdu.status_report, tp_mr=tpdu.reference, tp_pid=tpdu.protocol)
    assert number(found, "tp.command_type") == tpdu.kind
    assert number(found, "tp.message_number") == tpdu.number
    check_address(found, tpdu.destination)


def check_answer(found: dict[str, list[str]], tpdu: SubmitReport | DeliverReport) -> None:
    check(found, tp_mti=1 if isinstance(tpdu, SubmitReport) else 0, tp_udhi=0)
    assert [int(cause, 0) for cause in found["gsm_sms.tp-fcs"]] == (
        [] if tpdu.cause is None else [tpdu.cause]
    )
    assert ("gsm_sms.tp-pid" in found) == (tpdu.protocol is not None)
    if isinstance(tpdu, SubmitReport):
        check_times(found, tpdu.timestamp)
    else:
        assert number(found, "tp.user_data_length") == 3


CHECKS: dict[str, Any] = {
    "deliver": check_deliver,
    "submit": check_submit,
    "report": check_report,
    "command": check_command,
    "submit_report": check_answer,
    "deliver_report": check_answer,
}


def has_no_country(tpdu: Tpdu) -> bool:
    """Wireshark looks up the country of an international number; digits that are none confuse it."""
    for name in ("originator", "destination", "recipient"):
        found: Address | None = getattr(tpdu, name, None)
        if found is not None and (found.ton, found.npi) == (Ton.INTERNATIONAL, Npi.ISDN):
            return len(found.value) < 3 or not found.value[:3].isdecimal()
    return False


@pytest.mark.parametrize("kind", CHECKS)
def test_wireshark_reads(kind: str, tmp_path: Path) -> None:
    """Text without control characters, which it writes in its own way; of a time zone it keeps no value."""
    dice = Dice(len(kind))
    tpdus = [getattr(dice, kind)() for _ in range(COUNT // 2)]
    for found, tpdu in zip(dissected(tpdus, tmp_path), tpdus, strict=True):
        CHECKS[kind](found, tpdu)
        assert "_ws.malformed" not in found or has_no_country(tpdu)


def test_wireshark_does_warn(tmp_path: Path) -> None:
    """What the other test relies on: one that claims too much is malformed to it."""
    tpdu = Submit(destination=Address("46700000001"))
    whole = capture([tpdu])
    cut = len(whole) - 24 - 16 - 8
    path = tmp_path / "cut.pcap"
    path.write_bytes(whole[:24] + struct.pack("<IIII", 0, 0, cut, cut) + whole[40 : 40 + cut])
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed (Debian package tshark)")
    shown = subprocess.run([tshark, "-r", path, "-V"], capture_output=True, check=True, timeout=60).stdout
    assert b"Malformed" in shown
