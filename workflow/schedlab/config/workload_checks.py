"""Checks of the workloads of an experiment: their parameters, and whether a trial can end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from schedlab.config.crowding import crowded
from schedlab.config.fault_checks import fault_problems, too_late
from schedlab.config.model import Experiment
from schedlab.errors import SchedlabError
from schedlab.workloads import Machine, Problem, Trace
from schedlab.workloads.duration import Bound, earliest_end

_JOBS = 50_000
"""Jobs in the traces that this check makes, for all workloads together, after which it looks at no
further repetitions. The first one is looked at on every machine, because what a workload makes and
how it is rounded depends on the size; the traces left out only have another seed."""


class Translating(Protocol):
    """What the checks need to know about a scheduler that is given traces."""

    @property
    def gang(self) -> bool:
        """Whether a rank of a job starts only when all ranks of the job have a node."""

    @property
    def payload(self) -> bool:
        """Whether jobs run their payload."""

    @property
    def virtual_node_mib(self) -> float | None:
        """Memory of a carrier for each virtual node, MiB; None where it has no virtual nodes."""

    @property
    def virtual_job_mib(self) -> float:
        """Memory of a carrier for each further rank at the same time, MiB; 0: no payload runs."""

    @property
    def virtual_batch_mib(self) -> float:
        """Memory of a carrier for what leads a job of several nodes, MiB."""

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


class _Refusals:
    """What the traces of a workload want of schedulers that cannot be given it.

    The number of jobs, among others, may depend on the machine, so each size is asked about. What
    is wrong on several is told once: for the last one asked about.
    """

    def __init__(
        self, experiment: Experiment, known: Mapping[str, Translating], index: int, root: Path
    ) -> None:
        self._experiment, self._known, self._index, self._root = experiment, known, index, root
        self._found: dict[tuple[str, str], Problem] = {}

    def ask(self, trace: Trace) -> None:
        """Ask the schedulers that run a machine like the trace's."""
        for variant in self._experiment.present():
            node = variant.node or self._experiment.node
            if (
                variant.adapter not in self._known  # another check reports it
                or node.vcpus != trace.machine.cpus_per_node
            ):
                continue
            scheduler = self._known[variant.adapter]
            settings = self._experiment.settings_of(variant)
            for problem in scheduler.refusals(trace, settings):
                place = self._place(problem.key, trace, scheduler, settings)
                told = Problem(*place, problem.what, problem.remedy)
                self._found[variant.name, problem.key] = told

    def told(self) -> Iterator[Problem]:
        """Yield the problems, at the keys that make them."""
        yield from self._found.values()

    def _place(
        self, wanted: str, trace: Trace, scheduler: Translating, settings: Mapping[str, str]
    ) -> tuple[str, object]:
        """Key that makes a trace want something, and its value."""
        workload = self._experiment.workloads[self._index]
        key, value = workload.cause(wanted)
        for alone, key_of_part, value_of_part in workload.parted(wanted):
            own = alone.generate(trace.machine, trace.seed, self._root)
            if wanted in {one.key for one in scheduler.refusals(own, settings)}:
                key, value = key_of_part, value_of_part
                break
        return f"workloads[{self._index}].{key}", value


def _of_traces(
    experiment: Experiment, known: Mapping[str, Translating], index: int, root: Path
) -> Iterator[Problem]:
    workload = experiment.workloads[index]
    limit = experiment.limits.trial
    longest: dict[Machine, tuple[Bound, int]] = {}
    soonest: tuple[Trace, Bound] | None = None
    mib = {
        name: (one.virtual_node_mib, one.virtual_job_mib, one.virtual_batch_mib)
        for name, one in known.items()
        if one.virtual_node_mib is not None and one.virtual_job_mib
    }
    there = {one.adapter for one in experiment.present() if one.adapter in known}
    gangs = {known[name].gang for name in there if known[name].payload}
    delays = _mean_delays(experiment, known)
    refusals = _Refusals(experiment, known, index, root)
    left = _JOBS // len(experiment.workloads)
    for machine, repetition in _cells(experiment):
        if repetition > 1 and left <= 0:
            break
        trace = workload.generate(machine, experiment.trace_seed(workload.name, repetition), root)
        if repetition == 1:
            refusals.ask(trace)
            yield from crowded(experiment, mib, index, trace)
        # Every scheduler must be able to end it, and none may end it before a fault comes.
        bound = earliest_end(trace, any(gangs), bool(gangs) or not there)
        sooner = bound if len(gangs) < 2 else earliest_end(trace, gang=False)
        if soonest is None or sooner.seconds < soonest[1].seconds:
            soonest = trace, sooner
        late = [earliest_end(trace, *how) for how in delays.get(machine, ())]
        bound = max([bound, *late], key=lambda one: one.seconds)
        if bound.seconds >= limit and (
            machine not in longest or bound.seconds > longest[machine][0].seconds
        ):
            longest[machine] = (bound, repetition)
        left -= len(trace.jobs)
    yield from refusals.told()
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
        "runtimes or time_scale)" + ", or virtual.delays" * bool(delays),
    )


def _mean_delays(
    experiment: Experiment, known: Mapping[str, Translating]
) -> dict[Machine, set[tuple[bool, bool, float]]]:
    """How `earliest_end` bounds virtual nodes with delays, for each machine that they make up."""
    found: dict[Machine, set[tuple[bool, bool, float]]] = {}
    for cluster in experiment.clusters():
        if cluster.mean_delay and cluster.scheduler in known:
            how = (known[cluster.scheduler].gang, True, cluster.mean_delay)
            found.setdefault(cluster.machine, set()).add(how)
    return found


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
