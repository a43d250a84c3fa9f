"""The configuration as frozen structs: what can be set, and what follows where it is not.

`smsgw.loading` makes them of a file.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from smsgw.broker.topology import RETRY_STEPS, QueueType
from smsgw.channel_settings import ChannelSettings, Name, Positive, queue_of
from smsgw.strict import Duration, Secret

Dedupe: TypeAlias = Literal["redelivered", "always"]

STATE_DIR = "/var/lib/smsgw"


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """`[broker]`. `ca` is a PEM file of the authorities to trust instead of the system's, for amqps."""

    url: Secret | None = None
    prefix: Name = "smsgw"
    queue_type: QueueType = "classic"
    heartbeat: Duration = Duration(10)
    ca: str | None = None
    feeds: bool = True


class LedgerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[ledger]`. `synchronous` full survives a power cut, normal a dying process.

    `dedupe` says when a message id is looked up before it is sent: `redelivered`, where the broker may have
    handed the message out before; `always`, so that a producer may publish an id twice.
    """

    url: Secret | None = None
    keep: Duration = Duration(3 * 86400)
    dedupe: Dedupe = "redelivered"
    synchronous: Literal["full", "normal"] = "full"


class Receipts(msgspec.Struct, frozen=True, kw_only=True):
    """`[receipts]`. How long a receipt waits for the message it is about, before it is an orphan."""

    park: Duration = Duration(60)


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """`[inbound]`: long messages from phones, of which parts are missing.

    `assembly_timeout` after its last part came such a message is published as it is. SMSCs try again
    after some minutes at most, so that ten are enough for a part that was refused or lost once; and whoever
    waits for a message that will never be whole should not wait for hours. `max_parts` bounds the parts
    that are kept for an account.
    """

    assembly_timeout: Duration = Duration(600)
    max_parts: Positive = 100_000


class QueueSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[queues.NAME]`. More than `max_length` messages are refused: the producer sees it in its confirm."""

    max_length: Positive | None = None


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """`[[routes]]`: prefixes of the recipient's digits, and the queues to choose from."""

    to: tuple[Annotated[str, msgspec.Meta(pattern=r"^\+?[0-9]*$")], ...]
    queue: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1)]
    spill: Positive = 10_000


class Manhole(msgspec.Struct, frozen=True, kw_only=True):
    """`[manhole]`: a debug shell over SSH, public keys only."""

    listen: str = "tcp:2222:interface=127.0.0.1"
    authorized_keys: str = "~/.ssh/authorized_keys"
    host_key: str | None = None


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """`[log]`. `privacy = "full"` lets numbers and texts into the log; masked is the default."""

    format: Literal["text", "json"] = "text"
    privacy: Literal["masked", "full"] = "masked"


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """A whole, valid configuration. Secrets are resolved, defaults that depend on others filled in."""

    state_dir: str = STATE_DIR
    stop_timeout: float = 30.0
    broker: Broker = Broker()
    ledger: LedgerSettings = LedgerSettings()
    receipts: Receipts = Receipts()
    inbound: Inbound = Inbound()
    queues: dict[str, QueueSettings] = {}
    channels: dict[str, ChannelSettings] = {}
    routes: tuple[Route, ...] = ()
    manhole: Manhole | None = None
    log: Log = Log()

    @property
    def broker_url(self) -> str:
        return self.broker.url.reveal() if self.broker.url else f"spool://{self.state_dir}/spool.db"

    @property
    def ledger_url(self) -> str:
        return self.ledger.url.reveal() if self.ledger.url else f"sqlite://{self.state_dir}/ledger.db"

    @property
    def queue_names(self) -> tuple[str, ...]:
        """Every configured queue, by its short name, once."""
        fed = [queue_of(name, channel) for name, channel in self.channels.items()]
        return tuple(
            dict.fromkeys([*fed, *(queue for route in self.routes for queue in route.queue), *self.queues])
        )

    @property
    def limited_queues(self) -> frozenset[str]:
        """The short names of those that refuse when they are full."""
        return frozenset(name for name, queue in self.queues.items() if queue.max_length)

    @property
    def retry_steps(self) -> tuple[float, ...]:
        """Every delay that some channel uses; one at least, for routing when all queues are full."""
        steps = {float(step) for channel in self.channels.values() for step in channel.retry}
        return tuple(sorted(steps or {RETRY_STEPS[0]}))
