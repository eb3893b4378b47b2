"""Searches for the highest sustained rate: the knee of each cell, and what limits it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from schedlab.formatting import number
from schedlab.metrics.confirmation import (
    WITHIN,
    Lifting,
    Unlifted,
    confirmations,
    limiters,
    unlifted,
)
from schedlab.metrics.limiter import RULES, Limiter
from schedlab.metrics.saturation import REASONS
from schedlab.metrics.searches import Knee
from schedlab.metrics.statistics import MINIMUM
from schedlab.workloads.ladder import Bracket

_VERDICTS = {True: "confirmed", False: "not confirmed", None: "unknown"}


def saturation(
    trials: pd.DataFrame, liftings: Iterable[Lifting] = (), confirming: Iterable[str] = ()
) -> dict[str, Any]:
    """Rows of the section; `rows` is empty where nothing was searched.

    Parameters
    ----------
    trials : pandas.DataFrame
        The trials table.
    liftings : iterable of Lifting
        Clusters of which one may lift the other's limit.
    confirming : iterable of str
        Workloads whose limiters are to be confirmed.

    Returns
    -------
    dict
        `confirmations` of limiters that another variant lifts, and `within` what distance from the
        prediction they count. `not_lifted`: `workload`, `cluster` and `why` of the cells whose
        limiter was to be confirmed and no other variant lifts. `rules`: what names a limiter, in
        order. `rows`: `workload`, `cluster`, `knee`, `interval`, `how` (what the interval is),
        `searches`, `brackets` (with why the upper rate was not sustained), `ceiling`, `limiter`,
        `evidence` and `lift`, all as text.
    """
    liftings = list(liftings)
    named = limiters(trials)
    confirmed = confirmations(trials, named, liftings)
    lifted = {(one.workload, one.cluster) for one in confirmed}
    lifting = {(one.workload, one.other) for one in confirmed}
    wanted = set(confirming)
    return {
        "confirmations": [
            {
                "workload": one.workload,
                "cluster": one.cluster,
                "other": one.other,
                "setting": one.setting,
                "predicted": number(one.predicted),
                "before": one.before,
                "why": one.why,
                "found": _found(one.found),
                "verdict": _VERDICTS[one.confirmed],
            }
            for one in confirmed
        ],
        "not_lifted": [
            {"workload": knee.workload, "cluster": knee.cluster, "why": _why(knee, limit, liftings)}
            for knee, limit in named.items()
            if knee.workload in wanted and (knee.workload, knee.cluster) not in lifted | lifting
        ],
        "within": f"{100 * WITHIN:g} %",
        "rules": [words for words, _ in RULES],
        "rows": [_row(knee, limit) for knee, limit in named.items()],
    }


def _why(knee: Knee, named: Limiter | None, liftings: Iterable[Lifting]) -> str:
    """Why no other variant lifts a cell's limiter."""
    reason = unlifted(knee, named)
    if reason or named is None:
        about = {
            Unlifted.NOT_NAMED: named and named.evidence,
            Unlifted.NO_SETTING: named and named.name,
            Unlifted.NO_KNEE: knee.bounded or "unknown",
        }
        detail = about.get(reason) if reason else None
        return (reason or Unlifted.SUSTAINED).value + (f": {detail}" if detail else "")
    lifts = [one for one in liftings if one.cluster == knee.cluster and named.lift in one.settings]
    if not lifts:
        return f"no setting lifts its limiter further: {named.name} ({named.lift})"
    told = "; ".join(one.refused[knee.workload] for one in lifts if knee.workload in one.refused)
    return told or f"no search with its limiter lifted ({named.lift}) has valid trials"


def _found(knee: Knee) -> str:
    """Knee of a cell with a lifted limit, or between what it lies."""
    if knee.estimate is not None:
        return number(knee.estimate)
    ends = {"at least": knee.low, "less than": knee.high}
    bounds = [f"{word} {number(end)}" for word, end in ends.items() if end is not None]
    return f"{' and '.join(bounds) or 'no knee'} ({knee.bounded or 'unknown'})"


def _row(knee: Knee, found: Limiter | None) -> dict[str, str]:
    told = [one for one in knee.brackets if one.low is not None or one.high is not None]
    mean = knee.estimate is not None and len(told) >= MINIMUM
    ends = [number(end) if end is not None else "unknown" for end in (knee.low, knee.high)]
    return {
        "workload": knee.workload,
        "cluster": knee.cluster,
        "knee": number(knee.estimate) if knee.estimate is not None else knee.bounded or "unknown",
        "interval": f"[{ends[0]}, {ends[1]}]",
        "how": ("95 % interval" if mean else "ends of the brackets") + _of_clusters(knee.clusters),
        "searches": str(len(told)),
        "brackets": "; ".join(
            _bracket(one, why) for one, why in zip(knee.brackets, knee.why_not, strict=True)
        ),
        "ceiling": _ceiling(knee.ceiling),
        "limiter": (found.name or "not named") if found else _none(knee),
        "evidence": found.evidence if found else "",
        "lift": found.lift if found else "",
    }


def _of_clusters(number: int) -> str:
    """What an interval is over, where searches were made on several equal clusters."""
    if number < 2:
        return ""
    return (
        f" over {number} clusters" if number >= MINIMUM else f" for these {number} clusters alone"
    )


def _none(knee: Knee) -> str:
    reason = unlifted(knee, None)
    sustained = reason in (None, Unlifted.SUSTAINED)
    return "none: every rate is sustained" if sustained or reason is None else reason.value


def _ceiling(one: Bracket) -> str:
    if one.middle is not None:
        return number(one.middle)
    return "not measured" if one.low is None else f"at least {number(one.low)}"


def _bracket(one: Bracket, why_not: tuple[str, ...]) -> str:
    ends = (number(end) if end is not None else "none" for end in one)
    told = " and ".join(REASONS[reason] for reason in why_not)
    return " to ".join(ends) + (f" ({told})" if told else "")
