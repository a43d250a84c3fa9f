"""`smsgw parts`, run as a user runs it, but in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from smsgw.cli import main

LOREM = "lorem ipsum dolor sit amet " * 8
QUOTED = f"It’s {LOREM}"[:200]
TURKISH = "Bugün İstanbul'da hava çok güzel, ışıklar yanıyor ve şehir ğ harfini özlüyor. Görüşürüz!"
CONFIGURATION = """
[channels.acme]
type = "smpp"
endpoint = "tcp:127.0.0.1:2775"
system_id = "acme"
dialect.long_messages = "udh16"
dialect.default_alphabet = "latin1"
[channels.dry]
type = "null"
[channels.national]
type = "null"
languages = ["turkish"]
transliterate = "typography"
max_parts = 2
"""


def run(*options: str, stdin: bytes | None = None, env: dict[str, str] | None = None) -> Result:
    return CliRunner(env=env).invoke(main, ["parts", *options], input=stdin)


def told(*options: str) -> dict[str, object]:
    result = run("--json", *options)
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "smsgw.toml"
    file.write_text(CONFIGURATION)
    return str(file)


def test_a_text_of_one_part() -> None:
    result = run("Hej €")
    assert result.exit_code == 0
    assert result.stdout == (
        "encoding  GSM 7-bit: every character is in GSM 7-bit\n"
        "length    6 of 160 septets: 1 part\n"
        "on air    6 of 140 octets\n"
        "\n"
        "part 1 of 1: 6 of 160 septets, 6 octets\n"
        '  "Hej €"\n'
    )


def test_one_typographic_quote_and_what_would_be_cheaper() -> None:
    result = run(QUOTED)
    assert result.exit_code == 0
    assert result.stdout.startswith(
        "encoding  UCS-2: character 3 is not in GSM 7-bit\n"
        "length    200 UTF-16 code units: 3 parts of at most 67\n"
        "on air    418 octets, headers included\n"
        'cheaper   2 parts with transliterate = "typography"\n'
        "\n"
        "not in GSM 7-bit\n"
        "  ’   U+2019   RIGHT SINGLE QUOTATION MARK: character 3\n"
        "\n"
        "part 1 of 3: 67 of 67 UTF-16 code units, 140 octets\n"
        '  "It’s lorem'
    )


def test_what_was_replaced_is_counted_and_still_named() -> None:
    result = run("--transliterate", "typography", QUOTED)
    assert "2 parts of at most 153" in result.stdout
    assert "replaced  1 character\n" in result.stdout
    assert "RIGHT SINGLE QUOTATION MARK" in result.stdout
    assert "\"It's lorem" in result.stdout
    assert "cheaper" not in result.stdout


def test_nothing_is_replaced_where_an_encoding_is_asked_for_that_has_it() -> None:
    found = told("--transliterate", "full", "--encoding", "ucs2", QUOTED)
    assert (found["encoding"], found["replaced"]) == ("ucs2", 0)


def test_national_shift_tables() -> None:
    assert 'cheaper   1 part with languages = ["turkish"]' in run(TURKISH).stdout
    result = run("--language", "spanish", "--language", "turkish", TURKISH)
    assert "GSM 7-bit: every character is in GSM 7-bit with turkish single shift" in result.stdout
    assert "97 of 155 septets: 1 part" in result.stdout


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a😀b😀", "  😀  U+1F600  GRINNING FACE: character 2, 2 times"),
        ("e\u0301", "  \u25cc\u0301   U+0301   COMBINING ACUTE ACCENT: character 2"),
        ("\u202etxet", "      U+202E   RIGHT-TO-LEFT OVERRIDE: character 1"),
        ("\x07", "      U+0007   without a name: character 1"),
        ("今", "  今  U+4ECA   CJK UNIFIED IDEOGRAPH-4ECA: character 1"),
    ],
)
def test_the_characters_that_force_ucs2(text: str, line: str) -> None:
    assert line in run(text).stdout.splitlines()


def test_no_character_reaches_the_terminal_that_would_move_or_turn_the_writing() -> None:
    result = run("one\ntwo\x1b[2J \u202e 👩\u200d👧")
    assert '"one\\ntwo\\x1b[2J \\u202e 👩\u200d👧"' in result.stdout
    assert "\x1b" not in result.stdout


def test_a_text_in_another_script_does_not_fill_the_screen() -> None:
    result = run("".join(map(chr, range(0x430, 0x450))))
    assert result.stdout.count("CYRILLIC") == 12
    assert "  and 20 more\n" in result.stdout


@pytest.mark.parametrize(("form", "room"), [("udh", 153), ("udh16", 152), ("sar", 152), ("payload", 152)])
def test_forms_of_long_messages(form: str, room: int) -> None:
    found = told("--long-messages", form, "a" * 161)
    assert [(part["units"], part["room"]) for part in found["parts"]] == [(room, room), (161 - room, room)]  # type: ignore[attr-defined]


def test_json() -> None:
    assert told("a“ €") == {
        "encoding": "ucs2",
        "why": "character 2 is not in GSM 7-bit",
        "unit": "UTF-16 code units",
        "units": 4,
        "octets": 8,
        "parts": [
            {"number": 1, "text": "a“ €", "units": 4, "room": 70, "octets": 8, "payload": "0061201c002020ac"}
        ],
        "outsiders": [{"character": "“", "name": "LEFT DOUBLE QUOTATION MARK", "position": 1, "count": 1}],
        "problem": None,
        "replaced": 0,
        "cheaper": [],
    }
    assert told(QUOTED)["cheaper"] == [{"setting": 'transliterate = "typography"', "parts": 2}]


@pytest.mark.parametrize(
    ("stdin", "text"), [(b"a\nb\n", "a\nb"), (b"a\r\n", "a"), (b"a\n\n", "a\n"), (b"", "")]
)
def test_the_standard_input(stdin: bytes, text: str) -> None:
    result = run("--json", "-", stdin=stdin)
    assert json.loads(result.stdout)["parts"][0]["text"] == text


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--max-parts", "1", "a" * 161), "the text takes at least 2 parts; at most 1 are allowed"),
        (("a" * 1531,), "the text takes at least 11 parts; at most 10 are allowed"),
        (("--encoding", "gsm7", "a“"), "character 2 is not in GSM 7-bit"),
        (("--encoding", "latin1", "ж"), "character 1 is not in Latin-1"),
    ],
)
def test_what_can_not_be_sent_ends_with_status_1(options: tuple[str, ...], problem: str) -> None:
    result = run(*options)
    assert (result.exit_code, result.stderr) == (1, f"smsgw: {problem}\n")
    found = run("--json", *options)
    assert (found.exit_code, json.loads(found.stdout)["problem"]) == (1, problem)


def test_too_many_parts_and_what_would_help() -> None:
    result = run("--max-parts", "2", QUOTED)
    assert result.exit_code == 1
    assert result.stdout.startswith(
        'cheaper   2 parts with transliterate = "typography"\n\nnot in GSM 7-bit\n'
    )


def test_octets_that_are_not_utf_8_end_with_status_1() -> None:
    result = run("-", stdin=b"ab\xff")
    assert (result.exit_code, result.stderr) == (1, "smsgw: the standard input is not UTF-8 at octet 2\n")


def test_what_a_channel_says(config: str) -> None:
    found = told("--config", config, "--channel", "acme", "å" * 161)
    assert [part["room"] for part in found["parts"]] == [152, 152]  # type: ignore[attr-defined]
    assert found["parts"][1]["payload"] == "e5" * 9  # type: ignore[index]


def test_the_languages_replacements_and_bound_of_a_channel(config: str) -> None:
    national = ("--config", config, "--channel", "national")
    assert "with turkish single shift" in run(*national, TURKISH).stdout
    assert "replaced  1 character\n" in run(*national, QUOTED).stdout
    assert (
        run(*national, "a" * 307).stderr == "smsgw: the text takes at least 3 parts; at most 2 are allowed\n"
    )
    assert run(*national, "--max-parts", "3", "--transliterate", "off", QUOTED).exit_code == 0
    assert run(*national, "--language", "spanish", TURKISH).stdout.startswith("encoding  UCS-2")


def test_options_win_over_the_channel(config: str) -> None:
    found = told("--config", config, "--channel", "acme", "--long-messages", "udh", "a" * 161)
    assert [part["room"] for part in found["parts"]] == [153, 153]  # type: ignore[attr-defined]


def test_the_configuration_from_the_environment(config: str) -> None:
    env = {"SMSGW_CONFIG": config}
    assert "of at most 152" in run("--channel", "acme", "a" * 161, env=env).stdout
    assert "of at most 153" in run("--channel", "dry", "a" * 161, env=env).stdout
    assert "of at most 153" in run("a" * 161, env=env).stdout


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ((), "Missing argument 'TEXT'"),
        (("--channel", "acme", "a"), "--channel goes with --config"),
        (("--config", "FILE", "a"), "--config goes with --channel"),
        (("--config", "FILE", "--channel", "acne", "a"), 'no channel "acne"; known: acme, dry, national'),
        (("--language", "klingon", "a"), "'klingon' is not one of 'turkish'"),
        (("--max-parts", "0", "a"), "1<=x<=255"),
    ],
)
def test_wrong_usage_ends_with_status_2(options: tuple[str, ...], problem: str, config: str) -> None:
    result = run(*(config if option == "FILE" else option for option in options))
    assert result.exit_code == 2
    assert problem in result.stderr


def test_a_wrong_configuration_ends_with_status_1(tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("chanels = 1")
    result = run("--config", str(file), "--channel", "acme", "a")
    assert result.exit_code == 1
    assert "chanels: unknown key" in result.stderr
