"""How a quantity grows with the size of the machine or of the queue: the exponent of a power law.

A line through the logarithms of points (`schedlab.metrics.overhead.fit`) has the exponent as its
slope: 0 does not grow, 1 grows in proportion, 2 fourfold for twice the size.

Trials of one cluster start from one snapshot and share what is its own, so they are not independent
observations of its size. Where sizes have clusters of their own, a point is the geometric mean of a
cluster's trials of one size. Where one cluster ran all sizes, what is its own is in every trial
alike and does not turn the line: then each trial is a point.

The interval holds if a power law does, so there is none where the lack of fit shows that none does:
the means of the sizes lie off the line by more than points of one size scatter [1]_. Where each
size has one point, this cannot be tested; what lies off the line makes the interval wide.

References
----------
.. [1] N. R. Draper, H. Smith, "Applied Regression Analysis", 3rd ed., Wiley 1998, section 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from schedlab.metrics.overhead import METHOD, Overhead, fit
from schedlab.metrics.statistics import RESOLUTION, TOO_SMALL, Floats, Interval, Values

SIZES = 3
"""Fewest sizes for an exponent: two points are on a line whatever lies between them."""
LEVEL = 0.05
BENDS = "no power law over these sizes"
FEW_SIZES = f"fewer than {SIZES} sizes"


@dataclass(frozen=True)
class Growth:
    """Exponent of a power law y = c x^b.

    Parameters
    ----------
    exponent : Interval
        b; n counts points. Without bounds where the points bend.
    factor : float or None
        c; None without an exponent.
    bends : bool
        The points show that there is no single exponent over these sizes.
    """

    exponent: Interval
    factor: float | None
    bends: bool = False

    def at(self, sizes: Values) -> Floats:
        """Value of the law at some sizes.

        Raises
        ------
        ValueError
            When there is no exponent.
        """
        if self.factor is None or self.exponent.estimate is None:
            raise ValueError(f"no exponent: {self.exponent.note}")
        found: Floats = self.factor * np.asarray(sizes, dtype=np.float64) ** self.exponent.estimate
        return found

    def text(self, size: str) -> str:
        """For example ``n^0.92 [0.88, 0.96]``, or ``n^0.92, bends``; empty without an exponent."""
        if self.exponent.estimate is None:
            return ""
        told = f"{size}^{self.exponent.estimate:.2f}"
        if self.bends:
            return f"{told}, bends"
        return f"{told} [{self.exponent.low:.2f}, {self.exponent.high:.2f}]"


def growth(sizes: Values, values: Values, clusters: Sequence[int]) -> Growth:
    """Fit a power law to trials.

    Parameters
    ----------
    sizes, values : sequence of float
        Of each trial; trials with a missing value, or one that is not positive, are left out.
    clusters : sequence of int
        Number of the cluster, which is one snapshot, of each trial.
    """
    x, y = (np.asarray(column, dtype=np.float64) for column in (sizes, values))
    of = np.asarray(clusters)
    kept = (y > 0) & (x > 0)
    x, y, of = x[kept], y[kept], of[kept]
    x, y = means(x, y, of)
    if np.unique(x).size < SIZES:
        note = FEW_SIZES if x.size else TOO_SMALL
        return Growth(Interval(None, None, None, int(x.size), METHOD, note), None)
    law, bent = power_law(x, y)
    return Growth(law.exponent, law.latency.estimate, bent)


def means(x: Floats, y: Floats, clusters: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """Size and geometric mean of each cluster's trials of one size; of one cluster, its trials.

    Parameters
    ----------
    x, y : numpy.ndarray
        Size and value of each trial.
    clusters : numpy.ndarray
        Number of the cluster, which is one snapshot, of each trial.
    """
    if np.unique(clusters).size < 2:
        return x, y
    _, numbers = np.unique(clusters, return_inverse=True)
    keys, which = np.unique(np.stack([x, numbers.astype(float)]), axis=1, return_inverse=True)
    which = which.reshape(-1)
    found: Floats = np.exp(np.bincount(which, np.log(y)) / np.bincount(which))
    return keys[0], found


def power_law(x: Floats, y: Floats) -> tuple[Overhead, bool]:
    """Fit a power law, and tell whether the points bend; then it has no intervals.

    Parameters
    ----------
    x, y : numpy.ndarray
        Sizes, of `SIZES` different ones at least, and values.
    """
    law, bent = fit(x, y), bends(np.log(x), np.log(y))
    return (Overhead(_bare(law.latency), _bare(law.exponent)) if bent else law), bent


def _bare(found: Interval) -> Interval:
    """The estimate without an interval, which holds for a power law alone."""
    return replace(found, low=None, high=None, note=BENDS)


def bends(x: Floats, y: Floats) -> bool:
    """Whether the lack of fit of a line is larger than the scatter at each x explains [1]_.

    Parameters
    ----------
    x, y : numpy.ndarray
        Logarithms of sizes, of `SIZES` different ones at least, and of values.
    """
    from scipy import special

    levels = np.unique(x)
    freedom = x.size - levels.size
    if not freedom:
        return False
    line = np.polynomial.Polynomial.fit(x, y, 1)
    means = np.array([y[x == level].mean() for level in levels])
    counts = np.array([(x == level).sum() for level in levels])
    apart = y - means[np.searchsorted(levels, x)]
    # Equal values scatter by rounding alone, which shows nothing.
    within = max(float((apart**2).sum()), x.size * RESOLUTION**2)
    off = float((counts * (means - line(levels)) ** 2).sum())
    f = (off / (levels.size - 2)) / (within / freedom)
    return bool(special.fdtrc(levels.size - 2, freedom, f) < LEVEL)
