"""Metrics of trials that Prometheus did not sample, made from the trials' records afterwards.

They say which trial ran when, what its jobs did, and what the tables say of it, so that dashboards
can choose a trial and show its jobs in the same way for every scheduler. The text is in the
OpenMetrics format, which `promtool` makes blocks of.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from schedlab.metrics.quantities import QUANTITIES
from schedlab.tables.schemas import FATES
from schedlab.tables.trial_rows import TrialRows

INTERVAL = 1.0
"""Seconds between two samples, as Prometheus takes them in a trial by default."""
MOST = 3000
"""Most samples of a series; a longer trial has a longer interval."""
VALUES = (
    "jobs", *FATES, "duration_s", "load_start", "load_end", "others", "stalled",
    "clock_uncertainty_s", "lateness_p99_s",
    *dict.fromkeys(quantity.column for quantity in QUANTITIES.values()),
)  # fmt: skip
"""Columns of the trials table that become metrics, ``schedlab_trial_COLUMN``."""
Series = tuple[dict[str, str], Sequence[float], Sequence[float]]
"""Labels, Unix times in s, and values."""


def labels(trial: Mapping[str, Any]) -> dict[str, str]:
    """Labels of a trial's metrics; `cluster` is the one that its samples have."""
    return {
        "trial": str(trial["trial"]),
        "cluster": str(trial["cluster"]).rpartition(":")[2],
        "variant": str(trial["scheduler"]),
        "workload": str(trial["workload"]),
        "repetition": str(trial["repetition"]),
        "valid": "yes" if trial["valid"] else "no",
    }


def span(rows: TrialRows) -> tuple[float, float]:
    """When a trial's jobs were observed: first and last instant, Unix time in s."""
    start = rows.trial["start_ns"] / 1e9
    known = _instants(rows, "finished")
    seconds = rows.trial["observed_s"] or (known[-1] if len(known) else 0.0)
    return start, start + max(float(seconds), INTERVAL)


def _instants(rows: TrialRows, name: str) -> np.ndarray:
    """Sorted instants of the jobs, s since the trial's start."""
    return np.sort([row[name] / 1e9 for row in rows.jobs if row.get(name) is not None])


def metrics(rows: TrialRows) -> Iterator[tuple[str, str, Series]]:
    """Yield the metrics of a trial.

    Yields
    ------
    str, str, Series
        Name, type (gauge or counter), and a series.
    """
    start, end = span(rows)
    step = max(INTERVAL, (end - start) / MOST)
    since = np.arange(0.0, end - start + step, step)
    times = (start + since).tolist()
    of = labels(rows.trial)
    due, submitted, started, ended = (
        np.searchsorted(_instants(rows, name), since, side="right")
        for name in ("intended", "submit", "started", "finished")
    )
    states = {"waiting": due - started, "running": started - ended, "ended": ended}
    for state, count in states.items():
        yield "schedlab_jobs", "gauge", (of | {"state": state}, times, count.tolist())
    for name, count in (("submitted", submitted), ("started", started), ("ended", ended)):
        yield f"schedlab_jobs_{name}", "counter", (of, times, count.tolist())
    began = sorted(
        (row["started"] / 1e9, (row["started"] - row["intended"]) / 1e9)
        for row in rows.jobs
        if row.get("started") is not None and row.get("intended") is not None
    )
    waits = np.concatenate([[0.0], np.cumsum([max(wait, 0.0) for _, wait in began])])
    place = np.searchsorted([at for at, _ in began], since, side="right")
    yield "schedlab_wait_seconds", "counter", (of, times, waits[place].tolist())
    for name, value in (("info", 1.0), ("valid", float(bool(rows.trial["valid"])))):
        yield f"schedlab_trial_{name}", "gauge", (of, times, [value] * len(times))
    for column in VALUES:
        known = rows.trial.get(column)
        if known is not None and math.isfinite(known):
            yield f"schedlab_trial_{column}", "gauge", (of, times, [float(known)] * len(times))


def open_metrics(trials: Iterable[TrialRows]) -> Iterator[str]:
    """Yield the text of the metrics of some trials, a series at a time."""
    kinds: dict[str, str] = {}
    found: dict[str, list[Series]] = {}
    for rows in trials:
        for name, kind, series in metrics(rows):
            kinds[name] = kind
            found.setdefault(name, []).append(series)
    for name, kind in kinds.items():
        yield f"# TYPE {name} {kind}\n"
        suffix = "_total" if kind == "counter" else ""
        for given, times, values in found[name]:
            text = ",".join(f'{key}="{_escaped(value)}"' for key, value in given.items())
            head = f"{name}{suffix}{{{text}}}"
            pairs = zip(times, values, strict=True)
            yield "".join(f"{head} {value:.9g} {time:.3f}\n" for time, value in pairs)
    yield "# EOF\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
