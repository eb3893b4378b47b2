"""How a quantity grows with the size of the machine or of the queue: the exponent of a power law.

A line through the logarithms of points (`schedlab.metrics.overhead.fit`) has the exponent as its
slope: 0 does not grow, 1 grows in proportion, 2 fourfold for twice the size.

Trials of one cluster start from one snapshot and share what is its own, so they are not independent
observations of its size. Where sizes have clusters of their own, a point is the geometric mean of a
cluster's trials of one size. Where one cluster ran all sizes, what is its own is in every trial
alike and does not turn the line: then each trial is a point.

The interval holds if a power law does, so there is none where the points show that none does. Where
sizes have points enough of their own, that is the lack of fit: the means of the sizes lie off the
line by more than points of one size scatter [1]_. Where most sizes have one point, it is a curve: a
quadratic term beside the line is not 0 (t with n - 3 degrees of freedom). Three points of three
sizes cannot be tested, which the text says. What holds at the end is the exponent between the two
largest sizes, which is told as well: a constant beside a line, 100 + 0.3 n, has 0.2 over 2 to 1,024
nodes, and 0.5 from 128 nodes on.

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
NOT_TESTED = "not tested"
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
    tested : bool
        Whether they could have shown it.
    last : float or None
        Exponent between the two largest sizes, of the geometric means of their points.
    """

    exponent: Interval
    factor: float | None
    bends: bool = False
    tested: bool = True
    last: float | None = None

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
        """For example ``n^0.92 [0.88, 0.96], last 0.95``; empty without an exponent.

        Beside it may stand ``bends`` in place of the interval, or ``not tested``.
        """
        if self.exponent.estimate is None:
            return ""
        told = f"{size}^{self.exponent.estimate:.2f}"
        if self.bends:
            told += ", bends"
        else:
            told += f" [{self.exponent.low:.2f}, {self.exponent.high:.2f}]"
            told += "" if self.tested else f", {NOT_TESTED}"
        return told if self.last is None else f"{told}, last {self.last:.2f}"


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
    last = _last(np.log(x), np.log(y))
    return Growth(law.exponent, law.latency.estimate, bool(bent), bent is not None, last)


def _last(x: Floats, y: Floats) -> float:
    """Slope between the means of the two largest x."""
    below, above = np.unique(x)[-2:]
    return float((y[x == above].mean() - y[x == below].mean()) / (above - below))


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


def power_law(x: Floats, y: Floats) -> tuple[Overhead, bool | None]:
    """Fit a power law, and tell whether the points bend; then it has no intervals.

    Parameters
    ----------
    x, y : numpy.ndarray
        Sizes, of `SIZES` different ones at least, and values.

    Returns
    -------
    tuple of Overhead and bool or None
        As `bends` has it.
    """
    law, bent = fit(x, y), bends(np.log(x), np.log(y))
    return (Overhead(_bare(law.latency), _bare(law.exponent)) if bent else law), bent


def _bare(found: Interval) -> Interval:
    """The estimate without an interval, which holds for a power law alone."""
    return replace(found, low=None, high=None, note=BENDS)


def bends(x: Floats, y: Floats) -> bool | None:
    """Whether points lie off a line by more than chance; see the module.

    Parameters
    ----------
    x, y : numpy.ndarray
        Logarithms of sizes, of `SIZES` different ones at least, and of values.

    Returns
    -------
    bool or None
        None where nothing is left to test it with: 3 points.
    """
    levels = np.unique(x).size
    if x.size == SIZES:
        return None
    # With fewer points to spare than sizes beyond a line, their scatter is badly known.
    return _off(x, y) if x.size - levels >= levels - 2 else _curved(x, y)


def _curved(x: Floats, y: Floats) -> bool:
    """Whether a quadratic term beside the line is not 0."""
    line, curve = (np.polynomial.Polynomial.fit(x, y, degree)(x) for degree in (1, 2))
    freedom = x.size - 3
    left = max(float(((y - curve) ** 2).sum()), x.size * RESOLUTION**2)
    return _beyond(float(((curve - line) ** 2).sum()), 1, left, freedom)


def _off(x: Floats, y: Floats) -> bool:
    """Whether the lack of fit of a line is larger than the scatter at each x explains [1]_."""
    levels = np.unique(x)
    line = np.polynomial.Polynomial.fit(x, y, 1)
    means = np.array([y[x == level].mean() for level in levels])
    counts = np.array([(x == level).sum() for level in levels])
    apart = y - means[np.searchsorted(levels, x)]
    # Equal values scatter by rounding alone, which shows nothing.
    within = max(float((apart**2).sum()), x.size * RESOLUTION**2)
    off = float((counts * (means - line(levels)) ** 2).sum())
    return _beyond(off, levels.size - 2, within, x.size - levels.size)


def _beyond(explained: float, terms: int, left: float, freedom: int) -> bool:
    """F-test of a sum of squares that some terms explain against what is left."""
    from scipy import special

    f = (explained / terms) / (left / freedom)
    return bool(special.fdtrc(terms, freedom, f) < LEVEL)
