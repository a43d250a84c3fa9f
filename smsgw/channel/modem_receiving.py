"""What a modem receives: messages from phones and status reports.

Each is handed to the gateway, and settled as the gateway says: cleared from the modem, or acknowledged to the
network, once it is durable; else kept, so that it comes again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.broker.base import BrokerError
from smsgw.channel.base import Channel, Upstream
from smsgw.channel.modem_answers import smsc_id
from smsgw.errors import StorageError
from smsgw.folding import Report
from smsgw.gsm.events import MessageReceived, ReportReceived, Undeciphered
from smsgw.gsm.messages import fragment
from smsgw.gsm.shapes import StatusReport
from smsgw.metrics import Metrics
from smsgw.sms.join import Fragment

Received: TypeAlias = MessageReceived | ReportReceived | Undeciphered

REFERENCE = "reference"
"""The one reading of a status report's reference."""


class ModemReceiving:
    """`number` is that of the SIM, to which messages from phones are."""

    log = Logger()

    def __init__(
        self,
        channel: Channel,
        number: str,
        upstream: Upstream,
        metrics: Metrics,
        heard: Callable[[str], None] = lambda source: None,
    ) -> None:
        """`heard` is told the number that each message came from."""
        self._channel = channel
        self._number = number
        self._upstream = upstream
        self._metrics = metrics
        self._heard = heard

    def took(self, event: Received) -> Deferred[bool]:
        """Fires with whether it is durable. Never fails."""
        taken = self._report(event.tpdu) if isinstance(event, ReportReceived) else self._message(event)
        what = "receipt" if isinstance(event, ReportReceived) else "inbound"
        return taken.addCallbacks(lambda _: True, self._not_stored, errbackArgs=(what,))

    def _message(self, event: MessageReceived | Undeciphered) -> Deferred[None]:
        if isinstance(event, MessageReceived):
            source, found = event.tpdu.originator.number, fragment(event.tpdu)
            self._heard(source)
        else:
            source, found = "", _unread(event)
        return self._upstream.inbound(self._channel, source, self._number, found)

    def _report(self, report: StatusReport) -> Deferred[str | None]:
        recipient = report.recipient.value
        found = smsc_id(report.reference, recipient)
        status = report.status
        told = Report(state=status.state, smsc_id=found, stat=status.name, err=f"0x{status.code:02x}")
        claimed: Deferred[str | None] = Deferred()
        self._upstream.receipt(self._channel, ((REFERENCE, found),), recipient, told, claimed.callback)
        return claimed

    def _not_stored(self, failure: Failure, what: str) -> bool:
        """Not stored is not taken: the modem, or the network, keeps it."""
        if not isinstance(failure.value, BrokerError | StorageError):
            self.log.failure(
                "{channel}: {what} could not be taken",
                failure=failure,
                channel=self._channel.name,
                what=what,
            )
            self._metrics.errors.labels(what).inc()
        return False


def _unread(event: Undeciphered) -> Fragment:
    """A PDU that can't be read is handed on as it came: somebody may know better."""
    try:
        octets = bytes.fromhex(event.handle.pdu)
    except ValueError:
        octets = event.handle.pdu.encode()
    found = Fragment(payload=octets, charset="binary")
    return msgspec.structs.replace(found, problem=f"not a PDU that can be read: {event.error}")
