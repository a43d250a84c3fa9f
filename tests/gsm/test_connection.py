"""A modem connection against modems of several families: ready, sending, receiving, and every trouble."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsgw.errors import Misuse
from smsgw.gsm import events as told
from smsgw.gsm import families
from smsgw.gsm.addresses import Address
from smsgw.gsm.connection import Connection
from smsgw.gsm.events import (
    Ended,
    MessageReceived,
    ModemRestarted,
    PinTried,
    Refused,
    ReportReceived,
    RungClimbed,
    Sent,
    StorageMeasured,
    SubmitAnswered,
    Unanswered,
    Undeciphered,
    Unsent,
    UssdAnswered,
)
from smsgw.gsm.octets import EncodeError
from smsgw.gsm.settings import Pins, Settings
from smsgw.gsm.status import Status
from smsgw.gsm.storage import MAX_OFFERED
from smsgw.gsm.times import Timestamp
from smsgw.gsm.tpdu import Deliver, StatusReport, Submit, UserData, to_hex
from tests.gsm.modem import FAMILIES, IMEI, IMSI, Bench, Modem, lines

SUBMIT = Submit(destination=Address("46700000001"), data=UserData(10, bytes.fromhex("E8329BFD4697D9EC37")))
TIME = Timestamp(bytes.fromhex("62113202515240"))
DELIVER = Deliver(originator=Address("46700000002"), timestamp=TIME, data=SUBMIT.data)
REPORT = StatusReport(
    reference=1, recipient=Address("46700000001"), timestamp=TIME, discharged=TIME, status=Status(0)
)
MESSAGE, LENGTH = to_hex(DELIVER, Address("46700000000"))
REPORTED, REPORT_LENGTH = to_hex(REPORT, Address("46700000000"))
CMT = lines(f"+CMT: ,{LENGTH}", MESSAGE)
CDS = lines(f"+CDS: {REPORT_LENGTH}", REPORTED)


def answers(bench: Bench) -> list[told.Answer]:
    return [event.answer for event in bench.told(SubmitAnswered)]


def states(bench: Bench) -> list[str]:
    return [event.state for event in bench.told(told.StateChanged)]


def rungs(bench: Bench) -> list[str]:
    return [event.rung for event in bench.told(RungClimbed)]


# -- ready


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("cut", [1, 7, 10_000])
def test_every_family_gets_ready_and_sends(family: str, cut: int) -> None:
    bench = Bench(FAMILIES[family](), cut=cut).open()
    (identified,) = bench.told(told.Identified)
    assert identified.family == family
    assert states(bench) == ["opening", "searching", "preparing", "ready"]
    bench.send(SUBMIT)
    assert answers(bench) == [Sent(1)]
    assert bench.modem.sent == [SUBMIT]
    assert rungs(bench) == []


@pytest.mark.parametrize(
    ("family", "direct", "acknowledges"),
    [
        ("SIMCom", True, True),
        ("Cinterion", True, True),
        ("Huawei", False, False),
        ("ZTE", None, False),
    ],
)
def test_how_messages_are_indicated(family: str, direct: bool | None, acknowledges: bool) -> None:
    facts = Bench(FAMILIES[family]()).open().connection.facts
    assert (facts.indication.direct if facts.indication else None) is direct
    assert facts.acknowledges is acknowledges


def test_without_acknowledgements_nothing_comes_directly() -> None:
    facts = Bench(Modem(refuses={"AT+CSMS": "ERROR"})).open().connection.facts
    assert facts.indication is not None
    assert not facts.indication.direct


def test_the_storage_is_drained_before_long() -> None:
    modem = Modem()
    modem.stored["SM"][3] = (MESSAGE, LENGTH)
    modem.stored["ME"][1] = (REPORTED, REPORT_LENGTH)
    bench = Bench(modem).open()
    assert [event.tpdu for event in bench.told(MessageReceived)] == [DELIVER]
    assert [event.tpdu for event in bench.told(ReportReceived)] == [REPORT]


def test_a_modem_that_wants_all_memories_named_is_drained_too() -> None:
    modem = Modem()
    modem.memories_named = 3
    modem.stored["SM"][3] = (MESSAGE, LENGTH)
    modem.stored["ME"][1] = (REPORTED, REPORT_LENGTH)
    bench = Bench(modem).open()
    assert [event.tpdu for event in bench.told(MessageReceived)] == [DELIVER]
    assert [event.tpdu for event in bench.told(ReportReceived)] == [REPORT]
    assert 'AT+CPMS="ME","SM","SM"' in modem.commands


@pytest.mark.parametrize(
    ("setting", "reopen"),
    [(Settings(imei="1" * 15), True), (Settings(imsi="1" * 15), True)],
)
def test_another_modem_or_sim_is_not_taken(setting: Settings, reopen: bool) -> None:
    bench = Bench(Modem(), setting).open()
    (ended,) = bench.told(Ended)
    assert ended.reopen is reopen
    assert "another" in ended.reason


def test_the_modem_and_sim_that_were_configured() -> None:
    assert Bench(Modem(), Settings(imei=IMEI, imsi=IMSI)).open().connection.can_send


def test_a_modem_that_is_not_registered_waits_then_the_watchdog_climbs() -> None:
    modem = Modem()
    modem.registration = 2
    bench = Bench(modem).open(most=100.0)
    assert bench.connection.state == "searching"
    modem.registration = 5
    bench.run(lambda: bench.connection.can_send)
    assert bench.now < 110.0
    modem.registration = 3
    bench.run(lambda: bool(rungs(bench)))
    assert 180.0 < bench.now < 400.0


def test_a_network_that_goes_and_comes_back() -> None:
    bench = Bench(Modem()).open()
    bench.modem.registration = 2
    bench.hear(lines("+CREG: 2"))
    bench.settle()
    assert not bench.connection.can_send
    bench.modem.registration = 1
    bench.run(lambda: bench.connection.can_send)
    assert rungs(bench) == []


def test_a_sim_that_takes_its_time() -> None:
    modem = Modem()
    modem.refuses["AT+CPIN?"] = "+CME ERROR: 14"
    bench = Bench(modem).open(most=20.0)
    assert bench.connection.state == "opening"
    del modem.refuses["AT+CPIN?"]
    bench.run(lambda: bench.connection.can_send)
    assert rungs(bench) == []


# -- the PIN


def test_the_pin() -> None:
    bench = Bench(Modem(pin="1234"), Settings(pin="1234")).open()
    assert bench.connection.can_send
    assert bench.told(PinTried) == [PinTried(True)]


def test_a_wrong_pin_is_never_tried_twice() -> None:
    modem, pins = Modem(pin="1234"), Pins()
    for _ in range(3):
        bench = Bench(modem, Settings(pin="4321"), pins).open()
        (ended,) = bench.told(Ended)
        assert not ended.reopen
        assert "PIN" in ended.reason
        assert "4321" not in repr(bench.events)
    assert modem.pins_entered == 1
    assert Bench(modem, Settings(pin="1234"), pins).open().connection.can_send


def test_a_pin_that_is_not_answered_counts_as_wrong() -> None:
    modem = Modem(pin="1234")
    modem.mute = lambda command: command.startswith("AT+CPIN=")
    bench = Bench(modem, Settings(pin="1234")).open()
    assert bench.told(PinTried) == [PinTried(None)]
    assert [command for command in modem.commands if "AT+CPIN=" in command] == ['AT+CPIN="1234"']
    assert bench.connection.state == "ended"


def test_a_pin_whose_ok_was_lost_is_known_by_the_open_sim() -> None:
    modem = Modem(pin="1234")
    pins = Pins()
    modem.mute = lambda command: command.startswith("AT+CPIN=") and modem.open_sim()
    bench = Bench(modem, Settings(pin="1234"), pins).open()
    assert bench.told(PinTried) == [PinTried(None)]
    assert bench.connection.can_send
    assert pins.may_try("1234")


def test_no_pin_and_puk() -> None:
    bench = Bench(Modem(pin="1234")).open()
    assert not bench.told(Ended)[0].reopen
    modem = Modem()
    modem.sim = "SIM PUK"
    bench = Bench(modem, Settings(pin="1234")).open()
    assert not bench.told(Ended)[0].reopen
    assert modem.pins_entered == 0


# -- sending


@pytest.mark.parametrize(
    ("line", "registration", "error_class"),
    [
        ("+CMS ERROR: 1", 1, "permanent"),
        ("+CMS ERROR: 42", 1, "temporary"),
        ("+CMS ERROR: 331", 1, "link"),
        ("+CMS ERROR: network timeout", 1, "temporary"),
        ("+CMS ERROR: 500", 1, "unknown"),
        ("+CMS ERROR: 500", 2, "link"),
        ("ERROR", 3, "link"),
    ],
)
def test_refused(line: str, registration: int, error_class: str) -> None:
    bench = Bench(Modem()).open()
    bench.modem.refuse_pdu = line
    bench.modem.registration = registration
    bench.send(SUBMIT)
    (answer,) = answers(bench)
    assert isinstance(answer, Refused)
    assert answer.error_class == error_class


def test_refused_before_the_prompt() -> None:
    bench = Bench(Modem()).open()
    bench.modem.refuses["AT+CMGS"] = "+CMS ERROR: 515"
    bench.send(SUBMIT)
    (answer,) = answers(bench)
    assert isinstance(answer, Refused)
    assert answer.error_class == "temporary"


def test_no_prompt_is_unsent() -> None:
    bench = Bench(Modem()).open()
    bench.modem.mute = lambda command: command.startswith("AT+CMGS")
    bench.send(SUBMIT)
    bench.run(lambda: bench.connection.can_send)
    assert answers(bench) == [Unsent("no answer to AT+CMGS")]
    assert rungs(bench) == ["escape"]
    bench.modem.mute = lambda command: False
    bench.send(SUBMIT)
    assert answers(bench)[1:] == [Sent(1)]


def test_a_prompt_that_got_lost_is_escaped_from() -> None:
    bench = Bench(Modem()).open()
    bench.modem.prompt = b""
    bench.send(SUBMIT)
    bench.run(lambda: bench.connection.can_send)
    assert answers(bench) == [Unsent("no answer to AT+CMGS")]
    assert rungs(bench) == ["escape"]
    assert bench.modem.sent == []


def test_what_phones_send_has_its_turn_between_messages() -> None:
    bench = Bench(Modem()).open()
    bench.connection.send(SUBMIT, bench.now, 1)
    bench.hear(CMT)
    (message,) = bench.told(MessageReceived)
    bench.connection.settle(message.handle, bench.now, safe=True)
    bench.settle()
    bench.send(SUBMIT, 2)
    tail = [command for command in bench.modem.commands if command in {"PDU", "AT+CNMA=0"}]
    assert tail == ["PDU", "AT+CNMA=0", "PDU"]


def test_silence_after_the_pdu_is_an_unknown_outcome() -> None:
    bench = Bench(Modem()).open()
    bench.modem.mute = lambda command: command == "PDU"
    bench.send(SUBMIT)
    bench.run(lambda: bool(answers(bench)), most=59.0)
    assert answers(bench) == []
    bench.run(lambda: bool(answers(bench)))
    assert answers(bench) == [Unanswered("no answer to AT+CMGS")]
    bench.hear(lines("+CMGS: 77", "OK"))
    assert bench.told(told.SentLate) == [told.SentLate(77)]


def test_one_message_at_a_time_and_only_when_ready() -> None:
    bench = Bench(Modem())
    with pytest.raises(Misuse, match="closed"):
        bench.connection.send(SUBMIT, 0.0, None)
    bench.open()
    with pytest.raises(EncodeError):
        bench.connection.send(Submit(destination=Address("x")), 0.0, None)
    bench.connection.send(SUBMIT, bench.now, 1)
    with pytest.raises(Misuse, match="on its way"):
        bench.connection.send(SUBMIT, bench.now, 2)
    bench.settle()
    assert answers(bench) == [Sent(1)]


def test_a_thousand_messages_need_no_time() -> None:
    bench = Bench(Modem()).open()
    for number in range(1000):
        bench.send(SUBMIT, number)
    assert [event.context for event in bench.told(SubmitAnswered)] == list(range(1000))
    assert bench.now == 0.0


# -- receiving


def test_what_comes_directly_is_acknowledged_when_it_is_safe() -> None:
    bench = Bench(Modem()).open()
    bench.hear(CMT)
    bench.settle()
    (message,) = bench.told(MessageReceived)
    assert message.tpdu == DELIVER
    assert "AT+CNMA=0" not in bench.modem.commands
    bench.connection.settle(message.handle, bench.now, safe=True)
    bench.settle()
    assert bench.modem.commands[-1] == "AT+CNMA=0"


def test_what_is_not_safe_is_declined_and_routing_set_up_again() -> None:
    bench = Bench(Modem()).open()
    bench.hear(CDS)
    (report,) = bench.told(ReportReceived)
    bench.connection.settle(report.handle, bench.now, safe=False)
    bench.settle()
    assert bench.modem.commands[-2:] == ["AT+CNMA=2", "AT+CNMI=2,2,0,1,0"]


def test_what_is_stored_is_deleted_when_it_is_safe() -> None:
    bench = Bench(FAMILIES["Huawei"]()).open()
    bench.modem.stored["ME"][7] = (MESSAGE, LENGTH)
    bench.hear(lines('+CMTI: "ME",7'))
    bench.settle()
    (message,) = bench.told(MessageReceived)
    bench.run(most=300.0)
    assert len(bench.told(MessageReceived)) == 1
    assert "AT+CMGD=7" not in bench.modem.commands
    bench.connection.settle(message.handle, bench.now, safe=True)
    bench.settle()
    assert bench.modem.stored["ME"] == {}


def test_what_could_not_be_kept_is_offered_again() -> None:
    bench = Bench(FAMILIES["Huawei"]()).open()
    bench.modem.stored["SM"][1] = (MESSAGE, LENGTH)
    bench.run(lambda: bool(bench.told(MessageReceived)))
    bench.connection.settle(bench.told(MessageReceived)[0].handle, bench.now, safe=False)
    bench.run(most=100.0)
    assert len(bench.told(MessageReceived)) == 2
    assert bench.modem.stored["SM"]


def test_a_deletion_that_fails_is_made_up_for_without_a_second_offer() -> None:
    bench = Bench(FAMILIES["Huawei"]()).open()
    bench.modem.stored["SM"][1] = (MESSAGE, LENGTH)
    bench.run(lambda: bool(bench.told(MessageReceived)))
    bench.modem.refuses["AT+CMGD"] = "+CMS ERROR: 314"
    bench.connection.settle(bench.told(MessageReceived)[0].handle, bench.now, safe=True)
    bench.settle()
    assert bench.modem.stored["SM"]
    del bench.modem.refuses["AT+CMGD"]
    bench.run(most=100.0)
    assert bench.modem.stored["SM"] == {}
    assert len(bench.told(MessageReceived)) == 1


def test_what_the_drain_has_deleted_is_not_deleted_once_more_when_another_lies_there() -> None:
    bench = Bench(FAMILIES["Huawei"]()).open()
    bench.modem.stored["SM"][1] = (MESSAGE, LENGTH)
    bench.run(lambda: bool(bench.told(MessageReceived)))
    (message,) = bench.told(MessageReceived)
    feed = bench.modem.feed

    def settled_while_it_is_listed(data: bytes) -> bytes:
        if data == b"AT+CMGL=4\r" and bench.modem.memory == "SM":
            bench.connection.settle(message.handle, bench.now, safe=True)
        said = feed(data)
        if data == b"AT+CMGD=1\r" and len(bench.told(MessageReceived)) == 1:
            bench.modem.stored["SM"][1] = (MESSAGE[:-2] + "01", LENGTH)
            said += lines('+CMTI: "SM",1')
        return said

    bench.modem.feed = settled_while_it_is_listed  # type: ignore[method-assign]
    bench.run(most=100.0)
    assert bench.modem.commands.count("AT+CMGD=1") == 1
    assert len(bench.told(MessageReceived)) == 2
    assert bench.modem.stored["SM"]


def test_a_modem_that_indicates_nothing_is_asked() -> None:
    bench = Bench(FAMILIES["ZTE"]()).open()
    bench.modem.stored["SM"][1] = (MESSAGE, LENGTH)
    bench.run(lambda: bool(bench.told(MessageReceived)), most=15.0)
    assert len(bench.told(MessageReceived)) == 1


def test_a_pdu_that_cannot_be_read_is_offered_as_it_is() -> None:
    bench = Bench(Modem()).open()
    bench.hear(lines("+CMT: ,20", "0004FF"))
    (found,) = bench.told(Undeciphered)
    assert found.handle.pdu == "0004FF"
    bench.connection.settle(found.handle, bench.now, safe=True)
    bench.settle()
    assert bench.modem.commands[-1] == "AT+CNMA=0"


@pytest.mark.parametrize(
    "line", ["+CMT:", "+CMTI:", "+CDS: x", "+CUSD:", "+CREG:", "^RSSI:", '+CDSI: "SM",x']
)
def test_unsolicited_lines_without_what_they_should_have(line: str) -> None:
    bench = Bench(Modem()).open()
    bench.hear(lines(line, "00"))
    bench.settle()
    bench.send(SUBMIT)
    assert answers(bench) == [Sent(1)]


def test_more_indications_than_are_remembered_make_a_drain() -> None:
    bench = Bench(FAMILIES["Huawei"]()).open()
    bench.modem.stored["SM"][1] = (MESSAGE, LENGTH)
    bench.connection.send(SUBMIT, bench.now, 1)
    bench.hear(b"".join(lines(f'+CMTI: "SM",{index}') for index in range(100, 200)))
    bench.settle()
    assert len(bench.told(MessageReceived)) == 1
    assert len([command for command in bench.modem.commands if "CMGR" in command]) == 50


def test_what_came_directly_before_a_restart_is_offered_again() -> None:
    bench = Bench(Modem()).open()
    bench.hear(CMT)
    bench.hear(lines("RDY"))
    bench.run(lambda: bench.connection.can_send)
    (lost,) = bench.told(MessageReceived)
    bench.connection.settle(lost.handle, bench.now, safe=True)
    bench.settle()
    assert "AT+CNMA=0" not in bench.modem.commands
    bench.hear(CMT)
    assert len(bench.told(MessageReceived)) == 2


def test_what_somebody_before_us_did_not_acknowledge_is_declined_so_that_it_comes_again() -> None:
    for family, declined in (("SIMCom", 1), ("Huawei", 0)):
        commands = Bench(FAMILIES[family]()).open().modem.commands
        assert commands.count("AT+CNMA=2") == declined


def test_no_more_are_offered_than_can_be_remembered() -> None:
    modem = Modem()
    modem.stored["SM"] = {index: (f"{MESSAGE[:-2]}{index:02x}", LENGTH) for index in range(MAX_OFFERED + 20)}
    bench = Bench(modem).open()
    bench.settle()
    assert len(bench.told(MessageReceived)) == MAX_OFFERED
    for message in bench.told(MessageReceived):
        bench.connection.settle(message.handle, bench.now, safe=True)
    bench.run(most=100.0)
    assert len({message.handle for message in bench.told(MessageReceived)}) == MAX_OFFERED + 20


def test_a_full_storage_is_told() -> None:
    modem = Modem()
    modem.stored["SM"] = {index: (MESSAGE[:-2] + f"{index:02x}", LENGTH) for index in range(20)}
    bench = Bench(modem).open()
    bench.settle()
    assert StorageMeasured("SM", 20, 20) in bench.events
    assert bench.connection.storage_full
    for message in bench.told(MessageReceived):
        bench.connection.settle(message.handle, bench.now, safe=True)
    bench.settle()
    assert modem.stored["SM"] == {}
    assert not bench.connection.storage_full


def test_a_storage_that_fills_is_measured_also_where_there_is_but_one() -> None:
    bench = Bench(Modem(memories=("SM",))).open()
    bench.run(most=5.0)
    assert not bench.connection.storage_full
    bench.modem.stored["SM"] = {index: (MESSAGE[:-2] + f"{index:02x}", LENGTH) for index in range(20)}
    bench.run(most=70.0)
    assert bench.connection.storage_full


# -- USSD


@pytest.mark.parametrize(
    ("family", "line", "text"),
    [
        ("SIMCom", '+CUSD: 0,"Saldo: 10,50 kr",15', "Saldo: 10,50 kr"),
        ("SIMCom", '+CUSD: 0,"00530061006C0064006F",72', "Saldo"),
        ("Huawei", '+CUSD: 0,"D3309BFC06",15', "Saldo"),
    ],
)
def test_ussd(family: str, line: str, text: str) -> None:
    bench = Bench(FAMILIES[family]()).open()
    bench.connection.ask_ussd("*100#", bench.now, "saldo")
    bench.settle()
    asked = "AA180C3602" if family == "Huawei" else "*100#"
    assert bench.modem.commands[-1] == f'AT+CUSD=1,"{asked}",15'
    bench.hear(lines(line))
    assert bench.told(UssdAnswered) == [UssdAnswered("saldo", text)]


def test_ussd_without_an_answer() -> None:
    bench = Bench(Modem()).open()
    bench.connection.ask_ussd("*100#", bench.now, 1)
    with pytest.raises(Misuse):
        bench.connection.ask_ussd("*100#", bench.now, 2)
    bench.run(most=70.0)
    assert [event.problem for event in bench.told(UssdAnswered)] == ["no answer came"]


@pytest.mark.parametrize("code", ['*100"', "*100\r", "ж", "å"])
def test_ussd_that_cannot_be_written(code: str) -> None:
    bench = Bench(Modem()).open()
    with pytest.raises(EncodeError):
        bench.connection.ask_ussd(code, bench.now, 1)


def test_ussd_that_is_refused_or_unasked() -> None:
    bench = Bench(Modem(refuses={"AT+CUSD": "+CME ERROR: 30"})).open()
    bench.hear(lines('+CUSD: 0,"Reklam",15'))
    assert [event.text for event in bench.told(told.UssdReceived)] == ["Reklam"]
    bench.connection.ask_ussd("*100#", bench.now, 1)
    bench.settle()
    assert bench.told(UssdAnswered) == [UssdAnswered(1, None, problem="no network service")]


# -- families


def test_what_families_say_can_be_said() -> None:
    for family in families.FAMILIES:
        assert families.family_of(family.names[0].upper(), "X1") is family
        assert all(line.startswith("AT") for line in (*family.init, family.acknowledge, family.decline))
        assert all(indication.direct for indication in family.direct)
        assert not any(indication.direct for indication in family.stored)
        assert any(indication.reports for indication in family.stored)
    assert families.family_of("Acme", "One") is families.GENERIC


# -- trouble


def commands_to_send() -> list[str]:
    bench = Bench(Modem(pin="1234"), Settings(pin="1234")).open()
    bench.send(SUBMIT)
    return bench.modem.commands


@pytest.mark.parametrize("silent", range(len(commands_to_send())))
def test_silence_once_at_every_step_is_recovered_from(silent: int) -> None:
    """But for the PIN itself, which is not tried twice."""
    modem = Modem(pin="1234")
    modem.mute = lambda command: len(modem.commands) == silent + 1
    bench = Bench(modem, Settings(pin="1234")).open()
    lost = modem.commands[silent] if silent < len(modem.commands) else ""
    if lost.startswith("AT+CPIN="):
        assert bench.connection.state == "ended"
        return
    bench.run(lambda: bench.connection.can_send)
    bench.send(SUBMIT)
    bench.run(lambda: bool(answers(bench)))
    bench.run(lambda: bench.connection.can_send)
    assert bench.connection.can_send
    assert len(answers(bench)) == 1
    assert set(rungs(bench)) <= {"escape"}


@pytest.mark.parametrize("name", dict.fromkeys(commands_to_send()))
def test_silence_for_ever_at_every_step_ends(name: str) -> None:
    """Each rung once, then the port has to be opened again; and every message has its answer."""
    modem = Modem(pin="1234")
    modem.mute = lambda command: command == name
    bench = Bench(modem, Settings(pin="1234"))
    bench.open()
    sent = 0
    while bench.connection.state != "ended" and sent < 10:
        bench.send(SUBMIT)
        sent += 1
        bench.run(lambda: bench.connection.can_send)
        bench.run(most=200.0)
    assert len(answers(bench)) == sent
    if bench.connection.state == "ended" and not name.startswith("AT+CPIN="):
        assert rungs(bench) == ["escape", "reset", "restart"]
        assert bench.told(Ended)[0].reopen
    assert bench.connection.state == "ended"


def test_a_mute_modem_climbs_every_rung() -> None:
    modem = Modem()
    bench = Bench(modem).open()
    modem.mute = lambda command: True
    bench.send(SUBMIT)
    bench.run()
    assert answers(bench) == [Unsent("no answer to AT+CMGS")]
    assert rungs(bench) == ["escape", "reset", "restart"]
    assert bench.events[-1] == Ended("no answer to AT+CFUN", reopen=True)
    assert bench.now < 60.0
    assert bench.connection.deadline() == inf
    assert bench.connection.data_to_send() == bench.connection.data_to_send() == b""


def test_a_rung_that_is_refused_leads_to_the_next() -> None:
    bench = Bench(Modem(refuses={"ATZ": "ERROR"})).open()
    bench.modem.mute = lambda command: (
        "ATZ" not in bench.modem.commands and (command == "AT" or command.startswith("AT+CMGS"))
    )
    bench.send(SUBMIT)
    bench.run(lambda: bench.connection.can_send)
    assert rungs(bench) == ["escape", "reset", "restart"]
    assert bench.connection.can_send


def test_an_answer_that_comes_late_is_not_taken_for_another_ones() -> None:
    """The OK of the signal ends the AT of the first rung; that one's own strays while it is quiet."""
    bench = Bench(Modem()).open()
    bench.modem.mute = lambda command: command == "AT+CSQ"
    bench.run(lambda: bench.connection.state == "recovering", most=200.0)
    bench.modem.mute = lambda command: False
    bench.hear(lines("+CSQ: 3,0", "OK"))
    bench.run(lambda: bench.connection.can_send)
    assert bench.connection.facts.imei == IMEI
    assert bench.connection.facts.dbm == -77
    assert rungs(bench) == ["escape"]


