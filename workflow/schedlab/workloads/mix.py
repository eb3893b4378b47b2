"""Mix: several workloads at once, each of a user with a share of the machine."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schedlab.errors import SchedlabError
from schedlab.workloads.registry import (
    COMPOSITE,
    MOST_JOBS,
    WHOLE,
    Problem,
    Workload,
    given_within,
    register,
    with_name,
)
from schedlab.workloads.trace import Job, Machine, Trace

if TYPE_CHECKING:
    PartWorkload = Workload

User = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,15}$")]


class Part(BaseModel):
    """Workload of one user in a mix."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    user: User = Field(description="User of its jobs.")
    share: float = Field(
        default=1.0,
        ge=1e-6,
        le=1e6,
        description="The user's due part of the machine, relative to the other users' shares.",
    )
    priority: int = Field(
        default=0, ge=-1000, le=1000, description="Added to the priority of its jobs."
    )
    workload: PartWorkload = Field(description="Any kind but mix; its name may be left out.")

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        """Let the workload have the user's name."""
        return with_name(data, "user")


@register
class Mix(Workload):
    """The jobs of all `parts` at their own arrivals, in one trace.

    Every part has a random stream of its own, so that changing one does not change the others. The
    jobs of a part are all of its user, whatever users its workload has. The trace has each user's
    share, and what each asks for: the part of all processor-seconds.
    """

    quantity: ClassVar[str] = "wait_median"
    causes: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("priority", "after", "array", "jobs", "preempt"), "parts"
    )
    kind: Literal["mix"] = "mix"
    parts: list[Part] = Field(min_length=1, max_length=100, description="What comes together.")

    def files(self) -> list[Path]:
        """Files of all parts."""
        return [path for part in self.parts for path in part.workload.files()]

    @staticmethod
    def _own(seed: int, index: int) -> int:
        """Seed of a part."""
        return random.Random(f"{seed}/part/{index}").getrandbits(48)

    def parted(self, wanted: str) -> Iterator[tuple[Workload, str, object]]:
        """See `Workload.parted`; what only the whole can have is of no part."""
        if wanted.partition(".")[0] in WHOLE:
            return
        for place, part in enumerate(self.parts):
            inner, value = part.workload.cause(wanted)
            key = f"workload.{inner}"
            if wanted == "priority" and part.priority:
                key, value = "priority", part.priority
            alone = self.model_copy(update={"parts": [part], "background": None, "fault": None})
            yield alone, f"parts[{place}].{key}", value

    def jobs_of(self, machine: Machine, seed: int, root: Path) -> list[Job]:
        """Jobs of all parts in order of arrival; at one instant in order of the parts."""
        every: list[tuple[float, int, Job]] = []
        for index in range(len(self.parts)):
            jobs = self.parts[index].workload.jobs_of(machine, self._own(seed, index), root)
            every += [(job.arrival, index, job) for job in jobs]
            if len(every) > MOST_JOBS:
                raise SchedlabError(
                    f"the first {index + 1} of {len(self.parts)} parts of workload {self.name} make"
                    f" {len(every)} jobs on {machine.cores} processors, more than {MOST_JOBS}",
                    remedy="use fewer or smaller parts",
                )
        every.sort(key=lambda entry: entry[:2])  # stable: a part's jobs keep their order
        number = {(index, job.job): place for place, (_, index, job) in enumerate(every)}
        arrays: dict[tuple[int, int], int] = {}
        found = []
        for place, (_, index, job) in enumerate(every):
            array = job.array
            if array is not None:
                array = arrays.setdefault((index, array), len(arrays))
            found.append(
                replace(
                    job,
                    job=place,
                    user=self.parts[index].user,
                    priority=job.priority + self.parts[index].priority,
                    after=tuple(number[index, before] for before in job.after),
                    array=array,
                )
            )
        return found

    def scale_of(self, machine: Machine, seed: int, root: Path) -> dict[str, Any]:
        """Shares, and the facts about scaling of each part."""
        facts = [
            self.limiting(part.workload).scale_of(machine, self._own(seed, index), root)
            for index, part in enumerate(self.parts)
        ]
        shares = {part.user: part.share for part in self.parts}
        wishes = [one["preempt"] for one in facts if "preempt" in one]
        scaled = "bounded_slowdown_threshold"
        thresholds = [one[scaled] for one in facts if scaled in one]
        return {
            # Of the part whose times are scaled most: a larger one would hide its jobs' delays.
            **({scaled: min(thresholds)} if thresholds else {}),
            **({"preempt": True in wishes or wishes[0]} if wishes else {}),
            "shares": {user: share / sum(shares.values()) for user, share in shares.items()},
            "parts": [
                {"user": part.user, "kind": part.workload.kind, **one}
                for part, one in zip(self.parts, facts, strict=True)
            ],
        }

    def generate(self, machine: Machine, seed: int, root: Path | None = None) -> Trace:
        """Make the neutral trace; errors as those of `Workload.generate`."""
        trace = super().generate(machine, seed, root)
        work: defaultdict[str, float] = defaultdict(float)
        for job in trace.measured:
            work[job.user] += job.cores * job.runtime
        total = sum(work.values())
        trace.scale["asked"] = {user: work[user] / total if total else 0.0 for user in work}
        return trace

    def problems(self, machines: list[Machine], root: Path) -> list[Problem]:
        """Faults of the parts, users of their own, and shares that differ for one user."""
        found = []
        shares: dict[str, float] = {}
        for index, part in enumerate(self.parts):
            for problem in part.workload.problems(machines, root):
                key = f"parts[{index}].workload.{problem.key}"
                found.append(Problem(key, problem.value, problem.what, problem.remedy))
            if remedy := part.workload.without_users:
                what = (
                    "tells its jobs apart by users, and in a mix all jobs of a part are one user's"
                )
                key = f"parts[{index}].workload.kind"
                found.append(Problem(key, part.workload.kind, what, remedy))
            found += given_within(part.workload, f"parts[{index}].workload", "parts")
            if shares.setdefault(part.user, part.share) != part.share:
                what = f"user {part.user} has share {shares[part.user]:g} in an earlier part"
                remedy = "give a user one share"
                found.append(Problem(f"parts[{index}].share", part.share, what, remedy))
        return found


COMPOSITE.extend((Part, Mix))
