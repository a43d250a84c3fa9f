from __future__ import annotations

import struct
from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsgw.errors import Misuse, PeerError, SmsgwError
from smsgw.smpp import operations
from smsgw.smpp.constants import CommandId, CommandStatus, Tag
from smsgw.smpp.fields import (
    CString,
    Integer,
    Many,
    Octets,
    Read,
    Writing,
    kinds,
    plan,
    write_all,
    writes_of,
)
from smsgw.smpp.pdu import (
    PDUS,
    RESPONSE_OF,
    AlertNotification,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    DataSm,
    DeliverSm,
    DeliverSmResp,
    DistributionList,
    EncodeError,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    Pdu,
    PduError,
    QuerySmResp,
    ReplaceSm,
    SmeAddress,
    SubmitMulti,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
    UnknownPdu,
    UnsuccessSme,
    decode,
    encode,
    refusal,
    response_to,
)
from smsgw.smpp.recurring import REMEMBERED, Recurrent, Repeated, plan_to_read, plan_to_write

SHAPES = list(PDUS.values())
CHARACTERS = st.characters(min_codepoint=1, max_codepoint=255)


def value_of(kind: Any) -> st.SearchStrategy[Any]:
    match kind:
        case Integer(size):
            return st.integers(0, 256**size - 1)
        case CString(size, exact):
            full = st.text(CHARACTERS, min_size=(size - 1) * exact, max_size=size - 1)
            return st.just("") | full
        case Octets(size):
            return st.binary(max_size=size)
        case Many(shapes):
            return st.lists(st.one_of([struct_of(shape) for shape in shapes]), max_size=5).map(tuple)
    raise AssertionError(kind)


