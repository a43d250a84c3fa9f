"""Everything nasty at once, for a while: the message centre stands it itself, and its counts add up."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, globalLogPublisher

from smsgw.errors import PeerError
from smsgw.simulator.behaviour import Inbound
from smsgw.simulator.tally import Report
from smsgw.smpp.pdu import (
    BindTransceiver,
    DeliverSm,
    EnquireLink,
    Pdu,
    SubmitSm,
    Unbind,
    decode,
    encode,
    response_to,
)

NASTY: dict[str, Any] = {
    "response_delay": 0.02,
    "response_jitter": 0.2,
    "never_answer": 0.02,
    "late_answer": 0.02,
    "late_delay": 5.0,
    "drop_instead_of_answer": 0.01,
    "half_answer": 0.01,
    "malformed": 0.2,
    "throttle": 300.0,
    "queue_full": 40,
    "statuses": {"0x08": 0.05, "0x437": 0.05},
    "message_id": "hex-in-receipt",
    "unsolicited_receipts": 0.1,
    "receipt_form": "variants",
    "receipt_jitter": 1.0,
    "receipt_bind": "any",
    "states": {"DELIVRD": 0.8, "UNDELIV": 0.1, "EXPIRED": 0.1},
    "intermediate": 0.2,
    "early_receipts": 0.2,
    "repeated_receipts": 0.2,
    "receipt_retry_delay": 0.5,
    "receipt_attempts": 5,
    "receipt_window": 7,
    "refuse_binds": 2,
    "bind_limit": 4,
    "session_lingers": 1.0,
    "greet": True,
    "drop_share": 0.01,
    "drop_every": 9.0,
    "unbind_every": 7.0,
    "enquire_links": 20.0,
    "inbound_rate": 30.0,
    "inbound": (Inbound(text="short"), Inbound(text="long {n} " * 50)),
    "inbound_shuffled": True,
    "mailbox": 500,
    "response_timeout": 3.0,
}


@pytest.fixture
def failures() -> Iterator[list[LogEvent]]:
    """What was logged as critical: an exception somewhere."""
    found: list[LogEvent] = []

    def observe(event: LogEvent) -> None:
        if event["log_level"] is LogLevel.critical:
            found.append(event)

    globalLogPublisher.addObserver(observe)
    yield found
    globalLogPublisher.removeObserver(observe)


class Crowd:
    """Clients that bind again and again, submit, and answer most of what they are sent."""

    def __init__(self, here: Any) -> None:
        self.here = here
        self.clients: list[Any] = []
        self.submitted = 0
        self.seen: Counter[str] = Counter()

    def turn(self, number: int) -> None:
        self.clients = [client for client in self.clients if client.connected]
        while len(self.clients) < 3:
            self.clients.append(self.here.dial())
            self.clients[-1].send(BindTransceiver(system_id="acme"))
        for client in self.clients:
            self.read(client)
        for client in self.clients:
            if client.connected:
                self.submit(client, number)
        if number % 97 == 0:
            self.clients[0].lose()
        if number % 151 == 0 and self.clients[1].connected:
            self.clients[1].send(Unbind(), EnquireLink())

    def submit(self, client: Any, number: int) -> None:
        for each in range(3):
            text = b"text %d" % (number * 3 + each)
            client.send(SubmitSm(destination_addr=f"4670{each}", short_message=text, registered_delivery=1))

    def read(self, client: Any) -> None:
        for frame in frames(client.octets()):
            try:
                pdu = decode(frame)
            except PeerError:
                self.seen["unreadable"] += 1
                continue
            self.seen[type(pdu).__name__] += 1
            if client.connected:
                self.answer(client, pdu)

    def answer(self, client: Any, pdu: Pdu) -> None:
        if isinstance(pdu, DeliverSm):
            status = (0, 0, 0, 0x64, 0x65, None)[self.seen["DeliverSm"] % 6]
            if status is not None:
                client.send(response_to(pdu, command_status=status))
        elif isinstance(pdu, EnquireLink | Unbind):
            client.send(response_to(pdu))


def frames(data: bytes) -> Iterator[bytes]:
    """Frames as far as their lengths can be believed."""
    while len(data) >= 16 and 16 <= int.from_bytes(data[:4], "big") <= len(data):
        length = int.from_bytes(data[:4], "big")
        yield data[:length]
        data = data[length:]


def added_up(report: Report) -> None:
    letters = report.receipts_answered + report.receipts_refused + report.receipts_lost
    mail = report.inbound_answered + report.inbound_refused + report.inbound_lost
    ended = letters + mail
    made = report.receipts_made + report.inbound_made
    assert made - ended <= report.pending <= made - ended + report.receipts_repeated
    assert report.accepted == report.distinct + report.duplicates
    assert sum(report.destinations.values()) == report.accepted
    assert sum(session.accepted for session in report.sessions) == report.accepted
    assert sum(session.in_flight for session in report.sessions) == report.in_flight
    assert report.peak_in_flight >= report.peak_in_flight_of_a_session >= 1


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("segment", [0, 3])
def test_it_stands_and_adds_up(
    world: Callable[..., Any], failures: list[LogEvent], seed: int, segment: int
) -> None:
    here = world(**NASTY, seed=seed, segment=segment)
    crowd = Crowd(here)
    for number in range(1, 400):
        crowd.turn(number)
        here.wait(0.05)
    report = here.centre.report()
    added_up(report)
    assert not failures
    assert report.accepted > 300
    assert crowd.seen["DeliverSm"] > 100
    if not segment:
        assert set(report.spoilt) == set(here.centre.behaviour.malformed_forms)
    assert report.pending <= 500
    for client in crowd.clients:
        client.lose()
    here.wait(100)
    after = here.centre.report()
    assert (after.in_flight, after.bound) == (0, 0)
    added_up(after)
    here.centre.close()
    assert_nothing_left(here.clock)


def assert_nothing_left(clock: Clock) -> None:
    """No timer of ours outlives the end; those of links that were aborted ring once more, for nothing."""
    clock.advance(100)
    assert clock.getDelayedCalls() == []


def test_a_submit_survives_octet_by_octet(world: Callable[..., Any]) -> None:
    here = world()
    client = here.bound()
    for octet in encode(SubmitSm(destination_addr="1", short_message=b"slow"), 9):
        client.wire.dataReceived(bytes((octet,)))
    assert [pdu.command_status for pdu in client.read()] == [0]
    assert here.centre.times_accepted("1", b"slow") == 1
