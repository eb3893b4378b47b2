"""Jobs and busy cores over time, for the first valid repetition of every cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from schedlab.figures import style
from schedlab.metrics.durations import instants
from schedlab.metrics.intervals import Steps, means
from schedlab.metrics.jobs import Floats, seconds
from schedlab.metrics.machine import busy_cores, busy_ranks
from schedlab.tables.build import Tables

JOBS = (
    "trial", "job", "intended", "released", "submit", "started", "finished", "rank_started",
    "rank_finished", "rank_open", "completed", "given_up", "state", "cpus",
)  # fmt: skip
_CELL, _SHARED, _LEAST = 1.9, 14.0, 0.9
"""Height of a cell's two panels in inches. Many cells share a height, each with a least one."""
_ROWS, _TIMES = 400, 600
"""Most rows of jobs and times of busy cores in a panel. It has fewer pixels, so that nothing more
would be seen, and the file does not grow with the number of jobs."""
_WAIT, _RUN = style.COLOURS[1], style.COLOURS[0]
_ALL: dict[str, Any] = {"color": style.INK, "linewidth": 1.0, "linestyle": (0, (4, 2))}
_IDEAL: dict[str, Any] = {"color": style.COLOURS[3], "linewidth": 1.3, "linestyle": (0, (1, 1.2))}


