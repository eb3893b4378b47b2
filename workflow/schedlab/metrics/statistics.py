"""Statistics over repetitions: intervals and percentiles, by fixed rules.

The replicate is the trial. No interval is given for fewer than three, and no function hides that:
an `Interval` says its n and, where it has no bounds, why. Bootstrap intervals of very few trials
are too narrow (with n = 3 and normal data a nominal 95 % covers about three quarters of the time):
more repetitions are the only remedy, and the report says n beside every number.

References
----------
.. [1] T. Hoefler, R. Belli, "Scientific Benchmarking of Parallel Computing Systems", SC15.
.. [2] B. Efron, "Better Bootstrap Confidence Intervals", J. Am. Stat. Assoc. 82, 1987.
.. [3] J.-Y. Le Boudec, "Performance Evaluation of Computer and Communication Systems", EPFL Press
   2010, section 2.2 (interval of a quantile by ranks).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Values = Sequence[float] | Floats

CONFIDENCE = 0.95
RESAMPLES = 9_999
SEED = 20260901
MINIMUM = 3
"""Fewest trials for an interval."""

TOO_SMALL = "n too small"


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval and n.

    Parameters
    ----------
    estimate : float or None
        None without data.
    low, high : float or None
        Bounds, None where there is no interval.
    n : int
        Number of trials.
    method : str
        How the bounds were made.
    note : str
        Why there are none, or what is special; empty else.
    confidence : float
        Nominal coverage.
    """

    estimate: float | None
    low: float | None
    high: float | None
    n: int
    method: str
    note: str = ""
    confidence: float = CONFIDENCE

    @property
    def known(self) -> bool:
        """Whether there are bounds."""
        return self.low is not None and self.high is not None

    def text(self, digits: int = 3) -> str:
        """For example ``1.23 [1.10, 1.31] (n=3)`` or ``1.23 (n=2, n too small)``."""
        if self.estimate is None:
            return f"none (n={self.n})"
        value = f"{self.estimate:.{digits}g}"
        if self.low is not None and self.high is not None:
            return f"{value} [{self.low:.{digits}g}, {self.high:.{digits}g}] (n={self.n})"
        return f"{value} (n={self.n}{', ' + self.note if self.note else ''})"


def clean(values: Values) -> Floats:
    """Values without the missing ones, in their order."""
    array = np.asarray(values, dtype=np.float64).ravel()
    return array[~np.isnan(array)]


def harmonic_mean(values: Values) -> float:
    """Harmonic mean n / sum(1 / x), the mean for rates over equal work [1]_.

    Raises
    ------
    ValueError
        When a value is not positive, or there is none.
    """
    array = clean(values)
    if not array.size or np.any(array <= 0):
        raise ValueError("a harmonic mean needs positive values")
    return float(stats.hmean(array))


def percentile(values: Values, quantile: float) -> float | None:
    """Percentile where n supports it: n (1 - q) >= 1 above the median, n q >= 1 below.

    So the 99th needs at least 100 values [1]_. Linear interpolation between order statistics.

    Parameters
    ----------
    values : sequence of float
        Missing ones are left out.
    quantile : float
        From 0 to 1, both excluded.

    Returns
    -------
    float or None
        None where n does not support it.
    """
    array = clean(values)
    tail = min(quantile, 1 - quantile)
    if not array.size or (quantile != 0.5 and array.size < round(1 / tail, 6)):
        return None
    return float(np.quantile(array, quantile))


def bootstrap_interval(
    values: Values,
    statistic: Callable[..., Any] = np.mean,
    *,
    confidence: float = CONFIDENCE,
    seed: int = SEED,
) -> Interval:
    """Bias-corrected and accelerated (BCa) bootstrap interval [2]_ over trials.

    Parameters
    ----------
    values : sequence of float
        One value a trial; missing ones are left out and lower n.
    statistic : callable
        Takes an array and the keyword `axis`: numpy.mean, numpy.median, scipy.stats.hmean.
    confidence : float
        Nominal coverage.
    seed : int
        Of the resampling: equal data give equal bounds.

    Returns
    -------
    Interval
        Without bounds for n < 3. Where all values are equal the bounds are the value itself, with
        a note.
    """
    array = clean(values)
    n = int(array.size)
    if not n:
        return Interval(None, None, None, 0, "none", TOO_SMALL, confidence)
    estimate = float(statistic(array, axis=0))
    if n < MINIMUM:
        return Interval(estimate, None, None, n, "none", TOO_SMALL, confidence)
    if np.all(array == array[0]):
        note = "all values equal"
        return Interval(estimate, estimate, estimate, n, "BCa bootstrap", note, confidence)
    low, high, method = bootstrap_bounds((array,), statistic, confidence, seed)
    return Interval(estimate, low, high, n, method, "", confidence)


