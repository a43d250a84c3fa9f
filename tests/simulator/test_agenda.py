"""One timer for everything that is due."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from smsgw.simulator.agenda import Agenda


def test_entries_come_when_due_in_their_order() -> None:
    clock, found = Clock(), list[str]()
    agenda = Agenda(clock)
    for delay, name in ((2.0, "late"), (1.0, "early"), (1.0, "next"), (0.0, "now")):
        agenda.add(delay, found.append, name)
    assert found == []
    clock.pump([0, 1.0, 0.5, 0.5])
    assert found == ["now", "early", "next", "late"]
    assert len(agenda) == 0
    assert not clock.getDelayedCalls()


@given(st.lists(st.integers(0, 50), max_size=40))
def test_there_is_one_timer_and_nothing_is_missed(delays: list[int]) -> None:
    clock, found = Clock(), list[int]()
    agenda = Agenda(clock)
    for delay in delays:
        agenda.add(delay, found.append, delay)
        assert len(clock.getDelayedCalls()) == 1
    clock.pump([1] * 52)
    assert found == sorted(delays)


def test_what_is_entered_meanwhile_gets_a_timer_of_its_own() -> None:
    clock, turns = Clock(), list[int]()
    agenda = Agenda(clock)

    def again() -> None:
        turns.append(len(clock.getDelayedCalls()))
        if len(turns) < 3:
            agenda.add(0.0, again)

    agenda.add(0.0, again)
    clock.advance(0)
    assert turns == [0, 0, 0]


def test_a_broken_entry_does_not_stop_the_others() -> None:
    clock, found = Clock(), list[int]()
    agenda = Agenda(clock)
    agenda.add(0.0, lambda: found.append(1 // 0))
    agenda.add(0.0, found.append, 2)
    clock.advance(0)
    assert found == [2]


def test_clear_forgets_everything() -> None:
    clock, found = Clock(), list[int]()
    agenda = Agenda(clock)
    agenda.add(1.0, found.append, 1)
    agenda.clear()
    clock.advance(2)
    assert found == []
    assert not clock.getDelayedCalls()
