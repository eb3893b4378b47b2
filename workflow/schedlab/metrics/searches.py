"""Searches for the highest sustained rate: their steps, the knee, and its interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from schedlab.metrics.ceiling import SAME, with_payload, with_submitter
from schedlab.metrics.levels import over_trials
from schedlab.metrics.saturation import CYCLES, QUEUE, REASONS
from schedlab.metrics.statistics import MINIMUM
from schedlab.workloads.ladder import Bracket, Step, bracket, steps_of

_OVER, _UNDER = "even the highest rate is sustained", "not even the lowest rate is sustained"
UNTOLD = "no valid trial tells of a rate above the lowest, which is sustained"


class Knee(NamedTuple):
    """Highest sustained rate of one cell.

    Attributes
    ----------
    workload, cluster, scheduler : str
        The cell.
    nodes : int
        Compute nodes.
    brackets : tuple of Bracket
        Rates of each search, as they were offered.
    why_not : tuple of tuple of str
        Of each search: why its lowest rate that was not sustained was not (`saturation.REASONS`).
    estimate, low, high : float or None
        Geometric mean of the middles of the searches' `capacity`, and its interval (1/s): of
        Student's t on logarithms from 3 searches on, and not narrower than these; of fewer, their
        own ends. Searches on several equal clusters by `schedlab.metrics.levels`: those on one
        snapshot share what is its own. No estimate where the knee of any search lies beyond an end
        of the ladder: a mean of the others would be biased.
    bounded : str
        In how many searches it lies beyond which end, or is not judged there, in words; empty where
        it lies within.
    judged : bool
        Whether all rates that were tried could be judged.
    ceiling : Bracket
        `capacity` of the cluster without a scheduler with the same driver, 1/s. Without a
        rate that it did not sustain, `high` is None: the ceiling is at least `low`.
    clusters : int
        Equal clusters on which searches were made, each made anew.
    untold : bool
        In some search one rate alone is known to be sustained, and of none above it a valid trial
        tells: it was interrupted, or the trials at its highest rate are invalid.
    """

    workload: str
    cluster: str
    scheduler: str
    nodes: int
    brackets: tuple[Bracket, ...]
    why_not: tuple[tuple[str, ...], ...]
    estimate: float | None
    low: float | None
    high: float | None
    bounded: str
    judged: bool
    ceiling: Bracket
    clusters: int = 1
    untold: bool = False


def searched(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials that are steps of searches."""
    return trials[trials["search"].notna()]