def draw(tables: Tables) -> Figure:
    """Draw the figure."""
    trials = tables.trials
    if not len(trials):
        return style.nothing()
    places = [(w, c) for w in style.workloads(trials) for c in style.clusters(trials)]
    columns = min(2, len(style.clusters(trials)))
    rows = -(-len(places) // columns)
    tall = max(_LEAST, min(_CELL, _SHARED / rows))
    figure = style.blank_figure(rows * tall)
    grid = figure.add_gridspec(2 * rows, columns, height_ratios=[2, 1] * rows)
    for number, (workload, cluster) in enumerate(places):
        row, column = divmod(number, columns)
        gantt = figure.add_subplot(grid[2 * row, column])
        cores = figure.add_subplot(grid[2 * row + 1, column], sharex=gantt)
        _cell(tables, workload, cluster, gantt, cores)
        if number + columns >= len(places):
            cores.set_xlabel("time since first submission (s)", fontsize=style.SMALL)
        if column == 0:
            gantt.set_ylabel("job", fontsize=style.SMALL)
            cores.set_ylabel("cores", fontsize=style.SMALL)
    style.legend(
        figure,
        [
            Line2D([], [], color=_WAIT, alpha=0.55, linewidth=2, label="waiting"),
            Line2D([], [], color=_RUN, linewidth=5, label="running, busy cores"),
            Line2D([], [], label="all cores", **_ALL),
            Line2D([], [], label="ideal bound of the makespan", **_IDEAL),
        ],
    )
    return figure


def _cell(tables: Tables, workload: str, cluster: str, gantt: Axes, cores: Axes) -> None:
    rows = style.of_cell(tables.trials, workload, cluster)
    good = style.valid(rows)
    if not len(good):
        style.heading(gantt, f"{workload}, {cluster}")
        for axis in (gantt, cores):
            style.blank(axis, "no valid trial" if len(rows) else "no trial")
        return
    trial = good.iloc[0]
    style.heading(gantt, str(trial["trial"]), style.invalid_note(rows))
    jobs = tables.jobs[tables.jobs["trial"] == trial["trial"]].sort_values("job")
    due = instants(jobs, "intended") / 1e9
    submit, started, finished = (seconds(jobs, name) for name in ("submit", "started", "finished"))
    if np.isnan(submit).all():
        for axis in (gantt, cores):
            style.blank(axis, "no job was submitted")
        return
    first = float(np.nanmin(submit))
    ends = [values[~np.isnan(values)] for values in (submit, started, finished)]
    span = max(float(max((e.max() for e in ends if e.size), default=first)) - first, 1e-3)
    due, started = due - first, started - first
    number = jobs["job"].to_numpy(dtype=float)
    # A job that never started is drawn as waiting until the end.
    until = np.where(np.isnan(started), np.maximum(span, due), started)
    thick = min(7.0, max(0.7, 60.0 / len(jobs)))
    butt: dict[str, Any] = {"solid_capstyle": "butt"}
    thin = max(0.25, 0.4 * thick)
    gantt.plot(
        *_bars(*_thinned(due, until, number, span)), color=_WAIT, alpha=0.55, linewidth=thin, **butt
    )
    observed = None if pd.isna(trial["observed_s"]) else float(trial["observed_s"])
    ran = busy_ranks(jobs, observed).known
    least = np.maximum(ran.end - first, ran.start - first + 0.006 * span)
    bars = _bars(*_thinned(ran.start - first, least, number[ran.job], span))
    gantt.plot(*bars, color=_RUN, linewidth=thick, **butt)
    gantt.set_ylim(number.max() + 0.7, number.min() - 0.7)
    gantt.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    gantt.tick_params(labelbottom=False)
    _busy(cores, jobs, first, trial, span)


def _thinned(start: Floats, end: Floats, y: Floats, span: float) -> tuple[Floats, Floats, Floats]:
    """Bars in at most `_ROWS` rows; those of a row that meet, as far as can be seen, are one.

    Parameters
    ----------
    start, end : numpy.ndarray
        Of each bar, s; NaN where there is none.
    y : numpy.ndarray
        Its row.
    span : float
        What the panel shows, s.
    """
    if len(np.unique(y)) <= _ROWS:
        return start, end, y
    known = ~(np.isnan(start) | np.isnan(end))
    start, end, y = start[known], end[known], y[known]
    tall = (np.ptp(y) + 1) / _ROWS
    y = y.min() + (np.floor((y - y.min()) / tall) + 0.5) * tall
    order = np.lexsort((start, y))
    start, end, y = start[order], end[order], y[order]
    until = pd.Series(end).groupby(y).cummax().to_numpy()
    first = np.append(True, (np.diff(y) > 0) | (start[1:] > until[:-1] + span / _TIMES))
    return start[first], np.maximum.reduceat(end, np.flatnonzero(first)), y[first]


def _bars(start: Floats, end: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return all bars as one path with gaps, so that the file stays small with many jobs."""
    gap = np.full(start.size, np.nan)
    return np.column_stack([start, end, gap]).ravel(), np.column_stack([y, y, gap]).ravel()


def _busy(axis: Axes, jobs: pd.DataFrame, first: float, trial: pd.Series, span: float) -> None:
    observed = None if pd.isna(trial["observed_s"]) else float(trial["observed_s"])
    busy = busy_cores(jobs, observed)
    x, y = busy["t"].to_numpy() - first, busy["cores"].to_numpy()
    if len(x) > _TIMES:
        edges = np.linspace(x[0], x[-1], _TIMES + 1)
        x, y = edges, np.append(means(Steps(x, y), edges), 0.0)
    axis.fill_between(x, y, step="post", color=_RUN, alpha=0.4, linewidth=0)
    # Many outlines would fill the panel.
    axis.step(x, y, where="post", color=_RUN, linewidth=0.9 if len(x) < 200 else 0.3)
    top = float(max(y.max(initial=0.0), 1.0))
    if pd.notna(trial["cores"]):
        axis.axhline(float(trial["cores"]), **_ALL)
        top = max(top, float(trial["cores"]))
    if pd.notna(trial["ideal_makespan_s"]):
        axis.axvline(float(trial["ideal_makespan_s"]), **_IDEAL)
        span = max(span, float(trial["ideal_makespan_s"]))
    axis.set_xlim(-0.015 * span, 1.015 * span)
    axis.set_ylim(0, 1.15 * top)
    axis.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axis.xaxis.set_major_locator(MaxNLocator(5))
