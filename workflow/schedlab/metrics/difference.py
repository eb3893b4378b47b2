"""Differences of two groups of trials: intervals, effect sizes, verdicts.

The difference is that of the estimates which are shown beside it: of arithmetic means for costs, of
harmonic means for rates, of ratios of sums for ratios (see `schedlab.metrics.cells`).

References
----------
.. [1] T. Hoefler, R. Belli, "Scientific Benchmarking of Parallel Computing Systems", SC15.
.. [2] N. Cliff, "Dominance statistics", Psychological Bulletin 114, 1993.
.. [3] J. L. Hodges, E. L. Lehmann, "Estimates of Location Based on Rank Tests", Ann. Math. Stat.
   34, 1963.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from schedlab.metrics.statistics import (
    CONFIDENCE,
    MINIMUM,
    SEED,
    TOO_SMALL,
    Floats,
    Interval,
    Values,
    bootstrap_bounds,
    clean,
    clean_pairs,
    ratio_of_sums,
)

LARGER = "larger"
SMALLER = "smaller"
NO_DIFFERENCE = "no difference shown"


@dataclass(frozen=True)
class Comparison:
    """Difference of two groups of trials, a minus b.

    Parameters
    ----------
    difference : Interval
        Difference of the estimates; its n is the smaller group's.
    shift : float or None
        Hodges-Lehmann estimate: the median of all differences of one from each group [3]_.
    cliffs_delta : float or None
        Effect size from -1 to 1: P(a > b) - P(a < b) [2]_.
    verdict : str
        `larger` or `smaller` (a than b), `no difference shown`, or `n too small`.
    """

    difference: Interval
    shift: float | None
    cliffs_delta: float | None
    verdict: str


def cliffs_delta(a: Values, b: Values) -> float | None:
    """Cliff's delta, (#(a > b) - #(a < b)) / (n m) [2]_; None where a group is empty."""
    first, second = clean(a), clean(b)
    if not first.size or not second.size:
        return None
    return float(np.sign(first[:, None] - second[None, :]).mean())


def hodges_lehmann(a: Values, b: Values) -> float | None:
    """Hodges-Lehmann shift, median of all a_i - b_j [3]_; None where a group is empty."""
    first, second = clean(a), clean(b)
    if not first.size or not second.size:
        return None
    return float(np.median(first[:, None] - second[None, :]))


def compare(
    a: Values,
    b: Values,
    statistic: Callable[..., Any] = np.mean,
    *,
    noise: float = 0.0,
    confidence: float = CONFIDENCE,
    seed: int = SEED,
) -> Comparison:
    """Compare two groups of trials by the interval of their difference, and effect size [1]_.

    Parameters
    ----------
    a, b : sequence of float
        One value a trial; missing ones are left out and lower n.
    statistic : callable
        Estimate of a group; takes an array and the keyword `axis`: numpy.mean, scipy.stats.hmean.
    noise : float
        Noise floor, in the values' unit, such as the difference that an A/A comparison gave: a
        difference whose interval reaches into it is not claimed.
    confidence : float
        Nominal coverage.
    seed : int
        Of the resampling.

    Returns
    -------
    Comparison
        `no difference shown` is not `equal`: it says that these trials cannot tell.
    """
    first, second = clean(a), clean(b)

    def difference(x: Floats, y: Floats, axis: int = -1) -> Any:
        return statistic(x, axis=axis) - statistic(y, axis=axis)

    return _compared(first, second, (first, second), difference, noise, confidence, seed)


def compare_ratios(
    a: tuple[Values, Values],
    b: tuple[Values, Values],
    *,
    noise: float = 0.0,
    confidence: float = CONFIDENCE,
    seed: int = SEED,
) -> Comparison:
    """Compare the ratios of sums, sum(x) / sum(y), of two groups of trials.

    Whole trials are resampled, each with its numerator and its denominator.

    Parameters
    ----------
    a, b : pair of sequences of float
        Numerators and denominators, one of each a trial; denominators must be positive.
    noise, confidence, seed
        As for `compare`.
    """
    first, second = clean_pairs(*a), clean_pairs(*b)

    def ratio(pairs: tuple[Floats, Floats], chosen: Floats, axis: int) -> Any:
        positions: npt.NDArray[np.intp] = np.asarray(chosen).astype(np.intp)
        return ratio_of_sums(pairs[0][positions], pairs[1][positions], axis=axis)

    def difference(x: Floats, y: Floats, axis: int = -1) -> Any:
        return ratio(first, x, axis) - ratio(second, y, axis)

    positions = (
        np.arange(first[0].size, dtype=np.float64),
        np.arange(second[0].size, dtype=np.float64),
    )
    values = (first[0] / first[1], second[0] / second[1])
    return _compared(*values, positions, difference, noise, confidence, seed)


def _compared(
    first: Floats,
    second: Floats,
    samples: tuple[Floats, Floats],
    difference: Callable[..., Any],
    noise: float,
    confidence: float,
    seed: int,
) -> Comparison:
    """Compare by values, one a trial, and by the samples that `difference` takes."""
    n = int(min(first.size, second.size))
    shift, delta = hodges_lehmann(first, second), cliffs_delta(first, second)
    if not n:
        empty = Interval(None, None, None, 0, "none", TOO_SMALL, confidence)
        return Comparison(empty, shift, delta, TOO_SMALL)
    estimate = float(difference(*samples))
    if n < MINIMUM:
        bare = Interval(estimate, None, None, n, "none", TOO_SMALL, confidence)
        return Comparison(bare, shift, delta, TOO_SMALL)
    if np.ptp(first) == 0 and np.ptp(second) == 0:
        note = "all values of each group equal"
        interval = Interval(estimate, estimate, estimate, n, "BCa bootstrap", note, confidence)
        low = high = estimate
    else:
        low, high, method = bootstrap_bounds(samples, difference, confidence, seed)
        interval = Interval(estimate, low, high, n, method, "", confidence)
    verdict = LARGER if low > noise else SMALLER if high < -noise else NO_DIFFERENCE
    return Comparison(interval, shift, delta, verdict)
