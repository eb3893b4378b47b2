"""Gang: jobs that need the whole machine, and half of it, in turn."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from schedlab.workloads.registry import LONGEST, Workload, register, walltime
from schedlab.workloads.scaling import Fitted, facts_of
from schedlab.workloads.trace import Job, Machine


@register
class Gang(Workload):
    """Jobs that start only when all of their processors are free at once.

    Even jobs take every processor of the machine. Odd ones take every processor of half of the
    nodes, rounded up; on one node, half of its processors, rounded up.
    """

    kind: Literal["gang"] = "gang"
    jobs: int = Field(default=6, ge=1, le=100_000, description="Number of jobs.")
    runtime: float = Field(default=1.0, ge=0, le=LONGEST, description="Runtime of each job, s.")
    interval: float = Field(default=0.0, ge=0, le=LONGEST, description="Between two arrivals, s.")

    def jobs_of(self, machine: Machine, seed: int, root: Path) -> list[Job]:
        """Jobs in order of number; no part of a gang is random."""
        whole = (machine.nodes, machine.cpus_per_node)
        if machine.nodes == 1:
            half = (1, math.ceil(machine.cpus_per_node / 2))
        else:
            half = (math.ceil(machine.nodes / 2), machine.cpus_per_node)
        jobs = []
        for number in range(self.jobs):
            nodes, cpus = half if number % 2 else whole
            jobs.append(
                Job(
                    number,
                    round(number * self.interval, 6),
                    nodes,
                    cpus,
                    float(self.runtime),
                    walltime=walltime(self.runtime),
                )
            )
        return jobs

    def scale_of(self, machine: Machine, seed: int, root: Path) -> dict[str, Any]:
        """What half of the machine is rounded up to, where it is."""
        jobs = self.jobs_of(machine, seed, root)
        halves = [machine.cores * (1 if job.job % 2 else 2) for job in jobs]
        fitted = (
            Fitted(half, 2, job.cores, job.runtime, job.runtime)
            for half, job in zip(halves, jobs, strict=True)
        )
        facts = facts_of(fitted, machine)
        return facts if facts["jobs_rounded_up"] else {}
