"""What a message centre sends on its own: receipts and messages from phones.

Each is read by the dialect, handed to the gateway, and answered as the gateway says: ESME_ROK for what is
durable, a temporary status for what is not, so that the message centre keeps it and sends it again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.broker.base import BrokerError
from smsgw.channel.base import Channel, Upstream
from smsgw.clock import Seldom
from smsgw.errors import StorageError
from smsgw.folding import Report
from smsgw.metrics import Metrics
from smsgw.smpp import inbound
from smsgw.smpp.dialect import Dialect, IdCodec, candidates
from smsgw.smpp.pdu import DataSm, DeliverSm, Pdu, response_to
from smsgw.smpp.receipt import Receipt, parse

Respond: TypeAlias = Callable[[Pdu], None]


class Receiving:
    """All binds of a channel share it, and what it has learned of the account's message ids."""

    log = Logger()

    def __init__(
        self, channel: Channel, dialect: Dialect, upstream: Upstream, metrics: Metrics, clock: IReactorTime
    ) -> None:
        self._channel = channel
        self._dialect = dialect
        self._upstream = upstream
        self._metrics = metrics
        self._ids = IdCodec(dialect.message_id)
        self._faults = Seldom(clock)

    def took(self, pdu: DeliverSm | DataSm, respond: Respond) -> None:
        """A message came from the message centre; `respond` is called once, with the response it is due."""
        receipt = parse(pdu, self._dialect)
        if receipt is None:
            answered = Deferred.fromCoroutine(self._took_inbound(pdu))
            answered.addErrback(self._not_stored, pdu, "inbound").addCallback(respond)
            return
        try:
            self._took_receipt(pdu, receipt, respond)
        except Exception:  # noqa: BLE001  whoever parts waits for an answer
            respond(self._not_stored(Failure(), pdu, "receipt"))  # type: ignore[no-untyped-call]

    def refusal(self, pdu: Pdu) -> Pdu:
        """The response where a session is about to part: another one, or the next link, takes it."""
        return response_to(pdu, command_status=self._dialect.unavailable_status)

    def _took_receipt(self, pdu: DeliverSm | DataSm, receipt: Receipt, respond: Respond) -> None:
        smsc_id = receipt.id or ""
        report = Report(state=receipt.state, smsc_id=smsc_id, stat=receipt.stat, err=receipt.err)
        recipient = pdu.source_addr.lstrip("+")
        readings = candidates(smsc_id, self._ids) if smsc_id else ()
        claimed = partial(self._claimed, pdu, smsc_id, respond)
        self._upstream.receipt(self._channel, readings, recipient, report, claimed)

    def _claimed(self, pdu: Pdu, smsc_id: str, respond: Respond, codec: str | Failure | None) -> None:
        if isinstance(codec, Failure):
            respond(self._not_stored(codec, pdu, "receipt"))
            return
        respond(response_to(pdu))  # first: what is learned of it is of no use to who waits
        if self._ids.learn(codec, smsc_id):
            self.log.info(
                "{channel}: message ids in receipts are read as {reading}",
                channel=self._channel.name,
                reading=self._ids.name or "unknown again",
            )

    async def _took_inbound(self, pdu: DeliverSm | DataSm) -> Pdu:
        message = inbound.read(pdu, self._dialect)
        await self._upstream.inbound(self._channel, message.source, message.destination, message.fragment)
        return response_to(pdu)

    def _not_stored(self, failure: Failure, pdu: Pdu, what: str) -> Pdu:
        """Not stored is not taken: the message centre keeps it and sends it again."""
        if not isinstance(failure.value, BrokerError | StorageError):
            unsaid = self._faults.due()  # the message centre sends it again, and again
            if unsaid is not None:
                self.log.failure(
                    "{channel}: {what} could not be taken ({unsaid} more before)",
                    failure=failure,
                    channel=self._channel.name,
                    what=what,
                    unsaid=unsaid,
                )
            self._metrics.errors.labels(what).inc()
        return self.refusal(pdu)
