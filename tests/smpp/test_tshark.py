"""Wireshark's SMPP dissector reads what we write: no warning, and the same values."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from smsgw.smpp.constants import Tag
from smsgw.smpp.pdu import (
    PDUS,
    AlertNotification,
    BindReceiver,
    BindReceiverResp,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    CancelSm,
    CancelSmResp,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    DistributionList,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    Pdu,
    QuerySm,
    QuerySmResp,
    ReplaceSm,
    ReplaceSmResp,
    SmeAddress,
    SubmitMulti,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
    UnsuccessSme,
    encode,
)

BINDING = {
    "system_id": "SMPP3TEST",
    "password": "secret08",
    "system_type": "SUBMIT1",
    "addr_ton": 1,
    "addr_npi": 1,
    "address_range": "^46.*",
}
SOURCE = {"source_addr_ton": 5, "source_addr_npi": 0, "source_addr": "ACME"}
DESTINATION = {"dest_addr_ton": 1, "dest_addr_npi": 1, "destination_addr": "46701234567"}
MESSAGE = {
    **SOURCE,
    **DESTINATION,
    "service_type": "CMT",
    "protocol_id": 0x41,
    "priority_flag": 2,
    "schedule_delivery_time": "261123201500000+",
    "validity_period": "000003120000000R",
    "registered_delivery": 1,
    "replace_if_present_flag": 1,
    "sm_default_msg_id": 7,
    "short_message": b"hello, world",
}
TLV_SAMPLES: dict[Tag, int | str | bytes] = {
    Tag.SOURCE_SUBADDRESS: b"\xa0\x12\x34",
    Tag.DEST_SUBADDRESS: b"\xa0\x12\x34",
    Tag.CALLBACK_NUM: b"\x01\x01\x01" + b"46701234567",
    Tag.CALLBACK_NUM_ATAG: b"\x00ACME",
    Tag.NETWORK_ERROR_CODE: b"\x03\x00\x21",
    Tag.BROADCAST_CONTENT_TYPE: b"\x01\x00\x10",
    Tag.BROADCAST_FREQUENCY_INTERVAL: b"\x09\x00\x10",
    Tag.BROADCAST_AREA_IDENTIFIER: b"\x00area",
    Tag.BROADCAST_END_TIME: "261123201500000+",
    Tag.ITS_SESSION_INFO: b"\x01\x02",
    Tag.MESSAGE_STATE: 2,
    Tag.SC_INTERFACE_VERSION: 0x34,
    Tag.SOURCE_NETWORK_ID: "24007-se",
    Tag.DEST_NETWORK_ID: "24007-se",
}


def sample(tag: Tag) -> int | str | bytes:
    if tag in TLV_SAMPLES:
        return TLV_SAMPLES[tag]
    if tag.kind == "integer":
        return 1
    return "sample" if tag.kind == "cstring" else b"\x01" * max(tag.least, 4 if tag.most > 4 else tag.most)


EXAMPLES: list[Pdu] = [
    BindTransmitter(**BINDING),
    BindReceiver(**BINDING),
    BindTransceiver(**BINDING, interface_version=0x50),
    BindTransmitterResp(system_id="smsc", tlvs=((Tag.SC_INTERFACE_VERSION, 0x34),)),
    BindReceiverResp(system_id="smsc"),
    BindTransceiverResp(command_status=0x0E),
    Outbind(system_id="smsc", password="secret"),
    Unbind(),
    UnbindResp(),
    GenericNack(command_status=0x03),
    SubmitSm(**MESSAGE),
    SubmitSm(**MESSAGE | {"data_coding": 8, "short_message": "hällå".encode("utf-16-be")}),
    SubmitSm(**SOURCE, **DESTINATION, tlvs=((Tag.MESSAGE_PAYLOAD, b"x" * 1000), (0x1400, b"vendor"))),
    SubmitSmResp(message_id="1a2B-3c"),
    SubmitSmResp(command_status=0x58),
    SubmitMulti(
        **SOURCE,
        dest_address=(SmeAddress(1, 1, "46701234567"), DistributionList("friends"), SmeAddress(1, 1, "4790")),
        short_message=b"to many",
    ),
    SubmitMultiResp(message_id="17", unsuccess_sme=(UnsuccessSme(1, 1, "4790", 0x0B),)),
    SubmitMultiResp(message_id="18"),
    DeliverSm(**MESSAGE | {"registered_delivery": 0, "schedule_delivery_time": "", "validity_period": ""}),
    DeliverSm(
        esm_class=4,
        short_message=b"id:1 sub:001 dlvrd:001 submit date:2611232015 done date:2611232016 stat:DELIVRD",
        tlvs=((Tag.RECEIPTED_MESSAGE_ID, "1"), (Tag.MESSAGE_STATE, 2), (Tag.NETWORK_ERROR_CODE, b"\x03\0\0")),
    ),
    DeliverSmResp(),
    DeliverSmResp(command_status=0x64),
    DataSm(**SOURCE, **DESTINATION, registered_delivery=1, tlvs=((Tag.MESSAGE_PAYLOAD, b"hello"),)),
    DataSmResp(message_id="19"),
    QuerySm(**SOURCE, message_id="17"),
    QuerySmResp(message_id="17", final_date="261123201500000+", message_state=2, error_code=1),
    CancelSm(**SOURCE, **DESTINATION, service_type="CMT", message_id="17"),
    CancelSmResp(),
    ReplaceSm(
        **SOURCE,
        message_id="17",
        schedule_delivery_time="261123201500000+",
        validity_period="000003120000000R",
        registered_delivery=1,
        sm_default_msg_id=7,
        short_message=b"instead",
    ),
    ReplaceSmResp(),
    EnquireLink(),
    EnquireLinkResp(),
    AlertNotification(
        **SOURCE, esme_addr_ton=1, esme_addr_npi=1, esme_addr="46700", tlvs=((Tag.MS_AVAILABILITY_STATUS, 1),)
    ),
    *(DataSm(**DESTINATION, tlvs=((int(tag), sample(tag)),)) for tag in Tag),
]


def capture(frames: list[bytes]) -> bytes:
    """A pcap file with one TCP segment per frame, Ethernet and IPv4 around it."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    sequence = 1
    for index, frame in enumerate(frames):
        tcp = struct.pack(">HHIIBBHHH", 40000, 2775, sequence, 1, 5 << 4, 0x18, 65535, 0, 0)
        length = 20 + len(tcp) + len(frame)
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, length, index, 0, 64, 6, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")
        packet = b"\2\0\0\0\0\2\2\0\0\0\0\1\x08\0" + ip + tcp + frame
        out.append(struct.pack("<IIII", index, 0, len(packet), len(packet)) + packet)
        sequence += len(frame)
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


