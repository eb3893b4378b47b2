"""Whether lifting a cell's limiter does what was predicted.

Two cells that differ in nothing but a limit, of which the second has the first one's limiter at a
higher value: from the first alone follows what rate the second should sustain. Where the second one
was made to confirm it, the prediction that was recorded before its first trial is judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from itertools import product
from typing import NamedTuple

import pandas as pd

from schedlab.formatting import number
from schedlab.metrics.cycles import Row, cycle_rate, limits_of, places_of, value_of, window
from schedlab.metrics.limiter import Limiter, first_failed, of_cell
from schedlab.metrics.saturation import CYCLES, REASONS
from schedlab.metrics.searches import UNTOLD, Knee, knees, of_knee
from schedlab.schedulers.limits import Limit
from schedlab.workloads.ladder import Bracket

WITHIN = 0.20
"""Largest relative distance from the prediction that counts as confirmed."""
LEAST = 1.25
"""Growth of a limit from which it is lifted: less is no more than `WITHIN` may hide."""


class Confirmation(NamedTuple):
    """Prediction from one cell, and what came out in another.

    Attributes
    ----------
    workload, cluster, other : str
        The cell whose limiter was named, and the one in which it is lifted.
    setting : str
        Native setting that lifts it.
    predicted : float
        Rate that the other should sustain, 1/s.
    why : str
        What bounds the prediction.
    found : Knee
        Of the other.
    before : bool
        Whether the prediction was recorded before the other's first trial.
    """

    workload: str
    cluster: str
    other: str
    setting: str
    predicted: float
    why: str
    found: Knee
    before: bool

    @property
    def confirmed(self) -> bool | None:
        """Whether the outcome is within `WITHIN` of the prediction; None if that is not known.

        A knee beyond an end of the ladder is known to be apart from a prediction within.
        """
        found = self.found
        if found.estimate is not None:
            return abs(found.estimate / self.predicted - 1) <= WITHIN
        over = found.low is not None and found.low > (1 + WITHIN) * self.predicted
        under = found.high is not None and found.high < (1 - WITHIN) * self.predicted
        return False if over or under else None


class Prediction(NamedTuple):
    """Rate (1/s) that a cell should sustain with its limiter lifted, and what bounds it."""

    rate: float
    why: str


class Unlifted(Enum):
    """Why nothing is predicted of a cell with a limit lifted, in words."""

    NO_TRIAL = "no valid trial tells whether its rate is sustained"
    NOT_JUDGED = REASONS[CYCLES]
    SUSTAINED = "every rate was sustained, so nothing limited it"
    UNTOLD = UNTOLD
    NOT_NAMED = "its limiter is not named"
    NO_SETTING = "schedlab knows no setting that lifts its limiter"
    NO_KNEE = "without a knee nothing can be predicted"
    OTHER = "its limiter is not the one that is lifted"
    UNKNOWN = "what its limiter allows once it is lifted is not known"
    LITTLE = f"its limiter is lifted by less than {LEAST:g} times"


class Lifting(NamedTuple):
    """Two clusters that differ in nothing but settings of one limit.

    Attributes
    ----------
    cluster, other : str
        Their names, as tables have them.
    settings : frozenset of str
        Native settings that lift the limit.
    recorded : mapping of str to Prediction
        Of each workload, where the second cluster was made to confirm the first one's limiter: what
        was predicted before its first trial.
    refused : mapping of str to str
        Of each workload for which the second cluster was not made to: why, as it was recorded.
    """

    cluster: str
    other: str
    settings: frozenset[str]
    recorded: Mapping[str, Prediction]
    refused: Mapping[str, str] = {}


def limiters(trials: pd.DataFrame) -> dict[Knee, Limiter | None]:
    """Knee of every cell of the trials table that was searched for one, and the cell's limiter."""
    return {knee: of_cell(of_knee(trials, knee)) for knee in knees(trials)}


def unlifted(knee: Knee, named: Limiter | None) -> Unlifted | None:
    """Why nothing can be predicted of a cell whatever is lifted; None where something can."""
    if not knee.judged and knee.estimate is None:
        return Unlifted.NOT_JUDGED
    if all(one == Bracket(None, None) for one in knee.brackets):
        return Unlifted.NO_TRIAL
    if named is None:
        return Unlifted.UNTOLD if knee.untold else Unlifted.SUSTAINED
    if not named.name:
        return Unlifted.NOT_NAMED
    if not named.lift:
        return Unlifted.NO_SETTING
    return Unlifted.NO_KNEE if knee.estimate is None else None


def prediction(
    cell: pd.DataFrame, knee: Knee, named: Limiter | None, after: Sequence[Limit]
) -> Prediction | Unlifted:
    """Predict a knee from the trials of a cell whose limiter is lifted.

    The rate grows as the limit does: requests per second; processor time; what `cycles.cycle_rate`
    gives for cycles with a period; and the depth, where a scheduler has at most so many jobs in
    hand and each for the same time (Little's law). The next bound ends the growth: processors that
    are all busy, or all held by jobs; the submitter.

    Parameters
    ----------
    cell : pandas.DataFrame
        Steps of the searches of the cell.
    knee : Knee
        Its knee.
    named : Limiter or None
        Its limiter, as `limiter.of_cell` names it.
    after : sequence of Limit
        Limits that are in force when it is lifted.

    Returns
    -------
    Prediction or Unlifted
        The latter where the cell has no knee, no limiter is named that a setting lifts, or `after`
        does not lift it.
    """
    if reason := unlifted(knee, named):
        return reason
    row = first_failed(cell)
    assert row is not None and named is not None and knee.estimate is not None
    before = {limit.setting: limit for limit in limits_of(row)}[named.lift]
    lifted = {limit.setting: limit for limit in after}.get(named.lift)
    if lifted is None or lifted.allowed == before.allowed:
        return Unlifted.OTHER
    found = _growth(before, lifted, row)
    if found is None:
        return Unlifted.UNKNOWN
    if found[0] < LEAST:
        return Unlifted.LITTLE
    allowed = Prediction(knee.estimate * found[0], found[1])
    valid = cell[cell["valid"].astype(bool)]
    bounds = [*_full(valid, knee.estimate), *_all_held(valid, row, before, found[0])]
    next_bound = min(bounds, default=allowed)
    return _below_ceiling(_bounded(allowed, *next_bound), knee)


