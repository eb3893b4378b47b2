"""Estimates over two levels: trials within clusters that were provisioned and configured anew.

All trials of one snapshot share its random properties: where its memory lies, which files are
fragmented, how its daemons started. So the replicate is the level at which variance arises [1]_.
With at least three clusters, the interval is computed from the clusters' means. With fewer, it
holds only for the sampled snapshots, and a note says so.

References
----------
.. [1] T. Kalibera, R. Jones, "Rigorous Benchmarking in Reasonable Time", ISMM 2013.
.. [2] S. R. Searle, G. Casella, C. E. McCulloch, "Variance Components", Wiley 1992, section 3.6
   (analysis of variance of unbalanced data).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schedlab.metrics.statistics import (
    ALL_EQUAL,
    MINIMUM,
    NOMINAL,
    NOT_POSITIVE,
    TOO_SMALL,
    Floats,
    Interval,
    Scale,
    Values,
    clean,
    equal_up_to_rounding,
    few,
    half_width_of_t,
    t_interval,
)

ONE_SNAPSHOT = "only one snapshot was sampled"
TWO_SNAPSHOTS = "only two snapshots were sampled"


@dataclass(frozen=True)
class TwoLevels:
    """An estimate over clusters and trials, and where its variance arises.

    Parameters
    ----------
    interval : Interval
        Interval of the mean of the clusters' means on the scale; `n` counts clusters if there are
        at least three, otherwise trials.
    clusters, trials : int
        Number of each; clusters without a value are not counted.
    between, within : float or None
        Variances over clusters and over the trials of one cluster, on the scale (for ``log``: near
        the squares of the coefficients of variation) [2]_. None if there are too few data.
    """

    interval: Interval
    clusters: int
    trials: int
    between: float | None
    within: float | None

    @property
    def share(self) -> float | None:
        """Part of a single trial's variance that lies between clusters."""
        if self.between is None or self.within is None or not self.between + self.within:
            return None
        return self.between / (self.between + self.within)


def over_trials(clusters: Sequence[Values], scale: Scale) -> Interval:
    """Estimate over the trials of equal clusters: of several by `two_levels`, else by Student's t.

    Parameters
    ----------
    clusters : sequence of sequences of float
        For each cluster one value a trial; missing ones are left out.
    scale : {"log", "raw"}
        On which means and variances are taken.
    """
    if len(clusters) == 1:
        return t_interval(clusters[0], scale)
    return two_levels(clusters, scale).interval


def two_levels(clusters: Sequence[Values], scale: Scale) -> TwoLevels:
    """Estimate a quantity over trials of several clusters [1]_.

    Parameters
    ----------
    clusters : sequence of sequences of float
        For each cluster one value a trial; missing ones are left out.
    scale : {"log", "raw"}
        On which means and variances are taken.
    """
    found = [values for values in map(clean, clusters) if values.size]
    trials = sum(values.size for values in found)
    if not found or (scale == "log" and any(np.any(values <= 0) for values in found)):
        note = NOT_POSITIVE if found else TOO_SMALL
        nothing = Interval(None, None, None, trials, "none", note)
        return TwoLevels(nothing, len(found), trials, None, None)
    groups = [np.log(values) if scale == "log" else values for values in found]
    between, within = variances(groups)
    interval = _interval(groups, scale, within)
    if equal_up_to_rounding(np.concatenate(found)) and interval.known:
        value = float(found[0][0])
        note = f"{ALL_EQUAL}{'; ' + sampled(len(found)) if sampled(len(found)) else ''}"
        interval = Interval(value, value, value, interval.n, interval.method, note)
    return TwoLevels(interval, len(groups), trials, between, within)


def variances(groups: Sequence[Floats]) -> tuple[float | None, float | None]:
    """Split the variance over groups and within them, by the analysis of variance [2]_.

    Parameters
    ----------
    groups : sequence of numpy.ndarray
        Values of each group; the groups need not be of one size.

    Returns
    -------
    tuple of float or None
        Between (0 where the estimate would be negative) and within groups.
    """
    sizes = np.array([group.size for group in groups], dtype=np.float64)
    total, count = float(sizes.sum()), len(groups)
    if total == count:
        return None, None
    within = sum(float(((group - group.mean()) ** 2).sum()) for group in groups) / (total - count)
    if count < 2:
        return None, within
    means = np.array([group.mean() for group in groups])
    spread = float((sizes * (means - (sizes * means).sum() / total) ** 2).sum()) / (count - 1)
    typical = (total - float((sizes**2).sum()) / total) / (count - 1)
    return max(0.0, (spread - within) / typical), within


def sampled(count: int) -> str:
    """Note on so few clusters that an interval holds for them alone; empty from 3 on."""
    return {1: ONE_SNAPSHOT, 2: TWO_SNAPSHOTS}.get(count, "")


def _interval(groups: Sequence[Floats], scale: Scale, within: float | None) -> Interval:
    means = np.array([group.mean() for group in groups])
    count, trials = len(groups), sum(group.size for group in groups)
    centre, back = float(means.mean()), np.exp if scale == "log" else float
    if count >= MINIMUM:
        df, error, n = count - 1, float(means.std(ddof=1) / np.sqrt(count)), count
        method, note = "t over clusters", few(count)
    else:
        df, n = trials - count, trials
        error = np.sqrt((within or 0.0) * sum(1 / group.size for group in groups)) / count
        method, note = "t over trials", sampled(count)
    if trials < MINIMUM or not df:
        return Interval(float(back(centre)), None, None, n, "none", TOO_SMALL)
    half = float(half_width_of_t(NOMINAL[scale], df)) * error
    low, high = float(back(centre - half)), float(back(centre + half))
    return Interval(float(back(centre)), low, high, n, method, note)
