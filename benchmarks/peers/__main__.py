"""`python -m benchmarks.peers`: one drain with Kannel, Jasmin and smsgw; docs/benchmarks/peers.md.

python -m benchmarks.peers                             all of it, in less than eight minutes
python -m benchmarks.peers --runs 1 --count 4000       to see that it works; writes nothing
python -m benchmarks.peers --only Jasmin               some of the programs; writes nothing
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from rabbitmq import RabbitNode, sbin

from benchmarks import machine, native, pages
from benchmarks.peers import contest, install, page
from benchmarks.peers.program import Unfit

COUNT = 20_000
RUNS = 3


def main() -> int:
    options = _options()
    if native.compiler() is None:
        print("peers: no C compiler for the message centre; as root: apt-get install gcc libc6-dev")
        return 1
    names = {name for scenario in contest.SCENARIOS for name in scenario.names if _wanted(name, options.only)}
    absent = install.missing(names)
    for name, reason in sorted(absent.items()):
        print(f"peers: {name} does not take part: {reason}")
    facts, began = machine.facts(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="smsgw-peers-") as place:
        folder = Path(place)
        node = RabbitNode(folder / "rabbitmq") if sbin() else None
        try:
            if node is not None:
                node.start()
            bed = contest.Bed(folder, options.sink or native.build(folder)["sink"], node)
            results = _measure(bed, names - set(absent), options.count, options.runs, absent)
        finally:
            if node is not None:
                node.close()
    print(f"peers: {time.monotonic() - began:.0f} s")
    if not results:
        return 1
    if (options.count, options.runs, options.only) == (COUNT, RUNS, None):
        pages.FOLDER.mkdir(exist_ok=True)
        pages.write(page.page(results, absent, COUNT, RUNS), facts, "make peers")
    return 0


def _measure(
    bed: contest.Bed, names: set[str], count: int, runs: int, absent: dict[str, str]
) -> page.Results:
    """In rounds, each program once in each, so that what the machine does meanwhile meets them all."""
    results: page.Results = {}
    for number in range(runs):
        for scenario in contest.SCENARIOS:
            for name in scenario.names:
                if name not in names or name in absent:
                    continue
                try:
                    result = contest.run(bed, scenario, name, number, count)
                except (Unfit, OSError) as reason:
                    absent[name] = f"{scenario.title}: {reason}"
                    print(f"peers: {name} drops out: {absent[name]}")
                    continue
                results.setdefault((scenario.key, name), []).append(result)
                spent = ", ".join(f"{what} {us:.0f} us" for what, us in result.cpu.items())
                print(f"{scenario.key:9} {name:16} {result.rate:8,.0f} a second; {spent}", flush=True)
    return results


def _wanted(name: str, only: list[str] | None) -> bool:
    return only is None or any(name.startswith(wish) for wish in only)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="programs, by the beginnings of their names"
    )
    parser.add_argument("--count", type=int, default=COUNT, help="messages in each run")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--sink", type=Path, help="another message centre, with the options of native/sink.c")
    return parser.parse_args()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
