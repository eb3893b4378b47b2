"""``schedlab clean``: removes a results folder, and only one that schedlab made."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from schedlab import locks, paths
from schedlab.cli.output import echo
from schedlab.errors import SchedlabError
from schedlab.outside.json_text import read_json
from schedlab.testbed.supervisor import LOCK, scratch_root

RUN_LOCK = ".lock"
SNAKEMAKE = ".snakemake"


def marks(folder: Path) -> list[str]:
    """Return what a folder holds that only schedlab puts into its results."""
    found = []
    lock = folder / RUN_LOCK
    # The lock of a run is empty; a file of that name that says something is another program's.
    if lock.is_file() and not lock.stat().st_size:
        found.append(RUN_LOCK)
    for name, key in ((paths.STATE, "outputs"), (paths.TOOLCHAIN, "tools")):
        if (folder / name).is_file():
            try:
                content = read_json(folder / name)
            except (SchedlabError, ValueError):
                continue
            if isinstance(content, dict) and key in content:
                found.append(name)
    found += [f"scratch/{path.parent.name}" for path in scratch_root(folder).glob(f"*/{LOCK}")]
    imports = (folder / paths.IMPORTED).glob(f"*/{paths.IMPORT}")
    return found + [f"{paths.IMPORTED}/{path.parent.name}" for path in imports]


def check_removable(results: Path) -> None:
    """Refuse to remove anything but a results folder that no run uses.

    Raises
    ------
    SchedlabError
        Says why the folder is not removed.
    """

    def refused(why: str, remedy: str) -> SchedlabError:
        return SchedlabError(f"{results} is not removed: {why}", remedy=remedy)

    choose = "set RESULTS to the results folder itself"
    if results.is_symlink():
        raise refused("it is a link", f"set RESULTS to where it points, {results.resolve()}")
    if not results.exists():
        return
    if not results.is_dir():
        raise refused("it is no folder", choose)
    folder = results.resolve()
    sources = [paths.CHECKOUT / name for name in (".git", *paths.SOURCES)]
    for path in (paths.CHECKOUT, Path.cwd(), Path.home(), *sources):
        if path.resolve().is_relative_to(folder):
            raise refused(f"it is or contains {path}", choose)
    if not marks(folder):
        raise refused(
            "it holds nothing that says that schedlab made it "
            f"({RUN_LOCK}, {paths.STATE} or {paths.TOOLCHAIN})",
            f"{choose}; remove this one by hand if nobody needs it",
        )
    lock = folder / RUN_LOCK
    if lock.is_file():
        with lock.open("r") as handle:
            if not locks.lock(handle, wait=False, shared=True):
                raise refused("a run works on it", "wait for the run or end it")


def remove(folder: Path) -> None:
    """Remove a folder, or a link to one but not what it points to; say so."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.is_dir():
        shutil.rmtree(folder)
    else:
        return
    echo(f"removed {folder}")


@click.command()
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default="results",
    envvar="SCHEDLAB_RESULTS",
    show_default=True,
    help="Results folder.",
)
def clean(results: Path) -> None:
    """Remove all results, also finished trials, and what Snakemake notes in this checkout.

    The cache of tools and images stays. A folder that schedlab did not make is refused.
    """
    from schedlab.testbed.reap import reap

    check_removable(results)
    reap(results)
    remove(results)
    remove(paths.CHECKOUT / SNAKEMAKE)
