"""Throughput against node count, a panel a workload."""

from __future__ import annotations

from matplotlib.figure import Figure

from schedlab.figures import style
from schedlab.tables.build import Tables


def draw(tables: Tables) -> Figure:
    """Draw the figure."""
    trials = tables.trials
    if not len(trials):
        return style.nothing()
    figure, axes = style.panels(len(style.workloads(trials)))
    style.dot_panels(axes, trials, "throughput")
    figure.supxlabel("compute nodes", fontsize=10)
    figure.supylabel("throughput (jobs/s)", fontsize=10)
    style.legend(figure, style.dot_handles(trials), columns=2)
    return figure
