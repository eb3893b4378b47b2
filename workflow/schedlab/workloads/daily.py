"""Daily: arrivals whose rate follows the hours of the day."""

from __future__ import annotations

import random
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from schedlab.errors import SchedlabError
from schedlab.privacy.identity import identity
from schedlab.workloads.registry import LONGEST, SHORTEST, Problem, Workload, register, walltime
from schedlab.workloads.scaling import facts_of_sizes
from schedlab.workloads.trace import Job, Machine

if TYPE_CHECKING:
    from schedlab.swf.local_time import Clock

HOURS = 24
WORKING_DAY = (1, 1, 1, 1, 1, 1, 2, 4, 7, 9, 10, 10, 9, 10, 10, 10, 9, 8, 6, 4, 3, 2, 2, 1)
"""Arrivals in each hour, relative to one another: a made-up working day, of no site."""


def recorded_profile(path: Path) -> tuple[list[float], Clock]:
    """Jobs of a trace that were submitted in each hour of the day, and on which clock.

    Raises
    ------
    SchedlabError
        When the file cannot be read, or has no jobs.
    """
    # Only who reads a trace needs numpy, whose import takes a tenth of a second.
    import numpy as np

    from schedlab.swf.local_time import DAY, clock_of, week_seconds
    from schedlab.swf.table import SUBMIT, read_table

    table = read_table(path)
    submit = np.array(table.rows[table.usable(), SUBMIT])
    clock = clock_of(path)
    hours = (week_seconds(submit, clock) % DAY // 3600).astype(int)
    counts: list[float] = np.bincount(hours, minlength=HOURS).astype(float).tolist()
    return counts, clock


@register
class Daily(Workload):
    """`jobs` jobs over `days` days, more of them in some hours than in others.

    Given their number, the arrivals of a Poisson process whose rate changes are independent draws
    from the profile [1]_; that is how they are made. `profile` has 24 numbers, of any sum; with
    `file` they are the submissions in each hour of the day in that trace, on its machine's clock,
    of which the neutral trace says how it is known (`swf.local_time.clock_of`). Jobs come in bursts
    of `burst` at one instant. A day begins at 0 h, which is 0 s.

    References
    ----------
    .. [1] P. A. W. Lewis, G. S. Shedler, "Simulation of Nonhomogeneous Poisson Processes by
       Thinning", Naval Research Logistics Quarterly 26, 1979.
    """

    quantity: ClassVar[str] = "wait_median"
    kind: Literal["daily"] = "daily"
    jobs: int = Field(default=60, ge=1, le=100_000, description="Number of jobs.")
    days: int = Field(default=1, ge=1, le=1000, description="Days over which they arrive.")
    hour: float = Field(default=5.0, ge=SHORTEST, le=LONGEST, description="Our seconds per hour.")
    profile: list[Annotated[float, Field(ge=0, le=LONGEST)]] | None = Field(
        default=None,
        min_length=HOURS,
        max_length=HOURS,
        description="Arrivals in each hour of the day, relative to one another.",
    )
    file: str | None = Field(
        default=None, min_length=1, description="SWF trace to read the profile from instead."
    )
    burst: int = Field(default=1, ge=1, le=100_000, description="Jobs that arrive at one instant.")
    runtime: float = Field(default=1.0, ge=0, le=LONGEST, description="Runtime of each job, s.")
    sizes: list[Annotated[int, Field(ge=1)]] = Field(
        default=[1], min_length=1, description="Processors of a job, drawn uniformly."
    )

    def files(self) -> list[Path]:
        """The trace that the profile is from."""
        return [Path(self.file)] if self.file else []

    def _profile(self, root: Path) -> list[float]:
        if self.file:
            return recorded_profile(root / self.file)[0]
        return list(self.profile or map(float, WORKING_DAY))

    def jobs_of(self, machine: Machine, seed: int, root: Path) -> list[Job]:
        """Jobs with seeded arrivals and sizes."""
        # Two random streams, so that adding a size does not change when jobs arrive.
        instants = random.Random(f"{seed}/arrivals")
        bounds = list(accumulate(self._profile(root)))
        bursts = -(-self.jobs // self.burst)
        due = []
        for hour in instants.choices(range(HOURS), cum_weights=bounds, k=bursts):
            day = instants.randrange(self.days)
            due.append(round((HOURS * day + hour + instants.random()) * self.hour, 6))
        due.sort()
        jobs = []
        for number, size in enumerate(self._sizes(seed)):
            nodes, cpus = machine.shape(size)
            arrival = due[number // self.burst]
            length = float(self.runtime)
            jobs.append(Job(number, arrival, nodes, cpus, length, walltime=walltime(length)))
        return jobs

    def _sizes(self, seed: int) -> list[int]:
        """Processors that each job asks for."""
        sizes = random.Random(f"{seed}/sizes")
        return [sizes.choice(self.sizes) for _ in range(self.jobs)]

    def scale_of(self, machine: Machine, seed: int, root: Path) -> dict[str, object]:
        """The profile, and where it is from; what sizes are rounded up to, where any is."""
        sizes = facts_of_sizes(machine, self.sizes, self._sizes(seed), self.runtime)
        if not self.file:
            return {"profile": self._profile(root), **sizes}
        profile, clock = recorded_profile(root / self.file)
        return {
            "profile": profile,
            "file": identity().text(self.file),
            "clock": clock.told,
            **sizes,
        }

    def problems(self, machines: list[Machine], root: Path) -> list[Problem]:
        """Sizes that do not fit, a profile without arrivals, or one that cannot be read."""
        found = []
        smallest = min(machine.cores for machine in machines)
        for index, size in enumerate(self.sizes):
            if size > smallest:
                what = f"larger than the smallest cluster, which has {smallest} processors"
                remedy = f"at most {smallest}, or leave out the small node counts"
                found.append(Problem(f"sizes[{index}]", size, what, remedy))
        if self.file and self.profile:
            what, remedy = "given beside `file`", "give one of the two"
            found.append(Problem("profile", self.profile, what, remedy))
        if self.profile and not any(self.profile):
            found.append(Problem("profile", self.profile, "all are 0", "give an hour arrivals"))
        if self.file and not found:
            found += self._file_problems(root)
        return found

    def _file_problems(self, root: Path) -> list[Problem]:
        assert self.file
        if not self.file.isprintable():
            return [Problem("file", self.file, "holds control characters", "rename the file")]
        try:
            counts, clock = recorded_profile(root / self.file)
        except SchedlabError as error:
            return [Problem("file", self.file, error.message, error.remedy or "use another trace")]
        if not any(counts):
            return [Problem("file", self.file, "has no usable job", "name a trace with jobs")]
        if clock.unread and not clock.local:
            what = f"its header does not tell the hour of the day ({clock.unread})"
            return [Problem("file", self.file, what, "correct that line, or give the profile")]
        return []
