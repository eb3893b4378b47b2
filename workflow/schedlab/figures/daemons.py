"""Processor time and memory of the scheduler's daemons."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from schedlab.figures import over_time, style
from schedlab.figures.over_time import MEMORY
from schedlab.tables.build import Tables

CPU = "schedlab_process_cpu_seconds_total"
METRICS = (CPU, MEMORY)
MIB = 2**20


def draw(tables: Tables) -> Figure:
    """Draw the figure."""
    trials = tables.trials
    if not len(trials):
        return style.nothing()
    names, order = style.workloads(trials), style.clusters(trials)
    samples = over_time.of_daemons(tables.samples, METRICS)
    processes = sorted(samples["process"].unique())
    beside = 1 if style.crowded(trials) else 2
    costs = -(-len(names) // beside)
    rows = len(names) + costs
    figure = style.blank_figure(over_time.LOW * rows)
    grid = figure.add_gridspec(rows, 2)
    for row, workload in enumerate(names):
        first = over_time.first_valid(trials, workload, order)
        for column, metric in enumerate((CPU, MEMORY)):
            axis = figure.add_subplot(grid[row, column])
            unit = "processor use (cores)" if metric == CPU else "resident memory (MiB)"
            style.heading(axis, workload, unit)
            _lines(axis, samples[samples["metric"] == metric], first, order, processes)
            if row == len(names) - 1:
                axis.set_xlabel("time since the trial's start (s)", fontsize=style.SMALL)
    axes = []
    for number in range(len(names)):
        row, column = divmod(number, beside)
        place = grid[len(names) + row, column] if beside == 2 else grid[len(names) + row, :]
        axes.append(figure.add_subplot(place))
    style.dot_panels(axes, trials, "scheduler_cpu_per_job")
    for number, axis in enumerate(axes):
        axis.set_ylabel("CPU s per job" if number % beside == 0 else "", fontsize=style.SMALL)
        if number >= len(names) - beside:
            axis.set_xlabel("compute nodes", fontsize=style.SMALL)
    widths = [
        Line2D([], [], color=style.INK, linewidth=_width(number), label=process)
        for number, process in enumerate(processes)
    ]
    handles = [*style.line_handles(order), *widths, *style.dot_handles(trials)]
    style.legend(figure, handles)
    return figure


def _width(process: int) -> float:
    """Daemons differ in line width, because colour and line style tell the clusters."""
    return (0.9, 2.2, 3.4)[process % 3]


def _lines(
    axis: Axes,
    samples: pd.DataFrame,
    first: dict[str, str],
    order: list[str],
    processes: list[str],
) -> None:
    """One line a daemon and cluster."""
    drawn = False
    for cluster, trial in first.items():
        for number, process in enumerate(processes):
            rows = samples[(samples["trial"] == trial) & (samples["process"] == process)]
            rows = rows.sort_values("t_ns")
            t = rows["t_ns"].to_numpy(dtype=float) / 1e9
            value = rows["value"].to_numpy(dtype=float)
            if len(rows) and rows["metric"].iloc[0] == CPU:
                t, value = t[1:], over_time.rate(t, value)
            else:
                value = value / MIB
            look = style.look(order.index(cluster))
            drawn |= over_time.line(axis, t, value, look, _width(number))
    if not drawn:
        style.blank(axis, "too few samples" if first else "no valid trial")
        return
    over_time.from_zero(axis)
