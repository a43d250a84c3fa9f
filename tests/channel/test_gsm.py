"""The GSM channel: what becomes of messages, what is received, and when none are taken."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import formatEvent, globalLogPublisher

from smsgw.broker.base import Unavailable
from smsgw.channel.gsm import FIRST_HOLD, NotReady
from smsgw.channel_settings import Budget, GsmSettings, GsmTimers
from smsgw.gsm.times import Relative
from smsgw.message import Message, Submission
from smsgw.outcome import Accepted, Expired, Later, Part, Refused, Status, Unknown, Unsent
from smsgw.strict import Duration
from tests.channel.modem_rig import NOW, Rig, direct
from tests.gsm.modem import Modem, lines

LONG = "x" * 400
"""Three parts."""


@pytest.fixture
def log() -> Iterator[list[str]]:
    written: list[str] = []

    def observe(event: Any) -> None:
        written.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield written
    globalLogPublisher.removeObserver(observe)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path).start()


# -- sending


def test_a_modem_that_is_ready_takes_messages(rig: Rig) -> None:
    assert rig.gateway.story == ["opened"]
    assert rig.session.link.state.name == "up"
    assert rig.channel.sessions_up == 1
    assert rig.send() == [Accepted((Part("1-000001"),))]
    (submit,) = rig.modem.sent
    assert submit.status_report
    assert submit.destination.number == "+46700000001"
    assert submit.validity is None


def test_before_it_is_ready_none_are_taken(tmp_path: Path) -> None:
    modem = Modem()
    modem.registration = 2
    rig = Rig(tmp_path, modem).start()
    assert rig.gateway.story == []
    assert rig.channel.sessions_up == 0
    (outcome,) = rig.send()
    assert isinstance(outcome, Unsent)
    assert modem.sent == []
    modem.registration = 1
    rig.wait(5)
    assert rig.gateway.story == ["opened"]


@pytest.mark.parametrize(
    ("number", "written"),
    [
        ("+46700000001", "+46700000001"),
        ("46700000001", "+46700000001"),
        ("0700000001", "0700000001"),
        ("71000", "71000"),
    ],
)
def test_e164_is_international_short_codes_and_national_forms_are_not(
    rig: Rig, number: str, written: str
) -> None:
    rig.send(to=number)
    assert rig.modem.sent[0].destination.number == written


def test_what_a_message_asks_for(rig: Rig) -> None:
    rig.send(receipt="none", deadline=NOW + 3600 + rig.clock.seconds())
    rig.send(flash=True)
    assert not rig.modem.sent[0].status_report
    assert rig.modem.sent[0].validity == Relative(11)
    assert rig.modem.sent[1].coding == 0x10
    assert rig.send(deadline=NOW) == [Expired()]
    assert len(rig.modem.sent) == 2


def test_the_parts_of_a_long_message_leave_in_one_run(rig: Rig) -> None:
    assert rig.send(LONG) == [Accepted((Part("1-000001"), Part("2-000001"), Part("3-000001")), None, 3)]
    sent = rig.modem.commands[rig.modem.commands.index("PDU") - 1 :]
    assert [command.split("=")[0] for command in sent] == ["AT+CMGS", "PDU"] * 3
    assert "AT+CMMS=2" in rig.modem.commands


def test_the_message_after_a_long_one_waits_for_the_tokens_of_all_its_parts(tmp_path: Path) -> None:
    rig = Rig(tmp_path, rate=0.1).start()
    assert isinstance(rig.send(LONG)[0], Accepted)
    fired = rig.send()
    rig.wait(29)
    assert fired == []
    rig.wait(2)
    assert isinstance(fired[0], Accepted)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ("+CMS ERROR: 38", Later("CMS ERROR 38: network out of order", Status(38, "network out of order"))),
        (
            "+CMS ERROR: 1",
            Refused(
                "CMS ERROR 1: unassigned (unallocated) number", Status(1, "unassigned (unallocated) number")
            ),
        ),
        ("+CMS ERROR: 500", Later("CMS ERROR 500: unknown error", Status(500, "unknown error"), budget=3)),
        ("ERROR", Later("ERROR", None, budget=3)),
        ("+CMS ERROR: 331", Unsent("CMS ERROR 331: no network service")),
    ],
)
def test_what_errors_mean(rig: Rig, error: str, outcome: object) -> None:
    rig.modem.refuse_pdu = error
    assert rig.send() == [outcome]


def test_what_every_message_would_hear_holds_the_channel_longer_and_longer(rig: Rig) -> None:
    rig.modem.refuse_pdu = "+CMS ERROR: 8"
    rig.send()
    assert rig.gateway.story == ["opened", "closed"]
    assert "operator determined barring" in repr(rig.session)
    rig.wait(FIRST_HOLD + 0.5)
    assert rig.gateway.story == ["opened", "closed", "opened"]
    rig.send()
    rig.wait(FIRST_HOLD + 0.5)
    assert rig.gateway.story[-1] == "closed", "twice as long"
    rig.wait(FIRST_HOLD)
    rig.modem.refuse_pdu = None
    assert isinstance(rig.send()[0], Accepted)
    rig.modem.refuse_pdu = "+CMS ERROR: 8"
    rig.send()
    rig.wait(FIRST_HOLD + 0.5)
    assert rig.gateway.story[-1] == "opened", "after a success as short as at first"


def test_a_message_broken_off_goes_on_behind_what_was_taken(rig: Rig) -> None:
    feed = rig.modem._pdu

    def second_is_refused(text: bytes, end: bytes) -> bytes:
        rig.modem.refuse_pdu = "+CMS ERROR: 42" if len(rig.modem.sent) == 1 else None
        return feed(text, end)

    rig.modem._pdu = second_is_refused  # type: ignore[method-assign]
    (outcome,) = rig.send(LONG)
    assert isinstance(outcome, Later)
    assert outcome.progress is not None
    assert outcome.progress.ids == ("1-000001",)
    rig.modem._pdu = feed  # type: ignore[method-assign]
    rig.modem.refuse_pdu = None
    (outcome,) = rig.send(LONG, progress=outcome.progress)
    assert isinstance(outcome, Accepted)
    assert [part.smsc_id for part in outcome.parts] == ["1-000001", "2-000001", "3-000001"]
    assert len(rig.modem.sent) == 3


def test_a_modem_that_goes_mute_after_the_pdu_leaves_the_outcome_unknown(rig: Rig) -> None:
    rig.modem.mute = lambda command: command == "PDU"
    fired = rig.send()
    assert fired == []
    rig.wait(60.5)
    assert isinstance(fired[0], Unknown)
    assert rig.gateway.story == ["opened", "closed"]
    rig.modem.mute = lambda command: False
    rig.wait(20)
    assert rig.gateway.story == ["opened", "closed", "opened"]
    assert isinstance(rig.send()[0], Accepted)
    assert rig.count("modem_rungs", "escape") == 1


def test_an_answer_that_comes_late_counts(rig: Rig) -> None:
    rig.modem.mute = lambda command: command == "PDU"
    rig.send()
    rig.wait(60.5)
    rig.hear(lines("+CMGS: 77", "OK"))
    assert rig.gateway.late == [("m1", Accepted((Part("77-000001"),)))]
    assert rig.count("late_responses") == 1


def test_a_port_that_is_lost_in_the_midst_of_a_message(rig: Rig) -> None:
    rig.modem.mute = lambda command: command == "PDU"
    fired = rig.send()
    rig.wire.lose()
    assert isinstance(fired[0], Unknown)
    assert rig.gateway.story == ["opened", "closed"]
    assert rig.channel.sessions_up == 0


def test_no_more_are_taken_before_a_message_goes_back(rig: Rig) -> None:
    """Else the same one would come again at once, to a modem that can't take it."""
    stories: list[list[str]] = []
    rig.modem.mute = lambda command: command.startswith("AT+CMGS")
    message = Submission(id="m1", message=Message(to="+46700000001", text="hi"), made=NOW)
    rig.session.deliver(message, lambda _: stories.append(list(rig.gateway.story)))
    rig.wait(10.5)
    assert stories == [["opened", "closed"]]


