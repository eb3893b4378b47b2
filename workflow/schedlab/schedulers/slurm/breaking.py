"""Faults of Slurm, and whether its settings let urgent jobs preempt others."""

from __future__ import annotations

from collections.abc import Mapping

from schedlab.schedulers.breaking import FaultCommands, restart_of
from schedlab.workloads.fault import RESTART
from schedlab.workloads.registry import Problem

_TYPE, _MODE = "PreemptType", "PreemptMode"
_BY_PARTITION = "preempt/partition_prio"
_ENDING = ("CANCEL", "REQUEUE")
"""Modes that free the processors of a job. A suspended job keeps its place in a node, which the
partitions of the role, with OverSubscribe=NO, do not share."""


def commands(kind: str, node: str) -> FaultCommands:
    """How a fault is brought about and taken back."""
    if kind == RESTART:
        return restart_of(("slurmctld",), ("slurmctld",))
    update = f"scontrol update nodename={node}"
    return FaultCommands(f"{update} state=drain reason=schedlab", f"{update} state=resume")


def no_preemption(in_force: Mapping[str, str]) -> Problem | None:
    """Why no job preempts another with these settings; None where urgent jobs do.

    Jobs of the urgent partition have a higher PriorityTier, by which preempt/partition_prio goes.
    """
    value = {key.lower(): text for key, text in in_force.items()}
    kind, mode = value.get(_TYPE.lower(), ""), value.get(_MODE.lower(), "")
    if kind == _BY_PARTITION and mode.upper() in _ENDING:
        return None
    has = f"{_TYPE} is {kind or 'not set'}, {_MODE} is {mode or 'not set'}"
    wanted = f"{_TYPE}: {_BY_PARTITION}, {_MODE}: {' or '.join(_ENDING)}"
    return Problem(_TYPE, kind, has, f"set {wanted} for it, or set preempt: false")
