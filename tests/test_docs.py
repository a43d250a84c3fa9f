"""What the documentation says has to be so: its links, its commands, and every block of code in it."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import fields

from smsgw import message
from smsgw.loading import load
from smsgw.sms import udh
from smsgw.sms.coding import Encoding, capacity, header_size

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    page for where in ("*.md", "docs/**/*.md", "tap/*.md", "benchmarks/**/*.md") for page in ROOT.glob(where)
)
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
    assert load(file, environment(text)).channels


@pytest.mark.parametrize("file", CONFIGURATIONS, ids=name)
def test_configurations_to_start_from_are_valid_as_they_are(file: Path) -> None:
    assert load(file, {}).channels


@pytest.mark.parametrize("text", [*blocks("json")])
def test_messages_events_and_inbound_messages_in_the_documentation_are_valid(text: str) -> None:
    found = json.loads(text)
    if "event_id" in found:
        assert message.decode_event(text.encode()).event_id
    elif "complete" in found:
        assert set(found) <= {field.encode_name for field in fields(message.Inbound)}
        assert message.decode_inbound(text.encode()).id
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


@pytest.mark.parametrize("text", [*blocks("console")])
def test_commands_in_the_documentation_print_what_it_shows(text: str) -> None:
    from smsgw.cli import main

    command, _, output = text.partition("\n")
    prompt, program, *arguments = shlex.split(command)
    assert (prompt, program) == ("$", "smsgw")
    assert CliRunner().invoke(main, arguments).output == output


def rows(pattern: str) -> list[tuple[str, ...]]:
    """The groups of the lines of docs/texts.md that match."""
    found = re.findall(pattern, (ROOT / "docs" / "texts.md").read_text(), re.MULTILINE)
    assert found
    return found


def test_ports_in_the_documentation_are_those_of_their_headers() -> None:
    for port, hexadecimal, header in rows(r"\| to (\d+) \(`(\w+)`\).*`(\w+)` \|$"):
        parsed = udh.parse(bytes.fromhex(header))
        ports = udh.ports(parsed.elements)
        assert ports is not None
        assert (parsed.length, ports.destination) == (7, int(port)) == (7, int(hexadecimal, 16))


def test_the_room_in_a_part_is_what_the_documentation_says() -> None:
    encodings: tuple[Encoding, ...] = ("gsm7", "ucs2", "latin1")
    for form, *room in rows(r"^\| `(udh|udh16|sar)` .* (\d+), (\d+), (\d+) \|$"):
        header = header_size(form, ())  # type: ignore[arg-type]
        assert [str(capacity(each, header)) for each in encodings] == room
    table = rows(r"\| (\d+) \| (\d+) \| (?:septets|UTF-16 code units|octets) \|$")
    sizes = (header_size(None, ()), header_size("udh", ()))
    assert table == [tuple(str(capacity(each, size)) for size in sizes) for each in encodings]
