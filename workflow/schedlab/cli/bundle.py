"""Commands for result bundles: ``bundle``, ``verify``, ``render``, ``import``; and ``log``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from schedlab.cli.options import with_results
from schedlab.cli.output import echo
from schedlab.outside.temporary import removed_on_signals
from schedlab.printing import word


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


@click.command()
@with_results
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.option(
    "--include",
    multiple=True,
    type=click.Choice(["blocks", "images", "snapshots"]),
    help="What goes in beside the usual: Prometheus' blocks of the trials; disks of the images; "
    "memory and disks of the clusters, with their throw-away keys and this machine's paths.",
)
@click.option("--force", is_flag=True, help="Replace an existing file.")
def bundle(results: Path, output: Path, include: tuple[str, ...], force: bool) -> None:
    """Pack results, with what they are made from, into one file to share."""
    from schedlab.bundle.contents import Choice
    from schedlab.bundle.pack import pack

    if "snapshots" in include:
        echo(
            "NOTICE: snapshots hold the clusters' own keys and paths of this machine; they are "
            "packed as they are.",
            err=True,
        )
    with removed_on_signals():
        digest = pack(results, output, Choice(**dict.fromkeys(include, True)), force=force)
    echo(f"{output}: {_size(output.stat().st_size)}, sha256 {digest}")


@click.command()
@click.argument("path", metavar="BUNDLE", type=click.Path(path_type=Path))
def verify(path: Path) -> None:
    """Find every changed, missing or added file of BUNDLE, a file or the folder of an unpacked one.

    The digest that is printed covers every byte: compare it with the one that packing printed.
    """
    from schedlab.bundle.verify import verify as run

    found = run(path)
    told = found.description
    echo(
        f"{path}: sound: {found.members} files, {_size(found.size)}; "
        f"{word(told.get('name'))}, commit {word(told.get('commit'))},"
        f" schedlab {word(told['release'])}\n"
        f"sha256 {found.digest}"
    )


@click.command()
@click.argument("path", metavar="BUNDLE", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--tables", is_flag=True, help="Make the tables anew too, from the trials.")
@click.option("--force", is_flag=True, help="Write into a folder that is not empty.")
def render(path: Path, output: Path, tables: bool, force: bool) -> None:
    """Make figures and report of BUNDLE anew and compare them with those in it, byte for byte."""
    from schedlab.bundle.render import render as run

    with removed_on_signals():
        rendered = run(path, output, tables=tables, force=force)
    for name, why in rendered.left_out.items():
        echo(f"left out the import {name}: {why}", err=True)
    for name in rendered.different:
        echo(f"differs: {name}", err=True)
    if rendered.different:
        for library, (then, now) in rendered.versions.items():
            echo(f"  {library}: {word(then)} made the bundle, {now} is here", err=True)
    echo(
        f"{output}: {len(rendered.same)} of {len(rendered.same) + len(rendered.different)} files "
        "are the same as in the bundle, byte for byte"
    )
    sys.exit(1 if rendered.different else 0)


@click.command("import")
@with_results
@click.argument("path", metavar="BUNDLE", type=click.Path(path_type=Path))
@click.option("--as", "name", help="What the report calls it (default: the experiment's name).")
@click.option("--force", is_flag=True, help="Replace an earlier import of that name.")
def import_(results: Path, path: Path, name: str | None, force: bool) -> None:
    """Place the trials of BUNDLE beside local ones, for comparison in one report.

    `make report` then shows them as clusters `NAME: CLUSTER`, never pooled with others. To undo it,
    remove the folder `imported/NAME` of the results.
    """
    from schedlab.bundle.importing import import_bundle

    with removed_on_signals():
        folder, trials = import_bundle(path, results, name, force=force)
    echo(f"{folder}: {trials} trials; `make report` shows them, removing the folder undoes it")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--show", is_flag=True, help="Write to the standard output too.")
@click.option("--notices", is_flag=True, help="Write notices and warnings to the standard output.")
def log(file: Path, show: bool, notices: bool) -> None:
    """Write the standard input to FILE, without what identifies this machine and its user."""
    from schedlab.cli.log import keep

    keep(file, show=show, notices=notices)


COMMANDS = (bundle, verify, render, import_, log)
