"""An open loop: jobs that arrive independently of what the scheduler does."""

from __future__ import annotations

import random
from abc import abstractmethod
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from schedlab.workloads.ladder import SLOWEST
from schedlab.workloads.registry import LONGEST, Problem, Workload, walltime
from schedlab.workloads.scaling import facts_of_sizes
from schedlab.workloads.trace import Job, Machine


class OpenLoop(Workload):
    """Equal jobs whose arrivals a kind gives.

    The first job arrives at 0 s. The size of each job is drawn uniformly from `sizes`.
    """

    # An open loop: its makespan is mostly that of the arrivals.
    quantity: ClassVar[str] = "wait_median"
    jobs: int = Field(default=30, ge=1, le=100_000, description="Number of jobs.")
    rate: float = Field(default=1.0, ge=SLOWEST, le=1e6, description="Mean arrivals per second.")
    runtime: float = Field(default=1.0, ge=0, le=LONGEST, description="Runtime of each job, s.")
    sizes: list[Annotated[int, Field(ge=1)]] = Field(
        default=[1], min_length=1, description="Processors of a job, drawn uniformly."
    )

    @abstractmethod
    def gap(self, arrivals: random.Random) -> float:
        """Time from one arrival to the next, s."""

    def jobs_of(self, machine: Machine, seed: int, root: Path) -> list[Job]:
        """Jobs with seeded interarrival times and sizes."""
        # Two random streams, so that adding a size does not change when jobs arrive.
        arrivals = random.Random(f"{seed}/arrivals")
        jobs, now = [], 0.0
        for number, size in enumerate(self._sizes(seed)):
            nodes, cpus = machine.shape(size)
            jobs.append(
                Job(
                    number,
                    round(now, 6),
                    nodes,
                    cpus,
                    float(self.runtime),
                    walltime=walltime(self.runtime),
                )
            )
            now += self.gap(arrivals)
        return jobs

    def _sizes(self, seed: int) -> list[int]:
        """Processors that each job asks for."""
        sizes = random.Random(f"{seed}/sizes")
        return [sizes.choice(self.sizes) for _ in range(self.jobs)]

    def scale_of(self, machine: Machine, seed: int, root: Path) -> dict[str, Any]:
        """What sizes are rounded up to, where any is."""
        return facts_of_sizes(machine, self.sizes, self._sizes(seed), self.runtime)

    def problems(self, machines: list[Machine], root: Path) -> list[Problem]:
        """Sizes that do not fit the smallest machine."""
        smallest = min(machine.cores for machine in machines)
        return [
            Problem(
                f"sizes[{index}]",
                size,
                f"larger than the smallest cluster, which has {smallest} processors",
                f"at most {smallest}, or leave out the small node counts",
            )
            for index, size in enumerate(self.sizes)
            if size > smallest
        ]
