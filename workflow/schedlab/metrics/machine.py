"""Metrics of the machine in one trial: utilisation, fragmentation.

Functions of the jobs table's rows as in `schedlab.metrics.jobs`; P is the number of cores of all
the compute nodes, p the processors of a job (`nodes` x `cpus`, as requested), of which each rank
has `cpus`. Without gangs a job's ranks need not run at the same time, so busy time is summed over
the ranks; for ranks that run together the sum is p r.

References
----------
.. [1] D. G. Feitelson, L. Rudolph, "Metrics and Benchmarking for Parallel Job Scheduling",
   JSSPP 1998, LNCS 1459.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from schedlab.metrics.bounds import Bounded, Floats
from schedlab.metrics.definitions import steady_window
from schedlab.metrics.durations import instants
from schedlab.metrics.intervals import Waiting, Whole, area, fitting_idle, steps
from schedlab.metrics.jobs import first_after, makespan, rank_seconds, seconds
from schedlab.schedulers.base import UNFINISHED


def processors(jobs: pd.DataFrame) -> Floats:
    """Array (jobs,) of the processors requested over all nodes."""
    product = pd.to_numeric(jobs["nodes"]) * pd.to_numeric(jobs["cpus"])
    return product.to_numpy(dtype=np.float64, na_value=np.nan)


def processors_mean(jobs: pd.DataFrame) -> float | None:
    """Mean processors of a job; None where no job tells."""
    known = processors(jobs)
    known = known[~np.isnan(known)]
    return float(known.mean()) if known.size else None


class Ranks(NamedTuple):
    """When ranks were busy: arrays (ranks,).

    Attributes
    ----------
    start, end : numpy.ndarray
        s since the trial's start; `end` is NaN where no record tells it.
    cpus : numpy.ndarray
        Processors of each.
    job : numpy.ndarray
        Place of its job in the table.
    """

    start: Floats
    end: Floats
    cpus: Floats
    job: Whole

    @property
    def known(self) -> Ranks:
        """Those whose end is known."""
        there = ~np.isnan(self.end)
        start, end, cpus, job = self
        return self if there.all() else Ranks(start[there], end[there], cpus[there], job[there])


def busy_ranks(jobs: pd.DataFrame, end: float | None = None) -> Ranks:
    """When every rank of every job was busy.

    A rank is busy from its first instruction to its last. One that stamped no last one was busy
    until the scheduler gave up that run, or said that the job had completed; without either until
    the end of the observed time, if the job was not over then.

    Parameters
    ----------
    jobs : pandas.DataFrame
        Rows of the jobs table.
    end : float or None
        Until when jobs were observed, s since the trial's start.
    """
    start, count = rank_seconds(jobs, "rank_started")
    last, _ = rank_seconds(jobs, "rank_finished")
    numbers = np.arange(len(jobs))
    job = np.repeat(numbers, count)
    if "rank_open" in jobs:
        begun, count = rank_seconds(jobs, "rank_open")
        of = np.repeat(numbers, count)
        # What was given up before this rank began was another run.
        given_up = first_after(jobs["given_up"], of, begun)
        until = np.fmin(seconds(jobs, "completed")[of], given_up)
        runs = np.isnan(until) & (jobs["state"] == UNFINISHED).to_numpy(dtype=bool)[of]
        until[runs] = np.nan if end is None else end
        start, job = np.concatenate([start, begun]), np.concatenate([job, of])
        last = np.concatenate([last, np.maximum(until, begun)])
    cpus = pd.to_numeric(jobs["cpus"]).to_numpy(dtype=np.float64, na_value=np.nan)
    return Ranks(start, last, cpus[job], job)


def busy_cores(jobs: pd.DataFrame, end: float | None = None) -> pd.DataFrame:
    """Busy cores over time (`busy_ranks`), a step function.

    Returns
    -------
    pandas.DataFrame
        `t` (s since the trial's start, increasing, each once) and `cores`, which holds from this
        row's `t` to the next row's; the last row has 0.
    """
    t, cores = steps(*busy_ranks(jobs, end).known[:3])
    return pd.DataFrame({"t": t, "cores": cores})


def busy_core_seconds(
    jobs: pd.DataFrame, start: float, stop: float, end: float | None = None
) -> Bounded:
    """Core seconds that ranks were busy between two instants (s since the trial's start).

    At least so many, if the end of a rank that began before the second one is not known.
    """
    ranks = busy_ranks(jobs, end)
    unknown = np.isnan(ranks.end) & (ranks.start < stop)
    return Bounded(area(*ranks.known[:3], start, stop), bool(unknown.any()))


def utilisation(jobs: pd.DataFrame, cores: int, end: float | None = None) -> Bounded:
    """Busy part of the machine over the makespan, sum(p r) / (P makespan) [1]_, rank by rank.

    Ranks that still ran count until the end of the observed time. It is a lower bound if no record
    says until when a rank ran. Of jobs that never began nothing is known:
    `schedlab.metrics.whole_runs.not_ended` tells of them.

    Parameters
    ----------
    jobs : pandas.DataFrame
        Rows of the jobs table.
    cores : int
        Cores P of all the compute nodes.
    end : float or None
        Until when jobs were observed, s since the trial's start.
    """
    window = makespan(jobs, end).value
    if not window:
        return Bounded(None)
    start = float(np.nanmin(seconds(jobs, "submit")))
    return _part(busy_core_seconds(jobs, start, start + window, end), cores * window)


def utilisation_steady(jobs: pd.DataFrame, cores: int, end: float | None = None) -> Bounded:
    """Busy part of the machine in the steady state (`steady_window`), without ramps."""
    window = steady_window(seconds(jobs, "started"))
    if window is None:
        return Bounded(None)
    return _part(busy_core_seconds(jobs, *window, end), cores * (window[1] - window[0]))


def _part(busy: Bounded, whole: float) -> Bounded:
    return Bounded((busy.value or 0.0) / whole, busy.at_least)


def fragmentation(jobs: pd.DataFrame, cores: int, end: float | None = None) -> float | None:
    """Idle core time while some job that would fit into the idle cores waits, over all core time.

    Cores count as taken from allocation to completion (if unknown: from the first to the last
    instruction). Jobs count as waiting from acceptance (those that run after others: from the end
    of these) to allocation, or to their end if they were never allocated. A run that was given up
    left its cores then, and its job waits for the next one from then on. The window is the
    makespan. This is evalys' definition of fragmentation, restricted to instants at which a waiting
    job fits.

    Parameters
    ----------
    jobs : pandas.DataFrame
        Rows of the jobs table.
    cores : int
        Cores of all the compute nodes that no background takes: the others are never idle.
    end : float or None
        Until when jobs were observed, s since the trial's start.
    """
    window = makespan(jobs, end).value
    if not window:
        return None
    since, given, freed, size = _runs(jobs)
    known = ~np.isnan(since) & ~np.isnan(size)
    since, given, freed, size = since[known], given[known], freed[known], size[known]
    # One that got no cores waited until it left; one that did not leave waits, or holds its cores.
    until = np.maximum(since, _first_of(_first_of(given, freed), np.full(since.size, np.inf)))
    held = np.maximum(until, np.where(np.isnan(freed), np.inf, freed))
    held[np.isnan(given)] = np.nan
    start = float(np.nanmin(seconds(jobs, "submit")))
    lost = fitting_idle(Waiting(since, until, held, size), cores, start, start + window)
    return lost / (cores * window)


def _runs(jobs: pd.DataFrame) -> tuple[Floats, Floats, Floats, Floats]:
    """When jobs began to wait for cores, got them and left them (s), and how many: one row a run.

    No record has the allocations of runs before the last one, so a job of which a run was given up
    gets its cores when it starts.
    """
    since, size = instants(jobs, "accepted") / 1e9, processors(jobs)
    started = seconds(jobs, "started")
    given = _first_of(seconds(jobs, "allocated"), started)
    # One that was never due, as what it runs after never ended, waits for no cores.
    since[np.isnan(given) & np.isnan(seconds(jobs, "intended"))] = np.nan
    freed = _first_of(seconds(jobs, "completed"), seconds(jobs, "finished"))
    further: list[tuple[float, float, float, float]] = []
    lists = zip(jobs["given_up"], jobs["restarts"], strict=True) if "given_up" in jobs else ()
    for place, runs in enumerate(lists):
        ends, starts = ([] if one is None else [ns / 1e9 for ns in one] for one in runs)
        begun, last = started[place], freed[place]
        gave = next((end for end in ends if end >= begun), None)
        if gave is not None:
            given[place], freed[place] = begun, gave
        while gave is not None:
            again = next((start for start in starts if start >= gave), np.nan)
            then = next((end for end in ends if end >= again and end > gave), None)
            further.append((gave, again, last if then is None else then, size[place]))
            gave = then
    more = np.array(further).reshape(-1, 4).T
    columns = zip((since, given, freed, size), more, strict=True)
    of_runs = tuple(np.concatenate(both) for both in columns)
    return of_runs[0], of_runs[1], of_runs[2], of_runs[3]


def _first_of(preferred: Floats, other: Floats) -> Floats:
    return np.where(np.isnan(preferred), other, preferred)
