"""The behaviour's file form, and which key stands for an address."""

from pathlib import Path

import pytest

from smsgw.errors import ConfigError
from smsgw.simulator.behaviour import Behaviour, Inbound, convert, longest_match, read


def test_the_default_is_kind() -> None:
    kind = Behaviour()
    spiteful = {
        name: getattr(kind, name)
        for name in ("never_answer", "malformed", "drop_share", "early_receipts", "throttle", "refuse_binds")
    }
    assert not any(spiteful.values())
    assert kind.receipts == 1
    assert kind.states == {"DELIVRD": 1.0}


def test_a_file_sets_any_field(tmp_path: Path) -> None:
    path = tmp_path / "nasty.toml"
    path.write_text(
        'response_delay = 0.01\nmessage_id = "hex-in-receipt"\nstates = { DELIVRD = 0.9, UNDELIV = 0.1 }\n'
        'statuses = { 0x0008 = 0.05 }\nmalformed_forms = ["stray-nul"]\n'
        '[[inbound]]\nfrom = "4670"\nto = "123"\ntext = "hi {n}"\n'
    )
    behaviour = read(path)
    assert behaviour.response_delay == 0.01
    assert behaviour.statuses == {"0x0008": 0.05}
    assert behaviour.malformed_forms == ("stray-nul",)
    assert behaviour.inbound == (Inbound(source="4670", to="123", text="hi {n}"),)


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("respons_delay = 1", "", "respons_delay"),
        ("malformed = 1.5", "malformed", "<= 1.0"),
        ('message_id = "octal"', "message_id", "octal"),
        ('refuse_binds_with = "88"', "refuse_binds_with", "regex"),
        ("states = { DELIVERED = 1.0 }", "states", "Invalid enum value"),
        ("seed = ", "", "Invalid value"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_the_place(
    tmp_path: Path, text: str, place: str, problem: str
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: {place}")
    assert problem in said


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read(tmp_path / "none.toml")


def test_weights_must_not_all_be_zero() -> None:
    with pytest.raises(ConfigError, match="states"):
        convert({"states": {"DELIVRD": 0.0}}, "here")
    with pytest.raises(ConfigError, match="states"):
        convert({"states": {}}, "here")


@pytest.mark.parametrize(
    ("address", "key"),
    [("4670", "4670"), ("46701", "46*"), ("46801", "46*"), ("467", "46*"), ("4790", "*"), ("", "*")],
)
def test_an_address_finds_itself_else_its_longest_prefix(address: str, key: str) -> None:
    assert longest_match({"*": "0x1", "4670": "0x2", "46*": "0x3"}, address) == key


def test_an_address_may_find_nothing() -> None:
    assert longest_match({"46*": "0x1"}, "4790") is None
