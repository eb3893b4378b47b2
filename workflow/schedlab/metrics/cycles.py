"""The rate of jobs that the limits of a scheduler allow, and what a cell tells of its processors.

A processor, or the group of them that a job wants, goes round: a cycle gives it a job, the job
holds it for a time h, then it stands idle until the next cycle. So a round lasts as many whole
periods T as h has begun, at least one, and s such groups sustain ``s / (T E[max(1, ceil(h / T))])``
jobs/s [1]_. A cycle that looks at D jobs starts at most D, so all together sustain at most
``min(D, s) / T``. The rates of loops beside one another add up; T is then the time between two of
all.

A row of the trials table has only the mean of h. So a processor is taken to become free at any
instant of a period, as where h varies by about a period or more: it then waits T / 2 on average,
and the rate is ``s / max(T, h + T / 2)``. The rate is also exact where every h is below T / 2. It
is wrong where h is nearly the same for all jobs and not much longer than T: just below T the true
rate is 1.5 times as high, just above T three quarters of it. With any distribution of mean h the
true rate is between ``s / (h + T)`` and ``s / max(T, h)``.

References
----------
.. [1] S. M. Ross, "Introduction to Probability Models", 12th ed., Academic Press 2019, section 7.3:
   the rate of a renewal process is one over its mean round.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from schedlab.schedulers.limits import Cycle, Limit

Row = Mapping[Any, Any]


class Places(NamedTuple):
    """Where jobs run.

    Attributes
    ----------
    number : float
        Jobs of mean size that the machine holds at one time.
    held : float
        Mean time from a job's allocation until its processors are free, s.
    """

    number: float
    held: float

    @property
    def rate(self) -> float:
        """Most jobs per second if a job that waits gets free processors at once."""
        return self.number / self.held if self.held > 0 else float("inf")


def value_of(row: Row, column: str) -> float | None:
    """Value of a column of the trials table; None where there is none."""
    value = row.get(column)
    return None if value is None or pd.isna(value) else float(value)


def limits_of(row: Row) -> list[Limit]:
    """Limits that were in force in a trial."""
    text = row.get("limits")
    if not isinstance(text, str):
        return []
    return [
        Limit(**{**one, "cycles": tuple(Cycle(*cycle) for cycle in one.get("cycles", ()))})
        for one in json.loads(text)
    ]


def places_of(row: Row) -> Places | None:
    """Places for jobs in a trial; None where its records do not tell."""
    number, held = value_of(row, "places"), value_of(row, "held_mean_s")
    if number is None:
        # The row of a table that had no such column. Jobs with a whole mean mostly have one size.
        cores, each = value_of(row, "cores"), value_of(row, "processors_mean")
        free = cores and cores * (1 - (value_of(row, "background_filled") or 0.0))
        number = free / each if free and each else None
        if number and each and each.is_integer():
            number = float(int(number + 1e-9)) or None
    if not number or held is None:
        return None
    return Places(number, max(held, 0.0))


def cycle_rate(cycles: Sequence[Cycle], places: Places) -> float | None:
    """Most jobs per second that cycles start; None where a period is not known.

    For jobs that become free independently of the cycles, or are held for less than half a period;
    see the module for others.
    """
    timed = [(cycle, cycle.period) for cycle in cycles if cycle.period]
    if not timed or len(timed) < len(cycles):
        return None
    number, held = places
    apart = 1 / sum(1 / period for _, period in timed)
    turns = max(cycle.turns for cycle in cycles)
    looked = sum(
        min(number, number if cycle.jobs is None else cycle.jobs) / period
        for cycle, period in timed
    )
    return min(looked, number / ((turns - 1) * apart + max(apart, held + apart / 2)))


def window(cycles: Sequence[Cycle]) -> int | None:
    """Most jobs that a scheduler looks at on each event; None where its cycles have periods."""
    depths = [cycle.jobs for cycle in cycles if cycle.period is None and cycle.jobs is not None]
    return min(depths, default=None)
