"""``schedlab bisect``: the first variant of a list that is worse."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from schedlab.cli.options import experiment_of_named, with_paths
from schedlab.cli.output import echo
from schedlab.errors import SchedlabError
from schedlab.printing import some


@click.command(short_help="Find the first variant of a list that is worse.")
@with_paths
@click.option("--good", required=True, help="A variant that is known to be good.")
@click.option("--bad", required=True, help="A later one that is known to be bad.")
@click.option("--workload", help="Workload to run.  [default: the experiment's first]")
@click.option(
    "--nodes",
    type=click.IntRange(min=1),
    help="Compute nodes.  [default: the experiment's first]",
)
@click.option(
    "--cores",
    type=click.IntRange(min=1),
    default=os.cpu_count() or 1,
    help="Cores for Snakemake.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON at the end.")
@click.argument("metric")
def bisect(
    experiments: Path,
    results: Path,
    good: str,
    bad: str,
    workload: str | None,
    nodes: int | None,
    cores: int,
    as_json: bool,
    metric: str,
) -> None:
    """Find the first variant, from GOOD to BAD in the experiment's list, that is worse in METRIC.

    METRIC is a quantity of the report's tables, such as makespan, throughput or wait_median; for an
    unknown one the message lists all.

    It runs the trials that it needs, 8 to 16 of each variant that it compares, and halves the list:
    3 comparisons for 8 variants. A difference of up to 5 % does not count. Trials that ran before
    are used, so the same command goes on where an interrupted one ended. Without --experiments the
    experiment is that of which a named results folder has a copy.
    """
    from schedlab.bisection.search import metrics, search
    from schedlab.bisection.text import as_data, as_text, step_text
    from schedlab.bisection.trials import Trials, between, series, snakemake
    from schedlab.design import load_experiment
    from schedlab.outside.temporary import removed_on_signals

    if metric not in metrics():
        raise SchedlabError(
            f"there is no metric {metric!r}", remedy=f"use one of {', '.join(metrics())}"
        )
    experiments = experiment_of_named(results, experiments)
    experiment = load_experiment(experiments)
    names = between(experiment, good, bad)
    workload = experiment.workloads[0].name if workload is None else workload
    nodes = experiment.nodes[0] if nodes is None else nodes
    if experiment.workload(workload).steps > 1:
        others = [one.name for one in experiment.workloads if one.steps == 1]
        raise SchedlabError(
            f"{workload} searches for a rate, so its trials do not repeat one another",
            remedy=f"use --workload with {some(others, 5)}" if others else "add another workload",
        )
    names = series(experiment, names, nodes)
    trials = Trials(results, workload, nodes, snakemake(experiments, results, cores))
    with removed_on_signals():
        found = search(
            names, metric, trials.measure, tell=lambda step: echo(step_text(step, metric), err=True)
        )
    cells = {name: f"{name}-n{nodes}.{workload}" for name in names}
    echo(json.dumps(as_data(found), indent=1) if as_json else as_text(found, cells))
