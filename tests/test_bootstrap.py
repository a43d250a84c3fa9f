"""What `scripts/bootstrap` says and does on machines that lack something.

Each machine is a folder that is the whole PATH: the script sees only the programs put there.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOOLS = ("bash", "dirname", "cat", "cksum", "grep", "rm")

ORDINARY_USER = "#!/bin/sh\necho 1000\n"
ROOT_USER = "#!/bin/sh\necho 0\n"
REFUSING = "#!/bin/sh\nexit 1\n"
OLD_PYTHON = '#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.2 && exit 0\nexit 1\n'
DEBIAN_PYTHON = '#!/bin/sh\n[ "$1" = - ] && exit 1\nexit 0\n'
"""New enough, but without ensurepip: what Debian installs where python3-venv is not asked for."""


class Machine:
    """A copy of the project's scripts and a PATH with nothing but what was put there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "bin"
        self.path.mkdir()
        (folder / "scripts").mkdir()
        shutil.copy(ROOT / "scripts" / "bootstrap", folder / "scripts" / "bootstrap")
        for name in ("pyproject.toml", "setup.py"):
            shutil.copy(ROOT / name, folder / name)
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found, tool
            (self.path / tool).symlink_to(found)
        self.put("id", ORDINARY_USER)

    def put(self, name: str, script: str) -> None:
        """A program on the PATH, or, with a slash in its name, a file of the project."""
        file = self.folder / name if "/" in name else self.path / name
        file.write_text(script)
        file.chmod(0o755)

    def bootstrap(self, wish: str, **environ: str) -> tuple[int, str]:
        """The exit status and what was said."""
        done = subprocess.run(
            [self.folder / "scripts" / "bootstrap", wish],
            env={"PATH": str(self.path), **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_root_and_sudo_missing_packages_are_named_and_what_they_cost(machine: Machine) -> None:
    machine.put("apt-get", REFUSING)
    status, said = machine.bootstrap("packages")
    assert status == 0
    assert "rabbitmq-server is not installed: the tests of the broker RabbitMQ will be skipped" in said
    assert said.endswith(
        "as root: apt-get install rabbitmq-server tshark faketime openssh-client gammu gammu-smsd\n"
    )


def test_a_sudo_that_asks_for_a_password_is_no_sudo(machine: Machine) -> None:
    machine.put("apt-get", REFUSING)
    machine.put("sudo", REFUSING)
    assert "will be skipped" in machine.bootstrap("packages")[1]


@pytest.mark.parametrize("user", [ROOT_USER, ORDINARY_USER])
def test_only_what_is_missing_is_installed(machine: Machine, user: str) -> None:
    machine.put("apt-get", REFUSING)
    machine.put("id", user)
    machine.put("sudo", '#!/bin/sh\n[ "$1" = -n ] && shift\n[ "$1" = true ] || exec "$@"\n')
    machine.put("tshark", REFUSING)
    machine.put("scripts/debian-install", '#!/bin/sh\necho installed "$@" >&2\n')
    status, said = machine.bootstrap("packages")
    assert status == 0
    assert "installed rabbitmq-server faketime openssh-client gammu gammu-smsd\n" in said
    assert "skipped" not in said


def test_a_failing_installation_costs_tests_and_no_more(machine: Machine) -> None:
    machine.put("apt-get", REFUSING)
    machine.put("id", ROOT_USER)
    machine.put("scripts/debian-install", REFUSING)
    status, said = machine.bootstrap("packages")
    assert status == 0
    assert "tshark is not installed" in said


def test_with_everything_there_nothing_is_said(machine: Machine) -> None:
    for program in ("rabbitmq-server", "tshark", "faketime", "ssh", "ssh-keygen", "gammu", "gammu-smsd"):
        machine.put(program, REFUSING)
    assert machine.bootstrap("packages") == (0, "")


def test_a_missing_compiler_is_named_before_the_benchmarks(machine: Machine) -> None:
    machine.put("apt-get", REFUSING)
    assert "as root: apt-get install gcc libc6-dev\n" in machine.bootstrap("bench")[1]


def test_a_missing_compiler_is_installed_where_that_may_be(machine: Machine) -> None:
    machine.put("apt-get", REFUSING)
    machine.put("id", ROOT_USER)
    machine.put("scripts/debian-install", '#!/bin/sh\necho installed "$@" >&2\n')
    assert "installed gcc libc6-dev\n" in machine.bootstrap("bench")[1]


@pytest.mark.parametrize(
    ("pythons", "environ", "expected"),
    [
        ({}, {}, "no Python 3.11 or newer found"),
        ({"python3": OLD_PYTHON}, {}, "no Python 3.11 or newer found"),
        ({"python3": DEBIAN_PYTHON}, {}, "python3 lacks ensurepip"),
        ({"python3": DEBIAN_PYTHON}, {}, "apt-get install python3-venv"),
        ({}, {"PYTHON": "python3.12"}, "PYTHON=python3.12: there is no such program"),
        (
            {"python3.9": OLD_PYTHON},
            {"PYTHON": "python3.9"},
            "PYTHON=python3.9 is Python 3.9.2; Python 3.11 or newer is needed",
        ),
    ],
)
def test_without_a_suitable_python_one_sentence_says_what_is_missing(
    machine: Machine, pythons: dict[str, str], environ: dict[str, str], expected: str
) -> None:
    for name, script in pythons.items():
        machine.put(name, script)
    status, said = machine.bootstrap("run", **environ)
    assert status == 1
    assert expected in said
    assert said.count("\n") == 1
    assert not (machine.folder / ".venv").exists()


def test_the_newest_python_is_chosen(machine: Machine) -> None:
    for name in ("python3.11", "python3.13", "python3"):
        machine.put(name, '#!/bin/sh\n[ "$2" = venv ] && exit 1\n[ "$1" = - ] && cat >/dev/null\nexit 0\n')
    assert "bin/python3.13 could not make a virtual environment" in machine.bootstrap("run")[1]


def test_an_unknown_wish_is_a_usage_error(machine: Machine) -> None:
    assert machine.bootstrap("walk") == (1, "smsgw: usage: scripts/bootstrap run|dev|bench|packages\n")
