"""What a fault beside a workload did to its jobs, from the rows of the jobs table.

Every measure is of what jobs saw and of what the scheduler's records say of them. Times are in s;
None where a trial has no such fault, or nothing of the kind happened before its end. A fault begins
and ends just before its commands do, by the controller's clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from schedlab.metrics.bounds import Floats
from schedlab.metrics.jobs import first_after, seconds
from schedlab.workloads import Trace
from schedlab.workloads.fault import DRAIN, FAIL, RESTART

NAMES = (
    "fault_begin_s",
    "fault_end_s",
    "fault_next_start_s",
    "fault_hit",
    "fault_detection_s",
    "fault_requeue_s",
    "fault_starts_away",
    "fault_return_s",
)
"""Columns of the trials table that only trials with a fault have."""


def fault_metrics(
    jobs: pd.DataFrame, trace: Trace, fault: Mapping[str, Any], start_ns: int
) -> dict[str, Any]:
    """Measures of a trial's fault, and how many jobs had a run given up or ran again.

    Parameters
    ----------
    jobs : pandas.DataFrame
        The trial's rows of the jobs table.
    trace : Trace
        Trace of the trial.
    fault : mapping
        What was done, as the trial's record has it (`schedlab.stages.faults.Injection.facts`);
        empty without a fault.
    start_ns : int
        The trial's start, ns of the controller's clock.

    Returns
    -------
    dict
        `interrupted` and `restarted`, numbers of jobs, also where urgent jobs preempt; and
        `NAMES`: the fault's begin and end since the trial's start.

        - `fault_next_start_s`: after a restart, from the command that starts the controller again
          to the next start of a job that was given its nodes since. A job that ran again counts by
          its last run, and one without a known allocation by its start.
        - `fault_hit`: jobs that a node had when it failed.
        - `fault_detection_s`: from then until the scheduler first gave up one of them because of
          that node. What a preemption or another node ended is none of this.
        - `fault_requeue_s`: median, over those that ran again, from there to their next start.
        - `fault_starts_away`: jobs that were given a node, or started on it, while it was drained.
        - `fault_return_s`: from the return of a node to the next start on it.
    """
    interrupted, restarted = seconds(jobs, "interrupted"), seconds(jobs, "restarted")
    found: dict[str, Any] = dict.fromkeys(("interrupted", "restarted", *NAMES))
    wanted = fault or trace.scale.get("preempt") or any(job.requeue for job in trace.jobs)
    if wanted or not np.isnan(interrupted).all():
        found["interrupted"] = int((~np.isnan(interrupted)).sum())
        found["restarted"] = int((~np.isnan(restarted)).sum())
    if not fault.get("begin"):
        return found
    begin, begun = (_since(fault["begin"], name, start_ns) for name in ("start_ns", "end_ns"))
    # A fault that was taken back after the workload lasted beyond its end.
    within = bool(fault.get("within") and fault.get("end"))
    end = _since(fault["end"], "start_ns", start_ns) if within else np.inf
    found |= {"fault_begin_s": begin, "fault_end_s": end if within else None}
    kind, node = str(fault["kind"]), str(fault["node"])
    if kind == RESTART:
        return found | {
            "fault_next_start_s": _next(_placed_since(jobs, restarted, end), restarted, end)
        }
    there = np.array([node in (names if names is not None else ()) for names in jobs["placement"]],
                     dtype=bool)  # fmt: skip
    if kind == FAIL:
        found |= _lost(jobs, node, there, restarted, begin)
    elif kind == DRAIN:
        found["fault_starts_away"] = _given(jobs, there, begun, end)
    first, last = _starts_on(jobs, there, restarted)
    return found | {"fault_return_s": _next(first, last, end)}


def _since(moment: Mapping[str, Any], name: str, start_ns: int) -> float:
    return (int(moment[name]) - start_ns) / 1e9


def _next(starts: Floats, again: Floats, after: float) -> float | None:
    """Time from an instant to the first start after it; None where none came."""
    later = np.concatenate([starts, again]) - after
    later = later[later > 0]
    return float(later.min()) if later.size and np.isfinite(after) else None


def _placed_since(jobs: pd.DataFrame, again: Floats, after: float) -> Floats:
    """First starts of jobs that were given their nodes after an instant, or at an unknown one.

    Without those that ran again, whose allocation no record has. A controller that is down gives no
    nodes, so what was given after the command that starts it was given by the new one.
    """
    first = np.where(np.isnan(again), seconds(jobs, "started"), np.nan)
    return first[~(seconds(jobs, "allocated") <= after)]


def _starts_on(
    jobs: pd.DataFrame, there: npt.NDArray[np.bool_], again: Floats
) -> tuple[Floats, Floats]:
    """First and second starts of the jobs that a node had; of one that ran again the last run.

    Where no record says where that run was, the placement has the nodes of both.
    """
    first = np.where(np.isnan(again), seconds(jobs, "started"), np.nan)
    return first[there], again[there & _of_one_run(jobs)]


def _of_one_run(jobs: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Whether a placement has as many nodes as one run."""
    nodes = np.array([0 if names is None else len(names) for names in jobs["placement"]])
    alone: npt.NDArray[np.bool_] = nodes == jobs["nodes"].to_numpy(dtype=np.int64)
    return alone


def _lost(
    jobs: pd.DataFrame,
    node: str,
    there: npt.NDArray[np.bool_],
    restarted: Floats,
    begin: float,
) -> dict[str, Any]:
    """Jobs that a node had when it failed: placed there and running, or given up because of it.

    The placement of a job that ran again is that of its last run, so it tells of no other run. A
    job may have been given up before, for another reason, and again afterwards.
    """
    completed, of = seconds(jobs, "completed"), np.arange(len(jobs))
    again = ~np.isnan(restarted)
    last = np.where(again, restarted, seconds(jobs, "started"))
    waits = first_after(jobs["given_up"], of, last) < begin
    running = there & (last < begin) & ~(completed < begin) & ~waits
    running &= ~again | _of_one_run(jobs)
    lost = np.full(len(jobs), np.nan)
    for number, row in enumerate(zip(jobs["given_up"], jobs["given_up_node"], strict=True)):
        mine = (ns / 1e9 for ns, name in _given_up(row) if name == node and ns / 1e9 >= begin)
        lost[number] = next(mine, np.nan)
    given_up = ~np.isnan(lost)
    since = lost[given_up]
    waited = first_after(jobs["restarts"], of[given_up], since) - since
    waited = waited[~np.isnan(waited)]
    return {
        "fault_hit": int((running | given_up).sum()),
        "fault_detection_s": float(since.min() - begin) if since.size else None,
        "fault_requeue_s": float(np.median(waited)) if waited.size else None,
    }


def _given_up(row: tuple[Any, Any]) -> Iterator[tuple[int, str | None]]:
    """When runs of a job were given up, and because of which node."""
    instants, nodes = row
    return zip(instants, nodes, strict=True) if instants is not None else iter(())


def _given(jobs: pd.DataFrame, there: npt.NDArray[np.bool_], begun: float, end: float) -> int:
    """Jobs that were given a node between two instants; where no record says when, that started."""
    allocated = seconds(jobs, "allocated")
    given = np.where(np.isnan(allocated), seconds(jobs, "started"), allocated)[there]
    return int(((given > begun) & (given < end)).sum())
