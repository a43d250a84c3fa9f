"""Wireshark reads the user data that we make: septets packed after a header, UTF-16, concatenation."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from smsgw.sms.coding import Coding, Form, choose, decode
from smsgw.sms.packing import fill_bits, pack
from smsgw.sms.shift_tables import LOCKING, SINGLE, UNDEFINED
from smsgw.sms.split import Part, split

pytestmark = pytest.mark.skipif(
    not (shutil.which("tshark") and shutil.which("text2pcap")), reason="tshark is not installed"
)

GSM = sorted(set(LOCKING[0] + SINGLE[0]) - {UNDEFINED, "\n", "\r", "\f"})
UCS2 = [*"ж日 aé€", "😀", "e\u0301"]
FIELDS = ("sms_text", "udh.mm.msg_id", "udh.mm.msg_parts", "udh.mm.msg_part")


def sms_deliver(part: Part) -> bytes:
    """The TPDU in which a phone gets the part (3GPP TS 23.040, clause 9.2.2.1)."""
    fill = fill_bits(len(part.udh))
    septets = part.encoding == "gsm7"
    data = part.udh + (pack(part.payload, fill) if septets else part.payload)
    length = (8 * len(part.udh) + fill) // 7 + len(part.payload) if septets else len(data)
    first = 0x44 if part.udh else 0x04
    return (
        bytes.fromhex(f"{first:02x}0b916407214365f700{0 if septets else 8:02x}62113202515200")
        + bytes((length,))
        + data
    )


def dissected(tpdus: list[bytes], folder: Path) -> list[dict[str, str]]:
    """What tshark says of each: the fields by name."""
    dump, capture = folder / "tpdus.txt", folder / "tpdus.pcapng"
    dump.write_text("".join(f"0000 {tpdu.hex(' ')}\n" for tpdu in tpdus))
    subprocess.run(["text2pcap", "-P", "gsm_sms", dump, capture], check=True, capture_output=True, timeout=60)
    chosen = [word for field in FIELDS for word in ("-e", f"gsm_sms.{field}")]
    told = subprocess.run(
        [
            "tshark",
            "-r",
            capture,
            "-o",
            "gsm_sms.reassemble:FALSE",
            "-T",
            "json",
            *chosen,
            "-e",
            "_ws.malformed",
        ],
        check=True,
        capture_output=True,
        timeout=60,
    ).stdout
    packets: list[dict[str, Any]] = json.loads(told)
    return [
        {name.removeprefix("gsm_sms."): values[0] for name, values in packet["_source"]["layers"].items()}
        for packet in packets
    ]


@pytest.mark.parametrize("form", ["udh", "udh16"])
@pytest.mark.parametrize("characters", [GSM, UCS2], ids=["gsm7", "ucs2"])
def test_wireshark_reads_our_parts(characters: list[str], form: Form, tmp_path: Path) -> None:
    """Its default alphabet and ours agree in all that it can show: it writes no control characters."""
    dice = random.Random(23040)
    parts: list[Part] = []
    texts: list[str] = []
    for reference in range(500):
        coding = choose("".join(dice.choices(characters, k=dice.randrange(1, 400))), form=form)
        assert isinstance(coding, Coding)
        for part in split(coding, reference=reference):
            parts.append(part)
            texts.append(text_of(part))
    found = dissected([sms_deliver(part) for part in parts], tmp_path)
    assert [packet["sms_text"] for packet in found] == texts
    assert not any("_ws.malformed" in packet for packet in found)
    assert [concatenation(packet) for packet in found] == [
        (part.reference, part.total, part.number) if part.total > 1 else None for part in parts
    ]


def text_of(part: Part) -> str:
    return decode(part.payload, part.encoding).text


def concatenation(packet: dict[str, str]) -> tuple[int, int, int] | None:
    if "udh.mm.msg_id" not in packet:
        return None
    return int(packet["udh.mm.msg_id"]), int(packet["udh.mm.msg_parts"]), int(packet["udh.mm.msg_part"])


def test_wireshark_does_not_know_national_languages(tmp_path: Path) -> None:
    """It shows the default alphabet's character for a locking shift: no opinion on those tables."""
    coding = choose("ş" * 155, languages=(1,))
    assert isinstance(coding, Coding)
    (packet,) = dissected([sms_deliver(part) for part in split(coding)], tmp_path)
    assert packet["sms_text"] == "æ" * 155
