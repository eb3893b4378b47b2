"""Throughput against node count, a panel a workload."""

from __future__ import annotations

from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from schedlab.figures import style
from schedlab.formatting import number
from schedlab.metrics.ceiling import Ceiling, ceilings, with_payload
from schedlab.tables.build import Tables

CEILING = "submitter's ceiling"
_LINE: Final = "--"


def draw(tables: Tables) -> Figure:
    """Draw the figure."""
    trials = with_payload(tables.trials)
    if not len(trials):
        return style.nothing()
    bounds = ceilings(tables.trials)
    figure, axes = style.panels(len(style.workloads(trials)), wide=style.crowded(trials))
    style.dot_panels(axes, trials, "throughput")
    for axis, workload in zip(axes, style.workloads(trials), strict=True):
        levels = sorted(trials.loc[trials["workload"] == workload, "nodes"].unique())
        _bounds(axis, levels, [bound for bound in bounds if bound.workload == workload])
    figure.supxlabel("compute nodes", fontsize=10)
    figure.supylabel("throughput (jobs/s)", fontsize=10)
    handles = style.dot_handles(trials)
    if bounds:
        handles.append(Line2D([], [], color=style.MUTED, linestyle=_LINE, label=CEILING))
    style.legend(figure, handles)
    return figure


def _bounds(axis: Axes, levels: list[int], bounds: list[Ceiling]) -> None:
    """Draw the ceiling over each node count; write its value if it is far above the points."""
    if not axis.axison or not axis.collections:
        return
    top = axis.get_ylim()[1]
    for bound in bounds:
        rate = bound.rate.estimate
        if rate is None or bound.nodes not in levels:
            continue
        place = levels.index(bound.nodes)
        # The panel grows for a ceiling of up to twice the highest point; a higher one would
        # compress the points.
        inside = rate <= 2 * top
        if inside:
            axis.hlines(rate, place - 0.45, place + 0.45, colors=style.MUTED, linestyles=_LINE)
            axis.set_ylim(0, max(axis.get_ylim()[1], 1.1 * rate))
        else:
            axis.annotate(
                f"{CEILING.split()[-1]} {number(rate)}",
                (place, 1),
                xytext=(0, -2),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=style.SMALL,
                color=style.MUTED,
            )
