"""Programs that answer each other are stopped, people are not."""

from __future__ import annotations

from smsgw.channel.loops import NUMBERS, WITHIN, Loops


def test_so_many_messages_in_a_minute_are_a_loop_until_it_is_calm() -> None:
    loops = Loops(3)
    for at in (0.0, 10.0, 20.0):
        assert not loops.looping("+46700000001", at)
        loops.came("+46700000001", at)
    assert loops.looping("+46700000001", 20.0)
    assert loops.looping("0700000001", 20.0), "in national form too"
    assert not loops.looping("+46700000002", 20.0)
    assert not loops.looping("+46700000001", WITHIN)


def test_a_slow_talk_is_no_loop() -> None:
    loops = Loops(3)
    for at in range(0, 1000, 31):
        loops.came("+46700000001", float(at))
        assert not loops.looping("+46700000001", float(at))


def test_names_are_not_watched_and_nothing_is_without_a_limit() -> None:
    loops, off = Loops(1), Loops(0)
    loops.came("BANK", 0.0)
    loops.came("", 0.0)
    off.came("+46700000001", 0.0)
    assert not loops.looping("", 0.0)
    assert not off.looping("+46700000001", 0.0)


def test_what_is_watched_is_bounded() -> None:
    loops = Loops(1)
    for number in range(NUMBERS + 1):
        loops.came(f"+467{number:08}", 0.0)
    assert not loops.looping("+46700000000", 0.0)
    assert loops.looping(f"+467{NUMBERS:08}", 0.0)
