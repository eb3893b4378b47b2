"""From trials to tables, figures and the report; no machine is involved."""

from __future__ import annotations

from pathlib import Path

from schedlab.config import read_experiment, write_experiment
from schedlab.figures import draw
from schedlab.origins import EXPERIMENTS, origins
from schedlab.records import load_record, verify_outputs
from schedlab.report.render import render_report
from schedlab.stages.context import Context
from schedlab.tables.build import build_tables


def write_tables(context: Context) -> None:
    """Build the tables from every trial of the experiment, and from imported ones after them."""
    sources = origins(context.results, context.experiment)
    for origin in sources:
        for folder in origin.trial_folders():
            record = folder / "record.json"
            # A bundle has not all that a trial left: blocks and consoles stay where they were made.
            there = [n for n in load_record(record)["outputs"] if (folder / n).exists()]
            verify_outputs(record, there if origin.name else None)
    build_tables(sources, context.results / "tables")


def draw_figure(results: Path, figure: str) -> None:
    """Draw one figure from the tables."""
    draw(figure, results / "tables", results / "figures" / f"{figure}.svg")


def write_report(context: Context, output: Path) -> None:
    """Render the report from tables, figures and records, and keep the experiment beside it.

    The report is of what was kept, so that it can be rendered anew from a bundle.
    """
    results = context.results
    kept = results / EXPERIMENTS
    write_experiment(context.experiment, kept)
    experiment = read_experiment(kept)
    render_report(results / "tables", results / "figures", results, experiment, output)
