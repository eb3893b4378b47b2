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
from schedlab.metrics.levels import over_trials
from schedlab.metrics.whole_runs import alone, not_ended
from schedlab.tables.build import Tables

JOBS = ("trial", "job", "started")
METRICS = (MEMORY,)
MIB = 2**20
BURST = "burst"
NOTHING = "no valid trial without a background or a fault"
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
    if not len(tables.trials):
        return style.nothing()
    compared = compared_cells(tables.trials, tables.jobs)
    # What a background or a fault costs does not grow with the size.
    trials = alone(tables.trials)
    values = _values(style.valid(trials), compared, tables.samples)
    by_nodes, by_queue = _largest_workload(values), _queues(values)
    bursts = by_queue if len(by_queue) else _queues(trials)
    notes = {"nodes": _note(trials, by_nodes), "jobs": _note(trials, bursts, largest=True)}
    if max(_most_sizes(by_nodes, "nodes"), _most_sizes(by_queue, "jobs")) < 2:
        told = "one size only: nothing grows" if len(values) else NOTHING
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
    """Trials of the workload with the most jobs; of several, of the first by name.

    One with the same number of jobs on every machine comes before those whose jobs become more with
    the machine: what grows with these is not told apart.
    """
    if not len(trials):
        return trials
    jobs = trials.groupby("workload", observed=True)["jobs"].agg(["min", "max"])
    jobs = jobs.assign(same=jobs["min"] == jobs["max"], name=jobs.index.astype(str))
    order = jobs.sort_values(["same", "max", "name"], ascending=[False, False, True])
    found: pd.DataFrame = trials[trials["workload"] == order.index[0]]
    return found


def _queues(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials of bursts whose jobs have one runtime, each scheduler's on its largest cluster.

    It is the runtime of which there are the most lengths of the queue; of several, the shortest.
    """
    bursts = trials[trials["kind"] == BURST]
    if not len(bursts):
        return bursts
    # Jobs of bursts take one processor, and all of them the same time.
    area = pd.to_numeric(bursts["area_bound_s"]).astype(float)
    runtime = (area * bursts["cores"] / bursts["jobs"]).round(6)
    lengths = bursts.groupby(runtime)["jobs"].nunique()
    bursts = bursts[runtime == lengths.index[lengths == lengths.max()].min()]
    largest = bursts.groupby("scheduler", observed=True)["nodes"].transform("max")
    on_largest: pd.DataFrame = bursts[bursts["nodes"] == largest]
    return on_largest


def _note(trials: pd.DataFrame, drawn: pd.DataFrame, *, largest: bool = False) -> str:
    """Which workloads are drawn, and which of their trials are invalid.

    With `largest` only invalid trials on clusters with as many nodes as those drawn, or more.
    """
    told = []
    for workload in style.workloads(drawn):
        jobs = drawn.loc[drawn["workload"] == workload, "jobs"]
        least, most = int(jobs.min()), int(jobs.max())
        told.append(workload if least == most else f"{workload} of {least} to {most} jobs")
    there = trials[trials["workload"].isin(style.workloads(drawn))]
    if largest:
        nodes = drawn.assign(name=drawn["scheduler"].astype(str)).groupby("name")["nodes"].max()
        there = there[there["nodes"] >= there["scheduler"].astype(str).map(nodes).fillna(0)]
    return "\n".join(text for text in (", ".join(told), style.invalid_note(there)) if text)


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


def _left_out(trials: pd.DataFrame, column: str) -> list[str]:
    """Say of each scheduler how many trials are left out, and why."""
    cut = _cut_off(trials, column)
    value = pd.to_numeric(trials[column]).astype(float)
    told = []
    for which, why in (
        (cut, "whose jobs had not ended"),
        ((value <= 0).to_numpy() & ~cut, "of 0 or less, which has no logarithm"),
    ):
        counts = trials[which].groupby("scheduler", observed=True).size()
        told += [f"{name}: {count} left out, {why}" for name, count in counts.items()]
    return told


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
    told = [*([note] if note else []), *_left_out(trials, curve.column)]
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
    """Estimate of one size with its interval; over clusters where there are several."""
    clusters = cell.groupby("snapshot", dropna=False)
    found = over_trials([rows["_value"].to_numpy() for _, rows in clusters], "log")
    if found.estimate is None:
        return
    if found.low is not None and found.high is not None:
        axis.vlines(at, found.low, found.high, colors=look.colour, linewidth=1.4)
    face = "none" if cell["extrapolated"].any() else look.colour
    axis.plot([at], [found.estimate], marker=look.marker, color=look.colour, markersize=5.5,
              markerfacecolor=face, linestyle="none")  # fmt: skip
