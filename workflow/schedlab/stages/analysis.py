"""From trials to tables, figures and the report; no machine is involved."""

from __future__ import annotations

from pathlib import Path

from schedlab.figures import draw
from schedlab.records import verify_outputs
from schedlab.report.render import render_report
from schedlab.stages.context import Context
from schedlab.tables.build import build_tables


def write_tables(context: Context) -> None:
    """Build the tables from every trial of the experiment, in the order in which they ran."""
    folders = [
        context.trial(key.cluster, key.workload, key.repetition)
        for key in context.experiment.trials()
    ]
    for folder in folders:
        verify_outputs(folder / "record.json")
    build_tables(folders, context.results / "tables")


def draw_figure(results: Path, figure: str) -> None:
    """Draw one figure from the tables."""
    draw(figure, results / "tables", results / "figures" / f"{figure}.svg")


def write_report(context: Context, output: Path) -> None:
    """Render the report from tables, figures and records."""
    results = context.results
    render_report(results / "tables", results / "figures", results, context.experiment, output)
