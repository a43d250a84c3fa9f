"""Clients that we did not write, gammu and its daemon, work against the simulated modem."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import serial
from processes import Process, until

from tests.integration.modems import Modem

pytestmark = pytest.mark.integration

Start = Callable[..., Any]
TEXT = "a message that is too long for one part, " * 5


@pytest.mark.skipif(shutil.which("gammu") is None, reason="gammu is not installed")
def test_gammu_identifies_sends_and_reads(tmp_path: Path, start: Start) -> None:
    modem = start(Modem, tmp_path, "modem", "--family", "quectel", "--latency", "0.01")
    modem.do("inbound", **{"from": "+46700000002", "text": "how are you?"})
    modem.do("inbound", **{"from": "ACME", "text": "снова"})
    (tmp_path / "gammurc").write_text(f"[gammu]\ndevice = {modem.link}\nconnection = at115200\n")
    (tmp_path / "batch").write_text(
        f'identify\nsendsms TEXT +46700000001 -len 400 -text "{TEXT}"\ngetallsms\ndeleteallsms 3\n'
    )
    done = subprocess.run(
        ["gammu", "-c", tmp_path / "gammurc", "batch", tmp_path / "batch"],
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    for told in ("Quectel", "EC25", "356938035643809", "240011234567890", "how are you?", "ACME", "снова"):
        assert told in said
    sent = modem.entries("submitted")
    assert "".join(entry["text"] for entry in sent) == TEXT
    assert [(entry["part"], entry["parts"]) for entry in sent] == [(1, 2), (2, 2)]
    counts = modem.counts
    assert (counts["distinct"], counts["duplicates"], counts["bad_pdus"]) == (2, 0, 0)
    assert counts["typed_while_busy"] == 0


SMSD = """
[gammu]
device = {link}
connection = at115200
[smsd]
service = files
logfile = {folder}/smsd.log
inboxpath = {folder}/inbox/
outboxpath = {folder}/outbox/
sentsmspath = {folder}/sent/
errorsmspath = {folder}/error/
commtimeout = 1
deliveryreport = log
checksecurity = 0
checkbattery = 0
checknetwork = 0
debuglevel = 1
loopsleep = 1
receivefrequency = 1
"""


@pytest.mark.skipif(shutil.which("gammu-smsd") is None, reason="gammu-smsd is not installed")
def test_gammu_smsd_sends_and_receives(tmp_path: Path, start: Start) -> None:
    modem = start(Modem, tmp_path, "modem", "--submit-delay", "0.2", "--report-delay", "1")
    for name in ("inbox", "outbox", "sent", "error"):
        (tmp_path / name).mkdir()
    rc = tmp_path / "smsdrc"
    rc.write_text(SMSD.format(link=modem.link, folder=tmp_path))
    subprocess.run(
        ["gammu-smsd-inject", "-c", rc, "TEXT", "+46700000001", "-report", "-text", "hello"],
        capture_output=True,
        timeout=20,
        check=True,
    )
    daemon = start(Process, tmp_path / "daemon.log", "gammu-smsd", "-c", str(rc))
    modem.do("inbound", **{"from": "+46700000002", "text": "how are you?"})
    until(lambda: any((tmp_path / "sent").iterdir()), 40, "the message is sent")
    until(lambda: any((tmp_path / "inbox").iterdir()), 40, "the message is received")
    until(lambda: "Delivery report" in (tmp_path / "smsd.log").read_text(), 40, "the report is received")
    daemon.end()
    (received,) = (tmp_path / "inbox").iterdir()
    assert received.read_text() == "how are you?"
    assert [entry["text"] for entry in modem.entries("submitted")] == ["hello"]
    assert not any((tmp_path / "error").iterdir())


def test_a_modem_that_is_unplugged_is_found_behind_its_link_again(tmp_path: Path, start: Start) -> None:
    modem = start(Modem, tmp_path, "modem")
    with serial.Serial(str(modem.link), timeout=20) as port:
        port.write(b"AT\r")
        assert port.read_until(b"OK\r\n").endswith(b"OK\r\n")
        modem.do("unplug", seconds=0.3)
        with pytest.raises(serial.SerialException):
            while port.read(100):
                port.write(b"AT\r")
    until(modem.link.exists, 20, "the modem is back")
    with serial.Serial(str(modem.link), timeout=20) as port:
        port.write(b"AT\r")
        assert port.read_until(b"OK\r\n").endswith(b"OK\r\n")
    assert modem.counts["restarts"] == 1
    assert modem.end() == 0
    assert json.loads(modem.output.splitlines()[-1])["restarts"] == 1
    assert not modem.link.is_symlink()
