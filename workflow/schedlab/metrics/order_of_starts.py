"""How much the order in which jobs start differs between trials of one trace.

It is the part of the pairs of jobs that started in the other order, (1 - tau) / 2 with Kendall's
tau [1]_, over pairs of trials that ran the same trace.

References
----------
.. [1] M. G. Kendall, "A New Measure of Rank Correlation", Biometrika 30, 1938.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from schedlab.metrics.levels import sampled
from schedlab.metrics.sides import clusters, over_clusters
from schedlab.metrics.statistics import Interval, t_interval

Starts = Mapping[str, pd.Series]
"""Trial -> instants of the starts of its jobs, by number of the job."""
_FEWEST_JOBS = 2


def starts_of(jobs: pd.DataFrame) -> dict[str, pd.Series]:
    """Trial -> instants of the starts of its jobs, by number of the job."""
    started = jobs[jobs["started"].notna()]
    return {
        str(trial): rows.set_index("job")["started"].astype("int64")
        for trial, rows in started.groupby("trial", observed=True)
    }


def swapped(first: pd.Series, second: pd.Series) -> float | None:
    """Part of the pairs of jobs that started in the other order, (1 - tau) / 2 [1]_.

    Parameters
    ----------
    first, second : pandas.Series
        Starts by number of the job; only jobs that started in both count.

    Returns
    -------
    float or None
        From 0, the same order, to 1, the reverse; None for fewer than two jobs.
    """
    from scipy.stats import kendalltau

    both = first.index.intersection(second.index)
    if len(both) < _FEWEST_JOBS:
        return None
    tau = float(kendalltau(first.loc[both], second.loc[both]).statistic)
    return None if np.isnan(tau) else (1 - tau) / 2


def between_trials(
    a: pd.DataFrame, b: pd.DataFrame, starts: Starts, *, paired: bool
) -> Interval | None:
    """Part of the pairs of jobs that started in the other order in trials of two sides.

    Parameters
    ----------
    a, b : pandas.DataFrame
        Rows of the trials table that are compared, in one order where they are pairs.
    starts : mapping
        See `starts_of`.
    paired : bool
        Whether they are pairs; otherwise all ran one trace.

    Returns
    -------
    Interval or None
        Over clusters where both sides have 3 or more, else over pairs of trials. None where some
        job started in one trial of a pair alone: it has no place in the order.
    """
    # Trials that all ran one trace have no partners of their own: each is in one pair all the same,
    # so that the pairs are independent.
    by_clusters = over_clusters(a, b)
    groups = _by_clusters(a, b, paired=paired) if by_clusters else [_pairs(a, b)]
    if any(_other_jobs(*pair, starts) for pairs in groups for pair in pairs):
        return None
    found = [_parts(pairs, starts) for pairs in groups]
    values = [float(np.mean(parts)) for parts in found if parts] if by_clusters else found[0]
    size = t_interval(values, "raw", least=0.0, limit=1.0)
    if not size.known:
        return size
    if by_clusters:
        return replace(size, method=f"{size.method} over clusters")
    note = sampled(min(clusters(a), clusters(b)))
    return replace(size, note="; ".join(text for text in (size.note, note) if text))


def between_real(real: pd.DataFrame, starts: Starts) -> float | None:
    """Mean of it between real trials of one trace, over all such pairs."""
    pairs = [
        (first, second)
        for _, rows in real.groupby("trace", observed=True)
        for place, first in enumerate(rows["trial"].astype(str))
        for second in rows["trial"].astype(str).iloc[place + 1 :]
    ]
    parts = _parts(pairs, starts)
    return float(np.mean(parts)) if parts else None


def _pairs(a: pd.DataFrame, b: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(a["trial"].astype(str), b["trial"].astype(str), strict=False))


def _by_clusters(a: pd.DataFrame, b: pd.DataFrame, *, paired: bool) -> list[list[tuple[str, str]]]:
    """Pairs of trials of the first clusters of both sides, of the second ones, and so on.

    Each cluster has one partner, so that what these groups show is independent of one another.
    """
    sides = (side.groupby("snapshot", sort=True, observed=True) for side in (a, b))
    found = []
    for (_, first), (_, second) in zip(*sides, strict=False):
        if not paired:
            found.append(_pairs(first, second))
            continue
        first, second = (
            side.drop_duplicates("trace").set_index("trace") for side in (first, second)
        )
        both = first.index.intersection(second.index)
        found.append(_pairs(first.loc[both], second.loc[both]))
    return found


def _other_jobs(first: str, second: str, starts: Starts) -> bool:
    """Whether some job started in one of two trials alone."""
    if first not in starts or second not in starts:
        return False
    return bool(len(starts[first].index.symmetric_difference(starts[second].index)))


def _parts(pairs: list[tuple[str, str]], starts: Starts) -> list[float]:
    found = (
        swapped(starts[first], starts[second])
        for first, second in pairs
        if first in starts and second in starts
    )
    return [part for part in found if part is not None]
