"""Starvation: a wide job among narrow ones that keep coming."""

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
class Starvation(Workload):
    """One-processor jobs that keep the machine busy, and a job that wants all of it.

    The narrow jobs come at equal intervals for `length` seconds and ask for `load` times the
    machine, so that with a load of 1 or more a processor that becomes free always has a job that
    fits it. The wide job comes `at` seconds after the first. A scheduler that reserves processors
    for it starts it one runtime later; one that starts whatever fits starts it after the last
    narrow job.

    With `long_runtime` half of the processors are held by long jobs from the start, so that the
    wide job has to wait for their end. What a scheduler does with the other half until then shows
    whether it fills back: where it does, narrow jobs whose time limits are over before the long
    ones' run there, without delaying the wide job; where it keeps the order, they wait behind it.
    """

    quantity: ClassVar[str] = "wide_wait"
    causes: ClassVar[Mapping[str, str]] = {"jobs": "length"}
    kind: Literal["starvation"] = "starvation"
    length: float = Field(default=40.0, gt=0, le=LONGEST, description="Of the narrow stream, s.")
    load: float = Field(
        default=1.25, gt=0, le=100, description="Part of the machine that narrow jobs ask for."
    )
    runtime: float = Field(
        default=4.0, ge=SHORTEST, le=LONGEST, description="Of each narrow job, s."
    )
    at: float = Field(default=8.0, ge=0, le=LONGEST, description="When the wide job comes, s.")
    wide_runtime: float = Field(default=2.0, ge=0, le=LONGEST, description="Of the wide job, s.")
    long_runtime: float = Field(
        default=0.0,
        ge=0,
        le=LONGEST,
        description="Of jobs that hold half of the processors from the start, s; 0 for none.",
    )

    def _narrow(self, machine: Machine) -> float:
        """Narrow jobs that give the load; a part of a job counts, and a tiny runtime gives inf."""
        return self.length * self.load * machine.cores / self.runtime

    def jobs_of(self, machine: Machine, seed: int, root: Path) -> list[Job]:
        """Jobs in order of arrival; nothing is random."""
        number = round(self._narrow(machine))
        gap = self.length / number
        narrow = [
            Job(0, round(place * gap, 6), 1, 1, self.runtime, walltime=walltime(self.runtime))
            for place in range(number)
        ]
        long = [
            Job(0, 0.0, 1, 1, self.long_runtime, user="long", walltime=walltime(self.long_runtime))
            for _ in range(machine.cores // 2 if self.long_runtime else 0)
        ]
        wide = Job(
            0,
            self.at,
            machine.nodes,
            machine.cpus_per_node,
            self.wide_runtime,
            user="wide",
            walltime=walltime(self.wide_runtime),
        )
        ordered = sorted([*long, *narrow, wide], key=lambda job: job.arrival)
        return [
            Job(place, job.arrival, job.nodes, job.cpus, job.runtime, job.user, 0, job.walltime)
            for place, job in enumerate(ordered)
        ]

    def problems(self, machines: list[Machine], root: Path) -> list[Problem]:
        """A wide job after the narrow ones, one that is not wide, or no or too many narrow jobs."""
        found = []
        if self.at >= self.length:
            what = f"the narrow jobs end to come at {self.length:g} s"
            found.append(Problem("at", self.at, what, "let the wide job come earlier"))
        if self.long_runtime and self.long_runtime <= self.at:
            what = f"the wide job comes at {self.at:g} s, when the long ones have ended"
            remedy = "make them longer than `at`, or leave them out"
            found.append(Problem("long_runtime", self.long_runtime, what, remedy))
        if min(machine.cores for machine in machines) < 2:
            what = "the smallest cluster has one processor, so no job is wide"
            remedy = "set node.vcpus to 2 or more, or leave out the small node counts"
            found.append(Problem("kind", self.kind, what, remedy))
        if min(self._narrow(machine) for machine in machines) < 1:
            what = "makes less than one narrow job on the smallest cluster"
            remedy = "make it longer, raise load, or lower runtime"
            found.append(Problem("length", self.length, what, remedy))
        most = max(
            self._narrow(machine) + (machine.cores // 2 if self.long_runtime else 0) + 1
            for machine in machines
        )
        if most > MOST_JOBS:
            what = f"makes {most:.6g} jobs on the largest cluster, more than {MOST_JOBS}"
            remedy = "make it shorter, or raise runtime"
            found.append(Problem("length", self.length, what, remedy))
        return found
