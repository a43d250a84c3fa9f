# ruff: noqa: E501  the lines that operators see stay whole
"""The configuration: what is right, and for everything wrong one line with place, value and expectation."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.channel_settings import Budget, GsmSettings, NullSettings, SmppSettings
from smsgw.config import Configuration
from smsgw.errors import ConfigError
from smsgw.loading import load, parse, remarks
from smsgw.strict import Duration, Secret

SMPP: dict[str, Any] = {"type": "smpp", "endpoint": "tcp:127.0.0.1:2775", "system_id": "acme"}


def problems(table: dict[str, Any], environ: dict[str, str] | None = None) -> list[str]:
    found = parse(table, environ or {}, _no_file)
    assert isinstance(found, list), "expected problems"
    return [f"{problem.path}: {problem.text}" for problem in found]


def right(table: dict[str, Any], environ: dict[str, str] | None = None) -> Configuration:
    found = parse(table, environ or {}, lambda name: f"of {name}\n")
    assert isinstance(found, Configuration), found
    return found


def _no_file(name: str) -> str:
    raise FileNotFoundError(2, "No such file or directory")


def smpp(**settings: Any) -> dict[str, Any]:
    return {"channels": {"acme": {**SMPP, **settings}}}


def test_inbound_settings_have_defaults_and_limits() -> None:
    found = right(smpp()).inbound
    assert (found.assembly_timeout, found.max_parts) == (600, 100_000)
    found = right({**smpp(), "inbound": {"assembly_timeout": "1h", "max_parts": 10}}).inbound
    assert (found.assembly_timeout, found.max_parts) == (3600, 10)
    assert problems({**smpp(), "inbound": {"assembly_timout": "1h"}}) == [
        'inbound.assembly_timout: unknown key; did you mean "assembly_timeout"?'
    ]
    assert problems({**smpp(), "inbound": {"max_parts": 0}}) != []


def test_inbound_alphabets_are_keyed_by_data_coding() -> None:
    (channel,) = right(smpp(dialect={"inbound_alphabets": {"0x01": "gsm7"}})).channels.values()
    assert isinstance(channel, SmppSettings)
    assert channel.dialect.inbound_alphabets == {"0x01": "gsm7"}
    (line,) = problems(smpp(dialect={"inbound_alphabets": {"one": "gsm7"}}))
    assert line == 'channels.acme.dialect: expected a data_coding such as "0x01", found "one"'
    (line,) = problems(smpp(dialect={"inbound_alphabets": {"0x01": "gsm8"}}))
    assert "gsm8" in line


def test_the_contracts_example_is_right_as_far_as_it_is_built(tmp_path: Path) -> None:
    path = tmp_path / "smsgw.toml"
    path.write_text(
        dedent("""
        [broker]
        url = "amqp://guest:guest@127.0.0.1:5672/%2F"
        prefix = "smsgw"
        queue_type = "classic"
        [ledger]
        url = "sqlite:///var/lib/smsgw/ledger.db"
        keep = "3d"
        [channels.acme]
        type = "smpp"
        endpoint = "tls:smsc.example.net:2776"
        system_id = "acme"
        password = { env = "ACME_PASSWORD" }
        bind = "transceiver"
        sessions = 2
        width = 50
        rate = 100
        queue = "nordic"
        from = "ACME"
        account = "acme"
        [channels.acme.dialect]
        message_id = "auto"
        long_messages = "udh"
        default_alphabet = "gsm7"
        status = { 0x0045 = "temporary" }
        [channels.dry]
        type = "null"
        [[routes]]
        to = ["46", "47"]
        queue = ["nordic", "dry"]
        [manhole]
        listen = "tcp:2222:interface=127.0.0.1"
        authorized_keys = "~/.ssh/authorized_keys"
        [log]
        format = "text"
        privacy = "masked"
        """)
    )
    configuration = load(path, {"ACME_PASSWORD": "secret"})
    acme = configuration.channels["acme"]
    assert isinstance(acme, SmppSettings)
    assert (acme.password, acme.sessions, acme.width, acme.rate) == (Secret("secret"), 2, 50, 100.0)
    assert isinstance(configuration.channels["dry"], NullSettings)
    assert configuration.queue_names == ("nordic", "dry")
    assert configuration.ledger.keep == 3 * 86400
    assert "secret" not in repr(configuration)
    assert "guest" not in repr(configuration)


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ({"chanels": {}}, 'chanels: unknown key; did you mean "channels"?'),
        (smpp(widht=5), 'channels.acme.widht: unknown key; did you mean "width"?'),
        (smpp(width="50"), 'channels.acme.width: expected a whole number, found "50"'),
        (smpp(width=0), "channels.acme.width: expected a whole number >= 1, found 0"),
        (smpp(width=True), "channels.acme.width: expected a whole number, found true"),
        (smpp(rate="fast"), 'channels.acme.rate: expected a number, found "fast"'),
        (smpp(sessions=1.5), "channels.acme.sessions: expected a whole number, found 1.5"),
        (
            smpp(bind="both"),
            'channels.acme.bind: expected one of transceiver, transmitter, receiver, pair, found "both"',
        ),
        (
            smpp(dialect={"message_ids": "auto"}),
            'channels.acme.dialect.message_ids: unknown key; did you mean "message_id"?',
        ),
        (smpp(dialect="odd"), 'channels.acme.dialect: expected a table, found "odd"'),
        (
            smpp(timers={"response": "soon"}),
            'channels.acme.timers.response: expected a duration such as "10s", "5m", "3d", or a number of seconds, found "soon"',
        ),
        (
            smpp(retry=["10s", "x"]),
            'channels.acme.retry[1]: expected a duration such as "10s", "5m", "3d", or a number of seconds, found "x"',
        ),
        (smpp(password={"env": "NOPE"}), "channels.acme.password: the environment variable NOPE is not set"),
        (smpp(password={"file": "/x"}), "channels.acme.password: /x: No such file or directory"),
        (smpp(password={}), "channels.acme.password: expected exactly one of env and file"),
        (smpp(password={"enw": "A"}), 'channels.acme.password.enw: unknown key; did you mean "env"?'),
        (
            smpp(password="hunter2hunter2"),
            "channels.acme.password: SMPP has room for 8 characters; this one is longer",
        ),
        (smpp(password=5), "channels.acme.password: expected a secret, found a whole number"),
        (
            smpp(endpoint="smsc.example.net"),
            'channels.acme.endpoint: expected tcp:HOST:PORT, tls:HOST:PORT or unix:PATH, found "smsc.example.net"',
        ),
        (smpp(type="smmp"), 'channels.acme.type: found "smmp", expected one of smpp, gsm, null'),
        (
            {"channels": {"acme": {"type": "smpp", "system_id": "acme"}}},
            "channels.acme.endpoint: required, but missing",
        ),
        (
            smpp(dialect={"status": {"0x0045": "busy"}}),
            'channels.acme.dialect.status.0x0045: expected one of permanent, temporary, throttled, link, found "busy"',
        ),
        (
            smpp(dialect={"status": {"busy": "temporary"}}),
            'channels.acme.dialect: expected a command_status such as "0x0045", found "busy"',
        ),
        ({"channels": {"acme": {}}}, "channels.acme.type: required, but missing; one of smpp, gsm, null"),
        ({"channels": {"acme": 3}}, "channels.acme: expected a table, found 3"),
        ({"channels": []}, "channels: expected a table of tables, found a list"),
        ({}, "channels: at least one channel is needed"),
        (
            {**smpp(), "broker": {"url": "http://x"}},
            "broker.url: expected amqp://..., amqps://... or spool:///PATH",
        ),
        ({**smpp(), "broker": {"heartbeat": "1d"}}, "broker.heartbeat: AMQP has room for 65535 s"),
        ({**smpp(), "ledger": {"url": "redis://x"}}, "ledger.url: expected sqlite:///PATH"),
        (
            {**smpp(), "broker": {"prefix": "a b"}},
            "broker.prefix: expected a string matching regex '^[A-Za-z0-9_-]{1,64}$', found \"a b\"",
        ),
        ({**smpp(), "http": {}}, "http: the HTTP interface is not in this version"),
        (
            {**smpp(), "routes": [{"to": ["46"], "queue": ["nordc"]}]},
            'routes[0].queue: no channel is fed from "nordc"; known here: acme',
        ),
        (
            {**smpp(), "routes": [{"to": "46", "queue": ["acme"]}]},
            'routes[0].to: expected a list, found "46"',
        ),
        (
            {**smpp(), "stop_timeout": "long"},
            'stop_timeout: expected a duration such as "10s", "5m", "3d", or a number of seconds, found "long"',
        ),
        ({**smpp(), "state_dir": 3}, "state_dir: expected a string, found 3"),
        (smpp(queue="route"), 'channels: no queue can be named "route": that key goes to the routing rules'),
        (
            smpp(interface_version="3.3"),
            'channels.acme.bind: SMPP 3.3 has no transceiver; expected "transmitter", "receiver" or "pair"',
        ),
        (
            smpp(width=1000, rate=10),
            "channels.acme.width: 1000 in flight at 10 parts per second take 100 s, more than half of the response timeout (60 s): responses would come too late",
        ),
    ],
)
def test_what_is_wrong_is_told_in_one_line(table: dict[str, Any], line: str) -> None:
    assert problems(table) == [line]


def test_all_problems_are_told_at_once() -> None:
    table = {"channels": {"a": {**SMPP, "widht": 1}, "b": {**SMPP, "width": "x"}}, "lgo": {}}
    assert [line.split(":")[0] for line in problems(table)] == ["lgo", "channels.a.widht", "channels.b.width"]


def test_what_can_not_work_together_is_told_of_the_tables_that_are_right() -> None:
    """What is wrong in one channel hides neither that nor what is wrong elsewhere."""
    table = {
        "broker": {"url": "http://x"},
        "ledger": {"url": "redis://x", "keep": "long", "sync": 1},
        "channels": {
            "a": {**SMPP, "width": "x", "queue": "fast", "from": "far too long a name"},
            "b": {**SMPP, "width": 1000, "rate": 10, "password": "hunter2hunter2"},
        },
        "routes": [
            {"to": 46, "queue": ["a"]},
            {"to": ["46"], "queue": ["fast", "b", "nowhere"]},
        ],
    }
    assert [line.partition(": ")[0] for line in problems(table)] == [
        "ledger.keep",
        "ledger.sync",
        "channels.a.width",
        "routes[0].to",
        "broker.url",
        "channels.b.password",
        "channels.b.width",
        "routes[1].queue",
    ]


@pytest.mark.parametrize("sender", ["ACME", "72123", "+46700000001", "46700000001", "Café 1", "12345678901"])
def test_a_sender_is_digits_or_a_short_name(sender: str) -> None:
    assert right(smpp(**{"from": sender})).channels["acme"].from_ == sender


@pytest.mark.parametrize(
    ("sender", "said"),
    [
        ("", "expected digits, + and digits, or a name of 1 to 11 characters"),
        ("+", "expected digits"),
        ("+46 70 123", "expected digits"),
        ("ACME and sons", "13 characters; an alphanumeric sender has at most 11"),
        ("1" * 21, "21 characters; an address has at most 20"),
        ("Привет", "a character that an address can't hold"),
    ],
)
@pytest.mark.parametrize("channel", [SMPP, {"type": "null"}])
def test_what_is_no_sender(channel: dict[str, Any], sender: str, said: str) -> None:
    (line,) = problems({"channels": {"acme": {**channel, "from": sender}}})
    assert line.startswith(f"channels.acme.from: {said}")
    assert line.endswith(f'found "{sender}"')


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp",
        "tcp:",
        "tcp:h",
        "tcp::1",
        "tcp:h:",
        "tcp:h:x",
        "tcp:h:0",
        "tcp:h:65536",
        "tcp:h:-1",
        "unix:",
        "tls:h",
        "ssl:h:x",
        "foo:h:1",
        "tcp:host=h",
        "tcp:port=1",
        "tcp:h:timeout=1",
        r"tcp:\:\:1",
        "tcp:h:1e3",
    ],
)
def test_what_is_no_endpoint(endpoint: str) -> None:
    (line,) = problems(smpp(endpoint=endpoint))
    assert line.startswith(
        "channels.acme.endpoint: expected tcp:HOST:PORT, tls:HOST:PORT or unix:PATH, found "
    )


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp:h:1",
        "tls:h:65535",
        "ssl:h:1:timeout=3",
        "tcp:h:1:timeout=3",
        r"tcp:\:\:1:1",
        "unix:/s",
        "tcp:host=h:port=1",
        "tcp:port=1:host=h",
        "tcp:host=h:1",
        "unix:path=/s",
        "unix:/s:timeout=3",
    ],
)
def test_an_endpoint(endpoint: str) -> None:
    assert getattr(right(smpp(endpoint=endpoint)).channels["acme"], "endpoint", "") == endpoint


@pytest.mark.parametrize(
    "url", ["amqp://", "amqps:///", "amqp://guest:guest@", "amqp://:5672", "amqp://?a=b"]
)
def test_a_broker_needs_a_host(url: str) -> None:
    (line,) = problems({**smpp(), "broker": {"url": url}})
    assert line == "broker.url: no host: expected amqp://USER:PASSWORD@HOST:PORT/VHOST"


@pytest.mark.parametrize("url", ["amqp://h", "amqps://u:p@h:1/%2F", "amqp://[::1]:5672", "amqp://u:a@b@h/v"])
def test_a_broker_with_a_host(url: str) -> None:
    assert right({**smpp(), "broker": {"url": url}}).broker_url == url


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, []),
        ({"queues": {"acme": {"max_length": 5}}}, []),
        ({"queues": {"amce": {}}}, ['queues.amce: no channel is fed from it; did you mean "acme"?']),
        ({"ledger": {"keep": "31m"}}, []),
        (
            {"ledger": {"keep": "30m"}},
            [
                "ledger.keep: 1800 s are not longer than a message can wait between two attempts or for its "
                "acknowledgement, 1800 s: what was sent could be forgotten, and sent again"
            ],
        ),
    ],
)
def test_what_works_and_is_hardly_meant_is_remarked(more: dict[str, Any], said: list[str]) -> None:
    found = remarks(right({**smpp(), **more}))
    assert [f"{remark.path}: {remark.text}" for remark in found] == said


def test_only_the_secrets_that_are_wanted_are_fetched() -> None:
    table = {
        "broker": {"url": {"env": "BROKER"}},
        "ledger": {"url": {"file": "none"}},
        **smpp(password={"env": "NOPE"}),
    }
    found = parse(table, {"BROKER": "amqp://h"}, _no_file, secrets=("broker",))
    assert isinstance(found, Configuration), found
    assert found.broker_url == "amqp://h"
    assert len(problems(table, {"BROKER": "amqp://h"})) == 2
    wrong = parse(smpp(password={"enw": "X"}), {}, _no_file, secrets=())
    assert isinstance(wrong, list), "how a secret is written is checked all the same"


def test_no_error_shows_a_secret() -> None:
    lines = problems({**smpp(password={"env": "X"}), "broker": {"url": {"env": "Y", "file": "Z"}}})
    assert len(lines) == 2
    assert all("hunter2" not in line for line in problems(smpp(password=["hunter2"])))


def test_secrets_come_from_files_and_the_environment() -> None:
    acme = right(smpp(password={"file": "/r/s"})).channels["acme"]
    assert isinstance(acme, SmppSettings)
    assert acme.password.reveal() == "of /r/s"
    assert right({**smpp(), "broker": {"url": {"env": "B"}}}, {"B": "amqp://h"}).broker_url == "amqp://h"


def test_defaults_follow_from_the_state_dir() -> None:
    configuration = right({**smpp(), "state_dir": "/srv/sms"})
    assert configuration.broker_url == "spool:///srv/sms/spool.db"
    assert configuration.ledger_url == "sqlite:///srv/sms/ledger.db"


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    (tmp_path / "a.toml").write_text(
        'state_dir = "state"\n[channels.acme]\ntype = "smpp"\nendpoint = "tcp:h:1"\nsystem_id = "a"\n'
        'password = { file = "secret" }\n'
    )
    configuration = load(tmp_path / "a.toml", {})
    acme = configuration.channels["acme"]
    assert isinstance(acme, SmppSettings)
    assert acme.password.reveal() == "s3cret"
    assert configuration.ledger_url == f"sqlite://{tmp_path}/state/ledger.db"


def test_every_path_is_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    (tmp_path / "a.toml").write_text(
        'state_dir = "~/state"\n[broker]\nca = "rabbit.pem"\n[manhole]\nhost_key = "keys/host"\n'
        'listen = "unix:manhole.sock:mode=600"\n[channels.a]\ntype = "smpp"\nsystem_id = "a"\n'
        'endpoint = "unix:run/smsc.sock"\n[channels.b]\ntype = "smpp"\nsystem_id = "b"\nendpoint = "unix:/b"\n'
    )
    found = load(tmp_path / "a.toml", {})
    assert (found.state_dir, found.broker.ca) == ("/home/me/state", f"{tmp_path}/rabbit.pem")
    assert found.manhole is not None
    assert found.manhole.authorized_keys == "/home/me/.ssh/authorized_keys"
    assert found.manhole.host_key == f"{tmp_path}/keys/host"
    assert found.manhole.listen == f"unix:{tmp_path}/manhole.sock:mode=600"
    assert [getattr(channel, "endpoint", None) for channel in found.channels.values()] == [
        f"unix:{tmp_path}/run/smsc.sock",
        "unix:/b",
    ]


def test_the_home_of_nobody_is_said_to_be_missing(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(
        '[channels.a]\ntype = "smpp"\nsystem_id = "a"\nendpoint = "tcp:h:1"\n'
        'password = { file = "~no-such-user/secret" }\n'
    )
    with pytest.raises(ConfigError, match="~no-such-user/secret: No such file"):
        load(tmp_path / "a.toml", {})


def test_a_file_that_is_no_toml_names_the_place(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("[channels\n")
    with pytest.raises(ConfigError, match=r"a\.toml: not TOML: .*line 1"):
        load(path, {})
    path.write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match="not UTF-8 at octet 5"):
        load(path, {})
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml", {})


def test_every_line_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("lgo = 1\nchanels = 2\n")
    with pytest.raises(ConfigError) as raised:
        load(path, {})
    lines = str(raised.value).splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{path}: ") for line in lines)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("250ms", 0.25), ("10s", 10), ("1.5m", 90), ("2h", 7200), ("3d", 259200), (7, 7), (0.5, 0.5)],
)
def test_durations(written: object, seconds: float) -> None:
    assert Duration.parse(written) == seconds


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
toml = st.recursive(
    scalars.filter(lambda value: value is not None),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    ["broker", "ledger", "channels", "routes", "queues", "manhole", "log", "state_dir", "stop_timeout"]
)


@given(st.dictionaries(names, toml, max_size=4))
def test_whatever_the_table_holds_it_ends_in_words(table: dict[str, Any]) -> None:
    found = parse(table, {}, _no_file)
    assert isinstance(found, Configuration) or all(problem.text for problem in found)


@given(st.dictionaries(st.sampled_from([*SmppSettings.__struct_encode_fields__, "type"]), toml, max_size=6))
def test_whatever_a_channel_holds_it_ends_in_words(settings: dict[str, Any]) -> None:
    found = parse({"channels": {"acme": {**SMPP, **settings}}}, {}, _no_file)
    assert isinstance(found, Configuration) or all(problem.text for problem in found)


# -- modems

GSM: dict[str, Any] = {"type": "gsm", "endpoint": "serial:/dev/serial/by-id/usb-X:baudrate=115200"}


def gsm(**settings: Any) -> dict[str, Any]:
    return {"channels": {"sim1": {**GSM, **settings}}}


def test_two_modems_have_two_ports() -> None:
    other = "serial:/dev/serial/by-id/usb-X:baudrate=9600"
    table = {"channels": {"sim1": GSM, "sim2": {**GSM, "endpoint": other}}}
    assert problems(table) == ['channels.sim2.endpoint: the port of channel "sim1" already']


def test_a_modem_with_everything() -> None:
    table = gsm(
        **{
            "from": "+46700000099",
            "pin": {"env": "PIN"},
            "imei": "356938035643809",
            "imsi": "240011234567890",
        },
        smsc="+46700000000",
        rate=0.15,
        budget={"minute": 6, "day": 900, "month": 10_000},
        quiet="22:00-07:00",
        reset_command=["/usr/sbin/uhubctl", "-a", "cycle"],
        poll="30s",
        receive="stored",
        timers={"submit": "90s", "registration": "5m"},
    )
    (channel,) = right(table, {"PIN": "7391"}).channels.values()
    assert isinstance(channel, GsmSettings)
    assert channel.width == 1
    assert channel.budget == Budget(minute=6, day=900, month=10_000)
    assert "7391" not in repr(channel)
    modem = channel.modem
    assert (modem.pin, modem.poll, modem.submit, modem.registration) == ("7391", 30, 90, 300)
    assert (modem.imei, modem.imsi, modem.receive) == ("356938035643809", "240011234567890", "stored")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"width": 2}, "channels.sim1.width: expected one of 1, found 2"),
        ({"buget": {}}, 'channels.sim1.buget: unknown key; did you mean "budget"?'),
        ({"budget": {"year": 1}}, "channels.sim1.budget.year: unknown key; known here: day, hour, minute, month"),
        ({"budget": {"day": 0}}, "channels.sim1.budget.day: expected a whole number >= 1, found 0"),
        ({"quiet": "22:00-22:00"}, 'channels.sim1.quiet: no hour is left to send in; found "22:00-22:00"'),
        ({"timers": {"submit": 0}}, "channels.sim1.timers.submit: a modem needs time: expected more than 0"),
        ({"poll": 0}, "channels.sim1.poll: expected more than 0"),
        ({"quiet": "22-7"}, 'channels.sim1.quiet: expected hours of local time such as "22:00-07:00", found "22-7"'),
        ({"quiet": "24:00-07:00"}, 'channels.sim1.quiet: expected hours of local time such as "22:00-07:00", found "24:00-07:00"'),
        ({"imei": "123"}, 'channels.sim1.imei: expected 15 digits, found "123"'),
        ({"imsi": "x"}, 'channels.sim1.imsi: expected 14 or 15 digits, found "x"'),
        ({"smsc": "my network"}, 'channels.sim1.smsc: expected digits, with a + where the number is international, found "my network"'),
        ({"pin": "12"}, "channels.sim1.pin: a PIN has 4 to 8 digits; this one has not"),
        ({"from": "ACME"}, 'channels.sim1.from: expected the number of the SIM: a modem can\'t send from another, found "ACME"'),
        ({"endpoint": "serial:/dev/x:boudrate=1"}, 'channels.sim1.endpoint: serial: unknown key boudrate; did you mean "baudrate"?'),
        ({"endpoint": "serial:ttyUSB0"}, "channels.sim1.endpoint: serial: expected the path of a device, such as serial:/dev/serial/by-id/..."),
        ({"endpoint": "/dev/ttyUSB0"}, 'channels.sim1.endpoint: expected serial:DEVICE or tcp:HOST:PORT, found "/dev/ttyUSB0"'),
        ({"reset_command": "uhubctl"}, 'channels.sim1.reset_command: expected a list, found "uhubctl"'),
        ({"timers": {"sumbit": 1}}, 'channels.sim1.timers.sumbit: unknown key; did you mean "submit"?'),
        ({"dialect": {}}, "channels.sim1.dialect: unknown key; known here: "),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_modem(settings: dict[str, Any], problem: str) -> None:
    (line,) = problems(gsm(**settings))
    assert line.startswith(problem), line
