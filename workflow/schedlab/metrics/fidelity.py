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
to their limit would agree by that limit alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from schedlab.config.variants import VIRTUAL
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
from schedlab.metrics.sides import between, clusters
from schedlab.metrics.statistics import (
    NOT_POSITIVE,
    TOO_SMALL,
    Interval,
)
from schedlab.metrics.whole_runs import not_ended

UTILISATION = "utilisation"
OF_TRIALS = ("makespan", "throughput", "wait_median", "wait_p90", UTILISATION)
"""Quantities of trials whose errors are shown, keys of `schedlab.metrics.quantities.QUANTITIES`."""
ORDER = "order_of_starts"
"""Name of the error of the order of starts beside them."""
UNDECIDED = "undecided"
_BETTER_FIRST = ("within", UNDECIDED, "off")
NO_WORK = f"{NOT_COMPARABLE}: jobs that do nothing"
"""Why there is no error of the utilisation of a burst of no-op jobs: the little that it has is what
passes between two stamps, which is noise of the launch."""


@dataclass(frozen=True)
class Error:
    """Error of one quantity of one workload at one node count.

    Parameters
    ----------
    size : Interval
        Relative error, 0.02 for 2 % more on virtual nodes; for `ORDER` the part of the pairs of
        jobs, from 0 to 1.
    verdict : str
        See the module; or why there is none.
    between_real : float or None
        For `ORDER`: the same part between two real trials of one trace, the mean; None where no
        two ran one.
    """

    size: Interval
    verdict: str
    between_real: float | None = None

    @property
    def excess(self) -> float:
        """Its size without what equal trials differ by; below 0 where they differ more."""
        return abs(self.size.estimate or 0.0) - (self.between_real or 0.0)


@dataclass(frozen=True)
class Fidelity:
    """Virtual nodes against real ones in one workload and node count.

    Parameters
    ----------
    series : str
        The virtual series.
    workload : str
        Its name.
    nodes : int
        Compute nodes.
    margin : float
        Relative error that counts as true.
    errors : mapping of str to Error
        By quantity: `OF_TRIALS`, and `ORDER`.
    parts : mapping of str to Interval
        Where they arise, s: see `schedlab.metrics.fidelity_parts.parts_apart`.
    sampled : str
        Note on so few clusters that the intervals hold for their snapshots alone; empty from 3
        clusters of both kinds on.
    """

    series: str
    workload: str
    nodes: int
    margin: float
    errors: Mapping[str, Error]
    parts: Mapping[str, Interval] = field(default_factory=dict)
    sampled: str = ""

    @property
    def known(self) -> bool:
        """Whether there is an error of some quantity with an interval: without one, no verdict."""
        return any(error.size.known for error in self.errors.values())

    @property
    def worst(self) -> str:
        """Worst verdict of its errors: off before undecided before within; empty without one."""
        judged = {error.verdict for error in self.errors.values() if error.size.known}
        return max(judged, key=badness, default="")


