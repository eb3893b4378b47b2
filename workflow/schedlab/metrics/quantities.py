"""Quantities of trials: what is summarised and compared over them, and on which scale.

Times, rates and parts of the machine are positive, and their noise grows with their size. They are
summarised on the scale ``log`` (geometric mean, ratios). No ratio is averaged arithmetically.
Launch latency and lateness are differences of instants from different clocks or sources, so they
can be zero or negative. They are summarised on the scale ``raw`` (arithmetic mean, differences).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from schedlab.metrics.statistics import Floats, Scale


class Quantity(NamedTuple):
    """A metric of trials that is summarised over them.

    Parameters
    ----------
    column : str
        Column of the trials table.
    title : str
        For headings and axes.
    unit : str
        Unit; `1` for ratios.
    scale : {"log", "raw"}
        On which trials are summarised and compared.
    least, limit : float or None
        What it cannot be below, and what it cannot exceed.
    measured : bool
        False for what is computed from the trace alone: it is shown, not tested.
    """

    column: str
    title: str
    unit: str
    scale: Scale = "log"
    least: float | None = None
    limit: float | None = None
    measured: bool = True


PARTS = ("lateness", "submission", "scheduling", "launch", "completion")
"""Parts of the time of a job without its run time, in their order: the first four are its wait."""

QUANTITIES: dict[str, Quantity] = {
    "throughput": Quantity("throughput_jobs_per_s", "Throughput", "jobs/s"),
    "makespan": Quantity("makespan_s", "Makespan", "s"),
    # 0 for jobs that do nothing.
    "ideal_makespan": Quantity("ideal_makespan_s", "Ideal makespan", "s", "raw", 0, measured=False),
    "wait_median": Quantity("wait_median_s", "Median wait", "s"),
    "wait_p90": Quantity("wait_p90_s", "Wait, 90th percentile", "s"),
    "wait_mean": Quantity("wait_mean_s", "Mean wait", "s"),
    # The two instants have different sources: within their resolution it can be 0 or less.
    "launch_median": Quantity("launch_median_s", "Median launch latency", "s", "raw"),
    # The median over jobs: a mean of slowdowns would be a mean of ratios.
    "bounded_slowdown": Quantity("bounded_slowdown_median", "Median bounded slowdown", "1"),
    # The work is the trace's, so it varies over trials as one over the makespan does.
    "utilisation": Quantity("utilisation", "Utilisation", "1", limit=1.0),
    "scheduler_cpu_per_job": Quantity(
        "scheduler_cpu_per_job_s", "Scheduler's processor time per job", "s"
    ),
    "urgent_wait": Quantity("urgent_wait_s", "Wait of urgent jobs", "s"),
    "urgent_overtaken": Quantity(
        "urgent_overtaken", "Others before an urgent job", "jobs", "raw", least=0
    ),
    "wide_wait": Quantity("wide_wait_s", "Wait of wide jobs", "s"),
    "wide_overtaken": Quantity(
        "wide_overtaken", "Others before a wide job", "jobs", "raw", least=0
    ),
    "fairness": Quantity("fairness_jain", "Fairness of slowdowns (Jain)", "1", limit=1.0),
    "share_jain": Quantity("share_jain", "Use against share (Jain)", "1", limit=1.0),
    "share_gap": Quantity("share_gap", "Largest distance from a share", "1", "raw", 0, 1),
    "interrupted": Quantity("interrupted", "Jobs whose run was given up", "jobs", "raw", least=0),
    "restarted": Quantity("restarted", "Jobs that ran again", "jobs", "raw", least=0),
    "next_start": Quantity("fault_next_start_s", "Next start after a restart", "s"),
    "detection": Quantity("fault_detection_s", "Detection of a lost node", "s"),
    "requeue": Quantity("fault_requeue_s", "Given up to next start", "s"),
    "starts_away": Quantity(
        "fault_starts_away", "Starts on a drained node", "jobs", "raw", least=0
    ),
    "node_return": Quantity("fault_return_s", "Return to next start", "s"),
    "lateness_median": Quantity("lateness_median_s", "Median submission lateness", "s", "raw"),
    "submission_rate": Quantity("submission_rate_jobs_per_s", "Submission rate", "jobs/s"),
    # Means and differences, because only these add up over the parts.
    **{name: Quantity(f"{name}_mean_s", f"Mean {name}", "s", "raw") for name in PARTS},
}

KNEE = "knee"
OF_SEARCHES: dict[str, Quantity] = {
    KNEE: Quantity("knee_jobs_per_s", "Highest sustained rate", "jobs/s"),
}
"""Quantities of searches, whose columns are those of `schedlab.metrics.searches.by_search`."""

COMPARED = QUANTITIES | OF_SEARCHES
"""What groups of trials, or of searches, are compared in."""

WITHOUT_PAYLOAD = "submission_rate"
"""Main quantity of a trial whose jobs run no payload, whatever its workload: all it measures."""

BEHAVIOUR = (
    "urgent_wait",
    "urgent_overtaken",
    "wide_wait",
    "wide_overtaken",
    "fairness",
    "share_jain",
    "share_gap",
)
"""Quantities of workloads whose jobs differ in priority, width or user."""

BREAKING = (
    "next_start",
    "detection",
    "requeue",
    "starts_away",
    "node_return",
    "interrupted",
    "restarted",
)
"""Quantities of workloads beside which something breaks, or whose urgent jobs preempt."""

MAIN_QUANTITIES = (
    "throughput",
    "makespan",
    "ideal_makespan",
    "wait_median",
    "launch_median",
    "bounded_slowdown",
    "utilisation",
    "scheduler_cpu_per_job",
)
"""Quantities of the report's main table."""


def values_of(trials: pd.DataFrame, quantity: str) -> Floats:
    """Values of some trials in their order; NaN where one is missing."""
    column = trials[COMPARED[quantity].column]
    return pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
