"""Busy processors, memory in use and network traffic of a cluster's machines."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from schedlab.figures import over_time, style
from schedlab.tables.build import Tables

_CPU = "node_cpu_seconds_total"
_TOTAL, _AVAILABLE = "node_memory_MemTotal_bytes", "node_memory_MemAvailable_bytes"
_RECEIVED, _SENT = "node_network_receive_bytes_total", "node_network_transmit_bytes_total"
METRICS = (_CPU, _TOTAL, _AVAILABLE, _RECEIVED, _SENT)
_IDLE = ("idle", "iowait", "steal")
"""Modes in which a processor does nothing for its machine; `guest` is within `user`."""
_WIDE, _NARROW = 2.2, 0.9
"""Widths of the head's line and of that of the other machines."""
_TIMES = 600
"""Most instants of a line: no more would be seen, and the file does not grow with the machines."""


class _Panel(NamedTuple):
    """A column of panels: heading, metrics with the sign of each, and what one unit of it is."""

    title: str
    signs: dict[str, int]
    unit: float
    counter: bool


_PANELS = (
    _Panel("busy processors", {_CPU: 1}, 1.0, counter=True),
    _Panel("memory in use (GiB)", {_TOTAL: 1, _AVAILABLE: -1}, 2**30, counter=False),
    _Panel("network (MB/s)", {_RECEIVED: 1, _SENT: 1}, 1e6, counter=True),
)


def draw(tables: Tables) -> Figure:
    """Draw the figure."""
    trials = tables.trials
    if not len(trials):
        return style.nothing()
    names, order = style.workloads(trials), style.clusters(trials)
    firsts = {workload: over_time.first_valid(trials, workload, order) for workload in names}
    samples = _of_machines(tables.samples, {t for first in firsts.values() for t in first.values()})
    figure = style.blank_figure(over_time.LOW * len(names))
    grid = figure.add_gridspec(len(names), len(_PANELS))
    for row, workload in enumerate(names):
        left_out = style.invalid_note(trials[trials["workload"] == workload])
        for column, panel in enumerate(_PANELS):
            axis = figure.add_subplot(grid[row, column])
            title, note = (workload, left_out) if column == 0 else ("", "")
            style.heading(axis, title, "\n".join(filter(None, (panel.title, note))))
            _lines(axis, samples, panel, firsts[workload], order)
            if row == len(names) - 1 and column == 1:
                axis.set_xlabel("time since the trial's start (s)", fontsize=style.SMALL)
    widths = [
        Line2D([], [], color=style.INK, linewidth=_WIDE, label="head"),
        Line2D([], [], color=style.INK, linewidth=_NARROW, label="mean of the others"),
    ]
    style.legend(figure, [*style.line_handles(order), *widths])
    return figure


def _of_machines(samples: pd.DataFrame, trials: set[str]) -> pd.DataFrame:
    """Sums of the samples over a machine's processors and networks: a row a trial, metric, time."""
    samples = samples[samples["trial"].isin(trials)]
    labels = samples["labels"].astype(str)
    known = {text: _counts(text) for text in labels.unique()}
    rows = samples[labels.map(known).astype(bool)]
    keys = ["trial", "metric", "instance", "t_ns"]
    each = rows.astype(dict.fromkeys(keys[:3], str)).groupby(keys)["value"]
    return each.sum().reset_index()


def _counts(labels: str) -> bool:
    """Whether a series is part of its machine's sum."""
    found = over_time.labels(labels)
    return found.get("mode") not in _IDLE and found.get("device") != "lo"


def _lines(
    axis: Axes, samples: pd.DataFrame, panel: _Panel, first: dict[str, str], order: list[str]
) -> None:
    """Draw two lines a cluster: its head, and the mean of its other machines."""
    drawn = False
    for cluster, trial in first.items():
        rows = samples[(samples["trial"] == trial) & samples["metric"].isin(panel.signs)]
        signed = rows["value"] * rows["metric"].map(panel.signs).astype(float)
        # A time at which one of the metrics is missing has no sum.
        wide = signed.groupby([rows["instance"], rows["t_ns"]]).sum(min_count=len(panel.signs))
        for is_head, width in ((True, _WIDE), (False, _NARROW)):
            machines = [
                _line(values.droplevel(0).dropna().sort_index(), panel)
                for name, values in wide.groupby(level=0)
                if (name == over_time.HEAD) == is_head
            ]
            machines = [line for line in machines if len(line)]
            if not machines:
                continue
            # Machines are read at other instants: each is known between its own samples alone, and
            # the mean is of those that are known.
            t = np.unique(np.concatenate([line.index for line in machines]))
            if len(t) > _TIMES:
                t = np.linspace(t[0], t[-1], _TIMES)
            each = [np.interp(t, line.index, line, np.nan, np.nan) for line in machines]
            look = style.look(order.index(cluster))
            mean = np.ma.masked_invalid(each).mean(axis=0)
            drawn |= over_time.line(axis, t, np.ma.filled(mean, np.nan), look, width)
    if not drawn:
        style.blank(axis, "too few samples" if first else "no valid trial")
        return
    over_time.from_zero(axis)


def _line(values: pd.Series, panel: _Panel) -> pd.Series:
    """One machine's values against s since the trial's start, in the panel's unit."""
    t = values.index.to_numpy(dtype=float) / 1e9
    y = values.to_numpy(dtype=float) / panel.unit
    if panel.counter:
        t, y = t[1:], over_time.rate(t, y)
    return pd.Series(y, t)
