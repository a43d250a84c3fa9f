"""Agreement with smpplib's codec, octet for octet, in the PDUs and TLVs that it knows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smpplib import command_codes, consts
from smpplib.command import Command
from smpplib.ptypes import ostr
from smpplib.smpp import make_pdu, parse_pdu

from smsgw.smpp.constants import CommandId, Tag, command_name
from smsgw.smpp.fields import CString, Integer, Octets, kinds
from smsgw.smpp.pdu import PDUS, BindReceiver, BindTransceiver, BindTransmitter, Pdu, decode, encode

UNKNOWN_TO_SMPPLIB = {
    "outbind",
    "submit_multi",
    "submit_multi_resp",
    "cancel_sm",
    "cancel_sm_resp",
    "replace_sm",
    "replace_sm_resp",
}
NAMES = sorted({command_name(command_id) for command_id in PDUS} - UNKNOWN_TO_SMPPLIB)
KINDS = {int: "integer", str: "cstring", ostr: "octets"}

LATIN_1 = st.characters(min_codepoint=1, max_codepoint=255)
GRAPHIC = st.characters(min_codepoint=33, max_codepoint=126)

DISAGREE = {
    # two octets in smpplib, one in the specification (3.4, 5.3.2.2 and 5.3.2.8)
    "source_addr_subunit",
    "source_telematics_id",
    # strings in smpplib, octets in the specification (3.4, 5.3.2.15, 5.3.2.16, 5.3.2.31, 5.3.2.38)
    "source_subaddress",
    "dest_subaddress",
    "network_error_code",
    "callback_num_atag",
    # the same two octets, an integer there and octets here (3.4, 5.3.2.43)
    "its_session_info",
    # a string there, an integer here (3.4, 5.3.2.33)
    "delivery_failure_reason",
    # smpplib can't write it at all (3.4, 5.3.2.41)
    "alert_on_message_delivery",
}


def shape_of(name: str) -> type[Pdu]:
    return PDUS[CommandId[name.upper()]]


def optional_of(name: str) -> dict[str, Any]:
    """smpplib's TLVs of a PDU, in its order."""
    peer = make_pdu(name, client=None, sequence=1)
    return {field: peer.params[field] for field in peer.params_order if peer.field_is_optional(field)}


def agrees(field: str, param: Any) -> bool:
    tag = Tag[field.upper()]
    return tag.kind == KINDS.get(param.type) and getattr(param, "size", tag.most) == tag.most


def octets_of(kind: CString | Octets, most: int) -> st.SearchStrategy[Any]:
    if isinstance(kind, Octets):
        return st.binary(max_size=most)
    return st.text(LATIN_1, min_size=kind.exact * most, max_size=most)


def values_of(shape: type[Pdu], name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Values of the mandatory fields that both can hold."""
    peer = make_pdu(name, client=None, sequence=1)
    drawn: dict[str, st.SearchStrategy[Any]] = {}
    for field, kind in kinds(shape).items():
        if isinstance(kind, Integer):
            drawn[field] = st.integers(0, 255)
        else:
            drawn[field] = octets_of(kind, min(kind.size, peer.params[field].max) - isinstance(kind, CString))
    if shape in {BindTransmitter, BindReceiver, BindTransceiver}:
        drawn["interface_version"] = st.just(consts.SMPP_VERSION_34)
    if name == "query_sm":
        drawn["message_id"] = st.text(GRAPHIC, min_size=1, max_size=64)
    return st.fixed_dictionaries(drawn)


def tlv_value(tag: Tag) -> st.SearchStrategy[int | str | bytes]:
    if tag.kind == "integer":
        return st.integers(0, 256**tag.most - 1)
    if tag.kind == "octets":
        return st.binary(min_size=max(tag.least, 1), max_size=min(tag.most, 40))
    return st.text(GRAPHIC, min_size=1, max_size=tag.most - 1)


def tlvs_of(name: str) -> st.SearchStrategy[dict[str, int | str | bytes]]:
    shared = {
        field: tlv_value(Tag[field.upper()])
        for field, param in optional_of(name).items()
        if agrees(field, param)
    }
    return st.fixed_dictionaries({}, optional=shared)


def theirs(name: str, values: dict[str, Any], sequence: int, status: int) -> Command:
    peer = make_pdu(name, client=None, sequence=sequence, **values)
    peer.sequence, peer.status = sequence, status
    return peer


def ours(name: str, values: dict[str, Any], tlvs: dict[str, Any], sequence: int, status: int) -> Pdu:
    order = [field for field in optional_of(name) if field in tlvs]
    pairs = tuple((int(Tag[field.upper()]), tlvs[field]) for field in order)
    return shape_of(name)(**values, tlvs=pairs, sequence_number=sequence, command_status=status)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data(), sequence=st.integers(1, 0x7FFFFFFF))
@settings(max_examples=25, deadline=None)
def test_same_octets_and_same_values(name: str, data: st.DataObject, sequence: int) -> None:
    values = data.draw(values_of(shape_of(name), name))
    tlvs = data.draw(tlvs_of(name))
    if values.get("short_message"):
        tlvs.pop("message_payload", None)
    status = data.draw(st.sampled_from([0, 0x14])) if name.endswith("_resp") and values else 0
    mine, peer = ours(name, values, tlvs, sequence, status), theirs(name, values | tlvs, sequence, status)
    written = peer.generate()
    assert decode(written) == mine
    if any(values.values()) or not status:  # an error's empty body: theirs has its NUL
        assert encode(mine) == written

    read = parse_pdu(encode(mine), client=None, sequence=sequence)
    assert (read.sequence, read.status) == (sequence, status)
    if len(encode(mine)) > 16:
        for field, value in (values | tlvs).items():
            found = getattr(read, field)
            found = found.decode("latin-1") if isinstance(value, str) else found
            assert found == value or (found is None and value == b""), field


def test_every_disagreement_is_known() -> None:
    found = {
        field for name in NAMES for field, param in optional_of(name).items() if not agrees(field, param)
    }
    assert found == DISAGREE


def test_smpplib_knows_the_same_ids() -> None:
    known = {
        name: code for name, code in command_codes.commands.items() if name.upper() in CommandId.__members__
    }
    assert len(known) >= len(NAMES)
    assert all(CommandId[name.upper()] == code for name, code in known.items())


def test_same_tags() -> None:
    known = {name: tag for name, tag in consts.OPTIONAL_PARAMS.items() if name.upper() in Tag.__members__}
    assert len(known) > 40
    assert {name: int(Tag[name.upper()]) for name in known} == known
