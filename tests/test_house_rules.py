"""The house rules that a machine can check (CONTRIBUTING.md says them in words)."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "smsgw").rglob("*.py"))
LONGEST_MODULE = 450
LONGEST_FUNCTION = 70
VAGUE = re.compile(r"(?:^|_|[a-z])(?:manager|handler|processor|helper|engine|utils?)s?$", re.IGNORECASE)
REACTOR_IMPORT = re.compile(r"from twisted\.internet import .*\breactor\b|import twisted\.internet\.reactor")
ENTRANCES = ("smsgw/tap.py", "smsgw/cli/")
"""Where a program starts, and hence where the reactor comes from."""


def name(module: Path) -> str:
    return str(module.relative_to(ROOT))


every_module = pytest.mark.parametrize("module", MODULES, ids=name)


@every_module
def test_modules_are_short_and_open_with_what_they_are(module: Path) -> None:
    text = module.read_text()
    assert text.count("\n") <= LONGEST_MODULE
    assert ast.get_docstring(ast.parse(text))


@every_module
def test_functions_are_short(module: Path) -> None:
    functions = [
        node
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


@every_module
def test_names_say_what_a_thing_is(module: Path) -> None:
    defined = [
        node.name
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [found for found in [module.stem, *defined] if VAGUE.search(found)] == []


@every_module
def test_the_reactor_is_a_parameter(module: Path) -> None:
    if not name(module).startswith(ENTRANCES):
        assert not REACTOR_IMPORT.search(module.read_text())


def test_twisted_plugins_stays_a_folder_of_modules() -> None:
    """An `__init__.py` there would hide Twisted's own plugins, or Twisted itself."""
    assert not list((ROOT / "twisted").rglob("__init__.py"))


@pytest.mark.parametrize("vague", ["handler", "PduHandler", "session_manager", "string_utils", "SmsEngine"])
def test_vague_names_are_noticed(vague: str) -> None:
    assert VAGUE.search(vague)
