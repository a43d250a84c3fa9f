"""What one message costs in the SMPP channel, in microseconds of CPU: from a submission to its outcome.

    python benchmarks/smpp_deliver.py [WINDOW] [MESSAGES] [ROUNDS]

`deliver`: `SmppSession.deliver` over a transport in memory, the responses made beforehand, each message to
another number. Below it its stages, each alone, in the order in which a message meets them. The best of
some rounds, since the machine's noise only ever adds.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from smsgw.channel.smpp import SmppChannel, SmppSession
from smsgw.channel_settings import SmppSettings
from smsgw.message import Message, Submission
from smsgw.metrics import Metrics
from smsgw.outcome import Accepted, Outcome
from smsgw.smpp.framing import Framer
from smsgw.smpp.pdu import BindTransceiverResp, SubmitSmResp, decode, encode
from smsgw.strict import Secret

TEXT = "A message of ordinary length, as shops send them to say that a parcel has come."


class Wire:
    """The endpoint, and a gateway that takes note of the session that came up."""

    def __init__(self) -> None:
        self.session: SmppSession
        self.protocol: Any
        self.transport = StringTransport()

    def connect(self, factory: Any) -> Deferred[Any]:
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        return succeed(self.protocol)

    def opened(self, session: SmppSession) -> None:
        self.session = session

    def closed(self, _session: SmppSession) -> Deferred[None]:
        return succeed(None)


def bound(window: int) -> Wire:
    wire = Wire()
    settings = SmppSettings(
        endpoint="tcp:smsc.example:2775", system_id="esme", password=Secret("secret"), width=window
    )
    channel = SmppChannel(
        "acme",
        settings,
        wire,  # type: ignore[arg-type]
        upstream=wire,  # type: ignore[arg-type]
        metrics=Metrics(),
        clock=Clock(),
        now=time.time,
    )
    channel.start()
    wire.protocol.dataReceived(encode(BindTransceiverResp(sequence_number=1)))
    return wire


def submissions(messages: int) -> list[Submission]:
    return [
        Submission(
            id=f"m{number}",
            message=Message(to=f"4670{number:07}", text=TEXT, from_="ACME"),
            made=0.0,
        )
        for number in range(messages)
    ]


def deliver(window: int, messages: int) -> float:
    wire = bound(window)
    answers = [encode(SubmitSmResp(message_id=f"{n:010}"), n + 2) for n in range(messages)]
    turns = [b"".join(answers[at : at + window]) for at in range(0, messages, window)]
    sent = submissions(messages)
    outcomes: list[Outcome] = []
    began = time.process_time()
    for at, turn in enumerate(turns):
        for submission in sent[at * window : (at + 1) * window]:
            wire.session.deliver(submission, outcomes.append)  # type: ignore[arg-type]
        wire.transport.clear()
        wire.protocol.dataReceived(turn)
    spent = time.process_time() - began
    assert [type(each) for each in outcomes] == [Accepted] * messages  # noqa: S101
    return spent


def stages(messages: int) -> list[tuple[str, float]]:
    cutter = bound(10).session.channel.cutter
    sent = submissions(messages)
    cuts = [cutter.cut(submission) for submission in sent]
    made: list[Any] = [
        cutter.submit_sm(submission, cut.parts[0], 0.0)  # type: ignore[union-attr]
        for submission, cut in zip(sent, cuts, strict=True)
    ]
    answers = [encode(SubmitSmResp(message_id=f"{number:010}"), number) for number in range(messages)]
    stream = b"".join(answers)

    def framing() -> None:
        framer = Framer()
        for at in range(0, len(stream), 1350):
            framer.feed(stream[at : at + 1350])

    return [
        ("Cutter.cut", spent(lambda: [cutter.cut(submission) for submission in sent])),
        (
            "Cutter.submit_sm",
            spent(lambda: [cutter.submit_sm(s, c.parts[0], 0.0) for s, c in zip(sent, cuts, strict=True)]),  # type: ignore[union-attr]
        ),
        ("encode", spent(lambda: [encode(pdu, number) for number, pdu in enumerate(made)])),
        ("framing", spent(framing)),
        ("decode", spent(lambda: [decode(frame) for frame in answers])),
    ]


def spent(do: Callable[[], object]) -> float:
    began = time.process_time()
    do()
    return time.process_time() - began


def main(window: int = 50, messages: int = 10_000, rounds: int = 7) -> None:
    messages -= messages % window
    best: dict[str, float] = {}
    gc.disable()
    for _ in range(rounds):
        for name, seconds in (("deliver", deliver(window, messages)), *stages(messages)):
            best[name] = min(seconds, best.get(name, seconds))
        gc.collect()
    for name, seconds in best.items():
        print(f"{name:20} {seconds / messages * 1e6:7.2f} us a message")


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
