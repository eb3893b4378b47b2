"""Checks of the workloads of an experiment: their parameters, and whether a trial can end."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from schedlab.config.crowding import crowded
from schedlab.config.fault_checks import fault_problems, too_late
from schedlab.config.model import Experiment
from schedlab.errors import SchedlabError
from schedlab.workloads import Machine, Problem, Trace
from schedlab.workloads.duration import Bound, earliest_end

_JOBS = 50_000
"""Most jobs in the traces that this check makes, for all workloads together, so that it takes less
than a second. The traces left out only have another seed, or a larger machine. The largest one is
looked at all the same, where carriers have to hold the jobs that run on it."""


class Translating(Protocol):
    """What the checks need to know about a scheduler that is given traces."""

    @property
    def virtual_node_mib(self) -> float | None:
        """Memory of a carrier for each virtual node, MiB; None where it has no virtual nodes."""

    @property
    def virtual_job_mib(self) -> float:
        """Memory of a carrier for each further rank at the same time, MiB; 0: no payload runs."""

    @property
    def virtual_faults(self) -> frozenset[str]:
        """Kinds of fault that it has with virtual nodes."""

    def refusals(self, trace: Trace, settings: Mapping[str, str]) -> list[Problem]:
        """Return what a trace wants that the scheduler, so set, cannot be given."""


def parameter_problems(experiment: Experiment, root: Path) -> Iterator[Problem]:
    """Parameters of workloads that do not fit the experiment's clusters."""
    machines = [cluster.machine for cluster in experiment.clusters()]
    for index, workload in enumerate(experiment.workloads):
        for problem in workload.problems(machines, root):
            key = f"workloads[{index}].{problem.key}"
            yield Problem(key, problem.value, problem.what, problem.remedy)


def trace_problems(
    experiment: Experiment, known: Mapping[str, Translating], root: Path
) -> Iterator[Problem]:
    """Workloads whose traces cannot be made, cannot be given to a scheduler, or take too long.

    Too long take those whose trials cannot end within `limits.trial`.
    """
    machines = [cluster.machine for cluster in experiment.clusters()]
    virtual = {name: one.virtual_faults for name, one in known.items()}
    for index, workload in enumerate(experiment.workloads):
        if workload.problems(machines, root):
            continue  # `parameter_problems` reports it
        yield from fault_problems(experiment, virtual, index)
        try:
            yield from _of_traces(experiment, known, index, root)
        except SchedlabError as error:
            remedy = error.remedy or "use other parameters"
            yield Problem(f"workloads[{index}]", workload.name, error.message, remedy)


def _refused(
    experiment: Experiment,
    known: Mapping[str, Translating],
    index: int,
    trace: Trace,
    root: Path,
) -> Iterator[Problem]:
    """What a trace wants of a scheduler that cannot be given it, at the key that makes it so."""
    workload = experiment.workloads[index]
    for variant in experiment.present():
        if variant.adapter not in known:
            continue  # another check reports it
        settings = experiment.settings_of(variant)
        for problem in known[variant.adapter].refusals(trace, settings):
            key, value = workload.cause(problem.key)
            for alone, key_of_part, value_of_part in workload.parted(problem.key):
                own = alone.generate(trace.machine, trace.seed, root)
                found = known[variant.adapter].refusals(own, settings)
                if problem.key in {one.key for one in found}:
                    key, value = key_of_part, value_of_part
                    break
            yield Problem(f"workloads[{index}].{key}", value, problem.what, problem.remedy)


def _of_traces(
    experiment: Experiment, known: Mapping[str, Translating], index: int, root: Path
) -> Iterator[Problem]:
    workload = experiment.workloads[index]
    limit = experiment.limits.trial
    longest: dict[Machine, tuple[Bound, int]] = {}
    soonest: tuple[Trace, Bound] | None = None
    mib = {
        name: (one.virtual_node_mib, one.virtual_job_mib)
        for name, one in known.items()
        if one.virtual_node_mib is not None and one.virtual_job_mib
    }
    unseen = _most_crowded(experiment, mib)
    left = _JOBS // len(experiment.workloads)
    for number, (machine, repetition) in enumerate(_cells(experiment)):
        seed = experiment.trace_seed(workload.name, repetition)
        trace = workload.generate(machine, seed, root)
        if number == 0:
            # What jobs want besides processors does not depend on machine and repetition.
            yield from _refused(experiment, known, index, trace, root)
        if repetition == 1:
            unseen.discard(machine)
            yield from crowded(experiment, mib, index, trace)
        bound = earliest_end(trace)
        if soonest is None or bound.seconds < soonest[1].seconds:
            soonest = trace, bound
        if bound.seconds >= limit and (
            machine not in longest or bound.seconds > longest[machine][0].seconds
        ):
            longest[machine] = (bound, repetition)
        left -= len(trace.jobs)
        if left <= 0:
            break
    for machine in sorted(unseen, key=_size_of):
        trace = workload.generate(machine, experiment.trace_seed(workload.name, 1), root)
        yield from crowded(experiment, mib, index, trace)
    if soonest:
        yield from too_late(index, *soonest)
    if not longest:
        return
    figures = "; ".join(
        f"{math.ceil(bound.seconds)} s with {_told(experiment, machine)} in repetition "
        f"{repetition}, where {bound.why}"
        for machine, (bound, repetition) in sorted(longest.items(), key=_size)
    )
    needed = math.ceil(max(bound.seconds for bound, _ in longest.values()))
    yield Problem(
        "limits.trial",
        limit,
        f"workload {workload.name} cannot end in that time (s): it takes at least {figures}",
        f"set limits.trial well above {needed}, or make the workload shorter (fewer jobs, smaller "
        "runtimes or time_scale)",
    )


def _most_crowded(experiment: Experiment, adapters: Collection[str]) -> set[Machine]:
    """Largest virtual machine of each number of processors a node, of some schedulers."""
    largest: dict[int, Machine] = {}
    for cluster in experiment.clusters():
        if cluster.virtual and cluster.scheduler in adapters:
            machine = cluster.machine
            known = largest.get(machine.cpus_per_node, machine)
            largest[machine.cpus_per_node] = max(known, machine, key=_size_of)
    return set(largest.values())


def _size_of(machine: Machine) -> tuple[int, int]:
    return machine.nodes, machine.cpus_per_node


def _size(entry: tuple[Machine, object]) -> tuple[int, int]:
    return _size_of(entry[0])


def _told(experiment: Experiment, machine: Machine) -> str:
    count = f"{machine.nodes} compute node{'s' * (machine.nodes > 1)}"
    own = machine.cpus_per_node == experiment.node.vcpus
    return count + ("" if own else f" of {machine.cpus_per_node} processors")


def _cells(experiment: Experiment) -> Iterator[tuple[Machine, int]]:
    """Machines and repetitions: the smallest machine, which takes longest, first."""
    machines = {cluster.machine: 0 for cluster in experiment.clusters()}
    ordered = [machine for machine, _ in sorted(machines.items(), key=_size)]
    for repetition in range(1, experiment.repetitions.trials + 1):
        for machine in ordered:
            yield machine, repetition
