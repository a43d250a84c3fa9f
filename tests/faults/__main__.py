"""`python -m tests.faults`: runs schedules of faults, one line for each.

python -m tests.faults                          20 schedules of 5,000 messages
python -m tests.faults --seed 7 --messages 800  one of them, with everything that it logs
python -m tests.faults --show --seed 7          only what would happen
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from faults.report import write
from faults.run import Result, run
from faults.schedule import draw
from rabbitmq import RabbitNode, sbin


def main() -> int:
    options = _options()
    seeds = options.seed or range(1, options.runs + 1)
    schedules = [draw(seed, options.messages) for seed in seeds]
    if options.show:
        print(*schedules, sep="\n\n")
        return 0
    if sbin() is None:
        print("RabbitMQ is not installed: apt-get install rabbitmq-server", file=sys.stderr)
        return 1
    folder = Path(tempfile.mkdtemp(prefix="smsgw-faults-"))
    rabbit = RabbitNode(folder / "rabbitmq")
    results: list[Result] = []
    try:
        rabbit.start()
        for number, schedule in enumerate(schedules):
            place = folder / f"{number:02}-seed-{schedule.seed}"
            place.mkdir()
            results.append(run(schedule, place, rabbit))
            print(results[-1], *results[-1].problems, sep="\n    ", flush=True)
            if options.write:
                write(options.write, results)
    finally:
        rabbit.close()
    failed = any(result.problems for result in results)
    if failed or options.keep:
        print(f"logs and counts: {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--seed", type=int, action="append", help="a schedule; may be given several times")
    parser.add_argument("--runs", type=int, default=20, help="without --seed: the seeds from 1 to this")
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--show", action="store_true", help="print the schedules and run nothing")
    parser.add_argument("--write", type=Path, help="a Markdown file whose table of results to replace")
    parser.add_argument("--keep", action="store_true", help="keep logs and counts also where all held")
    return parser.parse_args()


sys.exit(main())
