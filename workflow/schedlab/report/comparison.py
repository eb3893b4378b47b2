"""Schedulers side by side: effects with intervals and verdicts, and equal or different settings."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import pandas as pd

from schedlab.formatting import number
from schedlab.metrics.cells import by_cell, over_clusters
from schedlab.metrics.comparable import Comparison, FloorKey, compare_groups
from schedlab.metrics.fidelity import is_virtual
from schedlab.metrics.noise import UNBOUNDED, compare_again, noise_floor
from schedlab.metrics.quantities import QUANTITIES
from schedlab.schedulers.base import PARITY

Floors = Mapping[bool, Mapping[FloorKey, float]]
"""Noise floors by whether nodes are virtual."""

COMPARED = ("makespan", "wait_median", "launch_median", "scheduler_cpu_per_job")
"""Compared quantities. Throughput and utilisation are left out, as they follow from makespan."""


def differences(
    trials: pd.DataFrame,
    floors: Floors | None = None,
    left_out: Collection[str] = (),
) -> dict[str, Any]:
    """Differences between schedulers for each workload and node count, judged as one table.

    Parameters
    ----------
    trials : pandas.DataFrame
        The trials table.
    floors : mapping, optional
        The noise floor of virtual (True) and of real nodes (False), each as
        `schedlab.metrics.comparable.compare_groups` takes it.
    left_out : collection of str
        Series that are compared elsewhere: variants that ran a second time under another label.

    Returns
    -------
    dict
        `columns` (title, and unit or that it is a ratio) and `rows`, each with the `anchor` of its
        element; no rows with fewer than two schedulers. Values have `effect`, `interval`, `n`,
        `delta` (Cliff's), `floor` (noise floor) and `verdict`, all text, and for sentences `kind`
        and `unit` of the effect, `estimate`, `low`, `high`, `size` (n) and `floor_size`, numbers.
    """
    groups = {
        (str(workload), int(str(nodes)), str(scheduler)): group
        for (workload, nodes, scheduler), group in by_cell(
            trials, ("workload", "nodes", "scheduler")
        )
    }
    names = sorted({name for _, _, name in groups} - set(left_out))
    keys = [
        (workload, nodes, first, second)
        for workload, nodes in sorted({(workload, nodes) for workload, nodes, _ in groups})
        for first, second in combinations(names, 2)
        if (workload, nodes, first) in groups
        and (workload, nodes, second) in groups
        and _of_a_kind(groups[(workload, nodes, first)], groups[(workload, nodes, second)])
    ]
    pairs = [(groups[(w, n, first)], groups[(w, n, second)]) for w, n, first, second in keys]
    own = [(floors or {}).get(all_virtual(first), {}) for first, _ in pairs]
    found = compare_groups(pairs, COMPARED, noise_floor=own)
    rows = [
        {
            "workload": workload,
            "nodes": nodes,
            "first": first,
            "second": second,
            "anchor": f"difference-{place}",
            "values": [
                told(name, values[name], floor.get((name, workload, nodes))) for name in COMPARED
            ],
        }
        for place, ((workload, nodes, first, second), values, floor) in enumerate(
            zip(keys, found, own, strict=True), 1
        )
    ]
    return {"columns": _columns(), "rows": rows}


def all_virtual(trials: pd.DataFrame) -> bool:
    """Whether the nodes of some trials, which are alike in this, are virtual."""
    return bool(is_virtual(trials).all())


def _of_a_kind(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    """Whether the nodes of both are real, or those of both virtual.

    A difference between kinds is none of schedulers; `schedlab.metrics.fidelity` shows it.
    """
    return set(is_virtual(a)) == set(is_virtual(b))


def _columns() -> list[dict[str, str]]:
    return [
        {
            "title": QUANTITIES[name].title,
            "unit": "ratio" if QUANTITIES[name].scale == "log" else QUANTITIES[name].unit,
        }
        for name in COMPARED
    ]


def again(trials: pd.DataFrame, pair: tuple[str, str]) -> dict[str, Any]:
    """The variant that ran a second time against itself: the noise floor of a kind of nodes.

    Parameters
    ----------
    trials : pandas.DataFrame
        The trials table.
    pair : tuple of str
        Names of the two series.

    Returns
    -------
    dict
        `floors` as `differences` takes them of a kind, `first`, `second`, `columns`, and `rows` as
        those of `differences`.
    """
    found = compare_again(trials, *pair, COMPARED)
    first, second = pair
    rows = [
        {
            "workload": row.workload,
            "nodes": row.nodes,
            "anchor": f"noise-{first}-{place}",
            "values": [told(name, row.found[name], row.floors.get(name)) for name in COMPARED],
        }
        for place, row in enumerate(found, 1)
    ]
    return {
        "floors": noise_floor(found),
        "first": first,
        "second": second,
        "columns": _columns(),
        "rows": rows,
    }


def _percent(floor: float | None) -> str:
    if floor is None:
        return ""
    return "nothing is claimed" if floor >= UNBOUNDED else f"{number(100 * floor)} %"


def spread(trials: pd.DataFrame) -> dict[str, Any]:
    """Where the variance of each cell arises: between its equal clusters, or within one.

    Returns
    -------
    dict
        `columns` (titles) and `rows` (`workload`, `cluster`, `clusters`, `trials`, and for each
        quantity the part of the variance between clusters as text); no rows where every cell has
        one snapshot.
    """
    valid = trials[trials["valid"].astype(bool)]
    rows = []
    for (workload, cluster), group in by_cell(valid, ("workload", "cluster")):
        if group["snapshot"].nunique() < 2:
            continue
        shares = [over_clusters(group, name).share for name in COMPARED]
        rows.append(
            {
                "workload": str(workload),
                "cluster": str(cluster),
                "clusters": int(group["snapshot"].nunique()),
                "trials": len(group),
                "values": [
                    "unknown" if share is None else f"{100 * share:.0f} %" for share in shares
                ],
            }
        )
    return {"columns": [QUANTITIES[name].title for name in COMPARED], "rows": rows}


def told(name: str, found: Comparison, floor: float | None = None) -> dict[str, Any]:
    """One comparison as text, and as numbers for sentences; see `differences`."""
    effect = found.effect
    sign = "+" if found.kind == "difference" and (effect.estimate or 0) > 0 else ""
    trials = "pairs" if found.paired else "n"
    return {
        "name": name,
        "effect": "" if effect.estimate is None else f"{sign}{number(effect.estimate)}",
        "interval": f"[{number(effect.low)}, {number(effect.high)}]" if effect.known else "",
        "n": f"{trials}={effect.n}" if effect.n else "",
        "delta": number(found.cliffs_delta) if found.cliffs_delta is not None else "",
        "floor": _percent(floor),
        "verdict": found.verdict,
        "kind": found.kind,
        "unit": QUANTITIES[name].unit,
        "estimate": effect.estimate,
        "low": effect.low,
        "high": effect.high,
        "size": effect.n,
        "floor_size": floor or 0.0,
    }


def parity(
    trials: pd.DataFrame,
    declared: Mapping[str, Mapping[str, str]] | None = None,
    clusters: Iterable[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Rows of the parity manifest, one column for each scheduler.

    Parameters
    ----------
    trials : pandas.DataFrame
        The trials table.
    declared : mapping, optional
        For each series its keys in the experiment file (key -> value). Keys in which series differ
        become rows.
    clusters : iterable of mapping, optional
        Clusters as the report shows them. The kernel of each guest chooses a clock source, so that
        equal machines may differ in how long it takes to read a clock.

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
    rows += _clock_sources(schedulers, clusters)
    rows += _declared(schedulers, declared or {})
    return {"schedulers": schedulers, "rows": rows}


def _clock_sources(
    schedulers: Sequence[str], clusters: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Row of the guests' clock sources; no row where no cluster's are known."""
    found: dict[str, set[str]] = {name: set() for name in schedulers}
    for cluster in clusters:
        nodes: dict[str, list[str]] = {}
        for guest in cluster["guests"]:
            nodes.setdefault(guest["clocksource"] or "not recorded", []).append(guest["name"])
        told = [
            source + (f" ({', '.join(nodes[source])})" if len(nodes) > 1 else "")
            for source in sorted(nodes)
        ]
        found.setdefault(cluster["scheduler"], set()).update([", ".join(told)] if told else ())
    values = [sorted(found[name]) or ["not recorded"] for name in schedulers]
    if not any(found.values()):
        return []
    same = all(value == values[0] for value in values)
    return [{"name": "guests' clock sources", "values": values, "same": same}]


def _declared(
    schedulers: Sequence[str], declared: Mapping[str, Mapping[str, str]]
) -> list[dict[str, Any]]:
    """Rows of the keys in which series differ; a series may lack a key of another scheduler."""
    rows = []
    for key in dict.fromkeys(key for name in schedulers for key in declared.get(name, {})):
        told = [declared.get(name, {}).get(key) for name in schedulers]
        if len({value for value in told if value is not None}) > 1:
            values = [["not a setting of it" if value is None else value] for value in told]
            rows.append({"name": key, "values": values, "same": False})
    return rows
