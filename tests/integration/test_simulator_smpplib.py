"""A client that we did not write binds to the simulated message centre, submits, and gets its receipts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import smpplib.client
import smpplib.consts
import smpplib.exceptions
from processes import Smsc

pytestmark = pytest.mark.integration

Start = Callable[..., Any]


def test_smpplib_binds_submits_and_gets_receipts(tmp_path: Path, start: Start) -> None:
    smsc = start(Smsc, tmp_path, "--system-id", "acme", "--password", "secret", "--receipt-delay", "0.05")
    client = smpplib.client.Client("127.0.0.1", smsc.port, timeout=10, allow_unknown_opt_params=True)
    answered: list[Any] = []
    receipts: list[Any] = []
    client.set_message_sent_handler(lambda pdu, **_: answered.append(pdu))
    client.set_message_received_handler(lambda pdu, **_: receipts.append(pdu))
    client.connect()
    client.bind_transceiver(system_id="acme", password="secret")
    for number in range(5):
        client.send_message(
            source_addr_ton=smpplib.consts.SMPP_TON_ALNUM,
            source_addr="ACME",
            dest_addr_ton=smpplib.consts.SMPP_TON_INTL,
            destination_addr=f"4670000000{number}",
            short_message=b"hello",
            registered_delivery=True,
        )
    while len(receipts) < 5:
        client.read_once()
    ids = {pdu.message_id for pdu in answered}
    assert len(ids) == 5
    assert {pdu.receipted_message_id for pdu in receipts} == ids
    assert all(b"stat:DELIVRD" in pdu.short_message for pdu in receipts)
    client.unbind()
    client.disconnect()
    report = smsc.report()
    assert (report["accepted"], report["receipts_answered"], report["unbinds_received"]) == (5, 5, 1)
    assert report["malformed_received"] == 0


def test_smpplib_is_refused_with_a_wrong_password(tmp_path: Path, start: Start) -> None:
    smsc = start(Smsc, tmp_path, "--system-id", "acme", "--password", "secret")
    client = smpplib.client.Client("127.0.0.1", smsc.port, timeout=10)
    client.connect()
    with pytest.raises(smpplib.exceptions.PDUError, match="Invalid Password"):
        client.bind_transceiver(system_id="acme", password="wrong")
    client.disconnect()
    assert smsc.report()["binds_refused"] == {"0x0000000e": 1}
