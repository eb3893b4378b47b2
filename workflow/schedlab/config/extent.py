"""Bounds of an experiment as a whole: its cells and its trials, which are products of its keys.

A few lines can name millions of trials. They are counted from the lengths of the lists, before
anything makes them one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from schedlab.config.model import Experiment
from schedlab.workloads import Problem

MOST_CELLS = 10_000
"""Most cells: workloads on clusters. The workflow has several jobs for each cluster."""
MOST_TRIALS = 50_000
"""Most trials: at a minute each more than a month. Snakemake took 7 minutes to plan 10,000."""


def _clusters(experiment: Experiment) -> int:
    """Number of clusters, without making them."""
    nodes = set(experiment.nodes)
    sizes: dict[int, int] = {}
    count = 0
    for variant in experiment.variants():
        virtual = experiment.virtual_of(variant)
        if id(virtual) not in sizes:
            real = len(nodes.intersection(virtual.real)) if virtual else 0
            sizes[id(virtual)] = len(experiment.nodes) + real
        count += sizes[id(virtual)]
    return count * experiment.repetitions.clusters


def extent_problems(experiment: Experiment) -> Iterator[Problem]:
    """Yield the fault of an experiment with too many cells, or else with too many trials.

    Nothing may expand an experiment that has this fault. It is told at the key that makes most of
    the number.
    """
    own = _clusters(experiment.model_copy(update={"lifted": {}}))
    lifted = _clusters(experiment) - own
    most = [experiment.most(workload) for workload in experiment.workloads]
    # A cluster with a lifted limit runs only what confirms it.
    confirming = [
        experiment.most(workload) for workload in experiment.workloads if workload.confirms
    ]
    cells = own * len(most) + lifted * len(confirming)
    trials = own * sum(most) + lifted * sum(confirming)
    factors = _factors(experiment)
    if cells > MOST_CELLS:
        told = f"{cells:,} cells, more than {MOST_CELLS:,}"
    elif trials > MOST_TRIALS:
        told = f"{trials:,} trials, more than {MOST_TRIALS:,}"
        factors.append(_Factor(max(most), "trials of a cell", *_trials(experiment)))
    else:
        return
    largest = max(factors, key=lambda factor: factor.number)
    product = " x ".join(f"{one.number} {one.name}" for one in factors)
    yield Problem(
        largest.key,
        largest.value,
        f"the experiment has {told} ({product})",
        "lower this first, or split the experiment",
    )


class _Factor(NamedTuple):
    """What multiplies the cells or trials, and where the user wrote it."""

    number: int
    name: str
    key: str
    value: object


def _factors(experiment: Experiment) -> list[_Factor]:
    variants = [variant.name for variant in experiment.variants()]
    workloads = [workload.name for workload in experiment.workloads]
    equal = experiment.repetitions.clusters
    return [
        _Factor(len(variants), "variants", "schedulers", variants),
        _Factor(len(experiment.nodes), "node counts", "nodes", experiment.nodes),
        _Factor(equal, "equal clusters", "repetitions.clusters", equal),
        _Factor(len(workloads), "workloads", "workloads", workloads),
    ]


def _trials(experiment: Experiment) -> tuple[str, int]:
    """Key and value of what makes the most trials of a cell, or multiplies a search's steps."""
    if experiment.rounds:
        return "repetitions.max", experiment.rounds.max
    equal = experiment.repetitions.clusters > 1
    return "repetitions" + ".trials" * equal, experiment.repetitions.trials
