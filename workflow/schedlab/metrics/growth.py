"""How a quantity grows with the size of the machine or of the queue: the exponent of a power law.

A line through the logarithms of trials (`schedlab.metrics.overhead.fit`) has the exponent as its
slope: 0 does not grow, 1 grows in proportion, 2 fourfold for twice the size. Its interval holds if
a power law does. Whether one does is tested by the lack of fit: the means of the sizes may lie off
the line by no more than trials of one size scatter [1]_.

References
----------
.. [1] N. R. Draper, H. Smith, "Applied Regression Analysis", 3rd ed., Wiley 1998, section 2.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schedlab.metrics.overhead import METHOD, fit
from schedlab.metrics.statistics import RESOLUTION, TOO_SMALL, Floats, Interval, Values

SIZES = 3
"""Fewest sizes for an exponent: two points are on a line whatever lies between them."""
LEVEL = 0.05
FEW_SIZES = f"fewer than {SIZES} sizes"


@dataclass(frozen=True)
class Growth:
    """Exponent of a power law y = c x^b.

    Parameters
    ----------
    exponent : Interval
        b; n counts trials.
    factor : float or None
        c; None without an exponent.
    bends : bool
        The trials show that there is no single exponent over these sizes.
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
        """For example ``n^0.92 [0.88, 0.96]``; empty without an exponent."""
        if self.exponent.estimate is None or not self.exponent.known:
            return ""
        low, high = self.exponent.low, self.exponent.high
        told = f"{size}^{self.exponent.estimate:.2f} [{low:.2f}, {high:.2f}]"
        return f"{told}, bends" if self.bends else told


def growth(sizes: Values, values: Values) -> Growth:
    """Fit a power law to trials.

    Parameters
    ----------
    sizes, values : sequence of float
        Of each trial; trials with a missing value, or one that is not positive, are left out.
    """
    x, y = (np.asarray(column, dtype=np.float64) for column in (sizes, values))
    kept = (y > 0) & (x > 0)
    x, y = x[kept], y[kept]
    if np.unique(x).size < SIZES:
        note = FEW_SIZES if x.size else TOO_SMALL
        return Growth(Interval(None, None, None, int(x.size), METHOD, note), None)
    law = fit(x, y)
    return Growth(law.exponent, law.latency.estimate, bends(np.log(x), np.log(y)))


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
