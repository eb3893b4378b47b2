"""``schedlab conformance``: whether an image works, from its base disk to the report."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from schedlab.cli.options import with_results
from schedlab.cli.output import echo


@click.command()
@click.argument("image")
@with_results
def conformance(image: str, results: Path) -> None:
    """Build an image, start a cluster on it, run one burst, and say what fails.

    IMAGE is the name of a file in config/images, or the path of an experiment. Its own results are
    in the folder conformance/NAME of the results. Stages that have been finished are not repeated.
    """
    from schedlab import conformance as checks
    from schedlab.invocation import results_name
    from schedlab.outside.output import require_place
    from schedlab.paths import CHECKOUT, CONFORMANCE
    from schedlab.storage.marks import mark

    require_place(results, "--results", "folder")
    experiment = checks.experiment_of(image)
    # The run marks only the folder below, by which those around it are known as results too.
    mark(Path(results_name(str(results), CHECKOUT)))
    folder = results / CONFORMANCE / experiment.stem
    steps = []
    for step in checks.run(experiment, folder):
        steps.append(step)
        echo(f"conformance: {checks.summary(step)}")
    failed = steps[-1].failure
    found = failed or checks.problems(folder)
    echo(f"\nconformance of {experiment.stem}:")
    for step in steps:
        echo(f"  {checks.summary(step)}")
    for line in checks.realised(folder):
        echo(f"  {line}")
    if found:
        echo(f"the stage {steps[-1].stage} failed:" if failed else "everything ran, but:")
        for line in found:
            echo(f"  {line}")
        sys.exit(1)
    echo(f"everything ran; the report is {folder / 'report.html'}")
