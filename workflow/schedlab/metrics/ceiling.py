"""The submitter's ceiling: the rate at which the driver can submit if nothing is scheduled.

Trials whose scheduler ends jobs without their payload measure only the driver, its connections and
the head. With the same driver, workload and machine, no scheduler can get jobs at a higher rate. So
this rate is drawn as a bound, and is not one of the compared series.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from schedlab.metrics.statistics import Interval, t_interval

WANTED = 5.0
"""Least ratio of the ceiling to the fastest scheduler's rate. Below this ratio, the submitter may
limit that scheduler."""


class Ceiling(NamedTuple):
    """Ceiling of one workload and node count.

    Parameters
    ----------
    workload : str
        Name of the workload.
    nodes : int
        Compute nodes.
    rate : Interval
        Submissions accepted per second: geometric mean over the valid trials.
    fastest : str
        Scheduler with the highest rate of completed jobs; empty where none is known.
    fastest_rate : float or None
        Geometric mean of its rate, 1/s, from the first submission to the last completion.
    ratio : float or None
        Ratio of the ceiling to the fastest rate; it should be at least `WANTED`.
    """

    workload: str
    nodes: int
    rate: Interval
    fastest: str
    fastest_rate: float | None
    ratio: float | None


def with_payload(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials whose jobs ran their payload: those that are compared."""
    return trials[trials["payload"].fillna(value=True).astype(bool)]


def ceilings(trials: pd.DataFrame) -> list[Ceiling]:
    """Ceiling of every workload and node count that has one, in their order.

    Parameters
    ----------
    trials : pandas.DataFrame
        The trials table.
    """
    valid = trials[trials["valid"].astype(bool)]
    measured = with_payload(valid)
    found = []
    for (workload, nodes), group in valid.drop(measured.index).groupby(
        ["workload", "nodes"], sort=True, observed=True
    ):
        rate = _rate(group, "submission_rate_jobs_per_s")
        if rate.estimate is None:
            continue
        same = measured[(measured["workload"] == workload) & (measured["nodes"] == nodes)]
        others = {
            str(name): estimate
            for name, rows in same.groupby("scheduler", observed=True)
            if (estimate := _rate(rows, "throughput_jobs_per_s").estimate)
        }
        fastest = max(others, key=others.__getitem__, default="")
        best = others.get(fastest)
        ratio = rate.estimate / best if best else None
        found.append(Ceiling(str(workload), int(str(nodes)), rate, fastest, best, ratio))
    return found


def _rate(trials: pd.DataFrame, column: str) -> Interval:
    values = pd.to_numeric(trials[column]).to_numpy(dtype=float, na_value=float("nan"))
    return t_interval(values, "log")
