"""The plugin's service maker: one clear line for what is wrong, and a whole gateway for what is right."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.application.service import Application, IServiceCollection
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver
from twisted.python import usage
from zope.interface import implementer

from smsgw.gateway.service import Gateway
from smsgw.tap import Options, makeService


@implementer(IReactorFromThreads)
class Reactor(MemoryReactorClock):
    """A reactor that never runs."""

    def callFromThread(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> None:  # noqa: A002
        raise AssertionError("nothing runs before the service starts")


GOOD = """
state_dir = "state"
[channels.dry]
type = "null"
"""


def options(path: Path) -> Options:
    made = Options()
    made.parseOptions(["--config", str(path)])  # type: ignore[no-untyped-call]
    return made


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "smsgw.toml"
    path.write_text(GOOD)
    return path


def complaint(path: Path) -> str:
    """What the start ends with; SystemExit with a string prints it and exits with status 1."""
    with pytest.raises(SystemExit) as caught:
        makeService(options(path), Reactor())
    assert isinstance(caught.value.code, str)
    return caught.value.code


def test_a_configuration_becomes_a_gateway(config: Path) -> None:
    service = makeService(options(config), Reactor())
    gateway, _ = list(service)  # type: ignore[call-overload]
    assert isinstance(gateway, Gateway)
    assert list(gateway.channels) == ["dry"]
    assert not gateway.running
    assert (config.parent / "state" / "ledger.db").exists()


@pytest.mark.parametrize("arguments", [[], ["--config"], ["--colour", "red"]])
def test_the_command_line_is_checked(arguments: list[str]) -> None:
    with pytest.raises(usage.UsageError):
        Options().parseOptions(arguments)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour = 1" + GOOD, "colour: unknown key"),
        (GOOD + "width = 'wide'", 'channels.dry.width: expected a whole number, found "wide"'),
        (GOOD + "widht = 5", 'channels.dry.widht: unknown key; did you mean "width"?'),
        (GOOD + "width = 0", "channels.dry.width: "),
        ("[channels", "not TOML"),
        ("", "channels: at least one channel is needed"),
        (
            '[channels.a]\ntype = "smpp"\nendpoint = "tcp:h:1"\nsystem_id = "x"\n'
            'password = {env = "NO_SUCH"}',
            "channels.a.password: the environment variable NO_SUCH is not set",
        ),
        (
            'state_dir = "s"\n[channels.a]\ntype = "smpp"\nendpoint = "tcp:h:1:b=2"\nsystem_id = "x"',
            "channels.a.endpoint: not an endpoint",
        ),
        (GOOD + '[broker]\nurl = "amqp://host:port:1"', "broker.url"),
    ],
)
def test_a_wrong_setting_is_one_line(config: Path, text: str, said: str) -> None:
    config.write_text(text)
    line = complaint(config)
    assert line.startswith("smsgw: ")
    assert said in line
    assert line.count("\n") == 0


def test_every_problem_has_a_line(config: Path) -> None:
    config.write_text(GOOD + "width = 0\nrate = -1\n[log]\ncolour = 1")
    assert complaint(config).count(str(config)) >= 2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert complaint(tmp_path / "none.toml") == f"smsgw: {tmp_path / 'none.toml'}: No such file or directory"


def test_a_ledger_that_cannot_be_opened_names_its_path(config: Path) -> None:
    config.write_text(GOOD + f'[ledger]\nurl = "sqlite://{config.parent}/none/ledger.db"')
    line = complaint(config)
    assert f"{config.parent}/none/ledger.db: No such file or directory" in line
    assert "\n" not in line


def test_a_state_dir_that_cannot_be_made_is_named(config: Path) -> None:
    config.write_text(GOOD.replace('"state"', '"smsgw.toml/state"'))
    assert "state_dir" in complaint(config)


def test_no_secret_in_a_complaint(config: Path) -> None:
    config.write_text(
        '[channels.a]\ntype = "smpp"\nendpoint = "tcp:h:1"\nsystem_id = "x"\npassword = "hunter2hunter2"'
    )
    line = complaint(config)
    assert "channels.a.password" in line
    assert "hunter2" not in line


def test_a_json_log_is_asked_of_the_application(config: Path) -> None:
    config.write_text(GOOD + '[log]\nformat = "json"')
    application = Application("smsgw")  # type: ignore[no-untyped-call]
    makeService(options(config), Reactor()).setServiceParent(application)
    assert application.getComponent(ILogObserver) is not None
    assert len(list(IServiceCollection(application))) == 1  # type: ignore[call-overload]


def test_a_text_log_is_twistds_own(config: Path) -> None:
    application = Application("smsgw")  # type: ignore[no-untyped-call]
    makeService(options(config), Reactor()).setServiceParent(application)
    assert application.getComponent(ILogObserver) is None


TWISTD = [sys.executable, str(Path(sysconfig.get_path("scripts")) / "twistd")]


@pytest.mark.integration
def test_twistd_ends_with_status_1_and_one_line(config: Path) -> None:
    config.write_text(GOOD + "widht = 5")
    ended = subprocess.run(
        [*TWISTD, "-n", "--pidfile=", "smsgw", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parent.parent,
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stdout + ended.stderr
    assert [line for line in ended.stderr.splitlines() if line.startswith("smsgw: ")]


@pytest.mark.integration
def test_twistd_writes_the_json_log(config: Path) -> None:
    """Every line of it is JSON, from the first to the last."""
    config.write_text(GOOD + '[log]\nformat = "json"')
    running = subprocess.Popen(
        [*TWISTD, "-n", "--pidfile=", "smsgw", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    assert running.stdout is not None
    lines = [running.stdout.readline() for _ in range(2)]
    running.terminate()
    rest, _ = running.communicate(timeout=60)
    lines += rest.splitlines()
    assert all("log_namespace" in json.loads(line.lstrip("\x1e")) for line in lines)


MAKE = """
import sys, time
from smsgw.tap import Options, makeService

options = Options()
options.parseOptions(["--config", sys.argv[1]])
makeService(options)
from twisted.internet import reactor
sys.exit(reactor.seconds is not time.monotonic)
"""


def test_the_daemons_timers_follow_the_monotonic_clock(config: Path) -> None:
    """In a process of its own: the reactor there is for good."""
    assert subprocess.run([sys.executable, "-c", MAKE, str(config)], check=False).returncode == 0


def test_a_running_daemon_looks_for_cycles_seldom() -> None:
    """In another process: what is frozen stays so."""
    script = (
        "import gc; from smsgw.tap import collect_seldom; collect_seldom();"
        "print(*gc.get_threshold(), gc.get_freeze_count() > 0)"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["10000", "20", "20", "True"]
