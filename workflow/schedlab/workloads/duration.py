"""The least time that a trace takes, whatever the scheduler does."""

from __future__ import annotations

from typing import NamedTuple

from schedlab.workloads.trace import Trace


class Bound(NamedTuple):
    """Instant (s from the start of the trial) before which no scheduler ends a trace, and why."""

    seconds: float
    why: str


def earliest_ends(trace: Trace) -> dict[int, float]:
    """Return the instant (s) before which each job cannot end, by its number: the critical path."""
    ends: dict[int, float] = {}
    for job in trace.jobs:
        released = max((ends[number] for number in job.after), default=0.0) + (job.think or 0.0)
        ends[job.job] = max(job.arrival, released) + job.runtime
    return ends


def earliest_end(trace: Trace) -> Bound:
    """Return the largest of three lower bounds of the makespan.

    1. No job ends before its arrival plus its runtime, or before the end of the jobs that it runs
       after plus its runtime.
    2. The jobs that arrive at or after an instant need, from then on, at least their
       processor-seconds divided by the processors that no background takes.
    3. A node runs one rank at a time of those that need more than half of these processors. The
       jobs with such ranks that arrive at or after an instant need, from then on, at least their
       rank-seconds divided by the number of nodes.
    """
    machine = trace.machine
    taken = int(trace.scale.get("background", {}).get("cores", 0))
    cores = machine.cores - taken
    # The background takes the same number of each node, or one processor of one node.
    cpus = -(-cores // machine.nodes)
    ends = earliest_ends(trace)
    last = max(trace.measured, key=lambda job: ends[job.job])
    work = ranks = 0.0
    by_work = by_ranks = (0.0, 0.0)  # the bound, and the instant from which it is counted
    for job in reversed(trace.measured):
        work += job.cores * job.runtime
        by_work = max(by_work, (job.arrival + work / cores, job.arrival))
        if 2 * job.cpus > cpus:
            ranks += job.nodes * job.runtime
            by_ranks = max(by_ranks, (job.arrival + ranks / machine.nodes, job.arrival))
    single = ends[last.job]
    if single >= max(by_work[0], by_ranks[0]):
        why = f"job {last.job} arrives at {last.arrival:g} s and runs for {last.runtime:g} s"
        if last.after:
            why += f" after job {', '.join(map(str, last.after))}"
        return Bound(single, why)
    if by_work >= by_ranks:
        seconds, start = by_work
        why = f"the work from {start:g} s on keeps {cores} processors busy until then"
        return Bound(seconds, why)
    seconds, start = by_ranks
    return Bound(
        seconds,
        f"the jobs from {start:g} s on that cannot share a node keep {machine.nodes} nodes busy "
        "until then",
    )
