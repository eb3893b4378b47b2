"""Array: many equal jobs that are one submission, where the scheduler has arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from schedlab.workloads.registry import LONGEST, Workload, register, walltime
from schedlab.workloads.trace import Job, Machine


@register
class Array(Workload):
    """One array of `jobs` one-processor jobs at 0 s.

    A scheduler with arrays gets one submission; another gets a submission for each job, as from the
    kind burst, and its row `arrays` of the parity manifest says so.
    """

    causes: ClassVar[Mapping[str, str]] = {"array": "jobs"}
    kind: Literal["array"] = "array"
    jobs: int = Field(default=30, ge=1, le=100_000, description="Size of the array.")
    runtime: float = Field(default=0.0, ge=0, le=LONGEST, description="Runtime of each job, s.")

    def jobs_of(self, machine: Machine, seed: int, root: Path) -> list[Job]:
        """Jobs in order of number; no part of an array is random."""
        length = float(self.runtime)
        return [
            Job(number, 0.0, 1, 1, length, walltime=walltime(length), array=0)
            for number in range(self.jobs)
        ]
