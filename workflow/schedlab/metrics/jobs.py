"""Metrics of one trial's jobs: times, rates, fairness, failures.

Functions of a DataFrame with the columns of the jobs table (`schedlab.tables.schemas.JOBS`): the
instants `intended` d (due), `submit` s, `accepted` a, `allocated` b, `started` x, `finished` f and
`completed` c in ns since the trial's start, missing where unknown. Results are in seconds. What
cannot be computed, because no job has the instants it needs, is None or NaN, never 0.

`end` is the instant until which the jobs were observed, s since the trial's start: the driver's
end, after the last job or at the trial's limit. If it is given, jobs that had not ended count with
bounds (`schedlab.metrics.bounds`); otherwise they are left out.

References
----------
.. [1] D. G. Feitelson, L. Rudolph, "Metrics and Benchmarking for Parallel Job Scheduling",
   JSSPP 1998, LNCS 1459.
.. [2] D. G. Feitelson, "Workload Modeling for Computer Systems Performance Evaluation",
   Cambridge University Press 2015.
.. [3] G. Tene, "How NOT to Measure Latency", Strange Loop 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import pandas as pd

from schedlab.metrics.bounds import Bounded, Floats, Times
from schedlab.metrics.definitions import BOUNDED_SLOWDOWN_THRESHOLD, jain_of_users, slowdown
from schedlab.metrics.durations import DURATIONS, nanoseconds, times
from schedlab.metrics.intervals import Whole, median_rate, steps
from schedlab.schedulers.base import (
    COMPLETED,
    DUPLICATED,
    LOST,
    NOT_SUBMITTED,
    REJECTED,
    UNFINISHED,
)


def seconds(jobs: pd.DataFrame, column: str) -> Floats:
    """Column of ns as an array (jobs,) of s, NaN where missing."""
    return nanoseconds(jobs, column) / 1e9


def rank_seconds(jobs: pd.DataFrame, column: str) -> tuple[Floats, Whole]:
    """Column of the instants (ns) of each job's ranks: those of all (s), and the ranks of each."""
    of_jobs = [() if ranks is None else ranks for ranks in jobs[column]]
    count = np.fromiter(map(len, of_jobs), np.int64, len(of_jobs))
    instants = np.fromiter(chain.from_iterable(of_jobs), np.float64, int(count.sum()))
    return instants / 1e9, count


def first_after(column: pd.Series, of: Whole, since: Floats) -> Floats:
    """First instant (s), of those that a column has of a job, at or after another one.

    Parameters
    ----------
    column : pandas.Series
        Instants of each job, ns, in order; null where it has none.
    of : numpy.ndarray
        (asked,), places of the jobs that are asked for.
    since : numpy.ndarray
        (asked,), s.

    Returns
    -------
    numpy.ndarray
        (asked,), NaN where there is none.
    """
    found = np.full(len(of), np.nan)
    lists = column.to_numpy()
    for number, (place, least) in enumerate(zip(of.tolist(), since.tolist(), strict=True)):
        later = (ns / 1e9 for ns in _listed(lists[place]) if ns / 1e9 >= least)
        found[number] = next(later, np.nan)
    return found


def _listed(values: Sequence[int] | None) -> Sequence[int]:
    return () if values is None else values


