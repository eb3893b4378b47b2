"""Fault: what breaks while a workload runs, and the part of a trace that says when and where."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from schedlab.workloads.trace import Job, Machine, Trace

Kind = Literal["restart", "fail", "drain"]
RESTART: Kind = "restart"
FAIL: Kind = "fail"
DRAIN: Kind = "drain"
FAULTS: frozenset[str] = frozenset({RESTART, FAIL, DRAIN})
"""All kinds."""
_LONGEST = 1e9


class FaultPlan(NamedTuple):
    """When and where a fault comes in one trial.

    Attributes
    ----------
    kind : str
        `restart`, `fail` or `drain`; see :class:`Fault`.
    at, lasts : float, float or None
        Seconds after the driver's start, and until the fault is taken back; None: it stays until
        the workload has ended.
    node : str
        Compute node; empty for a restart.
    """

    kind: str
    at: float
    lasts: float | None
    node: str


class Fault(BaseModel):
    """A fault that comes once, while the workload runs.

    A `restart` stops the scheduler's controller and starts it again. A node that `fail`s has its
    network cut, and the payloads on it are killed: nobody hears of it or them any more. A node that
    is `drain`ed keeps its jobs and gets no new ones. The node is chosen by the trace's seed, so
    every scheduler loses the same one.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    kind: Kind = Field(description="restart: the controller; fail, drain: a compute node.")
    at: float = Field(ge=0, le=_LONGEST, description="When it comes, s after the first job is due.")
    lasts: float | None = Field(
        default=None,
        gt=0,
        le=_LONGEST,
        description="Until it is taken back, s; null: the controller starts again at once, and a"
        " node stays away until the workload has ended.",
    )

    def facts(self, machine: Machine, seed: int, lead: float) -> dict[str, Any]:
        """What the trace says of it; `fault_of` reads this.

        Parameters
        ----------
        machine : Machine
            Compute nodes, of which one is chosen.
        seed : int
            The trace's.
        lead : float
            Seconds from the start of the trial to that of the workload.
        """
        number = random.Random(f"{seed}/fault").randint(1, machine.nodes)
        return {
            "kind": self.kind,
            "at_s": round(lead + self.at, 6),
            "lasts_s": 0.0 if self.kind == RESTART and self.lasts is None else self.lasts,
            "node": "" if self.kind == RESTART else f"compute{number}",
        }

    def stranded(self, jobs: Sequence[Job], machine: Machine) -> Job | None:
        """First job that could not start any more, because a node stays away; None without one."""
        if self.kind == RESTART or self.lasts is not None:
            return None
        return next((job for job in jobs if job.nodes > machine.nodes - 1), None)


def fault_of(trace: Trace) -> FaultPlan | None:
    """Fault of a trace; None where it has none."""
    facts = trace.scale.get("fault")
    if facts is None:
        return None
    lasts = facts["lasts_s"]
    return FaultPlan(
        str(facts["kind"]),
        float(facts["at_s"]),
        None if lasts is None else float(lasts),
        str(facts["node"]),
    )
