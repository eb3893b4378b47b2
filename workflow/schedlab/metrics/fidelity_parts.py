"""Where the errors of virtual nodes arise: in which part of a job's time.

Errors of the makespan and of the wait tell how much virtual nodes are off, not why. A job's time is
the sum of the parts `schedlab.metrics.quantities.PARTS` and its run, so differences of their means
add up, and the largest one names who is at work where virtual nodes differ: the launcher, the
payload, or the report of the end.

A part can be a cause of an error only where it is a part of that time, differs in the same
direction, and by enough of it. No part is one of the order of starts or of the utilisation, which
are no times. Where virtual nodes run no payload, the end of a job is from another record than on
real nodes, so that its run and its completion are not cut at like instants: they are one part.
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
TOGETHER = f"{RUN} and {PARTS[-1]}"
"""Name of the last two as one part, where they are not cut at like instants."""
LEAST = 1 / 3
"""Least part of an error, in seconds, that what is named as its cause has."""
_OF_A_WAIT = PARTS[:-1]
_WHOLE = "turnaround_mean_s"


def parts_apart(
    a: pd.DataFrame, b: pd.DataFrame, *, paired: bool, alike: bool = True
) -> dict[str, Interval]:
    """Differences of the mean parts of a job's time.

    Parameters
    ----------
    a, b : pandas.DataFrame
        Rows of the trials table: valid, comparable and, where they are pairs, in one order.
    paired : bool
        Whether they are pairs.
    alike : bool
        Whether both sides have the ends of their jobs from records of one kind.

    Returns
    -------
    dict of str to Interval
        By `OF_A_JOB`, or with `TOGETHER` for the last two where the ends are not alike: mean of `a`
        minus mean of `b`, s, with the 95 % interval of `schedlab.metrics.sides.between`. Without a
        value where a part is not known on both sides, or is a lower bound.
    """
    names = OF_A_JOB if alike else (*OF_A_JOB[:-2], TOGETHER)
    return {
        name: between(a, b, _values(a, name), _values(b, name), paired=paired, log=False)
        for name in names
    }


def largest(parts: Mapping[str, Interval]) -> str | None:
    """Part with the largest difference among those whose interval does not contain 0.

    The intervals are not corrected for their number: what is asked is which one is largest, once an
    error is known.
    """
    shown = {name: abs(_size(parts[name])) for name in parts if _is_shown(parts[name])}
    return max(shown, key=lambda name: shown[name], default=None)


def cause(parts: Mapping[str, Interval], quantity: str, seconds: float | None) -> str | None:
    """Part in which an error can arise: the largest of those that can; see the module.

    Parameters
    ----------
    parts : mapping of str to Interval
        See `parts_apart`.
    quantity : str
        Name of the quantity that has the error.
    seconds : float or None
        By how much longer the time that it tells of is on virtual nodes, s; None where it tells of
        no time.
    """
    if not seconds:
        return None
    can = {
        name: size
        for name, size in parts.items()
        if (name in _OF_A_WAIT or not quantity.startswith("wait"))
        and _size(size) * seconds > 0
        and abs(_size(size)) >= LEAST * abs(seconds)
    }
    return largest(can)


def _size(part: Interval) -> float:
    return part.estimate or 0.0


def _is_shown(part: Interval) -> bool:
    return part.low is not None and part.high is not None and (part.low > 0 or part.high < 0)


def _values(trials: pd.DataFrame, name: str) -> Floats:
    """Mean of a part in each trial, s; NaN where it is unknown or a lower bound."""
    if name == TOGETHER:
        return _values(trials, RUN) + _values(trials, OF_A_JOB[-1])
    if name != RUN:
        values, bounded = values_of(trials, name), has_bounds(trials, name)
    else:
        whole = pd.to_numeric(trials[_WHOLE]).to_numpy(np.float64, na_value=np.nan)
        values = whole - values_of(trials, "wait_mean")
        bounded = has_bounds(trials, "wait_mean") or bool(named(trials, "at_least", _WHOLE).any())
    return np.full(values.shape, np.nan) if bounded else values
