"""How long a trace takes at the least, whatever the scheduler does."""

from __future__ import annotations

from typing import NamedTuple

from schedlab.workloads.trace import Trace


class Bound(NamedTuple):
    """Instant (s from the start of the trial) before which no scheduler ends a trace, and why."""

    seconds: float
    why: str


def earliest_end(trace: Trace) -> Bound:
    """The largest of three lower bounds of the makespan.

    No job ends before its arrival plus its runtime. The jobs from any arrival on need, after it,
    at least their processor-seconds over the processors of the machine. Of ranks that need more
    than half of a node's processors a node holds one at a time, so they need their rank-seconds
    over the nodes.
    """
    machine = trace.machine
    last = max(trace.jobs, key=lambda job: job.arrival + job.runtime)
    work = ranks = 0.0
    by_work = by_ranks = (0.0, 0.0)  # the bound, and the arrival from which on it counts
    for job in reversed(trace.jobs):
        work += job.cores * job.runtime
        by_work = max(by_work, (job.arrival + work / machine.cores, job.arrival))
        if 2 * job.cpus > machine.cpus_per_node:
            ranks += job.nodes * job.runtime
            by_ranks = max(by_ranks, (job.arrival + ranks / machine.nodes, job.arrival))
    single = last.arrival + last.runtime
    if single >= max(by_work[0], by_ranks[0]):
        why = f"job {last.job} arrives at {last.arrival:g} s and runs for {last.runtime:g} s"
        return Bound(single, why)
    if by_work >= by_ranks:
        seconds, start = by_work
        why = f"the work from {start:g} s on keeps {machine.cores} processors busy until then"
        return Bound(seconds, why)
    seconds, start = by_ranks
    return Bound(
        seconds,
        f"the jobs from {start:g} s on that cannot share a node keep {machine.nodes} nodes busy "
        "until then",
    )
