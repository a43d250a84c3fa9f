"""What must not go wrong: a SIM that locks, a modem that is restarted for ever, a port that stays lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from smsgw.channel import statefile
from smsgw.channel.openings import MISSING
from smsgw.channel.pins import RememberedPins
from smsgw.gsm.scripts import Halted
from smsgw.outcome import Accepted
from smsgw.strict import Secret
from tests.channel.modem_rig import Rig
from tests.gsm.modem import IMEI, Modem

HOUR = 3600.0


def locked(pin: str = "1234") -> Modem:
    return Modem(pin=pin)


# -- the PIN


def test_a_wrong_pin_is_sent_once_whatever_restarts(tmp_path: Path) -> None:
    modem = locked()
    for _ in range(4):
        rig = Rig(tmp_path, modem, pin=Secret("9999")).start()
        rig.wait(2 * HOUR, step=5)
        assert len(rig.port.wires) <= 2 * 60 / 8 + 1, "nothing hurries: somebody has to act"
        assert "somebody has to act" in str(rig.session.link.state)
        rig.stop()
    assert modem.pins_entered == 1
    assert rig.gateway.story == []


def test_another_pin_is_tried_and_the_right_one_forgets_the_wrong(tmp_path: Path) -> None:
    modem = locked()
    Rig(tmp_path, modem, pin=Secret("9999")).start().stop()
    rig = Rig(tmp_path, modem, pin=Secret("1234")).start()
    assert isinstance(rig.send()[0], Accepted)
    assert list(tmp_path.glob("*.pin")) == []


def test_the_same_modem_under_another_name_is_known(tmp_path: Path) -> None:
    modem = locked()
    Rig(tmp_path, modem, pin=Secret("9999")).start().stop()
    Rig(tmp_path, modem, "other", pin=Secret("9999")).start().stop()
    assert modem.pins_entered == 1
    another = locked()
    another.identity["CGSN"] = "1" * 15
    Rig(tmp_path, another, "other", pin=Secret("9999")).start().stop()
    assert another.pins_entered == 1, "another modem with the same wrong PIN has its own try"


def test_the_pin_is_written_down_before_it_is_sent(tmp_path: Path) -> None:
    modem = locked()
    seen: list[list[str]] = []
    enter = modem._cpin

    def look(command: str) -> tuple[str, ...]:
        if command != "AT+CPIN?":
            seen.append(sorted(file.name for file in tmp_path.glob("*.pin")))
        return enter(command)

    modem._METHODS = {**modem._METHODS, "AT+CPIN": lambda _, command: look(command)}  # type: ignore[misc]
    Rig(tmp_path, modem, pin=Secret("1234")).start()
    assert seen == [[f"imei-{IMEI}.pin", "sim1.pin"]]


def test_a_pin_that_can_t_be_written_down_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    modem = locked()
    monkeypatch.setattr(statefile, "write", full)
    rig = Rig(tmp_path, modem, pin=Secret("1234")).start()
    assert modem.pins_entered == 0
    assert "can't be written down" in str(rig.session.link.state)


def test_a_crash_between_the_file_and_the_answer_counts_as_tried(tmp_path: Path) -> None:
    RememberedPins(tmp_path, "sim1").trying("1234")
    modem = locked()
    Rig(tmp_path, modem, pin=Secret("1234")).start()
    assert modem.pins_entered == 0


@pytest.mark.parametrize("text", ["", "nonsense", "00 11 22", "zz " + "0" * 64])
def test_a_file_that_can_t_be_read_counts_as_tried(tmp_path: Path, text: str) -> None:
    (tmp_path / "sim1.pin").write_text(text)
    assert not RememberedPins(tmp_path, "sim1").may_try("1234")
    assert RememberedPins(tmp_path, "other").may_try("1234")


def test_where_it_cannot_be_seen_whether_a_pin_was_tried_it_is_not_tried_and_said(tmp_path: Path) -> None:
    (tmp_path / "sim1.pin").mkdir()  # as good as a file that belongs to somebody else
    modem = locked()
    rig = Rig(tmp_path, modem, pin=Secret("1234"))
    rig.start()
    assert modem.pins_entered == 0
    assert "can't be seen" in str(rig.session.link.state)


def test_a_file_of_a_pin_is_private_and_holds_none(tmp_path: Path) -> None:
    pins = RememberedPins(tmp_path / "modems", "sim1")
    pins.trying("1234")
    file = tmp_path / "modems" / "sim1.pin"
    assert "1234" not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(Halted):
        RememberedPins(file, "sim1").trying("1234")


def test_a_state_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.with_name("a.new").write_text("left behind by a crash")
    for text in ("one", "two"):
        statefile.write(path, text, sync=True)
        assert statefile.read(path) == text
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
    assert statefile.read(tmp_path / "none") is None


# -- a modem that never becomes ready


def restarts(modem: Modem) -> int:
    return modem.commands.count("AT+CFUN=1,1")


def test_without_a_network_the_modem_is_restarted_ever_more_seldom(tmp_path: Path) -> None:
    modem = Modem()
    modem.registration = 2
    rig = Rig(tmp_path, modem, reset_command=("uhubctl",)).start()
    rig.wait(HOUR, step=2)
    first = restarts(modem)
    assert 1 <= first <= 3
    rig.wait(11 * HOUR, step=10)
    half = restarts(modem)
    rig.wait(12 * HOUR, step=10)
    assert restarts(modem) - first <= 10, "in a day"
    assert restarts(modem) > half, "and yet again and again"
    assert 1 <= len(rig.commands) <= 8
    modem.registration = 1
    rig.wait(900, step=1)
    assert isinstance(rig.send()[0], Accepted)


def test_a_mute_modem_climbs_the_ladder_then_its_power_is_cut(tmp_path: Path) -> None:
    rig = Rig(tmp_path, reset_command=("uhubctl", "-a", "cycle")).start()
    rig.modem.mute = lambda command: True
    rig.send()
    while not rig.commands:
        rig.wait(1)
    assert rig.clock.seconds() < 120
    assert [rig.count("modem_rungs", rung) for rung in ("escape", "reset", "restart", "command")] == [1] * 4
    assert rig.commands[0] == ("uhubctl", "-a", "cycle")
    rig.modem.mute = lambda command: False
    rig.wait(60)
    assert rig.channel.sessions_up == 1


def test_the_port_stays_closed_while_the_power_is_off(tmp_path: Path) -> None:
    rig = Rig(tmp_path, reset_command=("off-and-on",))
    ends: Deferred[str] = Deferred()
    rig.command_ends = lambda: ends
    rig.start()
    rig.modem.mute = lambda command: True
    rig.send()
    rig.wait(240)
    opened = len(rig.port.wires)
    rig.wait(60)
    assert len(rig.port.wires) == opened
    ends.callback("is done")
    rig.wait(5)
    assert len(rig.port.wires) == opened + 1


# -- the port


def test_a_port_that_goes_and_comes_back(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    rig.port.missing = True
    rig.wire.lose()
    rig.wait(30)
    assert "can't open the port" in str(rig.session.link.state)
    assert rig.gateway.story == ["opened", "closed"]
    rig.port.missing = False
    rig.wait(10)
    assert rig.gateway.story == ["opened", "closed", "opened"]
    assert isinstance(rig.send()[0], Accepted)


def test_a_port_that_is_lost_again_and_again_is_opened_again_soon(tmp_path: Path) -> None:
    rig = Rig(tmp_path).start()
    for number in range(1, 10):
        assert len(rig.port.wires) == number
        rig.wire.lose()
        rig.wait(5.5)


def test_a_port_that_stays_away_has_its_power_cut_once_in_a_while(tmp_path: Path) -> None:
    rig = Rig(tmp_path, reset_command=("off-and-on",))
    rig.port.missing = True
    rig.start(MISSING - 5)
    assert rig.commands == []
    rig.wait(20)
    assert len(rig.commands) == 1
    rig.wait(HOUR)
    assert 2 <= len(rig.commands) <= 7


def test_another_sim_is_not_used(tmp_path: Path) -> None:
    rig = Rig(tmp_path, imsi="240019999999999").start()
    assert rig.gateway.story == []
    assert "IMSI is another" in str(rig.session.link.state)
    assert rig.modem.sent == []