def test_one_message_at_a_time_also_after_a_pause(rig: Rig) -> None:
    """What is not settled yet keeps the modem from taking another."""
    rig.gateway.settled = Deferred()
    rig.modem.registration = 2
    rig.hear(lines("+CREG: 2"))
    rig.modem.registration = 1
    rig.wait(10)
    assert rig.gateway.story == ["opened", "closed"]
    rig.gateway.settled.callback(None)
    assert rig.gateway.story == ["opened", "closed", "opened"]


def test_a_message_that_waits_for_its_turn_goes_back_when_the_network_is_lost(tmp_path: Path) -> None:
    rig = Rig(tmp_path, rate=0.01).start()
    rig.send()
    fired = rig.send()
    assert fired == []
    rig.modem.registration = 2
    rig.hear(lines("+CREG: 2"))
    assert isinstance(fired[0], Unsent)


# -- receiving


def test_a_message_is_acknowledged_only_when_it_is_stored(rig: Rig) -> None:
    stored: Deferred[None] = Deferred()
    rig.gateway.stored = lambda: stored
    rig.hear(direct())
    ((source, destination, fragment),) = rig.gateway.inbounds
    assert (source, destination, fragment.payload) == ("+46700000002", "+46700000099", b"hellohello")
    assert "AT+CNMA=0" not in rig.modem.commands
    stored.callback(None)
    rig.flow()
    assert "AT+CNMA=0" in rig.modem.commands


