"""How a scheduler treats urgent jobs, wide jobs and users, from the rows of the jobs table.

Every measure is of what jobs saw, and needs no knowledge of the scheduler. Instants as in
`schedlab.metrics.jobs`; None where a trial has no such jobs.

References
----------
.. [1] R. Jain, D. Chiu, W. Hawe, "A Quantitative Measure of Fairness and Discrimination for
   Resource Allocation in Shared Computer Systems", DEC-TR-301, 1984.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from schedlab.metrics.bounds import Bounded, Floats, quantile
from schedlab.metrics.definitions import jain
from schedlab.metrics.durations import instants, times
from schedlab.metrics.jobs import seconds
from schedlab.metrics.machine import busy_core_seconds, processors

Chosen = npt.NDArray[np.bool_]


def urgent(jobs: pd.DataFrame) -> Chosen:
    """Jobs (jobs,) of the highest priority; none where all have the same."""
    return _highest(pd.to_numeric(jobs["priority"]).to_numpy(dtype=np.float64, na_value=0.0))


def wide(jobs: pd.DataFrame) -> Chosen:
    """Jobs (jobs,) that want the most processors; none where all want the same."""
    return _highest(processors(jobs))


def _highest(values: Floats) -> Chosen:
    """Where values are the highest; nowhere if all that are known are equal."""
    known = values[~np.isnan(values)]
    if not known.size:
        return np.zeros(len(values), dtype=bool)
    chosen: Chosen = (values == known.max()) & (values > known.min())
    return chosen


def median_wait(jobs: pd.DataFrame, chosen: Chosen, end: float | None = None) -> Bounded:
    """Median wait (s) of chosen jobs; those that had not started count with their bound."""
    return quantile(times(jobs.loc[chosen], "wait", end), 0.5)


def overtaken(jobs: pd.DataFrame, chosen: Chosen) -> float | None:
    """Mean, over chosen jobs, of the others that started while each of them waited.

    Of other jobs that were due before it, an urgent job may be overtaken too: what counts is who
    started between its due instant and its start. A job that did not start is overtaken by all that
    started after it was due.

    Returns
    -------
    float or None
        Number of jobs; None without chosen jobs that were due.
    """
    due, started = instants(jobs, "intended") / 1e9, seconds(jobs, "started")
    others = np.sort(started[~chosen & ~np.isnan(started)])
    since, until = due[chosen], started[chosen]
    known = ~np.isnan(since)
    if not known.any():
        return None
    until = np.where(np.isnan(until), np.inf, until)[known]
    passed = np.searchsorted(others, until, "left") - np.searchsorted(others, since[known], "right")
    return float(np.maximum(passed, 0).mean())


def contended(jobs: pd.DataFrame) -> tuple[float, float] | None:
    """Window (s) in which every user has jobs that wait.

    It begins when the first job of the last user is due, and ends when the last job of the first
    user who has none left starts. None with fewer than two users, or where there is no such window.
    """
    due, started = instants(jobs, "intended") / 1e9, seconds(jobs, "started")
    users = jobs["user"].astype(str).to_numpy()
    first, last = [], []
    for user in np.unique(users):
        of_user = users == user
        if np.isnan(due[of_user]).all():
            return None
        first.append(float(np.nanmin(due[of_user])))
        # A job that did not start kept waiting.
        last.append(float(np.where(np.isnan(started[of_user]), np.inf, started[of_user]).max()))
    if len(first) < 2:
        return None
    start, end = max(first), min(last)
    if np.isinf(end):
        end = float(np.nanmax(started)) if not np.isnan(started).all() else start
    return (start, end) if end > start else None


def use_of_users(jobs: pd.DataFrame, start: float, end: float) -> dict[str, float]:
    """Processor-seconds that each user's ranks were busy between two instants (s)."""
    return {
        str(user): busy_core_seconds(rows, start, end)
        for user, rows in jobs.groupby(jobs["user"].astype(str), sort=True)
    }


def sharing(jobs: pd.DataFrame, shares: Mapping[str, float]) -> dict[str, float | None]:
    """How use follows shares while all users have jobs that wait (`contended`).

    Parameters
    ----------
    jobs : pandas.DataFrame
        Rows of the jobs table.
    shares : mapping of str to float
        Each user's share; users that are not in it have equal shares.

    Returns
    -------
    dict
        `share_jain`, Jain's index [1]_ over users of use / share: 1 where each user's use is its
        share, 1/n where one has all; `share_gap`, the largest distance of a user's part of the use
        from its share, 0 to 1.
    """
    nothing: dict[str, float | None] = {"share_jain": None, "share_gap": None}
    window = contended(jobs)
    if window is None:
        return nothing
    use = use_of_users(jobs, *window)
    total = sum(use.values())
    if total <= 0:
        return nothing
    wanted: Floats = np.array([shares.get(user, 1.0 / len(use)) for user in use])
    wanted = wanted / wanted.sum()
    part = np.array(list(use.values())) / total
    return {
        "share_jain": jain(part / wanted),
        "share_gap": float(np.abs(part - wanted).max()),
    }
