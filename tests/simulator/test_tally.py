"""Counting: exact, and bounded."""

from smsgw.simulator.tally import Remembered, SessionReport, Tally, count, status_key


def session(number: int = 1) -> SessionReport:
    return SessionReport(number=number, system_id="acme", bind="transceiver")


def test_duplicates_are_the_same_text_to_the_same_destination() -> None:
    tally, one = Tally(100), session()
    messages = [("1", b"a"), ("1", b"b"), ("2", b"a"), ("1", b"a")]
    assert [tally.accepted(one, *message) for message in messages] == [1, 1, 1, 2]
    report = tally.report()
    assert (report.accepted, report.distinct, report.duplicates) == (4, 3, 1)
    assert report.destinations == {"1": 3, "2": 1}
    assert (tally.times_accepted("1", b"a"), tally.times_accepted("9", b"a")) == (2, 0)


def test_destination_and_text_do_not_run_together() -> None:
    tally, one = Tally(100), session()
    tally.accepted(one, "12", b"3")
    assert tally.accepted(one, "1", b"23") == 1


def test_peaks_are_per_session_and_in_total() -> None:
    tally, one, two = Tally(100), session(1), session(2)
    for each in (one, one, two):
        tally.submitted(each)
    tally.settled(one)
    tally.submitted(two)
    report = tally.report()
    assert (report.in_flight, report.peak_in_flight, report.peak_in_flight_of_a_session) == (3, 3, 2)
    assert (one.peak_in_flight, two.peak_in_flight) == (2, 2)
    assert (one.in_flight, two.in_flight) == (1, 2)


def test_a_report_is_a_copy() -> None:
    tally, one = Tally(100), session()
    tally.opened(one)
    count(tally.counts.refused, status_key(0x58))
    tally.counts.pending = 3
    before = tally.report()
    tally.counts.pending = 4
    tally.submitted(one)
    count(tally.counts.refused, status_key(0x58))
    assert before.pending == 3
    assert (before.submits, before.sessions[0].submits, before.refused) == (0, 0, {"0x00000058": 1})
    assert tally.report().refused == {"0x00000058": 2}


def test_the_oldest_is_forgotten_and_that_is_counted() -> None:
    table: Remembered[str] = Remembered(2)
    assert [table.add(key) for key in ("a", "b", "a", "c", "b", "a")] == [1, 1, 2, 1, 2, 1]
    assert table.forgotten == 2
    assert len(table.counts) == 2


def test_ended_sessions_are_listed_up_to_a_bound() -> None:
    tally = Tally(1)
    for number in range(1500):
        tally.opened(session(number))
    listed = tally.report().sessions
    assert len(listed) == 1000
    assert listed[-1].number == 1499