def test_a_number_that_sends_without_end_is_answered_no_more_until_it_is_calm(tmp_path: Path) -> None:
    rig = Rig(tmp_path, loop=3).start()
    for _ in range(3):
        rig.hear(direct())
        rig.flow()
    assert len(rig.gateway.inbounds) == 3, "what comes is published all the same"
    assert rig.send(to="+46700000002") == [Later("a loop: 3 messages from this number within a minute")]
    assert rig.modem.sent == []
    assert isinstance(rig.send(to="+46700000003")[0], Accepted)


def test_a_message_that_can_t_be_stored_is_declined(rig: Rig) -> None:
    rig.gateway.stored = lambda: fail(Unavailable("no broker"))
    rig.hear(direct())
    assert "AT+CNMA=0" not in rig.modem.commands
    assert "AT+CNMA=2" in rig.modem.commands


def test_storage_is_cleared_only_of_what_is_stored(tmp_path: Path) -> None:
    modem = Modem("huawei", "E3372")
    header, pdu, *_ = direct().decode().replace("\r\n", "\n").split("\n")[1::2]
    modem.stored["SM"][3] = (pdu, int(header.rsplit(",", 1)[1]))
    rig = Rig(tmp_path, modem)
    rig.gateway.stored = lambda: fail(Unavailable("no broker"))
    rig.start()
    assert modem.stored["SM"]
    rig.gateway.stored = lambda: succeed(None)
    rig.wait(61)
    assert len(rig.gateway.inbounds) == 2
    assert modem.stored["SM"] == {}


def test_a_status_report_is_known_by_reference_and_recipient(rig: Rig) -> None:
    rig.send()
    rig.hear(direct(False, reference=1))
    ((key, recipient, report),) = rig.gateway.receipts
    assert (key, recipient) == ("1-000001", "46700000001")
    assert (report.state, report.err) == ("delivered", "0x00")
    rig.hear(direct(False, reference=1, status=0x46, recipient="46700000009"))
    assert rig.gateway.receipts[1][0] == "1-000009"
    assert rig.gateway.receipts[1][2].state == "undelivered"
    assert rig.gateway.receipts[1][2].stat == "validity period expired"


def test_a_pdu_that_can_t_be_read_is_handed_on_as_it_came(rig: Rig) -> None:
    rig.hear(lines("+CMT: ,30", "07916407000000F0FFFF"))
    ((source, _, fragment),) = rig.gateway.inbounds
    assert source == ""
    assert fragment.charset == "binary"
    assert fragment.problem is not None
    assert rig.count("malformed") == 1


