"""All metrics of one trial, under the names of the trials table's columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from schedlab.metrics import behaviour
from schedlab.metrics import jobs as of_jobs
from schedlab.metrics import machine as of_machine
from schedlab.metrics.bounds import Bounded, largest, mean, quantile
from schedlab.metrics.costs import scheduler_cost
from schedlab.metrics.definitions import ideal_bounds
from schedlab.metrics.durations import times
from schedlab.metrics.faults import fault_metrics
from schedlab.metrics.quantities import PARTS
from schedlab.metrics.saturation import UNKNOWN, rates
from schedlab.metrics.statistics import percentile
from schedlab.workloads import Trace
from schedlab.workloads.duration import earliest_ends
from schedlab.workloads.registry import urgent_user

OF_THE_PAYLOAD = ("makespan", "utilisation", "fragmentation", "wait", "scheduling", "launch",
                  "completion", "held", "turnaround", "bounded_slowdown_m", "fairness", "share",
                  "urgent", "wide", "fault_")  # fmt: skip
"""Prefixes of the names of metrics that need the payloads' stamps."""


def without_payload(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics of a trial whose jobs ran no payload; those that need a payload are None.

    Otherwise every job would count as waiting until the trial's end.
    """
    kept = {
        name: None if name.startswith(OF_THE_PAYLOAD) else value for name, value in metrics.items()
    }
    at_least = [name for name in metrics["at_least"] if kept[name] is not None]
    return kept | {"at_least": at_least}


def trial_metrics(
    jobs: pd.DataFrame,
    trace: Trace,
    costs: list[dict[str, Any]],
    end: float | None = None,
    fault: Mapping[str, Any] | None = None,
    start_ns: int = 0,
    cycle: float = 0.0,
    *,
    payload: bool = True,
) -> dict[str, Any]:
    """Metrics of one trial (columns `schedlab.tables.schemas.METRICS`).

    Parameters
    ----------
    jobs : pandas.DataFrame
        The trial's rows of the jobs table.
    trace : Trace
        Trace of the trial.
    costs : list of dict
        Costs of the daemons (`schedlab.metrics.costs`).
    end : float or None
        Until when jobs were observed, s since the trial's start.
    fault : mapping or None
        Fault that the trial provoked, as its record has it.
    start_ns : int
        The trial's start, ns of the controller's clock; the fault has instants of that clock.
    cycle : float
        Time between two cycles in which the scheduler starts jobs, s; 0 where events begin them.
    payload : bool
        Whether jobs run their payload. Of others `without_payload` has the metrics.

    Returns
    -------
    dict
        Metrics that the records do not support are None. `at_least` names those that are lower
        bounds, because some jobs had not come to their end.
    """
    cores = trace.machine.cores
    # Measured jobs can use, or leave idle, what the background does not take.
    free = cores - int(trace.scale.get("background", {}).get("cores", 0))
    threshold = float(trace.scale["bounded_slowdown_threshold"])
    skews = of_jobs.launch_skew(jobs)
    ends = earliest_ends(trace)
    bounds = ideal_bounds(
        np.array([job.arrival for job in trace.measured]),
        np.array([float(job.cores) for job in trace.measured]),
        np.array([job.runtime for job in trace.measured]),
        free,
        np.array([ends[job.job] for job in trace.measured]),
    )
    total = scheduler_cost(costs, len(trace.measured))
    urgent, wide = behaviour.urgent(jobs, urgent_user(trace.kind)), behaviour.wide(jobs)
    bounded = {
        "makespan_s": of_jobs.makespan(jobs, end),
        "utilisation": of_machine.utilisation(jobs, cores, end),
        "utilisation_steady": of_machine.utilisation_steady(jobs, cores, end),
        **_times(jobs, threshold, end),
        "urgent_wait_s": behaviour.median_wait(jobs, urgent, end),
        "wide_wait_s": behaviour.median_wait(jobs, wide, end),
    }
    return {
        **of_jobs.failures(jobs),
        **{name: found.value for name, found in bounded.items()},
        "at_least": [name for name, found in bounded.items() if found.at_least],
        "throughput_jobs_per_s": of_jobs.throughput(jobs, end),
        "throughput_busy_jobs_per_s": of_jobs.throughput_busy(jobs, end=end),
        "fragmentation": of_machine.fragmentation(jobs, free, end),
        "bounded_slowdown_threshold_s": threshold,
        "launch_skew_median_s": percentile(skews, 0.5),
        "launch_skew_max_s": float(skews.max()) if skews.size else None,
        "fairness_jain": of_jobs.fairness(jobs, threshold, end),
        **behaviour.sharing(jobs, trace.scale.get("shares", {}), end),
        "urgent_overtaken": behaviour.overtaken(jobs, urgent),
        "wide_overtaken": behaviour.overtaken(jobs, wide),
        **fault_metrics(jobs, trace, fault or {}, start_ns),
        "processors_mean": of_machine.processors_mean(jobs),
        "submission_rate_jobs_per_s": of_jobs.submission_rate(jobs),
        **_searched(jobs, trace, end, cycle, payload=payload),
        "area_bound_s": bounds["area"],
        "critical_path_s": bounds["critical_path"],
        "ideal_makespan_s": bounds["ideal"],
        "scheduler_cpu_s": total["cpu_s"],
        "scheduler_cpu_per_job_s": total["cpu_per_job_s"],
        "scheduler_peak_rss_bytes": total["peak_rss_bytes"],
        "daemon_cost": costs,
    }


def _searched(
    jobs: pd.DataFrame, trace: Trace, end: float | None, cycle: float, *, payload: bool
) -> dict[str, Any]:
    """Columns of a step of a search; all None for other trials."""
    found = UNKNOWN
    if "rate" in trace.scale:
        found = rates(jobs, trace, end, cycle, payload=payload)
    return {
        "search": trace.scale.get("search"),
        "rate": trace.scale.get("rate"),
        "precision": trace.scale.get("precision"),
        "offered_rate_jobs_per_s": found.offered,
        "achieved_rate_jobs_per_s": found.achieved,
        "queue_slope_jobs_per_s": found.slope,
        "queue_slope_low_jobs_per_s": found.slope_low,
        "sustained": found.sustained,
        "why_not": found.why_not,
    }


def _times(jobs: pd.DataFrame, threshold: float, end: float | None) -> dict[str, Bounded]:
    """Summaries of the jobs' times, with those that had not come to their end as bounds."""
    of = {name: times(jobs, name, end) for name in (*PARTS, "wait", "turnaround")}
    slowdown = of_jobs.bounded_slowdown(jobs, threshold, end)
    return {
        **{f"{name}_median_s": quantile(values, 0.5) for name, values in of.items()},
        **{f"{name}_mean_s": mean(of[name]) for name in PARTS},
        "held_mean_s": mean(times(jobs, "held", end)),
        "lateness_p99_s": quantile(of["lateness"], 0.99),
        "lateness_max_s": largest(of["lateness"]),
        "wait_mean_s": mean(of["wait"]),
        "wait_p90_s": quantile(of["wait"], 0.9),
        "wait_p99_s": quantile(of["wait"], 0.99),
        "wait_max_s": largest(of["wait"]),
        "turnaround_mean_s": mean(of["turnaround"]),
        "bounded_slowdown_mean": mean(slowdown),
        "bounded_slowdown_median": quantile(slowdown, 0.5),
    }