def struct_of(shape: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    return st.builds(shape, **{name: value_of(kind) for name, kind in kinds(shape).items()})


def tlv_of(tag: Tag) -> st.SearchStrategy[tuple[int, int | str | bytes]]:
    if tag.kind == "integer":
        return st.tuples(st.just(int(tag)), st.integers(0, 256**tag.most - 1))
    if tag.kind == "cstring":
        return st.tuples(st.just(int(tag)), st.text(CHARACTERS, max_size=tag.most - 1))
    return st.tuples(st.just(int(tag)), st.binary(min_size=tag.least, max_size=min(tag.most, 300)))


VENDOR_TLVS = st.tuples(st.integers(0x1400, 0x3FFF), st.binary(max_size=30))
TLVS = st.lists(st.one_of(VENDOR_TLVS, *map(tlv_of, Tag)), max_size=4).map(tuple)
U32 = st.integers(0, 0xFFFFFFFF)


def pdu_of(shape: type[Pdu]) -> st.SearchStrategy[Pdu]:
    fields = {name: value_of(kind) for name, kind in kinds(shape).items()}
    return st.builds(shape, **fields, sequence_number=U32, command_status=U32, tlvs=TLVS)


def filled(kind: Any) -> Any:
    """A value of a kind that is not its default."""
    match kind:
        case Integer():
            return 1
        case CString(size, exact):
            return "7" * (size - 1 if exact else 4)
        case Octets():
            return b"octets"
        case Many(shapes):
            return tuple(
                shape(**{name: filled(each) for name, each in kinds(shape).items()}) for shape in shapes
            )
    raise AssertionError(kind)


def example(shape: type[Pdu]) -> Pdu:
    """A PDU with every field filled, and three TLVs."""
    fields = {name: filled(kind) for name, kind in kinds(shape).items()}
    tlvs = ((int(Tag.SOURCE_PORT), 5), (int(Tag.RECEIPTED_MESSAGE_ID), "id"), (0x1400, b"vendor"))
    return shape(**fields, sequence_number=7, tlvs=tlvs)


def with_length(frame: bytes) -> bytes:
    return len(frame).to_bytes(4) + frame[4:]


def frame_of(command_id: int, body: bytes, status: int = 0, sequence: int = 1) -> bytes:
    return struct.pack(">IIII", 16 + len(body), command_id, status, sequence) + body


# Both ways


@pytest.mark.parametrize("shape", SHAPES)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_every_pdu_comes_back(shape: type[Pdu], data: st.DataObject) -> None:
    pdu = data.draw(pdu_of(shape))
    frame = encode(pdu)
    assert int.from_bytes(frame[:4]) == len(frame)
    assert decode(frame) == pdu


@pytest.mark.parametrize("tag", Tag)
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_every_tlv_comes_back(tag: Tag, data: st.DataObject) -> None:
    pdu = DataSm(tlvs=(data.draw(tlv_of(tag)),))
    assert decode(encode(pdu)) == pdu


def test_the_longest_frame() -> None:
    payload = bytes(0xFFFF)
    pdu = DataSm(tlvs=((int(Tag.MESSAGE_PAYLOAD), payload),))
    assert decode(encode(pdu)).tlv(Tag.MESSAGE_PAYLOAD) == payload


@given(command_id=U32.filter(lambda number: number not in PDUS), body=st.binary(max_size=60), status=U32)
def test_an_unknown_pdu_is_kept_raw(command_id: int, body: bytes, status: int) -> None:
    frame = frame_of(command_id, body, status, 9)
    pdu = decode(frame)
    assert pdu == UnknownPdu(command_id=command_id, body=body, command_status=status, sequence_number=9)
    assert encode(pdu) == frame


def test_the_specifications_own_example() -> None:
    """3.4, 3.2.2: the bind_transmitter that it spells out."""
    frame = bytes.fromhex(
        "0000002F 00000002 00000000 00000001"
        "534D50503354455354 00 7365637265743038 00 5355424D495431 00 00 01 01 00"
    )
    pdu = BindTransmitter(
        system_id="SMPP3TEST",
        password="secret08",
        system_type="SUBMIT1",
        interface_version=0,
        addr_ton=1,
        addr_npi=1,
        sequence_number=1,
    )
    assert decode(frame) == pdu
    assert encode(pdu) == frame


def test_submit_multi_on_the_wire() -> None:
    """number_of_dests, then a dest_flag before each destination (3.4, 4.5.1)."""
    pdu = SubmitMulti(
        dest_address=(SmeAddress(1, 1, "46"), DistributionList("all")), short_message=b"hi", sequence_number=1
    )
    body = b"\0\0\0\0\x02\x01\x01\x0146\0\x02all\0\0\0\0\0\0\0\0\0\0\x02hi"
    assert encode(pdu) == frame_of(0x21, body)
    response = SubmitMultiResp(
        message_id="1", unsuccess_sme=(UnsuccessSme(1, 1, "46", 0x0B),), sequence_number=1
    )
    assert encode(response) == frame_of(0x80000021, b"1\0\x01\x01\x0146\0\0\0\0\x0b")


def test_sequence_number_can_be_given_apart() -> None:
    pdu = EnquireLink(sequence_number=5)
    assert decode(encode(pdu, 77)).sequence_number == 77
    assert decode(encode(pdu)).sequence_number == 5


def test_every_command_of_3_4_has_a_class() -> None:
    broadcast = {command for command in CommandId if "BROADCAST" in command.name}
    assert set(PDUS) == set(CommandId) - broadcast
    for command_id, shape in PDUS.items():
        name = CommandId(command_id).name.replace("_", "").lower()
        assert shape.__name__.lower() == name


def test_every_request_but_two_has_its_response() -> None:
    requests = {shape for command_id, shape in PDUS.items() if command_id < 0x80000000}
    assert requests - set(RESPONSE_OF) == {Outbind, AlertNotification}
    for request, response in RESPONSE_OF.items():
        assert response.command_id == request.command_id | 0x80000000
        assert response.__name__ == request.__name__ + "Resp"


def test_pdus_can_not_be_changed() -> None:
    with pytest.raises(AttributeError):
        SubmitSm().short_message = b"other"  # type: ignore[misc]


def test_tlv_gives_the_first_value() -> None:
    pdu = DataSm(tlvs=((0x1400, b"1"), (0x1401, b"2"), (0x1400, b"3")))
    assert pdu.tlv(0x1400) == b"1"
    assert pdu.tlv(0x1402) is None


def test_what_a_response_is() -> None:
    assert GenericNack().is_response
    assert SubmitSmResp().is_response
    assert UnknownPdu(command_id=0x80000FFF).is_response
    assert not UnknownPdu(command_id=0xFFF).is_response
    assert not SubmitSm().is_response


# What real message centres send


def test_an_error_response_needs_no_body() -> None:
    assert decode(frame_of(0x80000004, b"", 0x58)) == SubmitSmResp(command_status=0x58, sequence_number=1)
    assert decode(frame_of(0x80000004, b"17\0", 0x58)).message_id == "17"  # type: ignore[attr-defined]
    assert decode(frame_of(0x80000003, b"", 0x67)) == QuerySmResp(command_status=0x67, sequence_number=1)


@pytest.mark.parametrize("body", [b"\0", b"1\0\x05", b"1\0\x01\x01", b"\0\x04\x24\xff\xff"])
def test_an_error_response_may_have_a_broken_body(body: bytes) -> None:
    found = decode(frame_of(0x80000021, body, 0x58))
    assert found == SubmitMultiResp(command_status=0x58, sequence_number=1)


def test_an_error_without_words_is_written_without_body() -> None:
    assert len(encode(SubmitSmResp(command_status=0x58))) == 16
    assert len(encode(BindTransceiverResp(command_status=0x0E))) == 16
    assert len(encode(SubmitSmResp())) == 17
    assert len(encode(SubmitSmResp(command_status=0x58, message_id="1"))) == 18
    assert len(encode(DeliverSmResp(command_status=0x64))) == 17


def test_a_response_may_lack_its_last_nul() -> None:
    assert decode(frame_of(0x80000004, b"1a2b")) == SubmitSmResp(message_id="1a2b", sequence_number=1)
    assert decode(frame_of(0x80000004, b"")) == SubmitSmResp(sequence_number=1)
    assert decode(frame_of(0x80000009, b"smsc")) == BindTransceiverResp(system_id="smsc", sequence_number=1)


def test_a_responses_string_may_be_too_long() -> None:
    assert decode(frame_of(0x80000004, b"7" * 200 + b"\0")).message_id == "7" * 200  # type: ignore[attr-defined]


@pytest.mark.parametrize("tail", [b"\0", b"\0\0", b"\0\0\0", b"abc"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_short_tail_is_ignored(shape: type[Pdu], tail: bytes) -> None:
    pdu = example(shape)
    assert decode(with_length(encode(pdu) + tail)) == pdu


def test_a_stray_nul_after_short_message() -> None:
    pdu = DeliverSm(short_message=b"id:1 stat:DELIVRD")
    assert decode(with_length(encode(pdu) + b"\0")) == pdu


def test_short_message_of_255_octets_is_read() -> None:
    """5.0 allows what 3.4 does not; we never write it."""
    body = bytes(16) + b"\xff" + b"x" * 255
    assert decode(frame_of(0x05, body)).short_message == b"x" * 255  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("tag", "octets", "value"),
    [
        (Tag.MESSAGE_STATE, b"\x02", 2),
        (Tag.MESSAGE_STATE, b"\0\x02", b"\0\x02"),
        (Tag.MESSAGE_STATE, b"", b""),
        (Tag.MS_VALIDITY, b"\0\0\0\x01", b"\0\0\0\x01"),
        (Tag.ALERT_ON_MESSAGE_DELIVERY, b"", b""),
        (Tag.RECEIPTED_MESSAGE_ID, b"17\0", "17"),
        (Tag.RECEIPTED_MESSAGE_ID, b"17", "17"),
        (Tag.RECEIPTED_MESSAGE_ID, b"17".ljust(65, b"\0"), "17"),
        (Tag.RECEIPTED_MESSAGE_ID, b"17\0x", b"17\0x"),
        (Tag.RECEIPTED_MESSAGE_ID, b"7" * 65, b"7" * 65),
        (0x1400, b"\0", b"\0"),
    ],
)
def test_tlv_values(tag: int, octets: bytes, value: int | str | bytes) -> None:
    frame = frame_of(0x80000006, struct.pack(">HH", tag, len(octets)) + octets)
    assert decode(frame).tlv(tag) == value


# Errors of the peer


def error_of(frame: bytes) -> PduError:
    with pytest.raises(PduError) as caught:
        decode(frame)
    assert isinstance(caught.value, PeerError)
    return caught.value


@pytest.mark.parametrize(
    ("frame", "field", "offset", "status"),
    [
        (frame_of(0x04, b""), "service_type", 16, "ESME_RINVCMDLEN"),
        (frame_of(0x04, b"TOOLONG\0"), "service_type", 16, "ESME_RINVSERTYP"),
        (frame_of(0x04, b"\0\x01"), "source_addr_npi", 18, "ESME_RINVCMDLEN"),
        (frame_of(0x04, b"\0\0\0" + b"4" * 21 + b"\0"), "source_addr", 19, "ESME_RINVSRCADR"),
        (frame_of(0x04, b"\0\0\0\0\0\0" + b"4" * 5), "destination_addr", 22, "ESME_RINVDSTADR"),
        (frame_of(0x04, bytes(16) + b"\x05hi"), "short_message", 32, "ESME_RINVMSGLEN"),
        (frame_of(0x04, bytes(15)), "sm_default_msg_id", 31, "ESME_RINVCMDLEN"),
        (frame_of(0x04, bytes(16)), "short_message", 32, "ESME_RINVCMDLEN"),
        (frame_of(0x04, bytes(17) + b"\x04\x24\0\x05hi"), "tlv 0x0424", 33, "ESME_RINVTLVSTREAM"),
        (frame_of(0x09, b"s" * 16 + b"\0"), "system_id", 16, "ESME_RINVSYSID"),
        (frame_of(0x09, b"s\0" + b"p" * 9 + b"\0"), "password", 18, "ESME_RINVPASWD"),
        (frame_of(0x21, bytes(4) + b"\x01\x03"), "dest_address[0].dest_flag", 21, "ESME_RINVDESTFLAG"),
        (frame_of(0x21, bytes(4) + b"\x02\x01\0\x006\0"), "dest_address[1].dest_flag", 26, "ESME_RINVCMDLEN"),
        (frame_of(0x21, bytes(4) + b"\x01\x02"), "dest_address[0].dl_name", 22, "ESME_RINVCMDLEN"),
        (frame_of(0x21, bytes(4) + b"\x01"), "dest_address[0].dest_flag", 21, "ESME_RINVCMDLEN"),
        (frame_of(0x80000003, b"1\0\0\x02"), "error_code", 20, "ESME_RINVCMDLEN"),
    ],
)  # fmt: skip
def test_a_broken_body_leaves_the_link_alive(frame: bytes, field: str, offset: int, status: str) -> None:
    error = error_of(frame)
    assert (error.field, error.offset) == (field, offset)
    assert error.status == CommandStatus[status]
    assert not error.fatal
    assert error.command_id == int.from_bytes(frame[4:8])
    assert error.sequence_number == 1
    assert f"{field} at octet {offset}" in str(error)


@pytest.mark.parametrize("frame", [b"", b"\0\0\0\x0f" + bytes(11)])
def test_no_header(frame: bytes) -> None:
    error = error_of(frame)
    assert error.fatal
    assert error.field == "command_length"


@pytest.mark.parametrize("off", [-1, 1])
def test_a_lying_length(off: int) -> None:
    frame = encode(EnquireLink(sequence_number=3))
    error = error_of((len(frame) + off).to_bytes(4) + frame[4:])
    assert error.fatal
    assert (error.command_id, error.sequence_number) == (0x15, 3)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_prefix_of_every_pdu(shape: type[Pdu]) -> None:
    whole = encode(example(shape))
    for end in range(len(whole)):
        with pytest.raises(PduError) as caught:
            decode(whole[:end])
        assert caught.value.fatal
        if end < 16:
            continue
        try:
            found = decode(with_length(whole[:end]))
        except PduError as error:
            assert not error.fatal
            assert 16 <= error.offset <= end
        else:
            assert type(found) is shape


def decodes_or_blames(frame: bytes) -> None:
    """Only our own errors, and what decodes can be written again and means the same."""
    try:
        pdu = decode(frame)
    except PduError as error:
        assert error.fatal or 16 <= error.offset <= len(frame)
        return
    try:
        written = encode(pdu)
    except EncodeError:  # such as a response's string that is too long
        return
    assert decode(written) == pdu


def test_100_000_random_frames() -> None:
    random = Random(34)
    ids = list(PDUS)
    for number in range(100_000):
        octets = random.randbytes(random.randrange(70))
        decodes_or_blames(octets if number % 8 == 0 else frame_of(random.choice(ids), octets, number % 3))


def test_random_changes_of_valid_pdus() -> None:
    random = Random(50)
    frames = [encode(example(shape)) for shape in SHAPES]
    for _ in range(20_000):
        frame = bytearray(random.choice(frames))
        for _ in range(random.randrange(1, 4)):
            frame[random.randrange(4, len(frame))] = random.choice((0, 1, 255, random.randrange(256)))
        decodes_or_blames(bytes(frame))


# Errors of ours


@pytest.mark.parametrize(
    ("pdu", "field"),
    [
        (SubmitSm(short_message=bytes(255)), "short_message"),
        (SubmitSm(short_message="text"), "short_message"),  # type: ignore[arg-type]
        (SubmitSm(source_addr="1" * 21), "source_addr"),
        (SubmitSm(source_addr="a\0b"), "source_addr"),
        (SubmitSm(source_addr="Ω"), "source_addr"),
        (SubmitSm(source_addr=b"123"), "source_addr"),  # type: ignore[arg-type]
        (SubmitSm(data_coding=256), "data_coding"),
        (SubmitSm(dest_addr_npi=-1), "dest_addr_npi"),
        (SubmitSm(esm_class="4"), "esm_class"),  # type: ignore[arg-type]
        (SubmitSm(validity_period="tomorrow"), "validity_period"),
        (SubmitSm(validity_period="0" * 17), "validity_period"),
        (SubmitSm(sequence_number=1 << 32), "sequence_number"),
        (SubmitSm(command_status=-1), "command_status"),
        (UnknownPdu(command_id=1 << 32), "command_id"),
        (BindTransceiver(password="123456789"), "password"),
        (SubmitMulti(dest_address=(SmeAddress(0, 0, "4" * 21),)), "dest_address[0].destination_addr"),
        (SubmitMulti(dest_address=(DistributionList("ok"), UnsuccessSme())), "dest_address[1].dest_flag"),  # type: ignore[arg-type]
        (SubmitMulti(dest_address=(SmeAddress(),) * 256), "dest_address"),
        (SubmitMultiResp(unsuccess_sme=(UnsuccessSme(0, 0, "", -1),)), "unsuccess_sme[0].error_status_code"),
        (ReplaceSm(message_id="7" * 65), "message_id"),
        (DataSm(tlvs=((Tag.SOURCE_PORT, 65536),)), "tlv 0x020A"),
        (DataSm(tlvs=((Tag.SOURCE_PORT, -1),)), "tlv 0x020A"),
        (DataSm(tlvs=((Tag.SOURCE_PORT, "5"),)), "tlv 0x020A"),
        (DataSm(tlvs=((Tag.RECEIPTED_MESSAGE_ID, "7" * 65),)), "tlv 0x001E"),
        (DataSm(tlvs=((Tag.RECEIPTED_MESSAGE_ID, 7),)), "tlv 0x001E"),
        (DataSm(tlvs=((0x1400, 7),)), "tlv 0x1400"),
        (DataSm(tlvs=((0x1400, bytes(65536)),)), "tlv 0x1400"),
        (DataSm(tlvs=((0x10000, b""),)), "tlv 0x10000"),
        (operations.Pdu(), "command_id"),
    ],
)  # fmt: skip
def test_what_can_not_be_written(pdu: Pdu, field: str) -> None:
    with pytest.raises(EncodeError) as caught:
        encode(pdu)
    assert isinstance(caught.value, Misuse)
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")


def test_254_octets_can_be_written() -> None:
    assert decode(encode(SubmitSm(short_message=bytes(254)))).short_message == bytes(254)  # type: ignore[attr-defined]


# What is remembered


@pytest.mark.parametrize("shape", SHAPES)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_what_is_remembered_is_what_each_field_makes(shape: type[Pdu], data: st.DataObject) -> None:
    pdu = data.draw(pdu_of(shape))
    another = data.draw(pdu_of(shape))
    other = msgspec.structs.replace(pdu, **{name: getattr(another, name) for name in shape.varying})
    for each in (pdu, other, pdu):
        assert written(plan_to_write(shape, shape.varying), each) == written(plan(shape), each)


def test_a_stretch_is_written_once() -> None:
    writing = plan_to_write(SubmitSm, SubmitSm.varying)
    stretches = [step for step in writing if isinstance(step, Repeated)]
    for number in range(10):
        written(writing, SubmitSm(source_addr="ACME", destination_addr=f"4670{number}", short_message=b"hi"))
    assert [len(stretch) for stretch in stretches] == [1, 1]


def test_what_is_remembered_has_a_bound() -> None:
    stretch = Repeated(slice(6, 7), plan(SubmitSm)[2:3])
    for number in range(REMEMBERED + 1):
        assert written((stretch,), SubmitSm(source_addr=f"{number}")) == f"{number}\0".encode()
        assert len(stretch) <= REMEMBERED
    assert len(stretch) == 1


def test_what_can_not_be_written_is_not_remembered() -> None:
    for _ in range(2):
        with pytest.raises(EncodeError, match="source_addr"):
            encode(SubmitSm(source_addr=["4670"]))  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", SHAPES)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_what_is_read_again_is_what_each_field_reads(shape: type[Pdu], data: st.DataObject) -> None:
    frame = encode(data.draw(pdu_of(shape)))
    reads = plan_to_read(shape)
    expected = read([step.read for step in plan(shape)], frame)
    assert [read(reads, frame) for _ in range(2)] == [expected, expected]


def test_what_was_read_is_bounded() -> None:
    stretch = Recurrent(2, [plan(SubmitSm)[1].read])
    for number in range(REMEMBERED + 1):
        octets = number.to_bytes(2, "big")
        assert read([stretch.read], bytes(16) + octets) == (list(octets), 18)
        assert len(stretch) <= REMEMBERED
    assert len(stretch) == 1


def test_a_stretch_with_a_string_in_it_is_not_remembered() -> None:
    service_type, ton_npi = (step.read for step in plan(SubmitSm)[:2])
    stretch = Recurrent(3, [service_type, ton_npi])
    assert read([stretch.read], bytes(16) + b"WAP\0\1\2") == (["WAP", 1, 2], 22)
    assert len(stretch) == 0
    for _ in range(2):
        assert read([stretch.read], bytes(16) + b"\0\1\2") == (["", 1, 2], 19)
        assert len(stretch) == 1


def read(reads: Sequence[Read], frame: bytes) -> tuple[list[Any], int]:
    values: list[Any] = []
    offset = 16
    for each in reads:
        offset = each(frame, offset, values)
    return values, offset


def written(steps: Sequence[Writing], pdu: Pdu) -> bytes:
    return write_all(writes_of(steps), msgspec.structs.astuple(pdu))


# Answers


@pytest.mark.parametrize(("request_", "response"), RESPONSE_OF.items())
def test_response_to(request_: type[Pdu], response: type[Pdu]) -> None:
    found = response_to(request_(sequence_number=9), command_status=8)
    assert found == response(sequence_number=9, command_status=8)


def test_an_unknown_request_is_nacked() -> None:
    found = response_to(UnknownPdu(command_id=0x999, sequence_number=9))
    assert found == GenericNack(sequence_number=9, command_status=CommandStatus.ESME_RINVCMDID)


@pytest.mark.parametrize(
    "pdu", [Outbind(), AlertNotification(), EnquireLinkResp(), UnknownPdu(command_id=0x80000999)]
)
def test_what_is_not_answered(pdu: Pdu) -> None:
    with pytest.raises(Misuse, match="not answered"):
        response_to(pdu)


def test_refusal() -> None:
    broken = error_of(frame_of(0x04, b"TOOLONG\0", sequence=9))
    assert refusal(broken) == SubmitSmResp(sequence_number=9, command_status=CommandStatus.ESME_RINVSERTYP)
    outbind = error_of(frame_of(0x0B, b"", sequence=9))
    assert refusal(outbind) == GenericNack(sequence_number=9, command_status=CommandStatus.ESME_RINVCMDLEN)
    assert refusal(error_of(frame_of(0x80000003, b"1\0"))) is None


def test_only_our_own_errors() -> None:
    assert issubclass(PduError, SmsgwError)
    assert issubclass(EncodeError, SmsgwError)


def test_reprs_keep_secrets() -> None:
    multi = SubmitMulti(
        source_addr="46700000001",
        dest_address=(SmeAddress(1, 1, "46700000002"), DistributionList("all")),
        short_message=b"secret text",
        tlvs=((int(Tag.MESSAGE_PAYLOAD), b"secret text"), (0x1400, b"secret text")),
        sequence_number=7,
    )
    for pdu in (
        multi,
        BindTransceiver(system_id="acme", password="secret"),
        UnsuccessSme(0, 0, "46700000003"),
    ):
        shown = repr(pdu)
        assert "secret" not in shown
        assert "467000" not in shown
    assert "sequence_number=7" in repr(multi)
    assert "[message_payload, 0x1400]" in repr(multi)
    assert "(11 octets)" in repr(multi)
    assert "system_id='acme'" in repr(BindTransceiver(system_id="acme"))
