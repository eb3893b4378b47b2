"""How a scheduler treats urgent jobs, wide jobs and users, from the rows of the jobs table.

Every measure is of what jobs saw, and needs no knowledge of the scheduler. Instants as in
`schedlab.metrics.jobs`; None where a trial has no such jobs.

References
----------
.. [1] R. Jain, D. Chiu, W. Hawe, "A Quantitative Measure of Fairness and Discrimination for
   Resource Allocation in Shared Computer Systems", DEC-TR-301, 1984.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from schedlab.metrics.bounds import Bounded, Floats, quantile
from schedlab.metrics.definitions import jain
from schedlab.metrics.durations import instants, nanoseconds, times
from schedlab.metrics.intervals import occupied, steps
from schedlab.metrics.jobs import seconds
from schedlab.metrics.machine import busy_ranks, processors
from schedlab.schedulers.base import NOT_SUBMITTED, REJECTED

Chosen = npt.NDArray[np.bool_]

_RESOLUTION = re.compile(r"\((\d+) (ns|us|ms|s)\)")
"""Resolution of an instant, as its source tells."""
_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


def urgent(jobs: pd.DataFrame, user: str | None = None) -> Chosen:
    """Urgent jobs (jobs,).

    Parameters
    ----------
    jobs : pandas.DataFrame
        Rows of the jobs table.
    user : str or None
        User of the urgent jobs, where the kind of the workload has one: these are urgent whatever
        their priority is, so that the same jobs without priority can be compared. None: the jobs of
        the highest priority, and none where all have the same.
    """
    if user is not None:
        chosen: Chosen = (jobs["user"] == user).to_numpy(dtype=bool)
        return chosen
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
    """Mean, over chosen jobs, of the others that were placed while each of them waited.

    Of other jobs that were due before it, an urgent job may be overtaken too: what counts is who
    was placed after its due instant and before it was. A job is placed when the scheduler allocates
    its nodes, because jobs of one scheduling cycle start in any order; where the record of either
    job lacks that instant, when it starts. Placed before is placed earlier by more than the
    resolution of these records, below which they do not tell an order. A job that was not placed is
    overtaken by all that were placed after it was due.

    Returns
    -------
    float or None
        Number of jobs; None without chosen jobs that were due.
    """
    due = instants(jobs, "intended")
    since = due[chosen]
    if np.isnan(since).all():
        return None
    allocated, started = nanoseconds(jobs, "allocated"), nanoseconds(jobs, "started")
    told = ~np.isnan(allocated)
    placed = np.where(told, allocated, started)
    by_allocation, by_start = (_resolution(jobs, name) for name in ("allocated", "started"))
    passed = np.zeros(since.size)
    # Of the chosen jobs: those whose allocation is known, those that only started, and neither.
    known = told[chosen]
    never = np.isnan(placed[chosen])
    for of, others, until, tolerance in (
        (known, allocated[~chosen & told], allocated, by_allocation),
        (known, started[~chosen & ~told], started, by_start),
        (~known & ~never, started[~chosen], started, by_start),
        (never, placed[~chosen], np.full(due.size, np.inf), 0.0),
    ):
        # One that was allocated and never started is overtaken by all whose start alone is known.
        last = np.where(np.isnan(until[chosen][of]), np.inf, until[chosen][of]) - tolerance
        passed[of] += _between(others, since[of], last)
    return float(passed[~np.isnan(since)].mean())


def _between(values: Floats, since: Floats, until: Floats) -> Floats:
    """How many values lie after `since` and before `until`, for each pair of these."""
    ordered = np.sort(values[~np.isnan(values)])
    count = np.searchsorted(ordered, until, "left") - np.searchsorted(ordered, since, "right")
    positive: Floats = np.maximum(count, 0).astype(np.float64)
    return positive


def _resolution(jobs: pd.DataFrame, column: str) -> float:
    """Coarsest resolution (ns) of an instant, as the sources of these jobs tell it; 0 if none."""
    told = [_RESOLUTION.search(str(source)) for source in jobs[f"{column}_source"].unique()]
    return max((float(found[1]) * _NS[found[2]] for found in told if found), default=0.0)


class Intervals(NamedTuple):
    """Intervals of time (s), in order and apart: arrays (intervals,) of their begins and ends."""

    begin: Floats
    end: Floats

    @property
    def length(self) -> float:
        """Length of all of them together, s."""
        return float(np.sum(self.end - self.begin))

    def before(self, instant: Floats) -> Floats:
        """Length (s) of their parts before each instant."""
        edges = np.column_stack(self).ravel()
        inside = np.column_stack([np.zeros(self.begin.size), self.end - self.begin]).ravel()
        lengths: Floats = np.interp(instant, edges, np.cumsum(inside))
        return lengths


def contended(jobs: pd.DataFrame) -> Intervals:
    """Intervals of time in which every user has a job that waits.

    A job waits from when it was due, or `released`, until it starts. One that did not start waits
    as long as any job still starts; one that was rejected or never submitted does not wait.

    Returns
    -------
    Intervals
        None of them where there are fewer than two users, or some user never has to wait.
    """
    due, started = instants(jobs, "intended") / 1e9, seconds(jobs, "started")
    code, users = pd.factorize(jobs["user"].astype(str))
    last = float(np.nanmax(started)) if not np.isnan(started).all() else -np.inf
    until = np.where(np.isnan(started), last, started)
    waits = (until > due) & ~jobs["state"].isin((REJECTED, NOT_SUBMITTED)).to_numpy(dtype=bool)
    code, due, until = code[waits], due[waits], until[waits]
    order = np.argsort(code, kind="stable")
    places = np.split(order, np.flatnonzero(np.diff(code[order])) + 1)
    if len(users) < 2 or len(places) < len(users):
        return Intervals(np.zeros(0), np.zeros(0))
    begins, ends = zip(*(occupied(due[of], until[of]) for of in places), strict=True)
    begin, end = np.concatenate(begins), np.concatenate(ends)
    t, waiting = steps(begin, end, np.ones(begin.size))
    every = np.flatnonzero(waiting == len(users))
    return Intervals(t[every], t[every + 1])


def sharing(
    jobs: pd.DataFrame, shares: Mapping[str, float], end: float | None = None
) -> dict[str, float | None]:
    """How use follows shares while all users have jobs that wait (`contended`).

    A scheduler shares by what it starts. So that most of the use follows from what it started while
    all users waited, and not from before, these times must together be at least as long as a job
    holds a processor, on the mean over processors; otherwise there is no answer. Nor is there one
    where no record says until when a job of these times held its processors.

    Parameters
    ----------
    jobs : pandas.DataFrame
        Rows of the jobs table.
    shares : mapping of str to float
        Each user's share; users that are not in it have equal shares.
    end : float or None
        Until when jobs were observed, s since the trial's start; those that run hold their
        processors until then.

    Returns
    -------
    dict
        `share_jain`, Jain's index [1]_ over users of use / share: 1 where each user's use is its
        share, 1/n where one has all; `share_gap`, the largest distance of a user's part of the use
        from its share, 0 to 1.
    """
    nothing: dict[str, float | None] = {"share_jain": None, "share_gap": None}
    window = contended(jobs)
    ranks = busy_ranks(jobs, end)
    if not window.length or (ranks.start[np.isnan(ranks.end)] < window.end[-1]).any():
        return nothing
    start, until, cpus, job = ranks.known
    if not cpus.sum() > 0 or window.length < np.dot(until - start, cpus) / cpus.sum():
        return nothing
    code, users = pd.factorize(jobs["user"].astype(str), sort=True)
    held = (window.before(until) - window.before(start)) * cpus
    use = np.bincount(code[job], weights=held, minlength=len(users))
    if use.sum() <= 0:
        return nothing
    wanted: Floats = np.array([shares.get(str(user), 1.0 / len(users)) for user in users])
    wanted = wanted / wanted.sum()
    part = use / use.sum()
    return {
        "share_jain": jain(part / wanted),
        "share_gap": float(np.abs(part - wanted).max()),
    }
