"""Checks that carriers can hold the jobs that run at one time on their virtual nodes."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from schedlab.config.cluster import carriers
from schedlab.config.machine_checks import TooSmall
from schedlab.config.model import Experiment
from schedlab.config.virtual_checks import CARRIER_MIB
from schedlab.workloads import Job, Machine, Problem, Trace
from schedlab.workloads.duration import earliest_ends

_LAUNCH = 1.0
"""Least time (s) for which a job counts as running: one of no runtime takes a moment to launch."""


class Shape(NamedTuple):
    """What a job takes: processors on each node, and nodes, on each of which it has a rank."""

    cpus: int
    nodes: int

    @property
    def cores(self) -> int:
        """Processors of the job on all its nodes."""
        return self.cpus * self.nodes


def crowded(
    experiment: Experiment,
    mib: Mapping[str, tuple[float, float, float]],
    index: int,
    trace: Trace,
) -> Iterator[Problem]:
    """Yield carriers that are too small for the jobs of a trace that run at one time on them.

    Parameters
    ----------
    experiment : Experiment
        The experiment.
    mib : mapping of str to (float, float, float)
        For each scheduler whose virtual nodes run the payload the memory (MiB) of a carrier for
        each node with a job, for each further job at the same time, and for what leads a job of
        several nodes.
    index : int
        Of the trace's workload.
    trace : Trace
        Trace for one machine.
    """
    asked: Crowd | None = None
    for place, variant in enumerate(experiment.schedulers):
        virtual, node = experiment.virtual_of(variant), variant.node or experiment.node
        if virtual is None or variant.adapter not in mib:
            continue
        nodes = trace.machine.nodes
        if nodes not in experiment.nodes or node.vcpus != trace.machine.cpus_per_node:
            continue
        if asked is None:
            asked = at_once(trace)
        count, (each, more, leader) = carriers(virtual, nodes), mib[variant.adapter]
        load, jobs = math.ceil(nodes / count), math.ceil(asked.ranks / count)
        # Neighbours are on different carriers, so the first nodes of all jobs may be on one.
        leaders = min(asked.wide, load * node.vcpus) if leader else 0
        beside = max(0, jobs - load) * more + leaders * leader
        needed = math.ceil(CARRIER_MIB + load * each + beside)
        if beside and needed > virtual.carrier.memory_mib:
            key = "virtual" if variant.virtual is None else f"schedulers[{place}].virtual"
            name = experiment.workloads[index].name
            yield TooSmall(
                f"{key}.carrier.memory",
                virtual.carrier.memory,
                f"workload {name} can run {jobs} ranks of jobs at one time on a carrier with"
                f" {load} virtual nodes"
                + f", and lead {leaders} jobs of several nodes there"
                * bool(leaders)
                + f", which need {needed} MiB: {each:g} MiB a node with a job, {more:g} MiB a"
                " further rank, "
                + f"{leader:g} MiB to lead a job of several nodes, " * bool(leaders)
                + f"and {CARRIER_MIB} MiB for the carrier itself",
                f"set it to {needed} MiB or more, raise {key}.carriers, or lower node.vcpus or the"
                " number of jobs at one time",
                needed,
            )


class Crowd(NamedTuple):
    """Most ranks, and most jobs of several nodes, at one time; they may be at different times."""

    ranks: int
    wide: int


def at_once(trace: Trace) -> Crowd:
    """Return bounds of the ranks, and of the jobs of several nodes, that run at one time.

    A job has one rank, a process of its payload, on each of its nodes. It is thought to run at some
    time between its arrival (or the earliest end of the jobs that it runs after) and the end that
    it has if jobs start strictly in this order, each as soon as enough processors are free. What a
    scheduler piles up that is slower than that is not counted. Of the jobs that have an instant in
    common, `most_ranks` and `most_wide` take as many as the nodes hold together. The first job of a
    background always runs, and its pending jobs never do.

    Parameters
    ----------
    trace : Trace
        Trace for one machine.

    Returns
    -------
    Crowd
        On all nodes together.
    """
    resident = [job for job in trace.jobs if job.background and job.priority >= 0]
    steps: list[tuple[float, int, Shape]] = []
    taken = sum(job.cores for job in resident)
    for job, ready, end in _in_order(trace, taken):
        shape = Shape(job.cpus, job.nodes)
        # At one instant jobs end before others come.
        steps += ((ready, 1, shape), (end, 0, shape))
    steps.sort(key=lambda step: step[:2])
    there: Counter[Shape] = Counter()
    ranks = most = jobs = most_jobs = 0
    for place, (_, came, shape) in enumerate(steps):
        change = 1 if came else -1
        there[shape] += change
        ranks += change * shape.nodes
        jobs += change * (shape.nodes > 1)
        last = place + 1 == len(steps) or not steps[place + 1][1]
        if came and last and ranks > most:  # the most of a time in which jobs only came
            most = max(most, most_ranks(there, trace.machine, taken))
        if came and last and jobs > most_jobs:
            most_jobs = max(most_jobs, most_wide(there, trace.machine, taken))
    return Crowd(
        most + sum(job.nodes for job in resident),
        most_jobs + sum(job.nodes > 1 for job in resident),
    )


def _in_order(trace: Trace, taken: int) -> Iterator[tuple[Job, float, float]]:
    """Yield each measured job, when it may start, and its end if all start in that order (s).

    `taken` processors are a background's.
    """
    earliest = earliest_ends(trace)
    ready = {job.job: earliest[job.job] - job.runtime for job in trace.measured}
    free = trace.machine.cores - taken
    running: list[tuple[float, int]] = []
    ends: dict[int, float] = {}
    now = 0.0
    for job in sorted(trace.measured, key=lambda one: ready[one.job]):
        before = max((ends.get(number, 0.0) for number in job.after), default=0.0)
        now = max(now, ready[job.job], before + (job.think or 0.0))
        while running and (running[0][0] <= now or free < job.cores):
            end, cores = heapq.heappop(running)
            now, free = max(now, end), free + cores
        end = ends[job.job] = now + max(job.runtime, _LAUNCH)
        heapq.heappush(running, (end, job.cores))
        free -= job.cores
        yield job, ready[job.job], end


def most_wide(jobs: Mapping[Shape, int], machine: Machine, taken: int = 0) -> int:
    """Return a bound of the jobs of several nodes, of some jobs, that fit the machine at one time.

    They have at most the machine's processors, and a node has one of the ranks that take more than
    half of its processors. The smallest go first, by either.

    Parameters
    ----------
    jobs : mapping of Shape to int
        Number of jobs of each shape.
    machine : Machine
        Machine that runs them.
    taken : int, optional
        Processors that others have all the time. Their jobs are not counted.

    Returns
    -------
    int
        Number of jobs.
    """
    several = {shape: number for shape, number in jobs.items() if number and shape.nodes > 1}
    half = machine.cpus_per_node / 2
    narrow = sum(number for shape, number in several.items() if shape.cpus <= half)
    wide = [(shape.nodes, number) for shape, number in several.items() if shape.cpus > half]
    cores = [(shape.cores, number) for shape, number in several.items()]
    return min(_fitting(cores, machine.cores - taken), narrow + _fitting(wide, machine.nodes))


def _fitting(sizes: list[tuple[int, int]], room: int) -> int:
    """Most things of some sizes, each with its number, that fit a room."""
    found = 0
    for size, number in sorted(sizes):
        fit = min(number, room // size)
        found, room = found + fit, room - fit * size
    return found


def most_ranks(jobs: Mapping[Shape, int], machine: Machine, taken: int = 0) -> int:
    """Return a bound of the ranks of those of some jobs that fit the machine at one time.

    Three things bound them. They have at most the machine's processors. A job runs as a whole: one
    that is too wide beside others runs in their place, not in part. And a node has one of the ranks
    that take more than half of a node's processors. The first two are a knapsack of processors; its
    bound is that of Martello and Toth (Knapsack Problems, Wiley 1990, section 2.2.3), which can be
    more than the exact value.

    Parameters
    ----------
    jobs : mapping of Shape to int
        Number of jobs of each shape.
    machine : Machine
        Machine that runs them.
    taken : int, optional
        Processors that others have all the time. Their ranks are not counted.

    Returns
    -------
    int
        Number of ranks.
    """
    free = machine.cores - taken
    order = sorted(shape for shape, number in jobs.items() if number and shape.cores <= free)
    half = machine.cpus_per_node / 2
    narrow = sum(jobs[shape] * shape.nodes for shape in order if shape.cpus <= half)
    wide = sum(jobs[shape] * shape.nodes for shape in order if shape.cpus > half)
    return min(_knapsack(jobs, order, free), narrow + min(wide, machine.nodes))


def _knapsack(jobs: Mapping[Shape, int], order: list[Shape], free: int) -> int:
    """Bound of the ranks of jobs on `free` processors; `order` has their shapes, each fits."""
    ranks, before = 0, Shape(1, 1)
    for place, shape in enumerate(order):
        taken = min(jobs[shape], free // shape.cores)
        ranks += taken * shape.nodes
        free -= taken * shape.cores
        before = shape if taken else before
        left = jobs[shape] - taken
        if not left:
            continue
        # The next job does not fit as a whole. Without it, smaller ones of later shapes may fill
        # what is left; with it, some of the jobs before it have to go.
        after = shape if left > 1 else next(iter(order[place + 1 :]), None)
        without = ranks + (free // after.cpus if after else 0)
        gone = math.ceil((shape.cores - free) / before.cpus)
        return max(without, ranks + shape.nodes - gone)
    return ranks