def _present(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def durations(jobs: pd.DataFrame, end: float | None = None) -> pd.DataFrame:
    """Durations of every job.

    A job's wait begins when the job was due, not when the driver submitted it. Otherwise a delayed
    driver would hide the wait that it causes (coordinated omission [3]_).

    Parameters
    ----------
    jobs : pandas.DataFrame
        Rows of the jobs table.
    end : float or None
        Until when jobs were observed; jobs that had not ended get lower bounds.

    Returns
    -------
    pandas.DataFrame
        Same index; s: `lateness` s - d, `submission` a - s, `scheduling` b - a, `launch` x - b,
        which add up to `wait` x - d; `runtime` f - x, `turnaround` f - d [1]_, `completion` c - f,
        `held` c - b.
        NaN where an instant is missing.
    """
    return pd.DataFrame(
        {name: times(jobs, name, end).seconds for name in DURATIONS}, index=jobs.index
    )


def window_end(jobs: pd.DataFrame, column: str, end: float | None = None) -> Bounded:
    """Instant at which a window over all jobs ends, s.

    Parameters
    ----------
    jobs : pandas.DataFrame
        Rows of the jobs table.
    column : str
        `finished` or `completed`.
    end : float or None
        Until when jobs were observed.

    Returns
    -------
    Bounded
        The last job's instant, or `end` as a lower bound if any job lacks the instant. So a
        scheduler cannot shorten its window by dropping its slowest job.
    """
    instants = seconds(jobs, column)
    known = _present(instants)
    last = float(known.max()) if known.size else None
    if end is not None and known.size < instants.size:
        return Bounded(end if last is None else max(last, end), at_least=True)
    return Bounded(last)


def makespan(jobs: pd.DataFrame, end: float | None = None) -> Bounded:
    """Last instruction of all jobs minus first submission, max f - min s [1]_, s.

    If any job never finished, the result is the lower bound that `end` gives.
    """
    submit, last = _present(seconds(jobs, "submit")), window_end(jobs, "finished", end)
    if not submit.size or last.value is None:
        return Bounded(None)
    return Bounded(last.value - float(submit.min()), last.at_least)


def bounded_slowdown(
    jobs: pd.DataFrame, threshold: float = BOUNDED_SLOWDOWN_THRESHOLD, end: float | None = None
) -> Times:
    """Bounded slowdown of every job, max(1, (w + r) / max(r, threshold)) [1]_.

    Parameters
    ----------
    jobs : pandas.DataFrame
        Rows of the jobs table.
    threshold : float
        Runtime in s under which a job counts as this long. For a trace whose times were scaled by
        k it is 10 k (the trace's `scale` says it).
    end : float or None
        Until when jobs were observed. The runtime of a job that ran again is that of its last run:
        what came before it, until the job started again, was no use to it. A job that had not
        finished counts with the time since it was
        due, and with the larger of the trace's runtime and the time that it ran.

    Returns
    -------
    Times
        Dimensionless, in place of s.

    Raises
    ------
    ValueError
        When the threshold is not positive.
    """
    spent, is_open = times(jobs, "turnaround", end)
    ran = _of_last_run(jobs, times(jobs, "runtime", end).seconds)
    if is_open.any():
        wanted = pd.to_numeric(jobs["runtime_requested"]).to_numpy(np.float64, na_value=np.nan)
        ran = np.where(is_open, np.fmax(ran, wanted), ran)
    return Times(slowdown(spent, ran, threshold), is_open)


def _of_last_run(jobs: pd.DataFrame, ran: Floats) -> Floats:
    """Runtimes (s) from the first start on, of jobs that ran again from the start of the last run.

    A last instruction before that start is that of an earlier run, which stays.
    """
    alone = ran - (seconds(jobs, "restarted") - seconds(jobs, "started"))
    return np.where(alone >= 0, alone, ran)


def throughput(jobs: pd.DataFrame, end: float | None = None) -> float | None:
    """Jobs that completed per second, n / (max c - min s), 1/s.

    Failed jobs are not in the numerator. The window ends with the last end of any job, completed or
    not, or with `end` if the end of any job is unknown.
    """
    submit, last = _present(seconds(jobs, "submit")), window_end(jobs, "completed", end).value
    if not submit.size or last is None or last <= submit.min():
        return None
    return float((jobs["state"] == COMPLETED).sum() / (last - submit.min()))


def throughput_busy(
    jobs: pd.DataFrame, step: float = 1.0, end: float | None = None
) -> float | None:
    """Median of the completion rate over the whole bins in which there was work, 1/s.

    Unlike a mean over a fixed window it does not fall with the idle tail (kubernetes/perf-tests,
    issue 1083). None when the workload was shorter than one bin.

    Parameters
    ----------
    jobs : pandas.DataFrame
        Rows of the jobs table.
    step : float
        Width of a bin, s; the first starts with the first submission.
    end : float or None
        Until when jobs were observed: those without an end are in the system until then, but for
        those that the scheduler refused.
    """
    submit, left = seconds(jobs, "submit"), seconds(jobs, "completed")
    if end is not None:
        left = np.where(np.isnan(left) & (jobs["state"] != REJECTED).to_numpy(), end, left)
    known = ~np.isnan(submit) & ~np.isnan(left)
    good = known & (jobs["state"] == COMPLETED).to_numpy()
    return median_rate(submit[known], left[known], good[known], step)


def submission_rate(jobs: pd.DataFrame) -> float | None:
    """Jobs accepted per second, n / (max a - min s), 1/s: the rate that the submitter reached."""
    submit, accepted = _present(seconds(jobs, "submit")), _present(seconds(jobs, "accepted"))
    if not submit.size or not accepted.size or accepted.max() <= submit.min():
        return None
    return float(accepted.size / (accepted.max() - submit.min()))


def launch_skew(jobs: pd.DataFrame) -> Floats:
    """Array of the launch skews of the jobs with more than one rank, max x - min x, s."""
    ranks = pd.to_numeric(jobs["ranks"]).to_numpy(dtype=np.float64, na_value=np.nan)
    return _present(seconds(jobs, "launch_skew_ns")[ranks > 1])


def fairness(
    jobs: pd.DataFrame, threshold: float = BOUNDED_SLOWDOWN_THRESHOLD, end: float | None = None
) -> float | None:
    """Jain's index over the users of their mean bounded slowdown.

    None with fewer than two users, because then the index is always 1. Also None if a job had not
    ended, because a bound of its slowdown gives no bound of the index.
    """
    of_jobs, is_open = bounded_slowdown(jobs, threshold, end)
    user, _ = pd.factorize(jobs["user"].astype(str))
    return None if is_open.any() else jain_of_users(of_jobs, user)


def maximum_wait_by_size(jobs: pd.DataFrame) -> pd.Series:
    """Largest wait in s by number of processors requested; index `cores`."""
    cores = (jobs["nodes"] * jobs["cpus"]).rename("cores")
    return durations(jobs)["wait"].groupby(cores).max()


def concurrency(starts: Sequence[float], ends: Sequence[float]) -> int:
    """Most intervals that were under way at one time; 0 of none."""
    # An interval that ends as another starts does not overlap it.
    level = steps(np.array(starts, float), np.array(ends, float), np.ones(len(starts))).level
    return int(level.max(initial=0))


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
