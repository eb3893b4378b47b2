"""The metrics of a recorded trace as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from schedlab.formatting import NONE, count, number


def _time(value: Any) -> str:
    return NONE if value is None else f"{number(value)} s"


def _rate(value: Any) -> str:
    return NONE if value is None else f"{number(value)} 1/s"


_ROWS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("jobs", "jobs", count),
    ("completed", "completed", count),
    ("failed", "failed", count),
    ("cancelled", "cancelled while running", count),
    ("status_unknown", "end unknown", count),
    ("cores", "processors of the machine", count),
    ("jobs_wider_than_machine", "jobs wider than the machine", count),
    ("makespan_s", "makespan", _time),
    ("load", "load that arrives", number),
    ("utilisation", "utilisation", number),
    ("utilisation_steady", "utilisation, steady state", number),
    ("fragmentation", "idle while a waiting job fits", number),
    ("throughput_jobs_per_s", "completed jobs per second", _rate),
    ("throughput_busy_jobs_per_s", "the same, median busy second", _rate),
    ("queue_mean", "waiting jobs, mean", number),
    ("queue_max", "waiting jobs, most", count),
    ("queue_cores_mean", "processors waited for, mean", number),
    ("queue_cores_max", "processors waited for, most", count),
    ("wait_mean_s", "wait, mean", _time),
    ("wait_median_s", "wait, median", _time),
    ("wait_p99_s", "wait, 99 %", _time),
    ("wait_max_s", "wait, longest", _time),
    ("turnaround_mean_s", "turnaround, mean", _time),
    ("turnaround_median_s", "turnaround, median", _time),
    ("bounded_slowdown_mean", "bounded slowdown, mean", number),
    ("bounded_slowdown_median", "bounded slowdown, median", number),
    ("fairness_jain", "fairness between users (Jain)", number),
    ("ideal_makespan_s", "least possible makespan", _time),
)


def render(metrics: Mapping[str, Any]) -> str:
    """Text of the metrics (`schedlab.analysis.recorded.metrics`), a line each, and what to know."""
    width = max(len(title) for _, title, _ in _ROWS)
    lines = [f"{title:{width}}  {shown(metrics[name])}" for name, title, shown in _ROWS]
    lines += [f"left out: {n} line{'s' * (n > 1)}: {why}" for why, n in metrics["left_out"].items()]
    if metrics["wait_unknown"]:
        lines.append(
            f"{metrics['wait_unknown']} jobs have no wait in the trace: they count as started when "
            "submitted, and have no part in waits, turnarounds and slowdowns; queue and idle cores "
            "are not shown"
        )
    return "\n".join(lines)
