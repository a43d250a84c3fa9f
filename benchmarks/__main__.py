"""`python -m benchmarks`: measures everything and writes docs/benchmarks/ and the README's table.

python -m benchmarks                      all of it, in less than ten minutes
python -m benchmarks --only idle cost     some pages
python -m benchmarks --quick              a quarter of the time, to see that it works: writes no page
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from rabbitmq import RabbitNode, sbin

from benchmarks import cost, drain, idle, load, machine, native, outstanding, pages, scripts
from benchmarks.bed import Bed

MEASUREMENTS: dict[str, Callable[[Bed], pages.Page]] = {
    "idle": idle.measure,
    "cost": cost.measure,
    "drain": drain.measure,
    "load": load.measure,
    "outstanding": outstanding.measure,
    "parts": scripts.measure,
}
QUICK = 0.25


def main() -> int:
    options = _options()
    if native.compiler() is None:
        print(
            "benchmarks: no C compiler for the peers; as root: apt-get install gcc libc6-dev", file=sys.stderr
        )
        return 1
    if sbin() is None:
        print("benchmarks: RabbitMQ is not installed, so nothing is measured with it", file=sys.stderr)
    pages.FOLDER.mkdir(exist_ok=True)
    facts, command = machine.facts(), " ".join(["python -m benchmarks", *sys.argv[1:]])
    with tempfile.TemporaryDirectory(prefix="smsgw-benchmarks-") as place:
        folder = Path(place)
        node = RabbitNode(folder / "rabbitmq") if sbin() else None
        try:
            if node is not None:
                node.start()
            pace, plots = (QUICK, folder) if options.quick else (1.0, pages.FOLDER)
            bed = Bed(folder, native.build(folder), node, pace, plots)
            return _measure(bed, options.only or list(MEASUREMENTS), facts, command)
        finally:
            if node is not None:
                node.close()


def _measure(bed: Bed, names: list[str], facts: list[str], command: str) -> int:
    """Each page is written when it is measured; one that fails does not cost the others."""
    status = 0
    for name in names:
        began = time.monotonic()
        try:
            page = MEASUREMENTS[name](bed)
            if bed.pace == 1.0:
                pages.write(page, facts, command)
        except Exception:  # noqa: BLE001  whatever it is, the others may do
            traceback.print_exc()
            status = 1
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    return status


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(MEASUREMENTS), help="some of the pages")
    parser.add_argument("--quick", action="store_true", help="a quarter of the time")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
