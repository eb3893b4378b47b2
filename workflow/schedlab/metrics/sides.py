"""Virtual nodes against real ones in one quantity: over trials, or over clusters made anew.

Trials of one snapshot share what is its own, and a side with one cluster has it in every trial.
From 3 clusters on each side, the cluster is the replicate, as in `schedlab.metrics.levels`: values
are reduced to the mean of each cluster, and the sides are compared by Welch's interval over
clusters. The clusters of the two sides are no pairs: each is made by itself, and all run the same
traces. What the traces differ by is in all means alike, once it is taken out of trials that have
partners (some trials may be missing). With fewer clusters the interval is over trials: it holds for
the snapshots that were sampled, and a note says so.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

from schedlab.metrics.difference import Block, effects
from schedlab.metrics.levels import sampled
from schedlab.metrics.statistics import MINIMUM, TOO_SMALL, Floats, Interval, few


def clusters(trials: pd.DataFrame) -> int:
    """Snapshots on which some trials ran."""
    return int(trials["snapshot"].nunique())


def over_clusters(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    """Whether both sides have clusters enough to be the replicates."""
    return min(clusters(a), clusters(b)) >= MINIMUM


def between(
    a: pd.DataFrame, b: pd.DataFrame, x: Floats, y: Floats, *, paired: bool, log: bool
) -> Interval:
    """Ratio of the geometric means, or difference of the means, of two sides with its interval.

    Parameters
    ----------
    a, b : pandas.DataFrame
        Rows of the trials table; in one order where they are pairs. `snapshot` and `trace` count.
    x, y : numpy.ndarray
        A value of each trial, NaN where it is missing; positive where `log`.
    paired : bool
        Whether they are pairs.
    log : bool
        Ratio x / y if true, else difference x - y.

    Returns
    -------
    Interval
        Its n counts clusters where both sides have 3 or more of them, else trials of the smaller
        side. Without bounds for fewer than 3 trials on a side, without an estimate for none.
    """
    first, second = ~np.isnan(x), ~np.isnan(y)
    if paired:
        first = second = first & second
    a, b, x, y = a[first], b[second], x[first], y[second]
    n = int(min(x.size, y.size))
    if not n:
        return Interval(None, None, None, 0, "none", TOO_SMALL)
    scaled = (np.log(x), np.log(y)) if log else (x, y)
    if over_clusters(a, b):
        if paired:
            scaled = _without_traces(scaled[0], scaled[1], a["trace"].to_numpy())
        scaled = _means(scaled[0], a["snapshot"]), _means(scaled[1], b["snapshot"])
        return _interval(*scaled, paired=False, log=log, over=" over clusters", note="")
    note = sampled(min(clusters(a), clusters(b)))
    return _interval(*scaled, paired=paired, log=log, over="", note=note)


def _means(values: Floats, snapshots: pd.Series) -> Floats:
    means = pd.Series(values).groupby(snapshots.to_numpy()).mean()
    return np.asarray(means, dtype=np.float64)


def _without_traces(x: Floats, y: Floats, traces: npt.NDArray[np.object_]) -> tuple[Floats, Floats]:
    """Values of pairs without the mean that both sides have of their trace."""
    both = pd.Series((x + y) / 2)
    common = np.asarray(both.groupby(traces).transform("mean"), dtype=np.float64)
    return x - common, y - common


def _interval(x: Floats, y: Floats, *, paired: bool, log: bool, over: str, note: str) -> Interval:
    """Difference of two sides on the scale, as a ratio where `log`."""
    n = int(min(x.size, y.size))
    if n < MINIMUM:
        size = float(x.mean() - y.mean())
        return Interval(math.exp(size) if log else size, None, None, n, "none", TOO_SMALL)
    first, second = (np.exp(side) if log else side for side in (x, y))
    block = Block(first[None, :, None], second[None, :, None], paired, np.array([log]), np.zeros(1))
    size, low, high = (float(bound[0, 0]) for bound in effects(block))
    method = ("paired t" if paired else "Welch's t") + over + (" on logarithms" if log else "")
    told = "; ".join(text for text in (few(n), note) if text)
    return Interval(size, low, high, n, method, told)
