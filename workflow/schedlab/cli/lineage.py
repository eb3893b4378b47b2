"""``schedlab trace`` and ``schedlab why``: where a number comes from, and what is stale."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from schedlab.cli.options import with_paths
from schedlab.cli.output import echo

MISMATCH = 3
"""Exit status of ``trace`` for a chain that does not match; errors end with 1, misuse with 2."""

_results = click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default="results",
    envvar="SCHEDLAB_RESULTS",
    show_default=True,
    help="Results folder, or that of an unpacked bundle.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Write JSON for programs.")


def register(group: click.Group) -> None:
    """Add the commands to the command line's group."""
    group.add_command(trace)
    group.add_command(why)


@click.command()
@_results
@click.option(
    "--source",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Checkout to compare sources with.  [default: the bundle's, else this one]",
)
@_json
@click.argument("target")
def trace(results: Path, source: Path | None, as_json: bool, target: str) -> None:
    """Follow TARGET to the source commit and the disks, and compare every link with the files.

    TARGET is a trial (alpha-n1.burst.1), a figure (makespan) or a cell of the report's main table:
    the row's cluster and workload and the column's quantity (alpha-n1.burst/makespan). An unknown
    one lists what there is. Exit status 3: a link does not match; the first one is named.
    """
    from schedlab.lineage.chain import chain
    from schedlab.lineage.check import check, first_mismatch, source_folder
    from schedlab.lineage.show import as_data, as_text
    from schedlab.lineage.targets import resolve
    from schedlab.outside.foreign import foreign
    from schedlab.paths import CHECKOUT
    from schedlab.results.store import Store

    with foreign(results, "compare it with what this release of schedlab writes"):
        store = Store(results)
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
    """Say which stages are stale and why, what would run, and how long; start nothing.

    TARGETS are files or rules of the workflow, for example results/report.html or all_trials;
    default: everything.
    """
    from schedlab.design import load_experiment
    from schedlab.lineage.snakemake_internals import plan
    from schedlab.lineage.why import as_data, as_text, explain
    from schedlab.paths import CHECKOUT

    made = plan(CHECKOUT, experiments, results, targets)
    explained = explain(made, results, load_experiment(experiments))
    if as_json:
        echo(json.dumps(as_data(explained, made.unknown), indent=1))
    else:
        echo(as_text(explained, made.unknown))
