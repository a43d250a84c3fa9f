"""Every metric of smsgw, in one table.

`Metrics` makes them in a registry of its own, so that two gateways in one process (and every
test) count apart. A counter finds its children again in a cache, so that counting by label costs
little where it happens once a message.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.metrics_core import CounterMetricFamily, Metric

TALLIES = {
    "taken": ("Deliveries taken from a queue.", ("channel",)),
    "outcomes": ("Attempts to deliver a message, by what became of them.", ("channel", "outcome")),
    "events": ("Events published and confirmed.", ("kind",)),
    "receipts": ("Receipts from message centres, by what became of them.", ("channel", "result")),
}
"""What comes with every message. name: (what it counts, labels). Exposed as `smsgw_<name>_total`."""

COUNTERS = {
    "inbound": ("Messages from phones, published and confirmed.", ("channel", "result")),
    "inbound_parts": ("Parts of long inbound messages, by what became of them.", ("channel", "result")),
    "redelivered": ("Deliveries that the ledger knew as accepted already: not sent again.", ("channel",)),
    "dead": ("Messages dead-lettered.", ("reason",)),
    "throttled": ("Answers that asked us to slow down.", ("channel",)),
    "late_responses": ("Responses that came after their timeout.", ("channel",)),
    "malformed": ("PDUs that could not be decoded.", ("channel",)),
    "binds": ("Attempts to bring a session up, by result.", ("channel", "result")),
    "modem_states": ("States that a modem entered.", ("channel", "state")),
    "modem_rungs": (
        "What was done to a modem that did not answer; unasked: it restarted by itself.",
        ("channel", "rung"),
    ),
    "reloads": ("Reloads of the configuration, by result: done or refused.", ("result",)),
    "storage_errors": ("Failures to write a durable store; the work waits and is tried again.", ("store",)),
    "errors": ("Exceptions nobody expected, caught at an outermost edge.", ("where",)),
}
"""name: (what it counts, labels). Exposed as `smsgw_<name>_total`."""

GAUGES = {
    "sessions_up": ("Sessions that are bound.", ("channel",)),
    "in_flight": ("Messages taken and not yet settled.", ("channel",)),
    "backlog": ("Messages waiting in a queue.", ("queue",)),
    "pace": ("Parts per second that a channel may send, configured or learned; 0: no limit.", ("channel",)),
    "paused": ("Seconds until a channel that pauses goes on; 0: it does not pause.", ("channel",)),
    "modem_signal": ("Signal in dBm; NaN where the modem does not know.", ("channel",)),
    "modem_registration": ("As in 3GPP TS 27.007, clause 7.2: 1 home, 5 roaming, 3 denied.", ("channel",)),
    "modem_storage": ("Share of the modem's storage that is used; at 1 messages wait outside.", ("channel",)),
}
"""name: (what it shows, labels). Exposed as `smsgw_<name>`."""


class Tally:
    """A counter that is plain numbers until somebody asks: to count costs next to nothing.

    For the reactor's thread only.
    """

    def __init__(self, name: str, text: str, labels: tuple[str, ...], registry: CollectorRegistry) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self.numbers: dict[tuple[str, ...], int] = {}
        registry.register(self)

    def count(self, *labels: str, by: int = 1) -> None:
        """One more, or `by` more, under these values of its labels."""
        self.numbers[labels] = self.numbers.get(labels, 0) + by

    def collect(self) -> Iterator[Metric]:
        """The samples, as prometheus_client wants them."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for labels, number in self.numbers.items():
            family.add_metric(labels, number)
        yield family


class Metrics:
    """The metrics of one gateway."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for name, (text, labels) in TALLIES.items():
            setattr(self, name, Tally(f"smsgw_{name}", text, labels, self.registry))
        for name, (text, labels) in COUNTERS.items():
            counter = Counter(f"smsgw_{name}", text, labels, registry=self.registry)
            counter.labels = cache(counter.labels)  # type: ignore[method-assign]  # never removed
            setattr(self, name, counter)
        for name, (text, labels) in GAUGES.items():
            setattr(self, name, Gauge(f"smsgw_{name}", text, labels, registry=self.registry))

    def forget_gone(self, channels: Collection[str], queues: Collection[str]) -> None:
        """Gauges show these channels and queues only. Counters keep what they have counted."""
        there = {("channel",): channels, ("queue",): queues}
        for name, (_, labels) in GAUGES.items():
            gauge: Gauge = getattr(self, name)
            shown = [
                value
                for each in gauge.collect()
                for sample in each.samples
                for value in sample.labels.values()
            ]
            for value in shown if labels in there else ():
                if value not in there[labels]:
                    gauge.remove(value)

    taken: Tally
    outcomes: Tally
    events: Tally
    receipts: Tally
    inbound: Counter
    inbound_parts: Counter
    redelivered: Counter
    dead: Counter
    throttled: Counter
    late_responses: Counter
    malformed: Counter
    binds: Counter
    modem_states: Counter
    modem_rungs: Counter
    reloads: Counter
    storage_errors: Counter
    errors: Counter
    sessions_up: Gauge
    in_flight: Gauge
    backlog: Gauge
    pace: Gauge
    paused: Gauge
    modem_signal: Gauge
    modem_registration: Gauge
    modem_storage: Gauge
