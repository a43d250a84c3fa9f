"""One simulated modem at its terminal: what it answers, when it is busy, how it ails. No I/O, no clock."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsgw.simulator.modem.behaviour import Behaviour
from smsgw.simulator.modem.families import FAMILIES
from smsgw.simulator.modem.modem import Modem
from tests.simulator.modem.typist import LENGTH, SUBMIT, Typist, lines

# -- answers


def test_what_is_typed_is_echoed_until_it_is_switched_off() -> None:
    typist = Typist()
    assert typist.type("AT\r") == "AT\r\r\nOK\r\n"
    assert typist.type("ATE0\r") == "ATE0\r\r\nOK\r\n"
    assert typist.type("AT\r") == "\r\nOK\r\n"
    assert typist.type("ATE1\r") == "\r\nOK\r\n"
    assert typist.type("A\x08AT\r") == "A\x08AT\r\r\nOK\r\n"


def test_numbers_instead_of_words() -> None:
    typist = Typist().quiet()
    assert typist.type("ATV0\r") == "0\r"
    assert typist.type("AT+CSQ\r") == "+CSQ: 18,99\r\n0\r"
    assert typist.type("AT+NONE\r") == "4\r"
    assert typist.type("ATV1\r") == "\r\nOK\r\n"
    assert typist.type("ATQ1\r") == ""


def test_a_row_of_commands_has_one_result_and_ends_with_the_first_error() -> None:
    typist = Typist().quiet()
    assert typist.say("AT+CSQ;+CREG?") == ["+CSQ: 18,99", "+CREG: 0,1", "OK"]
    assert typist.say("AT+CSQ;+NONE;+CREG?") == ["+CSQ: 18,99", "ERROR"]
    assert typist.modem.report().unknown_commands == {"+NONE": 1}


@pytest.mark.parametrize(
    ("family", "level", "command", "expected"),
    [
        ("simcom", 0, "AT+CPIN=1", "ERROR"),
        ("simcom", 1, "AT+CPIN=1", "+CME ERROR: 3"),
        ("simcom", 2, "AT+CPIN=1", "+CME ERROR: operation not allowed"),
        ("simcom", 0, "AT+CMGR=5", "+CMS ERROR: 321"),
        ("simcom", 2, "AT+CMGR=5", "+CMS ERROR: Invalid memory index"),
        ("huawei", 2, "AT+CMGR=5", "+CMS ERROR: 321"),
        ("nokia", 1, "AT+CPIN=1", "ERROR"),
        ("huawei", 1, "AT+CMMS=2", "ERROR"),
    ],
)
def test_how_errors_are_spelt(family: str, level: int, command: str, expected: str) -> None:
    typist = Typist(family=family).quiet()
    typist.say(f"AT+CMEE={level}")
    assert typist.say(command) == [expected]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_says_who_it_is(family: str) -> None:
    typist, row = Typist(family=family).quiet(), FAMILIES[family]
    assert row.manufacturer in " ".join(typist.say("AT+CGMI"))
    assert row.model in " ".join(typist.say("AT+CGMM"))
    assert typist.say("ATI")[:3] == [row.manufacturer, row.model, row.revision]
    assert typist.say("AT+CGSN")[-2].endswith("356938035643809")
    assert typist.say("AT+CIMI")[-2].endswith("240011234567890")


# -- busy


@pytest.mark.parametrize(
    ("busy", "expected"),
    [("buffer", ["+CSQ: 18,99", "OK", "+CREG: 0,1", "OK"]), ("drop", ["+CSQ: 18,99", "OK"])],
)
def test_what_is_typed_while_it_is_busy(busy: Any, expected: list[str]) -> None:
    typist = Typist(busy=busy).quiet()
    typist.control("behave", set={"latency": 1.0})
    assert typist.type("AT+CSQ\r") == ""
    assert typist.type("AT+CREG?\r") == ""
    assert typist.wait(5.0) == expected
    assert typist.modem.report().typed_while_busy == 9


def test_a_search_for_operators_is_aborted_by_what_is_typed() -> None:
    typist = Typist(busy="abort").quiet()
    assert typist.type("AT+COPS=?\r") == ""
    assert lines(typist.type("AT\r")) == ["ERROR"]
    assert typist.wait(20.0) == []
    assert typist.say("AT") == ["OK"]
    typist.type("AT+COPS=?\r")
    assert typist.wait(20.0)[-1] == "OK"


# -- sending


@pytest.mark.parametrize("family", FAMILIES)
def test_the_prompt_takes_a_message_or_an_escape(family: str) -> None:
    typist = Typist(family=family).quiet()
    assert typist.type(f"AT+CMGS={LENGTH}\r") == FAMILIES[family].prompt
    assert typist.type("00110") == ""
    escaped = FAMILIES[family].escaped
    assert lines(typist.type("\x1b")) == ([escaped] if escaped else [])
    assert typist.say("AT") == ["OK"]
    assert typist.send() == ["+CMGS: 0", "OK"]
    assert typist.send() == ["+CMGS: 1", "OK"]
    (first, second) = typist.events("submitted")
    assert (first.number, first.text, first.reference, first.times) == ("+46700000001", "hellohello", 0, 1)
    assert (second.reference, second.times) == (1, 2)
    report = typist.modem.report()
    assert (report.submitted, report.distinct, report.duplicates, report.escaped) == (2, 1, 1, 1)
    assert (report.peak_in_flight, report.in_flight) == (1, 0)


def test_the_reference_begins_anew_after_255() -> None:
    typist = Typist(first_reference=255).quiet()
    assert typist.send()[0] == "+CMGS: 255"
    assert typist.send()[0] == "+CMGS: 0"


@pytest.mark.parametrize(
    ("pdu", "length"),
    [
        (SUBMIT, LENGTH + 1),
        (SUBMIT[:-2], LENGTH),
        (SUBMIT[:-1], LENGTH),
        (SUBMIT.replace("E8", "X8"), LENGTH),
        ("00" * 20, 19),
        ("", LENGTH),
        ("0021" + "FF" * 21, LENGTH),
    ],
)
def test_what_is_no_message_is_304(pdu: str, length: int) -> None:
    typist = Typist().quiet()
    assert typist.send(pdu, length) == ["+CMS ERROR: 304"]
    assert typist.modem.report().bad_pdus == 1
    assert typist.modem.report().submitted == 0


@pytest.mark.parametrize("text", ["", "=", "=6", "=165", "=x", "?"])
def test_a_length_that_no_message_has(text: str) -> None:
    assert Typist().quiet().say(f"AT+CMGS{text}") == ["+CMS ERROR: 304"]


def test_the_smsc_may_stand_in_front() -> None:
    typist = Typist(smsc="").quiet()
    assert typist.send() == ["+CMS ERROR: 330"]
    assert typist.send("07916407000000F0" + SUBMIT[2:])[-1] == "OK"
    typist.say('AT+CSCA="+46700000000",145')
    assert typist.send()[-1] == "OK"


@pytest.mark.parametrize(
    ("how", "with_it", "without_it"),
    [("wanted", True, False), ("optional", True, True), ("unknown", False, True)],
)
def test_the_smsc_octets_are_wanted_or_not(how: str, with_it: bool, without_it: bool) -> None:
    typist = Typist(smsc_octets=how).quiet()
    assert (typist.send(SUBMIT)[-1] == "OK") is with_it
    assert (typist.send(SUBMIT[2:])[-1] == "OK") is without_it


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"submit_errors": {"38": 1.0}}, "+CMS ERROR: 38"),
        ({"submit_errors": {"ERROR": 1.0}}, "ERROR"),
        ({"destinations": {"+4670*": "500"}}, "+CMS ERROR: 500"),
        ({"destinations": {"4670*": "21"}}, "+CMS ERROR: 21"),
        ({"coverage": False}, "+CMS ERROR: 500"),
        ({"coverage": False, "family": "quectel"}, "+CMS ERROR: 331"),
        ({"denied": True}, "+CMS ERROR: 500"),
        ({"sim": False}, "+CMS ERROR: 310"),
        ({"pin": "1234"}, "+CMS ERROR: 311"),
        ({"sim_busy": 9.0}, "+CMS ERROR: 314"),
    ],
)
def test_refusals(fields: dict[str, Any], expected: str) -> None:
    typist = Typist(**fields).quiet()
    said = typist.say(f"AT+CMGS={LENGTH}")
    assert (lines(typist.type(f"{SUBMIT}\x1a")) if said == ["> "] else said) == [expected]
    assert not typist.events("submitted")


def test_a_class_of_errors_is_drawn_from_its_codes() -> None:
    typist = Typist(submit_errors={"temporary": 0.5}).quiet()
    said = [typist.send()[-1] for _ in range(60)]
    assert {"OK", "+CMS ERROR: 38", "+CMS ERROR: 42"} < set(said)
    refused = typist.modem.report().refused
    assert sum(refused.values()) == sum(line != "OK" for line in said) == len(typist.events("refused"))


def test_after_so_many_the_sim_is_barred() -> None:
    typist = Typist(barred_after=2).quiet()
    assert [typist.send()[-1] for _ in range(3)] == ["OK", "OK", "+CMS ERROR: 8"]


def test_the_network_takes_its_time_and_lines_come_in_between() -> None:
    typist = Typist(submit_delay=3.0).quiet()
    assert typist.send() == []
    assert typist.modem.report().in_flight == 1
    typist.control("say", line="RING")
    assert lines(typist.heard()) == ["RING"]
    assert typist.wait(2.9) == []
    assert typist.wait(0.2) == ["+CMGS: 0", "OK"]


def test_nothing_is_said_while_the_prompt_stands() -> None:
    typist = Typist().quiet()
    typist.type(f"AT+CMGS={LENGTH}\r")
    typist.control("say", line="RING")
    assert typist.heard() == ""
    assert lines(typist.type(f"{SUBMIT}\x1a")) == ["+CMGS: 0", "OK", "RING"]


def test_a_prompt_that_is_not_shown() -> None:
    typist = Typist(prompt_lost=1.0).quiet()
    assert typist.type(f"AT+CMGS={LENGTH}\r") == ""
    assert typist.say("AT") == []
    assert lines(typist.type("\x1b")) == ["OK"]
    assert typist.say("AT") == ["OK"]


# -- ailments


def test_a_hang_ends_by_itself_or_by_power() -> None:
    typist = Typist(hang_time=30.0).quiet()
    typist.control("hang")
    assert typist.say("AT") == []
    assert typist.type("\x1bAT\r") == ""
    assert typist.wait(31.0) == []
    assert typist.say("AT") == ["OK"]
    typist.control("behave", set={"hang_time": 0.0})
    typist.control("hang")
    typist.wait(1000.0)
    assert typist.say("AT") == []
    typist.control("reset")
    assert "RDY" in typist.wait(1.0) or typist.say("AT")[-1] == "OK"
    assert typist.modem.report().hangs == 2


@pytest.mark.parametrize("sends", [0.0, 1.0])
def test_a_hang_in_the_midst_of_a_message_may_send_it_or_not(sends: float) -> None:
    typist = Typist(hang_in_send=1.0, hang_sends=sends).quiet()
    assert typist.send() == []
    assert typist.wait(100.0) == []
    report = typist.modem.report()
    assert (report.submitted, report.unanswered) == (int(sends), int(sends))
    assert [entry.answered for entry in typist.events("submitted")] == [False] * int(sends)


def test_a_restart_forgets_what_it_was_told() -> None:
    typist = Typist(boot=5.0)
    typist.wait(6.0)
    typist.quiet()
    typist.say("AT+CNMI=2,2,0,1,0")
    typist.say("AT+CSMS=1")
    assert typist.say("AT+CFUN=1,1") == ["OK"]
    assert typist.wait(4.0) == []
    assert typist.say("AT") == []
    assert typist.wait(3.0) == ["RDY", "+CFUN: 1", "+CPIN: READY", "Call Ready", "SMS Ready"]
    assert typist.say("AT+CNMI?") == ["AT+CNMI?", "+CNMI: 2,1,0,0,0", "OK"]
    assert typist.say("AT+CSMS?")[1] == "+CSMS: 0,1,1,1"


def test_it_restarts_by_itself() -> None:
    typist = Typist(reset_every=60.0)
    typist.wait(200.0)
    assert typist.modem.report().restarts == 3
    assert typist.modem.unplugged() is None


def test_on_usb_the_port_goes_with_a_restart() -> None:
    typist = Typist(family="huawei", replug=2.0)
    typist.control("reset")
    assert typist.modem.unplugged() == 2.0
    assert typist.modem.unplugged() is None


def test_a_share_of_commands_has_to_wait() -> None:
    typist = Typist().quiet()
    typist.control("behave", set={"stutter": 0.5})
    said = [typist.say("AT+CSQ")[-1] for _ in range(40)]
    assert set(said) == {"OK", "+CME ERROR: 515"}


def test_noise_stands_in_the_midst_of_answers() -> None:
    typist = Typist(noise=0.5).quiet()
    said = [line for _ in range(40) for line in typist.say("AT+CGMI")]
    assert said.count("SIMCOM_Ltd") == said.count("OK") == 40
    assert set(said) - {"SIMCOM_Ltd", "OK"} == set(FAMILIES["simcom"].noise)


def test_noise_comes_of_its_own() -> None:
    typist = Typist(noise_every=10.0)
    assert len(typist.wait(100.5)) == 10
    typist.control("behave", set={"noise_every": 0.0})
    assert typist.wait(100.0) == []


def test_octets_are_lost_and_garbled_and_late() -> None:
    plain = Typist().type("AT+CGMM\r")
    shorter = Typist(lost=0.3).type("AT+CGMM\r")
    assert 0 < len(shorter) < len(plain)
    other = Typist(garbled=0.3).type("AT+CGMM\r")
    assert len(other) == len(plain)
    assert other != plain
    typist = Typist(octet_time=0.01)
    assert typist.type("AT\r") == ""
    assert len("".join(typist.wait(0.035))) == 2  # `AT`, and the CR
    assert typist.wait(1.0) == ["OK"]


def test_octets_that_it_does_not_hear() -> None:
    typist = Typist(lost_typed=1.0)
    assert typist.type("AT\r") == ""


# -- anything


def spoken(typed: bytes, cuts: list[int], **fields: Any) -> bytes:
    modem = Modem(Behaviour(**fields))
    said, start = b"", 0
    for end in [*sorted(cuts), len(typed)]:
        modem.receive(typed[start:end], 1.0)
        said += modem.data_to_send()
        start = end
    return said


TYPED = st.lists(
    st.one_of(
        st.binary(max_size=30),
        st.sampled_from(
            [
                b"AT\r",
                b"ATE0\r",
                b"AT+CMGS=22\r",
                SUBMIT.encode(),
                b"\x1a",
                b"\x1b",
                b"AT+CPMS=?\r",
                b"ATV0\r",
            ]
        ),
        st.sampled_from([f"AT{name}".encode() for name in ("+CNMI=", "+CMGL=4\r", "+CPIN=", "+CSCS=")]),
    ),
    max_size=20,
).map(b"".join)


@settings(max_examples=200)
@given(TYPED, st.sampled_from(sorted(FAMILIES)), st.lists(st.integers(0, 100), max_size=5))
def test_how_octets_are_cut_makes_no_difference_and_nothing_raises(
    typed: bytes, family: str, cuts: list[int]
) -> None:
    later: dict[str, Any] = {"family": family, "busy": "buffer", "ussd_delay": 9.0, "radio": 9.0}
    assert spoken(typed, cuts, **later) == spoken(typed, [], **later)


@settings(max_examples=100)
@given(TYPED, st.sampled_from(sorted(FAMILIES)))
def test_after_anything_escape_and_at_find_it_again(typed: bytes, family: str) -> None:
    typist = Typist(family=family, sim=True)
    typist.modem.receive(typed, 0.0)
    typist.wait(60.0)
    typist.type("\x1b\r")
    typist.wait(60.0)
    typist.type("ATV1Q0\r")
    assert typist.say("AT")[-1] == "OK"
