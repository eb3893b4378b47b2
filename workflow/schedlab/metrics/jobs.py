"""Metrics of one trial's jobs: times, rates, fairness, failures.

Functions of a DataFrame with the columns of the jobs table (`schedlab.tables.schemas.JOBS`): the
instants `intended` s0, `submit` s, `accepted` a, `allocated` b, `started` x, `finished` f and
`completed` c in ns since the trial's start, missing where unknown. Results are in seconds. What
cannot be computed, because no job has the instants it needs, is None or NaN, never 0.

References
----------
.. [1] D. G. Feitelson, L. Rudolph, "Metrics and Benchmarking for Parallel Job Scheduling",
   JSSPP 1998, LNCS 1459.
.. [2] D. G. Feitelson, "Workload Modeling for Computer Systems Performance Evaluation",
   Cambridge University Press 2015.
.. [3] R. Jain, D. Chiu, W. Hawe, "A Quantitative Measure of Fairness and Discrimination for
   Resource Allocation in Shared Computer Systems", DEC-TR-301, 1984.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from schedlab.metrics.statistics import percentile
from schedlab.schedulers.base import (
    COMPLETED,
    DUPLICATED,
    LOST,
    NOT_SUBMITTED,
    REJECTED,
    UNFINISHED,
)

Floats = npt.NDArray[np.float64]

BOUNDED_SLOWDOWN_THRESHOLD = 10.0
"""Runtime (s) below which bounded slowdown stops growing [1]_."""

_PARTS = {
    "lateness": ("intended", "submit"),
    "submit_latency": ("submit", "accepted"),
    "scheduling_latency": ("accepted", "allocated"),
    "launch_latency": ("allocated", "started"),
    "completion_latency": ("finished", "completed"),
    "wait": ("submit", "started"),
    "runtime": ("started", "finished"),
    "turnaround": ("submit", "finished"),
}


def seconds(jobs: pd.DataFrame, column: str) -> Floats:
    """Column of ns as an array (jobs,) of s, NaN where missing."""
    return pd.to_numeric(jobs[column]).to_numpy(dtype=np.float64, na_value=np.nan) / 1e9


def rank_seconds(jobs: pd.DataFrame, column: str) -> list[Floats]:
    """Column with the instants (ns) of each job's ranks, as an array (ranks,) of s for each job."""
    none = np.empty(0)
    return [
        none if ranks is None else np.asarray(ranks, dtype=np.float64) / 1e9
        for ranks in jobs[column]
    ]


