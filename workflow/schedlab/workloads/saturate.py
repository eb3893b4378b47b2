"""Saturate: the highest rate of arrivals that a cluster sustains, found by a search."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from schedlab.errors import SchedlabError
from schedlab.units import Percentage, part
from schedlab.workloads.ladder import COARSEST, FEWEST, FINEST, SLOWEST, most_steps
from schedlab.workloads.registry import (
    COMPOSITE,
    WHOLE,
    Problem,
    Workload,
    given_within,
    register,
    with_name,
)
from schedlab.workloads.trace import Job, Machine

BEHAVIOURS = ("priority", "fairness", "starvation")
"""Kinds whose arrivals make a situation; faster or slower ones would make another."""
TOGETHER = 0.25
"""Largest part of the jobs that may arrive at one instant: those wait however slow the rate is."""

if TYPE_CHECKING:
    PartWorkload = Workload


class Rate(BaseModel):
    """Between which rates the search looks."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    low: float = Field(
        ge=SLOWEST, le=1e6, description="Arrivals per second that surely are sustained."
    )
    high: float = Field(ge=SLOWEST, le=1e6, description="Arrivals per second that surely are not.")

    @field_validator("high")
    @classmethod
    def _above_low(cls, value: float, info: ValidationInfo) -> float:
        low = info.data.get("low")
        if low is not None and value <= low:
            raise ValueError(f"not more than low, which is {low:g}; write a larger number")
        return value


@register
class Saturate(Workload):
    """A search for the highest sustained rate: the arrivals of `workload`, faster or slower.

    Each trial of a cell is one step of a ladder (`workloads.ladder`): its rate follows from the
    steps before it. All steps of a search have the same jobs, whose arrivals are only scaled; the
    experiment's `repetitions` are searches, each with other jobs. Whether a rate is sustained says
    `schedlab.metrics.saturation`.
    """

    quantity: ClassVar[str] = "wait_median"
    kind: Literal["saturate"] = "saturate"
    workload: PartWorkload = Field(description="An open loop; its own rate does not matter.")
    rate: Rate = Field(description="Where the search looks.")
    precision: Percentage = Field(default="5 %", description="Of the rate: where the search ends.")
    confirm: bool = Field(
        default=False,
        description="Search again with a limit by settings lifted, where it is the limiter.",
    )
    longest_wait: float | None = Field(
        default=None,
        gt=0,
        le=1e9,
        description="Mean wait (s) of the last quarter of jobs above which a rate counts as not"
        " sustained; null: the queue alone decides.",
    )

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        """Let the workload have the search's name."""
        return with_name(data, "name")

    @field_validator("precision")
    @classmethod
    def _of_a_search(cls, value: str) -> str:
        if part(value) < FINEST:
            raise ValueError(
                f"finer than {100 * FINEST:g} %, and rates have six digits; write"
                f" {100 * FINEST:g} % or more"
            )
        if part(value) > COARSEST:
            raise ValueError(
                f"coarser than {100 * COARSEST:g} %, and a queue that grows by less than half of it"
                f" counts as one that does not grow; write {100 * COARSEST:g} % or less"
            )
        return value

    @property
    def steps(self) -> int:
        """Most trials of one search."""
        return most_steps(self.rate.low, self.rate.high, part(self.precision))

    @property
    def confirms(self) -> bool:
        """Whether limiters are confirmed."""
        return self.confirm

    @property
    def fastest(self) -> float:
        """Highest rate of arrivals that it tries, 1/s."""
        return self.rate.high

    def files(self) -> list[Path]:
        """Files of the workload."""
        return self.workload.files()

    def cause(self, wanted: str) -> tuple[str, object]:
        """See `Workload.cause`: of the inner workload, but for what only the whole can have."""
        if wanted.partition(".")[0] in WHOLE:
            return super().cause(wanted)
        key, value = self.workload.cause(wanted)
        return f"workload.{key}", value

    def jobs_of(self, machine: Machine, seed: int, root: Path) -> list[Job]:
        """Jobs of the workload, which arrive at the lowest rate; see `Trace.at_rate`."""
        jobs = self.workload.jobs_of(machine, seed, root)
        if len(jobs) < FEWEST:
            raise SchedlabError(
                f"workload {self.name} has {len(jobs)} jobs, and fewer than {FEWEST} cannot say"
                " whether a rate is sustained",
                remedy=f"use {FEWEST} jobs or more, rather some hundred",
            )
        first, last = jobs[0].arrival, jobs[-1].arrival
        if last <= first:
            raise SchedlabError(
                f"the jobs of workload {self.name} all arrive at one instant: they have no rate",
                remedy="use an open loop, such as kind: regular",
            )
        together = Counter(job.arrival for job in jobs).most_common(1)[0][1]
        if together > len(jobs) * TOGETHER:
            raise SchedlabError(
                f"{together} of the {len(jobs)} jobs of workload {self.name} arrive at one instant:"
                " no rate spreads them",
                remedy="use an open loop, such as kind: regular",
            )
        factor = (len(jobs) - 1) / (last - first) / self.rate.low
        return [replace(job, arrival=round((job.arrival - first) * factor, 6)) for job in jobs]

    def scale_of(self, machine: Machine, seed: int, root: Path) -> dict[str, Any]:
        """Facts of the workload, the rate, and what the search asks of a sustained rate."""
        return self.limiting(self.workload).scale_of(machine, seed, root) | {
            "rate": self.rate.low,
            "precision": part(self.precision),
            "longest_wait_s": self.longest_wait,
        }

    def problems(self, machines: list[Machine], root: Path) -> list[Problem]:
        """Faults of the workload; users who wait, whose arrivals are no rate."""
        found = [
            Problem(f"workload.{one.key}", one.value, one.what, one.remedy)
            for one in self.workload.problems(machines, root)
        ]
        if self.workload.kind in BEHAVIOURS:
            what = "jobs that meet a queue: their arrivals are the question, and have no rate"
            remedy = "use an open loop, such as regular, or this kind without saturate"
            found.append(Problem("workload.kind", self.workload.kind, what, remedy))
        own = getattr(self.workload, "rate", None)
        # Every key is there where an experiment was written again; then with the default.
        if own is not None and own != type(self.workload).model_fields["rate"].default:
            what, remedy = "not used: the search sets the rate", "remove it; rate has low and high"
            found.append(Problem("workload.rate", own, what, remedy))
        precise = part(self.precision)
        if self.rate.high <= self.rate.low * (1 + precise):
            what = f"within the precision ({self.precision}) of low: there is nothing to search"
            least = math.ceil(1e6 * self.rate.low * (1 + precise)) / 1e6
            remedy = f"set it well above {least:g}, or make the precision finer"
            found.append(Problem("rate.high", self.rate.high, what, remedy))
        found += given_within(self.workload, "workload", "workload")
        if self.fault:
            what = "a search tries many rates, and a fault is looked at beside one workload"
            remedy = "give the fault to a workload without saturate"
            found.append(Problem("fault", self.fault.model_dump(), what, remedy))
        if getattr(self.workload, "dependencies", "") == "users":
            what = "a closed loop: a slower scheduler gets fewer jobs, so there is no rate to find"
            remedy = "use ignore or scheduler"
            found.append(Problem("workload.dependencies", "users", what, remedy))
        return found


COMPOSITE.append(Saturate)
