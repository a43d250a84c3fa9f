"""What lands on a machine after `pip install .`, and after the developer's own installation."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PLUGINS = {"twisted/plugins/smsgw_plugin.py", "twisted/plugins/smsgw_endpoints.py"}
ENDPOINT = """
from twisted.internet.endpoints import clientFromString
from twisted.internet.testing import MemoryReactor
print(clientFromString(MemoryReactor(), "serial:/dev/modem:baudrate=9600").settings)
"""
TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]

pytestmark = pytest.mark.integration


def run(*command: str | Path, cwd: Path | str = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def tracked() -> list[Path]:
    """What a clean clone would hold, as far as it stands in this folder."""
    names = run("git", "ls-files", "-z").split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (ROOT / ".git").exists():
        pytest.skip("needs a git clone: only what is committed counts")
    clone = tmp_path_factory.mktemp("clone")
    for file in tracked():
        copy = clone / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        "dist",
        ".",
    ]
    run(*build, cwd=clone)
    (found,) = (clone / "dist").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def interpreter(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, which borrows all that smsgw depends on from ours.

    A `.pth` file adds our site-packages to its path without reading the `.pth` files there, so our own
    editable smsgw stays out of sight.
    """
    folder = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    install = ["install", "-q", "--no-deps", "--no-index", wheel]
    run(sys.executable, "-m", "pip", "--python", python, *install)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


@pytest.fixture
def contents(wheel: Path) -> Iterator[set[str]]:
    with zipfile.ZipFile(wheel) as archive:
        yield set(archive.namelist())


def test_the_wheel_has_every_file_of_the_package(contents: set[str]) -> None:
    package = {str(file.relative_to(ROOT)) for file in tracked() if file.is_relative_to(ROOT / "smsgw")}
    assert package
    assert package - contents == set()


def test_the_wheel_adds_its_plugins_to_twisted_and_replaces_nothing(contents: set[str]) -> None:
    plugins = {str(file.relative_to(ROOT)) for file in tracked() if file.is_relative_to(ROOT / "twisted")}
    assert plugins == PLUGINS
    assert {name for name in contents if name.startswith("twisted/")} == plugins
    assert not {name for name in plugins if name.endswith("__init__.py")}


def test_the_wheel_has_nothing_else(contents: set[str]) -> None:
    assert {name.split("/")[0].partition("-")[0] for name in contents} == {"smsgw", "twisted"}


def test_installed_smsgw_is_found_outside_of_its_sources(interpreter: Path) -> None:
    found = run(interpreter, "-c", "import smsgw; print(smsgw.__file__)", cwd="/").strip()
    assert Path(found).is_relative_to(interpreter.parent.parent)


def test_twistd_lists_smsgw_after_pip_install(interpreter: Path) -> None:
    assert "smsgw" in run(interpreter, *TWISTD[1:], "--help", cwd="/").split()


def test_twistd_lists_smsgw_after_the_developers_install() -> None:
    assert "smsgw" in run(*TWISTD, "--help", cwd="/").split()


def test_serial_endpoint_strings_are_known_after_pip_install(interpreter: Path) -> None:
    assert "baudrate=9600" in run(interpreter, "-c", ENDPOINT, cwd="/")
