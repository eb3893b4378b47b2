"""The commands for bundles (``bundle``, ``verify``, ``render``, ``import``), and ``log``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from schedlab.cli.options import Given, Output, OutputFolder, existing, with_results
from schedlab.cli.output import echo
from schedlab.invocation import PARTS, results_name
from schedlab.outside.temporary import removed_on_signals
from schedlab.paths import CHECKOUT, EXPERIMENTS
from schedlab.printing import counted, some, word


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


@click.command()
@with_results
@click.option("--output", type=Output(), required=True)
@click.option(
    "--include",
    multiple=True,
    type=click.Choice(PARTS),
    help="Pack more: the Prometheus blocks of the trials; the disks of the images; or memory and "
    "disks of the clusters, with the clusters' own keys and paths of this machine.",
)
@click.option("--force", is_flag=True, help="Replace an existing file.")
def bundle(results: Path, output: Path, include: tuple[str, ...], force: bool) -> None:
    """Pack results, and everything they were made from, into one file to share."""
    from schedlab.bundle.contents import Choice, load_packed_experiment
    from schedlab.bundle.pack import pack
    from schedlab.results.store import Store

    existing(results)
    if "snapshots" in include:
        echo(
            "NOTICE: snapshots contain the clusters' own keys and paths of this machine, which "
            "are not removed.",
            err=True,
        )
    with removed_on_signals():
        digest = pack(results, output, Choice(**dict.fromkeys(include, True)), force=force)
    experiment = load_packed_experiment(results)
    others = Store(results).trials_beside(key.id for key in experiment.trials())
    if others:
        echo(
            f"schedlab: {counted(len(others), 'trial')} in {results} not packed, being not of the"
            f" experiment {experiment.name} ({results / EXPERIMENTS}): {some(others, 3)}",
            err=True,
        )
    echo(f"{output}: {_size(output.stat().st_size)}, sha256 {digest}")


@click.command()
@click.argument("path", metavar="BUNDLE", type=Given())
def verify(path: Path) -> None:
    """Find every changed, missing or added file of BUNDLE, packed or unpacked.

    Its records are compared with one another and with the files, as by import. The printed digest
    covers every byte. Compare it with the digest that packing printed.
    """
    from schedlab.bundle.open import verify_bundle

    with removed_on_signals():
        found = verify_bundle(path)
    description = found.description
    echo(
        f"{path}: sound: {found.members} files, {_size(found.size)}; "
        f"{word(description.get('name'))}, commit {word(description.get('commit'))},"
        f" schedlab {word(description['release'])}\n"
        f"sha256 {found.digest}"
    )


@click.command()
@click.argument("path", metavar="BUNDLE", type=Given())
@click.option("--output", type=OutputFolder(), required=True)
@click.option("--tables", is_flag=True, help="Also make the tables again, from the trials.")
@click.option("--force", is_flag=True, help="Write into a folder that is not empty.")
def render(path: Path, output: Path, tables: bool, force: bool) -> None:
    """Make figures and report of BUNDLE again, and compare them with those in it byte for byte."""
    from schedlab.bundle.render import render as run

    with removed_on_signals():
        rendered = run(path, output, tables=tables, force=force)
    for name, why in rendered.left_out.items():
        echo(f"left out the import {name}: {why}", err=True)
    for name in rendered.different:
        echo(f"differs: {name}", err=True)
    if rendered.different:
        for library, (then, now) in rendered.versions.items():
            echo(f"  {library}: version {word(then)} in the bundle, {now} here", err=True)
    echo(
        f"{output}: {len(rendered.same)} of {len(rendered.same) + len(rendered.different)} files "
        "are the same as in the bundle, byte for byte"
    )
    sys.exit(1 if rendered.different else 0)


@click.command("import")
@with_results
@click.argument("path", metavar="BUNDLE", type=Given())
@click.option("--as", "name", help="Name in the report (default: the experiment's name).")
@click.option("--force", is_flag=True, help="Replace an earlier import of that name.")
def import_(results: Path, path: Path, name: str | None, force: bool) -> None:
    """Add the trials of BUNDLE to the local results, to compare them in one report.

    `make report` then shows them as clusters `NAME:CLUSTER`. They are never pooled with other
    trials. To undo the import, remove the folder `imported/NAME` of the results.
    """
    from schedlab.bundle.importing import import_bundle
    from schedlab.outside.output import require_place
    from schedlab.storage.marks import mark, require_own

    require_place(results, "--results", "folder")
    require_own(Path(results_name(str(results), CHECKOUT)))
    with removed_on_signals():
        folder, trials = import_bundle(path, results, name, force=force, prepare=mark)
    told = counted(trials, "trial")
    echo(f"{folder}: {told}; `make report` shows them; to undo it, remove the folder")


@click.command()
@click.argument("file", type=Given(dir_okay=False))
@click.option("--show", is_flag=True, help="Write everything to the standard output too.")
@click.option("--notices", is_flag=True, help="Write notices and warnings there too.")
def log(file: Path, show: bool, notices: bool) -> None:
    """Write the standard input to FILE, without words that identify this machine and its user."""
    from schedlab.cli.log import keep

    keep(file, show=show, notices=notices)


COMMANDS = (bundle, verify, render, import_, log)
