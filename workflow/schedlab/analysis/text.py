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

_OF_THE_MACHINE = ("utilisation", "utilisation_steady")
"""Metrics that a machine cannot have above 1; a trace can, whose records overlap."""
_ROUNDING = 1e-9
_WITHOUT = {
    "load": "all jobs were submitted at one instant",
    "utilisation_steady": "most jobs start at one instant, or there is one job",
    "throughput_busy_jobs_per_s": "no whole second has work",
    "wait_p99_s": "fewer than 100 jobs with a wait",
    "fairness_jain": "fewer than two known users with a wait",
}
"""Why a metric has no value where nothing is unknown."""


def render(metrics: Mapping[str, Any]) -> str:
    """Text of the metrics (`schedlab.analysis.recorded.metrics`), a line each, and what to know.

    A metric without a value has the reason in its place.
    """
    width = max(len(title) for _, title, _ in _ROWS)
    lines = []
    for name, title, shown in _ROWS:
        text = shown(metrics[name])
        if metrics[name] is None:
            text += f" ({_why(name, metrics)})"
        elif name in _OF_THE_MACHINE and metrics[name] > 1 + _ROUNDING:
            text += " (above 1: see below)"
        lines.append(f"{title:{width}}  {text}")
    lines += [f"left out: {n} line{'s' * (n > 1)}: {why}" for why, n in metrics["left_out"].items()]
    if metrics["wait_unknown"]:
        lines.append(
            f"{metrics['wait_unknown']} jobs have no wait in the trace: they count as started when "
            "submitted, and have no part in waits, turnarounds and slowdowns; queue and idle cores "
            "are not shown"
        )
    if any((metrics[name] or 0) > 1 + _ROUNDING for name in _OF_THE_MACHINE):
        lines.append(_overfull(metrics))
    return "\n".join(lines)


def _why(name: str, metrics: Mapping[str, Any]) -> str:
    """Why a metric has no value."""
    jobs, unknown = metrics["jobs"], metrics["wait_unknown"]
    if name.startswith("throughput") and metrics["status_unknown"] == jobs:
        return "the trace tells of no job how it ended"
    if name.startswith(("fragmentation", "queue")) and unknown:
        return f"wait unknown of {unknown} of {jobs} jobs"
    if name.startswith(("wait", "turnaround", "bounded_slowdown", "fairness")) and unknown == jobs:
        return "no job has a wait"
    return _WITHOUT.get(name, "all jobs are over at the instant at which they come")


def _overfull(metrics: Mapping[str, Any]) -> str:
    """What it means that a machine is busy by more than it has."""
    causes = ["a record's times are in whole seconds"]
    if metrics["wait_unknown"]:
        causes.append("jobs without a wait count as started when submitted")
    if wider := metrics["jobs_wider_than_machine"]:
        causes.append(f"{wider} job{'s' * (wider > 1)} took more processors than the machine has")
    causes.append(
        f"the machine may have had more than {metrics['cores']} processors (--machine-size)"
    )
    return (
        "a utilisation above 1 means that the records of jobs overlap on more processors than the "
        f"machine has; what can make it so: {'; '.join(causes)}"
    )
