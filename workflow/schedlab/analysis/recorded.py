"""Jobs of a trace in the Standard Workload Format as they ran, and their metrics.

The definitions are those of trials (`schedlab.metrics`). A record has four instants: a job is due,
submitted and accepted at its submit time; it is allocated and starts a wait later; it finishes and
completes a runtime after that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from schedlab.errors import SchedlabError
from schedlab.metrics.bounds import Floats, Times, largest, mean, quantile
from schedlab.metrics.definitions import (
    BOUNDED_SLOWDOWN_THRESHOLD,
    ideal_bounds,
    jain_of_users,
    slowdown,
    steady_window,
)
from schedlab.metrics.intervals import (
    Steps,
    Truths,
    Waiting,
    Whole,
    area,
    fitting_idle,
    median_rate,
    steps,
)
from schedlab.printing import brief
from schedlab.swf import table as column
from schedlab.swf.file import (
    CANCELLED,
    COMPLETED,
    FAILED,
    LARGEST,
    SET_SIZE,
    WITHOUT_LINE,
    machine_size,
)

_GIVE_SIZE = "give the processors of the machine with --machine-size"
_REMEDIES = {
    SET_SIZE: f"{_GIVE_SIZE}, or correct the header",
    WITHOUT_LINE: "correct the line, remove it, or name a file in the Standard Workload Format",
}
"""Remedies of a replay -> what to do where the trace alone is there, and no experiment."""


class Recorded(NamedTuple):
    """The jobs of a trace that ran, in order of submission, and their machine.

    Attributes
    ----------
    submit, start, end : numpy.ndarray
        (jobs,), s since the log's start.
    waited : numpy.ndarray
        (jobs,), whether the record has the wait. A job without it counts as started when it was
        submitted, and is left out of waits, turnarounds, slowdowns and queue.
    cores : numpy.ndarray
        (jobs,), processors allocated, or requested where that is unknown.
    user, status : numpy.ndarray
        (jobs,), numbers of the format; -1 unknown.
    machine : int
        Processors of the machine.
    dropped : dict
        Reason -> how many lines are no job that ran.
    """

    submit: Floats
    start: Floats
    end: Floats
    waited: np.ndarray
    cores: Floats
    user: Floats
    status: Floats
    machine: int
    dropped: dict[str, int]


def read_recorded(path: Path, machine: int | None = None) -> Recorded:
    """Read a trace.

    Parameters
    ----------
    path : pathlib.Path
        Plain or gzip file.
    machine : int or None
        Processors of the machine; None: from the header.

    Raises
    ------
    SchedlabError
        When the file cannot be read, has no jobs that ran, or does not say how large the machine
        is.
    """
    name = brief(str(path), 1000)
    try:
        # First the lines: a header without a size is no fault of a file that is no trace.
        table = column.read_table(path)
        used = table.usable()
        size = machine or machine_size(path)
    except SchedlabError as error:
        remedy = _REMEDIES.get(error.remedy or "", error.remedy)
        raise SchedlabError(error.message, remedy=remedy) from error
    if size is None:
        what = "its header names neither MaxProcs nor MaxNodes"
        raise SchedlabError(f"{name}: {what}", remedy=_GIVE_SIZE)
    if not used.size:
        raise SchedlabError(f"{name}: has no job that ran", remedy="name a trace with jobs")
    columns = table.rows.T
    if used.size < len(table.rows):
        columns = np.take(columns, used, axis=1)
    submit, wait = columns[column.SUBMIT], columns[column.WAIT]
    allocated = columns[column.ALLOCATED]
    # Any word is a sound wait, because no replay uses it; out of range it says nothing.
    waited = (wait >= 0) & (wait <= LARGEST)
    start = submit + (wait if waited.all() else np.where(waited, wait, 0.0))
    return Recorded(
        submit,
        start,
        start + columns[column.RUNTIME],
        waited,
        np.where(allocated > 0, allocated, columns[column.REQUESTED]),
        columns[column.USER],
        columns[column.STATUS],
        size,
        dict(table.dropped(slice(None))),
    )


def busy(jobs: Recorded) -> Steps:
    """Busy cores over time."""
    return steps(jobs.start, jobs.end, jobs.cores)


def queue(jobs: Recorded) -> Steps:
    """Jobs that wait, and the cores that they ask for, over time: level (2, instants)."""
    late = jobs.start > jobs.submit
    cores = jobs.cores[late]
    return steps(jobs.submit[late], jobs.start[late], np.stack([np.ones(cores.size), cores]))


def metrics(jobs: Recorded) -> dict[str, Any]:
    """Metrics of a recorded trace, under the names of the trials table where it has them.

    Returns
    -------
    dict
        Further: `first_s`, `last_s` (s since the log's start), `cores`, `jobs_wider_than_machine`,
        `wait_unknown` (jobs), `load` (work that arrives, over what the machine can do between the
        first arrival and the last), `queue_mean`, `queue_max` (jobs), `queue_cores_mean`,
        `queue_cores_max`. What the trace does not tell is None: queue and fragmentation unless
        every wait is known, what is made of waits if none is, throughput if no status is.
    """
    submit, start, end, waited, cores, _, _, machine, _ = jobs
    runtime = end - start
    first, last = float(submit.min()), float(end.max())
    window = last - first
    span = float(submit.max()) - first
    steady = steady_window(start)
    bounds = ideal_bounds(submit, cores, runtime, machine)
    all_waited = bool(waited.all())
    complete = jobs.status == COMPLETED
    ends_known = bool((jobs.status != -1).any())
    idle = (
        fitting_idle(Waiting(submit, start, end, cores), machine, first, last)
        if all_waited
        else None
    )
    return {
        **_fates(jobs),
        "wait_unknown": int(np.count_nonzero(~waited)),
        "first_s": first,
        "last_s": last,
        "cores": machine,
        "jobs_wider_than_machine": int(np.count_nonzero(cores > machine)),
        "makespan_s": window,
        "throughput_jobs_per_s": _part(float(complete.sum()), window) if ends_known else None,
        "throughput_busy_jobs_per_s": median_rate(submit, end, complete, 1.0)
        if ends_known
        else None,
        "load": float(np.dot(cores, runtime)) / (machine * span) if span else None,
        "utilisation": _part(area(start, end, cores, first, last), machine * window),
        "utilisation_steady": _part(area(start, end, cores, *steady), machine * np.ptp(steady))
        if steady
        else None,
        "fragmentation": _part(idle, machine * window),
        **_queue(jobs, window),
        **_times(jobs),
        "area_bound_s": bounds["area"],
        "critical_path_s": bounds["critical_path"],
        "ideal_makespan_s": bounds["ideal"],
    }


def _part(amount: float | None, whole: float) -> float | None:
    return None if amount is None or not whole else float(amount / whole)


def _fates(jobs: Recorded) -> dict[str, Any]:
    status = jobs.status
    counts = {
        "completed": status == COMPLETED,
        "failed": status == FAILED,
        "cancelled": status == CANCELLED,
        "status_unknown": status == -1,
    }
    found = {name: int(np.count_nonzero(those)) for name, those in counts.items()}
    return {"jobs": status.size, **found, "left_out": jobs.dropped}


def _queue(jobs: Recorded, window: float) -> dict[str, Any]:
    names = ("queue_mean", "queue_max", "queue_cores_mean", "queue_cores_max")
    if not jobs.waited.all() or not window:
        return dict.fromkeys(names)
    wait = jobs.start - jobs.submit
    most = _longest_queue(jobs, wait > 0)
    means = float(wait.sum()) / window, float(np.dot(wait, jobs.cores)) / window
    return dict(zip(names, (means[0], most[0], means[1], most[1]), strict=True))


def _longest_queue(jobs: Recorded, late: Truths) -> tuple[float, float]:
    """Most jobs that wait at one time, and most cores that they ask for: maxima of `queue`."""
    submit, start, cores = jobs.submit[late], jobs.start[late], jobs.cores[late]
    order = np.argsort(start, kind="stable")
    # A queue is longest just after a job has joined it; of those that join at once, after the last.
    started = np.searchsorted(start[order], submit, "right")
    count = np.arange(1, submit.size + 1) - started
    asked = np.cumsum(cores) - np.append(0.0, np.cumsum(cores[order]))[started]
    return float(count.max(initial=0)), float(asked.max(initial=0.0))


def _times(jobs: Recorded) -> dict[str, Any]:
    waited = jobs.waited
    submit, start, end, users = jobs.submit, jobs.start, jobs.end, jobs.user
    if not waited.all():
        submit, start, end, users = submit[waited], start[waited], end[waited], users[waited]
    closed = np.zeros(submit.size, dtype=bool)
    wait, turnaround = Times(start - submit, closed), Times(end - submit, closed)
    of_jobs = Times(slowdown(turnaround.seconds, end - start, BOUNDED_SLOWDOWN_THRESHOLD), closed)
    known = users >= 0
    return {
        "wait_mean_s": mean(wait).value,
        "wait_median_s": quantile(wait, 0.5).value,
        "wait_p99_s": quantile(wait, 0.99).value,
        "wait_max_s": largest(wait).value,
        "turnaround_mean_s": mean(turnaround).value,
        "turnaround_median_s": quantile(turnaround, 0.5).value,
        "bounded_slowdown_mean": mean(of_jobs).value,
        "bounded_slowdown_median": quantile(of_jobs, 0.5).value,
        "fairness_jain": jain_of_users(of_jobs.seconds[known], _numbered(users[known])),
    }


def _numbered(users: Floats) -> Whole:
    """Small numbers, one a user, in place of those of the trace."""
    if users.max(initial=0.0) <= users.size:
        return users.astype(np.int64)
    return np.unique(users, return_inverse=True)[1]
