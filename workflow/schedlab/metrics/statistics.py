"""Estimates over repetitions: Student's t on the scale on which a quantity's noise is additive.

The replicate is the trial. On the scale ``log`` the estimate is the geometric mean of the trials,
exp(E[log X]), and the interval covers that parameter; where the noise of the logarithms is
symmetric it is the median as well. The geometric mean of rates is one over the geometric mean of
times per unit of work, so it does not matter which of the two is summarised. On the scale ``raw``
the estimate is the arithmetic mean and the interval covers E[X]: for values that can be zero or
negative. What the intervals cover at which n is measured by `tests/benchmarks/calibration.py` and
stands in `docs/statistics.md`.

References
----------
.. [1] T. Hoefler, R. Belli, "Scientific Benchmarking of Parallel Computing Systems", SC15.
.. [2] Student, "The Probable Error of a Mean", Biometrika 6, 1908.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Values = Sequence[float] | Floats
Scale = Literal["log", "raw"]

CONFIDENCE = 0.95
NOMINAL: dict[Scale, float] = {"log": CONFIDENCE, "raw": 0.965}
"""Nominal coverage with which intervals are computed, so that they cover about 95 %.

An arithmetic mean of skewed noise is covered less often than the nominal part: log-normal noise of
50 % in 92 % for 95 %, and in 94 % for 96.5 %.
"""
MINIMUM = 3
"""Fewest trials for an interval."""

ONE_MODE_BELOW = 5
"""Below this n the interval holds for noise with one mode only, and says so.

All of n trials fall into the same of two equally frequent modes with probability 2^(1 - n): 25 % at
n = 3, 12.5 % at n = 4, 6.25 % at n = 5. No method can see the other mode in such data.
"""

RESOLUTION = 1e-9
"""Relative difference up to which two values count as equal, because rounding can cause it."""

TOO_SMALL = "n too small"
ALL_EQUAL = "all values equal"
ONE_MODE = "assumes noise with one mode"
NOT_POSITIVE = "a value is not positive"

CENTRES: dict[Scale, str] = {"log": "geometric mean", "raw": "arithmetic mean"}


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
        Why there are no bounds, or what they assume; empty if nominal coverage was shown.
    """

    estimate: float | None
    low: float | None
    high: float | None
    n: int
    method: str
    note: str = ""

    @property
    def known(self) -> bool:
        """Whether there are bounds."""
        return self.low is not None and self.high is not None

    def text(self, digits: int = 3) -> str:
        """For example ``1.23 [1.10, 1.31] (n=5)`` or ``1.23 (n=2, n too small)``."""
        if self.estimate is None:
            return f"none (n={self.n})"
        value = f"{self.estimate:.{digits}g}"
        bounds = f" [{self.low:.{digits}g}, {self.high:.{digits}g}]" if self.known else ""
        return f"{value}{bounds} (n={self.n}{', ' + self.note if self.note else ''})"


def clean(values: Values) -> Floats:
    """Values without the missing ones, in their order."""
    array = np.asarray(values, dtype=np.float64).ravel()
    missing = np.isnan(array)
    return array[~missing] if missing.any() else array


def equal_up_to_rounding(values: Floats, axis: int | None = None) -> Any:
    """Whether values along an axis differ by no more than rounding does (`RESOLUTION`)."""
    largest = np.max(np.abs(values), axis=axis)
    return np.ptp(values, axis=axis) <= RESOLUTION * largest


def percentile(values: Values, quantile: float) -> float | None:
    """Percentile if n supports it: n (1 - q) >= 1 above the median, n q >= 1 below.

    So the 99th percentile needs at least 100 values [1]_. Values between order statistics are
    interpolated linearly.

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


def half_width_of_t(nominal: float, df: Any) -> Any:
    """Half-width of a two-sided interval in standard errors, for some degrees of freedom."""
    # What only reads traces needs no scipy, whose import takes a fifth of a second.
    from scipy import special

    return special.stdtrit(df, (1 + nominal) / 2)


def t_bounds(values: Floats, scale: Scale) -> tuple[Floats, Floats, Floats]:
    """Centre and bounds by Student's t along the last axis [2]_.

    Parameters
    ----------
    values : numpy.ndarray
        Of shape (..., n), n >= 2; positive on the scale ``log``.
    scale : {"log", "raw"}
        On which the mean is taken; the results are transformed back.

    Returns
    -------
    tuple of numpy.ndarray
        Estimate, lower and upper bound, each of shape (...).
    """
    n = values.shape[-1]
    on_scale = np.log(values) if scale == "log" else values
    centre = on_scale.mean(axis=-1)
    half = half_width_of_t(NOMINAL[scale], n - 1) * on_scale.std(axis=-1, ddof=1) / np.sqrt(n)
    found = (centre, centre - half, centre + half)
    if scale == "log":
        return np.exp(found[0]), np.exp(found[1]), np.exp(found[2])
    return found


def t_interval(
    values: Values, scale: Scale, *, least: float | None = None, limit: float | None = None
) -> Interval:
    """Estimate over trials, with its interval by Student's t.

    Parameters
    ----------
    values : sequence of float
        One value a trial; missing ones are left out and lower n.
    scale : {"log", "raw"}
        ``log`` for the geometric mean, ``raw`` for the arithmetic mean.
    least, limit : float, optional
        Smallest and largest possible value, such as 0 for a number of jobs and 1 for a part of the
        machine. The bounds are cut there, which does not reduce coverage.

    Returns
    -------
    Interval
        Without bounds for n < 3, and without an estimate where the scale is ``log`` and a value is
        not positive. With a note for n < 5: see `ONE_MODE_BELOW`.
    """
    array = clean(values)
    n = int(array.size)
    if not n:
        return Interval(None, None, None, 0, "none", TOO_SMALL)
    if scale == "log" and np.any(array <= 0):
        return Interval(None, None, None, n, "none", NOT_POSITIVE)
    centre = float(np.exp(np.log(array).mean()) if scale == "log" else array.mean())
    if n < MINIMUM:
        return Interval(centre, None, None, n, "none", TOO_SMALL)
    method = "t on logarithms" if scale == "log" else "t"
    if equal_up_to_rounding(array):
        value = float(array[0])
        return Interval(value, value, value, n, method, ALL_EQUAL)
    _, low, high = (float(bound) for bound in t_bounds(array, scale))
    return within(Interval(centre, low, high, n, method, few(n)), least, limit)


def within(interval: Interval, least: float | None, limit: float | None) -> Interval:
    """Cut an interval at the smallest and the largest possible value; None: there is none."""
    low, high = interval.low, interval.high
    if low is not None and least is not None:
        low = max(low, least)
    if high is not None and limit is not None:
        high = min(high, limit)
    return replace(interval, low=low, high=high)


def few(n: int) -> str:
    """Note on what the bounds of so few trials assume; empty from `ONE_MODE_BELOW` on."""
    return ONE_MODE if n < ONE_MODE_BELOW else ""
