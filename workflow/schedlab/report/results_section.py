"""What the tables say: estimates of every cell, fates of jobs, conditions of trials."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import pandas as pd

from schedlab.config.model import Experiment
from schedlab.formatting import count, number, seconds, short, span
from schedlab.metrics.cells import by_cell, cells
from schedlab.metrics.quantities import MAIN_QUANTITIES, QUANTITIES
from schedlab.schedulers.base import TIMESTAMPS
from schedlab.tables.build import Tables
from schedlab.tables.schemas import FAILED, FATES, JOBS, PASSED, RUN_ORDER, UNKNOWN


def table_where_told(trials: pd.DataFrame, quantities: Sequence[str]) -> dict[str, Any]:
    """As `main_table`, of quantities that only some workloads have: those that any trial tells."""
    names = [name for name in quantities if trials[QUANTITIES[name].column].notna().any()]
    found = main_table(trials, names)
    rows = [row for row in found["rows"] if any(value["known"] for value in row["values"])]
    return {**found, "rows": rows}


def main_table(trials: pd.DataFrame, quantities: Sequence[str] = MAIN_QUANTITIES) -> dict[str, Any]:
    """Rows of workload and cluster, with an estimate and interval of each quantity."""
    columns = [
        {"name": name, "title": QUANTITIES[name].title, "unit": _unit(QUANTITIES[name].unit)}
        for name in quantities
    ]
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for name in quantities:
        for cell in cells(trials, name).to_dict("records"):
            key = (str(cell["workload"]), str(cell["cluster"]))
            row = rows.setdefault(
                key,
                {
                    "workload": key[0],
                    "cluster": key[1],
                    "anchor": f"result-{key[1]}.{key[0]}",
                    "valid": int(cell["valid"]),
                    "trials": int(cell["trials"]),
                    "jobs": count(cell["jobs"]),
                    "completed": count(cell["completed"]),
                    "complete": cell["jobs"] == cell["completed"],
                    "values": [],
                },
            )
            row["values"].append(
                {
                    "known": pd.notna(cell["estimate"]),
                    "estimate": number(cell["estimate"]),
                    "interval": f"[{number(cell['low'])}, {number(cell['high'])}]"
                    if pd.notna(cell["low"])
                    else "",
                    "n": int(cell["n"]),
                    "note": str(cell["note"] or ""),
                    "at_least": bool(cell["at_least"]),
                    "withheld": int(cell["withheld"]),
                }
            )
    return {"columns": columns, "rows": list(rows.values())}


def cell_trials(trials: pd.DataFrame) -> list[dict[str, Any]]:
    """Trials that each row of the main table summarises, in the order of its rows.

    Returns
    -------
    list of dict
        `name` (cluster.workload), `workload`, `cluster`, `trials` (each `trial`, `valid`).
    """
    return [
        {
            "name": f"{cluster}.{workload}",
            "workload": str(workload),
            "cluster": str(cluster),
            "trials": [
                {"trial": str(row["trial"]), "valid": bool(row["valid"])}
                for row in group.sort_values("repetition").to_dict("records")
            ],
        }
        for (workload, cluster), group in by_cell(trials, ("workload", "cluster"))
    ]


def _unit(unit: str) -> str:
    return "" if unit == "1" else unit


def fates(trials: pd.DataFrame) -> dict[str, Any]:
    """Fates of all jobs of every cell, including those of invalid trials."""
    wanted = ["jobs", *FATES]
    table = trials.groupby(["workload", "cluster"], sort=True, observed=True)[wanted].sum()
    rows = [
        {"workload": str(key[0]), "cluster": str(key[1]), "counts": [count(v) for v in values]}
        for key, values in zip(table.index, table.to_numpy(), strict=True)
    ]
    total = table.sum() if len(table) else pd.Series(dict.fromkeys(wanted, 0))
    bad = int(total["jobs"] - total["completed"])
    return {
        "columns": [name.replace("_", " ") for name in wanted],
        "rows": rows,
        "total": [count(total[name]) for name in wanted],
        "jobs": int(total["jobs"]),
        "bad": bad,
        "named": ", ".join(
            f"{count(total[name])} {name.replace('_', ' ')}" for name in FATES[1:] if total[name]
        ),
    }


def invalid_trials(trials: pd.DataFrame) -> list[dict[str, Any]]:
    """Trials that did not pass their gate, with the reasons and what else happened to daemons."""
    bad = trials[~trials["valid"].astype(bool)].sort_values(["workload", "cluster", "repetition"])
    return [
        {
            "trial": str(row["trial"]),
            "reasons": [str(reason) for reason in words(row["reasons"])] or ["no reason recorded"],
            "daemons": list(words(row["daemons"])),
        }
        for row in bad.to_dict("records")
    ]


def failed_checks(trials: pd.DataFrame) -> dict[str, int]:
    """Number of invalid trials that failed each check of the whole measurement."""
    found: Counter[str] = Counter()
    for checks in trials.loc[~trials["valid"].astype(bool), "checks"]:
        found.update(
            {
                str(check["name"])
                for check in words(checks)
                if check["verdict"] == FAILED and not len(check["withholds"])
            }
        )
    return dict(found)


def outcomes(trials: pd.DataFrame) -> list[dict[str, Any]]:
    """Valid trials in which not all jobs completed, with the outcome in words."""
    found = []
    good = trials[trials["valid"].astype(bool)].sort_values(["workload", "cluster", "repetition"])
    for row in good.to_dict("records"):
        said = [*words(row["told"]), *words(row["daemons"])]
        if pd.notna(row["timed_out"]) and row["timed_out"]:
            said.append(f"the trial's limit of {seconds(row['limit_s'])} came first")
        if said:
            found.append({"trial": str(row["trial"]), "said": said})
    return found


def withheld(trials: pd.DataFrame) -> list[dict[str, Any]]:
    """Measures of valid trials that a check withholds, with its value and limit as text."""
    return [
        {"trial": str(row["trial"]), "reasons": reasons}
        for row in trials.sort_values(["workload", "cluster", "repetition"]).to_dict("records")
        if row["valid"]
        and (
            reasons := [
                str(check["reason"])
                for check in words(row["checks"])
                if check["verdict"] == FAILED and len(check["withholds"])
            ]
        )
    ]


def check_rows(trials: pd.DataFrame) -> list[dict[str, Any]]:
    """Every check with the worst value of any trial, and how many trials passed it."""
    found: dict[str, list[dict[str, Any]]] = {}
    for checks in trials["checks"]:
        for check in words(checks):
            found.setdefault(str(check["name"]), []).append(check)
    values = {
        name: [check["value"] for check in checks if check["value"] is not None]
        for name, checks in found.items()
    }
    return [
        {
            "name": name,
            "unit": "" if checks[0]["unit"] == "1" else checks[0]["unit"],
            "worst": number(max(values[name], default=None)),
            "limit": span([c["limit"] for c in checks if c["limit"] is not None]),
            "scope": "measures" if len(checks[0]["withholds"]) else "trial",
            **{
                verdict.replace(" ", "_"): sum(c["verdict"] == verdict for c in checks)
                for verdict in (PASSED, FAILED, UNKNOWN)
            },
        }
        for name, checks in found.items()
    ]


def words(value: Any) -> list[Any]:
    """Content of a cell in a list column; empty if it has none."""
    return [] if value is None or not hasattr(value, "__len__") else list(value)


def trial_rows(trials: pd.DataFrame) -> list[dict[str, Any]]:
    """Trials in the order in which they ran, with the conditions of each."""
    return [
        {
            "order": count(row["order"]),
            "trial": str(row["trial"]),
            "source": str(row["source"]),
            "cluster": str(row["cluster"]),
            "workload": str(row["workload"]),
            "valid": bool(row["valid"]),
            "lineage": str(row["lineage"]),
            "parent": short(row["parent"]),
            "duration": seconds(row["duration_s"]),
            "load": f"{number(row['load_start'])} to {number(row['load_end'])}",
            "steal": seconds(row["steal_s"]),
            "restore": seconds(row["restore_s"]),
            "uncertainty": seconds(row["clock_uncertainty_s"]),
            "drift": seconds(row["clock_drift_s"]),
            "late": seconds(row["lateness_median_s"]),
            "latest": seconds(row["lateness_max_s"]),
            "submission": number(row["submission_rate_jobs_per_s"]),
            "concurrency": count(row["concurrency"]),
        }
        for row in trials.sort_values(["source", *RUN_ORDER]).to_dict("records")
    ]


def instants(jobs: pd.DataFrame) -> list[dict[str, Any]]:
    """Each instant of a job with its meaning, and its sources with their resolutions."""
    meaning = {column.name: column.description.partition(";")[0] for column in JOBS}
    rows = []
    for name in TIMESTAMPS:
        found = jobs[f"{name}_source"].dropna().value_counts().sort_index()
        missing = int(jobs[name].isna().sum())
        rows.append(
            {
                "name": name,
                "meaning": meaning[name],
                "sources": [f"{source}: {n} jobs" for source, n in found.items()],
                "missing": missing,
            }
        )
    return rows


def conditions(
    tables: Tables, experiment: Experiment, stopped: Collection[str], samples: int
) -> dict[str, Any]:
    """What ran on what: the facts of the first screen.

    Parameters
    ----------
    tables : Tables
        The tables.
    experiment : Experiment
        The experiment that they are of.
    stopped : collection of str
        Ids of the trials that were not to run, and so are not absent.
    samples : int
        Rows of the samples table.
    """
    trials = tables.trials
    hosts: list[dict[str, Any]] = []
    for text in trials["conditions"].dropna():
        host = json.loads(text).get("host", {})
        facts = {key: host.get(key) for key in ("cpu", "cores", "memory_mib", "kernel", "system")}
        if any(facts.values()) and facts not in hosts:
            hosts.append(facts)
    known = {*(str(name) for name in trials["trial"]), *stopped}
    parents = trials.groupby(["cluster", "snapshot"], observed=True)["parent"].nunique()
    return {
        "accelerators": sorted(str(name) for name in trials["accelerator"].dropna().unique()),
        "hosts": hosts,
        "oversubscription": span(trials["oversubscription"]),
        "oversubscribed": bool((trials["oversubscription"] > 1).any()),
        "clusters": len(parents),
        "workloads": int(trials["workload"].nunique()),
        "trials": len(trials),
        "valid": int(trials["valid"].astype(bool).sum()),
        "jobs": len(tables.jobs),
        "samples": samples,
        "absent": [key.id for key in experiment.trials() if key.id not in known],
        "uncertainty": seconds(trials["clock_uncertainty_s"].max()),
        "drift": seconds(trials["clock_drift_s"].max()),
        "scrape": span(trials["scrape_interval_s"]),
        "thresholds": [
            {"workload": str(name), "seconds": span(rows["bounded_slowdown_threshold_s"])}
            for name, rows in trials.groupby("workload", sort=True, observed=True)
        ],
        "pooled": bool((parents > 1).any()),
    }


def settings_of(trials: pd.DataFrame, column: str, value: str) -> dict[str, Any]:
    """Scheduler's settings in force in the first valid trial whose `column` has `value`."""
    rows = trials[(trials[column] == value) & trials["valid"].astype(bool)].sort_values("order")
    known = rows["settings"].dropna()
    return dict(json.loads(known.iloc[0])) if len(known) else {}
