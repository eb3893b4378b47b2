"""Burst: many equal jobs at the same instant."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from schedlab.workloads.registry import LONGEST, Workload, register, walltime
from schedlab.workloads.trace import Job, Machine


@register
class Burst(Workload):
    """`jobs` one-processor jobs that all arrive at 0 s; with runtime 0 they are no-ops.

    It measures the scheduler's own rate: jobs need only the scheduler's work from submission to
    end.
    """

    kind: Literal["burst"] = "burst"
    jobs: int = Field(default=30, ge=1, le=100_000, description="Number of jobs.")
    runtime: float = Field(default=0.0, ge=0, le=LONGEST, description="Runtime of each job, s.")

    def jobs_of(self, machine: Machine, seed: int, root: Path) -> list[Job]:
        """Jobs in order of number; no part of a burst is random."""
        limit = walltime(self.runtime)
        return [
            Job(number, 0.0, 1, 1, float(self.runtime), walltime=limit)
            for number in range(self.jobs)
        ]
