"""The SIM: PIN, PUK, taken out, slow to start."""

from __future__ import annotations

import pytest

from tests.simulator.modem.typist import Typist


def test_a_pin_is_wanted_until_it_was_given() -> None:
    typist = Typist(pin="1234").quiet()
    assert typist.say("AT+CPIN?") == ["+CPIN: SIM PIN", "OK"]
    assert typist.say("AT+CIMI") == ["+CME ERROR: 11"]
    assert typist.say("AT+CMGL=4") == ["+CMS ERROR: 311"]
    assert typist.say("AT+CREG?") == ["+CREG: 0,0", "OK"]
    assert typist.say('AT+CPIN="9999"') == ["+CME ERROR: 16"]
    assert "OK" in typist.say('AT+CPIN="1234"')
    assert typist.say("AT+CPIN?")[0] == "+CPIN: READY"
    assert typist.say("AT+CREG?") == ["+CREG: 0,1", "OK"]
    assert typist.say('AT+CPIN="1234"') == ["+CME ERROR: 3"]
    assert [entry.outcome for entry in typist.events("pin")] == ["wrong", "right"]
    assert typist.say('AT+CLCK="SC",2')[0] == "+CLCK: 1"


def test_a_restart_wants_it_again_and_remembers_the_tries() -> None:
    typist = Typist(pin="1234").quiet()
    typist.say('AT+CPIN="0000"')
    typist.say('AT+CPIN="0000"')
    typist.control("reset")
    typist.wait(1.0)
    typist.quiet()
    assert typist.say("AT+CPIN?") == ["+CPIN: SIM PIN", "OK"]
    assert typist.say('AT+CPIN="0000"') == ["+CME ERROR: 12"]


def test_three_wrong_ones_want_the_puk() -> None:
    typist = Typist(pin="1234", puk="87654321").quiet()
    assert [typist.say('AT+CPIN="0000"')[-1] for _ in range(4)] == [
        "+CME ERROR: 16",
        "+CME ERROR: 16",
        "+CME ERROR: 12",
        "+CME ERROR: 12",
    ]
    assert typist.say("AT+CPIN?")[0] == "+CPIN: SIM PUK"
    assert typist.say('AT+CPIN="1234"') == ["+CME ERROR: 12"]
    assert typist.say("AT+CMGL=4") == ["+CMS ERROR: 316"]
    assert typist.say('AT+CPIN="00000000","4321"') == ["+CME ERROR: 16"]
    assert "OK" in typist.say('AT+CPIN="87654321","4321"')
    typist.control("reset")
    typist.wait(1.0)
    assert "OK" in typist.say('AT+CPIN="4321"')
    assert typist.modem.report().pins_wrong == 4


def test_ten_wrong_puks_are_the_end() -> None:
    typist = Typist(pin="1234").quiet()
    for _ in range(3):
        typist.say('AT+CPIN="0000"')
    for _ in range(10):
        typist.say('AT+CPIN="00000000","1234"')
    assert typist.say("AT+CPIN?") == ["+CME ERROR: 13"]
    assert typist.say('AT+CPIN="12345678","1234"') == ["+CME ERROR: 13"]


@pytest.mark.parametrize("secret", ["", "12", "123456789", "abcd"])
def test_what_is_no_pin_costs_no_try(secret: str) -> None:
    typist = Typist(pin="1234").quiet()
    for _ in range(5):
        assert typist.say(f'AT+CPIN="{secret}"') == ["+CME ERROR: 50"]
    assert "OK" in typist.say('AT+CPIN="1234"')


def test_a_sim_is_busy_at_first() -> None:
    typist = Typist(sim_busy=5.0).quiet()
    assert typist.say("AT+CPIN?") == ["+CME ERROR: 14"]
    assert typist.say("AT+CSCA?") == ["+CMS ERROR: 314"]
    typist.wait(6.0)
    assert typist.say("AT+CPIN?")[0] == "+CPIN: READY"
    assert typist.say("AT+CREG?")[0] == "+CREG: 0,1"


def test_a_sim_is_taken_out_and_put_back() -> None:
    typist = Typist(registration=3.0)
    typist.wait(5.0)
    typist.quiet()
    typist.say("AT+CREG=1")
    typist.control("behave", set={"sim": False})
    assert typist.say("AT+CPIN?") == ["+CPIN: NOT READY", "+CREG: 0", "+CME ERROR: 10"]
    typist.control("behave", set={"sim": True})
    assert typist.wait(5.0) == ["+CREG: 2", "+CREG: 1"]
    assert typist.say("AT+CPIN?")[0] == "+CPIN: READY"