def test_the_idle_modem_is_looked_at() -> None:
    bench = Bench(Modem()).open()
    bench.modem.mute = lambda command: True
    bench.run(lambda: bool(rungs(bench)), most=200.0)
    assert rungs(bench) == ["escape"]


def test_after_a_calm_time_the_ladder_begins_anew() -> None:
    bench = Bench(Modem()).open()
    for _ in range(5):
        bench.modem.mute = lambda command: command == "AT+CSQ"
        bench.run(lambda: bench.connection.state == "recovering", most=200.0)
        bench.modem.mute = lambda command: False
        bench.run(most=700.0)
    assert rungs(bench) == ["escape"] * 5


def test_a_message_that_was_sent_begins_the_ladder_anew() -> None:
    bench = Bench(Modem()).open()
    for _ in range(5):
        bench.modem.mute = lambda command: command.startswith("AT+CMGS")
        bench.send(SUBMIT)
        bench.run(lambda: bench.connection.state == "recovering", most=200.0)
        bench.modem.mute = lambda command: False
        bench.run(lambda: bench.connection.can_send)
        bench.send(SUBMIT)
    assert rungs(bench) == ["escape"] * 5


@pytest.mark.parametrize("banner", ["RDY", "^SYSSTART", "START"])
def test_a_modem_that_restarts_is_set_up_again(banner: str) -> None:
    bench = Bench(Modem()).open()
    bench.modem.mute = lambda command: command == "PDU"
    bench.send(SUBMIT)
    bench.modem.mute = lambda command: False
    bench.modem.echo = True
    bench.hear(lines(banner))
    assert bench.told(ModemRestarted) == [ModemRestarted(banner)]
    assert answers(bench) == [Unanswered("the modem restarted")]
    bench.run(lambda: bench.connection.can_send)
    assert bench.modem.commands.count("AT+CMGF=0") == 2


