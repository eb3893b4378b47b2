"""When a cell has trials enough: the arithmetic of the stop rule.

The rule looks at the width of the interval after every trial. Looking again and again at data until
they look precise makes intervals too narrow: how much is measured by
`tests/benchmarks/calibration.py` and stands in `docs/statistics.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import pandas as pd

from schedlab.metrics.quantities import QUANTITIES, WITHOUT_PAYLOAD
from schedlab.metrics.statistics import Scale, Values, clean, t_interval

Decision = Literal["narrow enough", "go on", "cannot"]

NARROW: Decision = "narrow enough"
GO_ON: Decision = "go on"
CANNOT: Decision = "cannot"


@dataclass(frozen=True)
class StopRule:
    """When to stop repeating a cell.

    Parameters
    ----------
    min, max : int
        Fewest and most trials; `min` is at least 3, the fewest for an interval.
    until : float
        Half-width of the interval, relative to the estimate, that is narrow enough: 0.05 for 5 %.
    """

    min: int
    max: int
    until: float

    def __post_init__(self) -> None:
        if not 3 <= self.min <= self.max or not self.until > 0:
            raise ValueError(f"a stop rule needs 3 <= min <= max and until > 0, not {self}")


def half_width(values: Values, scale: Scale) -> float | None:
    """Half-width of the 95 % interval, relative to the estimate; None where there is none."""
    found = t_interval(values, scale)
    if found.low is None or found.high is None or not found.estimate:
        return None
    return (found.high - found.low) / 2 / abs(found.estimate)


def decide(values: Values, scale: Scale, rule: StopRule) -> Decision:
    """Decide whether a cell needs more trials.

    Parameters
    ----------
    values : sequence of float
        One value for each trial that has run; missing ones (invalid trials) are left out: they
        count for neither bound.
    scale : {"log", "raw"}
        Of the quantity that the rule looks at.
    rule : StopRule
        Bounds and width.

    Returns
    -------
    {"narrow enough", "go on", "cannot"}
        ``cannot``: the most trials have run and the interval is still too wide.
    """
    n = clean(values).size
    if n < rule.min:
        return GO_ON
    half = half_width(values, scale)
    if half is not None and half <= rule.until:
        return NARROW
    return CANNOT if n >= rule.max else GO_ON


class Standing(NamedTuple):
    """How far a cell is.

    Parameters
    ----------
    quantity : str
        What the rule looks at; a key of `schedlab.metrics.quantities.QUANTITIES`.
    n : int
        Trials with a value.
    half_width : float or None
        Of the interval, relative to the estimate; None where there is none.
    decision : {"narrow enough", "go on", "cannot"}
        By these trials.
    """

    quantity: str
    n: int
    half_width: float | None
    decision: Decision


def standing(trials: Iterable[Mapping[Any, Any]], quantity: str, rule: StopRule) -> Standing:
    """How far a cell is by its trials that have run.

    Parameters
    ----------
    trials : iterable of mapping
        Rows of the trials table, all of one cell. Invalid ones are left out.
    quantity : str
        Main quantity of the kind of workload. Trials without a payload have another.
    rule : StopRule
        Bounds and width.
    """
    rows = [row for row in trials if row["valid"]]
    if any(not pd.isna(row["payload"]) and not row["payload"] for row in rows):
        quantity = WITHOUT_PAYLOAD
    column, scale = QUANTITIES[quantity].column, QUANTITIES[quantity].scale
    values = clean([float("nan") if pd.isna(row[column]) else row[column] for row in rows])
    return Standing(quantity, values.size, half_width(values, scale), decide(values, scale, rule))
