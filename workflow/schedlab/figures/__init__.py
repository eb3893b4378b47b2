"""Figures of the report: one module a figure, drawn from the tables alone.

Each module has a function `draw`. `JOBS` names the columns of the jobs table that it draws, and
`METRICS` the metrics of the samples; without these it is given none of them. This module stays
light, because the Snakefile imports it for the names: matplotlib is imported when one is drawn.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from schedlab.errors import SchedlabError


class Figure(NamedTuple):
    """What the report says about a figure.

    Parameters
    ----------
    title : str
        Heading.
    caption : str
        What is drawn and how to read it.
    alt : str
        Text in place of the picture.
    """

    title: str
    caption: str
    alt: str


_ECDF = (
    "One line a valid trial; the height at x is the part of all the trial's jobs with a value of"
    " at most x, so a line that ends below 1 shows jobs without a value (rejected, lost, failed)."
)

FIGURES: dict[str, Figure] = {
    "throughput": Figure(
        "Throughput",
        "Completed jobs per second, from the first submission to the last job's end, or to the"
        " trial's end if any job did not end. Open circles: one valid trial each. Filled marks:"
        " geometric mean over trials with its 95 %"
        " interval, drawn from 3 trials on. Dashed, where measured: the submitter's ceiling, the"
        " rate at which the null scheduler takes jobs; where it is above the panel, its value. Node"
        " counts are few and ordinal: points are not joined.",
        "Points of throughput in jobs per second against compute nodes, one panel a workload.",
    ),
    "saturation": Figure(
        "Saturation",
        "Steps of the searches for the highest sustained rate: jobs that left the queue per second,"
        " after the warm-up, against arrivals per second. Filled marks: sustained; open ones: not;"
        " crosses: it is not known whether."
        " Vertical line and band: the knee, which lies below the marks by half of the precision,"
        " and its interval (from 3 searches on its 95 % interval, else the ends of the brackets)."
        " Diagonal: as many jobs leave as arrive. Dashed, where measured: the rate that the null"
        " scheduler sustains.",
        "Points of achieved against offered rate in jobs per second, one panel a workload, with the"
        " knee of each cluster.",
    ),
    "background": Figure(
        "Throughput by background",
        "Completed jobs per second beside a background, whose levels are a factor: the part of the"
        " processors that it takes on these machines, and below it the jobs that wait all the time."
        " All levels have the same measured jobs. Open circles: one valid trial each. Filled marks:"
        " geometric mean over trials with its 95 % interval, drawn from 3 trials on. Points are not"
        " joined.",
        "Points of throughput in jobs per second against levels of the background, one panel a"
        " workload and node count.",
    ),
    "makespan": Figure(
        "Makespan",
        "Last instruction of all jobs minus first submission; at least to the trial's end if"
        " any job never finished. Open circles: one valid trial"
        " each. Filled marks: estimate over trials with its 95 % interval, drawn from 3 trials"
        " on. Dashed lines: ideal bound (the larger of the machine's area and the critical path),"
        " below which no scheduler can get; where repetitions have different traces, the mean of"
        " their bounds, which a single trial may be below. Points are not joined.",
        "Points of makespan in seconds against compute nodes, one panel a workload, with the"
        " ideal bound.",
    ),
    "wait": Figure(
        "Wait",
        f"Distribution of the wait of jobs, from the instant at which a job was due to its first"
        f" instruction. {_ECDF} Trials whose wait is withheld are left out. A scheduler that works"
        " in cycles shows steps.",
        "Empirical distribution functions of the wait of jobs, one panel a workload, one line a"
        " trial.",
    ),
    "launch": Figure(
        "Launch latency",
        "Distribution of the time from the allocation of nodes to the first instruction of the"
        f" job, started minus allocated. {_ECDF}",
        "Empirical distribution functions of launch latency, one panel a workload, one line a"
        " trial.",
    ),
    "timeline": Figure(
        "Timeline",
        "The first valid repetition of each workload on each cluster. Above: one row a job in"
        " order of number, pale while waiting (due to started), solid while running. Very short"
        " jobs are drawn with a minimum width, so that they can be seen. Below: busy cores, the"
        " number of cores (dashed) and the ideal bound of the makespan (dotted). From some hundred"
        " jobs on, neighbours share a row, and busy cores are means over 600 equal times.",
        "Gantt charts of jobs and busy cores over time, one pair a workload and cluster.",
    ),
    "daemons": Figure(
        "Cost of the scheduler's daemons",
        "Daemons of the scheduler on the head node in the first valid repetition: processor use"
        " (from the cumulative counter, between two samples) and resident memory. A point: one"
        " value alone is known. At the bottom: processor time of all daemons on all nodes for each"
        " job, one open circle a valid trial, filled marks the estimate with its 95 % interval.",
        "Lines of processor use and memory of the scheduler's daemons over time, and points of"
        " processor time for each job against compute nodes.",
    ),
    "nodes": Figure(
        "Load of the machines",
        "All that runs on the cluster's machines in the first valid repetition: busy processors,"
        " memory in use, and bytes received and sent a second on all networks but the loopback one."
        " Wide: the head. Narrow: the mean of the other machines. Rates are from cumulative"
        " counters, between two samples. A point: one value alone is known.",
        "Lines of busy processors, memory in use and network traffic of the head and of the other"
        " machines over time.",
    ),
    "scale": Figure(
        "Growth with the size",
        "Both axes are logarithmic. Left: against the number of compute nodes, for the workload"
        " with the most jobs (of those with equally many on all machines, where there are any)."
        " Right: against the number of jobs that are submitted at once (workloads of the kind burst"
        " whose jobs have one runtime), on each scheduler's largest cluster. Their names are above."
        " Trials with a background or a fault are not drawn. Memory: the most that"
        " the control plane's daemons had resident at one time, in the trial's samples. Marks:"
        " geometric mean over valid trials, or over clusters where each size has several, with its"
        " 95 % interval; open where the nodes are virtual"
        " and have no error with an interval in that workload at that size: extrapolated, or"
        " between compared sizes. Trials in which jobs had not ended, so that the limit of the"
        " trial made their values, and values of 0 or less are left out, and counted above the"
        " panel. Lines: a power law,"
        " from 3 sizes on, fitted to the means of clusters, or to trials where one cluster ran all"
        " sizes, with its exponent and the 95 % interval (n nodes, q jobs); 0 does not grow, 1"
        " grows in proportion. 'bends': they do not lie on one power law, so that its exponent has"
        " no interval; 'not tested': 3 points cannot show it; 'last': the exponent between the two"
        " largest sizes. The parity manifest has the period of virtual nodes' heartbeats: where it"
        " grows with their number, the load of heartbeats does not, and these curves leave its"
        " growth out.",
        "Throughput, scheduling latency, and the control plane's processor time and memory against"
        " nodes and jobs on logarithmic axes, with fitted exponents.",
    ),
    "overhead": Figure(
        "Overhead of constant-time tasks",
        "Time dT that a trial took longer than n t, for n tasks of t s on each processor with the"
        " same n t, both axes logarithmic. Open marks: one valid trial that completed all jobs."
        " Lines: Reuther's model dT = t_s n^a, fitted to the trials of a cluster, from 3 different"
        " n on; 'bends': the trials do not lie on one such line; 'not tested': 3 trials cannot show"
        " it. The intervals of t_s and a are in"
        " the section on overhead.",
        "Points of overhead in seconds against tasks on each processor on logarithmic axes, one"
        " panel a node count and processor time, with the fitted model of each scheduler.",
    ),
    "lateness": Figure(
        "Lateness of the driver",
        f"How late jobs were submitted after they were due: the measurement's own error. {_ECDF}",
        "Empirical distribution functions of the lateness of submissions, one panel a workload,"
        " one line a trial.",
    ),
}
"""Figures by name, in the order of the report."""

WITH_BOUND = ("throughput", "saturation")
"""Figures that draw trials without payload, as a bound; the other figures leave them out."""
SEARCHES = "saturation"
"""Figure that draws steps of searches; the other figures leave them out, as their rates differ."""
ONLY_SEARCHES = "all trials are of searches"
LEVELS = "background"
"""Figure that draws levels of backgrounds; a report without any leaves it out."""
TASK_SETS = "overhead"
"""Figure that draws constant-time task sets; a report without any leaves it out."""


def draw(name: str, tables: Path, output: Path) -> None:
    """Draw a figure as SVG, the same bytes for the same tables.

    Parameters
    ----------
    name : str
        Key of `FIGURES`.
    tables : pathlib.Path
        Folder with the tables.
    output : pathlib.Path
        SVG file to write.

    Raises
    ------
    SchedlabError
        When there is no figure of that name.
    """
    if name not in FIGURES:
        raise SchedlabError(f"no figure {name!r}", remedy=f"use one of {', '.join(FIGURES)}")
    module = import_module(f"schedlab.figures.{name}")
    style = import_module("schedlab.figures.style")
    load_tables = import_module("schedlab.tables.build").load_tables
    loaded = load_tables(
        tables, jobs=getattr(module, "JOBS", ()), metrics=getattr(module, "METRICS", ())
    )
    if name not in WITH_BOUND:
        with_payload = import_module("schedlab.metrics.ceiling").with_payload
        loaded = loaded._replace(trials=with_payload(loaded.trials))
    if name != SEARCHES:
        without_searches = import_module("schedlab.metrics.searches").without_searches
        repeated = without_searches(loaded.trials)
        only_searches = len(repeated) == 0 < len(loaded.trials)
        loaded = loaded._replace(trials=repeated)
    else:
        only_searches = False
    with style.applied():
        drawn = style.nothing(ONLY_SEARCHES) if only_searches else module.draw(loaded)
        style.save(drawn, output, FIGURES[name].title)
