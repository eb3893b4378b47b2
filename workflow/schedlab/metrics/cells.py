"""Estimates over repetitions: one cell is one workload on one cluster, its replicates are trials.

Costs (times, processor time) are summarised by their arithmetic mean, rates over equal work by
their harmonic mean, and ratios by the ratio of the sums that they are made of, never by a mean of
ratios (Hoefler & Belli, SC15, rules 3 and 4). Trials that failed their gate are left out of the
estimate and counted.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from schedlab.errors import SchedlabError
from schedlab.metrics.difference import Comparison, compare, compare_ratios
from schedlab.metrics.statistics import (
    Floats,
    Interval,
    bootstrap_interval,
    rate_interval,
    ratio_interval,
)


class Quantity(NamedTuple):
    """A metric of trials that is summarised over them.

    Parameters
    ----------
    column : str
        Column of the trials table.
    title : str
        For headings and axes.
    unit : str
        Unit; `1` for ratios.
    kind : {"cost", "rate", "ratio"}
        Decides how trials are summarised.
    weight : str
        For ratios: the column that the ratio's denominator is proportional to.
    """

    column: str
    title: str
    unit: str
    kind: Literal["cost", "rate", "ratio"]
    weight: str = ""


QUANTITIES: dict[str, Quantity] = {
    "throughput": Quantity("throughput_jobs_per_s", "Throughput", "jobs/s", "rate"),
    "makespan": Quantity("makespan_s", "Makespan", "s", "cost"),
    "ideal_makespan": Quantity("ideal_makespan_s", "Ideal makespan", "s", "cost"),
    "wait_median": Quantity("wait_median_s", "Median wait", "s", "cost"),
    "wait_mean": Quantity("wait_mean_s", "Mean wait", "s", "cost"),
    "launch_median": Quantity("launch_median_s", "Median launch latency", "s", "cost"),
    "bounded_slowdown": Quantity("bounded_slowdown_mean", "Mean bounded slowdown", "1", "cost"),
    "utilisation": Quantity("utilisation", "Utilisation", "1", "ratio", "makespan_s"),
    "scheduler_cpu_per_job": Quantity(
        "scheduler_cpu_per_job_s", "Scheduler's processor time per job", "s", "cost"
    ),
    "lateness_median": Quantity("lateness_median_s", "Median submission lateness", "s", "cost"),
}

MAIN_QUANTITIES = (
    "throughput",
    "makespan",
    "ideal_makespan",
    "wait_median",
    "launch_median",
    "bounded_slowdown",
    "utilisation",
    "scheduler_cpu_per_job",
)
"""Quantities of the report's main table."""

CELL = ["scheduler", "cluster", "workload", "nodes"]


def summary_interval(trials: pd.DataFrame, quantity: str) -> Interval:
    """Estimate of a quantity over the valid trials of one cell, with its interval.

    Parameters
    ----------
    trials : pandas.DataFrame
        Rows of the trials table, all of one cell.
    quantity : str
        Key of `QUANTITIES`.

    Returns
    -------
    Interval
        Without bounds for fewer than three valid trials.
    """
    wanted = QUANTITIES[quantity]
    if wanted.kind == "rate":
        rates = _values(trials, wanted.column)
        if (rates == 0).any():
            # The limit of the harmonic mean as one rate goes to 0.
            note = f"no job completed in {(rates == 0).sum()} trials"
            return Interval(0.0, None, None, int((~np.isnan(rates)).sum()), "none", note)
        return rate_interval(rates)
    if wanted.kind == "ratio":
        return ratio_interval(*_parts(trials, wanted))
    return bootstrap_interval(_values(trials, wanted.column))


def summary_difference(a: pd.DataFrame, b: pd.DataFrame, quantity: str) -> Comparison:
    """Difference of the estimates of two groups of trials, a minus b, over their valid trials.

    Parameters
    ----------
    a, b : pandas.DataFrame
        Rows of the trials table, those of each all of one cell.
    quantity : str
        Key of `QUANTITIES`; its kind decides which estimates are subtracted.
    """
    wanted = QUANTITIES[quantity]
    if wanted.kind == "ratio":
        return compare_ratios(_parts(a, wanted), _parts(b, wanted))
    statistic: Any = stats.hmean if wanted.kind == "rate" else np.mean
    return compare(_values(a, wanted.column), _values(b, wanted.column), statistic)


def _values(trials: pd.DataFrame, column: str) -> Floats:
    """Values of the valid trials; NaN where one is missing."""
    valid = trials[trials["valid"].astype(bool)]
    return pd.to_numeric(valid[column]).to_numpy(dtype=np.float64, na_value=np.nan)


def _parts(trials: pd.DataFrame, quantity: Quantity) -> tuple[Floats, Floats]:
    """Numerators and denominators of a ratio, up to one factor that all trials share."""
    weights = _values(trials, quantity.weight)
    return _values(trials, quantity.column) * weights, weights


def require_one_make(trials: pd.DataFrame, cell: str) -> None:
    """Refuse to pool trials that ran on differently made clusters.

    Raises
    ------
    SchedlabError
        When the trials of a cell name more than one record of their cluster.
    """
    parents = trials["parent"].nunique(dropna=False)
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
    for key, group in trials.groupby(CELL, sort=False, observed=True):
        require_one_make(group, " ".join(map(str, key)))
        interval = summary_interval(group, quantity)
        good = group[group["valid"].astype(bool)]
        rows.append(
            {
                **dict(zip(CELL, key if isinstance(key, tuple) else (key,), strict=True)),
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
