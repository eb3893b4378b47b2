"""Reuther's model of a scheduler's overhead, fitted to trials of constant-time tasks.

References
----------
.. [1] A. Reuther et al., "Scalable System Scheduling for HPC and Big Data", Journal of Parallel and
   Distributed Computing 111, 2018, arXiv:1705.03102.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schedlab.metrics.statistics import (
    CONFIDENCE,
    MINIMUM,
    NOT_POSITIVE,
    TOO_SMALL,
    Floats,
    Interval,
    Values,
    half_width_of_t,
)

METHOD = "least squares on logarithms, Student's t"


@dataclass(frozen=True)
class Overhead:
    """The model dT(n) = t_s n^a [1]_.

    Parameters
    ----------
    latency : Interval
        Marginal latency t_s, s.
    exponent : Interval
        Nonlinear exponent a.
    """

    latency: Interval
    exponent: Interval

    def seconds(self, tasks: Values) -> Floats:
        """dT(n), s, of so many tasks on each processor.

        Raises
        ------
        ValueError
            When the model could not be fitted.
        """
        if self.latency.estimate is None or self.exponent.estimate is None:
            raise ValueError(f"no model: {self.latency.note}")
        n = np.asarray(tasks, dtype=np.float64)
        return np.asarray(self.latency.estimate * n**self.exponent.estimate)

    def utilisation(self, tasks: Values, runtime: float) -> Floats:
        """U = 1 / (1 + dT(n) / (t n)) for tasks of length t = `runtime`, s."""
        n = np.asarray(tasks, dtype=np.float64)
        return np.asarray(1 / (1 + self.seconds(n) / (runtime * n)))


def fit(tasks: Values, overhead: Values) -> Overhead:
    """Fit the model to trials.

    log dT = log t_s + a log n by least squares, as on the paper's axes. The intervals are those of
    a line through independent trials with equal relative noise: Student's t with two degrees of
    freedom less than trials.

    Parameters
    ----------
    tasks : sequence of float
        Tasks n on each processor, of each trial.
    overhead : sequence of float
        Time dT that the trial took longer than n t, s.

    Returns
    -------
    Overhead
        Without estimates, and with a note that says why, where there are fewer than three trials or
        only one n, or where an overhead is not positive.

    Raises
    ------
    ValueError
        When the two have different lengths, or a number of tasks is not positive.
    """
    n = np.asarray(tasks, dtype=np.float64)
    delta = np.asarray(overhead, dtype=np.float64)
    if n.shape != delta.shape or not (n > 0).all():
        raise ValueError("each trial has a positive number of tasks and one overhead")
    note = ""
    if n.size < MINIMUM:
        note = TOO_SMALL
    elif np.ptp(n) == 0:
        note = "all trials have the same number of tasks"
    elif not (delta > 0).all():
        note = NOT_POSITIVE
    if note:
        return no_model(n.size, note)
    x, y = np.log(n), np.log(delta)
    spread = float(np.sum((x - x.mean()) ** 2))
    slope = float(np.sum((x - x.mean()) * (y - y.mean()))) / spread
    start = float(y.mean() - slope * x.mean())
    freedom = n.size - 2
    noise = float(np.sqrt(np.sum((y - start - slope * x) ** 2) / freedom))
    half = float(half_width_of_t(CONFIDENCE, freedom)) * noise
    of_slope = half / np.sqrt(spread)
    of_start = half * np.sqrt(1 / n.size + x.mean() ** 2 / spread)
    low, mid, high = (float(v) for v in np.exp(start + of_start * np.array([-1, 0, 1])))
    return Overhead(
        Interval(mid, low, high, n.size, METHOD),
        Interval(slope, float(slope - of_slope), float(slope + of_slope), n.size, METHOD),
    )


def no_model(trials: int, why: str) -> Overhead:
    """Return a model without estimates, of so many trials, with the reason."""
    none = Interval(None, None, None, trials, METHOD, why)
    return Overhead(none, none)
