"""Whether a cluster sustains a rate of arrivals, from the jobs of one trial.

The queue of a cluster that is offered more than it can do grows at the difference of the two rates;
that of one that can do it has no trend [1]_. A trend is judged by the means of successive batches
of time as if they were independent. They nearly are where batches are long against the time over
which the queue comes and goes [2]_. Near the capacity that time is longer than a trial, with random
arrivals above all, and the test then takes such a queue for a growing one far more often than one
less the confidence (docs/saturation.md has a table). The first part of the arrivals is left out as
warm-up.

References
----------
.. [1] R. Jain, "The Art of Computer Systems Performance Analysis", Wiley 1991, sections 3.3, 30.2.
.. [2] A. M. Law, "Simulation Modeling and Analysis", 5th ed., McGraw-Hill 2015, section 9.5.3.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from schedlab.metrics.bounds import Floats
from schedlab.metrics.durations import nanoseconds, times
from schedlab.metrics.jobs import seconds
from schedlab.schedulers.base import COMPLETED, UNFINISHED
from schedlab.workloads import Trace
from schedlab.workloads.ladder import FEWEST, FEWEST_CYCLES

WARM_UP = 0.2
"""Part of the time of arrivals that is left out at its beginning."""
BATCHES = 10
POINTS = 50
"""Instants of each batch at which the queue is read."""
LEVEL = 0.95
"""One-sided confidence of the trend, where the means of batches are independent."""
QUEUE, JOBS, WAIT, CYCLES = "queue", "jobs", "wait", "cycles"
REASONS = {
    QUEUE: "the queue grew",
    JOBS: "a job came to no good end",
    WAIT: "jobs waited longer than longest_wait",
    CYCLES: f"not judged: the arrivals last fewer than {FEWEST_CYCLES} of the scheduler's cycles",
}
"""Why a rate is not sustained, or not judged, as the trials table has it and in words."""


class Rates(NamedTuple):
    """Outcome of one step of a search; None where the records do not support it.

    Attributes
    ----------
    offered : float or None
        Arrivals, 1/s.
    achieved : float or None
        Jobs that left the queue after the warm-up, until the last arrival, 1/s.
    slope, slope_low : float or None
        Growth of the queue, jobs/s, and its lower one-sided 95 % bound.
    sustained : bool or None
        Whether the rate is sustained.
    why_not : list of str or None
        Keys of `REASONS`; empty where it is sustained, None where it is unknown but for `CYCLES`.
    """

    offered: float | None
    achieved: float | None
    slope: float | None
    slope_low: float | None
    sustained: bool | None
    why_not: list[str] | None


UNKNOWN = Rates(None, None, None, None, None, None)


def waiting(due: Floats, left: Floats, at: Floats) -> Floats:
    """Number of jobs (at,) that have arrived and have not left the queue at each instant (s)."""
    arrived = np.searchsorted(np.sort(due), at, "right")
    gone = np.searchsorted(np.sort(left), at, "right")
    return (arrived - gone).astype(np.float64)


def trend(due: Floats, left: Floats, start: float, end: float) -> tuple[float, float]:
    """Slope of the queue's length between two instants (s), jobs/s, and its lower bound.

    Least squares over the means of `BATCHES` batches; bound by Student's t.
    """
    edges = np.linspace(start, end, BATCHES + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    offsets = (np.arange(POINTS) + 0.5) / POINTS * (edges[1] - edges[0])
    length = waiting(due, left, (edges[:-1, None] + offsets).ravel())
    means = length.reshape(BATCHES, POINTS).mean(axis=1)
    # Not at the top: its import is slow, and only searches need it.
    from scipy import stats

    found = stats.linregress(middles, means)
    margin = float(stats.t.ppf(LEVEL, BATCHES - 2)) * float(found.stderr)
    return float(found.slope), float(found.slope) - margin


def grows(slope: float, low: float, offered: float, precision: float) -> bool:
    """Whether a queue grows.

    Its slope is above 0 with confidence `LEVEL`, and is larger than half of the search's precision
    times the offered rate: less could not be told apart by the search.

    Parameters
    ----------
    slope, low : float
        The queue's `trend`, jobs/s.
    offered : float
        Arrivals, 1/s.
    precision : float
        Of the search, such as 0.05.
    """
    return low > 0 and slope > precision / 2 * offered


def rates(
    jobs: pd.DataFrame,
    trace: Trace,
    end: float | None = None,
    cycle: float = 0.0,
    *,
    payload: bool = True,
) -> Rates:
    """Judge one trial of a search.

    A rate is not sustained if a job came to no good end, if the queue `grows`, or if jobs wait
    longer than the trace's `longest_wait_s`. Where the trace has such a bound, no wait is known and
    nothing else speaks against the rate, whether it is sustained is unknown.

    Parameters
    ----------
    jobs : pandas.DataFrame
        Rows of the jobs table.
    trace : Trace
        Trace of the trial, with `rate`, `precision` and `longest_wait_s` in its `scale`.
    end : float or None
        Until when jobs were observed, s since the trial's start.
    cycle : float
        Time between two cycles of the scheduler (`limits.cycle_time`), s.
    payload : bool
        Whether jobs run their payload. Those that do not never start: they leave the queue, and
        their wait ends, when they are done.
    """
    due = _arrivals(jobs, trace)
    if due.size < FEWEST or np.isnan(due).any() or due.max() <= due.min():
        return UNKNOWN
    started = seconds(jobs, "started")
    # Jobs without a payload leave the queue when they are done.
    left = np.where(np.isnan(started), seconds(jobs, "completed"), started)
    left = np.where(np.isnan(left), np.inf, left)
    first, last = float(due.min()), float(due.max())
    offered = (due.size - 1) / (last - first)
    start = first + WARM_UP * (last - first)
    achieved = float(((left > start) & (left <= last)).sum() / (last - start))
    slope, low = trend(due, left, start, last)
    if last - first < FEWEST_CYCLES * cycle:
        return Rates(offered, achieved, slope, low, None, [CYCLES])
    wait = times(jobs, "wait", end).seconds
    if not payload:
        wait = (left if end is None else np.minimum(left, end)) - due
    slow = _slow(wait, due, trace.scale.get("longest_wait_s"))
    holds = {
        QUEUE: grows(slope, low, offered, float(trace.scale["precision"])),
        JOBS: bool((~jobs["state"].isin([COMPLETED, UNFINISHED])).any()),
        WAIT: bool(slow),
    }
    why_not = [reason for reason, found in holds.items() if found]
    if slow is None and not why_not:
        return Rates(offered, achieved, slope, low, None, None)
    return Rates(offered, achieved, slope, low, not why_not, why_not)


def _arrivals(jobs: pd.DataFrame, trace: Trace) -> Floats:
    """When jobs arrived (jobs,), s, also those that have to run after others.

    Such a job is due, in other metrics, when the others have ended. A cluster that cannot do what
    it is offered would so be offered less, and its queue would not grow.
    """
    due = nanoseconds(jobs, "intended") / 1e9
    unknown = np.isnan(due)
    # The rows of jobs whose predecessors never ended do not tell it.
    if unknown.any() and not unknown.all():
        planned = jobs["job"].map({job.job: job.arrival for job in trace.measured})
        arrivals = planned.to_numpy(dtype=np.float64, na_value=np.nan)
        due[unknown] = arrivals[unknown] + np.median((due - arrivals)[~unknown])
    return due


def _slow(wait: Floats, due: Floats, longest: float | None) -> bool | None:
    """Whether the last quarter of the jobs waits too long on average; None if no wait is known."""
    if longest is None:
        return False
    last = wait[np.argsort(due, kind="stable")][-(-3 * wait.size // 4) :]
    known = last[~np.isnan(last)]
    return bool(known.mean() > float(longest)) if known.size else None