def test_a_sim_that_is_taken_out() -> None:
    bench = Bench(Modem()).open()
    bench.modem.refuses["AT+CPIN?"] = "+CME ERROR: 10"
    bench.hear(lines("+CPIN: NOT READY"))
    bench.run(most=20.0)
    assert bench.told(Ended) == [Ended("the SIM is not open: SIM not inserted", reopen=True)]


def test_a_lost_port_settles_everything() -> None:
    bench = Bench(Modem()).open()
    bench.modem.mute = lambda command: command == "PDU"
    bench.connection.ask_ussd("*100#", bench.now, 1)
    bench.settle()
    bench.send(SUBMIT)
    bench.take(bench.connection.lost("hung up", bench.now))
    assert answers(bench) == [Unanswered("hung up")]
    assert len(bench.told(UssdAnswered)) == 1
    assert bench.events[-1] == Ended("hung up", reopen=True)
    assert bench.connection.receive(b"RDY\r\n", bench.now) == []
    assert bench.connection.lost("again", bench.now) == []


# -- whatever comes in between

UNASKED = [
    b"",
    b"\r\n^RSSI:17\r\n",
    b"\r\nRING\r\n",
    b"\r\n+CREG: 1\r\n",
    b'\r\n+CREG: 1,"00C3","0A11"\r\n',
    b'\r\n+CMTI: "SM",3\r\n',
    b"\x00\xff\xfe",
    b"\r\nSMS Ready\r\n",
    b"garbage\r\n",
    CMT,
    CDS,
]