# -- stopping


def test_a_stop_waits_until_what_was_received_is_stored_and_cleared(rig: Rig) -> None:
    stored: Deferred[None] = Deferred()
    rig.gateway.stored = lambda: stored
    rig.hear(direct())
    stopped: list[object] = []
    rig.channel.stop().addBoth(stopped.append)
    rig.wait(1)
    assert stopped == []
    rig.hear(direct())
    assert len(rig.gateway.inbounds) == 1, "what comes now stays where it is"
    stored.callback(None)
    rig.wait(1, step=0.05)
    assert stopped == [None]
    assert "AT+CNMA=0" in rig.modem.commands
    assert rig.wire.gone


@pytest.mark.parametrize("drains", [True, False])
def test_a_stop_ends_in_every_state(tmp_path: Path, drains: bool) -> None:
    for state in ("opening", "searching", "ready", "missing", "waiting"):
        modem = Modem()
        rig = Rig(tmp_path, modem)
        modem.registration = 2 if state == "searching" else 1
        modem.mute = (lambda command: True) if state == "opening" else modem.mute
        rig.port.missing = state == "missing"
        rig.start(1.0)
        for wire in rig.port.wires:
            wire.drains = drains
        if state == "waiting":
            rig.wire.lose()
        assert rig.stop(1.5), state
        rig.wait(100)
        assert rig.session.link.state.name == "stopped"
        assert all(wire.gone for wire in rig.port.wires)
        assert rig.clock.getDelayedCalls() == [], state


# -- when none are taken


def test_a_budget_is_kept_over_a_restart(tmp_path: Path) -> None:
    rig = Rig(tmp_path, budget=Budget(minute=2, day=100)).start()
    rig.send()
    assert rig.session.info()["budget left"] == {"minute": 1, "day": 99}
    rig.send()
    (refused,) = rig.send()
    assert isinstance(refused, Unsent)
    assert rig.gateway.story == ["opened", "closed"]
    assert "budget of 2 a minute is used up" in repr(rig.session)
    again = Rig(tmp_path, clock=rig.clock, budget=Budget(minute=2, day=100)).start()
    assert again.gateway.story == []
    again.wait(60)
    assert again.gateway.story == ["opened"]
    assert again.session.info()["budget left"] == {"minute": 2, "day": 98}


def test_a_long_message_is_not_broken_off_by_a_budget(tmp_path: Path) -> None:
    rig = Rig(tmp_path, budget=Budget(minute=1)).start()
    assert isinstance(rig.send(LONG)[0], Accepted)
    assert rig.session.info()["budget left"] == {"minute": 0}


def test_a_budget_that_can_t_be_read_counts_from_zero_and_says_so(tmp_path: Path, log: list[str]) -> None:
    (tmp_path / "sim1.budget").write_text("{")
    assert isinstance(Rig(tmp_path, budget=Budget(day=1)).start().send()[0], Accepted)
    assert any("counts from zero" in line for line in log)


def test_in_quiet_hours_messages_wait_and_phones_do_not(tmp_path: Path) -> None:
    at = time.localtime(NOW)
    quiet = f"{at.tm_hour:02}:{at.tm_min:02}-{(at.tm_hour + 1) % 24:02}:{at.tm_min:02}"
    rig = Rig(tmp_path, quiet=quiet).start()
    assert rig.gateway.story == []
    assert "quiet hours" in str(rig.session.info()["held"])
    rig.hear(direct())
    assert len(rig.gateway.inbounds) == 1
    rig.wait(3600, step=10)
    assert rig.gateway.story == ["opened"]
    rig.wait(23 * 3600, step=30)
    assert rig.gateway.story == ["opened", "closed"]


