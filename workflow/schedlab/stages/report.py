"""Render the report from tables, figures and records."""

from __future__ import annotations

from pathlib import Path

from schedlab.config import read_experiment, write_experiment
from schedlab.figures import FIGURES
from schedlab.paths import CHECKOUT, EXPERIMENTS, RECORD, TABLES
from schedlab.paths import FIGURES as FIGURES_FOLDER
from schedlab.report.render import render_report
from schedlab.results.records import RecordWriter, beside, verify_outputs
from schedlab.sources import stage_files
from schedlab.stages.context import Context, library_versions


def write_report(context: Context, output: Path) -> None:
    """Render the report from tables, figures and records, and keep the experiment beside it.

    The report is rendered from the experiment that is kept, exactly as it later is from a bundle.
    """
    results = context.results
    tables, figures = results / TABLES, results / FIGURES_FOLDER
    parents = {"tables": tables / RECORD}
    parents |= {name: beside(figures / f"{name}.svg") for name in FIGURES}
    for path in parents.values():
        verify_outputs(path)
    record = RecordWriter(
        "report",
        "report",
        CHECKOUT,
        results,
        parents=parents,
        inputs=stage_files("report"),
    )
    kept = results / EXPERIMENTS
    write_experiment(context.experiment, kept)
    render_report(tables, figures, results, read_experiment(kept), output)
    record.write(
        beside(output),
        outputs=[output, kept],
        tools=library_versions("jinja2", "numpy", "pandas", "pyarrow"),
    )
