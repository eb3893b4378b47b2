"""Durations of the jobs of a trial: the instants between which they lie, and their bounds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from schedlab.metrics.bounds import Floats, Times
from schedlab.schedulers.base import COMPLETED, ENDED_BY_THEMSELVES, TIMESTAMPS

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
        A job that its scheduler ended has no completion: the end was not its payload's.
    """
    begins, ends = DURATIONS[part]
    begun = instants(jobs, begins)
    spent = (instants(jobs, ends) - begun) / 1e9
    if part == "completion":
        spent[~jobs["state"].isin(ENDED_BY_THEMSELVES).to_numpy(dtype=bool)] = np.nan
    if end is None:
        return Times(spent, np.zeros(len(jobs), dtype=bool))
    place = TIMESTAMPS.index(ends)
    later = {ends, *(name for name in _RAN if TIMESTAMPS.index(name) > place)}
    unknown = np.all([np.isnan(nanoseconds(jobs, name)) for name in sorted(later)], axis=0)
    bound = end - begun / 1e9
    is_open = unknown & (jobs["state"] != COMPLETED).to_numpy(dtype=bool) & (bound >= 0)
    return Times(np.where(is_open, bound, spent), is_open)
