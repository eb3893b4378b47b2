"""Constant: equal tasks on every processor, of one length, all at the same instant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from schedlab.workloads.registry import (
    LONGEST,
    MOST_JOBS,
    SHORTEST,
    Problem,
    Workload,
    register,
    walltime,
)
from schedlab.workloads.trace import Job, Machine


@register
class Constant(Workload):
    """`tasks` one-processor jobs of length `runtime` for each processor, all at 0 s [1]_.

    Without a scheduler's overhead they take n t, for n tasks of t s on each processor. What a trial
    takes longer is dT(n); trials of several n with the same n t give the two parameters of
    dT(n) = t_s n^a (`schedlab.metrics.overhead`). The paper has n t = 240 s, with t of 1, 5, 30 and
    60 s.

    References
    ----------
    .. [1] A. Reuther et al., "Scalable System Scheduling for HPC and Big Data", Journal of Parallel
       and Distributed Computing 111, 2018, arXiv:1705.03102.
    """

    causes: ClassVar[Mapping[str, str]] = {"jobs": "tasks"}
    kind: Literal["constant"] = "constant"
    tasks: int = Field(default=4, ge=1, le=MOST_JOBS, description="Tasks for each processor, n.")
    runtime: float = Field(default=1.0, ge=SHORTEST, le=LONGEST, description="Of each task, t, s.")

    def jobs_of(self, machine: Machine, seed: int, root: Path) -> list[Job]:
        """Jobs in order of number; nothing is random."""
        limit = walltime(self.runtime)
        return [
            Job(number, 0.0, 1, 1, float(self.runtime), walltime=limit)
            for number in range(self.tasks * machine.cores)
        ]

    def problems(self, machines: list[Machine], root: Path) -> list[Problem]:
        """More jobs than a trace may have."""
        cores = max(machine.cores for machine in machines)
        if self.tasks * cores <= MOST_JOBS:
            return []
        return [
            Problem(
                "tasks",
                self.tasks,
                f"makes {self.tasks * cores} jobs on the {cores} processors of the largest "
                f"cluster, more than {MOST_JOBS}",
                (
                    f"at most {MOST_JOBS // cores}"
                    if cores <= MOST_JOBS
                    else "leave out the large node counts, or use another kind"
                ),
            )
        ]
