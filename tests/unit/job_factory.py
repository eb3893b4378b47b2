"""Tables of jobs, from instants that are worked out by hand."""

from __future__ import annotations

from typing import Any

import pandas as pd
from simulated_cluster import SECOND

from schedlab.tables.trial_rows import jobs_frame

# Two cores. Job 0 uses one for 1..3, job 1 both for 4..6, job 2 one for 4.. but waits until 7..8.
THREE = (
    {"intended": 0, "submit": 0.0, "accepted": 0.25, "allocated": 0.5, "started": 1,
     "finished": 3, "completed": 3.5},
    {"intended": 0, "submit": 0.5, "accepted": 0.75, "allocated": 3.5, "started": 4,
     "finished": 6, "completed": 6.5, "cpus": 2, "user": "u2"},
    {"intended": 1, "submit": 1.0, "accepted": 1.25, "allocated": 6.5, "started": 7,
     "finished": 8, "completed": 8.5},
)  # fmt: skip


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    """Jobs table from instants in s."""
    instants = ("intended", "submit", "accepted", "allocated", "started", "finished", "completed")
    complete = []
    for number, row in enumerate(rows):
        base: dict[str, Any] = {"job": number, "state": "COMPLETED", "nodes": 1, "cpus": 1,
                                "ranks": 1, "launch_skew_ns": 0, "user": "u1"}  # fmt: skip
        times = {name: round(row[name] * SECOND) for name in instants if row.get(name) is not None}
        if row.get("started") is not None and row.get("finished") is not None:
            ranks = row.get("nodes", 1)  # All ranks run together unless the example says otherwise.
            base |= {"rank_started": [times["started"]] * ranks}
            base |= {"rank_finished": [times["finished"]] * ranks}
        elif row.get("started") is not None:
            base |= {"rank_open": [times["started"]] * row.get("nodes", 1)}
        complete.append(base | row | dict.fromkeys(instants) | times)
    return jobs_frame(complete)


def ran(due: float, started: float | None, length: float = 1.0, **more: Any) -> dict[str, Any]:
    """Instants (s) of a job that ran, or that never started."""
    row = {"intended": due, "submit": due, "accepted": due, "started": started, **more}
    if started is None:
        return row | {"state": "UNFINISHED"}
    end = started + length
    return row | {"allocated": started, "finished": end, "completed": end}
