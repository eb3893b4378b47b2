"""Overhead of constant-time task sets: Reuther's model of each cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from schedlab.formatting import number, seconds
from schedlab.metrics.statistics import Interval, t_interval
from schedlab.metrics.task_sets import TaskSet


def overhead_rows(sets: Sequence[TaskSet]) -> list[dict[str, Any]]:
    """Rows of the section, as text, one for each set.

    Returns
    -------
    list of dict
        `cluster`, `work` (n t), `latency` and `exponent` (each `estimate` and `interval`; None
        without a model), `why` (there is none), `bends` (None: not tested), `trials`, `left_out`,
        `points` (for each n: `n`, `estimate` and `interval` of dT in s, `trials`) and `utilisation`
        (by the model, of the fewest and of the most n).
    """
    return [
        {
            "cluster": one.cluster,
            "work": seconds(one.work),
            "latency": None if one.why else _told(one.model.latency),
            "exponent": None if one.why else _told(one.model.exponent),
            "why": one.why,
            "bends": one.bends,
            "trials": one.tasks.size,
            "left_out": one.left_out,
            "points": _points(one),
            "utilisation": [] if one.why else _utilisation(one),
        }
        for one in sets
    ]


def _told(found: Interval) -> dict[str, str]:
    return {
        "estimate": number(found.estimate),
        "interval": f"[{number(found.low)}, {number(found.high)}]" if found.known else found.note,
    }


def _points(one: TaskSet) -> list[dict[str, Any]]:
    """Mean dT of each n; of its values, because it can be 0 or less where little is lost."""
    rows = []
    for n in np.unique(one.tasks):
        values = one.overhead[one.tasks == n]
        rows.append({"n": number(n), "trials": values.size, **_told(t_interval(values, "raw"))})
    return rows


def _utilisation(one: TaskSet) -> list[str]:
    ends = np.unique([one.tasks.min(), one.tasks.max()])
    return [
        f"{100 * float(one.model.utilisation([n], one.work / n)[0]):.3g} % at n = {number(n)}"
        for n in ends
    ]
