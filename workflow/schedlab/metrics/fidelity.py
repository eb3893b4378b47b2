"""How true virtual nodes are: trials on virtual nodes against trials on real ones.

Both ran the same traces in one random order, so what differs is the kind of the nodes. The relative
error of a quantity is virtual / real - 1, from the ratio of geometric means, with the interval by
Student's t on logarithms over clusters, or over trials where a side has fewer than 3 clusters
(`schedlab.metrics.sides`). The error of the order of starts is the part of the pairs of jobs that
started in the other order (`schedlab.metrics.order_of_starts`). Two real trials have some error of
order as well, which is added to the margin where it is known.

A verdict looks at one interval of 95 %: *within x %* if all of it is within the margin, *off by
more than x %* if all of it is outside, else *undecided*. That is stricter than two one-sided tests
at 5 %. The verdicts of a table are not corrected for their number: the question is each one's
error, not whether there is any. Where jobs of a trial had not ended
(`schedlab.metrics.whole_runs.not_ended`), there is no error of anything: two trials that both came
to their limit would agree by that limit alone. Steps of searches differ in their rates, so that
they have no error; their workloads are in the certificate all the same, as not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from schedlab.config.variants import VIRTUAL
from schedlab.metrics.certificates import UNDECIDED, Certificate, Error, Fidelity
from schedlab.metrics.comparable import (
    NOT_COMPARABLE,
    UNFINISHED,
    has_bounds,
    known,
    matched,
    why_not,
)
from schedlab.metrics.fidelity_parts import parts_apart
from schedlab.metrics.levels import sampled
from schedlab.metrics.order_of_starts import between_real, between_trials, starts_of
from schedlab.metrics.quantities import values_of
from schedlab.metrics.searches import without_searches
from schedlab.metrics.sides import between, clusters
from schedlab.metrics.statistics import (
    NOT_POSITIVE,
    TOO_SMALL,
    Interval,
)
from schedlab.metrics.whole_runs import not_ended

UTILISATION = "utilisation"
THROUGHPUT = "throughput"
OF_TRIALS = ("makespan", THROUGHPUT, "wait_median", "wait_p90", UTILISATION)
"""Quantities of trials whose errors are shown, keys of `schedlab.metrics.quantities.QUANTITIES`."""
ORDER = "order_of_starts"
"""Name of the error of the order of starts beside them."""
NO_WORK = f"{NOT_COMPARABLE}: jobs that do nothing"
"""Why there is no error of the utilisation of a burst of no-op jobs: the little that it has is what
passes between two stamps, which is noise of the launch."""

NO_VALUE = f"{NOT_COMPARABLE}: too few jobs, or withheld"
"""Why there is no error though trials are compared: none of them has a value. A percentile needs
some jobs in each, an order two."""


@dataclass(frozen=True)
class _OfJobs:
    """What is taken from the table of jobs, by trial: `starts_of`, and `_ends_of`."""

    starts: Mapping[str, pd.Series]
    ends: Mapping[str, Set[str]]

    def end_alike(self, a: pd.DataFrame, b: pd.DataFrame) -> bool:
        """Whether the jobs of both sides have their ends from records of one kind."""
        first, second = (
            set().union(*(self.ends.get(trial, ()) for trial in side["trial"].astype(str)))
            for side in (a, b)
        )
        return first == second


def _ends_of(jobs: pd.DataFrame) -> dict[str, Set[str]]:
    """Trial -> records from which the ends of its jobs are; empty where they were not read."""
    if "finished_source" not in jobs:
        return {}
    known = jobs[["trial", "finished_source"]].dropna().drop_duplicates()
    return {
        str(trial): set(map(str, rows["finished_source"]))
        for trial, rows in known.groupby("trial", observed=True)
    }


def is_virtual(trials: pd.DataFrame) -> pd.Series:
    """Tell of each trial whether its nodes were virtual."""
    return trials["carriers"].notna()


def fidelity(
    trials: pd.DataFrame, jobs: pd.DataFrame, margins: Mapping[str, float]
) -> list[Certificate]:
    """Compare every virtual series with the real series of the same variant.

    Parameters
    ----------
    trials, jobs : pandas.DataFrame
        The tables.
    margins : mapping of str to float
        Virtual series -> relative error that counts as true; a series without one is left out.

    Returns
    -------
    list of Certificate
        In the order of the names of the series.
    """
    virtual = trials[is_virtual(trials)]
    real = trials[~is_virtual(trials)]
    of_jobs = _OfJobs(starts_of(jobs), _ends_of(jobs))
    return [
        _certificate(
            str(name),
            rows,
            real[real["scheduler"] == str(name).removesuffix(VIRTUAL)],
            of_jobs,
            margins[str(name)],
        )
        for name, rows in virtual.groupby("scheduler", sort=True, observed=True)
        if str(name) in margins
    ]


def compared_cells(trials: pd.DataFrame, jobs: pd.DataFrame) -> set[tuple[str, str, int]]:
    """Virtual series, workload and node count of what was compared, with an interval."""
    names = {str(name) for name in trials.loc[is_virtual(trials), "scheduler"]}
    # Whether there is an error does not depend on the margin.
    return {
        (one.series, one.workload, one.nodes)
        for certificate in fidelity(trials, jobs, dict.fromkeys(names, 0.0))
        for one in certificate.found
        if one.known
    }


def _certificate(
    name: str,
    virtual: pd.DataFrame,
    real: pd.DataFrame,
    of_jobs: _OfJobs,
    margin: float,
) -> Certificate:
    repeated = without_searches(virtual), without_searches(real)
    found = tuple(_compared(name, *repeated, of_jobs, margin))
    cells = virtual[["workload", "nodes"]].astype({"workload": str, "nodes": int})
    return Certificate(
        name,
        tuple(sorted(set(cells.itertuples(index=False, name=None)))),
        found,
        frozenset(virtual.loc[virtual["search"].notna(), "workload"].astype(str)),
    )


def _compared(
    name: str,
    virtual: pd.DataFrame,
    real: pd.DataFrame,
    of_jobs: _OfJobs,
    margin: float,
) -> Iterator[Fidelity]:
    keys = ["workload", "nodes"]
    others = dict(list(real.groupby(keys, observed=True)))
    for key, rows in virtual.groupby(keys, sort=True, observed=True):
        if key in others:
            found = _errors(rows, others[key], of_jobs, margin)
            workload, nodes = rows["workload"].iloc[0], rows["nodes"].iloc[0]
            yield Fidelity(name, str(workload), int(nodes), margin, *found)


def _errors(
    virtual: pd.DataFrame, real: pd.DataFrame, of_jobs: _OfJobs, margin: float
) -> tuple[dict[str, Error], dict[str, Interval], str]:
    names = (*OF_TRIALS, ORDER)
    a, b = (side[side["valid"].astype(bool)] for side in (virtual, real))
    if not len(a) or not len(b):
        return dict.fromkeys(names, _none(0, TOO_SMALL)), {}, ""
    if reason := why_not(a, b):
        return dict.fromkeys(names, _none(0, f"{NOT_COMPARABLE}: {reason}")), {}, ""
    among_real = b[~not_ended(b)]
    a, b, paired = matched(a, b)
    if not_ended(a).any() or not_ended(b).any():
        n = min(len(a), len(b))
        return dict.fromkeys(names, _none(n, UNFINISHED)), {}, ""
    errors = {name: _error(name, a, b, margin, paired=paired) for name in OF_TRIALS}
    errors[ORDER] = _of_order(a, b, among_real, of_jobs.starts, margin, paired=paired)
    few = sampled(min(clusters(a), clusters(b)))
    return errors, parts_apart(a, b, paired=paired, alike=of_jobs.end_alike(a, b)), few


def _none(n: int, verdict: str) -> Error:
    return Error(Interval(None, None, None, n, "none", verdict), verdict)


def _error(name: str, a: pd.DataFrame, b: pd.DataFrame, margin: float, *, paired: bool) -> Error:
    x, y = known(values_of(a, name), values_of(b, name), paired=paired)
    n = int(min(x.size, y.size))
    if not n:
        return _none(0, NO_VALUE if len(a) and len(b) else TOO_SMALL)
    if name == UTILISATION and np.any(values_of(b, "ideal_makespan") == 0):
        return _none(n, NO_WORK)
    if has_bounds(a, name) or has_bounds(b, name):
        return _none(n, UNFINISHED)
    if np.any(x <= 0) or np.any(y <= 0):
        return _none(n, f"{NOT_COMPARABLE}: {NOT_POSITIVE}")
    ratio = between(a, b, values_of(a, name), values_of(b, name), paired=paired, log=True)
    estimate, low, high = (
        None if bound is None else bound - 1 for bound in (ratio.estimate, ratio.low, ratio.high)
    )
    size = replace(ratio, estimate=estimate, low=low, high=high)
    return Error(size, verdict(size, margin, margin), seconds=_seconds(name, size, b))


def _seconds(name: str, size: Interval, real: pd.DataFrame) -> float | None:
    """Relative error of a time as seconds, by the geometric mean of real nodes."""
    if name == UTILISATION or size.estimate is None:
        return None
    values, longer = values_of(real, name), size.estimate
    if name == THROUGHPUT:
        # The time that the jobs took, which is shorter where the rate is larger.
        completed = real["completed"].to_numpy(dtype=np.float64, na_value=np.nan)
        values, longer = completed / values, 1 / (1 + longer) - 1
    values = values[values > 0]
    return longer * float(np.exp(np.log(values).mean())) if values.size else None


def verdict(size: Interval, margin: float, limit: float) -> str:
    """Verdict on an error by its interval; see the module.

    Parameters
    ----------
    size : Interval
        The error.
    margin : float
        What the verdict names.
    limit : float
        What the error is compared with: the margin, or more where equal trials differ too.
    """
    if size.low is None or size.high is None:
        return TOO_SMALL
    if -limit <= size.low and size.high <= limit:
        return f"within {100 * margin:g} %"
    if size.low > limit or size.high < -limit:
        return f"off by more than {100 * margin:g} %"
    return UNDECIDED


def _of_order(
    a: pd.DataFrame,
    b: pd.DataFrame,
    real: pd.DataFrame,
    starts: Mapping[str, pd.Series],
    margin: float,
    *,
    paired: bool,
) -> Error:
    size = between_trials(a, b, starts, paired=paired)
    if size is None:
        return _none(min(len(a), len(b)), UNFINISHED)
    if size.estimate is None and len(a) and len(b):
        return _none(0, NO_VALUE)
    alone = between_real(real, starts)
    return Error(size, verdict(size, margin, margin + (alone or 0.0)), alone)
