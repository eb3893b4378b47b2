"""Dependencies between the jobs of a trace: its fields `preceding job` and `think time`.

The format's authors mean them as feedback: a user submits a job some time after another has ended,
and so waits longer for a slower scheduler [1]_.

References
----------
.. [1] D. G. Feitelson, "Workload Modeling for Computer Systems Performance Evaluation", Cambridge
   University Press 2015, section 8.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from schedlab.swf.file import SwfJob
from schedlab.workloads.trace import Job

Dependencies = Literal["ignore", "scheduler", "users"]


def with_dependencies(
    jobs: Sequence[Job], records: Sequence[SwfJob], of: Dependencies, time_scale: float
) -> list[Job]:
    """Jobs in order of arrival, with the dependencies of their records.

    Parameters
    ----------
    jobs : sequence of Job
        Numbered by their place in `records`; with the arrivals of an open loop.
    records : sequence of SwfJob
        In order of submission. A preceding job that is not among those before is ignored.
    of : {"ignore", "scheduler", "users"}
        ``scheduler``: a job is submitted when it was, and the scheduler holds it back until the
        preceding one has ended. ``users``: it is submitted the think time after that end; its
        arrival is the earliest possible one.
    time_scale : float
        Our seconds per traced second.
    """
    place: dict[int | None, int] = {}
    found: list[Job] = []
    ends: list[float] = []
    for job, record in zip(jobs, records, strict=True):
        before = place.get(record.follows) if of != "ignore" else None
        if before is not None and of == "users":
            think = round(max(record.think, 0.0) * time_scale, 6)
            arrival = round(ends[before] + think, 6)
            job = replace(job, arrival=arrival, after=(before,), think=think)
        elif before is not None:
            # Shaking may have moved it before the job that it waits for.
            arrival = max(job.arrival, found[before].arrival)
            job = replace(job, arrival=arrival, after=(before,))
        place[record.number] = len(found)
        found.append(job)
        ends.append(job.arrival + job.runtime)
    return sorted(found, key=lambda job: (job.arrival, job.job))
