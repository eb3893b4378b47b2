"""Throughput against the level of the background, a panel a workload and node count."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from schedlab.figures import style
from schedlab.metrics.cells import cells
from schedlab.metrics.quantities import QUANTITIES
from schedlab.tables.build import Tables

QUANTITY = "throughput"
_LEVEL = ["background_filled", "background_pending"]
_PLACE = "place"


def draw(tables: Tables) -> Figure:
    """Draw the figure."""
    trials = of_levels(tables.trials)
    if not len(trials):
        empty = not len(tables.trials)
        return style.nothing() if empty else style.nothing("no background has levels")
    groups = [
        (f"{base} on {nodes} node{'s' * (int(str(nodes)) != 1)}", _placed(rows))
        for (base, nodes), rows in trials.groupby(["background_level_of", "nodes"], observed=True)
    ]
    wide = any(style.crowded(rows, _PLACE) for _, rows in groups)
    figure, axes = style.panels(len(groups), wide=wide)
    for axis, (title, rows) in zip(axes, groups, strict=True):
        _panel(axis, title, rows)
    figure.supxlabel("background: processors taken, jobs that wait", fontsize=10)
    figure.supylabel("throughput (jobs/s)", fontsize=10)
    style.legend(figure, style.dot_handles(trials))
    return figure


def of_levels(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials of workloads that are levels of a background."""
    return trials[trials["background_level_of"].notna()]


def _placed(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials with the number of their level, from 0, in order of what is taken and what waits."""
    numbers = trials.groupby(_LEVEL, sort=True, observed=True).ngroup()
    return trials.assign(**{_PLACE: numbers.astype(int)})


def _panel(axis: Axes, title: str, trials: pd.DataFrame) -> None:
    summary = cells(trials, QUANTITY)
    places = trials.drop_duplicates("workload").set_index("workload")[_PLACE]
    summary = summary.assign(**{_PLACE: summary["workload"].map(places)})
    style.dots(axis, trials, summary, QUANTITIES[QUANTITY].column, _PLACE)
    style.heading(axis, title, style.invalid_note(trials))
    if not summary["n"].sum():
        return
    levels = trials.drop_duplicates(_PLACE).sort_values(_PLACE)
    axis.set_xticks(
        range(len(levels)),
        [
            f"{100 * filled:.3g} %\n{pending}"
            for filled, pending in levels[_LEVEL].itertuples(index=False, name=None)
        ],
    )
