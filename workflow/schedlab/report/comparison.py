"""Schedulers side by side: effects with intervals and verdicts, and what was set alike or not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import pandas as pd

from schedlab.formatting import number
from schedlab.metrics.comparable import Comparison, FloorKey, compare_groups
from schedlab.metrics.quantities import QUANTITIES
from schedlab.schedulers.base import PARITY

COMPARED = ("makespan", "wait_median", "launch_median", "scheduler_cpu_per_job")
"""Quantities that are compared. Throughput and utilisation say what the makespan says."""


def differences(
    trials: pd.DataFrame, noise_floor: Mapping[FloorKey, float] | None = None
) -> dict[str, Any]:
    """Differences between schedulers for each workload and node count, judged as one table.

    Parameters
    ----------
    trials : pandas.DataFrame
        The trials table.
    noise_floor : mapping, optional
        See `schedlab.metrics.comparable.compare_groups`.

    Returns
    -------
    dict
        `columns` (title, and unit or that it is a ratio) and `rows`; no rows with fewer than two
        schedulers. Values have `effect`, `interval`, `n`, `delta` (Cliff's), `verdict`, all text.
    """
    groups = {
        (str(workload), int(str(nodes)), str(scheduler)): group
        for (workload, nodes, scheduler), group in trials.groupby(
            ["workload", "nodes", "scheduler"], sort=True, observed=True
        )
    }
    names = sorted({name for _, _, name in groups})
    keys = [
        (workload, nodes, first, second)
        for workload, nodes in sorted({(workload, nodes) for workload, nodes, _ in groups})
        for first, second in combinations(names, 2)
        if (workload, nodes, first) in groups and (workload, nodes, second) in groups
    ]
    pairs = [(groups[(w, n, first)], groups[(w, n, second)]) for w, n, first, second in keys]
    found = compare_groups(pairs, COMPARED, noise_floor=noise_floor)
    rows = [
        {
            "workload": workload,
            "nodes": nodes,
            "first": first,
            "second": second,
            "values": [_told(values[name]) for name in COMPARED],
        }
        for (workload, nodes, first, second), values in zip(keys, found, strict=True)
    ]
    columns = [
        {
            "title": QUANTITIES[name].title,
            "unit": "ratio" if QUANTITIES[name].scale == "log" else QUANTITIES[name].unit,
        }
        for name in COMPARED
    ]
    return {"columns": columns, "rows": rows}


def _told(found: Comparison) -> dict[str, str]:
    effect = found.effect
    sign = "+" if found.kind == "difference" and (effect.estimate or 0) > 0 else ""
    trials = "pairs" if found.paired else "n"
    return {
        "effect": "" if effect.estimate is None else f"{sign}{number(effect.estimate)}",
        "interval": f"[{number(effect.low)}, {number(effect.high)}]" if effect.known else "",
        "n": f"{trials}={effect.n}" if effect.n else "",
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
