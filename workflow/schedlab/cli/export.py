"""``schedlab export``: one trial as a file that a viewer of traces shows."""

from __future__ import annotations

import os
from pathlib import Path

import click

from schedlab.cli.options import OutputFolder, existing, with_results
from schedlab.cli.output import echo
from schedlab.errors import SchedlabError


@click.command(short_help="Write one trial as a time line for Perfetto or speedscope.")
@with_results
@click.option("--perfetto", is_flag=True, help="For ui.perfetto.dev (Chrome's trace format).")
@click.option("--speedscope", is_flag=True, help="For www.speedscope.app.")
@click.option(
    "--output",
    type=OutputFolder(),
    default=".",
    help="Folder to write to.  [default: this one]",
)
@click.argument("trial")
def export(results: Path, perfetto: bool, speedscope: bool, output: Path, trial: str) -> None:
    """Write TRIAL with its jobs, ranks, queue, counters and loads on one time line.

    Both viewers are web pages that read the file in the browser and send it nowhere. The file is
    packed (gzip), which both read.
    """
    from schedlab.results.store import Store
    from schedlab.timeline import perfetto as of_perfetto
    from schedlab.timeline import speedscope as of_speedscope
    from schedlab.timeline.text import write_packed
    from schedlab.timeline.trial import read_timeline

    writers = {"perfetto": of_perfetto.parts} if perfetto else {}
    if speedscope:
        writers["speedscope"] = of_speedscope.parts
    if not writers:
        raise click.UsageError("choose --perfetto, --speedscope, or both")
    paths = {name: output / f"{trial.replace(':', '-')}.{name}.json.gz" for name in writers}
    for path in paths.values():
        if os.path.lexists(path):
            raise SchedlabError(
                f"{path} is there already",
                remedy="remove it, or name another folder: --output FOLDER",
            )
    timeline = read_timeline(Store(existing(results)), trial)
    output.mkdir(parents=True, exist_ok=True)
    for name, parts in writers.items():
        write_packed(paths[name], parts(timeline))
        echo(str(paths[name]))
