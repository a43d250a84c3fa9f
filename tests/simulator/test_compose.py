"""Inbound messages: their parts make the text again."""

import pytest

from smsgw.errors import Misuse
from smsgw.simulator.behaviour import Inbound
from smsgw.simulator.compose import inbound
from smsgw.simulator.submits import octets, place, text
from smsgw.smpp.constants import Tag
from smsgw.smpp.pdu import DeliverSm, SubmitSm

LONG = "wörld €" * 60


def as_submit(pdu: DeliverSm) -> SubmitSm:
    """Both have one field table; the readings are written for submits."""
    return SubmitSm(
        esm_class=pdu.esm_class, data_coding=pdu.data_coding, short_message=pdu.short_message, tlvs=pdu.tlvs
    )


def test_a_short_one_is_numbered() -> None:
    (found,) = inbound(Inbound(source="+4670", to="123", text="message {n}"), 7)
    assert (found.source_addr, found.source_addr_ton, found.destination_addr) == ("4670", 1, "123")
    assert found.short_message == b"message 7"
    assert found.esm_class == 0


def test_letters_are_an_alphanumeric_source() -> None:
    (found,) = inbound(Inbound(source="SHOP"), 1)
    assert (found.source_addr_ton, found.source_addr_npi) == (5, 0)


@pytest.mark.parametrize("form", ["udh", "udh16", "sar"])
@pytest.mark.parametrize("written", [LONG, LONG + "яё"], ids=["gsm7", "ucs2"])
def test_a_long_one_leaves_in_parts(form: str, written: str) -> None:
    found = [as_submit(pdu) for pdu in inbound(Inbound(text=written, form=form), 300)]  # type: ignore[arg-type]
    assert [place(part).number for part in found] == list(range(1, len(found) + 1))
    assert {place(part).total for part in found} == {len(found)}
    assert "".join(text(part) or "" for part in found) == written


def test_a_payload_holds_all() -> None:
    (found,) = inbound(Inbound(text=LONG, form="payload"), 1)
    assert found.short_message == b""
    assert text(as_submit(found)) == LONG
    assert octets(as_submit(found)) == found.tlv(Tag.MESSAGE_PAYLOAD)


def test_data_is_sent_as_it_is() -> None:
    (found,) = inbound(Inbound(data="00ff", data_coding=4, esm_class=0x40), 1)
    assert (found.short_message, found.data_coding, found.esm_class) == (b"\x00\xff", 4, 0x40)


def test_half_a_surrogate_pair_can_not_be_sent() -> None:
    with pytest.raises(Misuse, match="surrogate"):
        inbound(Inbound(text="\ud800"), 1)


def test_several_phones_take_turns_and_count_their_own_references() -> None:
    message = Inbound(source="+4609", to="1", text=LONG, senders=2)
    found = [inbound(message, number)[0] for number in (1, 2, 3, 4)]
    assert [pdu.source_addr for pdu in found] == ["4609", "4610", "4609", "4610"]
    assert [pdu.short_message[3] for pdu in found] == [1, 1, 2, 2]


def test_mixed_parts_have_each_its_own_alphabet() -> None:
    written = "x" * 67 + "яё" * 33 + "xx" + "€" * 10
    found = inbound(Inbound(text=written, mixed=True), 1)
    assert [pdu.data_coding for pdu in found] == [0, 8, 0]
    assert "".join(text(as_submit(pdu)) or "" for pdu in found) == written
