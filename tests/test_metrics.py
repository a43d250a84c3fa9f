"""Counters find their children again, and two gateways count apart."""

from __future__ import annotations

from smsgw.metrics import Metrics


def total(metrics: Metrics, *labels: str) -> float | None:
    return metrics.registry.get_sample_value(
        "smsgw_outcomes_total", dict(zip(("channel", "outcome"), labels, strict=True))
    )


def test_each_combination_of_labels_counts_for_itself() -> None:
    metrics = Metrics()
    for labels in (("acme", "accepted"), ("acme", "refused"), ("acme", "accepted")):
        metrics.outcomes.labels(*labels).inc()
    assert total(metrics, "acme", "accepted") == 2
    assert total(metrics, "acme", "refused") == 1
    assert metrics.outcomes.labels("acme", "accepted") is metrics.outcomes.labels("acme", "accepted")


def test_two_gateways_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.outcomes.labels("acme", "accepted").inc()
    assert total(other, "acme", "accepted") is None
