"""The form of figures of distributions over jobs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from schedlab.figures import style
from schedlab.metrics.cells import named
from schedlab.metrics.durations import instants
from schedlab.tables.build import Tables


def ecdf(
    tables: Tables, start: str, end: str, label: str, note: str = "", *, measure: str = ""
) -> Figure:
    """Draw the distribution of `end` minus `start` over jobs: a line for each valid trial.

    Each workload has a panel. `label` is the x axis' label without the unit, `note` a line below
    it. Trials whose value of `measure`, a column of the trials table, is withheld are left out.
    """
    trials, jobs = tables.trials, tables.jobs
    if not len(trials):
        return style.nothing()
    # As the table's: no wait begins before what a job runs after has ended.
    spent = (instants(jobs, end) - instants(jobs, start)) / 1e9
    delay = pd.Series(spent, index=jobs.index)
    by_trial = {str(name): delay[rows] for name, rows in jobs.groupby("trial").groups.items()}
    unit, factor = ("ms", 1e3) if delay.abs().max() < 1 else ("s", 1.0)
    names = style.workloads(trials)
    figure, axes = style.panels(len(names))
    order = style.clusters(trials)
    for axis, workload in zip(axes, names, strict=True):
        rows = trials[trials["workload"] == workload]
        good = style.valid(rows)
        shown = good[~named(good, "withheld", measure)]
        notes = [style.invalid_note(rows)]
        if left_out := len(good) - len(shown):
            notes.append(f"{left_out} withheld")
        style.heading(axis, workload, "\n".join(filter(None, notes)))
        for trial, cluster in shown[["trial", "cluster"]].itertuples(index=False):
            values = by_trial.get(str(trial), pd.Series(dtype=float)) * factor
            look = style.look(order.index(str(cluster)))
            # The denominator counts all jobs, including those without a value.
            part = np.full(len(values), 1 / max(1, len(values)))
            sns.ecdfplot(x=values, weights=part, stat="count", ax=axis, **style.line_of(look, 1.1))
        if not axis.lines:
            style.blank(axis, "no value in any trial" if len(good) else "no valid trial")
            continue
        axis.set(xlabel="", ylabel="")
        axis.set_ylim(0, 1.02)
        axis.set_yticks([0, 0.5, 1])
        axis.xaxis.set_major_locator(MaxNLocator(5))
    figure.supylabel("part of jobs", fontsize=10)
    figure.supxlabel(f"{label} ({unit}){note and chr(10) + note}", fontsize=10)
    style.legend(figure, style.line_handles(order))
    return figure
