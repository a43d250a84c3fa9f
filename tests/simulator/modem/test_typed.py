"""Lines to commands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.simulator.modem.typed import NoCommand, Request, requests


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("AT", []),
        ("at", []),
        ("\0garbageAT", []),
        ("ATZ", [Request("Z")]),
        ("ATE0", [Request("E", "set", "0")]),
        ("ATE0V1&F", [Request("E", "set", "0"), Request("V", "set", "1"), Request("&F")]),
        ("ATS0=1", [Request("S0", "set", "1")]),
        ("ATS3?", [Request("S3", "ask")]),
        ("ATD+4670;", [Request("D", "set", "+4670;")]),
        ("AT+CSQ", [Request("+CSQ")]),
        ("at+csq", [Request("+CSQ")]),
        ("AT+CPIN?", [Request("+CPIN", "ask")]),
        ("AT+CNMI=?", [Request("+CNMI", "list")]),
        ("AT+CNMI=2,1,,1", [Request("+CNMI", "set", "2,1,,1")]),
        ("AT^CURC=0", [Request("^CURC", "set", "0")]),
        ("AT+CMEE=1;+CSQ;^X", [Request("+CMEE", "set", "1"), Request("+CSQ"), Request("^X")]),
        ("ATE0+CMEE=1", [Request("E", "set", "0"), Request("+CMEE", "set", "1")]),
        ('AT+CPIN="1;2"', [Request("+CPIN", "set", '"1;2"')]),
    ],
)
def test_lines(line: str, expected: list[Request]) -> None:
    assert requests(line) == expected


@pytest.mark.parametrize("line", ["", "hello", "0011000B91"])
def test_what_is_not_for_the_modem(line: str) -> None:
    assert requests(line) is None


@pytest.mark.parametrize("line", ["AT+", "AT+CSQ!", "AT5", "AT=", 'AT+CPIN"1"'])
def test_what_is_no_command(line: str) -> None:
    with pytest.raises(NoCommand):
        requests(line)


def test_arguments() -> None:
    request = Request("+X", "set", '1,"a,b",,"", 7')
    assert request.arguments() == ["1", "a,b", "", "", "7"]
    assert [request.number(place) for place in range(6)] == [1, None, None, None, 7, None]


@given(st.text(max_size=80))
def test_any_line_is_commands_or_none_or_no_command(line: str) -> None:
    try:
        requests("AT" + line)
    except NoCommand:
        return
