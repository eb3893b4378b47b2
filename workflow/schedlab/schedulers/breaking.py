"""What may happen to jobs that run: faults, a second start, and preemption."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from schedlab.workloads.fault import FAIL, fault_of
from schedlab.workloads.registry import Problem
from schedlab.workloads.trace import Trace


class FaultCommands(NamedTuple):
    """How a fault is brought about in a scheduler, and taken back.

    `begin` and `end` are shell commands for the head, run as root. `restarts` are names from the
    head's `daemons` that start again because of it.
    """

    begin: str = ""
    end: str = ""
    restarts: tuple[str, ...] = ()


def restart_of(units: tuple[str, ...], processes: tuple[str, ...]) -> FaultCommands:
    """Stop and start systemd units of the head, whose `processes` start again."""
    names = " ".join(units)
    return FaultCommands(f"systemctl stop {names}", f"systemctl start {names}", processes)


class Breaking:
    """A scheduler's part in what may happen to running jobs; by default it has no part in it."""

    name: ClassVar[str]
    requeues: ClassVar[bool] = False
    """Whether a job can be told to start again after the scheduler gave up a run of it."""
    faults: ClassVar[frozenset[str]] = frozenset()
    """Kinds of fault (`schedlab.workloads.fault`) that it has a notion of."""
    virtual_faults: ClassVar[frozenset[str]] = frozenset()
    """Those of them that it has with virtual nodes too."""
    ends_lost: ClassVar[bool] = True
    """Whether jobs on a node that fails end, or start elsewhere, while the node stays away."""

    def no_preemption(self) -> Problem | None:
        """Why no job preempts another with the settings in force; None where urgent jobs do."""
        remedy = f"set it to false, or leave out {self.name}"
        return Problem("preempt", True, "it has no preemption", remedy)

    def fault_commands(self, kind: str, node: str) -> FaultCommands:
        """Return how a fault of a kind in `faults` is brought about and taken back.

        Nobody asks for a node that fails: the testbed cuts the node's network.
        """
        raise NotImplementedError(f"{self.name} has no faults of kind {kind}")

    def cannot_break(self, trace: Trace) -> Iterator[Problem]:
        """Yield what a trace wants to happen that cannot happen in this scheduler, as set."""
        plan = fault_of(trace)
        if plan is not None and plan.kind not in self.faults:
            has = f"only {', '.join(sorted(self.faults))}" if self.faults else "none"
            yield Problem(
                "fault.kind",
                plan.kind,
                f"of the faults that can be provoked {self.name} has {has}",
                f"use a workload without this fault, or leave out {self.name}",
            )
        elif plan is not None and plan.kind == FAIL and plan.lasts is None and not self.ends_lost:
            yield Problem(
                "fault.lasts",
                None,
                f"jobs of {self.name} on a node that fails neither end nor start again before it is"
                " back, so that the workload may never end",
                f"give the time after which the node comes back, or leave out {self.name}",
            )
        if not self.requeues and any(job.requeue for job in trace.jobs):
            yield Problem(
                "requeue",
                True,
                f"{self.name} starts no job again that it gave up",
                f"set it to false, or leave out {self.name}",
            )
        if trace.scale.get("preempt") is True and (lacking := self.no_preemption()):
            what = f"{self.name}, as set, lets no urgent job take the place of another one"
            yield Problem("preempt", True, f"{what}: {lacking.what}", lacking.remedy)