@given(
    st.sampled_from(sorted(FAMILIES)),
    st.lists(st.sampled_from(UNASKED), min_size=1, max_size=8),
    st.integers(1, 40),
)
@settings(max_examples=150, deadline=None)
def test_unsolicited_lines_and_noise_at_every_point(family: str, unasked: list[bytes], cut: int) -> None:
    def between(count: int) -> bytes:
        # not for ever: an indication makes a command, before whose answer comes another indication
        return unasked[count % len(unasked)] if count < 80 else b""

    bench = Bench(FAMILIES[family](), cut=cut, between=between)
    bench.open()
    for number in range(5):
        bench.send(SUBMIT, number)
        bench.run(lambda: bench.connection.can_send)
    assert answers(bench) == [Sent(number) for number in range(1, 6)]
    assert rungs(bench) == []
    assert all(message.tpdu == DELIVER for message in bench.told(MessageReceived))
    assert bool(bench.told(MessageReceived)) == (CMT in unasked)


@given(st.lists(st.binary(max_size=60) | st.floats(0, 400), max_size=40))
@settings(max_examples=200, deadline=None)
def test_garbage_and_time_never_raise(course: list[bytes | float]) -> None:
    bench = Bench(Modem())
    bench.take(bench.connection.opened(0.0))
    for step in course:
        if isinstance(step, bytes):
            bench.take(bench.connection.receive(step, bench.now))
        else:
            bench.now += step
            bench.take(bench.connection.tick(bench.now))
        if bench.connection.can_send:
            bench.connection.send(SUBMIT, bench.now, None)
        bench.connection.data_to_send()
    bench.take(bench.connection.lost("the end", bench.now))
    assert [type(event) for event in bench.events].count(Ended) == 1
    assert isinstance(bench.events[-1], Ended)