def bootstrap_bounds(
    data: tuple[Floats, ...],
    statistic: Callable[..., Any],
    confidence: float,
    seed: int,
    *,
    paired: bool = False,
) -> tuple[float, float, str]:
    """Bounds by BCa, or by percentiles where BCa is not defined (a degenerate jackknife)."""
    bootstrap: Any = stats.bootstrap
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        result = bootstrap(
            data,
            statistic,
            confidence_level=confidence,
            n_resamples=RESAMPLES,
            method="BCa",
            vectorized=True,
            paired=paired,
            rng=np.random.default_rng(seed),
        )
    low, high = float(result.confidence_interval.low), float(result.confidence_interval.high)
    if not math.isnan(low) and not math.isnan(high):
        return low, high, "BCa bootstrap"
    tail = (1 - confidence) / 2
    bounds = np.quantile(result.bootstrap_distribution, [tail, 1 - tail])
    return float(bounds[0]), float(bounds[1]), "percentile bootstrap"


def rate_interval(values: Values, *, confidence: float = CONFIDENCE, seed: int = SEED) -> Interval:
    """Harmonic mean of rates with its BCa interval; values must be positive."""
    array = clean(values)
    if array.size and np.any(array <= 0):
        raise ValueError("a harmonic mean needs positive values")
    return bootstrap_interval(array, stats.hmean, confidence=confidence, seed=seed)


def ratio_interval(
    numerators: Values,
    denominators: Values,
    *,
    confidence: float = CONFIDENCE,
    seed: int = SEED,
) -> Interval:
    """Ratio of sums over trials, sum(x) / sum(y), with its BCa interval over pairs.

    The mean of ratios would give short trials the weight of long ones [1]_.

    Parameters
    ----------
    numerators, denominators : sequence of float
        One pair a trial; pairs with a missing part are left out. Denominators must be positive.
    """
    above, below = clean_pairs(numerators, denominators)
    n = int(above.size)
    if not n:
        return Interval(None, None, None, 0, "none", TOO_SMALL, confidence)
    estimate = float(above.sum() / below.sum())
    if n < MINIMUM:
        return Interval(estimate, None, None, n, "none", TOO_SMALL, confidence)
    if np.ptp(above / below) == 0:
        note = "all values equal"
        return Interval(estimate, estimate, estimate, n, "BCa bootstrap", note, confidence)
    low, high, method = bootstrap_bounds(
        (above, below), ratio_of_sums, confidence, seed, paired=True
    )
    return Interval(estimate, low, high, n, method, "", confidence)


def clean_pairs(numerators: Values, denominators: Values) -> tuple[Floats, Floats]:
    """Pairs of which neither part is missing.

    Raises
    ------
    ValueError
        When a denominator is not positive.
    """
    above = np.asarray(numerators, dtype=np.float64)
    below = np.asarray(denominators, dtype=np.float64)
    both = ~np.isnan(above) & ~np.isnan(below)
    above, below = above[both], below[both]
    if np.any(below <= 0):
        raise ValueError("a ratio of sums needs positive denominators")
    return above, below


def ratio_of_sums(above: Floats, below: Floats, axis: int = -1) -> Any:
    """Sum of the one over the sum of the other, along an axis."""
    return np.sum(above, axis=axis) / np.sum(below, axis=axis)


def median_interval(values: Values, *, confidence: float = CONFIDENCE) -> Interval:
    """Interval of the median by ranks, without any assumption on the distribution [3]_.

    The number of values below the median is binomial(n, 1/2), so the interval from the k-th
    smallest to the k-th largest covers it with probability 1 - 2 P(B <= k - 1); k is the largest
    that reaches the confidence. There is none for n < 6 at 95 %.
    """
    array = np.sort(clean(values))
    n = int(array.size)
    if not n:
        return Interval(None, None, None, 0, "none", TOO_SMALL, confidence)
    estimate = float(np.median(array))
    below = int(stats.binom.ppf((1 - confidence) / 2, n, 0.5))
    # ppf is the smallest k with P(B <= k) >= tail; the k used here must not exceed the tail.
    if stats.binom.cdf(below, n, 0.5) > (1 - confidence) / 2:
        below -= 1
    if below < 0:
        return Interval(estimate, None, None, n, "none", TOO_SMALL, confidence)
    low, high = float(array[below]), float(array[n - 1 - below])
    return Interval(estimate, low, high, n, "ranks (binomial)", "", confidence)
