"""`smsgw check`: all that the daemon would find wrong, with the daemon's own code, and nothing started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from smsgw.cli import main
from smsgw.tap import Options, makeService
from tests.test_tap import Reactor

CHANNEL = '[channels.{0}]\ntype = "smpp"\nsystem_id = "x"\nendpoint = "{1}"\n'
DRY = '[channels.dry]\ntype = "null"\n'
LISTEN = "manhole.listen: not an endpoint: "


def checked(folder: Path, text: str) -> Result:
    path = folder / "a.toml"
    path.write_text('state_dir = "state"\n' + text)
    return CliRunner().invoke(main, ["check", str(path)])


def started(folder: Path) -> list[str]:
    """The lines that the daemon ends with on what was checked before; none where it would run."""
    options = Options()
    options.parseOptions(["--config", str(folder / "a.toml")])  # type: ignore[no-untyped-call]
    try:
        makeService(options, Reactor())
    except SystemExit as ended:
        return str(ended.code).splitlines()
    return []


def made(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (CHANNEL.format("a", "tcp:h"), ["channels.a.endpoint: expected tcp:HOST:PORT"]),
        (CHANNEL.format("a", "tcp:h:x"), ["channels.a.endpoint: expected tcp:HOST:PORT"]),
        (CHANNEL.format("a", "tcp:h:1:timeout=x"), ["channels.a.endpoint: not an endpoint: invalid literal"]),
        (CHANNEL.format("a", "tcp:h:1:b=2"), ["channels.a.endpoint: not an endpoint: got an unexpected"]),
        (
            CHANNEL.format("a", "tls:h:1:certificate=/none.pem"),
            ["channels.a.endpoint: /none.pem: No such file or directory"],
        ),
        (
            CHANNEL.format("a", "tls:h:1:certificate=FOLDER/a.toml:privateKey=FOLDER/a.toml"),
            ["channels.a.endpoint: no certificate and key"],
        ),
        (CHANNEL.format("a", "tls:h:1:trustRoots=/none"), ["channels.a.endpoint: /none: No such file"]),
        (
            DRY + '[manhole]\nlisten = "2222"\nhost_key = "a.toml"',
            ["manhole.host_key: FOLDER/a.toml: ", "manhole.listen: not an endpoint: Unknown"],
        ),
        (
            DRY + '[manhole]\nhost_key = "none/key"',
            ["manhole.host_key: FOLDER/none/key: No such file or directory"],
        ),
        (
            DRY + '[broker]\nurl = "amqps://h"\nca = "none.pem"',
            ["broker.ca: FOLDER/none.pem: No such file or directory"],
        ),
        (
            DRY + '[broker]\nurl = "amqps://h"\nca = "a.toml"',
            ["broker.ca: FOLDER/a.toml holds no certificate"],
        ),
        (
            DRY + '[broker]\nurl = "amqps://h?cacertfile=a.pem"',
            ["broker.url: cacertfile: expected a path from the root, found a.pem"],
        ),
        (
            DRY + '[ledger]\nurl = "sqlite:///none/l.db"\n[broker]\nurl = "spool:///nowhere/s.db"',
            [
                "broker.url: /nowhere/s.db: No such file or directory",
                "ledger.url: /none/l.db: No such file or directory",
            ],
        ),
        (
            CHANNEL.format("a", "tcp:h:1:b=2")
            + CHANNEL.format("b", "tls:h:1:c=2")
            + '[broker]\nurl = "amqp://h:x"\n'
            '[manhole]\nlisten = "2222"',
            ["broker.url: ", "channels.a.endpoint: ", "channels.b.endpoint: ", "manhole.listen: "],
        ),
        (  # wrong values, what can't work together, and what can't be made: all in one run
            CHANNEL.format("a", "tcp:h:1:b=2")
            + "widht = 3\n"
            + CHANNEL.format("b", "tls:h:1:c=2")
            + CHANNEL.format("c", "tcp:h")
            + '[channels.d]\ntype = "null"\nwidth = "x"\n'
            '[broker]\nurl = "amqps://h"\nca = "none.pem"\nheartbeat = "1d"\n[manhole]\nlisten = "2222"\n'
            '[[routes]]\nto = ["46"]\nqueue = ["e", "f"]\n[ledger]\nurl = "sqlite:///none/l.db"',
            [
                "broker.ca: ",
                "broker.heartbeat: ",
                "channels.a.widht: ",
                "channels.b.endpoint: not an endpoint",
                "channels.c.endpoint: expected tcp",
                "channels.d.width: ",
                "ledger.url: /none/l.db: ",
                "manhole.listen: ",
                'routes[0].queue: no channel is fed from "e"',
                'routes[0].queue: no channel is fed from "f"',
            ],
        ),
        *(
            (DRY + f'[broker]\nurl = "{url}"', ["broker.url: expected amqp"])
            for url in ("spool:x", "spool:///", "spool:////", "spool", "x://y", "")
        ),
        *(
            (DRY + f'[ledger]\nurl = "{url}"', ["ledger.url: expected sqlite:///PATH"])
            for url in ("sqlite:x", "sqlite:///", "sqlite", "redis://h", "")
        ),
    ],
)
def test_check_finds_what_the_daemon_would_end_with(tmp_path: Path, text: str, lines: list[str]) -> None:
    result = checked(tmp_path, text.replace("FOLDER", str(tmp_path)))
    assert result.exit_code == 1
    assert made(tmp_path) == ["a.toml"]
    found = result.stderr.splitlines()
    assert len(found) == len(lines), found
    for line, expected in zip(sorted(found), lines, strict=True):
        assert line.startswith(f"smsgw: {tmp_path}/a.toml: {expected.replace('FOLDER', str(tmp_path))}")
    assert started(tmp_path) == found
    assert result.stdout == ""


def test_a_state_dir_in_the_way_of_something_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('state_dir = "a.toml/state"\n' + DRY)
    result = CliRunner().invoke(main, ["check", str(path)])
    assert result.stderr == f"smsgw: {path}: state_dir: {path}/state: Not a directory\n"
    assert started(tmp_path) == result.stderr.splitlines()


def test_what_is_right_makes_nothing(tmp_path: Path) -> None:
    result = checked(tmp_path, CHANNEL.format("a", "tls:h:1") + "[manhole]\n[queues.b]\n")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == [
        "channel a: fed from queue a, width 10",
        f"{tmp_path}/a.toml: queues.b: no channel is fed from it; known here: a",
        f"{tmp_path}/a.toml: correct",
    ]
    assert made(tmp_path) == ["a.toml"]
    assert started(tmp_path) == []


def test_every_line_of_a_complaint_has_its_prefix(tmp_path: Path) -> None:
    lines = checked(tmp_path, DRY + "width = 0\nwidht = 1\n[log]\ncolour = 1").stderr.splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"smsgw: {tmp_path}/a.toml: ") for line in lines)


@pytest.mark.parametrize("command", [["send", "--to", "46700000001"], ["parts"]])
def test_a_text_like_an_option_is_explained(command: list[str]) -> None:
    result = CliRunner().invoke(main, [*command, "-1"])
    assert result.exit_code == 2
    assert 'A TEXT that begins with "-" goes last, after "--".' in result.stderr


def test_a_text_like_an_option_after_hyphens() -> None:
    result = CliRunner().invoke(main, ["parts", "--", "-1"])
    assert result.exit_code == 0
    assert '"-1"' in result.stdout


@pytest.mark.parametrize(
    "command",
    [["send", "--to", "46700000001", "--queue", "none", "Hello"], ["parts", "--channel", "a", "Hello"]],
)
def test_producers_need_no_secret_of_a_channel(tmp_path: Path, command: list[str]) -> None:
    text = CHANNEL.format("a", "tcp:h:1") + 'password = { env = "SMSGW_NO_SUCH" }'
    assert "SMSGW_NO_SUCH is not set" in checked(tmp_path, text).stderr
    result = CliRunner().invoke(main, [*command, "--config", str(tmp_path / "a.toml")])
    assert "SMSGW_NO_SUCH" not in result.stderr
    assert 'there is no queue "none"' in result.stderr or result.exit_code == 0


WHOLE = """
state_dir = {state_dir}
[broker]
url = {broker}
ca = {ca}
[ledger]
url = {ledger}
[manhole]
listen = {listen}
host_key = {key}
[channels.a]
type = "smpp"
system_id = "x"
endpoint = {endpoint}
"""

words = st.lists(
    st.sampled_from(
        [
            "tcp",
            "tls",
            "unix",
            "amqp",
            "amqps",
            "spool",
            "sqlite",
            "h",
            "1",
            ":",
            "/",
            "//",
            "@",
            "=",
            "?",
            "[",
            "%",
            "\\",
            "~",
            "port",
            "host",
            "timeout",
            "cacertfile",
            "certificate",
            "systemd",
            "fd",
            "é",
            "x",
        ]
    ),
    max_size=7,
).map("".join)


@settings(max_examples=40, deadline=None)
@given(endpoint=words, broker=words, ledger=words, ca=words, listen=words, key=words, state_dir=words)
def test_whatever_a_file_says_the_answer_is_in_words(
    tmp_path_factory: pytest.TempPathFactory, **said: str
) -> None:
    folder = tmp_path_factory.mktemp("check")
    path = folder / "a.toml"
    path.write_text(WHOLE.format(**{name: json.dumps(text) for name, text in said.items()}))
    result = CliRunner().invoke(main, ["check", str(path)])
    assert result.exit_code in (0, 1)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert made(folder) == ["a.toml"]
