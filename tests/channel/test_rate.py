"""The token bucket's arithmetic, and what a throttled channel learns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.channel.rate import (
    BELOW,
    CALM,
    CLOSING,
    FALL,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    SLOW_START,
    SLOWEST,
    START,
    STEP,
    Bucket,
    Meter,
)

rates = st.one_of(st.floats(0.01, 5000), st.sampled_from([0.15, 1, 100]))
steps = st.lists(st.floats(0, 5), max_size=60)


# -- the bucket


@given(rates, steps)
def test_never_more_than_the_rate_and_one_bucket(rate: float, waits: list[float]) -> None:
    """Over every stretch of time, not only from the start."""
    bucket, now, taken = Bucket(rate, 0.0), 0.0, [0.0]
    taken.clear()
    for wait in waits:
        now += wait
        while not bucket.wait(now) and len(taken) < 2000:
            bucket.take()
            taken.append(now)
    for first, start in list(enumerate(taken))[::50]:
        for last in range(first, len(taken)):
            assert last - first + 1 <= rate * (taken[last] - start) + bucket.size + 1e-6


@given(rates, st.lists(st.floats(0, 3), max_size=30))
def test_who_waits_as_told_gets_a_token(rate: float, waits: list[float]) -> None:
    bucket, now = Bucket(rate, 0.0), 0.0
    for extra in waits:
        now += bucket.wait(now)
        assert bucket.wait(now) == pytest.approx(0, abs=1e-6)
        bucket.take()
        now += extra


@given(rates)
def test_the_long_run_gets_its_full_rate(rate: float) -> None:
    bucket, now, count = Bucket(rate, 0.0), 0.0, 50
    for _ in range(count):
        now += bucket.wait(now)
        bucket.take()
    assert now == pytest.approx(max(0.0, count - bucket.size) / rate, rel=1e-6, abs=1e-6)


def test_a_slow_rate_lets_one_go_at_a_time() -> None:
    bucket = Bucket(0.15, 0.0)
    assert bucket.wait(1000.0) == 0
    bucket.take()
    assert bucket.wait(1000.0) == pytest.approx(1 / 0.15)


def test_no_rate_is_no_limit() -> None:
    bucket = Bucket(0, 0.0)
    for _ in range(10_000):
        assert bucket.wait(0.0) == 0
        bucket.take()


# -- what the peer took


def test_the_rate_is_what_came_since_it_was_cleared() -> None:
    meter = Meter(0.0)
    for number in range(100):
        meter.count(number / 50)
    assert meter.per_second(2.0) == pytest.approx(50)
    meter.clear(2.0)
    assert meter.per_second(2.5) == 0
    meter.count(2.5)
    assert meter.per_second(3.0) == pytest.approx(1)


def test_a_burst_counts_as_if_it_had_taken_the_least_time() -> None:
    meter = Meter(0.0)
    for _ in range(200):
        meter.count(0.01)
    assert meter.per_second(0.02, 1.0, 1.0) == 200
    assert meter.per_second(0.02) == pytest.approx(10_000)


def test_what_is_older_than_the_window_does_not_count() -> None:
    meter = Meter(0.0)
    for number in range(100):
        meter.count(number / 100)
    for number in range(1000):
        meter.count(60.0 + number / 10)
    assert meter.per_second(160.0) == pytest.approx(10, rel=0.05)
    assert meter.per_second(160.0, 1.0, 1.0) == pytest.approx(10, abs=2)


@given(st.lists(st.floats(0, 30), max_size=300))
def test_it_remembers_a_bounded_number_of_marks(waits: list[float]) -> None:
    meter, now = Meter(0.0), 0.0
    for wait in waits:
        now += wait
        meter.count(now)
    assert len(meter._marks) <= Meter.WINDOW / Meter.SLOT
    assert 0 <= meter.per_second(now) <= len(waits) * 1000


# -- throttling


def taking(rate: float, seconds: float, bucket: Bucket, now: float = 0.0) -> float:
    """Let the peer take `rate` parts a second for a while; the time at its end."""
    for number in range(round(rate * seconds)):
        bucket.took(now + number / rate, now + number / rate)
    return now + seconds


def used(bucket: Bucket, now: float, seconds: float) -> float:
    """Take every token for a while; the time at its end."""
    end = now + seconds
    while now < end:
        now += max(bucket.wait(now), 1e-4)
        if not bucket.wait(now):
            bucket.take()
    return now


def learned(lower: float = 100.0, *, ceiling: float = 0.0, jitter: float = 0.5) -> tuple[Bucket, float]:
    """A bucket at its first complaint, and the moment when its pause is over."""
    bucket = Bucket(ceiling, 0.0)
    now = taking(lower, 1.0, bucket)
    assert bucket.throttled(now, now, jitter)
    return bucket, now + bucket.paused(now)


def test_the_first_complaint_sets_the_rate_below_what_was_taken_in_a_second() -> None:
    bucket, _ = learned(100.0)
    assert bucket.slowed
    assert bucket.rate == pytest.approx(100 * BELOW)


def test_a_first_complaint_after_next_to_nothing_begins_a_slow_start() -> None:
    bucket = Bucket(0, 0.0)
    bucket.took(0.0, 0.0)
    bucket.throttled(0.0, 0.0, 0.5)
    assert bucket.rate == START
    used(bucket, FIRST_PAUSE, 1.0)
    assert bucket.rate > START * (1 + SLOW_START)


def test_a_slow_start_is_no_faster_than_the_answers() -> None:
    bucket = Bucket(0, 0.0)
    bucket.took(5.0, 0.0)
    bucket.throttled(5.0, 5.0, 0.5)
    used(bucket, 5.0 + FIRST_PAUSE, 1.0)
    assert bucket.rate == pytest.approx(START * 1.2, rel=0.05)


def test_between_bounds_the_rate_grows_by_equal_steps() -> None:
    bucket, now = learned(100.0, ceiling=300.0)
    assert bucket.rate == pytest.approx(FALL * 300)
    grown = []
    for _ in range(3):
        before = bucket.rate
        now = used(bucket, now, 1.0)
        grown.append(bucket.rate - before)
    assert grown == pytest.approx([(300 - 100) / CLOSING] * 3, rel=0.01)


def test_close_to_the_bound_the_steps_are_small() -> None:
    bucket, now = learned(100.0, ceiling=101.0)
    before = bucket.rate
    used(bucket, now, 1.0)
    assert bucket.rate - before == pytest.approx(STEP * 100, rel=0.01)


def test_the_configured_rate_is_the_ceiling() -> None:
    bucket, now = learned(100.0, ceiling=120.0)
    used(bucket, now, CALM - 1)
    assert bucket.rate == 120


def test_a_rate_that_nobody_uses_does_not_grow() -> None:
    bucket, now = learned(100.0)
    before = bucket.rate
    for _ in range(50):
        now += 1.0
        assert not bucket.wait(now)
        bucket.take()
    assert bucket.rate == before


def test_after_a_calm_minute_what_was_learned_is_forgotten() -> None:
    bucket, now = learned(100.0)
    bucket.wait(now + CALM - FIRST_PAUSE - 0.1)
    assert bucket.slowed
    bucket.wait(now + CALM)
    assert (bucket.slowed, bucket.rate) == (False, 0)
    bucket, now = learned(100.0, ceiling=150.0)
    bucket.wait(now + CALM)
    assert (bucket.slowed, bucket.rate) == (False, 150)


def test_while_nothing_is_taken_each_pause_is_twice_as_long_up_to_a_limit() -> None:
    bucket, now, pauses = Bucket(0, 0.0), 0.0, []
    for _ in range(12):
        assert bucket.throttled(now, now, 0.5)
        pauses.append(bucket.paused(now))
        now += pauses[-1]
    doubled = [FIRST_PAUSE * 2**n for n in range(9)]
    assert pauses == pytest.approx(doubled + [LONGEST_PAUSE] * 3)
    assert bucket.rate >= SLOWEST


def test_one_part_taken_makes_the_next_pause_short_again() -> None:
    bucket, now = Bucket(0, 0.0), 0.0
    for _ in range(6):
        bucket.throttled(now, now, 0.5)
        now += bucket.paused(now)
    bucket.took(now, now)
    bucket.throttled(now, now, 0.5)
    assert bucket.paused(now) == pytest.approx(FIRST_PAUSE)


def closed(times: int) -> tuple[Bucket, float]:
    """A bucket whose peer took nothing so many times in a row."""
    bucket, now = learned(200.0)
    for _ in range(times):
        assert bucket.throttled(now, now, 0.5)
        now += bucket.paused(now)
    return bucket, now


def test_a_peer_that_took_nothing_for_a_while_is_tried_by_a_slow_start() -> None:
    bucket, now = closed(6)
    before = bucket.rate
    assert before < 10
    used(bucket, now, 3.0)
    assert bucket.rate > 5 * before


def test_one_burst_of_which_nothing_was_taken_is_no_reason_to_start_over() -> None:
    bucket, now = closed(1)
    before = bucket.rate
    used(bucket, now, 3.0)
    assert bucket.rate < 2 * before


def test_long_pauses_are_forgotten_too() -> None:
    bucket, now = closed(8)
    assert bucket.paused(now - 1) > 10 * FIRST_PAUSE - 1
    now += CALM
    bucket.wait(now)
    bucket.throttled(now, now, 0.5)
    assert bucket.paused(now) == pytest.approx(FIRST_PAUSE)


def test_a_learned_rate_has_a_small_burst() -> None:
    for bucket, burst in [(learned(1000.0)[0], 1000 * BELOW / 50), (Bucket(1000, 0.0), 100)]:
        count = 0
        while not bucket.wait(50.0):
            bucket.take()
            count += 1
        assert count == pytest.approx(burst, abs=1)


def test_what_is_left_of_a_pause_by_rounding_is_no_pause() -> None:
    """A clock that jumps to where `wait` said could stop a hair before it, and would ask for ever."""
    bucket, resumes = learned()
    assert bucket.wait(resumes - 1e-12) == pytest.approx(1 / bucket.rate)


@pytest.mark.parametrize(("jitter", "factor"), [(0.0, 0.8), (1.0, 1.2)])
def test_pauses_have_jitter(jitter: float, factor: float) -> None:
    _, resumes = learned(jitter=jitter)
    assert resumes - 1.0 == pytest.approx(FIRST_PAUSE * factor)


@given(st.floats(0, 1.5), st.floats(0, 1))
def test_answers_to_the_same_burst_change_nothing(late: float, jitter: float) -> None:
    """However late they come: what counts is when their part left."""
    bucket, resumes = learned()
    sent = min(late, resumes - 0.001)
    rate, pause = bucket.rate, bucket.paused(1.0)
    assert not bucket.throttled(1.0 + late, sent, jitter)
    assert (bucket.rate, bucket.paused(1.0)) == (rate, pause)
    assert bucket.throttled(resumes + 3.0, resumes, jitter)


def test_nobody_goes_during_a_pause() -> None:
    bucket, resumes = learned(1000.0, ceiling=1000.0)
    assert bucket.wait(1.0) == pytest.approx(FIRST_PAUSE)
    assert bucket.wait(resumes - 0.01) == pytest.approx(0.01)
    assert bucket.wait(resumes + 0.002) == 0
    assert bucket.paused(resumes) == 0


def test_a_pause_saves_up_no_tokens() -> None:
    bucket, resumes = learned(1000.0)
    count = 0
    while not bucket.wait(resumes + 0.01):
        bucket.take()
        count += 1
    assert count == pytest.approx(0.01 * bucket.rate, abs=1)


complaints = st.lists(st.tuples(st.floats(0, 5), st.integers(0, 50), st.booleans()), max_size=60)


@given(st.sampled_from([0.0, 0.15, 20.0, 2000.0]), complaints)
def test_whatever_is_answered_the_rate_and_the_pause_stay_in_bounds(
    ceiling: float, story: list[tuple[float, int, bool]]
) -> None:
    bucket, now = Bucket(ceiling, 0.0), 0.0
    for passed, taken, complained in story:
        now += passed
        for _ in range(taken):
            bucket.took(now, now)
        if complained:
            bucket.throttled(now, now, 0.5)
        assert 0 <= bucket.wait(now) <= max(LONGEST_PAUSE, 1 / SLOWEST, 1 / (ceiling or 1))
        assert bucket.paused(now) <= LONGEST_PAUSE
        if ceiling:
            assert bucket.rate <= ceiling
        if bucket.slowed:
            assert bucket.rate >= min(SLOWEST, ceiling or SLOWEST)