def dissect(path: Path, frames: list[bytes]) -> list[dict[str, list[str]]]:
    """What tshark finds in each frame; `path` is where the capture may be written."""
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed (Debian package tshark)")
    path.write_bytes(capture(frames))
    command = [tshark, "-r", path, "-d", "tcp.port==2775,smpp", "-T", "json", "--no-duplicate-keys"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    return [flatten(packet["_source"]["layers"], defaultdict(list)) for packet in json.loads(done.stdout)]


@pytest.fixture(scope="module")
def dissected(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, list[str]]]:
    path = tmp_path_factory.mktemp("tshark") / "smpp.pcap"
    return dissect(path, [encode(pdu, number) for number, pdu in enumerate(EXAMPLES, 1)])


NUMBERED = [pytest.param(number, id=f"{number}-{type(pdu).__name__}") for number, pdu in enumerate(EXAMPLES)]
TSHARK_NAMES = {
    "short_message": "smpp.message",
    "tlv.billing_identification": "smpp.billing_id",
    "tlv.dest_addr_np_information": "smpp.dest_addr_np_info",
    "tlv.broadcast_content_type_info": "smpp.broadcast_content_type.info",
    "tlv.alert_on_message_delivery": "smpp.alert_on_message_delivery_type",
    "tlv.sc_interface_version": "smpp.SC_interface_version",
}
TIMES = {
    "": ("_r", "0.000000000"),
    "261123201500000+": ("", "Nov 23, 2026 20:15:00.000000000 UTC"),
    "000003120000000R": ("_r", "302400.000000000"),
}
TAKEN_APART = {
    Tag.MS_MSG_WAIT_FACILITIES,
    Tag.CALLBACK_NUM_PRES_IND,
    Tag.CALLBACK_NUM_ATAG,
    Tag.CALLBACK_NUM,
    Tag.NETWORK_ERROR_CODE,
    Tag.BROADCAST_CONTENT_TYPE,
    Tag.BROADCAST_FREQUENCY_INTERVAL,
    Tag.BROADCAST_END_TIME,
    Tag.ITS_SESSION_INFO,
}
"""Shown by tshark as several fields, or as none; that there is no warning, and the length, must do."""

LACKING = {Tag.BROADCAST_REP_NUM}
"""tshark 4.0 reads one octet of broadcast_rep_num's two (5.0, 4.8.4.14) and loses its way."""


def as_tshark(value: int | str | bytes) -> object:
    """A value in the form that `as_number` gives what tshark shows."""
    return value.hex(":") if isinstance(value, bytes) else value


def as_number(shown: str, like: object) -> object:
    return int(shown, 0) if isinstance(like, int) else shown


