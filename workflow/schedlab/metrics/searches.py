"""Searches for the highest sustained rate: their steps, the knee, and its interval."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from schedlab.metrics.ceiling import with_payload
from schedlab.metrics.statistics import MINIMUM, t_interval
from schedlab.workloads.ladder import Bracket, Step, bracket, steps_of


class Knee(NamedTuple):
    """Highest sustained rate of one cell.

    Attributes
    ----------
    workload, cluster, scheduler : str
        The cell.
    nodes : int
        Compute nodes.
    brackets : tuple of Bracket
        Of each search.
    estimate, low, high : float or None
        Geometric mean of the searches' middles, and its interval (1/s): of Student's t on
        logarithms from 3 searches on; of fewer, the brackets' own ends.
    bounded : str
        Which end of the ladder the knee lies beyond, in words; empty where it lies within.
    ceiling : float or None
        Rate that the cluster without a scheduler sustains, 1/s: the submitter's.
    """

    workload: str
    cluster: str
    scheduler: str
    nodes: int
    brackets: tuple[Bracket, ...]
    estimate: float | None
    low: float | None
    high: float | None
    bounded: str
    ceiling: float | None


def searched(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials that are steps of searches."""
    return trials[trials["search"].notna()]


def without_searches(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials of a cell that repeat one another: steps of searches differ in their rates."""
    return trials[trials["search"].isna()]


def of_knee(trials: pd.DataFrame, knee: Knee) -> pd.DataFrame:
    """Steps of the searches that a knee is of."""
    own = searched(trials)
    return own[(own["workload"] == knee.workload) & (own["cluster"] == knee.cluster)]


def steps(trials: pd.DataFrame) -> list[Step]:
    """Steps that trials of one search tell."""
    return steps_of(trials.to_dict("records"))


def knees(trials: pd.DataFrame) -> list[Knee]:
    """Knee of every cell of the trials table that was searched for one, in order of its name."""
    own = searched(trials)
    compared = with_payload(own)
    ceilings: dict[tuple[str, int], float] = {}
    for (workload, nodes), rows in own.drop(compared.index).groupby(
        ["workload", "nodes"], observed=True
    ):
        good = [step.rate for step in steps(rows) if step.sustained]
        if good:
            ceilings[str(workload), int(str(nodes))] = max(good)
    found = []
    for (workload, cluster), rows in compared.groupby(
        ["workload", "cluster"], sort=True, observed=True
    ):
        brackets = tuple(
            bracket(steps(of_search)) for _, of_search in rows.groupby("search", observed=True)
        )
        first = rows.iloc[0]
        nodes = int(first["nodes"])
        estimate, low, high = _interval(brackets)
        found.append(
            Knee(
                str(workload),
                str(cluster),
                str(first["scheduler"]),
                nodes,
                brackets,
                estimate,
                low,
                high,
                _bounded(brackets),
                ceilings.get((str(workload), nodes)),
            )
        )
    return found


def _interval(
    brackets: tuple[Bracket, ...],
) -> tuple[float | None, float | None, float | None]:
    """Estimate and interval of the knee."""
    middles = [one.middle for one in brackets if one.middle is not None]
    lows = [one.low for one in brackets if one.low is not None]
    highs = [one.high for one in brackets if one.high is not None]
    if not middles:
        return None, max(lows, default=None), min(highs, default=None)
    if len(middles) >= MINIMUM:
        found = t_interval(np.array(middles), "log")
        return found.estimate, found.low, found.high
    return float(np.exp(np.mean(np.log(middles)))), min(lows), max(highs)


def _bounded(brackets: tuple[Bracket, ...]) -> str:
    if any(one.middle is not None for one in brackets):
        return ""
    if any(one.low is not None for one in brackets):
        return "even the highest rate is sustained"
    return "not even the lowest rate is sustained" if any(one.high for one in brackets) else ""
