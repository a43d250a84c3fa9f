"""Message ids: every form fits its field, is unique, and its two spellings mean the same."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.simulator.behaviour import IdForm
from smsgw.simulator.ids import FORMS, message_id
from smsgw.smpp.pdu import SubmitSmResp, decode, encode

NUMBERS = st.integers(min_value=1, max_value=10**17)
FORM_NAMES = get_args(IdForm)


def test_every_form_is_built() -> None:
    assert set(FORMS) == set(FORM_NAMES)


@pytest.mark.parametrize("form", FORM_NAMES)
@given(number=NUMBERS)
def test_an_id_survives_the_wire(form: IdForm, number: int) -> None:
    answered = message_id(number, form).answered
    assert decode(encode(SubmitSmResp(message_id=answered))) == SubmitSmResp(message_id=answered)


@pytest.mark.parametrize("form", FORM_NAMES)
def test_ids_do_not_repeat(form: IdForm) -> None:
    found = {message_id(number, form) for number in range(1, 2000)}
    assert len({pair.answered for pair in found}) == len({pair.receipted for pair in found}) == 1999


@given(number=NUMBERS)
def test_the_two_spellings_mean_one_number(number: int) -> None:
    def both(form: IdForm) -> tuple[str, str]:
        found = message_id(number, form)
        return found.answered, found.receipted

    decimal, hexadecimal = str(number), f"{number:x}"
    assert both("hex-in-response") == (hexadecimal, decimal)
    assert both("hex-in-receipt") == (decimal, hexadecimal)
    assert both("upper-in-receipt") == (hexadecimal, hexadecimal.upper())
    padded, plain = both("leading-zeros")
    assert padded.startswith("0")
    assert padded.lstrip("0") == plain == decimal


def test_the_long_form_takes_the_whole_field() -> None:
    assert len(message_id(1, "long").answered) == 64
