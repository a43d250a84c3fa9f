"""What is decided about a submit, one nastiness at a time."""

from collections import Counter

import pytest

from smsgw.simulator.behaviour import Behaviour
from smsgw.simulator.dice import Dice
from smsgw.simulator.verdict import Bucket, Moment, Verdict, judge

CALM = Moment(destination="46701")

STUBBORN = Behaviour(destinations={"467*": "0x0045"}, refuse_first={"467*": 2})


def decided(behaviour: Behaviour, moment: Moment = CALM, times: int = 1000) -> list[Verdict]:
    dice = Dice(behaviour.seed)
    return [judge(behaviour, dice, moment) for _ in range(times)]


def test_a_kind_centre_takes_everything_at_once() -> None:
    assert set(map(repr, decided(Behaviour(), times=50))) == {repr(Verdict())}


@pytest.mark.parametrize(
    ("behaviour", "moment", "status"),
    [
        (Behaviour(), Moment(destination=""), 0x0B),
        (Behaviour(refuse_plus=True), Moment(destination="+46701"), 0x0B),
        (Behaviour(), Moment(destination="46701", throttled=True), 0x58),
        (Behaviour(queue_full=3), Moment(destination="46701", in_flight=4), 0x14),
        (Behaviour(capacity=3), Moment(destination="46701", waiting=4), 0x14),
        (Behaviour(destinations={"467*": "0x0045"}), CALM, 0x45),
        (
            Behaviour(destinations={"467*": "0x0045"}, refuse_first={"467*": 2}),
            Moment(destination="46701", attempt=2),
            0x45,
        ),
        (Behaviour(statuses={"0x0008": 1.0}), CALM, 0x08),
    ],
)
def test_a_refusal_has_its_status_and_is_not_taken(behaviour: Behaviour, moment: Moment, status: int) -> None:
    assert decided(behaviour, moment, 1) == [Verdict(taken=False, status=status)]


@pytest.mark.parametrize(
    ("behaviour", "moment"),
    [
        (Behaviour(), Moment(destination="+46701")),
        (Behaviour(queue_full=3), Moment(destination="46701", in_flight=3)),
        (Behaviour(destinations={"468*": "0x0045"}), CALM),
        (
            Behaviour(destinations={"467*": "0x0045"}, refuse_first={"467*": 2}),
            Moment(destination="46701", attempt=3),
        ),
    ],
)
def test_short_of_the_limit_it_is_taken(behaviour: Behaviour, moment: Moment) -> None:
    assert decided(behaviour, moment, 1) == [Verdict()]


def test_statuses_come_by_share() -> None:
    found = Counter(verdict.status for verdict in decided(Behaviour(statuses={"0x8": 0.1, "0x14": 0.2})))
    assert 60 < found[0x08] < 140
    assert 150 < found[0x14] < 250
    assert found.total() - found[0] == found[0x08] + found[0x14]


def test_responses_are_delayed_with_jitter() -> None:
    delays = [verdict.delay for verdict in decided(Behaviour(response_delay=1, response_jitter=0.5))]
    assert 1 <= min(delays) < max(delays) <= 1.5


def test_a_late_answer_comes_later_still() -> None:
    delays = Counter(
        verdict.delay for verdict in decided(Behaviour(response_delay=1, late_answer=0.5, late_delay=60))
    )
    assert set(delays) == {1, 61}
    assert 400 < delays[61] < 600


@pytest.mark.parametrize(
    ("behaviour", "ending"),
    [
        (Behaviour(never_answer=1), "never"),
        (Behaviour(drop_instead_of_answer=1), "cut"),
        (Behaviour(half_answer=1), "half"),
    ],
)
def test_a_lost_response_does_not_undo_the_taking(behaviour: Behaviour, ending: str) -> None:
    (found,) = decided(behaviour, times=1)
    assert (found.ending, found.taken, found.disguise) == (ending, True, None)


def test_every_malformed_form_gets_its_turn() -> None:
    found = decided(Behaviour(malformed=1))
    assert {verdict.disguise for verdict in found} == set(Behaviour().malformed_forms)
    assert {verdict.disguise for verdict in found if not verdict.taken} == {"generic-nack", "vendor-status"}


def test_the_same_seed_is_the_same_run() -> None:
    nasty = Behaviour(seed=4, malformed=0.3, never_answer=0.1, statuses={"0x8": 0.1}, response_jitter=1)
    assert decided(nasty) == decided(nasty)
    assert decided(nasty) != decided(
        Behaviour(seed=5, malformed=0.3, never_answer=0.1, statuses={"0x8": 0.1})
    )


def test_a_bucket_lets_its_rate_through() -> None:
    bucket = Bucket(10, burst=2)
    assert [bucket.take(100.0) for _ in range(3)] == [True, True, False]
    assert [bucket.take(100.125), bucket.take(100.125)] == [True, False]
    assert [bucket.take(200.0) for _ in range(3)] == [True, True, False]


def test_a_bucket_s_burst_is_one_second_s_worth() -> None:
    bucket = Bucket(50)
    assert sum(bucket.take(1.0) for _ in range(100)) == 50


def test_without_a_rate_there_is_no_limit() -> None:
    assert all(Bucket(0).take(0.0) for _ in range(1000))
