"""Estimates over repetitions: one cell is one workload on one cluster, its replicates are trials.

`schedlab.metrics.quantities` says how a quantity is summarised. Invalid trials are left out of the
estimates, and counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from schedlab.errors import SchedlabError
from schedlab.metrics.levels import TwoLevels, two_levels
from schedlab.metrics.quantities import QUANTITIES, values_of
from schedlab.metrics.searches import without_searches
from schedlab.metrics.statistics import Interval, t_interval, within

CELL = ["scheduler", "cluster", "workload", "nodes"]


def by_cell(
    trials: pd.DataFrame, keys: Sequence[str] = CELL
) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Yield the trials of each cell that repeat one another, in order of its names.

    Steps of searches are left out, because they differ in their rates. Whatever summarises,
    compares or counts the replicates of cells groups them here.

    Parameters
    ----------
    trials : pandas.DataFrame
        The trials table.
    keys : sequence of str
        Columns that name a cell.
    """
    repeated = without_searches(trials)
    for key, group in repeated.groupby(list(keys), sort=True, observed=True):
        yield key if isinstance(key, tuple) else (key,), group


def summary_interval(trials: pd.DataFrame, quantity: str) -> Interval:
    """Estimate of a quantity over the valid trials of one cell, with its interval.

    Parameters
    ----------
    trials : pandas.DataFrame
        Rows of the trials table, all of one cell.
    quantity : str
        Key of `schedlab.metrics.quantities.QUANTITIES`.

    Returns
    -------
    Interval
        Without bounds for fewer than three valid trials. For several equal clusters it comes from
        :mod:`schedlab.metrics.levels`.
    """
    wanted = QUANTITIES[quantity]
    valid = trials[trials["valid"].astype(bool)]
    if valid["snapshot"].nunique() > 1:
        found = over_clusters(valid, quantity).interval
        return within(found, wanted.least, wanted.limit)
    values = values_of(valid, quantity)
    return t_interval(values, wanted.scale, least=wanted.least, limit=wanted.limit)


def over_clusters(trials: pd.DataFrame, quantity: str) -> TwoLevels:
    """Estimate of a quantity over the equal clusters of one cell, with its variances.

    Parameters
    ----------
    trials : pandas.DataFrame
        Rows of the trials table, all of one cell and valid.
    quantity : str
        Key of `schedlab.metrics.quantities.QUANTITIES`.
    """
    groups = [
        values_of(rows, quantity) for _, rows in trials.groupby("snapshot", sort=True, dropna=False)
    ]
    return two_levels(groups, QUANTITIES[quantity].scale)


def require_one_make(trials: pd.DataFrame, cell: str) -> None:
    """Refuse to pool trials that ran on differently made clusters.

    Raises
    ------
    SchedlabError
        When trials on the same cluster of a cell name different records of that cluster.
    """
    parents = trials.groupby("snapshot", dropna=False)["parent"].nunique(dropna=False).max()
    if parents > 1:
        raise SchedlabError(
            f"trials of {cell} ran on {parents} differently made clusters: they are not pooled",
            remedy="run snakemake to its end, so that all trials are of the present cluster",
        )


def cells(trials: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Estimates of a quantity for every cell.

    Returns
    -------
    pandas.DataFrame
        One row a cell: `scheduler`, `cluster`, `workload`, `nodes`, `trials` (all), `valid`,
        `estimate`, `low`, `high` (NaN where there is none), `n`, `method`, `note`, and of the
        valid trials: `jobs`, `completed` (in all), `at_least` and `withheld` (number of trials of
        which the value is a lower bound, or was withheld); in order of workload, scheduler, nodes.

    Raises
    ------
    SchedlabError
        When trials of one cell ran on differently configured clusters.
    """
    rows: list[dict[str, Any]] = []
    for key, group in by_cell(trials):
        require_one_make(group, " ".join(map(str, key)))
        interval = summary_interval(group, quantity)
        good = group[group["valid"].astype(bool)]
        rows.append(
            {
                **dict(zip(CELL, key, strict=True)),
                "trials": len(group),
                "valid": int(group["valid"].sum()),
                "estimate": _number(interval.estimate),
                "low": _number(interval.low),
                "high": _number(interval.high),
                "n": interval.n,
                "method": interval.method,
                "note": interval.note,
                "jobs": int(good["jobs"].sum()),
                "completed": int(good["completed"].sum()),
                "at_least": int(named(good, "at_least", QUANTITIES[quantity].column).sum()),
                "withheld": int(named(good, "withheld", QUANTITIES[quantity].column).sum()),
            }
        )
    columns = [*CELL, "trials", "valid", "estimate", "low", "high", "n", "method", "note"]
    columns += ["jobs", "completed", "at_least", "withheld"]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(["workload", "scheduler", "nodes"], ignore_index=True)


def named(trials: pd.DataFrame, words: str, column: str) -> npt.NDArray[np.bool_]:
    """Tell of each trial whether its list of words (`at_least`, `withheld`) names a column."""
    found = [column in (names if names is not None else ()) for names in trials[words]]
    return np.array(found, dtype=bool)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
