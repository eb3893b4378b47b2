"""How schedulers grow with the number of nodes and of queued jobs, on logarithmic axes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from schedlab.config.variants import VIRTUAL
from schedlab.figures import style
from schedlab.figures.over_time import HEAD
from schedlab.metrics.costs import scheduler_cost
from schedlab.metrics.fidelity import is_virtual
from schedlab.metrics.growth import growth
from schedlab.metrics.statistics import t_interval
from schedlab.tables.build import Tables

MIB = 2**20
BURST = "burst"
_ROW = 1.3
"""Height of a row of panels, inches."""


class Curve(NamedTuple):
    """What a row of panels shows: column of `_values`, and label of the axis."""

    column: str
    label: str


CURVES = (
    Curve("throughput_jobs_per_s", "throughput\n(jobs/s)"),
    Curve("scheduling_median_s", "scheduling\nlatency (s)"),
    Curve("head_cpu_s", "control plane's\nCPU time (s)"),
    Curve("head_memory_mib", "control plane's\nmemory (MiB)"),
)


def draw(tables: Tables) -> Figure:
    """Draw the figure."""
    trials = tables.trials
    if not len(trials):
        return style.nothing()
    values = _values(style.valid(trials))
    notes = {
        "nodes": style.invalid_note(_largest_workload(trials)),
        "jobs": style.invalid_note(_queues(trials)),
    }
    by_nodes, by_queue = _largest_workload(values), _queues(values)
    if max(_most_sizes(by_nodes, "nodes"), _most_sizes(by_queue, "jobs")) < 2:
        told = "one size only: nothing grows" if len(values) else "no valid trial"
        note = style.invalid_note(trials)
        return style.nothing(f"{told}\n{note}" if note else told)
    names = sorted({str(name) for name in trials["scheduler"]})
    figure = style.blank_figure(_ROW * len(CURVES))
    grid = figure.add_gridspec(len(CURVES), 2)
    for row, curve in enumerate(CURVES):
        for column, (rows, size, symbol) in enumerate(
            ((by_nodes, "nodes", "n"), (by_queue, "jobs", "q"))
        ):
            axis = figure.add_subplot(grid[row, column])
            _panel(axis, rows, size, symbol, curve, names, "" if row else notes[size])
            if column == 0:
                axis.set_ylabel(curve.label, fontsize=style.SMALL)
            if row == len(CURVES) - 1:
                label = "compute nodes, n" if size == "nodes" else "jobs at once, q"
                axis.set_xlabel(label, fontsize=style.SMALL)
    style.legend(figure, style.mark_handles(names))
    return figure


def _values(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials with what the head's daemons used, and whether real nodes ran at their size."""
    sizes = trials.loc[~is_virtual(trials), ["scheduler", "nodes"]]
    real = set(sizes.itertuples(index=False, name=None))
    cost = [_of_head(found) for found in trials["daemon_cost"]]
    virtual = is_virtual(trials)
    extrapolated = [
        bool(kind) and (str(name).removesuffix(VIRTUAL), nodes) not in real
        for kind, name, nodes in zip(virtual, trials["scheduler"], trials["nodes"], strict=True)
    ]
    return trials.assign(
        head_cpu_s=np.array([cpu for cpu, _ in cost], dtype=float),
        head_memory_mib=np.array([memory for _, memory in cost], dtype=float),
        extrapolated=extrapolated,
    )


def _of_head(costs: Any) -> tuple[float | None, float | None]:
    """Processor time (s) and peak memory (MiB) of the scheduler's daemons on the head."""
    rows = [row for row in (costs if costs is not None else ()) if row["node"] == HEAD]
    total = scheduler_cost(rows, 1)
    memory = total["peak_rss_bytes"]
    return total["cpu_s"], memory / MIB if memory else None


def _largest_workload(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials of the workload with the most jobs; of several, of the first by name."""
    if not len(trials):
        return trials
    most = trials.sort_values(["jobs", "workload"], ascending=[False, True])["workload"].iloc[0]
    found: pd.DataFrame = trials[trials["workload"] == most]
    return found


def _queues(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials of bursts, each scheduler's on its largest cluster."""
    bursts = trials[trials["kind"] == BURST]
    largest = bursts.groupby("scheduler", observed=True)["nodes"].transform("max")
    return bursts[bursts["nodes"] == largest]


def _most_sizes(trials: pd.DataFrame, size: str) -> int:
    counts = trials.groupby("scheduler", observed=True)[size].nunique()
    return int(counts.max()) if len(counts) else 0


def _series(
    trials: pd.DataFrame, size: str, curve: Curve, names: list[str]
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Trials of each scheduler that have a positive value."""
    value = pd.to_numeric(trials[curve.column]).astype(float)
    known = trials.assign(_size=trials[size].astype(float), _value=value)[value > 0]
    for name in names:
        rows = known[known["scheduler"] == name]
        if len(rows):
            yield name, rows


def _panel(
    axis: Axes,
    trials: pd.DataFrame,
    size: str,
    symbol: str,
    curve: Curve,
    names: list[str],
    note: str,
) -> None:
    """Draw one quantity against one size."""
    told, sizes = ([note] if note else []), set()
    for name, rows in _series(trials, size, curve, names):
        look = style.look(names.index(name))
        for at, cell in rows.groupby("_size"):
            _mark(axis, float(str(at)), cell, look)
            sizes.add(float(str(at)))
        law = growth(rows["_size"].to_numpy(), rows["_value"].to_numpy())
        if text := law.text(symbol):
            ends = np.array([rows["_size"].min(), rows["_size"].max()])
            axis.plot(ends, law.at(ends), **style.line_of(look, 1.2))
            told.append(f"{name}: {text}")
    if not sizes:
        style.blank(axis, "no value in any trial")
        return
    style.log_axes(axis, sizes)
    style.heading(axis, "", "\n".join(told))


def _mark(axis: Axes, at: float, cell: pd.DataFrame, look: style.Look) -> None:
    """Estimate of one size with its interval."""
    found = t_interval(cell["_value"].to_numpy(), "log")
    if found.estimate is None:
        return
    if found.low is not None and found.high is not None:
        axis.vlines(at, found.low, found.high, colors=look.colour, linewidth=1.4)
    face = "none" if cell["extrapolated"].any() else look.colour
    axis.plot([at], [found.estimate], marker=look.marker, color=look.colour, markersize=5.5,
              markerfacecolor=face, linestyle="none")  # fmt: skip
