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
        metrics.outcomes.count(*labels)
    assert total(metrics, "acme", "accepted") == 2
    assert total(metrics, "acme", "refused") == 1
    metrics.dead.labels("error").inc()
    assert metrics.dead.labels("error") is metrics.dead.labels("error")
    assert metrics.registry.get_sample_value("smsgw_dead_total", {"reason": "error"}) == 1


def test_two_gateways_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.outcomes.count("acme", "accepted")
    assert total(other, "acme", "accepted") is None
