"""Overhead of constant-time task sets against tasks on each processor, with Reuther's model."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from schedlab.figures import style
from schedlab.formatting import number, seconds
from schedlab.metrics.growth import NOT_TESTED
from schedlab.metrics.task_sets import TaskSet, task_sets
from schedlab.tables.build import Tables

_SIDE_BY_SIDE = 3
"""Most clusters of a panel whose models a panel of half the width has room to tell."""


def draw(tables: Tables) -> Figure:
    """Draw the figure."""
    found = task_sets(tables.trials)
    if not found:
        empty = not len(tables.trials)
        return style.nothing() if empty else style.nothing("no workload has constant-time tasks")
    names = sorted({one.scheduler for one in found})
    groups: dict[tuple[int, str], list[TaskSet]] = {}
    for one in sorted(found, key=lambda one: (one.nodes, one.work)):
        groups.setdefault((one.nodes, f"{one.work:.3g}"), []).append(one)
    wide = any(len(sets) > _SIDE_BY_SIDE for sets in groups.values())
    figure, axes = style.panels(len(groups), wide=wide)
    for axis, ((nodes, work), sets) in zip(axes, groups.items(), strict=True):
        title = f"{nodes} node{'s' * (nodes != 1)}, n t = {seconds(float(work))}"
        _panel(axis, title, sorted(sets, key=lambda one: one.cluster), names)
    figure.supxlabel("tasks on each processor, n", fontsize=10)
    figure.supylabel("overhead dT (s)", fontsize=10)
    style.legend(figure, style.mark_handles(names))
    return figure


def _panel(axis: Axes, title: str, sets: list[TaskSet], names: list[str]) -> None:
    sizes: set[float] = set()
    for one in sets:
        look = style.look(names.index(one.scheduler))
        above = one.overhead > 0
        axis.plot(one.tasks[above], one.overhead[above], color=look.colour, marker=look.marker,
                  markersize=5, markerfacecolor="none", linestyle="none")  # fmt: skip
        sizes.update(one.tasks[above].tolist())
        if not one.why:
            ends = np.array([one.tasks.min(), one.tasks.max()])
            axis.plot(ends, one.model.seconds(ends), **style.line_of(look, 1.2))
    style.heading(axis, title, "\n".join(line for one in sets for line in _told(one)))
    if sizes:
        style.log_axes(axis, sizes)
    else:
        style.blank(axis, "no dT above 0 in any trial")


def _told(one: TaskSet) -> list[str]:
    """Model of a set, or why it has none, and the trials that are not drawn."""
    if one.why:
        lines = [f"{one.scheduler}: no model: {one.why}"]
    else:
        latency, exponent = one.model.latency.estimate, one.model.exponent.estimate
        bends = {None: f", {NOT_TESTED}", True: ", bends", False: ""}[one.bends]
        lines = [f"{one.scheduler}: {number(latency)} s n^{number(exponent)}{bends}"]
    return lines + [f"{one.scheduler}, left out: {one.left_out}"] * bool(one.left_out)
