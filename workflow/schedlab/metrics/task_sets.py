"""Constant-time task sets: trials of several n with the same n t, and Reuther's model of them.

The overhead of a trial is dT = T - n t: its makespan T less the time that n tasks of t s take on
each processor. Trials of the kind `constant` on one cluster are a set if their n t are equal, as in
the paper, so that n alone differs; to them dT = t_s n^a is fitted (`schedlab.metrics.overhead`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from schedlab.metrics.growth import SIZES, means, power_law
from schedlab.metrics.overhead import Overhead, no_model
from schedlab.metrics.statistics import Floats
from schedlab.metrics.whole_runs import alone, whole

KIND = "constant"
SAME_WORK = 0.01
"""Relative difference up to which n t count as equal: t is written with few digits."""


@dataclass(frozen=True)
class TaskSet:
    """A set on one cluster, with its model.

    Parameters
    ----------
    scheduler, cluster : str
        The cluster.
    nodes : int
        Compute nodes.
    work : float
        Processor time n t on each processor, s: the mean over trials.
    tasks, overhead : numpy.ndarray
        n and dT (s) of each trial that counts.
    left_out : str
        How many other trials there are, and why they do not count.
    model : Overhead
        Without estimates where `why` says something.
    why : str
        Why there is no model; empty where there is one.
    bends : bool or None
        The trials show that no single power law holds over these n; None: 3 trials cannot show it.
    """

    scheduler: str
    cluster: str
    nodes: int
    work: float
    tasks: Floats
    overhead: Floats
    left_out: str
    model: Overhead
    why: str
    bends: bool | None


def task_sets(trials: pd.DataFrame) -> list[TaskSet]:
    """Sets of the trials table, in order of cluster and n t.

    Trials beside a background and with a fault are of no set.

    Parameters
    ----------
    trials : pandas.DataFrame
        Rows of the trials table whose jobs ran a payload, without steps of searches.
    """
    own = alone(trials[trials["kind"] == KIND])
    own = own.assign(
        # All tasks are there at once and fill the machine, so the area bound is n t.
        _work=own["area_bound_s"].astype(float),
        _tasks=own["jobs"].astype(float) / own["cores"].astype(float),
    ).dropna(subset=["_work", "_tasks"])
    found = []
    for _, of_cluster in own.groupby(["scheduler", "nodes", "cluster"], sort=True, observed=True):
        labels = _equal(of_cluster["_work"].to_numpy(dtype=np.float64))
        found += [_set(rows) for _, rows in of_cluster.groupby(labels, sort=True)]
    return found


def _equal(work: Floats) -> npt.NDArray[np.int64]:
    """Number the groups of equal n t (`SAME_WORK`), from the smallest on."""
    labels, first = np.zeros(work.size, dtype=np.int64), -np.inf
    number = -1
    for place in np.argsort(work, kind="stable"):
        if work[place] > first * (1 + SAME_WORK) or number < 0:
            number, first = number + 1, float(work[place])
        labels[place] = number
    return labels


def _set(rows: pd.DataFrame) -> TaskSet:
    good, left_out = whole(rows)
    tasks = good["_tasks"].to_numpy(dtype=np.float64)
    overhead = (good["makespan_s"].astype(float) - good["_work"]).to_numpy(dtype=np.float64)
    why = _why(good, tasks, overhead)
    bent: bool | None = False
    if why:
        model = no_model(tasks.size, why)
    else:
        # Trials of one snapshot share what is its own.
        model, bent = power_law(*means(tasks, overhead, good["snapshot"].to_numpy()))
    first = rows.iloc[0]
    return TaskSet(
        scheduler=str(first["scheduler"]),
        cluster=str(first["cluster"]),
        nodes=int(first["nodes"]),
        work=float(rows["_work"].mean()),
        tasks=tasks,
        overhead=overhead,
        left_out=left_out,
        model=model,
        why=why,
        bends=bent,
    )


def _why(good: pd.DataFrame, tasks: Floats, overhead: Floats) -> str:
    """Why no model can be fitted; empty where one can."""
    different = np.unique(tasks).size
    if not different:
        return "no trial counts"
    if different < SIZES:
        return f"too few: {different} different n, and {SIZES} are needed"
    if good.groupby("snapshot", dropna=False)["parent"].nunique(dropna=False).max() > 1:
        return "the trials ran on differently made clusters, which are not pooled"
    if lost := int((overhead <= 0).sum()):
        return (
            f"dT is not above 0 in {lost} of {overhead.size} trials, and no logarithm of it exists"
        )
    return ""
