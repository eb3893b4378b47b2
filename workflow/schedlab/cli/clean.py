"""``schedlab clean``: removes what schedlab wrote into a results folder, and nothing else."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import click

from schedlab import paths
from schedlab.cli.options import FromEnvironment, Given
from schedlab.cli.output import echo
from schedlab.errors import SchedlabError
from schedlab.storage.marks import (
    entries,
    is_marked,
    no_marks,
    no_run,
    no_run_of_checkout,
)


def check_removable(results: Path) -> None:
    """Refuse to remove anything but a results folder.

    Raises
    ------
    SchedlabError
        Says why the folder is not removed.
    """

    def refused(why: str, remedy: str) -> SchedlabError:
        return SchedlabError(f"{results} is not removed: {why}", remedy=remedy)

    choose = "set RESULTS to the results folder itself"
    folder = paths.resolved(results, "the results folder")
    if results.is_symlink():
        raise refused("it is a link", f"set RESULTS to where it points, {folder}")
    if not results.exists():
        return
    if not results.is_dir():
        raise refused("it is no folder", choose)
    sources = [paths.CHECKOUT / name for name in (".git", *paths.SOURCES)]
    for path in (paths.CHECKOUT, Path.cwd(), Path.home(), *sources):
        if path.resolve().is_relative_to(folder):
            raise refused(f"it is or contains {path}", choose)
    if own := paths.own_folder(folder, paths.CHECKOUT.resolve()):
        raise refused(f"it is {own} of the checkout, or in it", choose)
    if not is_marked(folder):
        raise refused(no_marks(), f"{choose}; remove this one by hand if nobody needs it")


def remove(folder: Path) -> None:
    """Remove a folder or a file, or a link but not what it points to; say so."""
    if folder.is_dir() and not folder.is_symlink():
        try:
            shutil.rmtree(folder)
        except RecursionError as error:
            raise SchedlabError(
                f"{folder} is not removed: its folders are nested too deep",
                remedy=f"look whose they are; rm -r {shlex.quote(str(folder))} removes them",
            ) from error
    elif os.path.lexists(folder):
        folder.unlink()
    else:
        return
    echo(f"removed {folder}")


def empty(results: Path) -> None:
    """Remove what schedlab wrote into a results folder, and the folder if nothing else is in it.

    Files that the user keeps there stay, and are named.
    """
    own, others = entries(results)
    for path in own:
        remove(path)
    for path in others:
        echo(f"left {path}, which schedlab did not write")
    if others:
        return
    try:
        results.rmdir()
    except OSError as error:
        # A file system that is mounted there.
        echo(f"left {results}, which is empty: {error.strerror}")
    else:
        echo(f"removed {results}")


@click.command()
@click.option(
    "--results",
    cls=FromEnvironment,
    type=Given(),
    default="results",
    envvar="SCHEDLAB_RESULTS",
    show_default=True,
    help="Results folder.",
)
def clean(results: Path) -> None:
    """Remove all results, also finished trials, and what Snakemake notes in this checkout.

    The cache of tools and images stays, and so do files beside the folders and files that schedlab
    makes in the results folder; what others put into those folders goes with them. A folder that
    schedlab did not make is refused. What Snakemake notes stays while a run on other results of
    this checkout works, and where there are no such results.
    """
    from schedlab.testbed.reap import reap

    here = Path.cwd()
    if (here / "Snakefile").is_file() and not here.samefile(paths.CHECKOUT):
        raise SchedlabError(
            f"nothing is removed: this schedlab is that of {paths.CHECKOUT}, not of {here}, and"
            " would remove what Snakemake notes there",
            remedy="run `make setup` here first",
        )
    check_removable(results)
    if not results.exists():
        reap(results)
        echo(f"nothing to remove: there is no {results}")
        return
    with no_run(results):
        reap(results)
        empty(results)
    kept = paths.CHECKOUT / paths.SNAKEMAKE
    if kept.is_symlink() or not kept.is_dir():
        remove(kept)
        return
    with no_run_of_checkout(paths.CHECKOUT) as idle:
        if idle:
            remove(kept)
        else:
            echo(f"left {kept}, which a run on other results of this checkout uses")
