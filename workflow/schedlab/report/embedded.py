"""Data for the report's interactive part, which is in the page once, as JSON.

It holds the values of every trial, and the instants of the jobs of as many trials as fit. It is not
compressed, because the same data would not give the same bytes with every version of zlib.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from schedlab.metrics.quantities import MAIN_QUANTITIES, QUANTITIES

MOST_JOBS = 200_000
"""Most jobs that are embedded: some 6 MB. First those of the first repetitions."""
UNKNOWN = -1
"""Duration of what did not happen."""


def embedded(trials: pd.DataFrame, jobs: pd.DataFrame, most: int = MOST_JOBS) -> dict[str, Any]:
    """Data for the interactive part, as plain data.

    Parameters
    ----------
    trials, jobs : pandas.DataFrame
        The tables.
    most : int
        Most jobs whose instants are embedded.

    Returns
    -------
    dict
        `quantities` (each `name`, `title`, `unit`) and `trials`: for each its names, `cell`
        (what it is a repetition of), `valid`,
        `lineage`, `values` (of `quantities`, None where unknown) and `jobs`: None, or for each job
        in order of when it was due `number`, `due` (ms since the first one, as differences from
        the job before), `wait` and `run` (ms, or `UNKNOWN`) and `nodes`.
    """
    ordered = trials.sort_values(["repetition", "cluster", "workload"])
    of_trial = dict(tuple(jobs.groupby("trial", observed=True))) if len(jobs) else {}
    left, kept = most, {}
    for row in ordered.to_dict("records"):
        own = of_trial.get(row["trial"])
        if own is not None and len(own) <= left:
            left -= len(own)
            kept[row["trial"]] = _jobs(own)
    names = [name for name in MAIN_QUANTITIES if QUANTITIES[name].measured]
    return {
        "quantities": [
            {
                "name": name,
                "title": QUANTITIES[name].title,
                "unit": "" if QUANTITIES[name].unit == "1" else QUANTITIES[name].unit,
            }
            for name in names
        ],
        "trials": [
            {
                "trial": str(row["trial"]),
                "cluster": str(row["cluster"]),
                "variant": str(row["scheduler"]),
                "workload": str(row["workload"]),
                "cell": _cell(row),
                "valid": bool(row["valid"]),
                "lineage": str(row["lineage"]),
                "values": [_number(row[QUANTITIES[name].column]) for name in names],
                "jobs": kept.get(row["trial"]),
            }
            for row in trials.sort_values(["cluster", "workload", "repetition"]).to_dict("records")
        ],
    }


def _cell(row: dict[Any, Any]) -> str:
    """Name of what a trial is a repetition of; steps of a search at other rates are others."""
    name = f"{row['cluster']}.{row['workload']}"
    return name if pd.isna(row["search"]) else f"{name} at {row['rate']:.4g}/s"


def _number(value: Any) -> float | None:
    """A value with six significant digits; None where it is missing."""
    if value is None or pd.isna(value) or not math.isfinite(float(value)):
        return None
    return float(f"{float(value):.6g}")


def _jobs(jobs: pd.DataFrame) -> dict[str, list[int]]:
    """Instants of the jobs of one trial that were due, in ms."""
    due, started, finished = (
        jobs[name].to_numpy(dtype=np.float64, na_value=np.nan) / 1e6
        for name in ("intended", "started", "finished")
    )
    known = np.flatnonzero(~np.isnan(due))
    order = known[np.lexsort((jobs["job"].to_numpy()[known], due[known]))]
    due, started, finished = due[order], started[order], finished[order]
    first = np.round(due - due[0]).astype(np.int64) if len(due) else np.zeros(0, np.int64)
    return {
        "number": jobs["job"].to_numpy()[order].astype(int).tolist(),
        "due": np.diff(first, prepend=0).tolist(),
        "wait": _whole(started - due),
        "run": _whole(finished - started),
        "nodes": jobs["nodes"].to_numpy()[order].astype(int).tolist(),
    }


def _whole(milliseconds: np.ndarray) -> list[int]:
    """Whole durations; what began before it was due by the clocks' uncertainty waited 0 ms."""
    rounded = np.maximum(np.round(milliseconds), 0)
    found: list[int] = np.where(np.isnan(rounded), UNKNOWN, rounded).astype(np.int64).tolist()
    return found


def script_text(data: dict[str, Any]) -> Markup:
    """Return data as JSON for a script element, which no text in it can end."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704
