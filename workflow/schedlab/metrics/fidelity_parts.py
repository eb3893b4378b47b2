"""Where the errors of virtual nodes arise: in which part of a job's time.

Errors of the makespan and of the wait tell how much virtual nodes are off, not why. A job's time is
the sum of the parts `schedlab.metrics.quantities.PARTS` and its run, so differences of their means
add up, and the largest one names who is at work where virtual nodes differ: the launcher, the
payload, or the report of the end.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from schedlab.metrics.cells import named
from schedlab.metrics.comparable import has_bounds
from schedlab.metrics.quantities import PARTS, values_of
from schedlab.metrics.sides import between
from schedlab.metrics.statistics import Floats, Interval

RUN = "run"
"""Name of the time from the first stamp of a job to its last one."""
OF_A_JOB = (*PARTS[:-1], RUN, PARTS[-1])
"""Parts of a job's time in their order. The last one, the completion, is after its end; until then
its processors are held, so that it delays the jobs behind it."""
_WHOLE = "turnaround_mean_s"


def parts_apart(a: pd.DataFrame, b: pd.DataFrame, *, paired: bool) -> dict[str, Interval]:
    """Differences of the mean parts of a job's time.

    Parameters
    ----------
    a, b : pandas.DataFrame
        Rows of the trials table: valid, comparable and, where they are pairs, in one order.
    paired : bool
        Whether they are pairs.

    Returns
    -------
    dict of str to Interval
        By `OF_A_JOB`: mean of `a` minus mean of `b`, s, with the 95 % interval of
        `schedlab.metrics.sides.between`. Without a value where a part is not known on both sides,
        or is a lower bound.
    """
    return {
        name: between(a, b, _values(a, name), _values(b, name), paired=paired, log=False)
        for name in OF_A_JOB
    }


def cause(parts: Mapping[str, Interval]) -> str | None:
    """Part with the largest difference among those whose interval does not contain 0.

    The six intervals are not corrected for their number: what is asked is which one is largest,
    once an error is known.
    """
    shown = {
        name: abs(size.estimate)
        for name, size in parts.items()
        if size.estimate is not None
        and size.low is not None
        and size.high is not None
        and (size.low > 0 or size.high < 0)
    }
    return max(shown, key=lambda name: shown[name], default=None)


def _values(trials: pd.DataFrame, name: str) -> Floats:
    """Mean of a part in each trial, s; NaN where it is unknown or a lower bound."""
    if name != RUN:
        values, bounded = values_of(trials, name), has_bounds(trials, name)
    else:
        whole = pd.to_numeric(trials[_WHOLE]).to_numpy(np.float64, na_value=np.nan)
        values = whole - values_of(trials, "wait_mean")
        bounded = has_bounds(trials, "wait_mean") or bool(named(trials, "at_least", _WHOLE).any())
    return np.full(values.shape, np.nan) if bounded else values
