"""Processor time and memory of the daemons in one trial.

Costs are computed from cumulative counters at start and end, because sampled gauges miss what
happens between two samples [1]_. A systemd unit's control group [2]_ counts every process that was
ever in it; counters of processes miss what a short process used after it was last seen. So a
daemon's cost is that of its unit if no job runs in the unit (`Scheduler.cost_units`), otherwise
that of its processes.

References
----------
.. [1] kubernetes/perf-tests, issue 694.
.. [2] Linux kernel documentation, "Control Group v2": cpu.stat, memory.peak.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

SCHEDULER, CLIENT = "scheduler", "client"
"""Groups of costs: the scheduler's, and those of the client that submits jobs."""

Counters = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Node -> process or unit -> counter -> value."""


def daemon_costs(
    start: Counters,
    end: Counters,
    unit_start: Counters | None = None,
    unit_end: Counters | None = None,
    units: Mapping[str, Sequence[str]] | None = None,
    client: Sequence[str] = (),
    serial: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Processor time and memory of each daemon on each node.

    Parameters
    ----------
    start, end : mapping
        Node -> process -> `cpu_seconds` (cumulative), `rss_bytes`, `peak_rss_bytes`.
    unit_start, unit_end : mapping, optional
        Node -> unit -> `cpu_seconds` (cumulative), `memory_bytes`, `peak_memory_bytes`; and since
        schedlab reads them `periods`, `throttled_periods`, `throttled_seconds` (cumulative).
    units : mapping of str to sequence of str, optional
        Unit -> names of the processes that run in it.
    client : sequence of str
        Names of processes that belong to the client.
    serial : collection of str
        Names of processes that do all their work in one thread.

    Returns
    -------
    list of dict
        In order of node and process; a unit's processes are one row. `node`, `process`, `group`
        (`SCHEDULER` or `CLIENT`), `serial` (whether all is one thread's), `cpu_s` (s; that of the
        unit where there is one), `process_cpu_s` and `unit_cpu_s` (s, by either counter),
        `rss_bytes`, `peak_rss_bytes` (of the processes, the peak since their start),
        `unit_peak_bytes` (of the unit, with the pages of files charged to it), `quota_periods`,
        `throttled_periods`, `throttled_s` (of the unit's quota: periods in which it could run,
        those in which it was held back, and for how long). A counter that fell was a restart: then
        the end's value counts.
    """
    rows = []
    for node in sorted({*end, *(unit_end or {})}):
        processes = end.get(node, {})
        groups = {
            tuple((units or {})[name]): (before_of(unit_start or {}, node, name), after)
            for name, after in (unit_end or {}).get(node, {}).items()
            if name in (units or {})
        }
        inside = {process for group in groups for process in group}
        alone = [(process,) for process in processes if process not in inside]
        for names in sorted([*groups, *alone]):
            known = [(before_of(start, node, n), processes[n]) for n in names if n in processes]
            by_process = _sum(_used(before, after) for before, after in known)
            before, after = groups.get(names, ({}, {}))
            by_unit = _used(before, after)
            rows.append(
                {
                    "node": node,
                    "process": " + ".join(names),
                    "group": CLIENT if set(names) <= set(client) else SCHEDULER,
                    "serial": len(names) == 1 and names[0] in serial,
                    "cpu_s": by_process if by_unit is None else by_unit,
                    "process_cpu_s": by_process,
                    "unit_cpu_s": by_unit,
                    "rss_bytes": _sum(after.get("rss_bytes") for _, after in known),
                    "peak_rss_bytes": _sum(
                        after.get("peak_rss_bytes", after.get("rss_bytes")) for _, after in known
                    ),
                    "unit_peak_bytes": after.get("peak_memory_bytes"),
                    "quota_periods": _used(before, after, "periods"),
                    "throttled_periods": _used(before, after, "throttled_periods"),
                    "throttled_s": _used(before, after, "throttled_seconds"),
                }
            )
    return rows


def before_of(counters: Counters, node: str, name: str) -> Mapping[str, float]:
    """Counters of a process or unit at the start; empty if it did not exist then."""
    return counters.get(node, {}).get(name, {})


def _used(
    before: Mapping[str, float], after: Mapping[str, float], counter: str = "cpu_seconds"
) -> float | None:
    first, last = before.get(counter, 0.0), after.get(counter)
    return None if last is None else (last - first if last >= first else last)


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(sum(known)) if known else None


def daemon_failures(
    start: Mapping[str, Mapping[str, float]],
    end: Mapping[str, Mapping[str, float]],
    processes: Iterable[str],
    restarts: Collection[str] = (),
) -> list[str]:
    """Say which of a node's daemons died or restarted during a trial.

    Parameters
    ----------
    start, end : mapping
        Process -> `processes` (how many there were) and `starts` (cumulative).
    processes : iterable of str
        Daemons of which one process runs all the time.
    restarts : collection of str
        Those of them that the trial itself made start again.
    """
    found = []
    for name in processes:
        before, after = start.get(name, {}), end.get(name, {})
        if before.get("processes") and not after.get("processes"):
            found.append(f"{name} died during the trial")
        elif name not in restarts and after.get("starts", 0) > before.get("starts", 0):
            found.append(f"{name} was started again during the trial")
    return found


def scheduler_cost(costs: list[dict[str, Any]], jobs: int) -> dict[str, float | None]:
    """Sum the costs of the scheduler's daemons, without those of the client.

    Parameters
    ----------
    costs : list of dict
        From `daemon_costs`.
    jobs : int
        Jobs of the trace.

    Returns
    -------
    dict
        `cpu_s`, `cpu_per_job_s`, `peak_rss_bytes`: the sum of the daemons' own peaks, an upper
        bound of the peak of their sum. None where nothing was read.
    """
    own = [row for row in costs if row["group"] == SCHEDULER]
    total = _sum(row["cpu_s"] for row in own)
    return {
        "cpu_s": total,
        "cpu_per_job_s": total / jobs if total is not None and jobs else None,
        "peak_rss_bytes": _sum(
            row["peak_rss_bytes"] if row["unit_peak_bytes"] is None else row["unit_peak_bytes"]
            for row in own
        ),
    }


def agreement(trials: pd.DataFrame) -> list[dict[str, Any]]:
    """Both counters of every daemon that has both, summed over all nodes of the valid trials.

    Parameters
    ----------
    trials : pandas.DataFrame
        The trials table.

    Returns
    -------
    list of dict
        `scheduler`, `process`, `group`, `trials` (number), `unit_s`, `process_s` (s), `relative`
        ((unit - process) / unit, None where the unit used nothing), in order of both names.
    """
    found: dict[tuple[str, str, str], list[tuple[str, float, float]]] = {}
    for trial in trials[trials["valid"].astype(bool)].to_dict("records"):
        costs = trial["daemon_cost"]
        for row in costs if costs is not None else ():
            if pd.notna(row["unit_cpu_s"]) and pd.notna(row["process_cpu_s"]):
                key = (str(trial["scheduler"]), str(row["process"]), str(row["group"]))
                one = (str(trial["trial"]), float(row["unit_cpu_s"]), float(row["process_cpu_s"]))
                found.setdefault(key, []).append(one)
    rows = []
    for (scheduler, process, group), values in sorted(found.items()):
        unit, by_process = sum(one[1] for one in values), sum(one[2] for one in values)
        rows.append(
            {
                "scheduler": scheduler,
                "process": process,
                "group": group,
                "trials": len({one[0] for one in values}),
                "unit_s": unit,
                "process_s": by_process,
                "relative": (unit - by_process) / unit if unit else None,
            }
        )
    return rows
