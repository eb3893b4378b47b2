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
    """Print delays for the virtual nodes of VARIANT, as its real nodes had them in this campaign.

    They are lines for the variant's mapping in the experiment file. The virtual clusters that get
    other delays so are configured anew, and their trials run again. Those on real nodes would stay,
    in a block of their own, so that nothing could be compared: a comment has the command that runs
    them again as well. Virtual nodes are then not judged by the trials that gave them their delays.
    """
    from schedlab.design import load_experiment, scheduler_of
    from schedlab.invocation import command
    from schedlab.paths import trial_folder, trial_record
    from schedlab.results.records import is_stopped
    from schedlab.tables.delays import measured_delays

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
    measure = scheduler_of(next(iter(real.values()))).virtual_delays
    if measure is None:
        raise SchedlabError(
            f"virtual nodes of {variant} run the payload and have its delays",
            remedy="name a variant whose virtual nodes run no payload",
        )
    keys = [key for key in experiment.trials() if key.cluster in real]
    folders = [results / trial_folder(key.cluster, key.workload, key.repetition) for key in keys]
    found = measured_delays(folders, measure)
    echo(f"# {variant}: {found.delays} delays of {found.trials} trials on real nodes")
    echo("virtual:")
    echo("  delays:                             # s, from the smallest to the largest")
    echo(f"    start: {found.start}")
    echo(f"    completion: {found.completion}")
    records = [results / trial_record(key.cluster, key.workload, key.repetition) for key in keys]
    ran = tuple(path for path in records if path.is_file() and not is_stopped(path))
    echo("# Then, in place of snakemake alone, so that both kinds of nodes have trials of one run")
    echo("# (those of two runs are not compared):")
    echo(f"#   {command(results, experiments, again=ran)}")