@dataclass(frozen=True)
class Certificate:
    """What is known of one virtual series.

    Parameters
    ----------
    series : str
        Its name.
    cells : tuple of (str, int)
        Workload and node count of all its trials.
    found : tuple of Fidelity
        Of those cells where real nodes ran too.
    """

    series: str
    cells: tuple[tuple[str, int], ...]
    found: tuple[Fidelity, ...]

    @property
    def workloads(self) -> tuple[str, ...]:
        """Names of its workloads, sorted."""
        return tuple(sorted({workload for workload, _ in self.cells}))

    def compared(self, workload: str) -> tuple[int, ...]:
        """Node counts at which a workload has an error with an interval, from the smallest on."""
        return tuple(sorted(one.nodes for one in self._known(workload)))

    def beyond(self, workload: str) -> tuple[int, ...]:
        """Node counts of a workload outside the range of those; none where none was compared."""
        return tuple(n for n in self._others(workload) if not self._inside(workload, n))

    def inside(self, workload: str) -> tuple[int, ...]:
        """Node counts of a workload between two of those."""
        return tuple(n for n in self._others(workload) if self._inside(workload, n))

    def about(self, workload: str, nodes: int) -> str:
        """What holds of a workload at a node count.

        For example ``compared with real nodes, within 5 % there``, or from where it is taken.
        Sizes of other workloads tell nothing of this one.
        """
        sizes = self.compared(workload)
        if not sizes:
            return "not compared with real ones in this workload"
        if nodes in sizes:
            (own,) = (one for one in self._known(workload) if one.nodes == nodes)
            return f"compared with real nodes, {own.worst} there"
        worst = max((one.worst for one in self._known(workload)), key=badness)
        first, last = sizes[0], sizes[-1]
        if first < nodes < last:
            below = max(size for size in sizes if size < nodes)
            above = min(size for size in sizes if size > nodes)
            return f"between compared sizes, {below} and {above} nodes, {worst} there"
        whole = f"{first} to {last} nodes" if first < last else f"{first} node{'s' * (first > 1)}"
        return f"extrapolated from {whole}, {worst} there"

    def _known(self, workload: str) -> list[Fidelity]:
        return [one for one in self.found if one.workload == workload and one.known]

    def _others(self, workload: str) -> list[int]:
        """Node counts of a workload that were not compared, where others were."""
        sizes = self.compared(workload)
        own = sorted(nodes for name, nodes in self.cells if name == workload)
        return [nodes for nodes in own if sizes and nodes not in sizes]

    def _inside(self, workload: str, nodes: int) -> bool:
        sizes = self.compared(workload)
        return sizes[0] < nodes < sizes[-1]


def badness(verdict: str) -> int:
    """Place of a verdict on an error from the best one on."""
    return next((n for n, word in enumerate(_BETTER_FIRST) if verdict.startswith(word)), -1)


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
    starts = starts_of(jobs)
    return [
        _certificate(
            str(name),
            rows,
            real[real["scheduler"] == str(name).removesuffix(VIRTUAL)],
            starts,
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
    starts: Mapping[str, pd.Series],
    margin: float,
) -> Certificate:
    found = tuple(_compared(name, virtual, real, starts, margin))
    cells = virtual[["workload", "nodes"]].astype({"workload": str, "nodes": int})
    return Certificate(name, tuple(sorted(set(cells.itertuples(index=False, name=None)))), found)


def _compared(
    name: str,
    virtual: pd.DataFrame,
    real: pd.DataFrame,
    starts: Mapping[str, pd.Series],
    margin: float,
) -> Iterator[Fidelity]:
    keys = ["workload", "nodes"]
    others = dict(list(real.groupby(keys, observed=True)))
    for key, rows in virtual.groupby(keys, sort=True, observed=True):
        if key in others:
            found = _errors(rows, others[key], starts, margin)
            workload, nodes = rows["workload"].iloc[0], rows["nodes"].iloc[0]
            yield Fidelity(name, str(workload), int(nodes), margin, *found)


def _errors(
    virtual: pd.DataFrame, real: pd.DataFrame, starts: Mapping[str, pd.Series], margin: float
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
    errors[ORDER] = _of_order(a, b, among_real, starts, margin, paired=paired)
    few = sampled(min(clusters(a), clusters(b)))
    return errors, parts_apart(a, b, paired=paired), few


def _none(n: int, verdict: str) -> Error:
    return Error(Interval(None, None, None, n, "none", verdict), verdict)


def _error(name: str, a: pd.DataFrame, b: pd.DataFrame, margin: float, *, paired: bool) -> Error:
    x, y = known(values_of(a, name), values_of(b, name), paired=paired)
    n = int(min(x.size, y.size))
    if not n:
        return _none(0, TOO_SMALL)
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
    return Error(size, verdict(size, margin, margin))


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
    alone = between_real(real, starts)
    return Error(size, verdict(size, margin, margin + (alone or 0.0)), alone)