def _present(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def durations(jobs: pd.DataFrame) -> pd.DataFrame:
    """Durations of every job.

    Parameters
    ----------
    jobs : pandas.DataFrame
        Rows of the jobs table.

    Returns
    -------
    pandas.DataFrame
        Same index; s: `lateness` s - s0, `submit_latency` a - s, `scheduling_latency` b - a,
        `launch_latency` x - b, `completion_latency` c - f, `wait` x - s, `runtime` f - x,
        `turnaround` f - s [1]_. NaN where an instant is missing.
    """
    return pd.DataFrame(
        {name: seconds(jobs, b) - seconds(jobs, a) for name, (a, b) in _PARTS.items()},
        index=jobs.index,
    )


def makespan(jobs: pd.DataFrame) -> float | None:
    """Last instruction of all jobs minus first submission, max f - min s [1]_, s."""
    submit, finished = _present(seconds(jobs, "submit")), _present(seconds(jobs, "finished"))
    return float(finished.max() - submit.min()) if submit.size and finished.size else None


def bounded_slowdown(
    jobs: pd.DataFrame, threshold: float = BOUNDED_SLOWDOWN_THRESHOLD
) -> pd.Series:
    """Bounded slowdown of every job, max(1, (w + r) / max(r, threshold)) [1]_.

    Parameters
    ----------
    jobs : pandas.DataFrame
        Rows of the jobs table.
    threshold : float
        Runtime in s under which a job counts as this long. For a trace whose times were scaled by
        k it is 10 k (the trace's `scale` says it).

    Returns
    -------
    pandas.Series
        Dimensionless, NaN where the job did not run to its end.

    Raises
    ------
    ValueError
        When the threshold is not positive.
    """
    if threshold <= 0:
        raise ValueError(f"threshold is {threshold} s: it must be positive")
    parts = durations(jobs)
    slowdown = (parts["wait"] + parts["runtime"]) / parts["runtime"].clip(lower=threshold)
    return slowdown.clip(lower=1.0)


def throughput(jobs: pd.DataFrame) -> float | None:
    """Jobs that completed per second, n / (max c - min s), 1/s.

    Jobs that failed are in neither the numerator nor the end of the window: a scheduler that
    drops jobs does not gain by it.
    """
    done = jobs[jobs["state"] == COMPLETED]
    submit, ended = _present(seconds(jobs, "submit")), _present(seconds(done, "completed"))
    if not submit.size or not ended.size or ended.max() <= submit.min():
        return None
    return float(ended.size / (ended.max() - submit.min()))


def throughput_series(jobs: pd.DataFrame, step: float = 1.0) -> pd.DataFrame:
    """Completions over time.

    Parameters
    ----------
    jobs : pandas.DataFrame
        Rows of the jobs table.
    step : float
        Width of a bin, s.

    Returns
    -------
    pandas.DataFrame
        `t` (start of the bin, s since the trial's start; the first bin starts with the first
        submission), `rate` (completions per s), `busy` (during some part of the bin a job was
        submitted and not completed), `whole` (the bin ends before the last completion).
    """
    submit, completed = seconds(jobs, "submit"), seconds(jobs, "completed")
    both = ~np.isnan(submit) & ~np.isnan(completed)
    columns = ["t", "rate", "busy", "whole"]
    if not both.any():
        return pd.DataFrame({name: pd.Series(dtype=float) for name in columns})
    submit, completed = submit[both], completed[both]
    good = (jobs["state"] == COMPLETED).to_numpy()[both]
    first, last = submit.min(), completed.max()
    bins = max(1, int(np.ceil((last - first) / step - 1e-9)))
    edges = first + step * np.arange(bins + 1)
    counts, _ = np.histogram(np.minimum(completed[good], edges[-1]), edges)
    # Jobs in the system at some time within a bin: came before its end, left after its start.
    came = np.searchsorted(np.sort(submit), edges[1:], side="left")
    left = np.searchsorted(np.sort(completed), edges[:-1], side="right")
    return pd.DataFrame(
        {
            "t": edges[:-1],
            "rate": counts / step,
            "busy": came > left,
            "whole": edges[1:] <= last + 1e-9,
        },
        columns=columns,
    )


def throughput_busy(jobs: pd.DataFrame, step: float = 1.0) -> float | None:
    """Median of the completion rate over the whole bins in which there was work, 1/s.

    Unlike a mean over a fixed window it does not fall with the idle tail (kubernetes/perf-tests,
    issue 1083). None when the workload was shorter than one bin.
    """
    series = throughput_series(jobs, step)
    rates = series.loc[series["busy"].astype(bool) & series["whole"].astype(bool), "rate"]
    return float(rates.median()) if len(rates) else None


def submission_rate(jobs: pd.DataFrame) -> float | None:
    """Jobs accepted per second, n / (max a - min s), 1/s: what the submitter itself reached."""
    submit, accepted = _present(seconds(jobs, "submit")), _present(seconds(jobs, "accepted"))
    if not submit.size or not accepted.size or accepted.max() <= submit.min():
        return None
    return float(accepted.size / (accepted.max() - submit.min()))


def launch_skew(jobs: pd.DataFrame) -> Floats:
    """Array of the launch skews of the jobs with more than one rank, max x - min x, s."""
    ranks = pd.to_numeric(jobs["ranks"]).to_numpy(dtype=np.float64, na_value=np.nan)
    return _present(seconds(jobs, "launch_skew_ns")[ranks > 1])


def jain(values: Sequence[float] | Floats) -> float | None:
    """Jain's fairness index (sum x)^2 / (n sum x^2) [3]_: from 1/n to 1, which is all equal."""
    array = np.asarray(values, dtype=np.float64)
    square = float(np.sum(array**2))
    if not array.size or square == 0 or np.isnan(square):
        return None
    return float(np.sum(array) ** 2 / (array.size * square))


def fairness(jobs: pd.DataFrame, threshold: float = BOUNDED_SLOWDOWN_THRESHOLD) -> float | None:
    """Jain's index over the users of their mean bounded slowdown.

    None with fewer than two users: one user is always treated as fairly as all users.
    """
    slowdown = bounded_slowdown(jobs, threshold)
    means = slowdown.groupby(jobs["user"].astype(str)).mean().dropna()
    return jain(means.to_numpy(dtype=np.float64)) if len(means) > 1 else None


def maximum_wait_by_size(jobs: pd.DataFrame) -> pd.Series:
    """Largest wait in s by number of processors requested; index `cores`."""
    cores = (jobs["nodes"] * jobs["cpus"]).rename("cores")
    return durations(jobs)["wait"].groupby(cores).max()


def lateness(jobs: pd.DataFrame) -> dict[str, float | None]:
    """How late the driver was, submission minus intended submission.

    Returns
    -------
    dict
        `median`, `p99` (None with fewer than 100 jobs), `max`; s.
    """
    late = _present(durations(jobs)["lateness"].to_numpy(dtype=np.float64))
    return {
        "median": percentile(late, 0.5),
        "p99": percentile(late, 0.99),
        "max": float(late.max()) if late.size else None,
    }


def failures(jobs: pd.DataFrame) -> dict[str, int]:
    """Count the fates of jobs; every job is in exactly one.

    Returns
    -------
    dict
        `jobs` (all, the denominator), `completed`, `rejected`, `lost`, `duplicated`,
        `unfinished`, `not_submitted`, and `failed`: every other end (exit code, time limit,
        cancellation, dead node).
    """
    states = jobs["state"].value_counts()
    counts = {
        "completed": COMPLETED,
        "rejected": REJECTED,
        "lost": LOST,
        "duplicated": DUPLICATED,
        "unfinished": UNFINISHED,
        "not_submitted": NOT_SUBMITTED,
    }
    found = {name: int(states.get(state, 0)) for name, state in counts.items()}
    return {"jobs": len(jobs), **found, "failed": len(jobs) - sum(found.values())}
