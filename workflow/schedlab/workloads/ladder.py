"""The ladder of a search for the highest sustained rate: which rate comes next.

First the lowest rate, then the highest, then always the geometric mean of the highest sustained
rate and the lowest rate that was not. So every step is a function of the outcomes before it, and a
search that was interrupted goes on where it was. Pure arithmetic: the workload plans by it, the
stage of decisions follows it, and the report reads it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

SPARE = 1
"""Steps beyond those of a search without a failed trial, one of which is then made again."""

FINEST = 1e-4
"""Smallest precision of a search: rates have six digits, and finer halvings would repeat one."""

COARSEST = 0.2
"""Largest precision of a search: half of it is the growth of a queue that does not count."""

SLOWEST = 1e-6
"""Smallest rate (1/s) that a parameter may give: an event in 12 days."""

FEWEST = 20
"""Fewest jobs of a trial that can say whether a rate is sustained."""


FEWEST_CYCLES = 5
"""Fewest cycles of a scheduler in which the jobs of such a trial arrive: between two of them nobody
starts a job, and whether the queue is longer after the last than after the first is chance."""


class Step(NamedTuple):
    """One trial of a search: its rate (1/s), and whether it was sustained; None: unknown."""

    rate: float
    sustained: bool | None


class Bracket(NamedTuple):
    """Highest rate that was sustained and lowest that was not, 1/s; None where there is none."""

    low: float | None
    high: float | None

    @property
    def middle(self) -> float | None:
        """Geometric mean; None without both ends."""
        return None if self.low is None or self.high is None else math.sqrt(self.low * self.high)


def steps_of(rows: Iterable[Mapping[Any, Any]]) -> list[Step]:
    """Steps that rows of the trials table tell; invalid trials tell nothing.

    A row may be of a DataFrame, where what is missing is NaN. Planning reads this module, so it
    does without pandas.
    """
    return [
        Step(float(row["rate"]), bool(row["sustained"]) if _known(row["sustained"]) else None)
        for row in rows
        if row["valid"] and _known(row["rate"])
    ]


def _known(value: Any) -> bool:
    return value is not None and value == value  # noqa: PLR0124 (NaN equals nothing)


def most_steps(low: float, high: float, precision: float) -> int:
    """Most trials of a search: both ends, halvings until the bracket is narrow enough, spare ones.

    Parameters
    ----------
    low, high : float
        Ends, 1/s.
    precision : float
        Ratio of the bracket's ends minus 1 at which the search ends, such as 0.05.
    """
    halvings = math.log2(math.log(high / low) / math.log1p(precision))
    return 2 + max(0, math.ceil(halvings)) + SPARE


def bracket(steps: Iterable[Step]) -> Bracket:
    """Bracket of the knee. Of contradictory outcomes the lowest failure counts."""
    known = [step for step in steps if step.sustained is not None]
    high = min((step.rate for step in known if not step.sustained), default=None)
    low = max(
        (step.rate for step in known if step.sustained and (high is None or step.rate < high)),
        default=None,
    )
    return Bracket(low, high)


def next_rate(steps: Iterable[Step], low: float, high: float, precision: float) -> float | None:
    """Rate (1/s) of the next trial; None where the search has ended.

    It has ended when the lowest rate is not sustained, when the highest is, or when the bracket's
    ends differ by at most `precision`.
    """
    found = bracket(steps)
    if found.low is None and found.high is None:
        return low
    if found.low is None:
        # The highest rate failed while the outcome at the lowest is unknown.
        return None if found.high is not None and found.high <= low else low
    if found.high is None:
        return None if found.low >= high else high
    if found.high / found.low <= 1 + precision:
        return None
    return float(f"{math.sqrt(found.low * found.high):.6g}")
