"""``schedlab disk``: what uses how much disk, and the removal of what no current target needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from schedlab.cli.options import existing, experiment_of, named, with_paths
from schedlab.cli.output import echo
from schedlab.errors import SchedlabError
from schedlab.paths import EXPERIMENTS

if TYPE_CHECKING:
    from schedlab.storage.usage import Usage

SHOWN = 20
"""Largest number of lines of a list of what stays."""


@click.command()
@with_paths
@click.option("--prune", is_flag=True, help="Remove what no current target needs, after asking.")
@click.option("--yes", is_flag=True, help="With --prune: do not ask.")
def disk(experiments: Path, results: Path, prune: bool, yes: bool) -> None:
    """Show what uses how much disk: the results by kind, the cache by entry.

    It lists clusters, trials, decisions and images that the experiment does not name, and entries
    of the cache that neither it nor any results use. --prune removes these, with all that is in
    their folders, and nothing else.
    Without --experiments the experiment is that of which a named results folder has a copy.
    """
    from schedlab.config import read_experiment
    from schedlab.storage import prune as removal
    from schedlab.storage.needed import entries, plan
    from schedlab.storage.usage import results_by_kind
    from schedlab.toolchain.cache import Cache

    if yes and not prune:
        raise SchedlabError("--yes answers what only --prune asks", remedy="add --prune")
    if named("results") or results.exists():
        existing(results)
    file, own = experiment_of(results, experiments), results / EXPERIMENTS
    if prune and file != experiments:
        # The copy may be older than the experiment that the user goes on with.
        raise SchedlabError(
            f"{results} has an experiment of its own, {file}, and --prune removes what the"
            " experiment does not name",
            remedy=f"say which experiment goes on: --experiments {file}, or another file",
        )
    if prune and not named("experiments") and (results / "trials").is_dir() and not own.is_file():
        raise SchedlabError(
            f"{results} has trials, but no {own.name}: which of them are needed is not known",
            remedy="say which experiment goes on: --experiments FILE",
        )
    experiments = file
    experiment, cache = read_experiment(experiments), Cache.default()
    if results.is_dir():
        _show_results(results, results_by_kind(results))
    cached = entries(cache)
    echo(f"{_size(sum(item.usage.bytes for item in cached))}  {cache.root}")
    _show([(item.name, item.usage.bytes) for item in cached])
    found = plan(results, cache, experiment)
    if not found.items:
        echo(f"All of it is needed by the experiment {experiment.name} ({experiments}).")
        return
    echo(f"{_size(found.freed)}  not needed by the experiment {experiment.name} ({experiments}):")
    _show([(item.name, item.usage.bytes) for item in found.items], most=len(found.items))
    if not prune:
        echo("schedlab disk --prune removes this.")
        return
    if not yes:
        click.confirm("Remove this?", abort=True)
    with removal.undisturbed(results, cache):
        if plan(results, cache, experiment).paths != found.paths:
            raise SchedlabError(
                "nothing is removed: the files have changed since they were listed",
                remedy="run the command again",
            )
        for path in removal.prune(results, cache, found):
            echo(f"removed {path}")


def _show_results(results: Path, kinds: dict[str, Usage]) -> None:
    echo(f"{_size(sum(used.bytes for used in kinds.values()))}  {results}")
    _show([(kind, used.bytes) for kind, used in kinds.items() if used.files])
    # Much may be behind a link to a folder. One to a file is to a tool.
    folders = [link for used in kinds.values() for link in used.links if link.is_dir()]
    for link in folders[:SHOWN]:
        echo(f"{'':>12}  not followed, because it is a link or mounted: {link}")


def _size(size: int) -> str:
    """Bytes in MiB or GiB, as wide as other sizes."""
    return f"{size / 2**30:8.2f} GiB" if size >= 2**30 else f"{size / 2**20:8.2f} MiB"


def _show(rows: list[tuple[str, int]], most: int = SHOWN) -> None:
    rows = sorted(rows, key=lambda row: (-row[1], row[0]))
    for name, size in rows[:most]:
        echo(f"  {_size(size)}  {name}")
    if len(rows) > most:
        echo(f"  {_size(sum(size for _, size in rows[most:]))}  {len(rows) - most} more")
