"""What fitting jobs to a machine changed in them: the facts that a trace has about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from schedlab.workloads.trace import Machine

NOTABLE = 0.01
"""Part of a runtime by which rounding it to a microsecond must change it to be told."""


class Fitted(NamedTuple):
    """One job before and after it was fitted.

    Attributes
    ----------
    wanted, of : int
        `wanted / of` processors are asked for; two numbers, because floating point rounds.
    taken : int
        Processors that the job takes.
    exact, runtime : float
        Scaled runtime and that of the job, s.
    """

    wanted: int
    of: int
    taken: int
    exact: float
    runtime: float


def taken(machine: Machine, cores: int) -> int:
    """Processors that a job of so many takes: the same number on each of its nodes."""
    nodes, cpus = machine.shape(cores)
    return nodes * cpus


def facts_of(jobs: Iterable[Fitted], machine: Machine) -> dict[str, Any]:
    """Count what was rounded and capped, and add up what that changed.

    Returns
    -------
    dict
        `jobs_rounded_up` and `jobs_capped` (to the whole machine), by number of jobs;
        `asked_core_s` and `taken_core_s`, the processor-seconds of all jobs before and after;
        `jobs_with_rounded_runtime`, where rounding changed one by more than `NOTABLE`, if any.
    """
    rounded = capped = runtimes = 0
    before: list[float] = []
    after: list[float] = []
    for job in jobs:
        rounded += job.taken * job.of > job.wanted
        capped += job.wanted > machine.cores * job.of
        runtimes += abs(job.runtime - job.exact) > NOTABLE * job.exact
        before.append(job.wanted / job.of * job.exact)
        after.append(job.taken * job.runtime)
    found: dict[str, Any] = {
        "jobs_rounded_up": rounded,
        "jobs_capped": capped,
        "asked_core_s": round(sum(before), 6),
        "taken_core_s": round(sum(after), 6),
    }
    return found | ({"jobs_with_rounded_runtime": runtimes} if runtimes else {})


def rounded_sizes(machine: Machine, sizes: Iterable[int]) -> dict[str, int]:
    """Return the sizes that become others on a machine, each with what jobs take instead."""
    found = {size: taken(machine, size) for size in sorted(set(sizes))}
    return {str(size): cores for size, cores in found.items() if cores != size}


def facts_of_sizes(
    machine: Machine, sizes: Sequence[int], wanted: Sequence[int], runtime: float
) -> dict[str, Any]:
    """What a kind with a list of `sizes` has to tell of its jobs; nothing where all fit as given.

    Parameters
    ----------
    machine : Machine
        Machine that the jobs are for.
    sizes : sequence of int
        Sizes that the user wrote.
    wanted : sequence of int
        Size of each job.
    runtime : float
        Of each job, s.
    """
    different = rounded_sizes(machine, sizes)
    if not different:
        return {}
    jobs = (Fitted(size, 1, taken(machine, size), runtime, runtime) for size in wanted)
    return {"rounded_up": different, **facts_of(jobs, machine)}
