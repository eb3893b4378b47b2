"""``schedlab watch``: how far a run of the workflow is, beside the run."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

import click

from schedlab.cli.options import ArgumentFromEnvironment, Given, named
from schedlab.cli.output import echo

PERIOD = 2.0
"""Seconds between two looks."""


@click.command()
@click.argument(
    "results",
    cls=ArgumentFromEnvironment,
    type=Given(file_okay=False),
    default="results",
    envvar="SCHEDLAB_RESULTS",
)
@click.option("--once", is_flag=True, help="Show the present state and end.")
def watch(results: Path, once: bool) -> None:
    """Show how far the run on RESULTS is: stages, the trial at work, loads, the last finding.

    It waits for a run to begin, and ends with it or by Ctrl-C. It reads files and changes nothing,
    so a run goes on as if nobody watched. Without a terminal it writes plain lines when something
    changes.
    """
    from schedlab.outside.temporary import removed_on_signals
    from schedlab.watch.show import Changes, plain
    from schedlab.watch.sight import look

    _require(results, once)
    if once:
        sight = look(results)
        echo("\n".join(plain(sight)))
        sys.exit(1 if sight.problem else 0)
    with contextlib.suppress(KeyboardInterrupt), removed_on_signals():
        if sys.stdout.isatty():
            _draw(results)
            return
        sight = look(results)
        if sight.run is None or not sight.run.alive:
            echo(f"{plain(sight)[0]}; waiting for a run")
        changes, seen = Changes(), False
        while True:
            sight = look(results)
            alive = sight.run is not None and sight.run.alive
            for line in changes.lines(sight) if alive or seen else ():
                echo(line)
            if seen and not alive:
                return
            seen = alive
            time.sleep(PERIOD)


def _require(results: Path, once: bool) -> None:
    """Refuse a folder on which no run works or will work, for the user would wait for ever.

    A run may still make or fill the default one, but a single look has nothing to see there.
    """
    from schedlab.storage.marks import require_results

    filled = results.exists() and not (results.is_dir() and not any(results.iterdir()))
    if once or named("results") or filled:
        require_results(results, "schedlab watch RESULTS")


def _draw(results: Path) -> None:
    """Draw the view in a terminal until the run ends; the last one stays there."""
    from rich.console import Console
    from rich.live import Live

    from schedlab.watch.show import view
    from schedlab.watch.sight import look

    with Live(console=Console(highlight=False), auto_refresh=False) as screen:
        seen = False
        while True:
            sight = look(results)
            screen.update(view(sight), refresh=True)
            alive = sight.run is not None and sight.run.alive
            if seen and not alive:
                return
            seen = alive
            time.sleep(PERIOD)
