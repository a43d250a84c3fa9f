"""Receipts: what is written, and that it goes back to who sent the message."""

from datetime import UTC, datetime

import pytest

from smsgw.simulator.behaviour import Behaviour, Stat
from smsgw.simulator.compose import receipt
from smsgw.simulator.receipts import PLAIN, VARIANTS, Fact, error_of, network_error, spelling, text
from smsgw.smpp.constants import Tag
from smsgw.smpp.pdu import DataSm, DeliverSm, SubmitSm, decode, encode

SUBMITTED = datetime(2026, 11, 23, 20, 15, 1, tzinfo=UTC).timestamp()
FACT = Fact(id="42", stat="DELIVRD", err="000", submitted=SUBMITTED, done=SUBMITTED + 60, text="hello")
FAILED = Fact(id="42", stat="UNDELIV", err="069", submitted=SUBMITTED, done=SUBMITTED + 60, text="hello")
SUBMIT = SubmitSm(
    source_addr_ton=5, source_addr="ACME", dest_addr_ton=1, destination_addr="46701", short_message=b"hello"
)


def test_the_text_is_that_of_appendix_b() -> None:
    assert text(FACT) == (
        "id:42 sub:001 dlvrd:001 submit date:2611232015 done date:2611232016 stat:DELIVRD err:000 text:hello"
    )
    assert " dlvrd:000 " in text(FAILED)
    assert " stat:UNDELIV err:069 " in text(FAILED)


def test_a_receipt_goes_back_with_the_addresses_swapped() -> None:
    found = receipt(SUBMIT, "+46701", FACT, PLAIN["both"])
    assert isinstance(found, DeliverSm)
    assert (found.source_addr_ton, found.source_addr) == (1, "46701")
    assert (found.dest_addr_ton, found.destination_addr) == (5, "ACME")
    assert found.esm_class == 0x04


def test_the_forms_differ_in_text_and_tlvs() -> None:
    only_text = receipt(SUBMIT, "46701", FACT, PLAIN["text"])
    only_tlvs = receipt(SUBMIT, "46701", FACT, PLAIN["tlv"])
    assert isinstance(only_text, DeliverSm)
    assert isinstance(only_tlvs, DeliverSm)
    assert (only_text.tlvs, only_text.short_message[:5]) == ((), b"id:42")
    assert only_tlvs.short_message == b""
    assert only_tlvs.tlv(Tag.RECEIPTED_MESSAGE_ID) == "42"
    assert only_tlvs.tlv(Tag.MESSAGE_STATE) == 2


def test_data_sm_carries_the_text_as_payload() -> None:
    found = receipt(SUBMIT, "46701", FACT, PLAIN["text"], "data_sm")
    assert isinstance(found, DataSm)
    payload = found.tlv(Tag.MESSAGE_PAYLOAD)
    assert isinstance(payload, bytes)
    assert payload.startswith(b"id:42 ")


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("fact", [FACT, FAILED], ids=["delivered", "failed"])
def test_every_variant_names_the_message_and_survives_the_wire(name: str, fact: Fact) -> None:
    found = receipt(SUBMIT, "46701", fact, VARIANTS[name])
    assert decode(encode(found)) == found
    assert b"42" in encode(found)


def test_the_variants_are_what_they_are_called() -> None:
    def written(name: str, fact: Fact = FACT) -> str:
        write = VARIANTS[name].text
        assert write is not None
        return write(fact)

    assert "sub:" not in written("no sub and dlvrd")
    assert "submit date:261123201501 " in written("seconds")
    assert "submit date:20261123201501 " in written("long year")
    assert "err:21b" in written("hexadecimal err")
    assert written("reordered").startswith("stat:DELIVRD")
    assert "stat:FAILED " in written("six letters", FAILED)
    assert "stat:DELIVRD " in written("six letters")
    assert written("misleading text").endswith("text:id:0 stat:REJECTD")
    assert written("trailing NUL").endswith("\0")
    assert written("upper case keys").startswith("ID:42")
    assert VARIANTS["unmarked"].esm_class(FACT) == 0


def test_an_intermediate_receipt_is_marked_as_one() -> None:
    fact = Fact(id="1", stat="ENROUTE", err="000", submitted=0, done=0, text="", intermediate=True)
    assert PLAIN["text"].esm_class(fact) == 0x20


def test_the_variants_take_turns() -> None:
    behaviour = Behaviour(receipt_form="variants")
    found = [spelling(behaviour, number) for number in range(2 * len(VARIANTS))]
    assert found == 2 * list(VARIANTS.values())
    assert spelling(Behaviour(receipt_form="tlv"), 3) is PLAIN["tlv"]


@pytest.mark.parametrize(
    ("stat", "err"), [("DELIVRD", "000"), ("ENROUTE", "000"), ("UNDELIV", "069"), ("EXPIRED", "001")]
)
def test_err_follows_the_state_unless_it_is_given(stat: Stat, err: str) -> None:
    assert error_of(stat, Behaviour(errors={"UNDELIV": "069"})) == err


def test_the_network_error_code_has_three_octets() -> None:
    assert network_error(FACT.err) == b"\3\0\0"
    assert network_error(FAILED.err) == b"\3\0\x69"