def test_opened_once() -> None:
    connection = Connection()
    connection.opened(0.0)
    with pytest.raises(Misuse):
        connection.opened(0.0)


def test_nothing_secret_is_shown() -> None:
    bench = Bench(Modem(), Settings(pin="9876")).open()
    bench.hear(CMT)
    shown = repr(bench.connection) + repr(bench.events) + repr(bench.connection.settings)
    for secret in ("9876", "46700000002", MESSAGE, IMSI):
        assert secret not in shown


def test_what_was_told_is_told_again_now_and_then() -> None:
    bench = Bench(Modem()).open()
    bench.run(most=30.0)
    bench.modem.commands.clear()
    bench.run(most=60.0)
    said = bench.modem.commands
    assert [command for command in said if command.startswith(("AT+CMGF", "AT+CSMS", "AT+CNMI"))] == [
        "AT+CMGF=0",
        "AT+CSMS=1",
        "AT+CNMI=2,2,0,1,0",
    ]


@pytest.mark.parametrize("spoilt", [MESSAGE[:-1], MESSAGE[:9] + "?" + MESSAGE[10:]])
def test_a_direct_message_that_arrives_spoilt_is_declined_at_once(spoilt: str) -> None:
    bench = Bench(Modem()).open()
    bench.modem.commands.clear()
    bench.hear(lines(f"+CMT: ,{LENGTH}") + f"{spoilt}\r\n".encode())
    bench.settle()
    assert bench.modem.commands[:2] == ["AT+CNMA=2", "AT+CNMI=2,2,0,1,0"]
    assert len(bench.told(told.PduLost)) == 1
    assert not bench.told(MessageReceived)


