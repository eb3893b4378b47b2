"""All metrics of one trial, under the names of the trials table's columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from schedlab.metrics import jobs as of_jobs
from schedlab.metrics import machine as of_machine
from schedlab.metrics.statistics import percentile
from schedlab.workloads import Trace


def trial_metrics(
    jobs: pd.DataFrame,
    trace: Trace,
    cost_start: Mapping[str, Any],
    cost_end: Mapping[str, Any],
) -> dict[str, Any]:
    """Metrics of one trial (columns `schedlab.tables.schemas.METRICS`).

    Parameters
    ----------
    jobs : pandas.DataFrame
        The trial's rows of the jobs table.
    trace : Trace
        What was to be submitted, and to which machine.
    cost_start, cost_end : mapping
        Node -> daemon -> cumulative cost, before and after the workload.

    Returns
    -------
    dict
        Metrics that the records do not support are None.
    """
    cores = trace.machine.cores
    threshold = float(trace.scale["bounded_slowdown_threshold"])
    parts = of_jobs.durations(jobs)
    waits, skews = _known(parts["wait"]), of_jobs.launch_skew(jobs)
    slowdown = _known(of_jobs.bounded_slowdown(jobs, threshold))
    late = of_jobs.lateness(jobs)
    bounds = of_machine.ideal_bounds(
        np.array([job.arrival for job in trace.jobs]),
        np.array([float(job.cores) for job in trace.jobs]),
        np.array([job.runtime for job in trace.jobs]),
        cores,
    )
    costs = of_machine.daemon_costs(cost_start, cost_end)
    total = of_machine.scheduler_cost(costs, len(trace.jobs))
    return {
        **of_jobs.failures(jobs),
        "makespan_s": of_jobs.makespan(jobs),
        "throughput_jobs_per_s": of_jobs.throughput(jobs),
        "throughput_busy_jobs_per_s": of_jobs.throughput_busy(jobs),
        "utilisation": of_machine.utilisation(jobs, cores),
        "utilisation_steady": of_machine.utilisation_steady(jobs, cores),
        "fragmentation": of_machine.fragmentation(jobs, cores),
        "wait_mean_s": _mean(waits),
        "wait_median_s": percentile(waits, 0.5),
        "wait_p99_s": percentile(waits, 0.99),
        "wait_max_s": _largest(waits),
        **{
            f"{name}_median_s": percentile(_known(parts[name]), 0.5)
            for name in (
                "submit_latency",
                "scheduling_latency",
                "launch_latency",
                "completion_latency",
                "turnaround",
            )
        },
        "turnaround_mean_s": _mean(_known(parts["turnaround"])),
        "bounded_slowdown_mean": _mean(slowdown),
        "bounded_slowdown_median": percentile(slowdown, 0.5),
        "bounded_slowdown_threshold_s": threshold,
        "launch_skew_median_s": percentile(skews, 0.5),
        "launch_skew_max_s": _largest(skews),
        "fairness_jain": of_jobs.fairness(jobs, threshold),
        "lateness_median_s": late["median"],
        "lateness_p99_s": late["p99"],
        "lateness_max_s": late["max"],
        "submission_rate_jobs_per_s": of_jobs.submission_rate(jobs),
        "area_bound_s": bounds["area"],
        "critical_path_s": bounds["critical_path"],
        "ideal_makespan_s": bounds["ideal"],
        "scheduler_cpu_s": total["cpu_s"],
        "scheduler_cpu_per_job_s": total["cpu_per_job_s"],
        "scheduler_peak_rss_bytes": total["peak_rss_bytes"],
        "daemon_cost": costs,
    }


def _known(values: pd.Series) -> npt.NDArray[np.float64]:
    array: npt.NDArray[np.float64] = values.to_numpy(dtype=np.float64)
    known: npt.NDArray[np.float64] = array[~np.isnan(array)]
    return known


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    return float(values.mean()) if values.size else None


def _largest(values: npt.NDArray[np.float64]) -> float | None:
    return float(values.max()) if values.size else None
