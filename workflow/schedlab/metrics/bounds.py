"""Times of jobs that had not ended when the trial ended: they count with lower bounds.

A job that waits until the trial's end has a wait of at least the time from its due instant to that
end. If such jobs were left out, a scheduler that drops its slowest jobs would look fast. So they
count with this bound, and a summary that they could make larger is marked "at least" [1]_.

References
----------
.. [1] J. P. Klein, M. L. Moeschberger, "Survival Analysis", 2nd ed., Springer 2003, section 3.2
   (right censoring).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from schedlab.metrics.statistics import percentile
from schedlab.schedulers.base import COMPLETED, TIMESTAMPS

Floats = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]

DURATIONS = {
    "lateness": ("intended", "submit"),
    "submission": ("submit", "accepted"),
    "scheduling": ("accepted", "allocated"),
    "launch": ("allocated", "started"),
    "completion": ("finished", "completed"),
    "wait": ("intended", "started"),
    "runtime": ("started", "finished"),
    "turnaround": ("intended", "finished"),
    "held": ("allocated", "completed"),
}
"""Duration of a job -> the instants between which it lies. The first four add up to the wait."""

_RAN = ("started", "finished")
_BEFORE_RELEASE = ("intended", "submit", "accepted")


def nanoseconds(jobs: pd.DataFrame, column: str) -> Floats:
    """Column of instants as an array (jobs,) of ns, NaN where missing.

    Instants are since the trial's start, so a float holds each of them exactly (for 104 days).
    """
    return pd.to_numeric(jobs[column]).to_numpy(dtype=np.float64, na_value=np.nan)


def instants(jobs: pd.DataFrame, column: str) -> Floats:
    """As `nanoseconds`, but no wait begins before a job was `released`.

    A job that runs after others is not due before they have ended. What comes before that instant
    counts as of that instant, so that the parts of the wait add up to it.
    """
    found = nanoseconds(jobs, column)
    if column not in _BEFORE_RELEASE or "released" not in jobs:
        return found
    return np.where(np.isnan(found), found, np.fmax(found, nanoseconds(jobs, "released")))


class Times(NamedTuple):
    """A duration of every job.

    Attributes
    ----------
    seconds : numpy.ndarray
        (jobs,), s; NaN where nothing is known.
    open : numpy.ndarray
        (jobs,), whether the duration had not ended when the trial ended; `seconds` is then a lower
        bound.
    """

    seconds: Floats
    open: Truths

    @property
    def known(self) -> Times:
        """Return the jobs whose duration or bound is known."""
        there = ~np.isnan(self.seconds)
        return Times(self.seconds[there], self.open[there])


class Bounded(NamedTuple):
    """A summary of times.

    Attributes
    ----------
    value : float or None
        None if there is nothing to summarise.
    at_least : bool
        The true value is this or larger, because some jobs had not ended.
    """

    value: float | None
    at_least: bool = False


def times(jobs: pd.DataFrame, part: str, end: float | None = None) -> Times:
    """A duration of every job, with bounds for jobs that had not come to its end.

    Parameters
    ----------
    jobs : pandas.DataFrame
        Rows of the jobs table.
    part : str
        Key of `DURATIONS`.
    end : float or None
        Until when the jobs were observed, s since the trial's start. None: no bounds.

    Returns
    -------
    Times
        A job is open if it reached the first instant and no later one, whether it was rejected,
        lost, cancelled or still running. Completed jobs are never open: if they lack an instant, it
        was not recorded. Jobs that were not due when the trial ended are not open either.
    """
    begins, ends = DURATIONS[part]
    begun = instants(jobs, begins)
    spent = (instants(jobs, ends) - begun) / 1e9
    if end is None:
        return Times(spent, np.zeros(len(jobs), dtype=bool))
    place = TIMESTAMPS.index(ends)
    later = {ends, *(name for name in _RAN if TIMESTAMPS.index(name) > place)}
    unknown = np.all([np.isnan(nanoseconds(jobs, name)) for name in sorted(later)], axis=0)
    bound = end - begun / 1e9
    is_open = unknown & (jobs["state"] != COMPLETED).to_numpy(dtype=bool) & (bound >= 0)
    return Times(np.where(is_open, bound, spent), is_open)


def quantile(all_times: Times, q: float) -> Bounded:
    """Percentile, by the rule of `schedlab.metrics.statistics.percentile` for its n.

    It is exact if every open job has already lasted longer than the order statistics from which the
    percentile is computed; otherwise it is a lower bound.
    """
    seconds, is_open = all_times.known
    value = percentile(seconds, q)
    if value is None:
        return Bounded(None)
    if not is_open.any():
        return Bounded(value)
    place = math.ceil(q * (seconds.size - 1))
    upper = np.partition(seconds, place)[place]
    return Bounded(value, bool((is_open & (seconds <= upper)).any()))


def mean(all_times: Times) -> Bounded:
    """Arithmetic mean; a lower bound if any job is open."""
    seconds, is_open = all_times.known
    return Bounded(float(seconds.mean()), bool(is_open.any())) if seconds.size else Bounded(None)


def largest(all_times: Times) -> Bounded:
    """Largest value; a lower bound if any job is open, because that job may become the largest."""
    seconds, is_open = all_times.known
    return Bounded(float(seconds.max()), bool(is_open.any())) if seconds.size else Bounded(None)
