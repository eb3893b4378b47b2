"""Times of jobs that had not ended when the trial ended: they count with lower bounds.

A job that waits until the trial's end has a wait of at least the time from its due instant to that
end. If such jobs were left out, a scheduler that drops its slowest jobs would look fast. So they
count with this bound, and a summary that they could make larger is marked "at least" [1]_.

References
----------
.. [1] J. P. Klein, M. L. Moeschberger, "Survival Analysis", 2nd ed., Springer 2003, section 3.2
   (right censoring).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schedlab.metrics.statistics import percentile

Floats = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]


class Times(NamedTuple):
    """A duration of every job.

    Attributes
    ----------
    seconds : numpy.ndarray
        (jobs,), s; NaN where nothing is known.
    open : numpy.ndarray
        (jobs,), whether the duration had not ended when the trial ended; `seconds` is then a lower
        bound.
    """

    seconds: Floats
    open: Truths

    @property
    def known(self) -> Times:
        """Return the jobs whose duration or bound is known."""
        there = ~np.isnan(self.seconds)
        if there.all():
            return self
        return Times(self.seconds[there], self.open[there])


class Bounded(NamedTuple):
    """A summary of times.

    Attributes
    ----------
    value : float or None
        None if there is nothing to summarise.
    at_least : bool
        The true value is this or larger, because some jobs had not ended.
    """

    value: float | None
    at_least: bool = False


def quantile(all_times: Times, q: float) -> Bounded:
    """Percentile, by the rule of `schedlab.metrics.statistics.percentile` for its n.

    It is exact if every open job has already lasted longer than the order statistics from which the
    percentile is computed; otherwise it is a lower bound.
    """
    seconds, is_open = all_times.known
    value = percentile(seconds, q)
    if value is None:
        return Bounded(None)
    if not is_open.any():
        return Bounded(value)
    place = math.ceil(q * (seconds.size - 1))
    upper = np.partition(seconds, place)[place]
    return Bounded(value, bool((is_open & (seconds <= upper)).any()))


def mean(all_times: Times) -> Bounded:
    """Arithmetic mean; a lower bound if any job is open."""
    seconds, is_open = all_times.known
    return Bounded(float(seconds.mean()), bool(is_open.any())) if seconds.size else Bounded(None)


def largest(all_times: Times) -> Bounded:
    """Largest value; a lower bound if any job is open, because that job may become the largest."""
    seconds, is_open = all_times.known
    return Bounded(float(seconds.max()), bool(is_open.any())) if seconds.size else Bounded(None)