def acknowledged(bench: Bench) -> list[str]:
    return [command for command in bench.modem.commands if "CNMA" in command]


def test_what_is_safe_too_late_is_not_acknowledged_and_direct_routing_is_asked_for_again() -> None:
    bench = Bench(Modem()).open()
    bench.hear(CMT)
    (message,) = bench.told(MessageReceived)
    bench.run(most=11.0)
    bench.modem.commands.clear()
    bench.run(most=14.0)
    assert bench.modem.commands[-1] == "AT+CNMI=2,2,0,1,0"
    bench.connection.settle(message.handle, bench.now, safe=True)
    bench.settle()
    assert acknowledged(bench) == []
    bench.hear(CMT)
    assert len(bench.told(MessageReceived)) == 2


def test_an_acknowledgement_is_never_of_the_message_before() -> None:
    bench = Bench(Modem()).open()
    bench.hear(CMT)
    other = lines(f"+CMT: ,{LENGTH}", MESSAGE[:-2] + "01")
    bench.hear(other)
    first, second = bench.told(MessageReceived)
    bench.connection.settle(first.handle, bench.now, safe=True)
    bench.settle()
    assert acknowledged(bench) == []
    bench.connection.settle(second.handle, bench.now, safe=True)
    bench.settle()
    assert acknowledged(bench) == ["AT+CNMA=0"]


def test_an_acknowledgement_that_waits_is_dropped_when_another_message_comes() -> None:
    bench = Bench(Modem()).open()
    bench.hear(CMT)
    bench.modem.mute = lambda command: command == "PDU"
    bench.send(SUBMIT)
    bench.connection.settle(bench.told(MessageReceived)[0].handle, bench.now, safe=True)
    bench.hear(lines(f"+CMT: ,{LENGTH}", MESSAGE[:-2] + "01"))
    bench.hear(lines("+CMGS: 1", "OK"))
    bench.settle()
    assert answers(bench) == [Sent(1)]
    assert acknowledged(bench) == []