def without_searches(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials of a cell that repeat one another: steps of searches differ in their rates."""
    return trials[trials["search"].isna()]


def of_knee(trials: pd.DataFrame, knee: Knee) -> pd.DataFrame:
    """Steps of the searches that a knee is of."""
    own = searched(trials)
    return own[(own["workload"] == knee.workload) & (own["cluster"] == knee.cluster)]


def steps(trials: pd.DataFrame) -> list[Step]:
    """Steps that trials of one search tell."""
    return steps_of(trials.to_dict("records"))


def knees(trials: pd.DataFrame) -> list[Knee]:
    """Knee of every cell of the trials table that was searched for one, in order of its name."""
    own = with_submitter(searched(trials))
    compared = with_payload(own)
    ceilings = {
        key: _ceiling(rows) for key, rows in own.drop(compared.index).groupby(SAME, observed=True)
    }
    found = []
    for (workload, cluster), rows in compared.groupby(
        ["workload", "cluster"], sort=True, observed=True
    ):
        own_searches = _searches(rows)
        unjudged = [CYCLES in _reasons(one) for one in own_searches]
        untold = [_untold(one) for one in own_searches]
        brackets = tuple(bracket(steps(one)) for one in own_searches)
        first = rows.iloc[0]
        nodes = int(first["nodes"])
        # 0: trials that do not name their cluster are taken as those of one.
        made_on = [int(one["snapshot"].fillna(0).iloc[0]) for one in own_searches]
        estimate, low, high = _interval([capacity(one) for one in own_searches], made_on)
        found.append(
            Knee(
                str(workload),
                str(cluster),
                str(first["scheduler"]),
                nodes,
                brackets,
                tuple(_why_not(one) for one in own_searches),
                estimate,
                low,
                high,
                _bounded(brackets, unjudged, untold),
                not any(unjudged),
                ceilings.get(tuple(first[SAME]), Bracket(None, None)),
                len({one for one, ends in zip(made_on, brackets, strict=True) if any(ends)}),
                any(untold),
            )
        )
    return found


def by_search(trials: pd.DataFrame) -> pd.DataFrame:
    """One row for each search, in the form in which groups of trials are compared.

    The replicate of a knee is the search: its steps differ in their rates and are no repetitions of
    one another. A search has the trace of its first step, at the lowest rate, whose jobs all its
    steps have.

    Parameters
    ----------
    trials : pandas.DataFrame
        The trials table.

    Returns
    -------
    pandas.DataFrame
        Columns of the trials table that name a cell or tell what may be compared. `repetition`:
        number of the search. `lineage`: of all steps together. `steps`, `valid_steps`: numbers of
        them. `valid`: whether any step tells something. `knee_jobs_per_s`: middle of the search's
        `capacity`; its lower end where even the highest rate was sustained, which `at_least` says;
        missing where not even the lowest was, which `beyond` says.
    """
    rows = []
    keys = ["scheduler", "cluster", "workload", "nodes", "snapshot", "search"]
    for _, own in searched(trials).groupby(keys, sort=True, observed=True, dropna=False):
        ordered = own.sort_values("repetition")
        first, found = ordered.iloc[0], capacity(ordered)
        open_end = found.low is not None and found.high is None
        rows.append(
            {
                **{name: first[name] for name in (*keys[:5], "parent", "trace", "block")},
                **{name: _only(own[name]) for name in ("accelerator", "host")},
                "repetition": int(first["search"]),
                "lineage": " ".join(map(str, ordered["lineage"])),
                "steps": len(own),
                "valid_steps": int(own["valid"].astype(bool).sum()),
                "valid": found.low is not None or found.high is not None,
                "knee_jobs_per_s": found.low if open_end else found.middle,
                "at_least": ["knee_jobs_per_s"] * open_end,
                "beyond": found.low is None and found.high is not None,
            }
        )
    return pd.DataFrame(rows)


def _only(values: pd.Series) -> object:
    """The one value of a column; None where there are several."""
    return values.iloc[0] if values.nunique(dropna=False) == 1 else None


def capacity(search: pd.DataFrame) -> Bracket:
    """Bracket of the rate that a cluster can do, from the trials of one search.

    A queue grows at the offered rate less the capacity, and its growth counts from half of the
    precision on (`saturation.grows`). So the ladder closes in on the capacity over one less that
    half, and as many searches as one likes would agree on that higher rate. A search that something
    else than the queue ended tells the rate as it was offered.
    """
    found = bracket(steps(search))
    if found.high is not None and QUEUE not in _why_not(search):
        return found
    counts = 1 - float(search["precision"].iloc[0]) / 2
    return Bracket(*(None if end is None else end * counts for end in found))


def _why_not(search: pd.DataFrame) -> tuple[str, ...]:
    """Why the lowest rate of a search that was not sustained was not; empty without one."""
    first = bracket(steps(search)).high
    for row in search.to_dict("records"):
        if row["valid"] and row["rate"] == first and row["sustained"] == False:  # noqa: E712 (NA)
            return tuple(row["why_not"])
    return ()


def _reasons(search: pd.DataFrame) -> set[str]:
    """Why rates of a search were not sustained, or not judged."""
    return {
        reason
        for why_not in search.loc[search["valid"].astype(bool), "why_not"]
        if why_not is not None
        for reason in why_not
    }


def _searches(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """Trials of each search. Equal clusters number their searches alike."""
    each = rows.groupby(["snapshot", "search"], observed=True, dropna=False)
    return [of_search for _, of_search in each]


def _ceiling(rows: pd.DataFrame) -> Bracket:
    """Capacity by the search that sustained the highest rate."""
    found = [one for one in map(capacity, _searches(rows)) if one.low is not None]
    if not found:
        return Bracket(None, None)
    return max(found, key=lambda one: (one.high is None, one.low))


def _interval(
    brackets: Sequence[Bracket], clusters: Sequence[int]
) -> tuple[float | None, float | None, float | None]:
    """Estimate and interval of the knee, by each search's bracket of it and its cluster."""
    told = [one for one in brackets if one.low is not None or one.high is not None]
    lows = [one.low for one in told if one.low is not None]
    highs = [one.high for one in told if one.high is not None]
    middles = [one.middle for one in told if one.middle is not None]
    if len(middles) < len(told) or not told:
        low = min(lows) if lows and len(lows) == len(told) else None
        high = max(highs) if highs and len(highs) == len(told) else None
        return None, low, high
    # Every search that tells something has a middle here.
    groups: dict[int, list[float]] = {}
    for cluster, one in zip(clusters, brackets, strict=True):
        if one.middle is not None:
            groups.setdefault(cluster, []).append(one.middle)
    found = over_trials(list(groups.values()), "log")
    if len(middles) < MINIMUM:
        return found.estimate, min(lows), max(highs)
    # All searches climb the same rates, so equal brackets are no sign of an exact value.
    ends = [end for end in (found.low, found.high) if end is not None]
    return found.estimate, min([*ends, _mean(lows)]), max([*ends, _mean(highs)])


def _mean(values: list[float]) -> float:
    """Geometric mean."""
    return float(np.exp(np.mean(np.log(values))))


def _untold(search: pd.DataFrame) -> bool:
    """Whether a search tells of its lowest rate alone, which is sustained.

    The next step is at its highest rate, and only if that is sustained too has it no failed one.
    """
    known = [step for step in steps(search) if step.sustained is not None]
    return all(step.sustained for step in known) and len({step.rate for step in known}) == 1


def _bounded(brackets: Sequence[Bracket], unjudged: Sequence[bool], untold: Sequence[bool]) -> str:
    """In which searches the knee lies beyond what was judged; empty where it does in none."""
    found: Counter[str] = Counter()
    searches = 0
    for one, not_judged, alone in zip(brackets, unjudged, untold, strict=True):
        if one == Bracket(None, None) and not not_judged:
            continue
        searches += 1
        found[REASONS[CYCLES]] += not_judged
        if one.high is None and not not_judged:
            found[UNTOLD if alone else _OVER] += 1
        found[_UNDER] += one.low is None and one.high is not None
    of_many = f" in {{}} of {searches} searches" if searches > 1 else ""
    order = (REASONS[CYCLES], _OVER, UNTOLD, _UNDER)
    return "; ".join(words + of_many.format(found[words]) for words in order if found[words])
