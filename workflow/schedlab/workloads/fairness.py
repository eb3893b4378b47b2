"""Fairness: users of whom one has filled the queue before the others come."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

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
class Fairness(Workload):
    """`users` users, who each submit `jobs` equal jobs for every processor, all at one instant.

    One comes `interval` after the other, so the first has filled the queue when the others come.
    Their shares of the machine are equal. First come, first served gives all to the first; a
    scheduler that shares fairly gives each the same as long as all have jobs that wait. It can do
    so only if it is told of users, which docs/saturation.md says.
    """

    quantity: ClassVar[str] = "share_jain"
    kind: Literal["fairness"] = "fairness"
    users: int = Field(default=3, ge=2, le=100, description="Number of users.")
    jobs: int = Field(default=6, ge=1, le=1000, description="Of each user, for each processor.")
    runtime: float = Field(
        default=2.0, ge=SHORTEST, le=LONGEST, description="Runtime of each job, s."
    )
    interval: float = Field(default=0.5, ge=0, le=LONGEST, description="Between two users, s.")

    @property
    def without_users(self) -> str:
        """Its question is how several users are treated."""
        return "write a part with kind: burst for each user, or use fairness without mix"

    def jobs_of(self, machine: Machine, seed: int, root: Path) -> list[Job]:
        """Jobs in order of arrival; nothing is random."""
        limit, of_each = walltime(self.runtime), self.jobs * machine.cores
        return [
            Job(
                user * of_each + number,
                round(user * self.interval, 6),
                1,
                1,
                self.runtime,
                user=f"u{user + 1}",
                walltime=limit,
            )
            for user in range(self.users)
            for number in range(of_each)
        ]

    def problems(self, machines: list[Machine], root: Path) -> list[Problem]:
        """More jobs than a trace may have."""
        cores = max(machine.cores for machine in machines)
        made = self.users * self.jobs * cores
        if made <= MOST_JOBS:
            return []
        what = (
            f"makes {made} jobs for {self.users} users on the {cores} processors of the largest"
            f" cluster, more than {MOST_JOBS}"
        )
        return [Problem("jobs", self.jobs, what, "lower it, or users, or the node counts")]

    def scale_of(self, machine: Machine, seed: int, root: Path) -> dict[str, Any]:
        """Shares of the users: equal."""
        return {"shares": {f"u{user + 1}": 1 / self.users for user in range(self.users)}}
