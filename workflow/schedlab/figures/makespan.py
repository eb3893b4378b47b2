"""Makespan against node count with the ideal bound, a panel a workload."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from schedlab.figures import style
from schedlab.metrics.cells import cells
from schedlab.tables.build import Tables

_BOUND: dict[str, Any] = {"color": style.INK, "linewidth": 1.2, "linestyle": (0, (4, 2))}


def draw(tables: Tables) -> Figure:
    """Draw the figure."""
    trials = tables.trials
    if not len(trials):
        return style.nothing()
    names = style.workloads(trials)
    figure, axes = style.panels(len(names), wide=style.crowded(trials))
    style.dot_panels(axes, trials, "makespan")
    bounds = cells(trials, "ideal_makespan")
    for axis, workload in zip(axes, names, strict=True):
        rows = bounds[bounds["workload"] == workload]
        levels = sorted(int(nodes) for nodes in rows["nodes"].unique())
        # A blank panel has no marks. The bound depends on trace and machine: it is the same for
        # every scheduler, but imported trials of other traces or machines have another bound.
        for place, nodes in enumerate(levels if axis.collections else []):
            found = rows.loc[rows["nodes"] == nodes, "estimate"].dropna()
            for bound in sorted(found.round(6).unique()):
                x = [place - 0.4, place + 0.4]
                axis.plot(x, [bound, bound], clip_on=False, zorder=0.9, **_BOUND)
                axis.set_ylim(top=max(axis.get_ylim()[1], 1.12 * bound))
    figure.supxlabel("compute nodes", fontsize=10)
    figure.supylabel("makespan (s)", fontsize=10)
    handle = Line2D([], [], label="ideal bound", **_BOUND)
    style.legend(figure, [*style.dot_handles(trials), handle])
    return figure
