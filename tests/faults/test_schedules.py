"""A few short schedules of faults. `make faults` runs many long ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from faults.faults import FAULTS
from faults.run import run
from faults.schedule import Schedule, draw

SEEDS = range(1, 201)


@pytest.mark.integration
@pytest.mark.parametrize("seed", [4, 5, 7])
def test_every_message_ends_once_whatever_fails(tmp_path: Path, rabbitmq: Any, seed: int) -> None:
    result = run(draw(seed, 800), tmp_path, rabbitmq)
    assert result.problems == [], str(result.schedule)


def test_a_seed_always_means_the_same() -> None:
    assert [draw(seed, 5000) for seed in SEEDS] == [draw(seed, 5000) for seed in SEEDS]
    assert len({str(draw(seed, 5000)).partition("\n")[2] for seed in SEEDS}) == len(SEEDS)


def test_every_fault_comes_up() -> None:
    drawn = {(made.broker, step.fault.name) for made in map(_long, SEEDS) for step in made.steps}
    assert drawn == {(broker, fault.name) for broker, faults in FAULTS.items() for fault in faults}


def test_faults_come_in_order_and_not_twice_in_one_run() -> None:
    for made in map(_long, SEEDS):
        names = [step.fault.name for step in made.steps]
        assert len(set(names)) == len(names)
        assert [step.at for step in made.steps] == sorted(step.at for step in made.steps)


def test_receipts_are_forgotten_only_where_the_ledger_is_impatient_and_no_clock_jumps() -> None:
    for made in map(_long, SEEDS):
        hits = {step.fault.hits for step in made.steps}
        killed = any(step.fault.name == "SMSC killed" for step in made.steps)
        assert not (killed and "clock" in hits)
        assert made.keep < 60 or not killed


def _long(seed: int) -> Schedule:
    return draw(seed, 5000)
