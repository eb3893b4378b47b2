"""Figures of a recorded trace. Their size does not grow with the number of jobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from schedlab.analysis.recorded import Recorded, busy, queue
from schedlab.figures import style
from schedlab.metrics.bounds import Floats
from schedlab.metrics.intervals import Steps, means
from schedlab.swf.local_time import DAY, clock_of, week_seconds

_BINS = 400
"""Bins over the whole time, in each of which a mean is drawn."""
_POINTS = 400
"""Points of a distribution."""
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def draw_all(jobs: Recorded, trace: Path, folder: Path) -> list[Path]:
    """Draw every figure of a trace into a folder; return the files."""
    unknown = _unknown_waits(jobs)
    clock = clock_of(trace)
    local = week_seconds(jobs.submit, clock)
    told = clock.told + (f" ({clock.unread})" if clock.unread else "")
    drawn = {
        "load": (lambda: _load(jobs), f"; {unknown}" if unknown else ""),
        "arrivals": (lambda: _arrivals(local, told), ""),
        "distributions": (lambda: _distributions(jobs), ""),
    }
    files = []
    for name, (draw, note) in drawn.items():
        files.append(folder / f"{name}.svg")
        with style.applied():
            style.save(draw(), files[-1], f"{name} of {trace.name}{note}")
    return files


def _unknown_waits(jobs: Recorded) -> str:
    """Say how many waits are unknown; empty if none is."""
    unknown = int(np.count_nonzero(~jobs.waited))
    return f"wait unknown of {unknown} of {jobs.waited.size} jobs" if unknown else ""


def _load(jobs: Recorded) -> Figure:
    """Busy cores and queue over time, as means over equal bins."""
    unknown = _unknown_waits(jobs)
    panels: list[tuple[str, Callable[[], Steps]]] = [("busy processors", lambda: busy(jobs))]
    if not unknown:
        jobs_waiting, cores_waiting = (
            lambda: _kind(queue(jobs), 0),
            lambda: _kind(queue(jobs), 1),
        )
        panels += [("processors waited for", cores_waiting), ("waiting jobs", jobs_waiting)]
    figure = style.blank_figure(1.0 * len(panels))
    edges = np.linspace(jobs.submit.min(), jobs.end.max(), _BINS + 1)
    axis = None
    for place, (title, function) in enumerate(panels, 1):
        axis = figure.add_subplot(len(panels), 1, place, sharex=axis)
        level = means(function(), edges) if edges[-1] > edges[0] else np.zeros(_BINS)
        axis.stairs(level, edges / DAY, fill=True, color=style.COLOURS[0], alpha=0.6)
        if place == 1:
            axis.axhline(jobs.machine, color=style.INK, linewidth=1.0, linestyle=(0, (4, 2)))
        axis.set_ylim(bottom=0)
        if not level.any():
            # Not `style.blank`: the panels share their ticks.
            axis.set_ylim(0, 1)
            axis.text(
                0.5, 0.5, "always 0", transform=axis.transAxes, ha="center", color=style.MUTED
            )
        notes = [f"dashed: the machine's {jobs.machine}"]
        if unknown:
            notes.append(f"{unknown}: they count as started when submitted; no queue is drawn")
        style.heading(axis, title, "\n".join(notes) if place == 1 else "")
    figure.supxlabel(f"days since the log's start; means of {_BINS} equal times", fontsize=10)
    return figure


def _kind(function: Steps, kind: int) -> Steps:
    if not function.t.size:
        return Steps(np.zeros(1), np.zeros(1))
    return Steps(function.t, function.level[kind])


def _arrivals(local: Floats, clock: str) -> Figure:
    """Arrivals by hour of the day and by day of the week, on a clock that is told."""
    figure, (hours, days) = style.panels(2)
    by_hour = np.bincount((local % DAY // 3600).astype(int), minlength=24)
    by_day = np.bincount((local // DAY).astype(int), minlength=7)
    part = 100 / local.size
    hours.bar(np.arange(24) + 0.5, by_hour * part, width=0.9, color=style.COLOURS[0])
    days.bar(np.arange(7), by_day * part, width=0.9, color=style.COLOURS[0])
    hours.set_xticks([0, 6, 12, 18, 24])
    days.set_xticks(range(7), _DAYS)
    hours.set_xlabel("hour of the day (h)")
    days.set_xlabel("day of the week")
    style.heading(hours, "arrivals by hour of day")
    style.heading(days, "arrivals by day of week")
    figure.supxlabel(clock, fontsize=10)
    figure.supylabel("of all jobs (%)", fontsize=10)
    return figure


def _distributions(jobs: Recorded) -> Figure:
    """Distribution functions, drawn at equally spaced quantiles."""
    figure, axes = style.panels(4)
    waited = jobs.waited
    quantities = (
        ("runtime (s)", jobs.end - jobs.start, ""),
        ("processors", jobs.cores, ""),
        ("wait (s)", (jobs.start - jobs.submit)[waited], _unknown_waits(jobs)),
        ("between two arrivals (s)", np.diff(jobs.submit), ""),
    )
    for axis, (title, values, note) in zip(axes, quantities, strict=True):
        style.heading(axis, title, note)
        _distribution(axis, values)
    figure.supxlabel("value; the scale is logarithmic from 1 on", fontsize=10)
    figure.supylabel("part with at most this value", fontsize=10)
    return figure


def _distribution(axis: Axes, values: Floats) -> None:
    if not values.size:
        style.blank(axis, "not in the trace")
        return
    if not values.any():
        style.blank(axis, "all are 0")
        return
    parts = np.linspace(0, 1, _POINTS)
    axis.step(np.quantile(values, parts), parts, where="post", color=style.COLOURS[0])
    # Most of these spread over many powers of ten, and may be 0.
    axis.set_xscale("symlog", linthresh=1.0)
    axis.set_xlim(left=0)
    axis.set_ylim(0, 1.02)