def test_a_message_that_waits_for_its_turn_does_not_leave_in_quiet_hours(tmp_path: Path) -> None:
    at = time.localtime(NOW + 60)
    quiet = f"{at.tm_hour:02}:{at.tm_min:02}-{(at.tm_hour + 1) % 24:02}:{at.tm_min:02}"
    rig = Rig(tmp_path, rate=0.002, quiet=quiet).start()
    rig.send()
    fired = rig.send()
    rig.wait(120)
    assert isinstance(fired[0], Unsent)
    assert len(rig.modem.sent) == 1


def test_a_long_message_that_has_begun_is_finished_in_quiet_hours(tmp_path: Path) -> None:
    at = time.localtime(NOW + 60)
    quiet = f"{at.tm_hour:02}:{at.tm_min:02}-{(at.tm_hour + 1) % 24:02}:{at.tm_min:02}"
    rig = Rig(tmp_path, quiet=quiet).start()
    rig.modem.mute = lambda command: command == "PDU"
    rig.wait(25)
    fired = rig.send(LONG)
    rig.wait(30)
    rig.modem.mute = lambda command: False
    rig.hear(lines("+CMGS: 1", "OK"))
    rig.wait(5)
    assert isinstance(fired[0], Accepted)
    assert rig.gateway.story == ["opened", "closed"]


def test_a_sim_that_is_taken_out_is_noticed_and_taken_back(rig: Rig, log: list[str]) -> None:
    rig.modem.refuses["AT+CPIN?"] = "+CME ERROR: 10"
    rig.hear(lines("+CPIN: NOT READY"))
    rig.wait(10)
    assert rig.gateway.story == ["opened", "closed"]
    assert any("SIM not inserted" in line for line in log)
    del rig.modem.refuses["AT+CPIN?"]
    rig.wait(120)
    assert rig.gateway.story == ["opened", "closed", "opened"]


# -- what operators ask


def test_info_probe_and_ussd(rig: Rig) -> None:
    info = rig.session.info()
    assert info["state"] == "ready"
    assert info["signal dBm"] == -77
    rig.modem.identity["CSQ"] = "+CSQ: 31,0"
    fired: list[Any] = []
    Deferred.fromCoroutine(rig.session.probe()).addBoth(fired.append)
    rig.flow()
    assert fired[0]["signal dBm"] == -51
    fired.clear()
    Deferred.fromCoroutine(rig.session.ussd("*100#")).addBoth(fired.append)
    rig.flow()
    rig.hear(lines('+CUSD: 0,"Balance: 12.50",15'))
    assert fired == [{"text": "Balance: 12.50", "more": False, "problem": None}]


def test_what_is_asked_of_a_modem_that_goes_away_is_answered(rig: Rig) -> None:
    fired: list[Any] = []
    rig.modem.mute = lambda command: True
    Deferred.fromCoroutine(rig.session.ussd("*100#")).addBoth(fired.append)
    Deferred.fromCoroutine(rig.session.probe()).addBoth(fired.append)
    rig.wire.lose()
    assert len(fired) == 2
    with pytest.raises(NotReady):
        rig.session._ready_protocol()


def test_no_numbers_and_no_texts_in_the_log(tmp_path: Path, log: list[str]) -> None:
    rig = Rig(tmp_path, Modem(pin="1234"), pin=None).start()
    rig.stop()
    rig = Rig(tmp_path).start()
    rig.send("a secret text")
    rig.hear(direct())
    rig.hear(direct(False))
    rig.hear(lines("+CMT: ,30", "07916407000000F0FFFF"))
    rig.stop()
    told = "\n".join(log)
    assert "sim1#1: ready" in told
    for secret in ("46700000001", "46700000002", "a secret", "hello"):
        assert secret not in told


def test_every_step_is_counted(rig: Rig) -> None:
    for state in ("opening", "searching", "preparing", "ready"):
        assert rig.count("modem_states", state) == 1
    assert rig.count("modem_registration") == 1
    assert rig.count("modem_signal") == -77
    assert rig.count("binds", "up") == 1


def test_durations_reach_the_modem() -> None:
    settings = GsmSettings(endpoint="serial:/dev/x", timers=GsmTimers(submit=Duration(5)), poll=Duration(9))
    assert (settings.modem.submit, settings.modem.poll) == (5.0, 9.0)
