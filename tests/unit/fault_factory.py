"""Faults and the jobs beside them, from instants that are worked out by hand."""

from __future__ import annotations

from typing import Any

from job_factory import frame
from simulated_cluster import SECOND

from schedlab.metrics.faults import fault_metrics
from schedlab.schedulers.rows import NativeJob
from schedlab.workloads import Job, Machine, Trace

START = 1_000 * SECOND
"""The trial's start, ns of the host's clock."""
TRACE = Trace("w", "burst", 1, Machine(2, 1), (Job(0, 0.0, 1, 1, 1.0),))


def moment(start: float, end: float | None = None) -> dict[str, int]:
    """What was done from one instant to another, s since the trial's start."""
    last = start if end is None else end
    return {"start_ns": START + round(start * SECOND), "end_ns": START + round(last * SECOND)}


def fault(kind: str, begin: float, end: float | None, node: str = "compute1") -> dict[str, Any]:
    """A fault as the trial's record has it; without an end it lasted beyond the workload's."""
    return {
        "kind": kind,
        "node": "" if kind == "restart" else node,
        "begin": moment(begin, begin + 0.5),
        "end": moment(999.0 if end is None else end),
        "within": end is not None,
    }


def ran(
    node: str, started: float, completed: float | None, lost: str | None = None, **more: float
) -> dict[str, Any]:
    """A job that had a node from its allocation, 0.1 s before its start, on."""
    extra: dict[str, Any] = {name: round(seconds * SECOND) for name, seconds in more.items()}
    if "interrupted" in extra:
        extra |= {"given_up": [extra["interrupted"]], "given_up_node": [lost]}
    if "restarted" in extra:
        extra["restarts"] = [extra["restarted"]]
    return {
        "placement": [node],
        "allocated": started - 0.1,
        "started": started,
        "finished": completed,
        "completed": completed,
        "lost_node": lost,
        **extra,
    }


def measured(what: dict[str, Any], *rows: dict[str, Any]) -> dict[str, Any]:
    """Metrics of a trial with this fault and these jobs."""
    return fault_metrics(frame(*rows), TRACE, what, START)


def stamp(event: str, second: float, node: str) -> dict[str, Any]:
    """Stamp of the payload of job 0 at an instant (s)."""
    return {"event": event, "job": 0, "rank": 0, "clock_ns": round(second * SECOND), "node": node}


class Told:
    """A scheduler whose record says of a job at most when it gave up a run of it."""

    def __init__(self, gave_up: float | None = None) -> None:
        self.job = NativeJob(state="COMPLETED")
        if gave_up is not None:
            self.job.gave_up(round(gave_up * SECOND), "log (1 ms)")

    def native_jobs(self, *_: Any) -> dict[str, Any]:
        return {"7": self.job}
