"""Every disguise does what it says to a good response, as our own codec and framer see it."""

from random import Random
from typing import get_args

import pytest

from smsgw.simulator.behaviour import Disguise
from smsgw.simulator.spoil import FORMS, VENDOR_STATUS, frame
from smsgw.smpp.constants import CommandId
from smsgw.smpp.framing import FrameError, Framer
from smsgw.smpp.pdu import GenericNack, Pdu, PduError, SubmitSmResp, UnknownPdu, decode, encode

GOOD = encode(SubmitSmResp(sequence_number=9, message_id="42"))


def spoilt(form: Disguise, seed: int = 0) -> list[bytes]:
    return Framer().feed(FORMS[form].spoil(GOOD, Random(seed)))


def only(form: Disguise) -> Pdu:
    (found,) = spoilt(form)
    return decode(found)


def test_every_form_is_built_and_changes_something() -> None:
    assert set(FORMS) == set(get_args(Disguise))
    assert all(form.spoil(GOOD, Random(1)) != GOOD for form in FORMS.values())


def test_a_frame_has_its_true_length() -> None:
    assert decode(frame(CommandId.SUBMIT_SM_RESP, 0, 9, b"42\0")) == decode(GOOD)


@pytest.mark.parametrize("form", ["stray-nul", "unterminated"])
def test_tolerable_octets_leave_the_id_readable(form: Disguise) -> None:
    found = only(form)
    assert isinstance(found, SubmitSmResp)
    assert (found.message_id, found.sequence_number) == ("42", 9)


def test_an_unknown_tlv_is_behind_the_id() -> None:
    found = only("unknown-tlv")
    assert found.tlv(0x1501) == b"hi"


@pytest.mark.parametrize("form", ["lying-length", "short-length"])
def test_a_lying_length_ends_the_stream(form: Disguise) -> None:
    with pytest.raises(FrameError):
        spoilt(form)


def test_a_torn_tlv_is_well_framed() -> None:
    (found,) = spoilt("torn-tlv")
    with pytest.raises(PduError) as caught:
        decode(found)
    assert (caught.value.fatal, caught.value.sequence_number) == (False, 9)


def test_no_body_is_a_header() -> None:
    assert len(spoilt("no-body")[0]) == 16


@pytest.mark.parametrize(("form", "status"), [("generic-nack", 8), ("vendor-status", VENDOR_STATUS)])
def test_a_refusal_in_disguise_was_not_taken(form: Disguise, status: int) -> None:
    found = only(form)
    assert isinstance(found, GenericNack) is (form == "generic-nack")
    assert (found.command_status, found.sequence_number) == (status, 9)
    assert not FORMS[form].taken


def test_only_the_refusals_are_not_taken() -> None:
    assert {name for name, form in FORMS.items() if not form.taken} == {"generic-nack", "vendor-status"}


def test_a_wrong_sequence_number_is_foreign() -> None:
    assert only("wrong-sequence").sequence_number >= 0x7FFF0000


@pytest.mark.parametrize(
    ("form", "command"),
    [
        ("unknown-request", 0x00010203),
        ("torn-request", CommandId.DELIVER_SM),
        ("garbage-request", CommandId.DELIVER_SM),
        ("misplaced-request", CommandId.SUBMIT_SM),
    ],
)
def test_a_smuggled_request_comes_before_the_good_response(form: Disguise, command: int) -> None:
    smuggled, good = spoilt(form)
    assert good == GOOD
    assert int.from_bytes(smuggled[4:8], "big") == command


def test_an_unknown_request_is_unknown() -> None:
    assert isinstance(decode(spoilt("unknown-request")[0]), UnknownPdu)


@pytest.mark.parametrize("seed", range(20))
def test_a_torn_request_is_unreadable_and_not_fatal(seed: int) -> None:
    with pytest.raises(PduError) as caught:
        decode(spoilt("torn-request", seed)[0])
    assert not caught.value.fatal
