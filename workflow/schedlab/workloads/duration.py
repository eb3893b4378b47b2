"""The least time that a trace takes, whatever the scheduler does."""

from __future__ import annotations

from typing import NamedTuple

from schedlab.workloads.trace import Trace


class Bound(NamedTuple):
    """Instant (s from the start of the trial) before which no scheduler ends a trace, and why."""

    seconds: float
    why: str


def earliest_ends(trace: Trace, delay: float = 0.0) -> dict[int, float]:
    """Return the instant (s) before which each job cannot end, by its number: the critical path.

    `delay` is as in `earliest_end`.
    """
    ends: dict[int, float] = {}
    for job in trace.jobs:
        released = max((ends[number] for number in job.after), default=0.0) + (job.think or 0.0)
        ends[job.job] = max(job.arrival, released) + job.runtime + delay
    return ends


class _Busy:
    """Lower bound from what jobs take of something, of which there is only so much at a time."""

    def __init__(self, amount: float, why: str) -> None:
        self._amount, self._why = amount, why
        self._taken = self._start = 0.0
        self.seconds = 0.0

    def add(self, arrival: float, taken: float) -> None:
        """Add what one more job takes (s times its part); later arrivals are added first."""
        self._taken += taken
        if arrival + self._taken / self._amount > self.seconds:
            self.seconds, self._start = arrival + self._taken / self._amount, arrival

    @property
    def bound(self) -> Bound:
        """The bound, with the instant from which it is counted."""
        return Bound(self.seconds, self._why.format(f"{self._start:g} s"))


def earliest_end(
    trace: Trace, gang: bool = True, payload: bool = True, delay: float = 0.0
) -> Bound:
    """Return the largest of five lower bounds of the makespan.

    Parameters
    ----------
    trace : Trace
        Trace for one machine.
    gang : bool
        Whether all ranks of a job run at the same time. Otherwise the last two do not hold.
    payload : bool
        Whether jobs run for their runtime. Otherwise only the last arrival bounds the makespan.
    delay : float
        Time (s) that each job has its nodes beside its runtime. If that is a mean, the bound is one
        of the mean makespan, because each of the five is a maximum of sums of such times.

    Notes
    -----
    1. No job ends before its arrival plus its runtime, or before the end of the jobs that it runs
       after plus its runtime.
    2. The jobs that arrive at or after an instant need, from then on, at least their
       processor-seconds divided by the processors that no background takes.
    3. A node runs one rank at a time of those that need more than half of these processors. The
       jobs with such ranks that arrive at or after an instant need, from then on, at least their
       rank-seconds divided by the number of nodes.
    4. Of the jobs that need more than half of all these processors one runs at a time,
    5. and of those that have such ranks on more than half of the nodes.
    """
    if not payload:
        end = max(job.arrival for job in trace.measured)
        return Bound(end, f"the last job arrives at {end:g} s")
    machine = trace.machine
    background = int(trace.scale.get("background", {}).get("cores", 0))
    cores = machine.cores - background
    # The background takes the same number of each node, or one processor of one node.
    cpus = -(-cores // machine.nodes)
    ends = earliest_ends(trace, delay)
    last = max(trace.measured, key=lambda job: ends[job.job])
    work = _Busy(cores, f"the work from {{}} on keeps {cores} processors busy until then")
    ranks = _Busy(
        machine.nodes,
        f"the jobs from {{}} on that cannot share a node keep {machine.nodes} nodes busy until"
        " then",
    )
    one = "the jobs from {} on that need more than half of the machine run one after the other"
    wide, broad = _Busy(1, one), _Busy(1, one)
    for job in reversed(trace.measured):
        length = job.runtime + delay
        work.add(job.arrival, job.cores * length)
        if 2 * job.cores > cores:
            wide.add(job.arrival, length)
        if 2 * job.cpus > cpus:
            ranks.add(job.arrival, job.nodes * length)
            if 2 * job.nodes > machine.nodes:
                broad.add(job.arrival, length)
    found = (work, ranks, wide, broad) if gang else (work, ranks)
    busiest = max(found, key=lambda busy: busy.seconds)
    single = ends[last.job]
    more = f"; each job has its nodes {delay:g} s longer than it runs, on the mean" if delay else ""
    if single < busiest.seconds:
        return Bound(busiest.seconds, busiest.bound.why + more)
    why = f"job {last.job} arrives at {last.arrival:g} s and runs for {last.runtime:g} s"
    if last.after:
        why += f" after job {', '.join(map(str, last.after))}"
    return Bound(single, why + more)
