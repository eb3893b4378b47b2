"""Priority: urgent jobs that meet a full queue."""

from __future__ import annotations

from collections.abc import Mapping
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

_DEEPEST = 10_000
URGENT = "urgent"
"""User of the urgent jobs."""


@register
class Priority(Workload):
    """A queue of normal jobs, `depth` for each processor, all at 0 s; then `urgent` urgent jobs.

    All have one processor and the same runtime. The urgent ones come `at` seconds after the others,
    one every `interval`, while normal jobs still wait. A scheduler that heeds priorities starts
    each as soon as a processor becomes free; without preemption no urgent job can start before. One
    that does not starts it after the queue. With `level: 0` the same jobs come without priority.
    """

    quantity: ClassVar[str] = "urgent_wait"
    urgent_user: ClassVar[str | None] = URGENT
    causes: ClassVar[Mapping[str, str]] = {"priority": "level", "jobs": "depth"}
    kind: Literal["priority"] = "priority"
    depth: int = Field(default=8, ge=1, le=_DEEPEST, description="Normal jobs for each processor.")
    runtime: float = Field(
        default=2.0, ge=SHORTEST, le=LONGEST, description="Runtime of each job, s."
    )
    urgent: int = Field(default=3, ge=1, le=10_000, description="Number of urgent jobs.")
    at: float = Field(default=3.0, ge=0, le=LONGEST, description="When the first comes, s.")
    interval: float = Field(default=1.0, ge=0, le=LONGEST, description="Between two of them, s.")
    level: int = Field(default=1, ge=0, le=1000, description="Their priority; the others' is 0.")
    preempt: bool | Literal["allowed"] = Field(
        default=False,
        description="Whether urgent jobs take the place of normal jobs that run; allowed: where the"
        " scheduler's settings have it, so that settings with and without it meet the same trace.",
    )

    @property
    def without_users(self) -> str:
        """Urgent jobs without priority are known by their user alone."""
        return "" if self.level else "raise level, or use this kind without mix"

    def jobs_of(self, machine: Machine, seed: int, root: Path) -> list[Job]:
        """Jobs in order of arrival; nothing is random."""
        limit = walltime(self.runtime)
        normal = self.depth * machine.cores
        jobs = [Job(number, 0.0, 1, 1, self.runtime, walltime=limit) for number in range(normal)]
        for number in range(self.urgent):
            arrival = round(self.at + number * self.interval, 6)
            jobs.append(
                Job(
                    normal + number,
                    arrival,
                    1,
                    1,
                    self.runtime,
                    user=URGENT,
                    priority=self.level,
                    walltime=limit,
                )
            )
        return jobs

    def scale_of(self, machine: Machine, seed: int, root: Path) -> dict[str, Any]:
        """Whether urgent jobs preempt."""
        return {"preempt": self.preempt} if self.preempt else {}

    def problems(self, machines: list[Machine], root: Path) -> list[Problem]:
        """Too many jobs, urgent jobs that meet no queue, or that have no priority and preempt."""
        if self.preempt and not self.level:
            what = "urgent jobs without priority preempt no others"
            return [Problem("level", self.level, what, "raise it, or set preempt: false")]
        cores = max(machine.cores for machine in machines)
        if self.depth * cores + self.urgent > MOST_JOBS:
            what = (
                f"makes {self.depth * cores} normal jobs on the {cores} processors of the largest"
                f" cluster and {self.urgent} urgent ones, together more than {MOST_JOBS}"
            )
            return [Problem("depth", self.depth, what, "lower it, or urgent")]
        last = self.at + (self.urgent - 1) * self.interval
        # When the last normal job starts if nothing takes time but the jobs themselves.
        queue = (self.depth - 1) * self.runtime
        if last <= queue:
            return []
        # A tiny runtime makes it more than a trace can have.
        needed = min(last / self.runtime, MOST_JOBS) // 1 + 2
        return [
            Problem(
                "depth",
                self.depth,
                f"the last urgent job comes at {last:g} s, and the queue may be empty at {queue:g}"
                " s",
                (
                    f"set depth to at least {needed:.0f}, or let urgent jobs come earlier"
                    if needed * cores + self.urgent <= MOST_JOBS and needed <= _DEEPEST
                    else "raise runtime, or let urgent jobs come earlier"
                ),
            )
        ]
