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

import numpy as np
import pandas as pd

from schedlab.metrics.bounds import Bounded, Floats
from schedlab.metrics.definitions import steady_window
from schedlab.metrics.intervals import Waiting, area, fitting_idle, steps
from schedlab.metrics.jobs import makespan, rank_seconds, seconds


def processors(jobs: pd.DataFrame) -> Floats:
    """Array (jobs,) of the processors requested over all nodes."""
    product = pd.to_numeric(jobs["nodes"]) * pd.to_numeric(jobs["cpus"])
    return product.to_numpy(dtype=np.float64, na_value=np.nan)


def processors_mean(jobs: pd.DataFrame) -> float | None:
    """Mean processors of a job; None where no job tells."""
    known = processors(jobs)
    known = known[~np.isnan(known)]
    return float(known.mean()) if known.size else None


def rank_intervals(jobs: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
    """First and last instruction (s) of every rank of every job, and its processors: (ranks,)."""
    start, ranks = rank_seconds(jobs, "rank_started")
    end, _ = rank_seconds(jobs, "rank_finished")
    cpus = pd.to_numeric(jobs["cpus"]).to_numpy(dtype=np.float64, na_value=np.nan)
    return start, end, np.repeat(cpus, ranks)


def busy_cores(jobs: pd.DataFrame) -> pd.DataFrame:
    """Busy cores over time, a step function.

    A rank is busy on its processors from its first instruction to its last.

    Returns
    -------
    pandas.DataFrame
        `t` (s since the trial's start, increasing, each once) and `cores`, which holds from this
        row's `t` to the next row's; the last row has 0.
    """
    t, cores = steps(*rank_intervals(jobs))
    return pd.DataFrame({"t": t, "cores": cores})


def busy_core_seconds(jobs: pd.DataFrame, start: float, end: float) -> float:
    """Core seconds that ranks were busy between two instants (s since the trial's start)."""
    return area(*rank_intervals(jobs), start, end)


def utilisation(jobs: pd.DataFrame, cores: int, end: float | None = None) -> Bounded:
    """Busy part of the machine over the makespan, sum(p r) / (P makespan) [1]_, rank by rank.

    It is a lower bound if a job began and had not finished, because its ranks are not counted. Of
    jobs that never began nothing is known: `schedlab.metrics.whole_runs.not_ended` tells of them.

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
    running = np.isnan(seconds(jobs, "finished")) & ~np.isnan(seconds(jobs, "started"))
    busy = busy_core_seconds(jobs, start, start + window)
    return Bounded(busy / (cores * window), bool(running.any()))


def utilisation_steady(jobs: pd.DataFrame, cores: int) -> float | None:
    """Busy part of the machine in the steady state (`steady_window`), without ramps."""
    window = steady_window(seconds(jobs, "started"))
    if window is None:
        return None
    return busy_core_seconds(jobs, *window) / (cores * (window[1] - window[0]))


def fragmentation(jobs: pd.DataFrame, cores: int, end: float | None = None) -> float | None:
    """Idle core time while some job that would fit into the idle cores waits, over all core time.

    Cores count as taken from allocation to completion (if unknown: from the first to the last
    instruction). Jobs count as waiting from acceptance to allocation, or to their end if they were
    never allocated. The window is the makespan. This is evalys' definition of fragmentation,
    restricted to instants at which a waiting job fits.
    """
    window = makespan(jobs, end).value
    if not window:
        return None
    since, size = seconds(jobs, "accepted"), processors(jobs)
    given = _first_of(seconds(jobs, "allocated"), seconds(jobs, "started"))
    freed = _first_of(seconds(jobs, "completed"), seconds(jobs, "finished"))
    known = ~np.isnan(since) & ~np.isnan(size)
    since, given, freed, size = since[known], given[known], freed[known], size[known]
    # One that got no cores waited until it left; one that did not leave waits, or holds its cores.
    until = np.maximum(since, _first_of(_first_of(given, freed), np.full(since.size, np.inf)))
    held = np.maximum(until, np.where(np.isnan(freed), np.inf, freed))
    held[np.isnan(given)] = np.nan
    start = float(np.nanmin(seconds(jobs, "submit")))
    lost = fitting_idle(Waiting(since, until, held, size), cores, start, start + window)
    return lost / (cores * window)


def _first_of(preferred: Floats, other: Floats) -> Floats:
    return np.where(np.isnan(preferred), other, preferred)
