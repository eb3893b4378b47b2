"""Background: load that is there before a workload begins, and stays until it has ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from schedlab.units import Percentage, part
from schedlab.workloads.trace import Job, Machine

LASTS = 86_400.0
"""Runtime of the background's jobs, s: longer than any trial."""
_LIMIT = 2 * LASTS
USER = "background"


class Background(BaseModel):
    """Processors that are taken, and jobs that wait, during the whole workload.

    At 0 s one job over all nodes takes the same number of processors on each. `settle` seconds
    later, `pending` jobs that want the whole machine are submitted at `rate`; their priority is -1,
    and they cannot start before the first one has ended. The workload begins `settle` seconds after
    the last of them. The trial does not wait for any of these jobs, and no table has them.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    filled: Percentage = Field(
        description="Part of the processors that is taken, on every node alike."
    )
    pending: int = Field(default=0, ge=0, le=100_000, description="Jobs that wait all the time.")
    settle: float = Field(default=20.0, ge=0, le=3600, description="Between two steps, s.")
    rate: float = Field(default=50.0, gt=0, le=1e6, description="Submissions of pending jobs, 1/s.")

    def cpus(self, machine: Machine) -> int:
        """Processors that are taken of each node: at least one is, and one remains."""
        wanted = round(part(self.filled) * machine.cpus_per_node)
        return max(1, min(machine.cpus_per_node - 1, wanted))

    @property
    def lead(self) -> float:
        """Seconds from the start of the trial to that of the workload."""
        return self.settle * (2 if self.pending else 1) + self.pending / self.rate

    def before(self, jobs: Sequence[Job], machine: Machine) -> list[Job]:
        """Jobs of the background, and then those of the workload, numbered after them."""
        filler = Job(
            0,
            0.0,
            machine.nodes,
            self.cpus(machine),
            LASTS,
            user=USER,
            walltime=_LIMIT,
            background=True,
        )
        whole = replace(filler, cpus=machine.cpus_per_node, priority=-1)
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
        """What there is of it on a machine, for the trace."""
        cpus = self.cpus(machine)
        return {
            "filled": cpus / machine.cpus_per_node,
            "cores": cpus * machine.nodes,
            "pending": self.pending,
            "lead_s": self.lead,
        }

    def too_wide(self, jobs: Sequence[Job], machine: Machine) -> Job | None:
        """First job that does not fit beside the background, and so would never start."""
        free = machine.cpus_per_node - self.cpus(machine)
        return next((job for job in jobs if job.cpus > free), None)
