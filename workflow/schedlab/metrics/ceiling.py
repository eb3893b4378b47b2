"""The submitter's ceiling: the rate at which the driver can submit if nothing is scheduled.

Trials whose scheduler ends jobs without their payload measure only the driver, its connections and
the head. With the same driver, workload and machine, no scheduler can get jobs at a higher rate. So
this rate is drawn as a bound, and is not one of the compared series. That of an import bounds
nothing but the import, whose host is another, and that of one size of the head no other size.
"""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
import pandas as pd

from schedlab.metrics.levels import over_trials
from schedlab.metrics.statistics import Interval

WANTED = 5.0
"""Least ratio of the ceiling to the fastest scheduler's rate. Below this ratio, the submitter may
limit that scheduler."""
SAME = ["workload", "nodes", "source", "head"]
"""Columns in which trials have to agree for one ceiling."""
_SIZES = {"cpus": "processors", "memory_mib": "MiB"}
"""Key of a machine's declared size -> its unit."""


class Ceiling(NamedTuple):
    """Ceiling of one workload and node count.

    Parameters
    ----------
    workload : str
        Name of the workload.
    nodes : int
        Compute nodes.
    source, head : str
        Import and size of the head that it was measured with; see `with_submitter`.
    rate : Interval
        Submissions accepted per second: geometric mean over the valid trials, of several equal
        clusters over these.
    fastest : str
        Scheduler with the highest rate of completed jobs; empty where none is known.
    fastest_rate : float or None
        Geometric mean of its rate, 1/s, from the first submission to the last completion.
    ratio : float or None
        Ratio of the ceiling to the fastest rate; it should be at least `WANTED`.
    """

    workload: str
    nodes: int
    source: str
    head: str
    rate: Interval
    fastest: str
    fastest_rate: float | None
    ratio: float | None


def with_payload(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials whose jobs ran their payload: those that are compared."""
    return trials[trials["payload"].fillna(value=True).astype(bool)]


def with_submitter(trials: pd.DataFrame) -> pd.DataFrame:
    """Return trials with what their submitter's ceiling depends on, the columns `SAME`.

    `source` is the import, empty for one's own trials; `head` is the size of the head in words,
    empty where no record tells.
    """
    return trials.assign(
        workload=trials["workload"].astype(str),
        nodes=trials["nodes"].astype(int),
        source=trials["source"].fillna("").astype(str),
        head=[_head(text) for text in trials["conditions"]],
    )


def _head(conditions: object) -> str:
    if not isinstance(conditions, str):
        return ""
    found = json.loads(conditions).get("declared", {}).get("head", {})
    sizes = [f"{found[key]} {unit}" for key, unit in _SIZES.items() if key in found]
    return ", ".join(sizes)


def ceilings(trials: pd.DataFrame) -> list[Ceiling]:
    """Ceiling of every workload, node count, import and size of the head that has one, in order.

    Parameters
    ----------
    trials : pandas.DataFrame
        The trials table.
    """
    valid = with_submitter(trials[trials["valid"].astype(bool)])
    measured = with_payload(valid)
    found = []
    for key, group in valid.drop(measured.index).groupby(SAME, sort=True, observed=True):
        rate = _rate(group, "submission_rate_jobs_per_s")
        if rate.estimate is None:
            continue
        same = measured[(measured[SAME] == list(key)).all(axis="columns")]
        others = {
            str(name): estimate
            for name, rows in same.groupby("scheduler", observed=True)
            if (estimate := _rate(rows, "throughput_jobs_per_s").estimate)
        }
        fastest = max(others, key=others.__getitem__, default="")
        best = others.get(fastest)
        ratio = rate.estimate / best if best else None
        workload, nodes, source, head = map(str, key)
        rest = (rate, fastest, best, ratio)
        found.append(Ceiling(workload, int(nodes), source, head, *rest))
    return found


def _rate(trials: pd.DataFrame, column: str) -> Interval:
    clusters = trials.groupby(["cluster", "snapshot"], observed=True, dropna=False)
    groups = [
        pd.to_numeric(own[column]).to_numpy(dtype=np.float64, na_value=np.nan)
        for _, own in clusters
    ]
    return over_trials(groups, "log")
