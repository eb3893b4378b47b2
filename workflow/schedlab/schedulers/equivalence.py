"""Compare what schedulers were asked for, and what they ran, with the neutral trace.

Each side is the multiset of its jobs' (arrival, nodes, processors, runtime), as a sorted list. What
no record of a run tells (`Wish`) is compared in the translations alone, job by job.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple

from schedlab.schedulers.base import Scheduler
from schedlab.schedulers.translation import jobs_of
from schedlab.workloads.trace import Trace


class Shape(NamedTuple):
    """What a job asks for: arrival and runtime in s, nodes, processors on each node."""

    arrival: float
    nodes: int
    cpus: int
    runtime: float


class Wish(NamedTuple):
    """What a job asks for besides its shape; the limit in whole minutes, rounded up."""

    job: int
    user: str
    priority: int
    after: tuple[int, ...]
    think: float | None
    minutes: int | None
    requeue: bool = False


def wishes_of_trace(trace: Trace) -> list[Wish]:
    """Jobs of the neutral trace."""
    return sorted(
        Wish(
            job.job,
            job.user,
            job.priority,
            job.after,
            job.think,
            ceil(job.walltime / 60),
            job.requeue,
        )
        for job in trace.jobs
    )


def wishes_of_translations(
    scheduler: Scheduler, translations: Iterable[Mapping[str, Any]]
) -> list[Wish]:
    """Jobs as the native submissions ask for them; those that the driver waits for are its own."""
    found = []
    for entry in translations:
        asked, think = scheduler.read_back(entry), entry["think"]
        after = asked.after if think is None else tuple(entry["after"])
        minutes = None if asked.limit is None else ceil(asked.limit / 60)
        found += [
            Wish(number, asked.user, asked.priority, after, think, minutes, asked.requeue)
            for number in jobs_of(entry)
        ]
    return sorted(found)


def of_trace(trace: Trace) -> list[Shape]:
    """Jobs of the neutral trace."""
    return sorted(
        Shape(round(job.arrival, 6), job.nodes, job.cpus, round(job.runtime, 6))
        for job in trace.jobs
    )


def of_translations(scheduler: Scheduler, translations: Iterable[Mapping[str, Any]]) -> list[Shape]:
    """Jobs as the native submissions (translations.json) ask for them."""
    shapes = []
    for entry in translations:
        nodes, cpus, runtime = scheduler.read_back(entry)[:3]
        shape = Shape(round(entry["arrival"], 6), nodes, cpus, runtime)
        shapes += [shape] * len(jobs_of(entry))
    return sorted(shapes)


def of_records(rows: Iterable[Mapping[str, Any]], start_ns: int) -> list[Shape]:
    """Jobs as they ran.

    Parameters
    ----------
    rows : iterable of mapping
        From `rows.collect`: nodes and processors are those of the native records, 0 for a
        job without an allocation. A job's runtime is that of its longest rank, 0 if none ended.
    start_ns : int
        The driver's start (driver.json), from which arrivals count.
    """
    shapes = []
    for row in rows:
        ranks = zip(row["rank_started"], row["rank_finished"], strict=True)
        longest = max((end - start for start, end in ranks), default=0)
        nodes = row["nodes"] or 0
        cpus = (row["cpus"] or 0) // max(nodes, 1)
        arrival = ((row["intended"] or start_ns) - start_ns) / 1e9
        shapes.append(Shape(round(arrival, 6), nodes, cpus, round(longest / 1e9, 6)))
    return sorted(shapes)


def differences(
    first: Sequence[Shape], second: Sequence[Shape], tolerance: float = 0.0
) -> list[str]:
    """Return a line for each difference; runtimes may differ by `tolerance` (s)."""
    found = [] if len(first) == len(second) else [f"{len(first)} jobs against {len(second)}"]
    for one, other in zip(first, second, strict=False):
        if one[:3] != other[:3] or abs(one.runtime - other.runtime) > tolerance:
            found.append(f"{one} against {other}")
    return found
