"""``schedlab calibrate``: delays for virtual nodes, from trials on real ones."""

from __future__ import annotations

from pathlib import Path

import click

from schedlab.cli.options import existing, with_paths
from schedlab.cli.output import echo
from schedlab.errors import SchedlabError


@click.command()
@with_paths
@click.argument("variant")
def calibrate(experiments: Path, results: Path, variant: str) -> None:
    """Print delays for the virtual nodes of VARIANT, as its real nodes had them in this experiment.

    They are of one run of the workflow: the newest in which every workload and size has valid
    trials, but for those that have none in any run, which a comment names. Comments give them by
    workload and size, and warn where these differ by more than virtual.margin: then one
    distribution for all is true of none.

    They are lines for the variant's mapping in the experiment file. The virtual clusters that get
    other delays so are configured anew, and their trials run again. Those on real nodes would stay,
    in a block of their own, so that nothing could be compared: a comment has the command that runs
    them again as well. Virtual nodes are then not judged by the trials that gave them their delays.
    """
    from schedlab.config.sections import Virtual
    from schedlab.config.variants import VIRTUAL
    from schedlab.design import load_experiment, scheduler_of
    from schedlab.invocation import command
    from schedlab.paths import trial_folder, trial_record
    from schedlab.results.records import is_stopped
    from schedlab.tables.delays import differing, measured_delays, of_cell
    from schedlab.units import part

    existing(results)
    experiment = load_experiment(experiments)
    real = {
        cluster.id: cluster
        for cluster in experiment.clusters()
        if cluster.variant == variant and not cluster.virtual
    }
    if not real:
        raise SchedlabError(
            f"no cluster of {variant} has real nodes",
            remedy="name a variant of the experiment, and list node counts in its virtual.real",
        )
    scheduler = scheduler_of(next(iter(real.values())))
    measure = scheduler.virtual_delays
    if measure is None:
        raise SchedlabError(
            f"{scheduler.name} has no virtual nodes"
            if scheduler.virtual_node_mib is None
            else f"virtual nodes of {variant} run the payload, whose delays are real",
            remedy="name a variant whose virtual nodes run no payload",
        )
    keys = [key for key in experiment.trials() if key.cluster in real]
    folders = [results / trial_folder(key.cluster, key.workload, key.repetition) for key in keys]
    found = measured_delays(folders, measure)
    echo(f"# {variant}: {found.delays} delays of {found.trials} trials on real nodes")
    echo(
        f"# of the run that began at {found.campaign}; valid trials of other runs, left out:"
        f" {found.other_blocks}"
    )
    for cell in found.cells:
        echo(f"# {cell.told}, trials: {cell.trials}")
        echo(f"#   start:      {cell.start}")
        echo(f"#   completion: {cell.completion}")
    planned = {(key.workload, real[key.cluster].nodes) for key in keys}
    for workload, nodes in sorted(planned - {(one.workload, one.nodes) for one in found.cells}):
        echo(f"# {of_cell(workload, nodes)}: no valid trial, so that nothing here is of it")
    name = variant + VIRTUAL
    own = [one.virtual for one in experiment.clusters() if one.virtual and one.variant == name]
    margin = own[0].margin if own else Virtual.model_fields["margin"].default
    for words in differing(found.cells, part(margin)):
        echo(
            f"# WARNING: {words}: more than {margin} apart, so that one distribution is not both's"
        )
    echo("virtual:")
    echo("  delays:                             # s, from the smallest to the largest")
    echo(f"    start: {found.start}")
    echo(f"    completion: {found.completion}")
    records = [results / trial_record(key.cluster, key.workload, key.repetition) for key in keys]
    ran = tuple(path for path in records if path.is_file() and not is_stopped(path))
    echo("# Then, in place of snakemake alone, so that both kinds of nodes have trials of one run")
    echo("# (those of two runs are not compared):")
    echo(f"#   {command(results, experiments, again=ran)}")
