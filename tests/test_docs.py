"""What the documentation says has to be so: its links, its commands, and every block of code in it."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from smsgw import config, message

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("tap/*.md")])
CONFIGURATIONS = sorted(ROOT.glob("tap/*.toml"))

LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?)\s*$", re.MULTILINE)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE_OR_BLOCK = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def links() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        prose = INLINE_OR_BLOCK.sub("", page.read_text())
        yield from ((name(page), target) for target in LINK.findall(prose))


def blocks(*languages: str) -> Iterator[object]:
    """Every fenced block in one of the languages, as a parameter named after its place."""
    for page in PAGES:
        text = page.read_text()
        for found in BLOCK.finditer(text):
            if found[1] in languages:
                line = text.count("\n", 0, found.start()) + 1
                yield pytest.param(found[2], id=f"{name(page)}:{line}")


def anchors(page: Path) -> set[str]:
    """The names under which GitHub links to a page's headings."""
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(page.read_text()))
    return {heading.replace(" ", "-") for heading in kept}


@pytest.mark.parametrize(("page", "target"), [*links()])
def test_links_lead_somewhere(page: str, target: str) -> None:
    if target.startswith(("https://", "http://")):
        return
    path, _, anchor = target.partition("#")
    found = (ROOT / page).parent / path if path else ROOT / page
    assert found.exists(), f"{page} links to {target}"
    if anchor:
        assert anchor in anchors(found), f"{page} links to {target}"


@pytest.mark.parametrize("page", [name(page) for page in PAGES])
def test_make_targets_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = "\n".join(INLINE_OR_BLOCK.findall((ROOT / page).read_text()))
    named = set(re.findall(r"(?:^|[`$&;] *)make ([a-z]+)", code, re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("page", [name(page) for page in PAGES])
def test_commands_exist(page: str) -> None:
    from smsgw.cli import main

    code = "\n".join(INLINE_OR_BLOCK.findall((ROOT / page).read_text()))
    named = set(re.findall(r"(?:^|[`/])smsgw ([a-z]+)(?= |`|$)", code, re.MULTILINE))
    assert named <= set(main.commands)


def test_the_readme_names_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "make run" in readme
    assert "make test" in readme


def environment(text: str) -> dict[str, str]:
    """Something for every variable that a configuration takes a secret from."""
    return dict.fromkeys(re.findall(r'env = "(\w+)"', text), "secret")


@pytest.mark.parametrize("text", [*blocks("toml")])
def test_configurations_in_the_documentation_are_valid(text: str, tmp_path: Path) -> None:
    file = tmp_path / "smsgw.toml"
    file.write_text(text)
    assert config.load(file, environment(text)).channels


@pytest.mark.parametrize("file", CONFIGURATIONS, ids=name)
def test_configurations_to_start_from_are_valid_as_they_are(file: Path) -> None:
    assert config.load(file, {}).channels


@pytest.mark.parametrize("text", [*blocks("json")])
def test_messages_and_events_in_the_documentation_are_valid(text: str) -> None:
    if "event_id" in json.loads(text):
        assert message.decode_event(text.encode()).event_id
    else:
        assert message.decode(text.encode(), now=0.0).message.to


@pytest.mark.parametrize("text", [*blocks("python")])
def test_programs_in_the_documentation_are_python(text: str) -> None:
    assert ast.parse(text).body


def test_pages_made_from_the_code_are_up_to_date() -> None:
    made = subprocess.run(
        [sys.executable, ROOT / "scripts" / "reference.py", "--check"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr + "make reference"
