"""Starvation: a wide job among narrow ones that keep coming."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from schedlab.workloads.registry import LONGEST, MOST_JOBS, Problem, Workload, register, walltime
from schedlab.workloads.trace import Job, Machine


@register
class Starvation(Workload):
    """One-processor jobs that keep the machine busy, and a job that wants all of it.

    The narrow jobs come at equal intervals for `length` seconds and ask for `load` times the
    machine, so that with a load of 1 or more a processor that becomes free always has a job that
    fits it. The wide job comes `at` seconds after the first. A scheduler that reserves processors
    for it starts it one runtime later; one that starts whatever fits starts it after the last
    narrow job.
    """

    quantity: ClassVar[str] = "wide_wait"
    kind: Literal["starvation"] = "starvation"
    length: float = Field(default=40.0, gt=0, le=LONGEST, description="Of the narrow stream, s.")
    load: float = Field(
        default=1.25, gt=0, le=100, description="Part of the machine that narrow jobs ask for."
    )
    runtime: float = Field(default=4.0, gt=0, le=LONGEST, description="Of each narrow job, s.")
    at: float = Field(default=8.0, ge=0, le=LONGEST, description="When the wide job comes, s.")
    wide_runtime: float = Field(default=2.0, ge=0, le=LONGEST, description="Of the wide job, s.")

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
        wide = Job(
            0,
            self.at,
            machine.nodes,
            machine.cpus_per_node,
            self.wide_runtime,
            user="wide",
            walltime=walltime(self.wide_runtime),
        )
        ordered = sorted([*narrow, wide], key=lambda job: job.arrival)
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
        if min(machine.cores for machine in machines) < 2:
            what = "the smallest cluster has one processor, so no job is wide"
            remedy = "set node.vcpus to 2 or more, or leave out the small node counts"
            found.append(Problem("kind", self.kind, what, remedy))
        if min(self._narrow(machine) for machine in machines) < 1:
            what = "makes less than one narrow job on the smallest cluster"
            remedy = "make it longer, raise load, or lower runtime"
            found.append(Problem("length", self.length, what, remedy))
        most = max(self._narrow(machine) for machine in machines)
        if most > MOST_JOBS:
            what = f"makes {most:.6g} narrow jobs on the largest cluster, more than {MOST_JOBS}"
            remedy = "make it shorter, or raise runtime"
            found.append(Problem("length", self.length, what, remedy))
        return found
