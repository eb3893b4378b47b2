"""Metrics of the cost exporter (`schedlab_exporter.py`), by unit and by process."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.samples import Sample

UNIT_METRICS = {
    "schedlab_unit_cpu_seconds_total": "cpu_seconds",
    "schedlab_unit_memory_bytes": "memory_bytes",
    "schedlab_unit_peak_memory_bytes": "peak_memory_bytes",
    "schedlab_unit_cpu_periods_total": "periods",
    "schedlab_unit_cpu_throttled_periods_total": "throttled_periods",
    "schedlab_unit_cpu_throttled_seconds_total": "throttled_seconds",
}
"""Metrics of the cost exporter, labelled `unit`: counters of a systemd unit's control group."""

COST_METRICS = {
    "schedlab_process_cpu_seconds_total": "cpu_seconds",
    "schedlab_process_resident_memory_bytes": "rss_bytes",
    "schedlab_process_peak_memory_bytes": "peak_rss_bytes",
    "schedlab_processes": "processes",
    "schedlab_process_starts_total": "starts",
}
"""Metrics of the cost exporter, labelled `process`, summed over the processes of one name."""


def labelled(
    samples: Iterable[Sample], label: str, names: Collection[str], metrics: Mapping[str, str]
) -> dict[str, dict[str, float]]:
    """Values of some metrics by a label: value of the label -> short name of the metric -> value.

    Parameters
    ----------
    samples : iterable of prometheus_client.samples.Sample
        All samples of an exporter.
    label : str
        Label that tells what a sample is of.
    names : collection of str
        Values of the label that are wanted.
    metrics : mapping of str to str
        Metric -> short name; other metrics are left out.
    """
    found: dict[str, dict[str, float]] = {}
    for sample in samples:
        name, metric = sample.labels.get(label), metrics.get(sample.name)
        if name in names and metric:
            found.setdefault(str(name), {})[metric] = float(sample.value)
    return found
