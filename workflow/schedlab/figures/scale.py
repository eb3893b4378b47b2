"""How schedulers grow with the number of nodes and of queued jobs, on logarithmic axes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from schedlab.figures import style
from schedlab.figures.over_time import HEAD, MEMORY, of_daemons
from schedlab.metrics.cells import named
from schedlab.metrics.costs import SCHEDULER
from schedlab.metrics.fidelity import compared_cells, is_virtual
from schedlab.metrics.growth import growth
from schedlab.metrics.statistics import t_interval
from schedlab.metrics.whole_runs import not_ended
from schedlab.tables.build import Tables

JOBS = ("trial", "job", "started")
METRICS = (MEMORY,)
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
    values = _values(style.valid(trials), compared_cells(trials, tables.jobs), tables.samples)
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


def _values(
    trials: pd.DataFrame, compared: Collection[tuple[str, str, int]], samples: pd.DataFrame
) -> pd.DataFrame:
    """Trials with what the head's daemons used, and whether they were compared with real nodes."""
    own = [_on_head(costs) for costs in trials["daemon_cost"]]
    memory = _largest_memory(samples, dict(zip(trials["trial"].astype(str), own, strict=True)))
    cells = trials[["scheduler", "workload", "nodes"]].astype(object)
    extrapolated = [
        bool(virtual) and (str(name), str(workload), int(nodes)) not in compared
        for virtual, (name, workload, nodes) in zip(
            is_virtual(trials), cells.itertuples(index=False, name=None), strict=True
        )
    ]
    return trials.assign(
        head_cpu_s=np.array([_cpu(rows) for rows in own], dtype=float),
        head_memory_mib=trials["trial"].astype(str).map(memory).astype(float),
        extrapolated=extrapolated,
    )


def _on_head(costs: Any) -> list[Any]:
    """Costs of the scheduler's daemons on the head."""
    rows = costs if costs is not None else ()
    return [row for row in rows if row["node"] == HEAD and row["group"] == SCHEDULER]


def _cpu(rows: list[Any]) -> float | None:
    """Processor time (s) of some daemons together."""
    known = [row["cpu_s"] for row in rows if row["cpu_s"] is not None]
    return float(sum(known)) if known else None


def _largest_memory(samples: pd.DataFrame, own: Mapping[str, list[Any]]) -> pd.Series:
    """Trial -> most memory (MiB) that the daemons had at one time, from its samples.

    The daemons' own peaks are since their start, and a snapshot keeps them: what a trial adds would
    not show, as long as it is less than what the daemons had when they were configured.
    """
    names = {
        (trial, process)
        for trial, rows in own.items()
        for row in rows
        for process in row["process"].split(" + ")
    }
    found = of_daemons(samples, METRICS)
    kept = [pair in names for pair in zip(found["trial"], found["process"], strict=True)]
    together = found[np.array(kept, dtype=bool)].groupby(["trial", "t_ns"])["value"].sum()
    largest: pd.Series = together.groupby(level="trial").max() / MIB
    return largest


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
    """Trials of each scheduler that have a positive value, and whose jobs had ended."""
    value = pd.to_numeric(trials[curve.column]).astype(float)
    kept = (value > 0) & ~_cut_off(trials, curve.column)
    known = trials.assign(_size=trials[size].astype(float), _value=value)[kept]
    for name in names:
        rows = known[known["scheduler"] == name]
        if len(rows):
            yield name, rows


def _cut_off(trials: pd.DataFrame, column: str) -> npt.NDArray[np.bool_]:
    """Tell of each trial whether jobs had not ended, so that the value is that of a part of them.

    The trial's limit then made it what it is: the rate, the processor time, and what was in memory.
    """
    return not_ended(trials) | named(trials, "at_least", column)


def _bounds_note(trials: pd.DataFrame, column: str) -> str:
    """Say of each scheduler how many trials are left out because jobs had not ended."""
    rows = trials[_cut_off(trials, column)]
    counts = rows.groupby("scheduler", observed=True).size()
    return "\n".join(
        f"{name}: {count} left out, whose jobs had not ended" for name, count in counts.items()
    )


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
    told = [text for text in (note, _bounds_note(trials, curve.column)) if text]
    sizes = set()
    for name, rows in _series(trials, size, curve, names):
        look = style.look(names.index(name))
        for at, cell in rows.groupby("_size"):
            _mark(axis, float(str(at)), cell, look)
            sizes.add(float(str(at)))
        clusters = rows.groupby(["cluster", "snapshot"], observed=True).ngroup()
        law = growth(rows["_size"].to_numpy(), rows["_value"].to_numpy(), clusters.tolist())
        if text := law.text(symbol):
            ends = np.array([rows["_size"].min(), rows["_size"].max()])
            axis.plot(ends, law.at(ends), **style.line_of(look, 1.2))
            told.append(f"{name}: {text}")
    if not sizes:
        style.blank(axis, "no value in any trial")
        style.heading(axis, "", "\n".join(told))
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
