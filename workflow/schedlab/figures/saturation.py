"""Achieved against offered rate, with the knee, a panel a workload."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from schedlab.figures import style
from schedlab.metrics.searches import Knee, knees, searched
from schedlab.tables.build import Tables

OFFERED, CEILING = "offered rate", "submitter's ceiling"


def draw(tables: Tables) -> Figure:
    """Draw the figure."""
    trials = searched(tables.trials)
    if not len(trials):
        return style.nothing("no workload searches for its highest rate")
    found = knees(trials)
    names = style.workloads(trials)
    clusters = [knee.cluster for knee in found]
    order = list(dict.fromkeys(clusters))
    figure, axes = style.panels(len(names))
    for axis, workload in zip(axes, names, strict=True):
        here = [knee for knee in found if knee.workload == workload]
        rows = style.valid(trials[trials["workload"] == workload])
        _panel(axis, rows, here, order)
        style.heading(axis, workload, style.invalid_note(trials[trials["workload"] == workload]))
    figure.supxlabel("offered (jobs/s)", fontsize=10)
    figure.supylabel("achieved (jobs/s)", fontsize=10)
    handles = style.line_handles(order)
    handles.append(Line2D([], [], color=style.MUTED, linewidth=1, label=OFFERED))
    if any(knee.ceiling.middle for knee in found):
        handles.append(Line2D([], [], color=style.MUTED, linestyle="--", label=CEILING))
    style.legend(figure, handles)
    return figure


def _panel(axis: Axes, rows: pd.DataFrame, here: list[Knee], order: list[str]) -> None:
    drawn = False
    for knee in here:
        own = rows[rows["cluster"] == knee.cluster].dropna(
            subset=["offered_rate_jobs_per_s", "achieved_rate_jobs_per_s"]
        )
        if not len(own):
            continue
        drawn = True
        look = style.look(order.index(knee.cluster))
        known = own["sustained"].notna().to_numpy(dtype=bool)
        good = own["sustained"].fillna(value=False).to_numpy(dtype=bool)
        bad = known & ~good
        x = own["offered_rate_jobs_per_s"].to_numpy(dtype=float)
        y = own["achieved_rate_jobs_per_s"].to_numpy(dtype=float)
        common: dict[str, Any] = {"color": look.colour, "marker": look.marker, "linestyle": "none"}
        axis.plot(x[good], y[good], **common)
        axis.plot(x[bad], y[bad], markerfacecolor="none", **common)
        axis.plot(x[~known], y[~known], **{**common, "marker": "x"})
        if knee.low is not None and knee.high is not None:
            axis.axvspan(knee.low, knee.high, color=look.colour, alpha=0.2, linewidth=0)
        if knee.estimate is not None:
            axis.axvline(knee.estimate, color=look.colour, linewidth=1)
        if knee.ceiling.middle is not None:
            axis.axvline(knee.ceiling.middle, color=style.MUTED, linestyle="--", linewidth=1)
    if not drawn:
        style.blank(axis, "no valid step")
        return
    ends = np.array(axis.get_xlim())
    low = max(float(rows["rate"].min()) * 0.8, 1e-9)
    line = np.array([low, float(ends[1])])
    axis.plot(line, line, color=style.MUTED, linewidth=1, zorder=0.9)
    axis.set_xscale("log")
    axis.set_yscale("log")
