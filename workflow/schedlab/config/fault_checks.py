"""Checks of faults beside a workload: who can have them, and whether they come while it runs."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping

from schedlab.config.model import Experiment
from schedlab.workloads import Problem, Trace
from schedlab.workloads.duration import Bound
from schedlab.workloads.fault import FAIL, fault_of


def fault_problems(
    experiment: Experiment, virtual: Mapping[str, Collection[str]], index: int
) -> Iterator[Problem]:
    """Yield what is wrong with a workload's fault, whatever its trace is.

    Parameters
    ----------
    experiment : Experiment
        Experiment whose types and forms are already checked.
    virtual : mapping of str to collection of str
        Registered scheduler -> kinds of fault that it has with virtual nodes.
    index : int
        Place of the workload.
    """
    workload = experiment.workloads[index]
    fault = workload.fault
    if fault is None:
        return
    key = f"workloads[{index}].fault.kind"
    if fault.kind == FAIL and workload.background:
        yield Problem(
            key,
            fault.kind,
            "the background's job would end when a node that it runs on fails",
            "remove background, or use restart or drain",
        )
    limit = experiment.limits.trial
    if fault.lasts is not None and fault.at + fault.lasts >= limit:
        yield Problem(
            f"workloads[{index}].fault.lasts",
            fault.lasts,
            f"the fault ends {fault.at + fault.lasts:g} s after the workload's begin, but the trial"
            f" ends at {limit:g} s (limits.trial)",
            "set it lower, or raise limits.trial",
        )
    for variant in experiment.present():
        allowed = virtual.get(variant.adapter)
        if allowed is None or experiment.virtual_of(variant) is None or fault.kind in allowed:
            continue  # another check reports a scheduler that is not known
        has = ", ".join(sorted(allowed)) or "none"
        yield Problem(
            key,
            fault.kind,
            f"{variant.name} has virtual nodes, which share machines and daemons; the faults that"
            f" {variant.adapter} can have with them are: {has}",
            "use real nodes (virtual: null in its mapping), or a workload without this fault",
        )


def too_late(index: int, trace: Trace, bound: Bound) -> Iterator[Problem]:
    """Yield a fault that may come when the workload has already ended.

    Parameters
    ----------
    index : int
        Place of the workload.
    trace : Trace
        Its trace that may end first.
    bound : Bound
        Instant before which no scheduler ends the trace.
    """
    plan = fault_of(trace)
    if plan is None or plan.at < bound.seconds:
        return
    lead = float(trace.scale.get("background", {}).get("lead_s", 0.0))
    end = math.floor(1000 * (bound.seconds - lead)) / 1000
    yield Problem(
        f"workloads[{index}].fault.at",
        round(plan.at - lead, 6),
        f"the workload may have ended at {end:g} s",
        (f"set it well below {end:g}, or " if end > 0 else "")
        + "make the workload longer: give its jobs a runtime, or more of them",
    )
