"""Searches for the highest sustained rate: the knee of each cell, and what limits it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from schedlab.formatting import number
from schedlab.metrics.confirmation import WITHIN, confirmations
from schedlab.metrics.limiter import RULES, of_cell
from schedlab.metrics.searches import Knee, knees, searched
from schedlab.workloads.ladder import Bracket

_VERDICTS = {True: "confirmed", False: "not confirmed", None: "unknown"}


def saturation(trials: pd.DataFrame) -> dict[str, Any]:
    """Rows of the section; `rows` is empty where nothing was searched.

    Returns
    -------
    dict
        `confirmations` of limiters that another variant lifts, and `within` what distance from the
        prediction they count. `rules`: what names a limiter, in order. `rows`: `workload`,
        `cluster`, `knee`, `interval`, `how` (what the interval is), `searches`, `brackets`,
        `ceiling`, `limiter`, `evidence` and `lift`, all as text.
    """
    own = searched(trials)
    return {
        "confirmations": [
            {
                "workload": one.workload,
                "cluster": one.cluster,
                "other": one.other,
                "setting": one.setting,
                "predicted": number(one.predicted),
                "why": one.why,
                "found": number(one.found) if one.found is not None else "no knee",
                "verdict": _VERDICTS[one.confirmed],
            }
            for one in confirmations(trials)
        ],
        "within": f"{100 * WITHIN:g} %",
        "rules": [words for words, _ in RULES],
        "rows": [
            _row(knee, own[(own["workload"] == knee.workload) & (own["cluster"] == knee.cluster)])
            for knee in knees(trials)
        ],
    }


def _row(knee: Knee, trials: pd.DataFrame) -> dict[str, str]:
    found = of_cell(trials)
    complete = sum(one.middle is not None for one in knee.brackets)
    ends = [number(end) if end is not None else "unknown" for end in (knee.low, knee.high)]
    return {
        "workload": knee.workload,
        "cluster": knee.cluster,
        "knee": number(knee.estimate) if knee.estimate is not None else knee.bounded or "unknown",
        "interval": f"[{ends[0]}, {ends[1]}]",
        "how": "95 % interval" if complete >= 3 else "ends of the brackets",
        "searches": str(len(knee.brackets)),
        "brackets": "; ".join(_bracket(one) for one in knee.brackets),
        "ceiling": number(knee.ceiling) if knee.ceiling is not None else "not measured",
        "limiter": (found.name or "not named") if found else "none: every rate is sustained",
        "evidence": found.evidence if found else "",
        "lift": found.lift if found else "",
    }


def _bracket(one: Bracket) -> str:
    ends = (number(end) if end is not None else "none" for end in one)
    return " to ".join(ends)
