"""Background: load that is there before a workload begins, and stays until it has ended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, NamedTuple

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from schedlab.units import PercentageOrZero, part
from schedlab.workloads.ladder import SLOWEST
from schedlab.workloads.trace import Job, Machine

LASTS = 86_400.0
"""Runtime of the background's jobs, s: longer than any trial."""
_LIMIT = 2 * LASTS
USER = "background"
WAITING = -1
"""Priority of the jobs that wait."""
MOST_PENDING = 100_000
"""Most jobs that wait."""


class _OrLevels:
    """Adds to the JSON schema the list that may be written in place of one value.

    Such a list never comes to the model: `schedlab.config.levels` makes a workload of each level.
    """

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        one = handler(core_schema)
        return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


class Taken(NamedTuple):
    """Nodes on which the background takes processors, and how many of each."""

    nodes: int
    cpus: int


class Background(BaseModel):
    """Processors that are taken, and jobs that wait, during the whole workload.

    At 0 s one job over all nodes takes the same number of processors on each. `settle` seconds
    later, `pending` jobs that want the whole machine are submitted at `rate`; their priority is -1,
    and they cannot start before the first one has ended. The workload begins `settle` seconds after
    the last of them. The trial does not wait for any of these jobs, and no table has them.

    With 0 % filled and jobs that wait, the first job takes one processor of one node: without it
    they would start. With 0 % and none that wait there is no job, and the workload begins at 0 s.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    filled: Annotated[PercentageOrZero, _OrLevels()] = Field(
        description="Part of the processors that is taken, on every node alike."
    )
    pending: Annotated[int, Field(ge=0, le=MOST_PENDING), _OrLevels()] = Field(
        default=0, description="Jobs that wait all the time."
    )
    settle: float = Field(default=20.0, ge=0, le=3600, description="Between two steps, s.")
    rate: float = Field(
        default=50.0, ge=SLOWEST, le=1e6, description="Submissions of pending jobs, 1/s."
    )
    level_of: str | None = Field(
        default=None,
        description="Written by the run: workload whose background has levels, of which this is"
        " one. The measured jobs of all levels are the same.",
    )

    @model_serializer(mode="wrap")
    def _short(self, handler: SerializerFunctionWrapHandler) -> Any:
        """Write one that is no level as before levels existed, so that no trace of it is stale."""
        return {key: value for key, value in handler(self).items() if value is not None}

    def taken(self, machine: Machine) -> Taken:
        """Where processors are taken: of every node at least one is, and one remains."""
        filled = part(self.filled, zero=True)
        if not filled:
            return Taken(1, 1) if self.pending else Taken(0, 0)
        wanted = round(filled * machine.cpus_per_node)
        return Taken(machine.nodes, max(1, min(machine.cpus_per_node - 1, wanted)))

    @property
    def lowered(self) -> str:
        """Key that takes fewer processors, with how to set it."""
        return "filled lower" if part(self.filled, zero=True) else "pending to 0"

    @property
    def lead(self) -> float:
        """Seconds from the start of the trial to that of the workload."""
        if not self.pending and not part(self.filled, zero=True):
            return 0.0
        return self.settle * (2 if self.pending else 1) + self.pending / self.rate

    def before(self, jobs: Sequence[Job], machine: Machine) -> list[Job]:
        """Jobs of the background, and then those of the workload, numbered after them."""
        taken = self.taken(machine)
        if not taken.nodes:
            return list(jobs)
        filler = Job(
            0,
            0.0,
            taken.nodes,
            taken.cpus,
            LASTS,
            user=USER,
            walltime=_LIMIT,
            background=True,
        )
        whole = replace(filler, nodes=machine.nodes, cpus=machine.cpus_per_node, priority=WAITING)
        waiting = [
            replace(whole, job=number + 1, arrival=round(self.settle + number / self.rate, 6))
            for number in range(self.pending)
        ]
        first = 1 + self.pending
        moved = [
            replace(
                job,
                job=job.job + first,
                arrival=round(job.arrival + self.lead, 6),
                after=tuple(number + first for number in job.after),
            )
            for job in jobs
        ]
        return [filler, *waiting, *moved]

    def facts(self, machine: Machine) -> dict[str, Any]:
        """What there is of it on a machine, and what was asked for where that was rounded."""
        taken = self.taken(machine)
        cores = taken.nodes * taken.cpus
        asked = round(part(self.filled, zero=True), 9)
        return {
            "filled": cores / machine.cores,
            **({} if math.isclose(asked, cores / machine.cores) else {"filled_asked": asked}),
            "cores": cores,
            "pending": self.pending,
            "lead_s": self.lead,
            **({"level_of": self.level_of} if self.level_of else {}),
        }

    def behind(self, jobs: Sequence[Job]) -> Job | None:
        """First job that does not go before those that wait, which never start."""
        return next((job for job in jobs if self.pending and job.priority <= WAITING), None)

    def too_wide(self, jobs: Sequence[Job], machine: Machine) -> Job | None:
        """First job that does not fit beside the background, and so would never start."""
        taken = self.taken(machine)
        free = machine.cpus_per_node - taken.cpus
        others = machine.nodes - taken.nodes
        return next((job for job in jobs if job.cpus > free and job.nodes > others), None)
