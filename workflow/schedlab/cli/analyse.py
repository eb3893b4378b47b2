"""``schedlab analyse``: metrics and figures of a recorded trace."""

from __future__ import annotations

import json
from pathlib import Path

import click

from schedlab.cli.options import Given, OutputFolder
from schedlab.cli.output import echo


@click.command(short_help="Show metrics of a recorded trace.")
@click.argument("trace", type=Given())
@click.option(
    "--machine-size",
    type=click.IntRange(1, 10**9),
    help="Processors of the traced machine.  [default: MaxProcs, else MaxNodes, of the header]",
)
@click.option("--figures", type=OutputFolder(), help="Draw figures there too.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, with unrounded numbers.")
def analyse(trace: Path, machine_size: int | None, figures: Path | None, as_json: bool) -> None:
    """Show metrics of TRACE, a file in the Standard Workload Format, plain or gzip.

    They are those of trials, of the jobs as they ran on the traced machine: utilisation, load,
    queue, waits, slowdowns, fairness. Needs no cluster and no configuration; nothing is started.
    """
    from schedlab.analysis.recorded import metrics, read_recorded
    from schedlab.analysis.text import render

    jobs = read_recorded(trace, machine_size)
    found = metrics(jobs)
    echo(json.dumps(found, indent=1) if as_json else render(found))
    if figures:
        from schedlab.analysis.figures import draw_all

        for path in draw_all(jobs, trace, figures):
            echo(f"drew {path}", err=True)
