from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.smpp.message_id import (
    ENOUGH,
    FORGET,
    CodecName,
    IdCodec,
    MessageIdSetting,
    candidates,
    index_key,
)

UUID = "4A7d1ed4-14e0-4a5c-9b0f-0ab57c1d2e3f"


@pytest.mark.parametrize(
    ("smsc_id", "key"),
    [
        ("1A2B", "1a2b"),
        ("0x1A2B", "1a2b"),
        ("00000017", "17"),
        ("0", "0"),
        ("0000", "0"),
        ("", "0"),
        (" 17\r\n", "17"),
        (UUID, UUID.lower()),
        ("smsc-17-Ö", "smsc-17-ö"),
    ],
)
def test_index_key(smsc_id: str, key: str) -> None:
    assert index_key(smsc_id) == key


@pytest.mark.parametrize(
    ("setting", "receipt_id", "expected"),
    [
        ("text", "0017", (("text", "17"),)),
        ("text", UUID, (("text", UUID.lower()),)),
        ("decimal-in-receipt", "0000006699", (("decimal-in-receipt", "1a2b"),)),
        ("hex-in-receipt", "1A2B", (("hex-in-receipt", "6699"),)),
        ("hex-in-receipt", "10", (("hex-in-receipt", "16"),)),
        # what the fixed reading can't read is looked up as it is
        ("decimal-in-receipt", "1a2b", (("text", "1a2b"),)),
        ("hex-in-receipt", UUID, (("text", UUID.lower()),)),
        # a key with letters can only be there if responses are hexadecimal, so it goes first
        ("auto", "6699", (("decimal-in-receipt", "1a2b"), ("text", "6699"), ("hex-in-receipt", "26265"))),
        ("auto", "16", (("text", "16"), ("decimal-in-receipt", "10"), ("hex-in-receipt", "22"))),
        ("auto", "1A2B", (("text", "1a2b"), ("hex-in-receipt", "6699"))),
        ("auto", "7", (("text", "7"),)),
        ("auto", UUID, (("text", UUID.lower()),)),
        ("auto", "9" * 65, (("text", "9" * 65),)),
        ("auto", "١٧", (("text", "١٧"),)),
        ("auto", "1_0", (("text", "1_0"),)),
    ],
)
def test_candidates(
    setting: MessageIdSetting, receipt_id: str, expected: tuple[tuple[CodecName, str], ...]
) -> None:
    assert candidates(receipt_id, IdCodec(setting)) == expected


@given(st.text(max_size=80))
def test_any_id_has_a_candidate_and_no_key_twice(receipt_id: str) -> None:
    found = candidates(receipt_id, IdCodec())
    assert found
    assert len({key for _, key in found}) == len(found)


SPELLINGS: dict[str, tuple[Callable[[int], str], Callable[[int], str]]] = {
    "decimal": (str, str),
    "hex": ("{:x}".format, "{:x}".format),
    "other case": ("{:x}".format, "{:X}".format),
    "leading zeros": ("{:020d}".format, str),
    "leading zeros in receipt": ("{:X}".format, "{:016d}".format),
    "hex-in-response": ("{:x}".format, str),
    "HEX-in-response": ("{:08X}".format, str),
    "hex-in-receipt": (str, "{:x}".format),
    "uuid": (lambda number: f"{number:08x}-14e0-4a5c", lambda number: f"{number:08X}-14E0-4A5C"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_auto_finds_every_message_of_any_spelling(spelling: str) -> None:
    """Long ids, filed before their receipts come in any order, while it learns and after."""
    answered, receipted = SPELLINGS[spelling]
    random, codec = Random(7), IdCodec()
    numbers = [random.getrandbits(40) for _ in range(300)]
    filed = {index_key(answered(number)): number for number in numbers}
    random.shuffle(numbers)
    for number in numbers:
        name, found = next(
            (name, filed[key]) for name, key in candidates(receipted(number), codec) if key in filed
        )
        assert found == number
        codec.learn(name, receipted(number))
    assert codec.name is not None
    assert len(candidates(receipted(numbers[0]), codec)) == 1


def test_auto_learns_from_running_numbers_before_they_get_ambiguous() -> None:
    """Hexadecimal 1, 2 ... a, b in responses, decimal in receipts, each soon after its response."""
    codec, filed = IdCodec(), {}
    for number in range(1, 200):
        filed[index_key(f"{number:x}")] = number
        name, found = next((name, filed[key]) for name, key in candidates(str(number), codec) if key in filed)
        assert found == number
        assert codec.learn(name, str(number)) == (number == 9 + ENOUGH)
    assert codec.name == "decimal-in-receipt"


def test_it_says_when_it_has_learned() -> None:
    codec = IdCodec()
    assert [codec.learn("decimal-in-receipt", "6699") for _ in range(ENOUGH + 1)] == [False] * (
        ENOUGH - 1
    ) + [
        True,
        False,
    ]
    assert codec.name == "decimal-in-receipt"
    assert repr(codec) == "<IdCodec decimal-in-receipt>"


def test_a_match_that_several_readings_explain_teaches_nothing() -> None:
    codec = IdCodec()
    assert not any(codec.learn("text", "7") for _ in range(10))
    assert repr(codec) == f"<IdCodec learning 0/{ENOUGH}>"


def test_a_contradiction_starts_again() -> None:
    codec = IdCodec()
    for _ in range(ENOUGH - 1):
        codec.learn("text", "6699")
    codec.learn("hex-in-receipt", "6699")
    assert not codec.learn("text", "6699")
    assert codec.name is None


def test_an_unknown_codec_teaches_nothing() -> None:
    codec = IdCodec()
    assert not any(codec.learn("base64", "6699") for _ in range(10))


def test_it_learns_anew_after_many_misses() -> None:
    codec = IdCodec()
    for _ in range(ENOUGH):
        codec.learn("text", "6699")
    assert not any(codec.learn(None, "6699") for _ in range(FORGET - 1))
    codec.learn("text", "6699")
    assert [codec.learn(None, "6699") for _ in range(FORGET)] == [False] * (FORGET - 1) + [True]
    assert codec.name is None
    assert len(candidates("6699", codec)) == 3


def test_misses_while_learning_say_nothing() -> None:
    codec = IdCodec()
    assert not any(codec.learn(None, "6699") for _ in range(3 * FORGET))


@pytest.mark.parametrize("setting", ["text", "hex-in-receipt", "decimal-in-receipt"])
def test_a_fixed_setting_never_changes(setting: MessageIdSetting) -> None:
    codec = IdCodec(setting)
    for matched in ("text", "hex-in-receipt", None):
        assert not any(codec.learn(matched, "6699") for _ in range(2 * FORGET))
    assert codec.name == setting
