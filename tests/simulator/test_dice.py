"""Chance: repeatable, in proportion, and one kind of decision leaves the others alone."""

from collections import Counter

import pytest

from smsgw.simulator.dice import Dice


def draws(dice: Dice, kind: str, times: int = 200) -> list[bool]:
    return [dice.chance(kind, 0.3) for _ in range(times)]


def test_the_same_seed_decides_the_same() -> None:
    assert draws(Dice(7), "late") == draws(Dice(7), "late")
    assert draws(Dice(7), "late") != draws(Dice(8), "late")


def test_kinds_do_not_disturb_each_other() -> None:
    dice = Dice(7)
    mixed = []
    for _ in range(200):
        dice.chance("malformed", 0.5)
        mixed.append(dice.chance("late", 0.3))
    assert mixed == draws(Dice(7), "late")


def test_a_share_is_met() -> None:
    assert 500 < sum(draws(Dice(1), "late", 2000)) < 700


@pytest.mark.parametrize(("share", "sure"), [(0.0, False), (1.0, True)])
def test_never_and_always_are_certain(share: float, sure: bool) -> None:
    dice = Dice(3)
    assert {dice.chance("never", share) for _ in range(100)} == {sure}


def test_a_delay_stays_within_its_jitter() -> None:
    dice = Dice(3)
    found = [dice.delay("response", 2.0, 0.5) for _ in range(200)]
    assert min(found) >= 2.0
    assert max(found) <= 2.5
    assert len(set(found)) > 100
    assert dice.delay("response", 2.0, 0.0) == 2.0


def test_shares_leave_the_rest_to_none() -> None:
    dice = Dice(5)
    found = Counter(dice.share_of("status", {"0x8": 0.25, "0x14": 0.25}) for _ in range(2000))
    assert set(found) == {"0x8", "0x14", None}
    assert all(400 < found[key] < 600 for key in ("0x8", "0x14"))
    assert dice.share_of("status", {}) is None


def test_weights_are_proportions() -> None:
    dice = Dice(5)
    found = Counter(dice.weighted("state", {"DELIVRD": 9, "UNDELIV": 1}) for _ in range(2000))
    assert 120 < found["UNDELIV"] < 280
    assert found.total() == 2000
    assert dice.weighted("state", {"DELIVRD": 0.1}) == "DELIVRD"


def test_choices_reach_everything() -> None:
    dice = Dice(5)
    assert {dice.choose("form", "abc") for _ in range(100)} == set("abc")
