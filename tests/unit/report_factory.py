"""SYNTHETIC results with everything, up to the report."""

from __future__ import annotations

from pathlib import Path

from record_factory import make_records
from trial_factory import make_experiment, make_results

from schedlab.figures import FIGURES
from schedlab.stages.context import Context
from schedlab.stages.figure import draw_figure
from schedlab.stages.report import write_report
from schedlab.stages.tables import write_tables


def make_report(root: Path) -> Path:
    """Results folder with everything; returns the report."""
    experiment = make_experiment()
    make_records(root, experiment)
    make_results(root, experiment)
    context = Context(experiment, root)
    write_tables(context)
    for name in FIGURES:
        draw_figure(root, name)
    write_report(context, root / "report.html")
    return root / "report.html"
