"""``schedlab trace`` shows where a number comes from, ``schedlab why`` which stages are stale."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from schedlab.cli.options import Folder, existing, experiment_of_named, with_paths, with_results
from schedlab.cli.output import echo

MISMATCH = 3
"""Exit status of ``trace`` if a link does not match. Errors give 1, and wrong usage gives 2."""

_json = click.option("--json", "as_json", is_flag=True, help="Write JSON for programs.")


def register(group: click.Group) -> None:
    """Add the commands to the command line's group."""
    group.add_command(trace)
    group.add_command(why)


@click.command()
@with_results
@click.option(
    "--source",
    type=Folder(exists=True),
    help="Checkout to compare sources with.  [default: the bundle's, else this one]",
)
@_json
@click.argument("target")
def trace(results: Path, source: Path | None, as_json: bool, target: str) -> None:
    """Follow TARGET back to the source commit and the disks, and compare every link with the files.

    TARGET is a trial (alpha-n1.burst.1), a figure (makespan), or a cell of the report's main table,
    written as cluster and workload of the row and quantity of the column
    (alpha-n1.burst/makespan). For an unknown TARGET the message lists all that exist. The results
    may be those of an unpacked bundle. Sources that the checkout has changed since are compared
    with their commit. Exit status 3: a link does not match. The first such link is
    named.
    """
    from schedlab.lineage.chain import chain
    from schedlab.lineage.check import check, first_mismatch, source_folder
    from schedlab.lineage.show import as_data, as_text
    from schedlab.lineage.targets import resolve
    from schedlab.outside.foreign import foreign
    from schedlab.paths import CHECKOUT
    from schedlab.results.store import Store

    with foreign(results, "compare it with what this release of schedlab writes"):
        store = Store(existing(results))
        found = resolve(store, target)
        links = chain(store, found.start, only=found.only)
        checked = check(store, links, source or source_folder(store, CHECKOUT), found)
        data = as_data(found, links, checked)
        text = json.dumps(data, indent=1) if as_json else as_text(found, links, checked)
    echo(text)
    sys.exit(MISMATCH if first_mismatch(checked) else 0)


@click.command()
@with_paths
@_json
@click.argument("targets", nargs=-1)
def why(experiments: Path, results: Path, as_json: bool, targets: tuple[str, ...]) -> None:
    """Show which jobs would run, why, and how long they would take. Nothing is started.

    TARGETS are files or rules of the workflow, for example results/report.html or all_trials. The
    default is everything. Without --experiments the experiment is that of which a named results
    folder has a copy.
    """
    from schedlab.design import load_experiment, notices
    from schedlab.invocation import command
    from schedlab.lineage.snakemake_internals import plan
    from schedlab.lineage.why import as_data, as_text, explain
    from schedlab.paths import CHECKOUT

    if results.exists():
        existing(results)
    experiments = experiment_of_named(results, experiments)
    made = plan(CHECKOUT, experiments, results, targets)
    experiment = load_experiment(experiments)
    explained = explain(made, results, experiment)
    if as_json:
        echo(json.dumps(as_data(explained, made.unknown), indent=1))
    else:
        echo(as_text(explained, made.unknown, command(results, experiments, again=("RULES",))))
    for told in notices(experiment):
        echo(f"schedlab: {told}", err=True)
