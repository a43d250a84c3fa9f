"""The AT line machine: dialogues as modems hold them, cut anyhow, with others' lines in their midst."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.errors import Misuse
from smsgw.gsm import errors
from smsgw.gsm.at import (
    MAX_LINE,
    MAX_LINES,
    Command,
    Completed,
    Event,
    Line,
    Lines,
    NoiseHeard,
    Prompted,
    Restarted,
    Strayed,
    Unsolicited,
)

PDU = "0011000B916407281553F80000AA0AE8329BFD4697D9EC37"
AT = Command(line="AT")
CSQ = Command(line="AT+CSQ", prefixes=("+CSQ:",))
CREG = Command(line="AT+CREG?", prefixes=("+CREG:",))
CGSN = Command(line="AT+CGSN", bare=True)
CMGS = Command(line="AT+CMGS=23", prefixes=("+CMGS:",), payload=PDU)
CMGL = Command(line="AT+CMGL=4", prefixes=("+CMGL:",), pdus=True)


def heard(command: Command | None, *data: bytes) -> list[Event]:
    lines = Lines()
    if command is not None:
        lines.start(command)
    return [event for each in data for event in lines.receive(each)]


def done(command: Command, *texts: str, **more: Any) -> Completed:
    return Completed(command, tuple(map(Line, texts)), **more)


DIALOGUES: list[tuple[Command | None, bytes, list[Event]]] = [
    # echo on, and off
    (AT, b"AT\r\r\nOK\r\n", [done(AT)]),
    (AT, b"\r\nOK\r\n", [done(AT)]),
    (AT, b"OK\r", [done(AT)]),
    # SIMCom: signal, with its own chatter in the midst
    (
        CSQ,
        b"AT+CSQ\r\r\n+CSQ: 18,0\r\n\r\nSMS Ready\r\n\r\nOK\r\n",
        [Unsolicited(Line("SMS Ready")), done(CSQ, "+CSQ: 18,0")],
    ),
    # Huawei: ^RSSI between an answer and its OK
    (
        CSQ,
        b"\r\n^RSSI:17\r\n\r\n+CSQ: 17,99\r\n\r\n^RSSI:16\r\n\r\nOK\r\n",
        [Unsolicited(Line("^RSSI:17")), Unsolicited(Line("^RSSI:16")), done(CSQ, "+CSQ: 17,99")],
    ),
    # Quectel: the state that was asked for, and one that was not
    (
        CREG,
        b"\r\n+CREG: 5\r\n\r\n+CREG: 2,1,\"00C3\",\"0A11\"\r\n\r\nOK\r\n",
        [Unsolicited(Line("+CREG: 5")), done(CREG, '+CREG: 2,1,"00C3","0A11"')],
    ),
    # Wavecom: an answer without a name
    (CGSN, b"AT+CGSN\r\r\n135790248939\r\n\r\nOK\r\n", [done(CGSN, "135790248939")]),
    # a message is sent; prompts with and without the space
    *(
        (
            CMGS,
            b"AT+CMGS=23\r\r\n" + prompt + b"\r\n+CMGS: 42\r\n\r\nOK\r\n",
            [Prompted(CMGS), done(CMGS, "+CMGS: 42", prompted=True)],
        )
        for prompt in (b"> ", b">", b"\r\n> ")
    ),
    # a message comes in while one is sent
    (
        CMGS,
        b"> \r\n+CMT: ,23\r\n" + PDU.encode() + b"\r\n\r\n+CMGS: 7\r\n\r\nOK\r\n",
        [Prompted(CMGS), Unsolicited(Line("+CMT: ,23", PDU)), done(CMGS, "+CMGS: 7", prompted=True)],
    ),
    # refused before and after the prompt
    (CMGS, b"\r\n+CMS ERROR: 515\r\n", [done(CMGS, error=errors.read("cms", "515"))]),
    (
        CMGS,
        b"> \r\n+CMS ERROR: network out of order\r\n",
        [Prompted(CMGS), done(CMGS, error=errors.read("cms", "38"), prompted=True)],
    ),
    (AT, b"\r\nERROR\r\n", [done(AT, error=errors.PLAIN)]),
    (AT, b"\r\n+CME ERROR: SIM PIN required\r\n", [done(AT, error=errors.read("cme", "11"))]),
    # an OK of an older command is none for a message that had no prompt
    (CMGS, b"\r\nOK\r\n> ", [Strayed(Line("OK")), Prompted(CMGS)]),
    # a list, with an alarm in its midst
    (
        CMGL,
        b"\r\n+CMGL: 1,1,,23\r\n" + PDU.encode() + b'\r\n+CMTI: "SM",3\r\n+CMGL: 2,1,,23\r\n'
        + PDU.encode() + b"\r\n\r\nOK\r\n",
        [
            Unsolicited(Line('+CMTI: "SM",3')),
            Completed(CMGL, (Line("+CMGL: 1,1,,23", PDU), Line("+CMGL: 2,1,,23", PDU))),
        ],
    ),
    # nobody asked
    (None, b'\r\n+CMTI: "ME",12\r\n', [Unsolicited(Line('+CMTI: "ME",12'))]),
    (None, b"\r\n+CDS: 25\r\n" + PDU.encode() + b"\r\n", [Unsolicited(Line("+CDS: 25", PDU))]),
    (None, b"\r\nRING\r\n\r\nNO CARRIER\r\n", [Unsolicited(Line("RING")), Unsolicited(Line("NO CARRIER"))]),
    (None, b"\r\n^SYSSTART\r\n", [Restarted("^SYSSTART")]),
    (None, b"\r\nOK\r\n", [Strayed(Line("OK"))]),
    (None, b"\r\n+CMGS: 9\r\n", [Strayed(Line("+CMGS: 9"))]),
]  # fmt: skip


@pytest.mark.parametrize(("command", "octets", "events"), DIALOGUES)
def test_dialogues(command: Command | None, octets: bytes, events: list[Event]) -> None:
    assert heard(command, octets) == events


@pytest.mark.parametrize(("command", "octets", "events"), DIALOGUES)
def test_octet_by_octet(command: Command | None, octets: bytes, events: list[Event]) -> None:
    assert heard(command, *(octets[at : at + 1] for at in range(len(octets)))) == events


@given(st.sampled_from(DIALOGUES), st.lists(st.integers(0, 200), max_size=6))
def test_cut_anyhow(dialogue: tuple[Command | None, bytes, list[Event]], cuts: list[int]) -> None:
    command, octets, events = dialogue
    places = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    pieces = [octets[start:end] for start, end in pairwise(places)]
    assert heard(command, *pieces) == events


UNASKED = st.sampled_from(
    [b"\r\n^RSSI:17\r\n", b'\r\n+CMTI: "SM",3\r\n', b"\r\nRING\r\n", b"\r\n+CREG: 1\r\n"]
)


@given(st.integers(0, 3), UNASKED)
def test_whatever_comes_between_its_lines_an_answer_stays_what_it_is(place: int, unasked: bytes) -> None:
    pieces = [b"\r\n+CSQ: 18,0\r\n", b"\r\n", b"\r\nOK\r\n"]
    pieces.insert(place, unasked)
    events = heard(CSQ, *pieces)
    assert done(CSQ, "+CSQ: 18,0") in events
    assert [type(event) for event in events].count(Unsolicited) == 1


@given(st.binary(max_size=400), st.sampled_from([None, AT, CMGS, CMGL, CGSN]))
def test_garbage_never_raises_and_never_stays(octets: bytes, command: Command | None) -> None:
    lines = Lines()
    if command is not None:
        lines.start(command)
    lines.receive(octets)
    lines.abandon()
    lines.receive(b"\r\n")
    lines.start(AT)
    events = lines.receive(b"\r\nOK\r\n")
    assert events[-1] == done(AT)


def test_a_line_without_an_end_is_dropped_to_its_end() -> None:
    lines = Lines()
    noise = lines.receive(b"x" * (MAX_LINE + 1))
    assert [type(event) for event in noise] == [NoiseHeard]
    assert lines.receive(b"y" * 10_000) == []
    assert "buffered=0" in repr(lines)
    assert lines.receive(b"\r\nRING\r\n") == [Unsolicited(Line("RING"))]


def test_an_answer_without_an_end_is_bounded() -> None:
    lines = Lines()
    lines.start(CSQ)
    lines.receive(b"+CSQ: 1,0\r\n" * (MAX_LINES + 5))
    (completed,) = lines.receive(b"OK\r\n")
    assert isinstance(completed, Completed)
    assert len(completed.lines) == MAX_LINES


def test_octets_that_are_no_text_are_counted_and_left_out() -> None:
    (noise, event) = heard(AT, b"\x00\xffO\x00K\r\n")
    assert (noise, event) == (NoiseHeard(3, "octets outside of ASCII"), done(AT))


def test_what_is_written() -> None:
    lines = Lines()
    lines.start(CMGS)
    assert lines.data_to_send() == b"AT+CMGS=23\r"
    lines.receive(b"> ")
    assert lines.data_to_send() == PDU.encode() + b"\x1a"
    lines.escape()
    assert lines.data_to_send() == b"\x1b"


def test_one_command_at_a_time() -> None:
    lines = Lines()
    lines.start(AT)
    with pytest.raises(Misuse, match="while AT runs"):
        lines.start(CSQ)
    lines.abandon()
    lines.start(CSQ)


def test_what_comes_for_a_command_that_was_given_up_has_strayed() -> None:
    lines = Lines()
    lines.start(CMGS)
    lines.receive(b"> ")
    lines.abandon()
    assert lines.receive(b"\r\n+CMGS: 3\r\n\r\nOK\r\n") == [Strayed(Line("+CMGS: 3")), Strayed(Line("OK"))]


def test_nothing_secret_is_shown() -> None:
    pin = Command(line='AT+CPIN="1234"', secret=True)
    assert repr(pin) == "<Command AT+CPIN>"
    assert "46700" not in repr(Line('+CMGL: 1,"46700000001"', PDU))


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ('+CMTI: "SM",3', ("SM", "3")),
        ('+COPS: 0,0,"Tele2, SE",2', ("0", "0", "Tele2, SE", "2")),
        ("+CMGL: 1,1,,23", ("1", "1", "", "23")),
        ("+CMT: ,23", ("", "23")),
        ("+CSQ: 18,0", ("18", "0")),
    ],
)
def test_fields(text: str, fields: tuple[str, ...]) -> None:
    assert Line(text).fields() == fields


@pytest.mark.parametrize(
    ("kind", "text", "code", "error_class"),
    [
        ("cms", " 38", 38, "temporary"),
        ("cms", "1", 1, "permanent"),
        ("cms", "Network out of order", 38, "temporary"),
        ("cme", "SIM not inserted", 10, "link"),
        ("cme", "(U)SIM not inserted", 10, "link"),
        ("cms", "9999", 9999, "unknown"),
        ("cms", "something new", None, "unknown"),
        ("cms", "", None, "unknown"),
    ],
)
def test_errors_are_read_and_classed(kind: Any, text: str, code: int | None, error_class: str) -> None:
    error = errors.read(kind, text)
    assert (error.code, error.error_class) == (code, error_class)
