"""Schedulers side by side: differences with intervals, and what was set alike or not."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from schedlab.formatting import number
from schedlab.metrics.cells import QUANTITIES
from schedlab.metrics.difference import compare
from schedlab.schedulers.base import PARITY

COMPARED = ("makespan", "wait_median", "launch_median", "scheduler_cpu_per_job")
"""Quantities whose difference has a meaning as such: costs, not rates or ratios."""


def differences(trials: pd.DataFrame) -> dict[str, Any]:
    """Differences between schedulers for each workload and node count.

    Returns
    -------
    dict
        `columns` (titles and units) and `rows`; no rows with fewer than two schedulers. Values have
        `difference`, `interval`, `delta` (Cliff's), `verdict`, all text.
    """
    valid = trials[trials["valid"].astype(bool)]
    names = list(dict.fromkeys(str(name) for name in trials["scheduler"]))
    rows = []
    for (workload, nodes), cell in valid.groupby(["workload", "nodes"], sort=True, observed=True):
        for first, second in combinations(sorted(names), 2):
            rows.append(
                {
                    "workload": str(workload),
                    "nodes": int(str(nodes)),
                    "first": first,
                    "second": second,
                    "values": [_difference(cell, name, first, second) for name in COMPARED],
                }
            )
    columns = [
        {"title": QUANTITIES[name].title, "unit": QUANTITIES[name].unit} for name in COMPARED
    ]
    return {"columns": columns, "rows": rows}


def _difference(cell: pd.DataFrame, quantity: str, first: str, second: str) -> dict[str, str]:
    column = QUANTITIES[quantity].column

    def values(scheduler: str) -> Any:
        chosen = cell.loc[cell["scheduler"] == scheduler, column]
        return pd.to_numeric(chosen).to_numpy(dtype=np.float64, na_value=np.nan)

    found = compare(values(first), values(second))
    bounds = found.difference
    known = bounds.estimate is not None
    return {
        "difference": f"{'+' if known and (bounds.estimate or 0) > 0 else ''}"
        f"{number(bounds.estimate)}"
        if known
        else "none",
        "interval": f"[{number(bounds.low)}, {number(bounds.high)}]" if bounds.known else "",
        "delta": number(found.cliffs_delta) if found.cliffs_delta is not None else "",
        "verdict": found.verdict,
    }


def parity(trials: pd.DataFrame) -> dict[str, Any]:
    """What each scheduler did in each respect, side by side.

    Returns
    -------
    dict
        `schedulers` and `rows` with `name`, `values` (a list of texts for each scheduler: more than
        one where trials differ) and `same`.
    """
    schedulers = sorted({str(name) for name in trials["scheduler"]})
    told: dict[str, list[dict[str, str]]] = {
        name: [
            json.loads(text)
            for text in trials.loc[trials["scheduler"] == name, "parity"].dropna().unique()
        ]
        for name in schedulers
    }
    rows = []
    for name in PARITY:
        values = [
            sorted({manifest[name] for manifest in told[scheduler] if manifest.get(name)})
            or ["not recorded"]
            for scheduler in schedulers
        ]
        same = all(value == values[0] for value in values)
        rows.append({"name": name, "values": values, "same": same})
    return {"schedulers": schedulers, "rows": rows}
