"""ESP: the job mix of the Effective System Performance benchmark, version 2."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from schedlab.workloads.registry import LONGEST, SHORTEST, Workload, register, walltime
from schedlab.workloads.scaling import Fitted, facts_of, taken
from schedlab.workloads.trace import BOUNDED_SLOWDOWN_THRESHOLD, Job, Machine


class JobType(NamedTuple):
    """One row of the mix: part of the machine, number of jobs, runtime at full size (s)."""

    fraction: Fraction
    jobs: int
    runtime: float


WHOLE = "Z"
"""Type whose jobs take the whole machine, so that each runs alone."""

MIX = {
    name: JobType(Fraction(fraction), jobs, runtime)
    for name, fraction, jobs, runtime in (
        ("A", "0.03125", 75, 267.0),
        ("B", "0.0625", 9, 322.0),
        ("C", "0.5", 3, 534.0),
        ("D", "0.25", 3, 616.0),
        ("E", "0.5", 3, 315.0),
        ("F", "0.0625", 9, 1846.0),
        ("G", "0.125", 6, 1334.0),
        ("H", "0.1582", 6, 1067.0),
        ("I", "0.03125", 24, 1432.0),
        ("J", "0.0625", 24, 725.0),
        ("K", "0.0957", 15, 487.0),
        ("L", "0.125", 36, 366.0),
        ("M", "0.25", 15, 187.0),
        (WHOLE, "1", 2, 100.0),
    )
}
"""Type -> its row. 230 jobs, whose work keeps a whole machine busy for 11,003 s."""


def processors(name: str, machine: Machine) -> int:
    """Processors of a type's jobs on a machine: its part, rounded up to a whole processor."""
    return math.ceil(MIX[name].fraction * machine.cores)


@register
class Esp(Workload):
    """The 230 jobs of ESP-2 [1]_, with runtimes times `time_scale`.

    A job takes its type's part of the machine, rounded up to a whole processor and then to the same
    number on each of its nodes (`Machine.shape`). The trace lists the types that this enlarges, and
    has the ideal time sum(p t) / P of the jobs as submitted and of the table; ESP's efficiency is
    the ideal over the elapsed time.

    Jobs of type Z take the whole machine. Once one is due nothing else may start before it, for
    which they have priority `z_priority`. What a scheduler that heeds priorities fills back all the
    same is its own choice, and is counted (`wide_overtaken`). They are due when a third and two
    thirds of the others were submitted. Where all of these come at once it is after a third and two
    thirds of the ideal time: due with the others, Z jobs of priority would be the first to run, on
    an idle machine. The trace says what the rule of submission was (`Esp.rule`).

    References
    ----------
    .. [1] A. Wong, L. Oliker, W. Kramer, T. Kaltz, D. Bailey, "ESP: A System Utilization
       Benchmark", SC2000; the mix is that of version 2 of its program.
    """

    causes: ClassVar[Mapping[str, str]] = {"priority": "z_priority"}
    kind: Literal["esp"] = "esp"
    time_scale: float = Field(
        default=0.01, ge=SHORTEST, le=1000, description="Our seconds per second of the mix."
    )
    interval: float = Field(default=0.0, ge=0, le=LONGEST, description="Between two arrivals, s.")
    z_priority: int = Field(
        default=1,
        ge=0,
        le=1000,
        description="Priority of the jobs that want the whole machine; 0: that of the others.",
    )

    @property
    def rule(self) -> str:
        """How the jobs are submitted, in words."""
        every = "types A to M in seeded random order, one every interval; a Z after a third and "
        if not self.z_priority:
            return every + (
                "after two thirds of them; all of priority 0, so that whether smaller jobs start"
                " before a Z that is due is the scheduler's choice"
            )
        if not self.interval:
            every = (
                "types A to M at once, in seeded random order; a Z after a third and after two"
                " thirds of the ideal time"
            )
        else:
            every += "after two thirds of them"
        return every + (
            f"; a Z has priority {self.z_priority} over the others, so that no smaller job starts"
            " before a Z that is due, but where the scheduler fills back"
        )

    def _ideal(self, machine: Machine) -> float:
        """Ideal time of the jobs as submitted, s."""
        work = sum(
            taken(machine, processors(name, machine)) * kind.runtime * kind.jobs
            for name, kind in MIX.items()
        )
        return work * self.time_scale / machine.cores

    def jobs_of(self, machine: Machine, seed: int, root: Path) -> list[Job]:
        """Jobs in the order of their submission, which is seeded."""
        order = [name for name in MIX if name != WHOLE for _ in range(MIX[name].jobs)]
        random.Random(f"{seed}/order").shuffle(order)
        third = len(order) // (MIX[WHOLE].jobs + 1)
        for number in range(MIX[WHOLE].jobs, 0, -1):
            order.insert(number * third, WHOLE)
        jobs = []
        for number, name in enumerate(order):
            nodes, cpus = machine.shape(processors(name, machine))
            runtime = round(MIX[name].runtime * self.time_scale, 6)
            jobs.append(
                Job(
                    number,
                    round(number * self.interval, 6),
                    nodes,
                    cpus,
                    runtime,
                    priority=self.z_priority if name == WHOLE else 0,
                    walltime=walltime(runtime),
                )
            )
        if self.interval or not self.z_priority:
            return jobs
        whole = [place for place, name in enumerate(order) if name == WHOLE]
        part = self._ideal(machine) / (len(whole) + 1)
        late = [
            replace(jobs[place], arrival=round(number * part, 6))
            for number, place in enumerate(whole, 1)
        ]
        others = [job for place, job in enumerate(jobs) if place not in whole]
        return [replace(job, job=number) for number, job in enumerate([*others, *late])]

    def scale_of(self, machine: Machine, seed: int, root: Path) -> dict[str, Any]:
        """What was scaled and rounded, the ideal times, and the rule of submission."""
        cores = {name: taken(machine, processors(name, machine)) for name in MIX}
        fitted = [
            Fitted(
                kind.fraction.numerator * machine.cores,
                kind.fraction.denominator,
                cores[name],
                kind.runtime * self.time_scale,
                round(kind.runtime * self.time_scale, 6),
            )
            for name, kind in MIX.items()
            for _ in range(kind.jobs)
        ]
        table = sum(float(kind.fraction) * kind.runtime * kind.jobs for kind in MIX.values())
        return {
            "bounded_slowdown_threshold": BOUNDED_SLOWDOWN_THRESHOLD * self.time_scale,
            "time_scale": self.time_scale,
            "ideal_s": self._ideal(machine),
            "ideal_of_table_s": table * self.time_scale,
            "rounded_up": {
                name: cores[name]
                for name, kind in MIX.items()
                if cores[name] != kind.fraction * machine.cores
            },
            "asked": {
                name: float(kind.fraction * machine.cores)
                for name, kind in MIX.items()
                if cores[name] != kind.fraction * machine.cores
            },
            **facts_of(fitted, machine),
            "submission": self.rule,
        }
