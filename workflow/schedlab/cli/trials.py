"""``schedlab trials``: lists the trials, whether they are valid, and what became of their jobs."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import click

from schedlab.cli.options import existing, experiment_of, with_paths
from schedlab.cli.output import echo
from schedlab.errors import SchedlabError
from schedlab.paths import EXPERIMENTS
from schedlab.printing import counted, some


@click.command()
@with_paths
@click.option("--json", "as_json", is_flag=True, help="Write JSON, with every check.")
def trials(experiments: Path, results: Path, as_json: bool) -> None:
    """List the trials that ran: verdict, outcome (what became of the jobs) and reasons.

    A trial is valid if its measurement passed all checks. What the scheduler did to the jobs is the
    outcome of the trial: a trial with jobs that failed, were lost or did not end can be valid.
    Nothing is started. Without --experiments the experiment is that of which a named results folder
    has a copy. The exit status is 1 if a trial cannot be read, because its record or files
    are damaged or missing; all others are listed.
    """
    from schedlab.config import read_experiment
    from schedlab.results.imports import origins
    from schedlab.results.store import Store
    from schedlab.tables.verdicts import as_text, verdicts

    file = experiment_of(existing(results), experiments)
    experiment = read_experiment(file)
    own = results / EXPERIMENTS
    if file != own and own.is_file():
        # Only the run knows which variants its machine could not have.
        names = {variant.name for variant in experiment.schedulers}
        with contextlib.suppress(SchedlabError):
            without = {k: v for k, v in read_experiment(own).left_out.items() if k in names}
            experiment = experiment.model_copy(update={"left_out": without})
    sound, left_out = origins(results, experiment)
    found = verdicts(sound)
    echo(json.dumps(found, indent=1) if as_json else as_text(found))
    others = Store(results).trials_beside(key.id for key in experiment.trials())
    if others:
        echo(
            f"schedlab: {counted(len(others), 'trial')} in {results} not of the experiment"
            f" {experiment.name} ({file}): {some(others, 3)}; --experiments FILE names"
            " another",
            err=True,
        )
    for damaged in found["damaged"]:
        echo(f"schedlab: {damaged['trial']}: {damaged['problem']}", err=True)
        if damaged["remedy"]:
            echo(f"  remedy: {damaged['remedy']}", err=True)
    for name, why in experiment.left_out.items():
        echo(f"schedlab: {name} was left out by the run: {why}", err=True)
    for name, why in left_out.items():
        echo(f"schedlab: left out the import {name}: {why}", err=True)
    if found["damaged"]:
        sys.exit(1)