def _full(valid: pd.DataFrame, knee: float) -> list[Prediction]:
    """Rate at which all processors are busy, by the largest part that was in any valid trial."""
    used = pd.to_numeric(valid["utilisation_steady"]).max()
    if pd.isna(used) or used <= 0:
        return []
    return [Prediction(knee / float(used), f"the machine is full: {100 * used:.0f} % of it were")]


def _all_held(valid: pd.DataFrame, row: Row, before: Limit, growth: float) -> list[Prediction]:
    """Rate at which jobs hold all processors, once the limit has grown so many times.

    A daemon that lacks processor time also takes part in the launch and the end of jobs, so of a
    quota the time for which a job holds its processors is the least that any rate had. Requests
    that end a job wait for those of other jobs, and for the client's limit if there are no others:
    of them it is that least time, in which the end takes so many times less.
    """
    rows = valid.to_dict("records") if before.cores or before.ends_jobs else [row]
    found = [(places_of(one), value_of(one, "completion_mean_s")) for one in rows]
    saved = 1 - 1 / growth if before.ends_jobs else 0.0
    known = [
        places._replace(held=places.held - saved * (end or 0.0))
        for places, end in found
        if places is not None
    ]
    most = max(known, key=lambda places: places.rate, default=None)
    if most is None:
        return []
    told = f"jobs hold all processors, each for {number(most.held)} s"
    return [Prediction(most.rate, told)]


def _bounded(allowed: Prediction, rate: float, why: str) -> Prediction:
    """The prediction, or a lower bound with what would be without it."""
    if rate >= allowed.rate:
        return allowed
    return Prediction(
        rate, f"then {why} ({allowed.why}, which alone allows {number(allowed.rate)})"
    )


def _below_ceiling(expected: Prediction, knee: Knee) -> Prediction:
    """The prediction, unless the submitter's ceiling is lower. One that is open bounds nothing."""
    ceiling = knee.ceiling.middle
    if ceiling is None:
        return expected
    return _bounded(expected, ceiling, "the submitter limits")


def _growth(before: Limit, after: Limit, row: Row) -> tuple[float, str] | None:
    """How many times as many jobs per second a lifted limit allows, and why."""
    if before.per_second and after.per_second:
        ratio = after.per_second / before.per_second
        return ratio, f"{before.setting} is {ratio:g} times as large"
    if before.cores and after.cores:
        ratio = after.cores / before.cores
        return ratio, f"{before.setting} is {ratio:g} times as large"
    shallow, deep = window(before.cycles), window(after.cycles)
    if shallow and deep:
        return deep / shallow, f"{before.setting} is {deep / shallow:g} times as large"
    places = places_of(row)
    if places is None:
        return None
    old, new = cycle_rate(before.cycles, places), cycle_rate(after.cycles, places)
    if not old or not new:
        return None
    return new / old, (
        f"cycles start {number(new)} jobs/s at most in place of {number(old)}, where a job holds"
        f" its processors for {number(places.held)} s"
    )


def confirmations(
    trials: pd.DataFrame, named: Mapping[Knee, Limiter | None], liftings: Iterable[Lifting]
) -> list[Confirmation]:
    """Every pair of cells in which the second lifts the limiter of the first.

    Parameters
    ----------
    trials : pandas.DataFrame
        The trials table.
    named : mapping of Knee to (Limiter or None)
        Its `limiters`.
    liftings : iterable of Lifting
        Clusters that may be compared.
    """
    cells: dict[str, list[Knee]] = {}
    for knee in named:
        cells.setdefault(knee.cluster, []).append(knee)
    pairs = []
    for lifting in liftings:
        for first, second in product(cells.get(lifting.cluster, ()), cells.get(lifting.other, ())):
            limit = named[first]
            if first.workload != second.workload or not limit or not limit.lift:
                continue
            if limit.lift not in lifting.settings:
                continue
            recorded = lifting.recorded.get(first.workload)
            after = _limits(of_knee(trials, second))
            predicted = recorded or prediction(of_knee(trials, first), first, limit, after)
            if isinstance(predicted, Prediction):
                # The submitter's own search is none of those that the decision read.
                bounded = _below_ceiling(predicted, first)
                pairs.append(
                    Confirmation(
                        first.workload,
                        first.cluster,
                        second.cluster,
                        limit.lift,
                        bounded.rate,
                        bounded.why,
                        second,
                        recorded is not None and bounded is recorded,
                    )
                )
    return pairs


def _limits(cell: pd.DataFrame) -> list[Limit]:
    """Limits in force in the trials of a cell, by the first trial that tells."""
    found = (limits_of(row) for row in cell.to_dict("records"))
    return next((limits for limits in found if limits), [])
