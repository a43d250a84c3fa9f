"""The pages of docs/benchmarks/: all generated, so that no figure is anybody's hand-writing.

Each measurement makes one page, and some headlines of it for the index and the README. The headlines of all
pages are kept beside them in `headlines.json`: a run of one measurement leaves those of the others.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from benchmarks import machine

ROOT = machine.ROOT
FOLDER = ROOT / "docs" / "benchmarks"
HEADLINES = FOLDER / "headlines.json"
BLOCK = re.compile(r"(?<=<!-- figures: make bench -->\n).*?(?=<!-- figures end -->)", re.DOTALL)


class Headline(NamedTuple):
    """`target` and whether it is `met`, where there is one."""

    what: str
    figure: str
    target: str = ""
    met: bool | None = None
    readme: bool = False


class Page(NamedTuple):
    name: str
    title: str
    text: str
    headlines: list[Headline]
    ranges: str = (
        "A figure with a range is the median of five windows of one run, with the least and the most."
    )


def write(page: Page, facts: list[str], command: str) -> None:
    """The page, and what the index and the README say of it."""
    machine_lines = "\n".join(f"- {line}" for line in facts)
    text = (
        f"# {page.title}\n\n{page.text.strip()}\n\n## Measured\n\n{machine_lines}\n- `{command}`\n\n"
        f"This page is generated. {page.ranges}\n"
    )
    (FOLDER / f"{page.name}.md").write_text(text)
    known: dict[str, Any] = json.loads(HEADLINES.read_text()) if HEADLINES.exists() else {}
    known[page.name] = {
        "title": page.title,
        "facts": facts,
        "headlines": [headline._asdict() for headline in page.headlines],
    }
    HEADLINES.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    _index(known)
    _readme(known)


def _index(known: dict[str, Any]) -> None:
    rows = []
    for name, page in sorted(known.items()):
        rows.append(f"## [{page['title']}]({name}.md)\n\n{page['facts'][0]}\n")
        rows.append("| what | measured | target | met |\n|---|---|---|---|")
        for line in page["headlines"]:
            met = {True: "yes", False: "no", None: ""}[line["met"]]
            rows.append(f"| {line['what']} | {line['figure']} | {line['target']} | {met} |")
        rows.append("")
    text = (
        "# How fast\n\nWritten by `make bench`, which anyone can run in less than ten minutes, `make peers` "
        "and `make million`; what is measured how is told in "
        "[benchmarks/README.md](../../benchmarks/README.md).\n\n"
    )
    (FOLDER / "README.md").write_text(text + "\n".join(rows))


def _readme(known: dict[str, Any]) -> None:
    page = ROOT / "README.md"
    rows = [
        f"| {line['what']} | {line['figure']} | [{name}](docs/benchmarks/{name}.md) |"
        for name, found in sorted(known.items())
        for line in found["headlines"]
        if line["readme"]
    ]
    machine_line = next(iter(known.values()))["facts"][1].split(";")[0]
    block = f"On {machine_line}:\n\n| what | measured | page |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    page.write_text(BLOCK.sub(lambda _: block, page.read_text()))