def bits(found: dict[str, list[str]], *fields: tuple[str, int]) -> int:
    return sum(int(found[name][0], 0) << shift for name, shift in fields)


def check_field(name: str, value: Any, found: dict[str, list[str]]) -> None:
    if name == "esm_class":
        esm = "smpp.esm.submit."
        assert bits(found, (f"{esm}msg_mode", 0), (f"{esm}msg_type", 2), (f"{esm}features", 6)) == value
    elif name == "registered_delivery":
        regdel = "smpp.regdel."
        assert bits(found, (f"{regdel}receipt", 0), (f"{regdel}acks", 2), (f"{regdel}notif", 4)) == value
    elif name in {"schedule_delivery_time", "validity_period", "final_date"}:
        suffix, shown = TIMES[value]
        # tshark files submit_multi's empty validity_period under the other name
        assert (name == "validity_period" and "smpp.dlist" in found) or shown in found[f"smpp.{name}{suffix}"]
    elif name == "service_type":
        assert found["smpp.service_type"] == [value or "(Default)"]
    elif isinstance(value, tuple):
        check_many(value, found)
    elif value or name not in {"message_id", "short_message", "system_id"}:
        shown = found[TSHARK_NAMES.get(name, f"smpp.{name}")]
        assert [as_number(each, value) for each in shown] == [as_tshark(value)]


def check_many(items: tuple[Any, ...], found: dict[str, list[str]]) -> None:
    wanted = defaultdict(list)
    for item in items:
        for name in item.__struct_fields__:
            wanted[f"smpp.{name}"].append(getattr(item, name))
    for name, values in wanted.items():
        assert [as_number(each, values[0]) for each in found[name]] == values


def check_tlv(tag: int, value: int | str | bytes, found: dict[str, list[str]]) -> None:
    position = found["smpp.opt_param_tag"].index(f"0x{tag:04x}")
    length = len(value) if isinstance(value, bytes) else None
    assert length in {None, int(found["smpp.opt_param_len"][position])}
    if tag in TAKEN_APART or tag >= 0x1400:
        return
    name = Tag(tag).name.lower()
    shown = found[TSHARK_NAMES.get(f"tlv.{name}", f"smpp.{name}")]
    assert [as_number(each, value) for each in shown] == [as_tshark(value)]


def lacking(pdu: Pdu) -> bool:
    return any(tag in LACKING for tag, _ in pdu.tlvs)


@pytest.mark.parametrize("number", NUMBERED)
def test_no_warning(dissected: list[dict[str, list[str]]], number: int) -> None:
    found = dissected[number]
    warnings = [name for name in found if name.startswith("_ws")]
    assert bool(warnings) == lacking(EXAMPLES[number]), warnings


@pytest.mark.parametrize("number", NUMBERED)
def test_same_header(dissected: list[dict[str, list[str]]], number: int) -> None:
    found, pdu = dissected[number], EXAMPLES[number]
    assert found["smpp.command_id"] == [f"0x{pdu.command_id:08x}"]
    assert found["smpp.sequence_number"] == [str(number + 1)]
    assert found["smpp.command_length"] == [str(len(encode(pdu)))]
    if pdu.is_response:
        assert found["smpp.command_status"] == [f"0x{pdu.command_status:08x}"]


@pytest.mark.parametrize("number", NUMBERED)
def test_same_fields(dissected: list[dict[str, list[str]]], number: int) -> None:
    found, pdu = dissected[number], EXAMPLES[number]
    for name in pdu.__struct_fields__:
        if name not in {"sequence_number", "command_status", "tlvs"}:
            check_field(name, getattr(pdu, name), found)


@pytest.mark.parametrize("number", NUMBERED)
def test_same_tlvs(dissected: list[dict[str, list[str]]], number: int) -> None:
    found, pdu = dissected[number], EXAMPLES[number]
    assert len(found["smpp.opt_param_tag"]) == len(pdu.tlvs)
    if not lacking(pdu):
        for tag, value in pdu.tlvs:
            check_tlv(tag, value, found)


def test_examples_hold_every_pdu_and_tlv() -> None:
    assert {type(pdu) for pdu in EXAMPLES} == set(PDUS.values())
    assert {tag for pdu in EXAMPLES for tag, _ in pdu.tlvs} >= set(Tag)


def test_tshark_does_warn(tmp_path: Path) -> None:
    """What the other tests rely on: a PDU that is cut short does show a warning."""
    frame = encode(SubmitSm(**MESSAGE), 1)[:-8]
    frame = len(frame).to_bytes(4) + frame[4:]
    (found,) = dissect(tmp_path / "cut.pcap", [frame])
    assert any(name.startswith("_ws") for name in found)
