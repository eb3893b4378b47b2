"""Definitions that metrics of trials and of recorded traces share, as functions of arrays.

References
----------
.. [1] D. G. Feitelson, L. Rudolph, "Metrics and Benchmarking for Parallel Job Scheduling",
   JSSPP 1998, LNCS 1459.
.. [2] R. Jain, D. Chiu, W. Hawe, "A Quantitative Measure of Fairness and Discrimination for
   Resource Allocation in Shared Computer Systems", DEC-TR-301, 1984.
.. [3] A. Wong et al., "ESP: A System Utilization Benchmark", SC2000.
.. [4] R. L. Graham, "Bounds on Multiprocessing Timing Anomalies", SIAM J. Appl. Math. 17, 1969.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from schedlab.metrics.intervals import Floats, Whole

BOUNDED_SLOWDOWN_THRESHOLD = 10.0
"""Runtime (s) below which bounded slowdown stops growing [1]_."""


def slowdown(turnaround: Floats, runtime: Floats, threshold: float) -> Floats:
    """Bounded slowdown max(1, turnaround / max(runtime, threshold)) [1]_ of arrays of s.

    Raises
    ------
    ValueError
        When the threshold is not positive.
    """
    if threshold <= 0:
        raise ValueError(f"threshold is {threshold} s: it must be positive")
    return np.maximum(turnaround / np.maximum(runtime, threshold), 1.0)


def jain(values: Sequence[float] | Floats) -> float | None:
    """Jain's fairness index (sum x)^2 / (n sum x^2) [2]_: from 1/n to 1, which is all equal."""
    array = np.asarray(values, dtype=np.float64)
    square = float(np.sum(array**2))
    if not array.size or square == 0 or np.isnan(square):
        return None
    return float(np.sum(array) ** 2 / (array.size * square))


def jain_of_users(values: Floats, user: Whole) -> float | None:
    """Jain's index over the users of the mean of their jobs' values; NaN where one has none.

    None with fewer than two users.

    Parameters
    ----------
    values : numpy.ndarray
        (jobs,).
    user : numpy.ndarray
        (jobs,), numbers of users from 0; memory grows with the largest.
    """
    known = ~np.isnan(values)
    if not known.all():
        values, user = values[known], user[known]
    count = np.bincount(user)
    seen = count > 0
    means = np.bincount(user, values)[seen] / count[seen]
    return jain(means) if means.size > 1 else None


def steady_window(started: Floats) -> tuple[float, float] | None:
    """Steady state: from the instant of 10 % of the job starts to that of 90 %, s."""
    started = started[~np.isnan(started)]
    if started.size < 2:
        return None
    low, high = np.quantile(started, [0.1, 0.9])
    return (float(low), float(high)) if high > low else None


def ideal_bounds(
    arrival: Floats,
    processors_of: Floats,
    runtime: Floats,
    cores: int,
    ends: Floats | None = None,
) -> dict[str, float]:
    """Makespans that no scheduler can beat.

    Parameters
    ----------
    arrival, processors_of, runtime : numpy.ndarray
        Of each job (jobs,): arrival (s), processors, runtime (s), as the trace wants them.
    cores : int
        Cores P of all the compute nodes.
    ends : numpy.ndarray, optional
        Instant (s) before which each job cannot end; by default arrival + runtime.

    Returns
    -------
    dict
        `area`: max over arrivals t of (t - t0) + sum(p r of the jobs arriving at t or later) / P,
        which for one common arrival is the sum(p r) / P of [3]_; `critical_path`: max(ends) - t0
        [4]_; `ideal`: the larger. s; 0 without jobs.
    """
    if not arrival.size:
        return {"area": 0.0, "critical_path": 0.0, "ideal": 0.0}
    first = float(arrival.min())
    order = np.argsort(arrival, kind="stable")
    area = (processors_of * runtime)[order]
    rest = np.cumsum(area[::-1])[::-1]
    bound = float(np.max(arrival[order] - first + rest / cores))
    path = float(np.max(arrival + runtime if ends is None else ends)) - first
    return {"area": bound, "critical_path": path, "ideal": max(bound, path)}
