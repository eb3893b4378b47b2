"""``schedlab trials``: lists the trials, whether they are valid, and what became of their jobs."""

from __future__ import annotations

import json
from pathlib import Path

import click

from schedlab.cli.options import with_paths
from schedlab.cli.output import echo


@click.command()
@with_paths
@click.option("--json", "as_json", is_flag=True, help="Write JSON, with every check.")
def trials(experiments: Path, results: Path, as_json: bool) -> None:
    """List the trials that ran, with their verdicts, reasons, and fates of jobs.

    A trial is valid if its measurement passed all checks. What the scheduler did to the jobs is the
    outcome of the trial: a trial with jobs that failed, were lost or did not end can be valid.
    Nothing is started.
    """
    from schedlab.config import read_experiment
    from schedlab.results.imports import origins
    from schedlab.tables.verdicts import as_text, verdicts

    sound, left_out = origins(results, read_experiment(experiments))
    found = verdicts(sound)
    echo(json.dumps(found, indent=1) if as_json else as_text(found))
    for name, why in left_out.items():
        echo(f"schedlab: left out the import {name}: {why}", err=True)
